package trtperfdb

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/trtperf/trtperf/export"
	"github.com/trtperf/trtperf/parse"
)

type runField struct {
	column string
	value  func(*parse.Result) string
}

// runFields are the columns of runs that a Result tells; an empty text is unknown. The others stay as a row without them has them.
// start_time and end_time are not here: they grow with the run's results.
var runFields = [...]runField{
	{"driver", func(r *parse.Result) string { return r.System.Driver }},
	{"cuda", func(r *parse.Result) string { return r.System.CUDA }},
	{"tensorrt", func(r *parse.Result) string { return r.Job.TensorRT }},
	{"gpu", func(r *parse.Result) string { return strings.TrimSpace(strings.ReplaceAll(r.System.GPU, "NVIDIA", "")) }},
	{"graphic_freq", func(r *parse.Result) string { return decimal(r.System.SMClockMHz) }},
	{"memory_freq", func(r *parse.Result) string { return decimal(r.System.MemClockMHz) }},
	{"cpu", func(r *parse.Result) string { return r.System.CPU }},
	{"cl", func(r *parse.Result) string { return r.Job.Commit }},
	{"os", func(r *parse.Result) string { return r.System.OS }},
	{"notes", func(r *parse.Result) string { return r.Job.Notes }},
	{"link", func(r *parse.Result) string { return cmp.Or(r.Job.Link, r.Job.Build.URL) }},
	{"trtllm", func(r *parse.Result) string {
		first, _, _ := strings.Cut(strings.TrimSpace(r.Job.TensorRTLLM), "\n")
		return first
	}},
}

// linkField is the index of link, which alone tells one run from another.
var linkField = slices.IndexFunc(runFields[:], func(f runField) bool { return f.column == "link" })

// meta are the values of runFields.
type meta [len(runFields)]string

// benchCase is a row of cases.
type benchCase struct {
	format, network, precision, cmd string
	batchsize                       int64 // the concurrency, or unknown
}

const unknown = -1

// numbers are the columns of perf_result that a metric gives as well, with those that may: the first that was measured counts.
var numbers = [...]struct {
	column string
	value  func(*parse.Result) *float64
}{
	// trt_perf_parser.py takes SERVER_MEDIAN_E2EL (and types that no serving benchmark has).
	{"gpu_time", metric("median_e2el")},
	{"total_time", func(r *parse.Result) *float64 {
		if v := metric("benchmark_duration")(r); v != nil {
			return v
		}
		return r.TestSeconds
	}},
	{"throughput", metric("token_throughput")},
}

// values are those of numbers.
type values [len(numbers)]*float64

func metric(name string) func(*parse.Result) *float64 {
	return func(r *parse.Result) *float64 {
		if v, ok := r.Metrics.Lookup(name); ok {
			return &v.Value
		}
		return nil
	}
}

// record is a Result on its way into the tables.
type record struct {
	index  int // among the items
	result *parse.Result
	// delivered: this database has had the Result from this outbox.
	delivered  bool
	meta       meta
	start, end time.Time // zero: unknown; whole seconds, UTC
	of         benchCase
	numbers    values
	// lacks says what the tables demand and the Result does not know; it is refused unless they have it already.
	lacks string
	data  []datum // perf_data, by name

	// What the transaction finds and makes.
	old    *standing
	caseID int64
	runID  int64
}

// standing is what the tables hold of a Result.
type standing struct {
	id, runID, caseID int64
	meta              meta
	start, end        time.Time
	of                benchCase
	numbers           values
	data              map[string]string // perf_data
}

// refusal says why a Result cannot stand in the tables.
type refusal struct{ why string }

func (r refusal) Error() string { return r.why }

// newRecord makes the record of a Result. Its error is a refusal that names the column.
func newRecord(s *schema, table *parse.Table, r *parse.Result) (*record, error) {
	rec := &record{result: r, start: seconds(r.StartedAt), end: seconds(r.EndedAt), data: make([]datum, 0, len(r.Metrics))}
	for i, f := range runFields {
		text := strings.TrimSpace(f.value(r))
		c := s.column(runsTable, f.column)
		if c == nil {
			continue // a table without it is served without it
		}
		if text == "" && !c.nullable && c.kind != textKind {
			rec.lacks = fmt.Sprintf("the column %s demands a value, and it is not known", c)
		}
		if err := c.takes(text); err != nil {
			return nil, err
		}
		rec.meta[i] = text
	}
	for name, t := range map[string]time.Time{"start_time": rec.start, "end_time": rec.end} {
		if c := s.column(runsTable, name); c != nil && !c.nullable && c.kind != textKind && t.IsZero() {
			rec.lacks = fmt.Sprintf("the column %s demands a time, and it is not known: --start-time and --end-time give it", c)
		}
	}
	rec.of = benchCase{
		format:    strings.ToUpper(r.Labels.Framework),
		network:   strings.ToLower(export.CaseName(r)),
		precision: strings.ToUpper(export.CasePrecision(r)),
		cmd:       command(r),
		batchsize: unknown,
	}
	if r.Client.Concurrency != nil {
		rec.of.batchsize = int64(*r.Client.Concurrency)
	} else {
		rec.lacks = "the column cases.batchsize demands a number, and the client's concurrency is not known"
	}
	rec.of.network, rec.of.cmd = s.fit("network", rec.of.network), s.fit("cmd", rec.of.cmd)
	for _, f := range []struct{ column, text string }{{"format", rec.of.format}, {"precision", rec.of.precision}} {
		if err := s.column(casesTable, f.column).takes(f.text); err != nil {
			return nil, err
		}
	}
	for i, f := range numbers {
		c := s.column(resultsTable, f.column)
		if c == nil {
			continue
		}
		v := f.value(r)
		if v == nil && !c.nullable {
			rec.lacks = fmt.Sprintf("the column %s demands a number, and it was not measured", c)
		}
		if v != nil && c.below > 0 && math.Abs(*v) >= c.below {
			return nil, refusal{fmt.Sprintf("the column %s holds numbers below %g only, and this one is %g", c, c.below, *v)}
		}
		rec.numbers[i] = v
	}
	for name, v := range r.Metrics.All() {
		field := name
		if m := table.ByName(name); m != nil {
			field = m.PerfField
		}
		rec.data = append(rec.data, datum{field, number(v)})
	}
	slices.SortFunc(rec.data, byName)
	return rec, nil
}

// command is the case's command: the Result's, with the client's name where that does not name it, so that two clients of one concurrency are
// two cases.
func command(r *parse.Result) string {
	text := export.CaseCommand(r)
	if r.Client.Name != "" && r.Labels.Command != "aggr_"+r.Server.Name+"_"+r.Client.Name {
		text += " --client=" + r.Client.Name
	}
	return strings.TrimSpace(text)
}

// takes says why a column cannot hold a text.
func (c *column) takes(text string) error {
	if n := utf8.RuneCountInString(text); c.length > 0 && n > c.length {
		return refusal{fmt.Sprintf("the column %s holds %d characters, and this text has %d", c, c.length, n)}
	}
	return nil
}

// fit makes a text of a case fit its column; see [export.Fit].
func (s *schema) fit(name, text string) string {
	if c := s.column(casesTable, name); c.length > 0 {
		return export.Fit(text, c.length)
	}
	return text
}

// datum is a field of perf_data with its value as JSON.
type datum struct{ name, text string }

func byName(a, b datum) int { return strings.Compare(a.name, b.name) }

// number is a value as JSON has it, with the digits that were printed.
func number(v parse.Value) string {
	digits := strings.TrimPrefix(v.Text, "-")
	leading := len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9'
	// JSON's numbers are those of ParseNumber without a plus and without leading zeros.
	if printed, _, ok := parse.ParseNumber(v.Text); ok && printed == v.Value && !leading && digits[0] != '+' {
		return v.Text
	}
	return strconv.FormatFloat(v.Value, 'f', -1, 64)
}

// encode writes perf_data.
func encode(data []datum) string {
	b := make([]byte, 0, 40*len(data)+2)
	b = append(b, '{')
	for i, d := range data {
		if i > 0 {
			b = append(b, ", "...)
		}
		if plainName(d.name) {
			b = append(append(append(b, '"'), d.name...), '"')
		} else if quoted, err := json.Marshal(d.name); err == nil { // no text is refused
			b = append(b, quoted...)
		}
		b = append(append(b, ": "...), d.text...)
	}
	return string(append(b, '}'))
}

// plainName reports whether a name needs no escape in JSON.
func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// decode reads a perf_data.
func decode(text string) map[string]string {
	data := map[string]string{}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) == nil {
		for name, raw := range fields {
			data[name] = string(raw)
		}
	}
	return data
}

// same reports whether two texts of JSON are one number; a server may write it its own way.
func same(a, b string) bool {
	if a == b {
		return true
	}
	x, _, okX := parse.ParseNumber(a)
	y, _, okY := parse.ParseNumber(b)
	return okX && okY && x == y
}

// merge makes the record what the tables shall hold, given what they hold: what the Result knows replaces the old, what it does not know
// stays. It reports whether that changes anything but the run.
func (rec *record) merge(old *standing) (changed bool) {
	rec.old = old
	for i, text := range old.meta {
		if rec.meta[i] == "" {
			rec.meta[i] = text
		}
	}
	rec.of = rec.of.over(old.of, named(rec.result))
	for i, v := range old.numbers {
		switch {
		case rec.numbers[i] == nil:
			rec.numbers[i] = v
		case v == nil:
			changed = true
		}
	}
	for _, d := range rec.data {
		text, ok := old.data[d.name]
		changed = changed || !ok || !same(text, d.text)
	}
	measured := len(rec.data)
	for name, text := range old.data {
		if _, ok := slices.BinarySearchFunc(rec.data[:measured], datum{name: name}, byName); !ok {
			rec.data = append(rec.data, datum{name, text})
		}
	}
	slices.SortFunc(rec.data, byName)
	return changed || rec.of != old.of
}

// named reports whether a Result knows all that its case's network is made of.
func named(r *parse.Result) bool {
	id := r.TestID
	return !id.IsZero() && (id.Suite != parse.PerfSanity || cmp.Or(r.Function, id.Function) != "")
}

// over returns the case that a later reading makes of an older one. Named: the reading knows the test, and so names the network.
func (c benchCase) over(old benchCase, named bool) benchCase {
	c.format, c.precision = cmp.Or(c.format, old.format), cmp.Or(c.precision, old.precision)
	if !named && old.network != "" {
		c.network = old.network
	}
	if c.batchsize == unknown {
		c.batchsize = old.batchsize
	}
	// A command that has lost a word knows less than the other.
	words := strings.Fields(c.cmd)
	if slices.ContainsFunc(strings.Fields(old.cmd), func(w string) bool { return !slices.Contains(words, w) }) {
		c.cmd = old.cmd
	}
	return c
}

func seconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

func decimal(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}
