// Package junit reads results.xml, as pytest and others write it.
//
// # Two ways through one file
//
// go-junit knows the structure of such files, but holds about ten times a file in memory, and the outputs of a performance test can have
// gigabytes. So the file is read once as a stream: the bodies of system-out and system-err go, decoded, to the caller; everything else, the
// skeleton, is small, is made well-formed on the way and given to go-junit.
//
// # What is mended
//
//   - A file that ends early gives every case that is complete; the one that was open is Incomplete.
//   - Control characters that XML forbids are dropped.
//   - Texts of failures longer than 64 KiB, or more than 2 MiB of them in all, are cut, and so are attributes longer than 4 KiB.
//   - Bytes of the skeleton that are no UTF-8 are replaced, and those of outputs are given on; a declared single-byte encoding is not decoded beyond that, since all that is looked for
//     is ASCII.
//   - pytest writes control characters of outputs as "#x1B"; the escape character, which starts a colour code, is put back.
//   - A case with a failure or an error in it never counts as passed, whatever else it holds.
package junit

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	gojunit "github.com/joshdk/go-junit"

	"github.com/trtperf/trtperf/parse"
)

// ErrNotJUnit says that a text is no XML, or XML of another kind.
var ErrNotJUnit = errors.New("not a JUnit file")

// Status is a test case's outcome.
type Status string

const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Errored Status = "error"
	Skipped Status = "skipped"
	// Incomplete: the file ends inside the case.
	Incomplete Status = "incomplete"
)

// Codes of Notes.
const (
	// LongText: a text or an attribute was cut.
	LongText = "long-text"
	// Encoding: the file declares an encoding that is not decoded.
	Encoding = "other-encoding"
	// BehindEnd: something stands behind the root element.
	BehindEnd = "behind-end"
	// BadID: a test's name breaks the grammar of its id.
	BadID = "bad-test-id"
)

// Note is something that a person should know about the file.
type Note struct {
	Line    int
	Code    string
	Message string
}

// Output is the body of a system-out or system-err element.
type Output struct {
	// Case and Class name the test case; both are empty for a suite's own output.
	Case, Class string
	// Index is the case's position in the file, from 0; -1 for a suite's own output.
	Index int
	// Stream is "system-out" or "system-err".
	Stream string
	// Line is where the body begins.
	Line int
	// Text is the body, decoded. What is left of it is skipped.
	Text io.Reader
}

// Case is a test case.
type Case struct {
	Name, Class string
	// File is the test's file where the file says so (pytest's xunit1).
	File   string
	Line   int
	Status Status
	// Message and Text are those of the failure, error or skip.
	Message, Text string
	Seconds       *float64
	// ID is the name as a test id.
	ID parse.TestID
}

// Report is what a file says.
type Report struct {
	// Cases are in the order of the file.
	Cases []Case
	// Started is the first suite's time stamp, where it has a zone; zero otherwise, since a local time means nothing elsewhere.
	Started time.Time
	// EndsAt is the line in which a truncated file ends, else 0.
	EndsAt int
	Notes  []Note
}

// indexAttribute is added to each testcase of the skeleton, to find it again in what go-junit makes of it.
const indexAttribute = "trtperf-index"

// Read reads a file. It calls output, unless that is nil, for every body of system-out and system-err, while it reads. A fault in
// the XML is an error that names the line; the Report then holds the cases before it. The error of a text that is no JUnit file is
// [ErrNotJUnit], and that of output is returned as it is.
func Read(r io.Reader, output func(Output) error) (*Report, error) {
	s := newSplitter(r, output)
	fault := s.split()
	if errors.Is(fault, ErrNotJUnit) || s.stopped != nil {
		return nil, errors.Join(fault, s.stopped)
	}
	report := &Report{Notes: s.notes, Started: s.started, Cases: s.cases}
	if s.truncated {
		report.EndsAt = s.line
	}
	suites, err := gojunit.Ingest(s.skeleton.Bytes())
	if err != nil {
		return report, errors.Join(fault, fmt.Errorf("the file's structure cannot be read: %w", err))
	}
	for _, suite := range suites {
		s.adopt(report, suite)
	}
	return report, fault
}

// adopt takes over what go-junit found of the cases of a suite.
func (s *splitter) adopt(report *Report, suite gojunit.Suite) {
	for _, t := range suite.Tests {
		i, err := strconv.Atoi(t.Properties[indexAttribute])
		if err != nil || i < 0 || i >= len(report.Cases) {
			continue
		}
		c := &report.Cases[i]
		c.Name, c.Class, c.File = t.Name, t.Classname, t.Properties["file"]
		c.Message = t.Message
		if e, ok := errors.AsType[gojunit.Error](t.Error); ok {
			c.Message, c.Text = e.Message, e.Body
		}
		if seconds, err := strconv.ParseFloat(strings.ReplaceAll(t.Properties["time"], ",", ""), 64); err == nil && seconds >= 0 {
			c.Seconds = &seconds
		}
		switch {
		case c.Status == Incomplete:
		case t.Status == gojunit.StatusError, t.Status == gojunit.StatusFailed:
			c.Status = Status(t.Status)
		case s.failed[i]:
			c.Status = Failed
		default:
			c.Status = Status(t.Status)
		}
		id, err := parse.ParseTestID(c.Name)
		if err != nil && c.Name != "" {
			report.Notes = append(report.Notes, Note{Line: c.Line, Code: BadID, Message: err.Error()})
		}
		c.ID = id
	}
	for _, inner := range suite.Suites {
		s.adopt(report, inner)
	}
}
