package devicestep

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// The expressions as the doc comment has them; VT is a blank of ASCII that Go's \s lacks.
func expression(text string) *regexp.Regexp {
	return regexp.MustCompile(strings.ReplaceAll(text, `\s`, `[\s\v]`))
}

var (
	rankForm     = expression(`global_rank\s*=\s*(\d+)`)
	tokensForm   = expression(`'num_generation_tokens':\s*(\d+)`)
	requestsForm = expression(`iter\s*=\s*(\d+),.*?num_scheduled_requests\s*=\s*(\d+)`)
	valueForm    = expression(`iter\s*=\s*(\d+),.*?prev_device_step_time\s*=\s*([\d.]+)\s*ms`)
)

func compareLine(t *testing.T, line []byte) {
	t.Helper()
	line = line[:firstLine(line)]
	one := func(take func([]byte) []byte) func([]byte) [][]byte {
		return func(line []byte) [][]byte { return [][]byte{take(line)} }
	}
	two := func(take func([]byte) ([]byte, []byte)) func([]byte) [][]byte {
		return func(line []byte) [][]byte { a, b := take(line); return [][]byte{a, b} }
	}
	for _, c := range []struct {
		form *regexp.Regexp
		take func([]byte) [][]byte
	}{{rankForm, one(rankOf)}, {tokensForm, one(tokensOf)}, {requestsForm, two(requestsOf)}, {valueForm, two(valueOf)}} {
		got, m := c.take(line), c.form.FindSubmatch(line)
		for i, g := range got {
			switch {
			case m == nil && g != nil, m != nil && g == nil, m != nil && !bytes.Equal(m[i+1], g):
				t.Fatalf("%q: %q, the expression %s gives %q", line, got, c.form, m)
			}
		}
	}
}

// pieces are what the expressions are made of, and what looks like it.
var pieces = []string{"iter", "iteriter", "max_iter", "it", "=", "=", " ", " ", "\t", "\v", "\f", "5", "07", ",", ",", ":", ".", "7.3", "1.2.3",
	"ms", "ms", "m", "s", "N/A", "prev_device_step_time", "prev_device_step_timeprev_device_step_time", "num_scheduled_requests", "global_rank",
	"'num_generation_tokens':", "'num_generation_tokens'", "tensor(", "\xff", "é", "iter = 6,", "prev_device_step_time = 8ms",
	"num_scheduled_requests = 0", "global_rank = 1", "'num_generation_tokens': 2"}

func TestExpressions(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		var line []byte
		for range r.IntN(14) {
			line = append(line, pieces[r.IntN(len(pieces))]...)
		}
		compareLine(t, line)
	}
}

func FuzzExpressions(f *testing.F) {
	f.Add([]byte("iter = 5, global_rank = 0, num_scheduled_requests = 1, prev_device_step_time = 7.3ms, 'num_generation_tokens': 256"))
	f.Add([]byte("max_iter=9 iter=\v5,prev_device_step_time=.ms prev_device_step_time=1"))
	f.Fuzz(func(t *testing.T, line []byte) { compareLine(t, line) })
}
