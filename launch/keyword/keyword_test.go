package keyword_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/launch/keyword"
)

func TestMatch(t *testing.T) {
	names := keyword.Names("perf/test_perf_sanity.py::test_e2e[aggr_upload-DeepSeek_r1-tp4_1k1k]")
	for expression, want := range map[string]bool{
		"":                             true,
		"  ":                           true,
		"deepseek":                     true,
		"DEEPSEEK and not fp8":         true,
		"deepseek or absent":           true,
		"not (perf or absent)":         false,
		"test_e2e[aggr_upload":         true,
		"sanity.py":                    true,
		"perf/test":                    false, // each name on its own
		"True":                         false,
		"not False":                    true,
		"a and absent or tp4":          true,
		"not not tp4":                  true,
		"tp4_1k1k]":                    true,
		"deepseek or called(x=1)":      true,
		"absent and called(x='quote')": false,
	} {
		e, err := keyword.Parse(expression)
		if err != nil {
			t.Errorf("%q: %v", expression, err)
			continue
		}
		if got, err := e.Match(names); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", expression, got, err, want)
		}
	}
}

func TestNames(t *testing.T) {
	for id, want := range map[string][]string{
		"perf/test_a.py::test_e2e[a::b/c[d]]":   {"perf", "test_a.py", "test_e2e[a::b/c[d]]"},
		"test_a.py::TestX::TestY::test_one":     {"test_a.py", "TestX", "TestY", "test_one"},
		"a/b/test_a.py":                         {"a", "b", "test_a.py"},
		"perf/test_a.py::test_e2e[aggr-k-a, b]": {"perf", "test_a.py", "test_e2e[aggr-k-a, b]"},
	} {
		if got := keyword.Names(id); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}

func TestSyntaxError(t *testing.T) {
	for expression, want := range map[string]string{
		"a b":          "a b: at column 3: expected end of input; got identifier",
		"  a b":        "a b: at column 3: expected end of input; got identifier",
		"(a":           "at column 3: expected right parenthesis; got end of input",
		"'aggr-k'":     "at column 1: expected not OR left parenthesis OR identifier; got string literal",
		"a and":        "at column 6: expected not OR left parenthesis OR identifier; got end of input",
		"dep:16%":      `at column 7: unexpected character "%"`,
		"ü and ,":      "at column 7: expected not OR left parenthesis OR identifier; got ,",
		"a(x=1, x=2)":  "repeated: x",
		"a(class=1)":   "at column 3: unexpected reserved python keyword `class`",
		"a(b=c)":       `at column 5: unexpected character/s "c"`,
		"a(b-c=1)":     "at column 3: not a valid python identifier b-c",
		"a(b=\"c\\\")": `at column 7: escaping with "\" not supported`,
	} {
		_, err := keyword.Parse(expression)
		var syntax *keyword.SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", expression, err, want)
		}
	}
}

// testFiles is a tree whose tests get their ids from the comparison.
var testFiles = map[string]string{
	"pytest.ini":                  "[pytest]\n",
	"perf/test_perf_sanity.py":    "def test_e2e(case):\n    pass\n",
	"perf/deep/test_enhanced.py":  "class TestDeep:\n    def test_more(self, case):\n        pass\n\n    def test_plain(self):\n        pass\n",
	"perf/pack/__init__.py":       "",
	"perf/pack/test_in_pack.py":   "def test_plain():\n    pass\n",
	"test_top.py":                 "class TestOuter:\n    class TestInner:\n        def test_x(self, case):\n            pass\n",
	"Übergröße/test_unicode_ü.py": "def test_ü(case):\n    pass\n",
}

// TestAgainstPytest compares with pytest itself, on expressions and ids made at random: the same names of each test, the same tests
// selected, the same errors with the same words.
func TestAgainstPytest(t *testing.T) {
	bin, err := exec.Command("../../testdata/pytest/venv.sh").Output()
	if err != nil {
		if os.Getenv("TRTPERF_REQUIRE_SERVICES") == "1" {
			t.Fatalf("no pytest: %v", err)
		}
		t.Skipf("no pytest: %v", err)
	}
	rng := rand.New(rand.NewPCG(7, 20260914))
	ask := struct {
		IDs         map[string][]string `json:"ids"`
		Expressions []string            `json:"expressions"`
	}{IDs: map[string][]string{}}
	var all []string
	for _, function := range []string{"test_e2e", "test_more", "test_x", "test_ü"} {
		seen := map[string]bool{}
		for len(ask.IDs[function]) < 25 {
			if id := randomID(rng); !seen[id] {
				seen[id] = true
				ask.IDs[function] = append(ask.IDs[function], id)
			}
		}
		all = append(all, ask.IDs[function]...)
	}
	expressions := 1000
	if os.Getenv("TRTPERF_SOAK") == "1" {
		expressions = 100_000
	}
	for range expressions {
		ask.Expressions = append(ask.Expressions, randomExpression(rng, all))
	}

	dir := t.TempDir()
	for name, text := range testFiles {
		path := filepath.Join(dir, "tests", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ask.json"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	plugins, err := filepath.Abs("../../testdata/pytest")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(strings.TrimSpace(string(bin)), "pytest"), "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "keywords",
		"-W", "ignore", ".")
	command.Dir = filepath.Join(dir, "tests")
	command.Env = append(os.Environ(), "PYTHONPATH="+plugins, "PYTHONDONTWRITEBYTECODE=1", "PYTEST_ADDOPTS=", "PYTHONUTF8=1",
		"KEYWORDS_ASK="+filepath.Join(dir, "ask.json"), "KEYWORDS_ANSWER="+filepath.Join(dir, "answer.json"))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("pytest: %v\n%s", err, out)
	}
	var answer struct {
		Tests []struct {
			ID    string
			Names []string
		}
		Answers []json.RawMessage
	}
	text, err = os.ReadFile(filepath.Join(dir, "answer.json"))
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil || len(answer.Tests) != 4*25+2 || len(answer.Answers) != expressions {
		t.Fatalf("pytest answered with %d tests and %d answers: %v", len(answer.Tests), len(answer.Answers), err)
	}
	var names [][]string
	for _, test := range answer.Tests {
		got := keyword.Names(test.ID)
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, test.Names) {
			t.Errorf("%s: names %q, pytest has %q", test.ID, got, test.Names)
		}
		names = append(names, test.Names)
	}
	refused, partly := 0, 0
	for i, expression := range ask.Expressions {
		got := ours(expression, names)
		var selected []int
		var message string
		if err := json.Unmarshal(answer.Answers[i], &selected); err != nil {
			if err := json.Unmarshal(answer.Answers[i], &message); err != nil {
				t.Fatal(err)
			}
			refused++
		}
		if n := len(selected); n > 0 && n < len(names) {
			partly++
		}
		want := fmt.Sprint(selected)
		switch {
		case strings.HasPrefix(message, "internal: "):
			if !strings.HasPrefix(got, "Wrong expression") {
				t.Errorf("%q: got %s, pytest fails with %s", expression, got, message)
			}
			continue
		case message != "":
			want = message
		}
		if got != want {
			t.Errorf("%q: got %s, pytest says %s", expression, got, want)
		}
	}
	// A comparison in which all are refused, or all are selected, would show nothing.
	if refused < expressions/10 || partly < expressions/5 {
		t.Errorf("%d refused and %d that part the tests: the expressions show too little", refused, partly)
	}
}

// ours is what this package answers, in the form of pytest's answers.
func ours(expression string, names [][]string) string {
	e, err := keyword.Parse(expression)
	if err != nil {
		return err.Error()
	}
	var selected []int
	for i, n := range names {
		fits, err := e.Match(n)
		if err != nil {
			return err.Error()
		}
		if fits {
			selected = append(selected, i)
		}
	}
	return fmt.Sprint(selected)
}

var words = []string{"aggr", "aggr_upload", "disagg_upload", "e2e", "gen_only", "ctx_only", "deepseek", "DeepSeek", "r1", "fp4", "fp8", "tp4", "dep8", "1k1k",
	"ccb", "UCX", "NIXL", "k2", "mtp3", "blackwell", "True", "False", "None", "bs768"}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

func randomID(rng *rand.Rand) string {
	var parts []string
	for range 2 + rng.IntN(5) {
		parts = append(parts, pick(rng, words))
	}
	id := strings.Join(parts, pick(rng, []string{"-", "_", "-", ":", ","}))
	if rng.IntN(8) == 0 {
		id += pick(rng, []string{"[x]", "[", "]", "\\", " b", "%", "::c", "/d", "=1"})
	}
	return id
}

// randomExpression is a random sentence of the grammar; some are then broken.
func randomExpression(rng *rand.Rand, ids []string) string {
	blank := func() string { return pick(rng, []string{" ", " ", " ", "  ", "\t"}) }
	var sentence func(depth int) string
	sentence = func(depth int) string {
		switch n := rng.IntN(10); {
		case depth == 0 || n < 4:
			switch rng.IntN(12) {
			case 0: // a piece of an id
				id := []rune(pick(rng, ids))
				from := rng.IntN(len(id))
				return string(id[from : from+1+rng.IntN(len(id)-from)])
			case 1:
				return pick(rng, []string{"perf", "TEST_E2E", "TestDeep", "testinner", "test_top.py", "pack", "deep", "übergrösse", "ÜBERGRÖ", "sanity", "tests", "."})
			case 2:
				return pick(rng, words) + pick(rng, []string{"(x=1)", "(x='y')", "(x=True, y=-2)", "(x=y)", "()", "(class=1)", "(x=1,x=2)", "(2=3)", "(x=²)", "(x='a\\')",
					`(x="y z")`, "(x=1", "(x 1)", "(x=-)", "(x=٣)", "(__debug__=1)", "(x=None)"})
			}
			w := pick(rng, words)
			if rng.IntN(3) == 0 {
				w = w[:1+rng.IntN(len(w))]
			}
			return w
		case n < 6:
			return sentence(depth-1) + blank() + "and" + blank() + sentence(depth-1)
		case n < 8:
			return sentence(depth-1) + blank() + "or" + blank() + sentence(depth-1)
		case n < 9:
			return "not" + blank() + sentence(depth-1)
		}
		return "(" + sentence(depth-1) + ")"
	}
	s := []rune(pick(rng, []string{"", "", "", " ", "\n\t"}) + sentence(rng.IntN(5)))
	if rng.IntN(4) == 0 && len(s) > 0 {
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(s) + 1)
			switch junk := []rune(pick(rng, []string{"(", ")", "'", `"`, `\`, "=", ",", "%", "#", " ", "not ", " and ", "\n", "é", "\u00a0", "²", "*", "|", "AND"})); rng.IntN(3) {
			case 0:
				s = slices.Delete(s, min(at, len(s)-1), min(at+1, len(s)))
				if len(s) == 0 {
					return ""
				}
			default:
				s = slices.Insert(s, at, junk...)
			}
		}
	}
	return string(s)
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a and not (b or c)", "a(b='c', d=-1)", "'", "not", "((((", "\\ 'x'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := keyword.Parse(text)
		if err != nil {
			var syntax *keyword.SyntaxError
			if !errors.As(err, &syntax) || syntax.Column < 1 || syntax.Column > len([]rune(text))+1 {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if _, err := e.Match([]string{"perf", "test_a.py", "test_e2e[x]"}); err != nil && !errors.Is(err, keyword.ErrArguments) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
