package benchlog

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// ownWords are the landmarks and some more.
func ownWords() []landmark {
	return append(slices.Clone(landmarks), landmark{word: "own literal", kind: wanted}, landmark{word: "five5", kind: wanted})
}

// noise returns a text of words, parts of them, anything else and, where feeds is not 0, a line feed in one of so many pieces.
func noise(r *rand.Rand, words []landmark, size, feeds int) []byte {
	var b bytes.Buffer
	for b.Len() < size {
		w := words[r.IntN(len(words))].word
		switch n := r.IntN(100); {
		case feeds > 0 && r.IntN(feeds) == 0:
			b.WriteByte('\n')
		case n < 2 || feeds == 0 && n < 20:
			b.WriteString(w)
		case n < 30: // a part of one
			b.WriteString(w[r.IntN(len(w)):])
		case n < 50:
			b.WriteString(w[:r.IntN(len(w))])
		default:
			if c := rune(r.IntN(300)); c != '\n' {
				b.WriteString(strings.Repeat(string(c), r.IntN(9)))
			}
		}
	}
	return b.Bytes()
}

// Both ways of searching find the same landmarks in the same places, wherever in a text these stand.
func TestFinders(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	words := ownWords()
	f := newFinder(words)
	if !hasTeddy {
		t.Log("this processor has only one way")
	}
	type hit struct{ landmark, begin int }
	for range 20_000 {
		text := noise(r, words, r.IntN(400), 0)
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

// skipLines does line by line what a finder's skip does, for lines that are odd from surelyAsked bytes on.
func skipLines(words []landmark, text []byte, odd func(line []byte) bool) (begin, lines int) {
	for {
		line, rest, ended := bytes.Cut(text[begin:], []byte{'\n'})
		if !ended || slices.ContainsFunc(words, func(l landmark) bool { return bytes.Contains(line, []byte(l.word)) }) || odd(line) {
			return begin, lines
		}
		begin, lines = len(text)-len(rest), lines+1
	}
}

// Lines that are passed over hold no landmark and are not odd, and they are counted right.
func TestSkip(t *testing.T) {
	t.Run("this processor", testSkip)
	defer func(has bool) { hasTeddy = has }(hasTeddy)
	hasTeddy = false
	t.Run("any processor", testSkip)
}

func testSkip(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	words := ownWords()
	check := func(f *finder, words []landmark, text []byte, longest int) {
		t.Helper()
		odd := func(line []byte) bool { return len(line) >= longest }
		begin, lines, _ := f.skip(text, odd)
		if wantBegin, wantLines := skipLines(words, text, odd); begin != wantBegin || lines != wantLines {
			t.Fatalf("passed over %d lines up to %d, want %d up to %d, in %q", lines, begin, wantLines, wantBegin, text)
		}
	}
	all, few := newFinder(words), newFinder(words[:1])
	for range 3000 {
		text := noise(r, words, r.IntN(20_000), []int{2, 10, 50, 1000}[r.IntN(4)])
		check(all, words, text, 2*cell)
		check(few, words[:1], text, 2*cell)
	}
	// A single line of the least odd length, wherever it stands and whatever is before it.
	for before := range 3 * cell {
		for _, other := range []string{"x\n", strings.Repeat("x", 90) + "\n", "Serving Bench\n"} {
			text := []byte(strings.Repeat(other, 3000)[:before] + "\n" + strings.Repeat("y", 2*cell) + "\n" + strings.Repeat("\n", before%700) + "end")
			check(few, words[:1], text, 2*cell)
			check(few, words[:1], text, 2*cell+1)
		}
	}
}

// FuzzSkip compares the finder's passing over lines with the simple way.
func FuzzSkip(f *testing.F) {
	words := ownWords()
	all := newFinder(words)
	f.Add([]byte("Serving Benchmark Result"), uint16(100), uint16(600))
	f.Add([]byte("a\nfive5\n"), uint16(3), uint16(1))
	f.Fuzz(func(t *testing.T, piece []byte, times, longest uint16) {
		text := bytes.Repeat(piece, int(times)%2000)
		text = text[:min(len(text), 1<<16)]
		long := func(line []byte) bool { return len(line) >= max(int(longest), surelyAsked) }
		begin, lines, _ := all.skip(text, long)
		wantBegin, wantLines := skipLines(words, text, long)
		if begin != wantBegin || lines != wantLines {
			t.Fatalf("passed over %d lines up to %d, want %d up to %d", lines, begin, wantLines, wantBegin)
		}
		// Of shorter odd lines it may stop before one; whatever it stops before is one, and the lines up to there are counted.
		odd := func(line []byte) bool { return len(line) >= int(longest) }
		begin, lines, isOdd := all.skip(text, odd)
		line, _, ended := bytes.Cut(text[begin:], []byte{'\n'})
		stoppedAtNone := isOdd && (!ended || len(line) < cell || !odd(line))
		if stoppedAtNone || !isOdd && begin != wantBegin || begin > wantBegin || lines != bytes.Count(text[:begin], []byte{'\n'}) {
			t.Fatalf("odd %t: passed over %d lines up to %d, and at most up to %d: %q", isOdd, lines, begin, wantBegin, line)
		}
	})
}
