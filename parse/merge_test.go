package parse

import (
	"reflect"
	"testing"
)

// A CSV's reading adds what is not known and replaces nothing; the block's own reading replaces what the CSV said.
func TestMergeOfLesserReadings(t *testing.T) {
	clock := 1755.0
	block := &Result{ID: "x", Status: Failed, Reasons: []Reason{{FailedRequests, "1"}}, Checked: []Context{InRun}, Labels: Labels{Command: "aggr"},
		Rows:    []Row{{Label: "Mean TTFT (ms)", Text: "55.50"}},
		Metrics: Values{{"mean_ttft", Value{Value: 55.5, Text: "55.50", Line: 7}}}, Source: Source{File: "a.log"}}
	csv := &Result{ID: "x", Status: Valid, System: System{SMClockMHz: &clock}, Labels: Labels{Command: "cmd", Network: "n"},
		Metrics: Values{{"mean_itl", Value{Value: 1}}, {"mean_ttft", Value{Value: 55.5, Text: "55.5"}}}, Source: Source{File: "a.csv"}}
	for _, m := range []*Result{Merge(block, csv), Merge(csv, block)} {
		if m.Status != Failed || len(m.Reasons) != 1 || !reflect.DeepEqual(m.Checked, block.Checked) || m.Labels != (Labels{Command: "aggr", Network: "n"}) ||
			len(m.Rows) != 1 || m.Metrics.Get("mean_ttft") != block.Metrics.Get("mean_ttft") || m.Metrics.Get("mean_itl").Value != 1 || m.System.SMClockMHz == nil ||
			len(m.AlsoIn) != 1 {
			t.Errorf("%+v", m)
		}
	}
	if m := Merge(block, csv); m.Source != block.Source || m.AlsoIn[0] != csv.Source {
		t.Errorf("%+v %+v", m.Source, m.AlsoIn)
	}
}

// Digits that only a client's JSON has stay when the log is read again alone; another number does not.
func TestMergeKeepsDigits(t *testing.T) {
	reading := func(text string, value float64) *Result {
		return &Result{ID: "x", Rows: []Row{{}}, Metrics: Values{{"mean_ttft", Value{Value: value, Text: text}}}}
	}
	exact, printed, other := reading("55.50012", 55.50012), reading("55.50", 55.5), reading("55.51", 55.51)
	for _, c := range []struct {
		old, read *Result
		want      string
	}{{exact, printed, "55.50012"}, {printed, exact, "55.50012"}, {exact, other, "55.51"}, {other, printed, "55.50"}} {
		if got := Merge(c.old, c.read).Metrics.Get("mean_ttft").Text; got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
