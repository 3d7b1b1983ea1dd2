package benchlog

// pairFinder searches a text for all landmarks in one pass. It looks at two bytes at a time and skips as far as no landmark's first
// bytes can end in them (Wu and Manber's method), so that it reads only a part of the text.
type pairFinder struct {
	width int // of the words' beginnings that are searched for
	// shift is, for two bytes, how far the next place is where a beginning can end; 0 where one may end here.
	shift [1 << 16]uint8
	// ending lists, for two bytes that end a beginning, the words.
	ending map[uint16][]placed
}

func newPairFinder(words []landmark) *pairFinder {
	f := &pairFinder{width: len(words[0].word), ending: map[uint16][]placed{}}
	for _, l := range words {
		f.width = min(f.width, len(l.word))
	}
	for i := range f.shift {
		f.shift[i] = uint8(f.width - 1)
	}
	for n, l := range words {
		for i := 0; i+1 < f.width; i++ {
			pair := uint16(l.word[i]) | uint16(l.word[i+1])<<8
			f.shift[pair] = min(f.shift[pair], uint8(f.width-2-i))
			if i+2 == f.width {
				f.ending[pair] = append(f.ending[pair], placed{landmark: n, word: l.word})
			}
		}
	}
	return f
}

// each calls visit with the landmarks that begin at from or later and lie wholly in text, in order, until visit is false.
func (f *pairFinder) each(text []byte, from int, visit func(landmark, begin int) bool) {
	i := from + f.width - 2
	for i+1 < len(text) {
		pair := uint16(text[i]) | uint16(text[i+1])<<8
		if s := f.shift[pair]; s > 0 {
			i += int(s)
			continue
		}
		start := i + 2 - f.width
		for _, p := range f.ending[pair] {
			if len(text)-start >= len(p.word) && string(text[start:start+len(p.word)]) == p.word && !visit(p.landmark, start) {
				return
			}
		}
		i++
	}
}
