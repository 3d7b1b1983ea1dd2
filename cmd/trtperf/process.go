package main

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trtperf/trtperf/export"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload/sqlite"
)

func processCommand(s *settings, std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "process PATH…",
		Short: "Read results, write CSVs, commit to the local store and deliver to every --to",
		Long: "Read run directories, benchmark logs, results.xml files, metric-row CSVs and archives of these; write the CSVs;\n" +
			"commit every result to the local store; deliver from there to every --to. What cannot be done is named, the rest\n" +
			"is done, and the exit code says it. Inputs that the local store knows and that have not changed are not read again.",
		Args: needPaths,
		RunE: func(cmd *cobra.Command, args []string) error {
			return processPaths(cmd.Context(), s, std, args, launched{})
		},
	}
	s.addReading(c.Flags())
	s.addOutput(c.Flags())
	s.addFailed(c.Flags())
	s.addStore(c.Flags())
	s.addReread(c.Flags())
	s.addTargets(c.Flags())
	return c
}

// launched is what a launch knows of the runs that are processed after it.
type launched struct {
	conditions []int
	// notes stand in the summary: what became of tests that no result tells of.
	notes []string
}

// processPaths reads the inputs, writes the CSVs, commits and delivers.
func processPaths(ctx context.Context, s *settings, std stdio, paths []string, before launched) error {
	p, err := newPipeline(s, std)
	if err != nil {
		return err
	}
	layouts, err := export.ParseLayouts(s.layout)
	if err != nil {
		return usagef("--layout: %w", err)
	}
	d, err := s.dispatch(std)
	if err != nil {
		return err
	}
	p.kept, p.targets = newKept(keptInMemory), d.targets
	defer p.kept.close()
	p.kept.limitMemory(processSoftLimit)
	for _, code := range before.conditions {
		p.condition(code)
	}
	for _, note := range before.notes {
		p.report.summary.note("%s", note)
	}
	return p.withStore(ctx, func(ctx context.Context, db *sqlite.DB) error {
		if err := p.read(ctx, paths); err != nil {
			return err
		}
		p.export(layouts)
		if p.storeFailed {
			if len(d.targets) > 0 {
				p.report.warn("nothing was delivered, since that is done from the local store: run again when it can be written")
			}
			return nil
		}
		p.report.say("stored   %d results in %s", p.kept.set.Len(), s.database())
		p.kept.limitMemory(uploadSoftLimit)
		return p.deliver(ctx, db, d)
	})
}

// withStore opens the local store, runs f with it and finishes the command. A command that keeps its Results, for the CSVs, goes on without a
// store that cannot be had.
func (p *pipeline) withStore(ctx context.Context, f func(context.Context, *sqlite.DB) error) error {
	db, err := sqlite.Open(ctx, p.settings.database(), sqlite.Wait(p.settings.dbWait))
	if err != nil && p.kept != nil && ctx.Err() == nil {
		p.withoutStore(err)
		return p.finish(ctx, f(ctx, nil))
	}
	if err != nil {
		return p.finish(ctx, &codeError{exitUsage, err})
	}
	p.store = localStore{db, p}
	if !p.settings.reread {
		p.reading.Memory, p.reading.Version = db, version
	}
	err = f(ctx, db)
	return p.finish(ctx, errors.Join(err, db.Close()))
}

// withoutStore goes on with a store in memory, which knows the Results so far.
func (p *pipeline) withoutStore(err error) {
	p.storeFailed = true
	p.condition(exitUsage)
	p.report.diagnostic(parse.Diagnostic{Severity: parse.Error, Code: "store", File: p.settings.database(),
		Message: err.Error() + "; the CSVs are written all the same"})
	known := &memory{known: map[identity]*parse.Result{}}
	err = p.kept.each(func(r *parse.Result) error {
		known.known[identityOf(r.ID)] = r
		return nil
	})
	if err != nil { // then the CSVs cannot be written either
		p.report.diagnostic(parse.Diagnostic{Severity: parse.Error, Code: "output", Message: err.Error()})
	}
	p.store = known
}

// localStore is the pipeline's store in an SQLite file.
type localStore struct {
	db *sqlite.DB
	p  *pipeline
}

func (l localStore) commit(ctx context.Context, results []*parse.Result, readings []parse.Reading) ([]commit, error) {
	if len(results)+len(readings) == 0 {
		return nil, nil
	}
	owing := sqlite.Owing{Withhold: l.p.withhold}
	for _, t := range l.p.targets {
		owing.Targets = append(owing.Targets, t.String())
	}
	committed, err := l.db.CommitOwing(ctx, owing, results, readings...)
	if err != nil && l.p.kept != nil && ctx.Err() == nil {
		l.p.withoutStore(err)
		return l.p.store.commit(ctx, results, readings)
	}
	if err != nil {
		return nil, &codeError{exitUsage, err}
	}
	commits := make([]commit, len(committed))
	for i, c := range committed {
		commits[i] = commit{merged: c.Result, key: identityOf(c.Result.ID), known: c.Known}
		if !c.Disagrees.IsZero() {
			commits[i].disagrees = &committed[i].Disagrees
		}
	}
	return commits, nil
}

// export writes the CSVs of the command's Results. A file that cannot be written is told of and makes the exit code, nothing more.
func (p *pipeline) export(layouts []export.Layout) {
	s := p.settings
	report, err := p.kept.set.Write(s.outputDir, export.Options{Table: p.reading.Table, Layouts: layouts, IncludeFailed: s.includeFailed,
		PerTest: s.perTest}, p.kept.get)
	for _, d := range report.Diagnostics {
		p.report.diagnostic(d)
	}
	for _, f := range report.Files {
		remark := ""
		switch f.Layout {
		case export.Guide:
			remark = "; for people: trt_perf_parser.py skips every row of it"
		case export.MetricRows:
			remark = "; this is the one that trt_perf_parser.py reads"
		}
		p.report.say("wrote    %s (%d results)%s", f.Path, f.Results, remark)
	}
	if err != nil {
		p.condition(exitUsage)
		p.report.diagnostic(parse.Diagnostic{Severity: parse.Error, Code: "output", File: filepath.Clean(s.outputDir), Message: err.Error()})
	}
}

func exportCommand(s *settings, std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "export PATH…",
		Short: "Read results and write CSVs; or write them from a store with --from",
		Long: "Read run directories, benchmark logs and results.xml files and write the CSVs. With --from DB, write them from\n" +
			"the results of a store. No store is written.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (s.from == "") == (len(args) == 0) {
				return usagef("export: name either files and directories, or a store with --from DB")
			}
			layouts, err := export.ParseLayouts(s.layout)
			if err != nil {
				return usagef("--layout: %w", err)
			}
			p, err := newPipeline(s, std)
			if err != nil {
				return err
			}
			p.kept = newKept(keptInMemory)
			if s.from == "" {
				p.kept.most = math.MaxInt // the store of this command is in memory anyway
			}
			defer p.kept.close()
			p.store = &memory{}
			ctx := cmd.Context()
			if s.from != "" {
				err = p.readStore(ctx, s.from)
			} else {
				err = p.read(ctx, args)
			}
			if err == nil {
				p.export(layouts)
			}
			return p.finish(ctx, err)
		},
	}
	s.addReading(c.Flags())
	s.addOutput(c.Flags())
	s.addFailed(c.Flags())
	s.addFrom(c.Flags())
	return c
}

// readStore takes the Results of a store.
func (p *pipeline) readStore(ctx context.Context, path string) error {
	db, err := sqlite.OpenExisting(ctx, path, sqlite.Wait(p.settings.dbWait))
	if err != nil {
		return &codeError{exitUsage, err}
	}
	err = db.Results(ctx, sqlite.Filter{}, func(r *parse.Result) error {
		p.ledger.Results.Blocks++
		p.report.result(r)
		p.note(identityOf(r.ID), r)
		return nil
	})
	if p.kept.set.Len() == 0 {
		p.condition(exitNothing)
	}
	if p.ledger.Results.Failed > 0 {
		p.condition(exitFailed)
	}
	return errors.Join(err, db.Close())
}

func listCommand(s *settings, std stdio) *cobra.Command {
	var f sqlite.Filter
	var status string
	var after, before sinceFlag
	c := &cobra.Command{
		Use:   "list",
		Short: "Print the results of a local store",
		Long: "Print the results of a local store that pass every filter. --label takes NAME=VALUE, whatever the letter case of the value; the names are\n" +
			strings.Join(sqlite.Labels(), ", ") + ".\n" +
			"The time of a result is the end of its measurement, else its start, else when the store first had it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch f.Status = parse.Status(status); f.Status {
			case "", parse.Valid, parse.Failed:
			default:
				return usagef("--only: write %s or %s", parse.Valid, parse.Failed)
			}
			for name := range f.Labels {
				if !slices.Contains(sqlite.Labels(), name) {
					return usagef("--label: unknown name %q: write one of %s", name, strings.Join(sqlite.Labels(), ", "))
				}
			}
			f.After, f.Before = after.Time, before.Time
			db, err := sqlite.OpenExisting(cmd.Context(), s.database(), sqlite.Wait(s.dbWait))
			if err != nil {
				return &codeError{exitUsage, err}
			}
			report := newReporter(s, std)
			n := 0
			err = db.Results(cmd.Context(), f, func(r *parse.Result) error {
				n++
				report.result(r)
				return nil
			})
			report.results()
			report.say("%d results", n)
			return errors.Join(err, db.Close(), report.err)
		},
	}
	s.addStore(c.Flags())
	s.addOutputDir(c.Flags())
	c.Flags().StringVar(&f.Test, "test", "", "only tests whose id contains this")
	c.Flags().StringVar(&f.ID, "id", "", "only results whose identity begins so")
	c.Flags().StringVar(&status, "only", "", "valid or failed: only results of that status")
	c.Flags().StringToStringVar(&f.Labels, "label", nil, "only results with this NAME=VALUE, such as precision=fp4; repeatable")
	c.Flags().Var(&after, "after", "only results from a time on, a day, or so long ago (36h)")
	c.Flags().Var(&before, "before", "only results before a time, a day, or so long ago (36h)")
	return c
}
