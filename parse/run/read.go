package run

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trtperf/trtperf/parse"
)

// reader reads one group into one Run.
type reader struct {
	*Run
	ctx   context.Context
	opt   *Options
	group *group
	cases []*testCase
	// unfinished are the ids that pytest had not finished, with the file that says so.
	unfinished map[string]string
	systems    []systemFacts
	// configs are the configuration files that a test used, so that they are counted once.
	configs map[string]bool
	// unknown are the files and labels for which a diagnostic says that the metric table lacks them.
	unknown map[[2]string]bool
	// model is the last model that a client's options named, with its precision.
	model struct{ name, precision string }
	// beside are the paths outside the group on which its Results depend.
	beside []string
}

func newReader(ctx context.Context, g *group, opt *Options) *reader {
	return &reader{Run: &Run{}, ctx: ctx, opt: opt, group: g}
}

// read reads the group.
func (r *reader) read() {
	g, opt := r.group, r.opt
	if !opt.Filter.recent(g) {
		for f := range g.all() {
			r.skip(f.Path, f.role, "left out: nothing of its run was changed since "+opt.Filter.Since.Format(time.RFC3339))
		}
		return
	}
	for f := range g.all() {
		if f.excluded != "" { // then it is the only one
			r.skip(f.Path, f.role, f.excluded)
			return
		}
	}
	for f := range g.all() {
		switch f.kind {
		case junitFile:
			r.readJUnit(f)
		case unfinished:
			if !f.inTest {
				r.readUnfinished(f)
			}
		case systemFile, monitorFile:
			r.readSystem(f)
		}
	}
	for _, t := range g.tests {
		r.readTest(t)
	}
	alone := r.onlyCase()
	for f := range g.all() {
		switch {
		case f.kind == archiveFile, !f.inTest && (f.kind == unknownFile || f.kind == clientLog), f.kind == ownFile && f.Given():
			r.readLog(f, alone)
		}
	}
	r.readCases()
	r.readJobLogs(alone)
	r.readSaved()
	r.skipRest()
}

// content returns what a file holds. The notes on it are taken over; everything else is the caller's to count.
func (r *reader) content(f *located) *content {
	c := f.content
	if c == nil {
		c = readFile(r.ctx, *f, r.opt)
		if f.kind == generatorLog || f.kind == serverLog {
			f.content = c // for all clients
		}
	}
	r.Diagnostics = append(r.Diagnostics, c.notes...)
	if c.changed {
		r.note(parse.Warning, ChangedWhile, f.Path, 0, changedMessage)
	}
	return c
}

// open returns what a file holds. Ok is false where it holds nothing or could not be read at all; then it is counted already.
func (r *reader) open(f *located) (c *content, ok bool) {
	f.taken = true
	c = r.content(f)
	switch {
	case c.skip != "":
		r.skip(f.Path, f.role, c.skip)
		return c, false
	case c.err != nil:
		r.unreadable(f.Path, c.err)
		return c, len(c.blocks) > 0 || len(c.cases) > 0
	}
	r.count()
	return c, true
}

// readLog reads a log of no known layout, which is a run of its own; or an archive, or a CSV. Its test is known where the results.xml
// around it holds one case and no other test is there.
func (r *reader) readLog(f *located, only *testCase) {
	if ext := strings.ToLower(filepath.Ext(f.name)); f.kind == unknownFile && !f.Given() && !logExtensions[ext] {
		f.taken = true
		r.skip(f.Path, "", fmt.Sprintf("%q is no log's name: give the file itself to have it read", filepath.Base(f.Path)))
		return
	}
	c, ok := r.open(f)
	switch {
	case !ok:
	case c.run != nil:
		r.Found-- // the archive counts itself
		r.Inputs.Read--
		r.merge(c.run)
	case len(c.cases) == 0 && len(c.blocks) == 0 && c.err == nil:
		r.Found--
		r.Inputs.Read--
		r.skip(f.Path, f.role, c.none)
	default:
		if only != nil || r.more != nil {
			c.rest(*f) // they are judged together, or another file has more already
		}
		r.takePart(f, c, only)
	}
}

// takePart takes what was read of a file: its blocks or cases. What is left is taken in further Runs.
func (r *reader) takePart(f *located, c *content, only *testCase) {
	if len(c.cases) > 0 {
		r.takeCases(f, c)
	} else if len(c.blocks) > 0 {
		t := test{blocks: r.counted(c), place: f.Path, dir: f.abs}
		if only != nil {
			t.id, t.module, t.function, t.cases = only.id, only.module, only.function, []*testCase{only}
			only.claimed = true
		}
		r.alone = len(r.group.tests) == 0 && len(r.group.around) == 1
		r.finish(t)
		if r.alone {
			c.recycle()
		}
	}
	if !c.hasMore() {
		if c.done != nil && c.done() {
			r.note(parse.Warning, ChangedWhile, f.Path, 0, changedMessage)
		}
		return
	}
	r.more = func() *Run {
		next := *r
		next.Run = &Run{}
		if c.next(*f); c.err != nil {
			next.Inputs.Read-- // it counts as read
			next.Found--
			next.unreadable(f.Path, c.err)
		}
		next.Diagnostics = append(next.Diagnostics, c.notes...)
		next.takePart(f, c, nil)
		return next.Run
	}
}

// counted counts the blocks of a log and returns them.
func (r *reader) counted(c *content) []block {
	r.Blocks += len(c.blocks)
	return c.blocks
}

// takeCases takes Results of a metric-row CSV.
func (r *reader) takeCases(f *located, c *content) {
	r.Blocks += len(c.cases)
	for _, x := range c.cases {
		x.Source.File = f.Path
		if x.TestID.Suite == parse.PerfSanity {
			x.TestID = bare(x.TestID)
		}
		x.Mode = cmp.Or(x.TestID.Mode(), r.opt.Mode)
		x.Labels.Precision = cmp.Or(x.Labels.Precision, precisionOf(x.TestID.Config, strings.Join(x.TestID.Servers, "-")))
		r.describe(x, &test{id: x.TestID, dir: f.abs})
		r.Results = append(r.Results, x)
	}
}

// readJobLogs reads what Slurm collected of the job, where nothing better holds the job's blocks.
func (r *reader) readJobLogs(only *testCase) {
	for f := range r.group.all() {
		if f.kind != jobLog || f.taken || f.inTest {
			continue
		}
		if len(r.Results) > 0 || len(r.group.tests) > 0 {
			f.taken = true
			r.skip(f.Path, "", "the job's output: the results were read from the clients' own logs")
			continue
		}
		r.readLog(f, only)
	}
}

// skipRest skips what nothing of the group has read, with the reason that the file's name gives.
func (r *reader) skipRest() {
	for f := range r.group.all() {
		switch {
		case f.taken, f.kind == configFile && r.configs[f.path()]:
		case f.inTest && (f.kind == unknownFile || f.kind == jobLog || f.kind == unfinished):
			r.skip(f.Path, f.role, "in a test's own directory, and no client's log")
		default:
			r.skip(f.Path, f.role, f.reason)
		}
	}
}

const changedMessage = "the file changed while it was read: read it again when the run has ended"

func absolute(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return abs
}

// sortResults orders Results as people look for them.
func sortResults(results []*parse.Result) {
	at := func(i *int) int {
		if i == nil {
			return -1
		}
		return *i
	}
	slices.SortStableFunc(results, func(a, b *parse.Result) int {
		return cmp.Or(cmp.Compare(a.TestID.String(), b.TestID.String()), cmp.Compare(at(a.Server.Index), at(b.Server.Index)),
			cmp.Compare(at(a.Client.Index), at(b.Client.Index)), cmp.Compare(a.Source.File, b.Source.File),
			cmp.Compare(a.Source.Block, b.Source.Block))
	})
}
