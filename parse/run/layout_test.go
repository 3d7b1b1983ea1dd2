package run

import (
	"regexp"
	"regexp/syntax"
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
			if text == "" && !(begin.none && end.none) || text != "" && !(begin.has[text[0]] && end.has[text[len(text)-1]]) {
				t.Errorf("%q: the edges lack those of %q", expr, text)
			}
		}
	}
	if begin := edge(&syntax.Regexp{Op: syntax.OpLiteral, Rune: []rune("ab")}, false); begin.has['b'] || !begin.has['a'] {
		t.Error("a text's beginning is any of its bytes")
	}
}

// What is looked at before a rule's expression changes nothing.
func FuzzPlaceOf(f *testing.F) {
	for _, name := range []string{"trtllm-benchmark.0.1.log", "install.log", "x.launch", "results.xml", "a.tar", "GEN_0.txt.x.tmp", "gen_server_3.log", "x.db-wal", "slurm-1.out"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" {
			return
		}
		want := -1
		for i, r := range layout {
			if r.pattern().MatchString(name) {
				want = i
				break
			}
		}
		if got := placeOf(name); want >= 0 && got.reason != layout[want].reason || want < 0 && got.kind != unknownFile {
			t.Errorf("%q: %+v, and rule %d fits", name, got, want)
		}
	})
}
