package parse

import (
	"math/big"
	"strconv"
	"strings"
	"testing"
)

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		text, canonical string
		value           float64
	}{
		{"55.50", "55.5", 55.5},
		{"0.00", "0", 0},
		{"-0.00", "0", 0},
		{"007", "7", 7},
		{"+1.0", "1", 1},
		{"-12.340", "-12.34", -12.34},
		{"1e-05", "0.00001", 1e-05},
		{"1.2e+07", "12000000", 1.2e7},
		{"3.680275266452667e+18", "3680275266452667000", 3.680275266452667e18},
		{"182.8588064724305", "182.8588064724305", 182.8588064724305},
		{"12E1", "120", 120},
	} {
		value, canonical, ok := ParseNumber(c.text)
		if !ok || canonical != c.canonical || value != c.value {
			t.Errorf("%q: got %v %q %v, want %v %q", c.text, value, canonical, ok, c.value, c.canonical)
		}
	}
	for _, text := range []string{"", "nan", "inf", "-inf", "xxx", "XX", "...", "---", "-", "N/A", "20/20", "1/1", "not set", "2,352", "1.2.3",
		".", ".5", "5.", "2...", "99.0%", "1e", "1e999999999999", "1e5000", "0x10", "1_000", "１２", " 1", "1 ", "ttft:18", "1e400",
		strings.Repeat("9", 5000)} {
		if v, canonical, ok := ParseNumber(text); ok {
			t.Errorf("%.30q is taken for %v %.30q", text, v, canonical)
		}
	}
}

// The canonical decimal must have exactly the printed value; math/big is the judge.
func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"1", "-0.00", "1e-05", "12.340", "1e10", "000.1E+2", "182.858806472430", "99999999999999.9", "0.0000000000001", "0.00000000000000000000000000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		value, canonical, ok := ParseNumber(s)
		if plain, isPlain := PlainNumber(s); isPlain && (!ok || plain != value) {
			t.Fatalf("%q: %v in one pass, else %v (%v)", s, plain, value, ok)
		}
		if !ok {
			return
		}
		if exact, err := strconv.ParseFloat(s, 64); err != nil || value != exact {
			t.Fatalf("%q is %v, not %v", s, value, exact)
		}
		if plain, ok := plainDecimal(s); ok && (plain != canonical || (plain == "0") != (value == 0)) {
			t.Fatalf("%q: plain %q, canonical %q, value %v", s, plain, canonical, value)
		}
		want, valid := new(big.Rat).SetString(s)
		got, _ := new(big.Rat).SetString(canonical)
		if !valid || got == nil || got.Cmp(want) != 0 {
			t.Fatalf("%q became %q", s, canonical)
		}
		if _, again, ok := ParseNumber(canonical); !ok || again != canonical {
			t.Fatalf("%q: canonical %q is not its own canonical form (%q)", s, canonical, again)
		}
		if strings.ContainsAny(canonical, "eE+") {
			t.Fatalf("%q became %q", s, canonical)
		}
	})
}
