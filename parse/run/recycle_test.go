package run_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/run"
)

// Results that are made in the memory of others are the same, and what a copy has beside rows and metrics stays.
func TestRecycle(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		log := ""
		for j := range i + 1 {
			log += fmt.Sprintf("Namespace(model='a-fp8', num_prompts=%d, max_concurrency=%d)\n============ Serving Benchmark Result ============\n"+
				"Successful requests: %d\nMax request concurrency: %d\nRequest throughput (req/s): %d.5\n", 10+j, i+1, 9+j, i+1, 100*i+j)
			for k := range 3 * (i % 20) { // more than there is room for, too
				log += fmt.Sprintf("P%d TTFT (ms): %d\n", 41+k, i+j+k)
			}
			log += "==================================================\n"
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.log", i)), []byte(log), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{dir, runs, "../../testdata/logs"}
	all := func(recycle bool) (texts []string, kept []parse.Result) {
		for range 3 {
			for r := range run.Read(context.Background(), paths, run.Options{Table: parse.Metrics()}) {
				text, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, string(text))
				for _, x := range r.Results {
					light := *x
					light.Rows, light.Metrics = nil, nil
					kept = append(kept, light)
				}
				if recycle {
					r.Recycle()
				}
			}
		}
		return texts, kept
	}
	want, wantKept := all(false)
	got, gotKept := all(true)
	if len(got) != len(want) || len(gotKept) != len(wantKept) || len(want) < 60 {
		t.Fatalf("%d runs and %d results, want %d and %d", len(got), len(gotKept), len(want), len(wantKept))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("run %d:\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
	for i := range wantKept {
		got, _ := json.Marshal(gotKept[i])
		if want, _ := json.Marshal(wantKept[i]); string(got) != string(want) {
			t.Fatalf("copy %d:\n%s\nwant\n%s", i, got, want)
		}
	}
}
