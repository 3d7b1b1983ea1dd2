package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"
)

// softLimit is where memory is collected sooner. Parse keeps next to nothing of what it reads, so this costs little.
const softLimit = 52 << 20

func parseCommand(s *settings, std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "parse PATH…",
		Short: "Read results and print them; write nothing",
		Long: "Read run directories, benchmark logs and results.xml files, and print the results, every skipped input with its\n" +
			"reason and the ledger. Nothing is written.",
		Args: needPaths,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := newPipeline(s, std)
			if err != nil {
				return err
			}
			p.store, p.forgets = &memory{light: true}, true
			debug.SetMemoryLimit(softLimit)
			return p.finish(cmd.Context(), p.read(cmd.Context(), args))
		},
	}
	s.addReading(c.Flags())
	return c
}
