package devicestep

import (
	"bytes"
	"testing"
)

// What is kept of a line that goes on behind a text.
func TestRest(t *testing.T) {
	x := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	matters := append([]byte("iter = 5, "), word...)
	for name, c := range map[string]struct {
		text []byte
		rest int
	}{
		"a line that matters":     {matters, len(matters)},
		"all that may be one":     {x(longest), longest},
		"too long to be one":      {x(longest + 1), len(word) - 1},
		"one, up to the longest":  {append(bytes.Clone(matters), x(longest-len(matters))...), longest},
		"one that is too long":    {append(bytes.Clone(matters), x(longest)...), 0},
		"the last line alone":     {append(x(longest+1), "\nab"...), 2},
		"nothing of a whole line": {append(bytes.Clone(matters), '\n'), 0},
	} {
		r := reader{number: 1}
		if rest := r.lines(bytes.Clone(c.text), false); len(rest) != c.rest {
			t.Errorf("%s: %d bytes, want %d", name, len(rest), c.rest)
		}
	}
}

// The word in a line that is too long is found wherever a text ends.
func TestWordInPieces(t *testing.T) {
	text := append(append([]byte("some"), word...), "text"...)
	for i := range text {
		r := reader{number: 1, inside: true}
		rest := bytes.Clone(r.lines(text[:i], false))
		r.lines(append(rest, text[i:]...), true)
		if len(r.notes) != 1 || r.rows > 0 {
			t.Errorf("in pieces at %d: notes %v", i, r.notes)
		}
	}
}
