package parse

import (
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Direction says which change of a metric is an improvement.
type Direction string

const (
	LargerBetter  Direction = "larger"
	SmallerBetter Direction = "smaller"
	// Neutral: no change is better than another.
	Neutral Direction = "neutral"
)

// Kind groups metrics by what their number is.
type Kind string

const (
	Throughput Kind = "throughput" // a rate of requests or tokens
	Latency    Kind = "latency"    // a time that a request or step takes
	Spread     Kind = "spread"     // a standard deviation
	Count      Kind = "count"      // a whole number of things
	Other      Kind = "other"
)

// Place says where a metric's line stands.
type Place string

const (
	InBlock     Place = "block"   // between the block's header and its closing rule
	BehindBlock Place = "harness" // appended to the log by the test harness
	// InLog: anywhere in the client's log. A hit belongs to the block that follows, and those behind the last block to that one.
	InLog Place = "client-log"
	// InServerLog: in the logs of the servers and workers of the run.
	InServerLog Place = "server-log"
)

// Aggregate says which number several hits of a metric's expression make.
type Aggregate string

const (
	First Aggregate = "first"
	Last  Aggregate = "last"
	Mean  Aggregate = "mean"
	Max   Aggregate = "max"
	// HitCount is the number of hits; they need no number.
	HitCount Aggregate = "count"
)

// Requirement says which perf-sanity clients must have a metric. Nothing is required elsewhere.
type Requirement string

const (
	NotRequired Requirement = ""
	// AnyClient: TensorRT-LLM's client and the SA client.
	AnyClient Requirement = "every client"
	// OwnClient: TensorRT-LLM's client, but not the SA client, which does not print it.
	OwnClient Requirement = "every client but the SA client"
	// SpecDecodingClient: clients of servers with speculative decoding, in layouts that know the metric.
	SpecDecodingClient Requirement = "speculative decoding"
	// GenOnlyClient: clients of generation-only runs, in layouts that know the metric.
	GenOnlyClient Requirement = "gen_only"
)

// Metric is a row of the metric table: all that trtperf knows of one metric. Every reader, CSV layout and store asks it.
type Metric struct {
	// Name is the canonical name, for example "mean_ttft".
	Name string
	// Labels are the printed spellings, whole and without the colon; TensorRT-LLM's first. Letter case counts.
	Labels []string
	// Expr finds the metric by an expression instead of by labels; its first group is the number. Only metrics of the user's own
	// have one.
	Expr *regexp.Regexp
	// Aggregate says which of several hits of Expr counts; empty means First.
	Aggregate Aggregate
	// Unit is the unit of the value: "ms", "tok/s" …; empty for counts and ratios.
	Unit      string
	Direction Direction
	Kind      Kind
	Place     Place
	// Guide is the column in the guide's wide CSV; empty where that layout has no such metric. GuideAlways marks the columns
	// that stand there whether or not any Result has a value.
	Guide       string
	GuideAlways bool
	// Full is the column in the full CSV, with the unit in its name.
	Full string
	// MetricType is trt_perf_parser.py's word for it in the metric-rows CSV.
	MetricType string
	// JSON is the key in the client's --save-result file; empty where that has no such number.
	JSON string
	// OtherTypes are further words for it in other suites' metric-row CSVs.
	OtherTypes []string
	// PerfField is the field of TRT_perf's perf_result.perf_data that MetricType becomes.
	PerfField string
	// Document is the OpenSearch field: "d_" and a float, or "l_" and an integer for counts.
	Document string
	Required Requirement
	// Custom marks a row that the user added.
	Custom bool
}

// Pattern returns a regular expression that finds the metric's line anywhere in a text, capturing the number, in the shape of
// TensorRT-LLM's own table: `Mean TTFT \(ms\):\s+(-?[\d\.]+)`. It is a description for people and tools such as ripgrep;
// trtperf's readers compare whole labels and read whole numbers.
func (m *Metric) Pattern() string {
	if m.Expr != nil {
		return m.Expr.String()
	}
	quoted := make([]string, len(m.Labels))
	for i, l := range m.Labels {
		quoted[i] = regexp.QuoteMeta(l)
	}
	label := quoted[0]
	if len(quoted) > 1 {
		label = "(?:" + strings.Join(quoted, "|") + ")"
	}
	return label + `:\s+(-?[\d\.]+)`
}

// Thresholds returns the relative and the absolute change that TensorRT-LLM's test_perf.py allows for this kind of metric, a
// negative relative one where larger is better; ok is false where it has none. Source: its table of thresholds by metric type; for
// total token and user throughput its sign contradicts that convention and is not taken over.
func (m *Metric) Thresholds() (relative, absolute float64, ok bool) {
	switch m.Kind {
	case Latency:
		return 0.1, 50, true
	case Throughput:
		return -0.1, 10, true
	}
	return 0, 0, false
}

// Table is a metric table: the standard rows, perhaps with rows of the user's own behind them.
type Table struct {
	rows    []Metric
	brief   []brief // what Measure needs of them, close together
	inOrder []int   // the rows' places, in the order of their names
	byLabel map[string]int
	byName  map[string]int
	byType  map[string]int
}

// brief is the part of a metric that is needed for each row of a block. All of a table's fit into a processor's first cache.
type brief struct {
	name, unit string
	place      Place
	order      int // its place in the order of names
}

func (m *Metric) brief() brief { return brief{name: m.Name, unit: m.Unit, place: m.Place} }

// Metrics returns the standard metric table. It is the same one each time, and nobody may change its rows.
func Metrics() *Table { return standardTable() }

var standardTable = sync.OnceValue(func() *Table {
	t := &Table{}
	for _, m := range standardMetrics() {
		if err := t.add(m); err != nil {
			panic(err) // the table of this package contradicts itself; its test says so first
		}
	}
	return t
})

// With returns a table that also has the user's own rows. They must have a name, a label, a unit and a direction; the columns
// follow from the name where they are empty. Names and labels of the standard rows are taken.
func (t *Table) With(custom []Metric) (*Table, error) {
	u := &Table{}
	for _, m := range t.rows {
		if err := u.add(m); err != nil {
			return nil, err
		}
	}
	for _, m := range custom {
		m.Custom = true
		if err := u.add(m.complete()); err != nil {
			return nil, err
		}
	}
	return u, nil
}

var metricName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (t *Table) add(m Metric) error {
	switch {
	case !metricName.MatchString(m.Name):
		return fmt.Errorf("metric %q: the name must be lower-case letters, digits and underscores", m.Name)
	case len(m.Labels) == 0 && m.Expr == nil:
		return fmt.Errorf("metric %q: no printed label", m.Name)
	case m.Direction != LargerBetter && m.Direction != SmallerBetter && m.Direction != Neutral:
		return fmt.Errorf("metric %q: the direction must be %s, %s or %s", m.Name, LargerBetter, SmallerBetter, Neutral)
	}
	if t.byName == nil {
		t.byName, t.byLabel, t.byType = map[string]int{}, map[string]int{}, map[string]int{}
	}
	if _, taken := t.byName[m.Name]; taken {
		return fmt.Errorf("metric %q: the name is taken", m.Name)
	}
	t.byName[m.Name] = len(t.rows)
	for _, l := range m.Labels {
		if i, taken := t.byLabel[l]; taken {
			return fmt.Errorf("metric %q: the label %q belongs to metric %q", m.Name, l, t.rows[i].Name)
		}
		t.byLabel[l] = len(t.rows)
	}
	for _, word := range append([]string{m.MetricType}, m.OtherTypes...) {
		if i, taken := t.byType[word]; taken {
			return fmt.Errorf("metric %q: the metric type %q belongs to metric %q", m.Name, word, t.rows[i].Name)
		}
		t.byType[word] = len(t.rows)
	}
	place, _ := slices.BinarySearchFunc(t.inOrder, m.Name, func(i int, name string) int { return strings.Compare(t.rows[i].Name, name) })
	t.inOrder = slices.Insert(t.inOrder, place, len(t.rows))
	t.rows = append(t.rows, m)
	t.brief = append(t.brief, m.brief())
	for i, row := range t.inOrder[place:] {
		t.brief[row].order = place + i
	}
	return nil
}

// All yields the rows in the table's order: the order of the guide's columns, then the others.
func (t *Table) All() iter.Seq[*Metric] {
	return func(yield func(*Metric) bool) {
		for i := range t.rows {
			if !yield(&t.rows[i]) {
				return
			}
		}
	}
}

// ByName returns the row of a canonical name, or nil.
func (t *Table) ByName(name string) *Metric {
	if i, ok := t.byName[name]; ok {
		return &t.rows[i]
	}
	if m := startup(name); m != nil {
		return m
	}
	return breakdown(breakdownName, name)
}

// startupName are the times that servers take to start, "ctx_" and "gen_" before those of workers. Source: the start-up metrics of
// TensorRT-LLM's harness.
var startupName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(ctx_|gen_)?(draft_model_)?(total_model_loading|(draft_)?(checkpoint_preparation|weight_population|checkpoint_finalization|` +
		`checkpoint_pipeline)|post_load_processing)_seconds$`)
})

// startup returns the metric of a start-up time, or nil.
func startup(name string) *Metric {
	if !strings.HasSuffix(name, "_seconds") || !startupName().MatchString(name) {
		return nil
	}
	row := Metric{Name: name, Labels: []string{name}, Unit: "s", Direction: SmallerBetter, Place: BehindBlock, Full: name}.complete()
	return &row
}

// Startup reports whether the metric is the time that servers take to start. It comes from a file of its own and never from a block.
func (m *Metric) Startup() bool { return startupName().MatchString(m.Name) }

// ByLabel returns the row that knows a printed label, or nil.
func (t *Table) ByLabel(label string) *Metric {
	if i, ok := t.byLabel[label]; ok {
		return &t.rows[i]
	}
	return breakdown(breakdownLabel, label)
}

// Time breakdowns have spans of any name, so their metrics are no rows of the table but made when they are met. Source: the lines
// "Time Breakdown <span> <stat> (ms): <v>" and the names tb_<span>_<stat> of TensorRT-LLM's harness.
var (
	breakdownLabel = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^Time Breakdown (\w+) (mean|median|p75|p99) \(ms\)$`)
	})
	breakdownName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^tb_(\w+)_(mean|median|p75|p99)$`)
	})
)

// breakdown returns the metric of a time breakdown that a label or a name means, or nil.
func breakdown(form func() *regexp.Regexp, text string) *Metric {
	if !strings.HasPrefix(text, "tb_") && !strings.HasPrefix(text, "Time Breakdown ") {
		return nil
	}
	m := form().FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	// The harness's names are its own words; a label in capitals and one in small letters are two.
	row := Metric{Name: "tb_" + m[1] + "_" + m[2], Labels: []string{"Time Breakdown " + m[1] + " " + m[2] + " (ms)"}, Unit: "ms",
		Direction: SmallerBetter, Place: BehindBlock}.complete()
	return &row
}

// Columns yields the rows of the table and, behind them in the order of their names, those metrics of some Results that are no rows
// of the table. Found are the names of the Results' metrics, and their units.
func (t *Table) Columns(found map[string]string) iter.Seq[*Metric] {
	return func(yield func(*Metric) bool) {
		for m := range t.All() {
			if !yield(m) {
				return
			}
		}
		for _, name := range slices.Sorted(maps.Keys(found)) {
			if _, ok := t.byName[name]; ok {
				continue
			}
			m := t.ByName(name)
			if m == nil {
				// One of the user's own, read with a table that is not at hand now.
				own := Metric{Name: name, Unit: found[name], Direction: Neutral, Custom: true}.complete()
				m = &own
			}
			if !yield(m) {
				return
			}
		}
	}
}

// ByMetricType returns the row that has a metric type of a metric-row CSV, or nil.
func (t *Table) ByMetricType(word string) *Metric {
	if i, ok := t.byType[word]; ok {
		return &t.rows[i]
	}
	return nil
}

// ByJSON returns the row that has a key of the client's JSON, or nil.
func (t *Table) ByJSON(key string) *Metric {
	for i := range t.rows {
		if t.rows[i].JSON == key && key != "" {
			return &t.rows[i]
		}
	}
	return nil
}

// settings are labels of lines that repeat what the client was told to do. They are no measurements, and their values may be
// words ("inf", "not set"); spellings of vLLM, SGLang and the diffusion client.
var settings = []string{
	"Backend", "Traffic request rate", "Request rate", "Request rate configured (RPS)", "Max request concurrency",
	"Max reqeuest concurrency", "Maximum request concurrency", "SLOs (ms)", "Architecture", "Model", "Dataset", "Task",
}

// concurrencySettings are those that give the greatest number of requests in flight.
var concurrencySettings = []string{"Max request concurrency", "Max reqeuest concurrency", "Maximum request concurrency"}

// IsSetting reports whether a label belongs to a line that repeats a setting.
func IsSetting(label string) bool { return slices.Contains(settings, label) }

// Settings lists the labels of lines that repeat a setting.
func Settings() []string { return slices.Clone(settings) }
