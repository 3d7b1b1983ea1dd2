package testlist

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/trtperf/trtperf/launch/keyword"
	"github.com/trtperf/trtperf/parse"
)

// Resolver knows the tests of a checkout.
type Resolver interface {
	// NodeID is the node id of a configuration in a mode.
	NodeID(config string, mode parse.Mode) (string, error)
	// Mode decides the mode of one test and says by what. Said is what the list states of that test, empty for nothing; an error
	// contradicts it, or says why the mode cannot be decided. It is empty for tests that have none.
	Mode(nodeID string, said parse.Mode) (mode parse.Mode, by string, err error)
}

// Options say which entries of a list are wanted.
type Options struct {
	// Module, Function and Prefix make a node id of an id alone.
	Module, Function, Prefix string
	// Mode leaves out the tests of other modes, and is the mode of those that nothing else tells it of.
	Mode parse.Mode
	// Facts decide conditions, see [Facts].
	Facts map[string]string
	// AnyCondition takes the tests of conditions that do not hold or cannot be decided.
	AnyCondition bool
	// Keyword is a -k expression; nil selects all.
	Keyword *keyword.Expression
	// Waives are the entries of a waives file.
	Waives []*Entry
	// TestPrefix is the stage's name that stands before node ids, "<stage>/perf/…"; what it begins with, up to a dash, is the platform.
	TestPrefix string
	Resolver   Resolver
}

// Test is a test to run.
type Test struct {
	*Entry
	NodeID string
	Mode   parse.Mode
	ModeBy string
	// Timeout is the entry's, 0 for none.
	Timeout time.Duration
	// XFail and Unstable are the entry's or a waive's. They are for people: what fails has failed.
	XFail, Unstable *Reason
}

// Cause is why an entry is left out.
type Cause string

const (
	ByCondition Cause = "condition" // it does not hold
	ByUndecided Cause = "undecided" // it cannot be decided
	ByPlatform  Cause = "platform"
	BySkip      Cause = "skip"
	ByWaive     Cause = "waived"
	ByMode      Cause = "mode"
	ByKeyword   Cause = "keyword"
	Again       Cause = "again" // the list has it before
)

// Left is an entry that is left out.
type Left struct {
	*Entry
	// NodeID is empty where it was not looked for.
	NodeID string
	Cause  Cause
	Reason string
}

// Selection is what a list means.
type Selection struct {
	Tests   []Test
	Left    []Left
	Remarks []*Remark
	// Faults are entries of which nothing can be made; a list with any is not to be run.
	Faults []*SyntaxError
}

// Select decides what becomes of each entry, in the order of the list. Each is a test, left out, or a fault.
func Select(entries []*Entry, o Options) *Selection {
	s := &selector{Options: o, Selection: &Selection{}, seen: map[string]*Entry{}, waives: map[string][]*Entry{}}
	for _, w := range o.Waives {
		s.waive(w)
	}
	for _, e := range entries {
		s.entry(e)
	}
	return s.Selection
}

type selector struct {
	Options
	*Selection
	seen   map[string]*Entry   // by node id
	waives map[string][]*Entry // by name
}

func (s *selector) remark(at Place, format string, args ...any) {
	s.Remarks = append(s.Remarks, &Remark{at, fmt.Sprintf(format, args...)})
}

// platform reports whether an entry is for this platform.
func (s *selector) platform(e *Entry) (fits, known bool) {
	if e.Platform == "" {
		return true, true
	}
	if s.TestPrefix != "" {
		before, _, _ := strings.Cut(s.TestPrefix, "-")
		return strings.EqualFold(e.Platform, before), true
	}
	gpu, known := s.Facts["gpu"]
	return known && strings.EqualFold(e.Platform, gpu), known
}

// waive notes an entry of a waives file.
func (s *selector) waive(w *Entry) {
	switch fits, known := s.platform(w); {
	case !known:
		s.remark(w.Place, "waives %s on %s alone, and nothing tells the platform: it is not waived; give --match-gpu or --test-prefix", w.Name, w.Platform)
		return
	case !fits:
		return
	}
	if w.Skip == nil && w.XFail == nil && w.Unstable == nil {
		s.remark(w.Place, "waives nothing: write SKIP, XFAIL or UNSTABLE behind it")
		return
	}
	name, message := s.node(w.Name)
	if message != "" {
		s.remark(w.Place, "waives nothing: %s", message)
		return
	}
	s.waives[name] = append(s.waives[name], w)
}

func (s *selector) entry(e *Entry) {
	leave := func(node string, cause Cause, format string, args ...any) {
		s.Left = append(s.Left, Left{e, node, cause, fmt.Sprintf(format, args...)})
	}
	switch fits, known := s.platform(e); {
	case fits || s.AnyCondition:
	case !known:
		leave("", ByUndecided, "it is for platform %s alone, and nothing tells the platform: give --match-gpu, --test-prefix or --any-condition", e.Platform)
		return
	default:
		leave("", ByPlatform, "it is for platform %s alone", e.Platform)
		return
	}
	if !s.AnyCondition {
		for _, q := range e.Conditions {
			holds, known := q.decide(s.Facts)
			if known && !holds {
				leave("", ByCondition, "its condition (line %d) is that %s, and %s is %q", q.Line, q, q.Key, s.Facts[q.Key])
				return
			}
		}
		for _, q := range e.Conditions {
			if _, known := q.decide(s.Facts); !known {
				remedy := "give " + flagOf(q.Key) + " or --any-condition"
				if q.Is == unknown {
					remedy = "give --any-condition to run it all the same"
				}
				leave("", ByUndecided, "its condition (line %d) cannot be decided: %s: %s", q.Line, q, remedy)
				return
			}
		}
	}
	if e.Skip != nil {
		leave("", BySkip, "%s", withReason("it is marked SKIP", e.Skip))
		return
	}
	t, message := s.test(e)
	if message != "" {
		s.Faults = append(s.Faults, &SyntaxError{e.Place, message})
		return
	}
	if s.Mode != "" && t.Mode != s.Mode {
		mode := "its mode is " + string(t.Mode)
		if t.Mode == "" {
			mode = "nothing tells its mode"
		}
		leave(t.NodeID, ByMode, "%s, and --mode asks for %s", mode, s.Mode)
		return
	}
	for _, w := range s.waives[t.NodeID] {
		if w.Skip != nil {
			leave(t.NodeID, ByWaive, "%s", withReason(w.Place.String()+" waives it", w.Skip))
			return
		}
		if w.XFail != nil {
			t.XFail = w.XFail
		}
		if w.Unstable != nil {
			t.Unstable = w.Unstable
		}
	}
	if s.Keyword != nil {
		fits, err := s.Keyword.Match(keyword.Names(t.NodeID))
		if err != nil {
			s.Faults = append(s.Faults, &SyntaxError{e.Place, err.Error()})
			return
		}
		if !fits {
			leave(t.NodeID, ByKeyword, "-k %q does not select it", s.Keyword)
			return
		}
	}
	if first := s.seen[t.NodeID]; first != nil {
		reason := fmt.Sprintf("the test of %s stands here again: it runs once", first.Place)
		if !sameMarkers(first, e) {
			reason += ", with the markers of the first"
		}
		leave(t.NodeID, Again, "%s", reason)
		return
	}
	s.seen[t.NodeID] = e
	s.Tests = append(s.Tests, t)
}

func withReason(what string, r *Reason) string {
	if r.Text == "" {
		return what
	}
	return what + ": " + r.Text
}

func sameMarkers(a, b *Entry) bool {
	return a.Timeout == b.Timeout && (a.XFail == nil) == (b.XFail == nil) && (a.Unstable == nil) == (b.Unstable == nil)
}

// test makes a test of an entry, and decides its mode.
func (s *selector) test(e *Entry) (t Test, message string) {
	t = Test{Entry: e, Timeout: e.Timeout, XFail: e.XFail, Unstable: e.Unstable}
	node, message := s.node(e.Name)
	if message != "" {
		return t, message
	}
	// What nothing else tells: the group's word, then the user's.
	weak, weakBy := e.Group, e.GroupBy
	if weak == "" {
		weak, weakBy = s.Mode, "--mode"
	}
	if !strings.Contains(node, "::") {
		mode := e.Said
		if mode == "" {
			mode = weak
		}
		if mode == "" {
			return t, fmt.Sprintf("%q is a configuration's name, which does not tell the mode: write the whole node id, a comment # mode:…, or give --mode", node)
		}
		var err error
		if node, err = s.Resolver.NodeID(node, mode); err != nil {
			return t, err.Error()
		}
	}
	if message := neverExisted(node); message != "" {
		return t, message
	}
	mode, by, err := s.Resolver.Mode(node, e.Said)
	switch {
	case err != nil && e.Said != "":
		return t, fmt.Sprintf("%s says %s: %v", e.SaidBy, e.Said, err)
	case err != nil && weak != "":
		if _, _, err2 := s.Resolver.Mode(node, weak); err2 != nil {
			return t, err.Error()
		}
		mode, by = weak, weakBy
	case err != nil:
		return t, err.Error()
	case mode == "" && weak != "":
		mode, by = weak, weakBy
	case e.Said != "":
		if mode != "" && mode != e.Said {
			return t, fmt.Sprintf("%s says %s, and it is %s by %s", e.SaidBy, e.Said, mode, by)
		}
		mode, by = e.Said, e.SaidBy
	case e.Group != "" && mode != e.Group:
		s.remark(e.Place, "%s says %s, and this test is %s by %s: each test has its own mode", e.GroupBy, e.Group, mode, by)
	}
	t.NodeID, t.Mode, t.ModeBy = node, mode, by
	return t, ""
}

const defsDirectory = "tests/integration/defs/"

var (
	functionWithID = regexp.MustCompile(`^[A-Za-z_]\w*\[.*\]$`)
	yamlStem       = regexp.MustCompile(`^([A-Za-z_]\w*-[^\[\]]*?)\.ya?ml(-.*)?$`)
)

// node returns the node id of a test as it stands in a list, or the name of a configuration.
func (s *selector) node(name string) (node, message string) {
	if s.TestPrefix != "" {
		name = strings.TrimPrefix(name, s.TestPrefix+"/")
	}
	if strings.HasPrefix(name, unittests) {
		return "test_unittests.py::test_unittests_v2[" + name + "]", ""
	}
	module, selected, whole := strings.Cut(name, "::")
	switch {
	case strings.HasPrefix(name, "::") || whole && selected == "":
		return "", fmt.Sprintf("%q is no node id: write <module>.py::<function>[<id>]", name)
	case whole:
		if path.Ext(module) != ".py" {
			return "", fmt.Sprintf("%q is no node id: a test file ends in .py", name)
		}
		module = strings.TrimPrefix(path.Clean(module), defsDirectory)
		// Lists of performance pipelines name their test file without its directory.
		for _, known := range []string{s.Module, defaultModule} {
			if module == path.Base(known) {
				module = known
			}
		}
		return module + "::" + withoutYAML(selected), ""
	case functionWithID.MatchString(name):
		return s.Module + "::" + withoutYAML(name), ""
	case strings.HasSuffix(name, ".py") || strings.Contains(name, ".py["):
		return "", fmt.Sprintf("%q is a test file and no single test: write <module>.py::<function>[<id>]", name)
	case strings.Contains(name, "/"):
		return "", fmt.Sprintf("%q is no test: write a node id, or the name of a configuration without its directory", name)
	case strings.ContainsAny(name, "[]()"):
		return "", fmt.Sprintf("%q is no test: write a node id, or the name of a configuration", name)
	}
	if prefix, _, dashed := strings.Cut(name, "-"); dashed && (strings.Contains(prefix, "aggr") || strings.Contains(prefix, "disagg") || prefix == s.Prefix && s.Prefix != "") {
		return s.Module + "::" + withoutYAML(s.Function+"["+name+"]"), ""
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, ".yaml"), ".yml"), ""
}

// withoutYAML takes the ending of a configuration's file out of an id: no test has it in its id.
func withoutYAML(selected string) string {
	function, id, ok := strings.Cut(selected, "[")
	if !ok || !strings.HasSuffix(id, "]") {
		return selected
	}
	id = strings.TrimSuffix(id, "]")
	if m := yamlStem.FindStringSubmatch(id); m != nil {
		id = m[1] + m[2]
	}
	return function + "[" + id + "]"
}

// defaultModule is the module that other documents of this grammar have; the caller's may be another.
const defaultModule = "perf/test_perf_sanity.py"

// neverExisted names the ids of test_perf_sanity.py that were described and never were.
func neverExisted(node string) string {
	if id, err := parse.ParseTestID(node); err == nil && id.Module == defaultModule && (id.Prefix == "profiling" || id.Prefix == "benchmark") {
		return fmt.Sprintf("%s has no test %s-…: write aggr_upload-<config>[-<server>] or disagg_upload-<mode>-<config>", defaultModule, id.Prefix)
	}
	return ""
}
