package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/custom"
	runs "github.com/trtperf/trtperf/parse/run"
	"github.com/trtperf/trtperf/upload"
)

// commit is what became of one Result in the store.
type commit struct {
	// merged is the Result with all that the store knows of it.
	merged *parse.Result
	// key is its identity.
	key identity
	// known is where the store knew the Result from already; nil for a new one and for the same place read again.
	known *parse.Source
	// disagrees is the test that the store has for it, where this reading names another one; else nil.
	disagrees *parse.TestID
}

// store keeps Results and knows which it has already.
type store interface {
	// commit also remembers the readings that the Results come from, and others.
	commit(ctx context.Context, results []*parse.Result, readings []parse.Reading) ([]commit, error)
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
	// forgets says that nobody needs a Result once it was told.
	forgets    bool
	ledger     parse.Ledger
	found      int
	conditions []int
	// seen are the identities of this command's Results.
	seen map[identity]bool // whether it is valid
	// kept are the Results, for commands that need them once more when all have been read; else nil.
	kept *kept
	// targets are where Results are owed to as they are committed.
	targets []upload.Target
	// storeFailed says that the local store could not be opened or written, and that the command goes on without.
	storeFailed bool
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
	return &pipeline{settings: s, std: std, report: report, reading: reading, seen: map[identity]bool{},
		owing: map[string]int{}, ledger: parse.Ledger{Targets: map[string]parse.Tally{}}}, nil
}

func (p *pipeline) condition(code int) {
	if !slices.Contains(p.conditions, code) {
		p.conditions = append(p.conditions, code)
	}
}

// read reads the inputs, commits the Results of each run and tells what it finds.
func (p *pipeline) read(ctx context.Context, paths []string) error {
	if !p.settings.quiet {
		progress := newProgress(ctx, p.std.err, isTerminal(p.std.err), paths)
		defer progress.stop()
		p.reading.Bytes, p.report.progress = &progress.bytes, progress
		defer func() { p.report.progress = nil }()
	}
	// A transaction is written to the disk, so the runs that come in a short time share one.
	const (
		mostRuns = 256
		longest  = 200 * time.Millisecond
	)
	mostResults := 64
	if _, synced := p.store.(localStore); synced {
		mostResults = 512
	}
	var waiting []*runs.Run
	results, since := 0, time.Now()
	for r := range runs.Read(ctx, paths, p.reading) {
		if len(waiting) == 0 {
			since = time.Now()
		}
		waiting, results = append(waiting, r), results+len(r.Results)
		if results < mostResults && len(waiting) < mostRuns && time.Since(since) < longest {
			continue
		}
		if err := p.take(ctx, waiting); err != nil {
			return err
		}
		waiting, results = nil, 0
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.take(ctx, waiting); err != nil {
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

// take commits the Results of runs and tells what they hold.
func (p *pipeline) take(ctx context.Context, all []*runs.Run) error {
	var results []*parse.Result
	var readings []parse.Reading
	for _, r := range all {
		results = append(results, r.Results...)
		if r.Reading != nil {
			readings = append(readings, *r.Reading)
		}
	}
	commits, err := p.store.commit(ctx, results, readings)
	if err != nil {
		return err
	}
	for _, r := range all {
		n := len(r.Results)
		p.tell(r, commits[:n])
		commits = commits[n:]
		if p.forgets {
			r.Recycle()
		}
	}
	return nil
}

// tell tells what a run holds and counts it.
func (p *pipeline) tell(r *runs.Run, commits []commit) {
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
	if progress := p.report.progress; progress != nil {
		progress.files.Add(int64(r.Found))
		progress.found.Add(int64(len(r.Results)))
	}
	p.ledger.Inputs.Read += r.Inputs.Read
	p.ledger.Inputs.Skipped += r.Inputs.Skipped
	p.ledger.Inputs.Failed += r.Inputs.Failed
	p.ledger.Inputs.OtherShards += r.Inputs.OtherShards
	p.ledger.Inputs.Unchanged += r.Recalled
	p.ledger.Results.Blocks += r.Blocks
	p.ledger.Results.Stray += r.Stray
	for i, c := range commits {
		read := r.Results[i]
		id := c.merged.ID
		if c.known != nil {
			p.report.duplicate(id, read.Source, *c.known)
		}
		if c.disagrees != nil {
			p.report.diagnostic(parse.Diagnostic{Severity: parse.Warning, Code: copiesDisagree, File: read.Source.File, Line: read.Source.Line,
				Message: fmt.Sprintf("the result %s is known from test %s and names %s here; the first one stays", id[:12], c.disagrees, read.TestID)})
		}
		p.ledger.Results.Duplicate += len(read.AlsoIn)
		if before, again := p.seen[c.key]; again {
			p.ledger.Results.Duplicate++
			p.tally(before, -1)
			if before != c.merged.Valid() {
				p.report.result(c.merged)
			}
		} else {
			p.report.result(c.merged)
			if c.known != nil {
				p.ledger.Results.Known++
			}
		}
		p.note(c.key, c.merged)
	}
}

// note counts a Result and keeps it, if it is to be kept.
func (p *pipeline) note(key identity, r *parse.Result) {
	p.seen[key] = r.Valid()
	p.tally(r.Valid(), 1)
	if p.kept != nil {
		p.kept.put(r)
	}
}

// identity is the beginning of a Result's identity, long enough to be unique.
type identity [16]byte

func identityOf(id string) identity {
	var key identity
	if len(id) >= 2*len(key) {
		if _, err := hex.Decode(key[:], []byte(id[:2*len(key)])); err != nil {
			return identity{}
		}
	}
	return key
}

// tally counts a Result as valid or failed, or takes the count back.
func (p *pipeline) tally(valid bool, n int) {
	if valid {
		p.ledger.Results.Valid += n
	} else {
		p.ledger.Results.Failed += n
	}
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
	if failed := p.report.summary.write(&p.ledger); failed != nil {
		p.report.diagnostic(parse.Diagnostic{Severity: parse.Error, Code: "output", File: p.settings.summary, Message: failed.Error()})
		p.condition(exitUsage)
		slices.Sort(p.conditions)
		p.ledger.Conditions, p.ledger.Exit = append([]int{}, p.conditions...), worst(p.conditions)
	}
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
	// light keeps only what is needed to tell a copy and to merge a status, for commands that need a Result no more once it is printed.
	light bool
	known map[identity]*parse.Result
	// first are, of light stores, the first places of valid Results.
	first map[identity]firstPlace
}

// firstPlace is where a Result was found first and its test, as small as can be: the Results of one file share its name.
type firstPlace struct {
	file  *string
	block int
	test  string
}

// result is what a light store knows of it.
func (f firstPlace) result(id string) *parse.Result {
	r := &parse.Result{ID: id, Status: parse.Valid, Source: parse.Source{File: *f.file, Block: f.block}}
	if f.test != "" {
		r.TestID, _ = parse.ParseTestID(f.test) // it was one when it was noted
	}
	return r
}

func (m *memory) commit(_ context.Context, results []*parse.Result, _ []parse.Reading) ([]commit, error) {
	if m.known == nil {
		m.known, m.first = map[identity]*parse.Result{}, map[identity]firstPlace{}
	}
	commits := make([]commit, len(results))
	var file *string
	for i, read := range results {
		c := &commits[i]
		key := identityOf(read.ID)
		c.merged, c.key = read, key
		old := m.known[key]
		first, ok := m.first[key]
		if ok && old == nil && read.Valid() && (first.test == "" || read.TestID.IsZero() || first.test == read.TestID.String()) {
			// Of two valid readings a light store keeps the first one's place alone.
			c.known = &parse.Source{File: *first.file, Block: first.block}
			continue
		}
		if ok && old == nil {
			old = first.result(read.ID)
		}
		if old != nil {
			c.known = &old.Source
			if !old.TestID.IsZero() && !read.TestID.IsZero() && !old.TestID.SameTest(read.TestID) {
				c.merged, c.disagrees = old, &old.TestID
				continue
			}
			if !m.light || !old.Valid() || !read.Valid() {
				c.merged = parse.Merge(old, read)
			} else if ok {
				continue
			}
		}
		if m.light && c.merged.Valid() {
			if name := c.merged.Source.File; file == nil || *file != name {
				file = &name
			}
			m.first[key] = firstPlace{file, c.merged.Source.Block, c.merged.TestID.String()}
			delete(m.known, key)
			continue
		}
		kept := *c.merged
		if m.light {
			kept.Rows, kept.Metrics, kept.AlsoIn = nil, nil, nil
		}
		m.known[key] = &kept
	}
	return commits, nil
}
