package run

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/benchlog"
	"github.com/trtperf/trtperf/parse/input"
)

// reader reads one group into one Run.
type reader struct {
	*Run
	ctx   context.Context
	opt   Options
	group *group
	cases []*testCase
	// unfinished are the ids that pytest had not finished, with the file that says so.
	unfinished map[string]string
	systems    []systemFacts
	// configs are the configuration files that a test used, so that they are counted once.
	configs map[string]bool
	// unknown are the files and labels for which a diagnostic says that the metric table lacks them.
	unknown map[string]bool
}

// block is a block with its place.
type block struct {
	benchlog.Block
	source parse.Source
}

// scanned is what a log held.
type scanned struct {
	blocks []block
	// none says why there is no block, where it can be named.
	none string
}

func read(ctx context.Context, g *group, opt Options) *Run {
	r := &reader{Run: &Run{}, ctx: ctx, opt: opt, group: g, unfinished: map[string]string{}, configs: map[string]bool{},
		unknown: map[string]bool{}}
	for _, f := range g.around {
		switch f.kind {
		case junitFile:
			r.readJUnit(f)
		case unfinished:
			r.readUnfinished(f)
		case systemFile, monitorFile:
			r.readSystem(f)
		}
	}
	for _, t := range g.tests {
		for _, f := range t.files {
			switch f.kind {
			case junitFile:
				r.readJUnit(f)
			case systemFile, monitorFile:
				r.readSystem(f)
			}
		}
	}
	for _, t := range g.tests {
		r.readTest(t)
	}
	var logs []located
	for _, f := range g.around {
		if f.kind == unknownFile || f.kind == clientLog {
			logs = append(logs, f)
		}
	}
	alone := r.onlyCase()
	for _, f := range logs {
		r.readLog(f, alone)
	}
	r.readCases()
	r.readJobLogs(alone)
	r.skipRest()
	return r.Run
}

// readLog reads a log of no known layout, which is a run of its own. Its test is known where the results.xml around it holds one
// case and no other test is there.
func (r *reader) readLog(f located, c *testCase) {
	if ext := strings.ToLower(filepath.Ext(f.Path)); f.kind == unknownFile && !f.Given() && !logExtensions[ext] {
		r.skip(f.Path, "", fmt.Sprintf("%q is no log's name: give the file itself to have it read", filepath.Base(f.Path)))
		return
	}
	s, ok := r.scan(f)
	if !ok {
		return
	}
	if len(s.blocks) == 0 {
		r.Found--
		r.Inputs.Read--
		r.skip(f.Path, f.role, s.none)
		return
	}
	t := test{blocks: s.blocks, place: f.Path, dir: f.abs}
	if c != nil {
		t.id, t.module, t.function, t.cases = c.id, c.module, c.function, []*testCase{c}
		c.claimed = true
	}
	r.finish(t)
}

// readJobLogs reads what Slurm collected of the job, where nothing better holds the job's blocks.
func (r *reader) readJobLogs(c *testCase) {
	for _, f := range r.group.around {
		if f.kind != jobLog {
			continue
		}
		if len(r.Results) > 0 || len(r.group.tests) > 0 {
			r.skip(f.Path, "", "the job's output: the results were read from the clients' own logs")
			continue
		}
		r.readLog(f, c)
	}
}

// skipRest skips what nothing of the group has read, with the reason that the file's name gives.
func (r *reader) skipRest() {
	rest := func(f located) {
		switch f.kind {
		case serverLog, generatorLog, noteFile, secretFile, ownFile:
			r.skip(f.Path, f.role, f.reason)
		case configFile:
			if !r.configs[absolute(f.Path)] {
				r.skip(f.Path, "", f.reason)
			}
		}
	}
	for _, t := range r.group.tests {
		for _, f := range t.files {
			if f.kind == unknownFile || f.kind == jobLog || f.kind == unfinished {
				r.skip(f.Path, f.role, "in a test's own directory, and no client's log")
				continue
			}
			rest(f)
		}
	}
	for _, f := range r.group.around {
		rest(f)
	}
}

// scan reads the blocks of a log and counts it. It is false where the file cannot be read or holds no text; then it is counted
// already.
func (r *reader) scan(f located) (scanned, bool) {
	var s scanned
	stream, err := input.Open(f.File, r.opt.Stdin)
	if errors.Is(err, input.ErrNotRegular) {
		r.skip(f.Path, f.role, input.ErrNotRegular.Error())
		return s, false
	}
	if err != nil {
		r.unreadable(f.Path, err)
		return s, false
	}
	defer stream.Close()
	text := bufio.NewReaderSize(stream, input.SniffLen)
	head, err := text.Peek(input.SniffLen)
	if err != nil && !errors.Is(err, io.EOF) {
		r.unreadable(f.Path, err)
		return s, false
	}
	if what := input.Sniff(head); what != "" && f.kind == unknownFile {
		r.skip(f.Path, f.role, "no log: "+what)
		return s, false
	}
	s, err = r.scanText(text, parse.Source{File: f.Path})
	if err != nil {
		r.unreadable(f.Path, err)
		return s, len(s.blocks) > 0
	}
	r.count()
	if stream.Changed() {
		r.note(parse.Warning, ChangedWhile, f.Path, 0, "the file changed while it was read: read it again when the run has ended")
	}
	return s, true
}

// scanText reads the blocks of a text.
func (r *reader) scanText(text io.Reader, at parse.Source) (scanned, error) {
	var s scanned
	scanner := benchlog.NewScanner(contextReader{r.ctx, text})
	first := at.Line
	for scanner.Scan() {
		b := block{Block: *scanner.Block(), source: at}
		b.source.Block = b.Number
		b.source.Line, b.source.EndLine = b.Line, b.EndLine
		if first > 0 { // the text starts inside a file
			b.source.Line += first - 1
			b.source.EndLine += first - 1
			for i := range b.Rows {
				b.Rows[i].Line += first - 1
			}
			for i := range b.Trailer {
				b.Trailer[i].Line += first - 1
			}
		}
		s.blocks = append(s.blocks, b)
		r.Blocks++
	}
	for _, n := range scanner.Notes() {
		line := n.Line
		if first > 0 && line > 0 {
			line += first - 1
		}
		r.note(parse.Warning, n.Code, at.File, line, n.Message)
	}
	s.none = scanner.Summary().Skip
	if s.none == "" {
		s.none = "no benchmark block"
	}
	return s, scanner.Err()
}

// contextReader ends a long reading when its context does.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

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
