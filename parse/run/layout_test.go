package run

import (
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"testing"
)

// An expression matches no text that begins or ends with a byte which its edges lack.
func TestEdge(t *testing.T) {
	for expr, texts := range map[string][]string{
		`a|bc`: {"a", "bc"}, `x?(y|z*)w`: {"xyw", "zzw", "w"}, `(?i)abc`: {"ABC", "abc"}, `[^a]+\.log`: {"é.log"}, `.*(-x)?`: {"", "-x", "q"}, `é+`: {"éé"},
		`a{2,3}`: {"aaa"}, `(CTX|GEN)_\d+\.txt(\..*\.tmp)?`: {"CTX_1.txt", "GEN_2.txt.a.tmp"}, `^a$`: {"a"},
	} {
		tree, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		begin, end := edge(tree, false), edge(tree, true)
		for _, text := range texts {
			if !regexp.MustCompile(`^(?:` + expr + `)$`).MatchString(text) {
				t.Fatalf("%q does not match %q", expr, text)
			}
			if text == "" && (!begin.none || !end.none) || text != "" && (!begin.has[text[0]] || !end.has[text[len(text)-1]]) {
				t.Errorf("%q: the edges lack those of %q", expr, text)
			}
		}
	}
	if begin := edge(&syntax.Regexp{Op: syntax.OpLiteral, Rune: []rune("ab")}, false); begin.has['b'] || !begin.has['a'] {
		t.Error("a text's beginning is any of its bytes")
	}
}

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
