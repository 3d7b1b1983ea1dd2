package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/parse"
)

func launchCommand(s *settings, std stdio) *cobra.Command {
	var dryRun bool
	var tree, workspace string
	c := &cobra.Command{
		Use:   "launch TARGET",
		Short: "Run a performance test on this machine and wait for it",
		Long: "TARGET is a pytest node id, the name of a configuration (with --mode), or a test-list file with a node id a line. Module,\n" +
			"function and prefix of the node id come from PERF_TEST_MODULE, PERF_TEST_FUNCTION and PERF_TEST_PREFIX; empty means the\n" +
			"default. The test list and results.xml are written into the workspace, which must be new; trtperf process takes it then.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("launch: name one node id, configuration or test-list file")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			request := launch.Request{Target: args[0], Module: std.getenv("PERF_TEST_MODULE"), Function: std.getenv("PERF_TEST_FUNCTION"),
				Prefix: std.getenv("PERF_TEST_PREFIX"), Mode: parse.Mode(s.mode), Tree: tree, Workspace: workspace}
			if s.mode != "" {
				if _, err := parse.ParseMode(s.mode); err != nil {
					return usagef("--mode: %w", err)
				}
			}
			if request.Workspace == "" {
				request.Workspace = filepath.Join("trtperf-runs", time.Now().UTC().Format("20060102T150405Z")+fmt.Sprintf("-%d", os.Getpid()))
			}
			var err error
			if request.Workspace, err = filepath.Abs(request.Workspace); err != nil {
				return err
			}
			if !strings.Contains(request.Target, "::") {
				switch request.List, err = os.ReadFile(request.Target); {
				case err == nil && request.List == nil:
					request.List = []byte{}
				case err != nil && !errors.Is(err, fs.ErrNotExist):
					return usagef("launch: %w", err)
				}
			}
			plan, err := launch.NewPlan(request, func(module string) bool {
				_, err := os.Stat(filepath.Join(tree, "tests", "integration", "defs", filepath.FromSlash(module)))
				return err == nil
			})
			if err != nil {
				return usagef("launch: %w", err)
			}
			report := newReporter(s, std)
			if text := plan.Announcement(); text != "" {
				report.say("%s", strings.TrimSuffix(text, "\n"))
			}
			for _, remark := range plan.Remarks {
				report.warn("%s", remark)
			}
			report.say("directory %s\ncommand   %q", plan.Dir, plan.Argv)
			if dryRun {
				for _, f := range plan.Files {
					report.say("file      %s\n%s", filepath.Join(plan.Workspace, f.Name), f.Content)
				}
				return report.err
			}
			if err := plan.Write(); err != nil {
				return usagef("launch: %w", err)
			}
			err = plan.RunLocal(cmd.Context(), std.err)
			report.say("run       %s: trtperf process takes it", plan.Workspace)
			switch {
			case errors.Is(err, launch.ErrTestFailed):
				return &codeError{exitFailed, fmt.Errorf("launch: %w: %s says which", err, plan.Results)}
			case err != nil && cmd.Context().Err() == nil:
				return &codeError{exitLaunch, fmt.Errorf("launch: %w", err)}
			}
			return err
		},
	}
	s.addMode(c.Flags())
	c.Flags().StringVar(&tree, "tree", ".", "TensorRT-LLM checkout")
	c.Flags().StringVar(&workspace, "workspace", "", "directory of the run (default trtperf-runs/<time>-<id>)")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be done, and do nothing")
	return c
}
