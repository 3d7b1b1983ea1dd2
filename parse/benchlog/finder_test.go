package benchlog

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Both ways of searching find the same landmarks in the same places, wherever in a text these stand.
func TestFinders(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	words := append(slices.Clone(landmarks), landmark{word: "own literal", kind: wanted}, landmark{word: "five5", kind: wanted})
	f := newFinder(words)
	if !hasTeddy {
		t.Log("this processor has only one way")
	}
	type hit struct{ landmark, begin int }
	for range 20_000 {
		var b strings.Builder
		for b.Len() < r.IntN(300) {
			w := words[r.IntN(len(words))].word
			switch r.IntN(5) {
			case 0:
				b.WriteString(w)
			case 1: // a part of one
				b.WriteString(w[r.IntN(len(w)):])
			case 2:
				b.WriteString(w[:r.IntN(len(w))])
			default:
				b.WriteString(strings.Repeat(string(rune(r.IntN(300))), r.IntN(9)))
			}
		}
		text := []byte(b.String())
		var both, pairs []hit
		f.each(text, func(l, begin int) bool {
			if !slices.Contains(both, hit{l, begin}) {
				both = append(both, hit{l, begin})
			}
			return true
		})
		f.pairs.each(text, 0, func(l, begin int) bool {
			pairs = append(pairs, hit{l, begin})
			return true
		})
		byPlace := func(a, b hit) int { return (a.begin-b.begin)*1000 + a.landmark - b.landmark }
		slices.SortFunc(both, byPlace)
		slices.SortFunc(pairs, byPlace)
		if !slices.Equal(both, pairs) {
			t.Fatalf("%q: %v, by pairs %v", text, both, pairs)
		}
		for _, h := range pairs {
			if !strings.HasPrefix(string(text[h.begin:]), words[h.landmark].word) {
				t.Fatalf("%q: nothing at %v", text, h)
			}
		}
	}
}
