// Package rows reads metric-row CSVs, with one row for each metric: those of TensorRT-LLM's test_perf.py and of its disaggregated suite, and
// trtperf's own layout metric-rows.
//
// # The file
//
// The header names the columns; network_name, metric_type, perf_metric and state must be among them (files of thresholds have no state).
// A line before it that is a single cell is passed over. Of two columns of one name the last counts. Blank lines do not count, a
// header in the middle begins another run. The other columns that are used: network_hash, original_test_name, test_name, command,
// total_time__sec, start_timestamp and end_timestamp (UTC), sm_clk and mem_clk (MHz).
//
// # The case
//
// Adjacent rows of one network_name and state are a case, which is a Result; a metric_type that comes again begins another case. Each row
// may have times of its own, since test_perf.py runs a test for each metric; the case has the first start and the last end. A network_hash of 64 hexadecimal digits is the Result's identity, and another one another case. Any other Result has the
// SHA-256 of
//
//	trtperf-rows-1 LF
//	<network_name> LF
//	<metric_type> TAB <canonical decimal> LF      for each row with a number, in order
//
// and keeps its rows, the metric_type as the label. A perf_metric that is no number is a diagnostic, never 0. A state other than "valid", or
// no state, makes the Result failed.
package rows

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trtperf/trtperf/parse"
)

// column is one that is used.
type column int

const (
	network column = iota
	metricType
	perfMetric
	state
	hash
	originalName
	testName
	command
	totalTime
	start
	end
	smClock
	memClock
	columns // their number
)

// names are the columns' headers; the first four must be there.
var names = [columns]string{"network_name", "metric_type", "perf_metric", "state", "network_hash", "original_test_name", "test_name", "command",
	"total_time__sec", "start_timestamp", "end_timestamp", "sm_clk", "mem_clk"}

const needed = 4

// Codes of diagnostics beside parse's own.
const (
	// BadRow: a row that is not taken, or not whole.
	BadRow = "bad-row"
)

// headerWithin is the number of lines in which the header must come.
const headerWithin = 5

// IsHeader reports whether a file that begins so is a metric-row CSV.
func IsHeader(head []byte) bool {
	if !bytes.Contains(head, []byte(names[metricType])) {
		return false
	}
	c := newCells(bytes.NewReader(head))
	for range headerWithin {
		record, err := c.next()
		if err != nil {
			return false
		}
		if _, ok := layout(record); ok {
			return true
		}
	}
	return false
}

// layout returns where the columns stand in a header, -1 for those that are absent.
func layout(record [][]byte) (at [columns]int, ok bool) {
	for i := range at {
		at[i] = -1
	}
	for i, cell := range record {
		name := strings.TrimSpace(strings.TrimPrefix(string(cell), "\ufeff"))
		if n := slices.Index(names[:], name); n >= 0 {
			at[n] = i
		}
	}
	return at, !slices.Contains(at[:needed], -1)
}

// Scanner reads the cases of a metric-row CSV, one after another.
type Scanner struct {
	cells  *cells
	table  *parse.Table
	at     [columns]int
	width  int // cells of the header
	ready  bool
	err    error
	done   bool
	number int
	// unknown are the metric types that the table lacks and a diagnostic has told of.
	unknown map[string]bool
	notes   []parse.Diagnostic

	open   *parse.Result // the case that grows
	key    [3]string
	sum    bytes.Buffer // what the identity of a case without one is made of
	result *parse.Result
}

// NewScanner returns a Scanner of a file; the table tells metrics by their type.
func NewScanner(r io.Reader, t *parse.Table) *Scanner {
	return &Scanner{cells: newCells(r), table: t, unknown: map[string]bool{}}
}

// Result returns the case that Scan has read. Its source has the number of the case and its lines, not the file.
func (s *Scanner) Result() *parse.Result { return s.result }

// Err returns the reader's error. What the file holds is no error.
func (s *Scanner) Err() error { return s.err }

// Diagnostics returns those since the last call, without the file.
func (s *Scanner) Diagnostics() []parse.Diagnostic {
	notes := s.notes
	s.notes = nil
	return notes
}

func (s *Scanner) note(severity parse.Severity, code string, line int, format string, args ...any) {
	s.notes = append(s.notes, parse.Diagnostic{Severity: severity, Code: code, Line: line, Message: fmt.Sprintf(format, args...)})
}

// Scan reads to the next case. It is false at the end of the file, or where reading fails.
func (s *Scanner) Scan() bool {
	s.result = nil
	for s.result == nil {
		if s.done {
			return false
		}
		record, err := s.cells.next()
		if err != nil {
			s.finish(err)
			continue
		}
		if at, ok := s.header(record); ok {
			s.close()
			s.use(at, record)
			continue
		}
		if !s.ready {
			s.note(parse.Warning, BadRow, s.cells.begin, "a line before the header is passed over")
			if s.cells.line > headerWithin+1 {
				s.done = true
			}
			continue
		}
		s.row(record)
	}
	return true
}

// finish ends the file.
func (s *Scanner) finish(err error) {
	s.done = true
	switch {
	case errors.Is(err, errOpenQuote):
		s.note(parse.Error, BadRow, s.cells.begin, "the quote in line %d is never closed: this row and what follows it are not taken", s.cells.opened)
	case !errors.Is(err, io.EOF):
		s.err = err
	}
	s.close()
}

// header tells a header. Rows keep few cells, so a repeated one is told by those.
func (s *Scanner) header(record [][]byte) ([columns]int, bool) {
	if s.ready {
		for n := range needed {
			if s.at[n] >= len(record) || string(record[s.at[n]]) != names[n] {
				return s.at, false
			}
		}
		return s.at, true
	}
	return layout(record)
}

// use takes the columns of a header.
func (s *Scanner) use(at [columns]int, record [][]byte) {
	if s.ready {
		return // the same columns once more
	}
	for n, i := range at {
		for j, cell := range record {
			if i >= 0 && j != i && strings.TrimSpace(string(cell)) == names[n] {
				s.note(parse.Warning, BadRow, s.cells.begin, "two columns are called %s: the last one counts", names[n])
			}
		}
	}
	s.at, s.width, s.ready = at, len(record), true
	s.cells.keep = make([]bool, len(record))
	for _, i := range at {
		if i >= 0 {
			s.cells.keep[i] = true
		}
	}
}

// row takes a row.
func (s *Scanner) row(record [][]byte) {
	line := s.cells.begin
	cell := func(c column) []byte {
		if i := s.at[c]; i >= 0 && i < len(record) {
			return bytes.TrimSpace(record[i])
		}
		return nil
	}
	if len(record) > s.width {
		s.note(parse.Warning, BadRow, line, "the row has %d cells and the header %d: the surplus is passed over", len(record), s.width)
	}
	for _, c := range []column{network, metricType, perfMetric} {
		if len(cell(c)) == 0 {
			s.note(parse.Warning, BadRow, line, "the row has no %s and is left out", names[c])
			return
		}
	}
	if s.open == nil || !s.same(cell) {
		s.close()
		s.begin(cell, line)
	}
	s.open.Source.EndLine = max(line, s.cells.line-1)
	if t := utc(cell(end)); t.After(s.open.EndedAt) {
		s.open.EndedAt = t
	}
	if t := utc(cell(start)); !t.IsZero() && t.Before(s.open.StartedAt) {
		s.open.StartedAt = t
	}
	s.metric(string(cell(metricType)), string(cell(perfMetric)), line)
}

// same reports whether a row belongs to the open case.
func (s *Scanner) same(cell func(column) []byte) bool {
	if keyOf(cell) != s.key {
		return false
	}
	word := string(cell(metricType))
	return !slices.ContainsFunc(s.open.Rows, func(r parse.Row) bool { return r.Label == word })
}

// keyOf is what the rows of a case share. A network_hash that is no identity is the name of the metric's own test.
func keyOf(cell func(column) []byte) [3]string {
	key := [3]string{string(cell(network)), string(cell(hash)), string(cell(state))}
	if !parse.IsIdentity(key[1]) {
		key[1] = ""
	}
	return key
}

// text is a cell's text for people.
func text(b []byte) string { return strings.ToValidUTF8(string(b), "\ufffd") }

// begin begins a case.
func (s *Scanner) begin(cell func(column) []byte, line int) {
	s.number++
	s.key = keyOf(cell)
	s.sum.Reset()
	fmt.Fprintf(&s.sum, "trtperf-rows-1\n%s\n", s.key[0])
	r := &parse.Result{Status: parse.Valid, Source: parse.Source{Block: s.number, Line: line, EndLine: line}}
	r.Labels.Command = text(cell(command))
	for _, c := range []column{originalName, testName, network} {
		name := text(cell(c))
		if !strings.Contains(name, "[") {
			continue
		}
		id, err := parse.ParseTestID(name)
		if err != nil {
			s.note(parse.Warning, "bad-test-id", line, "%v", err)
			break
		}
		r.TestID, r.Module, r.Function, r.Client.Concurrency = id, id.Module, id.Function, id.Concurrency
		break
	}
	if _, digits, ok := strings.Cut(s.key[0], "_con:"); ok && r.Client.Concurrency == nil {
		if n, err := strconv.Atoi(digits); err == nil && n > 0 {
			r.Client.Concurrency = &n
		}
	}
	r.StartedAt, r.EndedAt = utc(cell(start)), utc(cell(end))
	r.TestSeconds, r.System.SMClockMHz, r.System.MemClockMHz = number(cell(totalTime)), number(cell(smClock)), number(cell(memClock))
	if word := s.key[2]; word != "" && !strings.EqualFold(word, string(parse.Valid)) {
		r.Fail(parse.MarkedInvalid, fmt.Sprintf("the file says that the state is %q", text([]byte(word))))
	}
	s.open = r
}

// metric takes a row's metric.
func (s *Scanner) metric(word, value string, line int) {
	word, value = text([]byte(word)), text([]byte(value))
	row := parse.Row{Label: word, Text: value, Line: line}
	m := s.table.ByMetricType(word)
	if m != nil {
		row.Metric = m.Name
	} else if !s.unknown[word] {
		s.unknown[word] = true
		s.notes = append(s.notes, parse.Diagnostic{Severity: parse.Info, Code: parse.UnknownLabel, Line: line, Label: word,
			Message: fmt.Sprintf("the metric table does not know the metric type %q", word)})
	}
	s.open.Rows = append(s.open.Rows, row)
	v, canonical, ok := parse.ParseNumber(value)
	if !ok {
		s.note(parse.Warning, parse.NotANumber, line, "%s: %.60q is no number", word, value)
		return
	}
	fmt.Fprintf(&s.sum, "%s\t%s\n", word, canonical)
	if m != nil {
		s.open.Metrics.Set(m.Name, parse.Value{Value: v, Text: value, Unit: m.Unit, Line: line})
	}
}

// close ends the open case and gives it out.
func (s *Scanner) close() {
	r := s.open
	if r == nil {
		return
	}
	s.open = nil
	if parse.IsIdentity(s.key[1]) {
		// It is known by its block's rows; the file's are not these, and neither is its command the Result's.
		r.ID, r.Rows, r.Labels.Command = s.key[1], nil, ""
	} else {
		sum := sha256.Sum256(s.sum.Bytes())
		r.ID = hex.EncodeToString(sum[:])
	}
	measured, nonZero := false, false
	for name, v := range r.Metrics.All() {
		if kind := s.table.ByName(name).Kind; kind == parse.Throughput || kind == parse.Latency {
			measured, nonZero = true, nonZero || v.Value != 0
		}
	}
	switch {
	case measured && !nonZero:
		r.Fail(parse.AllZero, "every throughput and latency is zero")
	case len(r.Metrics) == 0 && !slices.ContainsFunc(r.Rows, func(row parse.Row) bool { _, _, ok := row.Number(); return ok }):
		r.Fail(parse.NoMetrics, "no row of the case has a number")
	}
	s.result = r
}

// number returns a number, or nil.
func number(b []byte) *float64 {
	v, _, ok := parse.ParseNumber(string(b))
	if !ok {
		return nil
	}
	return &v
}

// utc reads a time as the writers have it; zero where it is none.
func utc(b []byte) time.Time {
	t, err := time.ParseInLocation(time.DateTime, string(b), time.UTC)
	if err != nil {
		return time.Time{}
	}
	return t
}
