package benchlog

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var numberForms = []string{`My Metric 1 \(units\):\s+(-?[\d\.]+)`, `loaded in ([\d.]+) s`, `x(\d+)`, `x\s*(\d+)`, `aa:\s+(-?\d+)ms`, `a(-?[0-9]+)a`}

// The common form is taken for what it is, and others are not.
func TestCompileNumber(t *testing.T) {
	for _, expr := range numberForms {
		if compileNumber(expr) == nil {
			t.Errorf("%s is not taken", expr)
		}
	}
	for _, expr := range []string{`(\d+)`, `x`, `x(\d*)`, `x(\d+?)`, `x(\d)`, `x(\d+)5`, `x(\d+)\.`, `(?i)x(\d+)`, `x(a|\d+)`, `x[ ]+(\d+)`, `^x(\d+)`, `x(\d+)$`, `x(\d+)(y)`, `(x)(\d+)`,
		`x(\w+)`, `x([\d,]+)`, `(`} {
		if m := compileNumber(expr); m != nil && expr != `x(\d+)\.` {
			t.Errorf("%s is taken", expr)
		}
	}
}

var fixedForms = []string{`error`, `POST (/v1/completions)`, `a(b)(c)d`, `(x)`, `\(core dumped\)`}

func TestCompileFixed(t *testing.T) {
	for _, expr := range fixedForms {
		if compileFixed(expr) == nil {
			t.Errorf("%s is not taken", expr)
		}
	}
	for _, expr := range []string{`(?i)error`, `a|b`, `a.`, `a(b(c))`, `a?`, `a(b*)`, `^a`, "a\ufffd", `(`} {
		if compileFixed(expr) != nil {
			t.Errorf("%s is taken", expr)
		}
	}
}

// taskLabel is what splitTask does, as an expression.
var taskLabel = regexp.MustCompile(`^(?: *(\d{1,7}):(?: |$)|\[(?:[\w.-]+@)?(\d+,\d+)\]<std(?:out|err|diag)>: ?)`)

// What stands in for an expression finds what the expression finds.
func FuzzMatchers(f *testing.F) {
	f.Add("My Metric 1 (units):   -7.5 My Metric 1 (units): 8", "loaded in 1.2.3 s loaded in 4 s")
	f.Add("xx12 x 5 x\t-6 aa: -5ms aaa:  77ms", "a-5a a5a aa:\u00a05ms")
	f.Add("error (core dumped)", "abcd x POST /v1/completions")
	f.Add(`a(b)c`, "xabc")
	f.Add("  007: x", "[n-1.x@1,23]<stderr>: x")
	f.Add("[1,0]<stdout>:", "12345678: x")
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, line := range []string{one, two, one + two, two + one} {
			for _, expr := range slices.Concat(numberForms, fixedForms, []string{`x(\d+)\.`, one}) {
				var got string
				var ok bool
				if m := compileNumber(expr); m != nil {
					number, found := m.match([]byte(line))
					got, ok = string(number), found
				} else if m := compileFixed(expr); m != nil {
					got, ok = m.group, strings.Contains(line, string(m.whole))
				} else {
					continue
				}
				want := regexp.MustCompile(expr).FindStringSubmatch(line)
				if ok != (want != nil) || ok && got != want[min(1, len(want)-1)] {
					t.Errorf("%s in %q: %q %v, want %q", expr, line, got, ok, want)
				}
			}
			task, n := splitTask([]byte(line))
			wantTask, wantLength := "", 0
			if m := taskLabel.FindStringSubmatch(line); m != nil {
				if wantTask, wantLength = m[2], len(m[0]); m[1] != "" {
					if wantTask = strings.TrimLeft(m[1], "0"); wantTask == "" {
						wantTask = "0"
					}
				}
			}
			if task != wantTask || n != wantLength {
				t.Errorf("%q: task %q in %d bytes, want %q in %d", line, task, n, wantTask, wantLength)
			}
		}
	})
}
