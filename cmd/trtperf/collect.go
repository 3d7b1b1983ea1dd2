package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtperf/trtperf/launch/collect"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/manifest"
)

// collecting is what says how a run is collected.
type collecting struct {
	// want is set where launch collects at its end.
	want    bool
	archive string
	secrets []string

	patterns []*regexp.Regexp
}

func (c *collecting) addFlags(f *pflag.FlagSet) {
	f.StringVar(&c.archive, "archive", "", "archive of the collected run: a .tar.zst, .tar.gz or .tar, or a directory (default the run's name with .tar.zst, beside it)")
	f.StringArrayVar(&c.secrets, "secret-pattern", nil, "regular expression for names of files with secrets, which are not collected; repeatable")
}

// prepare refuses what could not be collected later, before anything runs.
func (c *collecting) prepare() error {
	for _, text := range c.secrets {
		pattern, err := regexp.Compile(text)
		if err != nil {
			return usagef("--secret-pattern: %w", err)
		}
		c.patterns = append(c.patterns, pattern)
	}
	if c.archive == "" {
		return nil
	}
	if err := collect.Check(c.archive); err != nil {
		return usagef("%w", err)
	}
	return nil
}

func collectCommand(s *settings, std stdio) *cobra.Command {
	c := &collecting{}
	command := &cobra.Command{
		Use:   "collect RUN",
		Short: "Collect a run's files into an archive, by kind and without secrets",
		Long: "Collect the files of a run's directory, each once, in server_logs/, component_logs/, benchmark_logs/, results/, configs/ and\n" +
			"scripts/, with a manifest.json that says where each lay. Files with secrets are left out, and values of environment variables that\n" +
			"look like secrets are masked. trtperf parse reads the archive as it reads the run. The run itself is not changed.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("collect: name one run's directory")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			report := newReporter(s, std)
			err := c.prepare()
			if err == nil {
				err = c.collect(cmd.Context(), report, args[0])
			}
			ledger := parse.Ledger{Exit: exitCode(cmd.Context(), err), Conditions: []int{}}
			if ledger.Exit != exitOK {
				ledger.Conditions = append(ledger.Conditions, ledger.Exit)
			}
			report.event(ledgerEvent{"ledger", &ledger})
			return errors.Join(err, report.err)
		},
	}
	c.addFlags(command.Flags())
	return command
}

// collectedEvent is a file of the archive.
type collectedEvent struct {
	Kind string `json:"kind"`
	manifest.File
}

// leftEvent is a file of the run that is not in the archive.
type leftEvent struct {
	Kind string `json:"kind"`
	manifest.Left
}

// collectionEvent is an archive that was made.
type collectionEvent struct {
	Kind    string         `json:"kind"`
	Archive string         `json:"archive"`
	Files   map[string]int `json:"files"`
	Bytes   int64          `json:"bytes"`
	Left    int            `json:"left"`
	Masked  int            `json:"masked"`
}

// collect collects a run.
func (c *collecting) collect(ctx context.Context, report *reporter, dir string) error {
	archive := c.archive
	if archive == "" {
		archive = strings.TrimRight(dir, "/") + ".tar.zst"
		if base := strings.TrimRight(dir, "/"); base == "" || strings.Trim(base, "./") == "" {
			return usagef("collect: %s gives an archive no name: write --archive", dir)
		}
	}
	done := collectionEvent{Kind: "collection", Archive: archive, Files: map[string]int{}}
	maskedIn := 0
	m, err := collect.Collect(ctx, dir, archive, collect.Options{Secrets: c.patterns, Collected: func(f manifest.File) {
		folder, _, _ := strings.Cut(f.Path, "/")
		done.Files[folder]++
		done.Bytes += f.Size
		done.Masked += f.Masked
		if f.Masked > 0 {
			maskedIn++
		}
		report.event(collectedEvent{"collected", f})
		if report.verbose {
			report.say("Collected log: %s → %s", f.Source, folder)
		}
	}})
	switch {
	case ctx.Err() != nil:
		return &codeError{exitInterrupted, errors.New("collect: interrupted; no archive was made")}
	case err != nil:
		return usagef("collect: %w", err)
	}
	var unread []error
	for _, l := range m.Left {
		report.event(leftEvent{"left", l})
		if l.Failed {
			unread = append(unread, fmt.Errorf("collect: %s could not be read: %s", l.Source, l.Reason))
		} else {
			report.say("left out  %s: %s", l.Source, l.Reason)
		}
	}
	done.Left = len(m.Left)
	report.event(done)
	var counts []string
	files := 0
	for _, folder := range slices.Sorted(maps.Keys(done.Files)) {
		files += done.Files[folder]
		counts = append(counts, fmt.Sprintf("%d %s", done.Files[folder], folder))
	}
	if done.Masked > 0 {
		report.say("masked    %d secrets in %d files", done.Masked, maskedIn)
	}
	report.say("collected %d files, %s, %d left out: %s", files, humanize.IBytes(uint64(done.Bytes)), done.Left, strings.Join(counts, ", "))
	report.say("archive   %s", archive)
	if len(unread) > 0 {
		return &codeError{exitUnread, errors.Join(unread...)}
	}
	return nil
}

// after collects what a launch has left, whatever became of it, and returns the launch's error with its own.
func (c *collecting) after(ctx context.Context, report *reporter, dir string, launched error) error {
	if !c.want {
		return launched
	}
	// What an interrupted run has left is wanted too.
	err := c.collect(context.WithoutCancel(ctx), report, dir)
	return joined(slices.DeleteFunc([]error{launched, err}, func(err error) bool { return err == nil }))
}
