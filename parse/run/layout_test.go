package run

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// What is looked at before a rule's expression changes nothing.
func TestPlaceOf(t *testing.T) {
	names := []string{"trtllm-benchmark.0.1.log", "trtllm-serve.CTX_0.node.error.log", "install.log", "x.launch", "results.xml", "a.tar", "GEN_0.txt.x.tmp",
		"gen_server_3.log", "x.db-wal", "slurm-1.out", "output_workers.log", "perf_data.yaml", "session_properties.csv", "accuracy_eval_x.log"}
	r := rand.New(rand.NewPCG(5, 5))
	for range 3000 {
		name := []byte(names[r.IntN(len(names))])
		for range r.IntN(3) {
			at := r.IntN(len(name))
			name = slices.Replace(name, at, at+r.IntN(2), "abglx.0_"[r.IntN(8)])
		}
		want := slices.IndexFunc(layout, func(rule compiledRule) bool { return rule.pattern().Match(name) })
		if got := placeOf(string(name)); want >= 0 && got.reason != layout[want].reason || want < 0 && got.kind != unknownFile {
			t.Errorf("%q: %+v, and rule %d fits", name, got, want)
		}
	}
}
