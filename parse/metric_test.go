package parse

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every row says everything, and no column or field is used twice.
func TestMetricTableIsComplete(t *testing.T) {
	guide, full, field, metricType := map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}
	unique := func(m *Metric, seen map[string]string, column string) {
		if other, taken := seen[column]; taken {
			t.Errorf("%s and %s share %q", m.Name, other, column)
		}
		seen[column] = m.Name
	}
	for m := range Metrics().All() {
		if m.Direction == "" || m.Kind == "" || m.Place == "" || m.Full == "" || m.MetricType == "" || m.PerfField == "" || m.Document == "" {
			t.Errorf("%s lacks something: %+v", m.Name, *m)
		}
		if (m.Kind == Throughput || m.Kind == Latency || m.Kind == Spread) && m.Unit == "" {
			t.Errorf("%s has no unit", m.Name)
		}
		if m.Guide != "" {
			unique(m, guide, m.Guide)
		}
		unique(m, full, m.Full)
		unique(m, field, m.Document)
		unique(m, metricType, m.MetricType)
		if m.GuideAlways != (m.Required == AnyClient || m.Required == OwnClient) {
			t.Errorf("%s: the guide's fixed columns are the 16 base metrics", m.Name)
		}
		if m.Kind == Latency && m.Direction != SmallerBetter || m.Kind == Throughput && m.Direction != LargerBetter {
			t.Errorf("%s: %s is better", m.Name, m.Direction)
		}
		if strings.HasPrefix(m.Document, "l_") != (m.Kind == Count) {
			t.Errorf("%s: field %s", m.Name, m.Document)
		}
		for _, l := range m.Labels {
			if l != strings.Join(strings.Fields(l), " ") || strings.HasSuffix(l, ":") {
				t.Errorf("%s: label %q", m.Name, l)
			}
		}
		if _, err := regexp.Compile(m.Pattern()); err != nil {
			t.Error(err)
		}
	}
}

// TensorRT-LLM's own regular expressions, for its 16 base metrics and the extra ones.
func TestPatternsAreUpstreams(t *testing.T) {
	for name, want := range map[string]string{
		"seq_throughput": `Request throughput \(req/s\):\s+(-?[\d\.]+)`,
		"mean_tpot":      `Mean TPOT \(ms\):\s+(-?[\d\.]+)`,
		"std_gen_worker_per_iter_device_step_time": `Stdev Per Iter Device Step Time \(ms\):\s+(-?[\d\.]+)`,
	} {
		m := *Metrics().ByName(name)
		m.Labels = m.Labels[:1] // the others are other tools'
		if got := m.Pattern(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	line := "Total Token throughput (tok/s):          6635.88   "
	if m := regexp.MustCompile(Metrics().ByName("total_token_throughput").Pattern()).FindStringSubmatch(line); m == nil || m[1] != "6635.88" {
		t.Errorf("got %v", m)
	}
}

func TestTableWith(t *testing.T) {
	own := Metric{Name: "my_metric", Labels: []string{"My Metric 1 (units)"}, Unit: "units", Direction: SmallerBetter}
	table, err := Metrics().With([]Metric{own})
	if err != nil {
		t.Fatal(err)
	}
	m := table.ByLabel("My Metric 1 (units)")
	if m == nil || !m.Custom || m.Guide != "my_metric" || m.Document != "d_my_metric" || m.MetricType != "MY_METRIC" {
		t.Errorf("got %+v", m)
	}
	for _, bad := range []Metric{
		{Name: "mean_ttft", Labels: []string{"x"}, Direction: Neutral},
		{Name: "x", Labels: []string{"Mean TTFT (ms)"}, Direction: Neutral},
		{Name: "x", Direction: Neutral},
		{Name: "x", Labels: []string{"x"}},
		{Name: "X Y", Labels: []string{"x"}, Direction: Neutral},
	} {
		if _, err := Metrics().With([]Metric{bad}); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func rows(pairs ...string) []Row {
	var all []Row
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, Row{Label: pairs[i], Text: pairs[i+1], Line: i/2 + 1})
	}
	return all
}

func TestMeasureAndJudge(t *testing.T) {
	good := []string{"Total requests", "40", "Successful requests", "40", "Failed requests", "0", "Request throughput (req/s)", "3.24",
		"Mean TTFT (ms)", "55.50", "Total generated tokens", "4096"}
	with := func(pairs ...string) []Row { return rows(append(slices.Clone(good), pairs...)...) }
	asked := int64(48)
	for name, c := range map[string]struct {
		rows              []Row
		asked             *int64
		banner, truncated bool
		codes             []Code
		notes             []string
		absent            []string
	}{
		"good":             {rows: with()},
		"more than asked":  {rows: rows("Successful requests", "50", "Mean TTFT (ms)", "1"), asked: &asked},
		"failed requests":  {rows: rows("Successful requests", "79", "Failed requests", "1", "Total requests", "80", "Mean TTFT (ms)", "1"), codes: []Code{FailedRequests}},
		"banner":           {rows: with(), banner: true, codes: []Code{FailedRequests}},
		"lost":             {rows: rows("Successful requests", "40", "Mean TTFT (ms)", "1"), asked: &asked, codes: []Code{LostRequests}},
		"lost of total":    {rows: rows("Total requests", "41", "Successful requests", "40", "Failed requests", "0", "Mean TTFT (ms)", "1"), codes: []Code{LostRequests}},
		"truncated":        {rows: with(), truncated: true, codes: []Code{Truncated}},
		"nothing":          {rows: rows("Mean TTFT (ms)", "xxx"), codes: []Code{NoMetrics}, notes: []string{NotANumber}, absent: []string{"mean_ttft"}},
		"only counts":      {rows: rows("Successful requests", "3"), codes: []Code{NoMetrics}},
		"all zero":         {rows: rows("Request throughput (req/s)", "0.00", "Mean TTFT (ms)", "0.00", "Benchmark duration (s)", "3.2"), codes: []Code{AllZero}},
		"no tokens":        {rows: rows("Total generated tokens", "0", "Request throughput (req/s)", "99.1"), codes: []Code{NothingGenerated}},
		"not retokenized":  {rows: rows("Total generated tokens", "9", "Total generated tokens (retokenized)", "0", "Mean E2E Latency (ms)", "1"), codes: []Code{NothingGenerated}},
		"unknown label":    {rows: with("Probe requests failed", "3"), notes: []string{UnknownLabel}},
		"setting":          {rows: with("Max request concurrency", "not set")},
		"thousands":        {rows: with("Mean E2EL (ms)", "2,352"), notes: []string{NotANumber}, absent: []string{"mean_e2el"}},
		"not a count":      {rows: rows("Successful requests", "20/20", "Mean TTFT (ms)", "1"), notes: []string{NotANumber}, absent: []string{"successful_requests"}},
		"no streaming":     {rows: rows("Successful requests", "8", "Request throughput (req/s)", "1.5", "Mean TTFT (ms)", "-1000.00", "Std Dev TTFT (ms)", "0.00", "Mean TPOT (ms)", "90.1", "Mean ITL (ms)", "0.00"), notes: []string{NotMeasured, NotMeasured, NotMeasured, NotMeasured}, absent: []string{"mean_ttft", "std_ttft", "mean_tpot", "mean_itl"}},
		"one output token": {rows: rows("Successful requests", "8", "Total generated tokens", "8", "Mean TTFT (ms)", "3.5", "Mean TPOT (ms)", "0.00", "P99 ITL (ms)", "0.00", "Mean ITL (ms)", "0.00"), notes: []string{NotMeasured, NotMeasured, NotMeasured}, absent: []string{"mean_tpot", "mean_itl", "p99_itl"}},
		"second hit":       {rows: with("Mean TTFT (ms)", "99"), notes: []string{Repeated}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Result{Rows: c.rows}
			r.Requests.Asked = c.asked
			var notes []string
			for _, d := range Metrics().Measure(r, nil, nil) {
				notes = append(notes, d.Code)
			}
			Judge(Metrics(), r, c.banner, c.truncated)
			var codes []Code
			for _, reason := range r.Reasons {
				codes = append(codes, reason.Code)
			}
			if !slices.Equal(codes, c.codes) || r.Valid() != (len(codes) == 0) {
				t.Errorf("%s for %v, want %v", r.Status, codes, c.codes)
			}
			if !slices.Equal(notes, c.notes) {
				t.Errorf("notes %v, want %v", notes, c.notes)
			}
			for _, name := range c.absent {
				if v, ok := r.Metrics.Lookup(name); ok {
					t.Errorf("%s is %v", name, v)
				}
			}
			if name == "second hit" && r.Metrics.Get("mean_ttft").Text != "55.50" {
				t.Errorf("not the first hit: %v", r.Metrics.Get("mean_ttft"))
			}
		})
	}
}

func TestMerge(t *testing.T) {
	old := &Result{ID: "x", Status: Valid, Labels: Labels{Precision: "fp4"}, Source: Source{File: "a"}, Checked: []Context{InRun}}
	read := &Result{ID: "x", Labels: Labels{Model: "m"}, Source: Source{File: "b"}, Checked: []Context{InJUnit}}
	read.Fail(JUnitFailure, "failed")
	both := Merge(old, read)
	if both.Valid() || both.Labels.Precision != "fp4" || both.Labels.Model != "m" || both.Source.File != "a" ||
		!slices.Equal(both.AlsoIn, []Source{{File: "b"}}) || !slices.Equal(both.Checked, []Context{InJUnit, InRun}) {
		t.Errorf("got %+v", both)
	}
	if again := Merge(both, old); again.Valid() {
		t.Error("a reading without results.xml takes back what results.xml said")
	}
	passed := &Result{ID: "x", Status: Valid, Checked: []Context{InJUnit}}
	if again := Merge(both, passed); !again.Valid() {
		t.Errorf("a later results.xml cannot correct the status: %+v", again.Reasons)
	}
}
