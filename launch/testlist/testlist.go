// Package testlist reads lists of tests and says which tests a list means.
//
// # Text
//
// A text list has an entry a line:
//
//	[full:<platform>/][<test prefix>/]<test>[ MARKER [(argument)]]…[ # comment]
//
// A test is a pytest node id (perf/test_perf_sanity.py::test_e2e[<id>]), a function with its id, an id alone whose prefix is known
// (aggr_upload-<config>-<server>), a unittest/… path, or the name of a configuration. Markers are SKIP, XFAIL and UNSTABLE with a reason,
// TIMEOUT with minutes, and ISOLATION; several stand one behind the other, with blanks or commas between them. A comment begins with "#"
// outside of brackets and parentheses; one that begins with "mode:" decides the mode of its line. (Sources: TensorRT-LLM's
// tests/integration/defs/test_list_parser.py and the lists of its performance pipelines.)
//
// TensorRT-LLM renders text lists as Mako templates first. What is alive there and not here is refused, see [Reader].
//
// # YAML
//
// A YAML list has suites by name, beside version and metadata. A suite is a list of groups or one group:
//
//	<suite>:
//	- condition: {terms: {…}, ranges: {…}, wildcards: {…}}
//	  test_type: disagg            # single-agg, multi-agg or disagg
//	  tests: [<entry as in a text list, without comment>, {name: …, config_file: …, condition: …, test_type: …}]
//
// or, by the name of the suite, a list of entries of one mode: single_agg_tests, multi_agg_<N>nodes_tests, disagg_<N>nodes_tests and
// wideep_tests.
//
// # Which tests
//
// [Select] applies conditions, markers, waives, the mode and a -k expression. Whatever it leaves out is a [Left] with its place and reason.
package testlist

import (
	"cmp"
	"fmt"
	"time"

	"github.com/trtperf/trtperf/parse"
)

// Place is a line of a file.
type Place struct {
	File string
	Line int // from 1; 0 for the file as a whole
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Record is what a [Reader] reads: an [*Entry], a [*Remark] or a [*SyntaxError].
type Record interface {
	// At is where it stands.
	At() Place
}

// At returns the place itself.
func (p Place) At() Place { return p }

// SyntaxError is a line that is no entry. The lines after it are read.
type SyntaxError struct {
	Place
	Message string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s: %s", e.Place, e.Message) }

// Remark is something that a reader of the list should know.
type Remark struct {
	Place
	Message string
}

func (r *Remark) String() string { return fmt.Sprintf("%s: %s", r.Place, r.Message) }

// Reason is a marker that carries one.
type Reason struct {
	// Text may be empty.
	Text string
}

// Entry is one line of a list.
type Entry struct {
	Place
	// Text is the entry as it was written, without its comment.
	Text string
	// Name is the test: without platform and markers.
	Name string
	// Platform is the one of "full:<platform>/"; empty means all.
	Platform string
	// Label is the name that a YAML list gives the entry.
	Label string
	// Suite is the YAML key that it stands under.
	Suite string

	// Timeout is TIMEOUT's argument; 0 without one.
	Timeout time.Duration
	// Skip, XFail and Unstable are nil without the marker.
	Skip, XFail, Unstable *Reason
	// Isolated: the test wants a process of its own, which every test of a launch has.
	Isolated bool

	// Said is the mode that the entry itself states, SaidBy how; Group the one that is stated for all entries around it.
	Said, Group     parse.Mode
	SaidBy, GroupBy string
	// Conditions must all hold.
	Conditions []Requirement
}

func (e *Entry) String() string { return fmt.Sprintf("%s: %s", e.Place, cmp.Or(e.Label, e.Text)) }
