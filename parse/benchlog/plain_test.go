package benchlog_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/benchlog"
)

// never is an expression that matches in no log. With expressions of the user's own a scanner looks at each line closely.
func never(t testing.TB) *benchlog.Expressions {
	t.Helper()
	table, err := parse.Metrics().With([]parse.Metric{{Name: "own", Expr: regexp.MustCompile("no log ever holds this"), Place: parse.InLog, Direction: parse.Neutral}})
	if err != nil {
		t.Fatal(err)
	}
	return benchlog.Compile(table)
}

// told is all that a scanner tells of a log.
func told(t testing.TB, log []byte, e *benchlog.Expressions) string {
	t.Helper()
	s := benchlog.NewScanner(bytes.NewReader(log), e)
	var text strings.Builder
	encode := func(v any) {
		if err := json.NewEncoder(&text).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	for s.Scan() {
		encode(s.Block())
	}
	encode([]any{s.Notes(), s.Summary(), s.Err()})
	return text.String()
}

// The short way for plain lines gives what a close look gives: on the corpus, and with bytes of it changed.
func TestPlainLines(t *testing.T) {
	logs, err := filepath.Glob(filepath.Join(corpus(t), "logs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	const odd = "\r\n\x1b\x00 =:!-[0:3\t\xc2\xa0`Az"
	close := never(t)
	r := rand.New(rand.NewPCG(7, 7))
	for _, path := range logs {
		log, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := told(t, log, nil), told(t, log, close); got != want {
			t.Fatalf("%s:\n%s\nnot\n%s", path, got, want)
		}
		header := bytes.Index(log, []byte("Serving Benchmark Result"))
		if header < 0 {
			continue
		}
		log = log[max(0, header-100):min(len(log), header+4000)]
		for range 200 {
			changed := bytes.Clone(log)
			for range 1 + r.IntN(8) {
				at := r.IntN(len(changed))
				changed[at] = odd[r.IntN(len(odd))]
			}
			if got, want := told(t, changed, nil), told(t, changed, close); got != want {
				t.Fatalf("%s, changed to\n%q\n%s\nnot\n%s", path, changed, got, want)
			}
		}
	}
}

func FuzzPlain(f *testing.F) {
	header := "============ Serving Benchmark Result ============\n"
	for _, rows := range []string{"Mean TTFT (ms):                          5.50\n---------------\nBackend: vllm\n", "Mean TTFT (ms): 5\r\nP99 ITL (ms): 7",
		"Backend: vllm\nlog: " + header + "Mean TTFT (ms): 7\nx = STATISTICS\n====================\nMean ITL (ms): 7\n",
		"Backend:  a  b\nTime Breakdown x mean (ms): 5\n=====\n"} {
		f.Add([]byte(header + rows + strings.Repeat("=", 50) + "\n"))
		f.Add([]byte("> " + header + "> " + rows))
		f.Add([]byte(header + rows + strings.Repeat("=", 50) + "\n" + header + rows + header + rows))
	}
	close := never(f)
	f.Fuzz(func(t *testing.T, log []byte) {
		if got, want := told(t, log, nil), told(t, log, close); got != want {
			t.Errorf("%s\nnot\n%s", got, want)
		}
	})
}

// The first form that a block's rows have, in the order of the forms, tells the framework, whatever the order of the rows.
func TestForms(t *testing.T) {
	for _, c := range []struct {
		labels []string
		want   string
	}{
		{[]string{"Failed requests", "Total requests"}, "TensorRT-LLM"},
		{[]string{"Failed requests", "Accept length"}, "SGLang"},
		{[]string{"Failed requests", "Mean TTFT (ms)"}, "vLLM"},
		{[]string{"Mean TTFT (ms)"}, ""},
		{[]string{"SLO attainment (%)"}, "SGLang"},
	} {
		for range 2 {
			log := "============ Serving Benchmark Result ============\n" + strings.Join(c.labels, ": 5\n") + ": 5\n"
			s := benchlog.NewScanner(strings.NewReader(log), nil)
			if !s.Scan() || s.Block().Framework != c.want {
				t.Errorf("%q: %+v, want %q", c.labels, s.Block(), c.want)
			}
			slices.Reverse(c.labels)
		}
	}
}
