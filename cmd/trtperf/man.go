package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the man pages. SOURCE_DATE_EPOCH, as reproducible builds have it, is their date; else they have that of 1970, so that the same
// program writes the same bytes.
func manCommand(std stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the man pages into a directory",
		Args:  exactly(1, "man: name the directory to write to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			date := time.Unix(0, 0).UTC()
			if text := std.getenv("SOURCE_DATE_EPOCH"); text != "" {
				seconds, err := time.ParseDuration(text + "s")
				if err != nil {
					return usagef("SOURCE_DATE_EPOCH is %q and no number of seconds", text)
				}
				date = date.Add(seconds)
			}
			if err := os.MkdirAll(args[0], 0o777); err != nil {
				return usagef("man: %w", err)
			}
			cmd.Root().DisableAutoGenTag = true
			header := &doc.GenManHeader{Section: "1", Date: &date, Source: "trtperf " + version, Manual: "trtperf"}
			return doc.GenManTree(cmd.Root(), header, args[0])
		},
	}
}

// exactly refuses another number of arguments with a message that says what to write.
func exactly(n int, message string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s", message)
		}
		return nil
	}
}
