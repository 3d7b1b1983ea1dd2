package run

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/junit"
)

// testCase is a test's entry in a results.xml.
type testCase struct {
	junit.Case
	file             located
	whole            bool // the file has no fault, so that it has no further cases
	id               parse.TestID
	module, function string
	blocks           []block
	// worker is the role that the test itself said it played, where that measures nothing.
	worker parse.Role
	// compared says that its blocks have been dealt with.
	compared bool
	// claimed says that a run's directory or a log has taken the case.
	claimed    bool
	start, end time.Time
}

// readJUnit takes the cases of a results.xml, and the blocks in their outputs.
func (r *reader) readJUnit(f *located) {
	f.taken = true
	if f.role != "" {
		r.skip(f.Path, f.role, f.reason)
		return
	}
	c := r.content(f)
	if c.skip != "" {
		r.skip(f.Path, "", c.skip)
		return
	}
	endsAt := 0
	if report := c.report; report != nil {
		endsAt = report.EndsAt
		number := 0
		for i, x := range report.Cases {
			t := &testCase{Case: x, file: *f, whole: c.err == nil && endsAt == 0, id: x.ID, blocks: report.blocks[i], worker: report.workers[i]}
			t.module, t.function = x.ID.Module, x.ID.Function
			if t.module == "" {
				t.module = x.File
			}
			if t.id.Suite == parse.PerfSanity {
				t.id = bare(t.id)
			}
			for i := range t.blocks {
				number++
				t.blocks[i].source.Block = number
			}
			r.Blocks += len(t.blocks)
			if len(report.Cases) == 1 && !report.Started.IsZero() {
				t.start = report.Started.UTC()
				if x.Seconds != nil {
					t.end = t.start.Add(time.Duration(*x.Seconds * float64(time.Second)))
				}
			}
			r.cases = append(r.cases, t)
		}
		for _, n := range report.Notes {
			r.note(parse.Warning, n.Code, f.Path, n.Line, n.Message)
		}
		for _, b := range report.blocks[-1] {
			r.Blocks++
			r.Stray++
			r.note(parse.Warning, StrayBlock, f.Path, b.source.Line, "a block in a suite's own output belongs to no test")
		}
	}
	switch {
	case c.err != nil:
		r.Found++
		r.Inputs.Failed++
		r.note(parse.Error, BadXML, f.Path, 0, pathless(f.Path, c.err)+": the cases before that place were read")
	case endsAt > 0:
		r.Found++
		r.Inputs.Failed++
		r.note(parse.Error, BadXML, f.Path, endsAt, "the file ends inside its XML: the cases before that place were read")
	default:
		r.count()
	}
}

// bare is an id without the pytest function and file, as a run's directory is named after it.
func bare(id parse.TestID) parse.TestID {
	t, err := parse.ParseTestID(id.ID)
	if err != nil || t.Suite != id.Suite {
		return id // a prefix of the user's own is an id only where a function stands before it
	}
	return t
}

// roleWatch looks for the line with which a test of another role than BENCHMARK says that it measures nothing.
type roleWatch struct {
	found parse.Role
	tail  []byte
}

var roleLine = []byte("Disagg serving type is ")

func (w *roleWatch) Write(p []byte) (int, error) {
	const whole = 128 // the line's beginning with the role
	if w.found == "" {
		w.look(append(w.tail, p[:min(len(p), whole)]...))
		w.look(p)
		rest := p[max(0, len(p)-whole):]
		if len(rest) < whole {
			rest = append(w.tail[max(0, len(w.tail)+len(rest)-whole):], rest...)
		}
		w.tail = append(w.tail[:0], rest...)
	}
	return len(p), nil
}

func (w *roleWatch) look(text []byte) {
	i := bytes.Index(text, roleLine)
	if i < 0 || w.found != "" {
		return
	}
	word, rest, whole := bytes.Cut(text[i+len(roleLine):], []byte(","))
	if role, err := parse.ParseRole(string(word)); whole && err == nil && bytes.HasPrefix(rest, []byte(" skipping")) && !role.Measures() {
		w.found = role
	}
}

// readUnfinished takes the list of tests that pytest had not finished, a node id a line.
func (r *reader) readUnfinished(f *located) {
	c, ok := r.open(f)
	if !ok {
		return
	}
	for _, line := range c.ids {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		id, err := parse.ParseTestID(line)
		if err != nil {
			r.note(parse.Warning, BadTestID, f.Path, 0, err.Error())
			continue
		}
		if r.unfinished == nil {
			r.unfinished = map[string]string{}
		}
		r.unfinished[id.ID+id.Suffix] = f.Path
	}
}

// casesOf returns the entries of a test in the results.xml files at or above a directory, else in those that were given themselves.
func (r *reader) casesOf(id parse.TestID, dir string) []*testCase {
	var found, given []*testCase
	for _, c := range r.cases {
		switch {
		case !c.id.SameTest(id):
		case within(dir, c.file.abs):
			found = append(found, c)
		case c.file.Given():
			given = append(given, c)
		}
	}
	if len(found) > 0 {
		return found
	}
	return given
}

// onlyCase returns the entry that every log of the group belongs to: the only one of its results.xml files, where that is a
// performance test's and no directory is a test's own; else nil.
func (r *reader) onlyCase() *testCase {
	if len(r.cases) != 1 || len(r.group.tests) != 0 || !r.cases[0].whole || r.cases[0].id.Suite == parse.OtherSuite {
		return nil
	}
	return r.cases[0]
}

// readCases finishes the tests of which only a results.xml is there.
func (r *reader) readCases() {
	for _, c := range r.cases {
		if c.claimed {
			continue
		}
		// Files of one directory tell of one run; the same test elsewhere is another run's.
		var same []*testCase
		for _, x := range r.cases {
			if !x.claimed && x.id.SameTest(c.id) && x.file.abs == c.file.abs {
				same = append(same, x)
			}
		}
		t := test{id: c.id, module: c.module, function: c.function, cases: same, place: c.file.Path, dir: c.file.abs, role: parse.Benchmark}
		for _, x := range same {
			x.claimed = true
		}
		if c.worker != "" {
			r.note(parse.Info, NoBlock, c.file.Path, c.Line, fmt.Sprintf("%s was written by %s, which measures nothing", c.Name, c.worker))
		}
		t.blocks = r.outputsOf(same)
		if c.worker != "" {
			continue
		}
		r.plan(&t)
		r.finish(t)
	}
}

// outputsOf takes the blocks in the outputs of a test's entries. Those of a worker are no measurements.
func (r *reader) outputsOf(cases []*testCase) []block {
	var all []block
	for _, c := range cases {
		switch {
		case c.compared:
		case c.worker == "":
			all = append(all, c.blocks...)
		default:
			r.strayBlocks(c, c.blocks...)
		}
		c.compared = true
	}
	return all
}

// strayBlocks counts and names blocks that belong to no Result.
func (r *reader) strayBlocks(c *testCase, blocks ...block) {
	for _, b := range blocks {
		why := "a block in the test's output stands in no log of its clients; the logs count"
		if c.worker != "" {
			why = fmt.Sprintf("a block in the output of %s is no measurement: only the BENCHMARK node measures", c.worker)
		}
		r.Stray++
		r.note(parse.Warning, StrayBlock, c.file.Path, b.source.Line, why)
	}
}

// failure returns what a case says against its test, or the empty text.
func (c *testCase) failure() (parse.Code, string) {
	at := fmt.Sprintf("%s:%d", c.file.Path, c.Line)
	switch c.Status {
	case junit.Failed, junit.Errored:
		first, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
		if first == "" {
			first, _, _ = strings.Cut(strings.TrimSpace(c.Text), "\n")
		}
		word := "failed"
		if c.Status == junit.Errored {
			word = "had an error"
		}
		if first == "" {
			return parse.JUnitFailure, fmt.Sprintf("%s: the test %s", at, word)
		}
		return parse.JUnitFailure, fmt.Sprintf("%s: the test %s: %s", at, word, first)
	case junit.Incomplete:
		return parse.RunDied, fmt.Sprintf("%s: the file ends inside the test", at)
	}
	return "", ""
}
