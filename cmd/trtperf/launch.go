package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/launch/local"
	"github.com/trtperf/trtperf/parse"
)

// launching is the state of one launch command.
type launching struct {
	settings *settings
	std      stdio
	report   *reporter
	request  launch.Request // what all tests have in common
	dryRun   bool
}

func launchCommand(s *settings, std stdio) *cobra.Command {
	l := &launching{settings: s, std: std}
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
			l.report = newReporter(s, std)
			return l.run(cmd.Context(), args[0])
		},
	}
	s.addMode(c.Flags())
	s.addConfigDir(c.Flags())
	c.Flags().StringVar(&l.request.Tree, "tree", ".", "TensorRT-LLM checkout")
	c.Flags().StringVar(&l.request.Workspace, "workspace", "", "directory of the run (default trtperf-runs/<time>-<id>)")
	c.Flags().BoolVar(&l.dryRun, "dry-run", false, "print what would be done, and do nothing")
	return c
}

// run launches what the target means.
func (l *launching) run(ctx context.Context, target string) error {
	r := &l.request
	r.Module, r.Function, r.Prefix = l.std.getenv("PERF_TEST_MODULE"), l.std.getenv("PERF_TEST_FUNCTION"), l.std.getenv("PERF_TEST_PREFIX")
	r.ConfigDir = l.settings.configDir
	if l.settings.mode != "" {
		mode, err := parse.ParseMode(l.settings.mode)
		if err != nil {
			return usagef("--mode: %w", err)
		}
		r.Mode = mode
	}
	r.RunID = time.Now().UTC().Format("20060102T150405Z") + fmt.Sprintf("-%d", os.Getpid())
	if r.Workspace == "" {
		r.Workspace = filepath.Join("trtperf-runs", r.RunID)
	}
	targets := []string{target}
	if !strings.Contains(target, "::") {
		switch text, err := os.ReadFile(target); {
		case err == nil:
			if targets, err = launch.ReadList(target, text); err != nil {
				return usagef("launch: %w", err)
			}
		case !errors.Is(err, fs.ErrNotExist):
			return usagef("launch: %w", err)
		}
	}
	workspace := r.Workspace
	var failed []error
	for i, target := range targets {
		request := l.request
		request.Target = target
		if len(targets) > 1 {
			request.Workspace = filepath.Join(workspace, fmt.Sprintf("%02d_%s", i, slug(target)))
			request.RunID += fmt.Sprintf("-%d", i)
		}
		if err := l.one(ctx, request); err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return joined(failed)
}

// joined is the worst of several errors, with the texts of all.
func joined(failed []error) error {
	if len(failed) < 2 {
		return errors.Join(failed...)
	}
	var codes []int
	for _, err := range failed {
		if e, ok := errors.AsType[*codeError](err); ok {
			codes = append(codes, e.code)
		}
	}
	return &codeError{worst(codes), errors.Join(failed...)}
}

var unsafeInNames = regexp.MustCompile(`[^\w.,=+-]+`)

// slug makes a directory's name of what stands between a node id's brackets.
func slug(target string) string {
	id, err := parse.ParseTestID(target)
	if err != nil {
		id.ID = target
	}
	name := unsafeInNames.ReplaceAllString(id.ID, "_")
	return name[:min(len(name), 100)]
}

// one launches one test.
func (l *launching) one(ctx context.Context, request launch.Request) error {
	spec, err := request.Resolve()
	if err != nil {
		return usagef("launch: %w", err)
	}
	plan, err := launch.New(spec)
	if err != nil {
		return usagef("launch: %w", err)
	}
	l.show(plan)
	if l.dryRun {
		return l.report.err
	}
	if err := plan.Write(); err != nil {
		return usagef("launch: %w", err)
	}
	outcome, err := local.Run(ctx, plan, local.Options{Output: l.std.err, Notify: l.event, Environ: os.Environ()})
	if err == nil {
		err = plan.Verdict(outcome)
	}
	l.report.say("run       %s: trtperf process takes it", plan.Workspace)
	switch {
	case errors.Is(err, launch.ErrTestFailed):
		return &codeError{exitFailed, fmt.Errorf("launch: %w: %s says which", err, plan.Path(plan.Benchmark().JUnit))}
	case err != nil && ctx.Err() == nil:
		return &codeError{exitLaunch, fmt.Errorf("launch: %w", err)}
	}
	return err
}

// show prints a plan for people.
func (l *launching) show(plan *launch.Plan) {
	if plan.Announcement != "" {
		l.report.say("%s", strings.TrimSuffix(plan.Announcement, "\n"))
	}
	for _, remark := range plan.Remarks {
		l.report.warn("%s", remark)
	}
	l.report.say("directory %s", plan.Dir)
	for _, s := range plan.Steps {
		l.report.say("%-9s %q", strings.ToLower(string(s.Role)), s.Argv)
	}
	if l.dryRun {
		for _, f := range plan.Files {
			l.report.say("file      %s\n%s", plan.Path(f.Path), f.Content)
		}
	}
}

type stepEvent struct {
	Kind string `json:"kind"`
	launch.Event
}

// event tells what happens while a plan is carried out.
func (l *launching) event(e launch.Event) {
	l.report.event(stepEvent{"step", e})
	l.report.say("%-9s %s %s", strings.ToLower(e.Name), e.State, e.Message)
}
