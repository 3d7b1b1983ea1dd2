package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// execute builds the commands and runs the one that args name.
func execute(ctx context.Context, args []string, std stdio) error {
	root := rootCommand(&settings{}, std)
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	return root.ExecuteContext(ctx)
}

func rootCommand(s *settings, std stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "trtperf",
		Short: "TensorRT-LLM performance tests, from their launch to numbers in CSVs and stores",
		Long: "trtperf launches TensorRT-LLM performance tests, reads what they leave behind (client logs, results.xml, YAML configurations),\n" +
			"writes CSVs, keeps every result in a local store and delivers from there to OpenSearch and SQL. Reading or sending anything\n" +
			"twice changes nothing.\n\n" +
			"Every flag can also be given as environment variable TRTPERF_<NAME> or in trtperf.yaml.\n\n" +
			"Exit codes: 0 done; 2 usage, configuration or an output that cannot be written; 3 no result found;\n" +
			"4 some input could not be read; 5 a test or a result is failed; 6 a delivery is still owed or refused; 8 a launch failed;\n" +
			"130 interrupted; 1 internal error. The rest is always done before a code is given.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			known := map[string]bool{}
			for _, c := range cmd.Commands() {
				known[c.Name()] = true
			}
			return usagef("unknown command %q%s; trtperf --help lists the commands", args[0], didYouMean(args[0], "", known))
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.resolve(cmd, std.getenv); err != nil {
				return err
			}
			if s.verbose {
				printOrigins(std.err, s.origin)
			}
			return nil
		},
	}
	s.addCommon(root.PersistentFlags())
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(processCommand(s, std), parseCommand(s, std), exportCommand(s, std), uploadCommand(s, std), listCommand(s, std),
		launchCommand(s, std), collectCommand(s, std), metricsCommand(s, std), versionCommand(std), doctorCommand(s, std), manCommand(std), farCommand(std))
	return root
}

// flagError turns pflag's errors into one line that says what to write.
func flagError(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		known := map[string]bool{}
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
		return usagef("%w%s; trtperf %s --help lists the flags", err, didYouMean(unknown.GetSpecifiedName(), "--", known), cmd.Name())
	}
	return usagef("%w; trtperf %s --help says what to write", err, cmd.Name())
}

func printOrigins(w io.Writer, origin map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(origin)) {
		fmt.Fprintf(w, "setting  --%s from %s\n", name, origin[name])
	}
}

// needPaths refuses a command line without inputs.
func needPaths(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("%s: name at least one file or directory, or - for standard input", strings.TrimPrefix(cmd.CommandPath(), "trtperf "))
	}
	return nil
}

func versionCommand(std stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(std.out, "trtperf", version)
			return err
		},
	}
}
