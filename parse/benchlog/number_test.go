package benchlog

import (
	"regexp"
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

// It finds what the expression finds.
func FuzzNumberMatcher(f *testing.F) {
	f.Add("My Metric 1 (units):   -7.5 My Metric 1 (units): 8", "loaded in 1.2.3 s loaded in 4 s")
	f.Add("xx12 x 5 x\t-6 aa: -5ms aaa:  77ms", "a-5a a5a aa:\u00a05ms")
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, expr := range append(numberForms, `x(\d+)\.`, one) {
			m := compileNumber(expr)
			if m == nil {
				continue
			}
			re := regexp.MustCompile(expr)
			for _, line := range []string{one, two, one + two} {
				want := re.FindStringSubmatch(line)
				got, ok := m.match([]byte(line))
				if ok != (want != nil) || ok && string(got) != want[1] {
					t.Errorf("%s in %q: %q %v, want %q", expr, line, got, ok, want)
				}
			}
		}
	})
}
