package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/custom"
	runs "github.com/trtperf/trtperf/parse/run"
)

// commit is what became of one Result in the store.
type commit struct {
	// merged is the Result with all that the store knows of it.
	merged *parse.Result
	// known is where the store knew the Result from already; nil for a new one and for the same place read again.
	known *parse.Source
	// disagrees is the test that the store has for it, where this reading names another one.
	disagrees parse.TestID
}

// store keeps Results and knows which it has already.
type store interface {
	commit(ctx context.Context, results []*parse.Result) ([]commit, error)
}

// pipeline is one command's way from inputs to the ledger.
type pipeline struct {
	settings *settings
	std      stdio
	report   *reporter
	reading  runs.Options
	store    store

	// outboxOnly says that the command reads no inputs.
	outboxOnly bool
	ledger     parse.Ledger
	found      int
	conditions []int
	// results are the distinct Results of this command, merged; kept only where keep is set.
	keep    bool
	results map[string]*parse.Result
	order   []string
	// owing is the number of Results that each target was to be asked about.
	owing map[string]int
}

func newPipeline(s *settings, std stdio) (*pipeline, error) {
	reading, err := s.reading(std)
	if err != nil {
		return nil, err
	}
	report := newReporter(s, std)
	for _, name := range custom.Slow(slices.Collect(own(reading.Table))) {
		report.diagnostic(parse.Diagnostic{Severity: parse.Warning, Code: slowMetric, File: s.metrics,
			Message: fmt.Sprintf("the expression of %s holds no text of four letters that every hit has, so every line of every log is tried", name)})
	}
	return &pipeline{settings: s, std: std, report: report, reading: reading, results: map[string]*parse.Result{},
		owing: map[string]int{}, ledger: parse.Ledger{Targets: map[string]parse.Tally{}}}, nil
}

func (p *pipeline) condition(code int) {
	if !slices.Contains(p.conditions, code) {
		p.conditions = append(p.conditions, code)
	}
}

// read reads the inputs, commits the Results of each run and tells what it finds.
func (p *pipeline) read(ctx context.Context, paths []string) error {
	for r := range runs.Read(ctx, paths, p.reading) {
		for _, x := range r.Skipped {
			p.report.skipped(x)
		}
		for _, d := range r.Diagnostics {
			p.report.diagnostic(d)
		}
		for _, t := range r.FailedTests {
			p.failedTest(t)
		}
		p.found += r.Found
		p.ledger.Inputs.Read += r.Inputs.Read
		p.ledger.Inputs.Skipped += r.Inputs.Skipped
		p.ledger.Inputs.Failed += r.Inputs.Failed
		p.ledger.Inputs.OtherShards += r.Inputs.OtherShards
		p.ledger.Results.Blocks += r.Blocks
		p.ledger.Results.Stray += r.Stray
		if err := p.take(ctx, r.Results); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.ledger.Inputs.Failed > 0 {
		p.condition(exitUnread)
	}
	if p.ledger.Tests.Failed > 0 || p.ledger.Results.Failed > 0 {
		p.condition(exitFailed)
	}
	if p.ledger.Tests.Failed == 0 && p.ledger.Results.Valid+p.ledger.Results.Failed == 0 {
		p.condition(exitNothing)
	}
	return nil
}

func (p *pipeline) failedTest(t runs.FailedTest) {
	p.ledger.Tests.Failed++
	for _, reason := range t.Reasons {
		test := cmp.Or(t.TestID.String(), t.Place)
		p.report.diagnostic(parse.Diagnostic{Severity: parse.Error, Code: runs.TestFailed, File: t.Place,
			Message: fmt.Sprintf("test %s: %s: %s", test, reason.Code, reason.Message)})
	}
}

// take commits the Results of a run and counts them.
func (p *pipeline) take(ctx context.Context, results []*parse.Result) error {
	if len(results) == 0 {
		return nil
	}
	commits, err := p.store.commit(ctx, results)
	if err != nil {
		return err
	}
	for i, c := range commits {
		read := results[i]
		id := c.merged.ID
		if c.known != nil {
			p.report.duplicate(id, read.Source, *c.known)
		}
		if !c.disagrees.IsZero() {
			p.report.diagnostic(parse.Diagnostic{Severity: parse.Warning, Code: copiesDisagree, File: read.Source.File, Line: read.Source.Line,
				Message: fmt.Sprintf("the result %s is known from test %s and names %s here; the first one stays", id[:12], c.disagrees, read.TestID)})
		}
		p.ledger.Results.Duplicate += len(read.AlsoIn)
		if before, again := p.results[id]; again {
			p.ledger.Results.Duplicate++
			p.tally(before, -1)
			if before.Status != c.merged.Status {
				p.report.result(c.merged)
			}
		} else {
			p.order = append(p.order, id)
			p.report.result(c.merged)
			if c.known != nil {
				p.ledger.Results.Known++
			}
		}
		p.tally(c.merged, 1)
		kept := c.merged
		if !p.keep {
			kept = &parse.Result{ID: id, Status: kept.Status}
		}
		p.results[id] = kept
	}
	return nil
}

// tally counts a Result by its status, or takes the count back.
func (p *pipeline) tally(r *parse.Result, n int) {
	if r.Valid() {
		p.ledger.Results.Valid += n
	} else {
		p.ledger.Results.Failed += n
	}
}

// kept returns the distinct Results in the order in which they were found.
func (p *pipeline) kept() []*parse.Result {
	all := make([]*parse.Result, len(p.order))
	for i, id := range p.order {
		all[i] = p.results[id]
	}
	return all
}

// finish prints the ledger and returns the command's exit code as an error. Err is what ended the command early.
func (p *pipeline) finish(ctx context.Context, err error) error {
	balance := p.ledger.Balance(p.found, p.owing)
	switch {
	case ctx.Err() != nil:
		p.condition(exitInterrupted)
		err = nil
		p.report.say("interrupted: what was committed is kept; run the same command again to go on")
	case err != nil:
		p.condition(exitCode(ctx, err))
	case balance != nil:
		p.condition(exitInternal)
		err = balance
	}
	slices.Sort(p.conditions)
	p.ledger.Conditions = append([]int{}, p.conditions...)
	p.ledger.Exit = worst(p.conditions)
	p.report.results()
	p.report.ledger(&p.ledger, !p.outboxOnly)
	if err == nil {
		err = p.report.err
		if err != nil {
			p.ledger.Exit = exitInternal
		}
	}
	if p.ledger.Exit == exitOK && err == nil {
		return nil
	}
	return &codeError{p.ledger.Exit, err}
}

// Codes of diagnostics.
const (
	copiesDisagree = "copies-disagree"
	slowMetric     = "slow-metric"
)

// memory is the store of commands that keep none: it knows the Results of this command alone.
type memory struct {
	// light keeps only what is needed to merge a status, for commands that need a Result no more once it is printed.
	light bool
	known map[string]*parse.Result
}

func (m *memory) commit(_ context.Context, results []*parse.Result) ([]commit, error) {
	if m.known == nil {
		m.known = map[string]*parse.Result{}
	}
	commits := make([]commit, len(results))
	for i, read := range results {
		c := &commits[i]
		c.merged = read
		if old := m.known[read.ID]; old != nil {
			c.known = &old.Source
			if !old.TestID.IsZero() && !read.TestID.IsZero() && !old.TestID.SameTest(read.TestID) {
				c.merged, c.disagrees = old, old.TestID
				continue
			}
			c.merged = parse.Merge(old, read)
		}
		kept := *c.merged
		if m.light {
			kept.Rows, kept.Metrics, kept.AlsoIn = nil, nil, nil
		}
		m.known[read.ID] = &kept
	}
	return commits, nil
}
