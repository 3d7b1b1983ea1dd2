package parse

import (
	"testing"
	"time"
)

func sample() *Result {
	return &Result{Rows: []Row{
		{Label: "Total requests", Text: "40", Line: 3},
		{Label: "Request throughput (req/s)", Text: "3.24", Line: 8},
		{Label: "Backend", Text: "sglang", Line: 9},
		{Label: "Mean TTFT (ms)", Text: "55.50", Line: 20},
	}}
}

// Golden hashes, computed with sha256sum over the text that the rule gives. They may never change, since stores hold them.
func TestIdentityGolden(t *testing.T) {
	const want = "2271d69ca1b656706ddfcbf88f6b780c8e5adbbfa171cb6ce9c34efd546c2ecf"
	if got := Identify(sample()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	dead := &Result{Rows: []Row{{Label: "Request throughput (req/s)", Text: "0.00"}}, Source: Source{Block: 1}}
	const wantDead = "5f0f01bbe577882de784686d0ef7b71bbdf94aed7debc562812ec426269f4c0b"
	if got := Identify(dead); got != wantDead {
		t.Errorf("got %s, want %s", got, wantDead)
	}
}

func TestIdentityCoversOnlyWhatWasPrinted(t *testing.T) {
	base := Identify(sample())
	one := 1
	id, _ := ParseTestID("aggr-k")
	same := map[string]func(*Result){
		"path":        func(r *Result) { r.Source = Source{File: "elsewhere", Member: "x", Block: 7, Line: 3} },
		"test":        func(r *Result) { r.TestID = id },
		"indices":     func(r *Result) { r.Server.Index, r.Client.Index = &one, &one },
		"time":        func(r *Result) { r.StartedAt = time.Unix(1, 0) },
		"job":         func(r *Result) { r.Job.Commit = "abc" },
		"lines":       func(r *Result) { r.Rows[0].Line = 99 },
		"zeros":       func(r *Result) { r.Rows[3].Text = "55.5" },
		"exponent":    func(r *Result) { r.Rows[3].Text = "5.55e1" },
		"letter case": func(r *Result) { r.Rows[3].Label = "mean ttft (MS)" },
		"blanks":      func(r *Result) { r.Rows[3].Label = "Mean  TTFT (ms)" },
		"text":        func(r *Result) { r.Rows[2].Text = "vllm" },
		"metrics":     func(r *Result) { Metrics().Measure(r, nil, nil) },
		"harness lines": func(r *Result) {
			Metrics().Measure(r, []Row{{Label: "P99 Per Iter Device Step Time (ms)", Text: "7.1"}}, nil)
		},
	}
	for name, change := range same {
		r := sample()
		change(r)
		if Identify(r) != base {
			t.Errorf("%s: the identity changes", name)
		}
	}
	different := map[string]func(*Result){
		"value":   func(r *Result) { r.Rows[3].Text = "55.51" },
		"sign":    func(r *Result) { r.Rows[3].Text = "-55.50" },
		"label":   func(r *Result) { r.Rows[3].Label = "P99 TTFT (ms)" },
		"order":   func(r *Result) { r.Rows[0], r.Rows[1] = r.Rows[1], r.Rows[0] },
		"row":     func(r *Result) { r.Rows = r.Rows[:3] },
		"cut off": func(r *Result) { r.Rows[3].Cut = true },
	}
	for name, change := range different {
		r := sample()
		change(r)
		if Identify(r) == base {
			t.Errorf("%s: the identity does not change", name)
		}
	}
}

func TestIdentityOfDeadClients(t *testing.T) {
	dead := func(test string, client, block int) string {
		id, _ := ParseTestID(test)
		r := &Result{TestID: id, Rows: []Row{{Label: "Failed requests", Text: "8"}, {Label: "Mean TTFT (ms)", Text: "0.00"}}}
		r.Client.Index, r.Source.Block = &client, block
		return Identify(r)
	}
	if dead("aggr-k", 0, 1) != dead("test_e2e[aggr-k]", 0, 1) {
		t.Error("the function changes the identity")
	}
	seen := map[string]bool{dead("aggr-k", 0, 1): true}
	for _, other := range []string{dead("aggr-l", 0, 1), dead("aggr-k", 1, 1), dead("aggr-k", 0, 2)} {
		if seen[other] {
			t.Error("two dead clients are one")
		}
		seen[other] = true
	}
}
