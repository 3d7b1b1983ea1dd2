// Package storetest is the test suite that every store passes.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
)

// Opened is a store under test with a way to look into it that does not go through the store's own code for writing.
type Opened struct {
	upload.Store
	// Count returns the number of documents or rows for Results.
	Count func(t *testing.T) int
	// Field returns what the store holds of a Result: "valid" is "true" or "false", "model" the model's name, "gpu" the GPU's, and
	// any metric's name its value in plain decimals. Empty is absent.
	Field func(t *testing.T, id, field string) string
	// ValidOnly says that the store cannot hold that a Result is failed: one that turns out to be is taken out, and since nothing of it is
	// left, a reading from elsewhere that knows less brings it back.
	ValidOnly bool
	// Replaces says that a Result that is sent again takes the place of what was there, unseen: the store cannot say that it was there already, and
	// what another outbox knew better is lost.
	Replaces bool
}

// again is the outcome of a Result that the store has already.
func (o Opened) again() parse.Outcome {
	if o.Replaces {
		return parse.Stored
	}
	return parse.Present
}

// Result makes a valid Result; n tells Results apart.
func Result(n int) *parse.Result {
	r := &parse.Result{
		Mode: parse.SingleAgg, Role: parse.Benchmark,
		Labels: parse.Labels{Network: "net", Framework: "TensorRT-LLM"},
		Source: parse.Source{File: fmt.Sprintf("/logs/%d.log", n), Block: 1, Line: 1, EndLine: 4},
		Rows: []parse.Row{
			{Label: "Total requests", Text: "40", Line: 2},
			{Label: "Successful requests", Text: "40", Line: 2},
			{Label: "Benchmark duration (s)", Text: "12.35", Line: 3},
			{Label: "Request throughput (req/s)", Text: fmt.Sprintf("%d.25", n+1), Line: 3},
			{Label: "Mean TTFT (ms)", Text: "55.50", Line: 4},
			{Label: "Median E2EL (ms)", Text: "2345.67", Line: 4},
		},
		Client:  parse.Client{Concurrency: new(8)},
		EndedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
	}
	r.TestID, _ = parse.ParseTestID(fmt.Sprintf("aggr_upload-k-s%d", n))
	table := parse.Metrics()
	table.Measure(r, nil, nil)
	parse.Judge(table, r, false, false)
	r.ID = parse.Identify(r)
	return r
}

// put sends Results and returns the outcomes; a store may first want to be asked again.
func put(t *testing.T, s upload.Store, items ...upload.Item) []parse.Outcome {
	t.Helper()
	outcomes := make([]parse.Outcome, len(items))
	for range 20 {
		answers, err := s.Put(context.Background(), items)
		if err != nil || len(answers) != len(items) {
			t.Fatalf("%d answers for %d items, error %v", len(answers), len(items), err)
		}
		again := false
		for i, a := range answers {
			outcomes[i] = a.Outcome
			again = again || a.Outcome == parse.Owed
			if a.Outcome == parse.Refused {
				t.Logf("refused: %s", a.Reason)
			}
		}
		if !again {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return outcomes
}

func item(r *parse.Result) upload.Item { return upload.Item{Result: r} }

func want(t *testing.T, got []parse.Outcome, want ...parse.Outcome) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("outcomes %v, want %v", got, want)
	}
}

// Run runs the suite. Open gives a new and empty store for each test.
func Run(t *testing.T, open func(t *testing.T) Opened) {
	t.Run("once", func(t *testing.T) {
		s := open(t)
		want(t, put(t, s, item(Result(1)), item(Result(2))), parse.Stored, parse.Stored)
		if n := s.Count(t); n != 2 {
			t.Errorf("%d documents", n)
		}
		id := Result(1).ID
		for field, text := range map[string]string{"valid": "true", "seq_throughput": "2.25", "mean_ttft": "55.5", "model": "", "p99_ttft": ""} {
			if got := s.Field(t, id, field); got != text {
				t.Errorf("%s is %q, want %q", field, got, text)
			}
		}
	})
	t.Run("nothing", func(t *testing.T) {
		s := open(t)
		want(t, put(t, s))
		if n := s.Count(t); n != 0 {
			t.Errorf("%d documents", n)
		}
	})
	t.Run("twice", func(t *testing.T) {
		s := open(t)
		want(t, put(t, s, item(Result(1))), parse.Stored)
		want(t, put(t, s, item(Result(1)), item(Result(2))), s.again(), parse.Stored)
		if n := s.Count(t); n != 2 {
			t.Errorf("%d documents", n)
		}
	})
	t.Run("added field", func(t *testing.T) {
		s := open(t)
		if s.Replaces {
			t.Skip("the store replaces what was there")
		}
		first := Result(1)
		first.System.GPU = "B200"
		put(t, s, item(first))
		second := Result(1)
		second.Labels.Model = "model-x"
		want(t, put(t, s, item(second)), parse.Stored)
		if gpu, model := s.Field(t, first.ID, "gpu"), s.Field(t, first.ID, "model"); gpu != "B200" || model != "model-x" {
			t.Errorf("gpu %q, model %q", gpu, model)
		}
		if n := s.Count(t); n != 1 {
			t.Errorf("%d documents", n)
		}
	})
	t.Run("now failed", func(t *testing.T) {
		s := open(t)
		put(t, s, item(Result(1)))
		failed := Result(1)
		failed.Checked = []parse.Context{parse.InJUnit}
		failed.Fail(parse.JUnitFailure, "the test failed")
		want(t, put(t, s, item(failed)), parse.Stored)
		if s.ValidOnly {
			if n := s.Count(t); n != 0 {
				t.Errorf("%d documents: the failed one stands there as if it were valid", n)
			}
			// Its outbox may ask again, where the answer was lost; another one asks for what cannot be.
			want(t, put(t, s, upload.Item{Result: failed, Delivered: true}), parse.Present)
			want(t, put(t, s, item(failed)), parse.Refused)
		} else {
			if got := s.Field(t, failed.ID, "valid"); got != "false" {
				t.Errorf("valid is %q", got)
			}
			if s.Replaces {
				return
			}
			// A reading that has no results.xml does not take that back.
			put(t, s, item(Result(1)))
			if got := s.Field(t, failed.ID, "valid"); got != "false" {
				t.Errorf("valid is %q after a reading that knows less", got)
			}
		}
		// One that has it does.
		passed := Result(1)
		passed.Checked = []parse.Context{parse.InJUnit}
		want(t, put(t, s, item(passed)), parse.Stored)
		if got := s.Field(t, failed.ID, "valid"); got != "true" {
			t.Errorf("valid is %q after a better reading", got)
		}
	})
	t.Run("same twice in a batch", func(t *testing.T) {
		s := open(t)
		got := put(t, s, item(Result(1)), item(Result(1)))
		if got[0] != parse.Stored || got[1] != parse.Present && got[1] != parse.Stored || s.Count(t) != 1 {
			t.Errorf("outcomes %v, %d documents", got, s.Count(t))
		}
	})
	t.Run("many", func(t *testing.T) {
		s := open(t)
		var items []upload.Item
		for n := range 1500 {
			items = append(items, item(Result(n)))
		}
		for i, o := range put(t, s, items...) {
			if o != parse.Stored {
				t.Fatalf("item %d: %s", i, o)
			}
		}
		if n := s.Count(t); n != 1500 {
			t.Errorf("%d documents", n)
		}
		if got := s.Field(t, Result(1499).ID, "seq_throughput"); got != "1500.25" {
			t.Errorf("the last one has %q", got)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		s := open(t)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := s.Put(ctx, []upload.Item{item(Result(1))}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if n := s.Count(t); n != 0 {
			t.Errorf("%d documents", n)
		}
	})
}
