package benchlog

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// finder searches a text for all landmarks in one pass, and counts its line feeds in the same. Where the processor can, 64 places are
// looked at in one step ("Teddy", the method of Hyperscan): a part of each landmark that begins with two bytes which rarely follow one
// another, its key, stands for it; the keys are spread over eight buckets; and for each of a key's four bytes two tables of 16 entries
// tell which buckets may have that byte, by its lower and by its upper half. Only where some bucket fits two bytes are the other two
// looked at. Places where it fits all four are candidates, and there the landmarks are compared.
type finder struct {
	pairs *pairFinder
	keys  []key
	// byHash leads from a key's text to its place in keys, counted from 1; 0 where there is none.
	byHash [256]uint16
	masks  teddyMasks
	// longest is the greatest length of a landmark, lengths are those of all.
	longest int
	lengths []int
}

const (
	// keyLen is the length of keys.
	keyLen = 4
	// buckets is the number of buckets: one for each bit of a table's entries.
	buckets = 8
	// step is how many places teddyAVX2 looks at in one step; it reads keyLen-1 bytes more.
	step = 64
	// cell is the number of places after which it stops if there was no line feed among them.
	cell = 512
	// surelyAsked is the length from which skip asks about every line: such a line fills a whole cell, wherever it begins.
	surelyAsked = 2*cell - 1
	// lane is the width of a register.
	lane = 32
)

// stop says what has stopped teddyAVX2.
type stop int

const (
	atEnd       stop = iota // what is left of the text is too short for a step
	atCandidate             // a key may begin at the place
	behindCell              // the cell before the place has no line feed
)

// key is a part of landmarks.
type key struct {
	text   uint32
	bucket int
	words  []placed
	next   uint16 // the next key with this one's hash, as in byHash
}

// placed is a landmark's word with the place of its key in it.
type placed struct {
	landmark int
	word     string
	at       int
}

// teddyMasks are the tables, each twice for the two lanes of a register, the mask of a byte's lower half, and line feeds.
type teddyMasks struct {
	halves [keyLen][2][lane]uint8
	low    [lane]uint8
	feeds  [lane]uint8
}

func newFinder(words []landmark) *finder {
	f := &finder{pairs: newPairFinder(words)}
	f.choose(words)
	for i := range lane {
		f.masks.low[i], f.masks.feeds[i] = 0x0f, '\n'
	}
	for n := range f.keys {
		k := &f.keys[n]
		for i := range keyLen {
			c := uint8(k.text >> (8 * i))
			for half := 0; half < lane; half += 16 {
				f.masks.halves[i][0][half+int(c&0x0f)] |= 1 << k.bucket
				f.masks.halves[i][1][half+int(c>>4)] |= 1 << k.bucket
			}
		}
		h := hash(k.text)
		k.next, f.byHash[h] = f.byHash[h], uint16(n+1)
	}
	return f
}

// hash spreads the texts of keys.
func hash(text uint32) uint8 { return uint8(text * 0x9e3779b1 >> 24) }

// bucket is what the tables let through for one bucket: which lower and upper halves its keys' first and second bytes have.
type bucket struct {
	lower, upper [2]uint16
	often        float64
}

// with returns the bucket with one more pair of bytes.
func (b bucket) with(pair [2]byte) bucket {
	for i, c := range pair {
		b.lower[i] |= 1 << (c & 0x0f)
		b.upper[i] |= 1 << (c >> 4)
	}
	b.often = 0
	for upper := b.upper[0]; upper != 0; upper &= upper - 1 {
		for lower := b.lower[0]; lower != 0; lower &= lower - 1 {
			first := uint8(bits.TrailingZeros16(upper)<<4 | bits.TrailingZeros16(lower))
			for upper := b.upper[1]; upper != 0; upper &= upper - 1 {
				for lower := b.lower[1]; lower != 0; lower &= lower - 1 {
					b.often += often(first, uint8(bits.TrailingZeros16(upper)<<4|bits.TrailingZeros16(lower)))
				}
			}
		}
	}
	return b
}

// choose chooses the landmarks' keys and their buckets so that few other places are looked at twice: for each landmark those that add the
// least, beginning with those of which even the best key is frequent.
func (f *finder) choose(words []landmark) {
	const few = 8 // a word's keys that are tried
	type choice struct {
		landmark int
		at       []int
	}
	at := func(word string, i int) [2]byte { return [2]byte{word[i], word[i+1]} }
	frequency := func(word string, i int) float64 { return often(word[i], word[i+1]) }
	var all []choice
	for n, l := range words {
		c := choice{landmark: n}
		for i := range len(l.word) - keyLen + 1 {
			c.at = append(c.at, i)
		}
		slices.SortStableFunc(c.at, func(a, b int) int { return cmp.Compare(frequency(l.word, a), frequency(l.word, b)) })
		c.at = c.at[:min(len(c.at), few)]
		all = append(all, c)
		f.longest = max(f.longest, len(l.word))
		f.lengths = append(f.lengths, len(l.word))
	}
	slices.SortStableFunc(all, func(a, b choice) int {
		return cmp.Compare(frequency(words[b.landmark].word, b.at[0]), frequency(words[a.landmark].word, a.at[0]))
	})
	var chosen [buckets]bucket
	for _, c := range all {
		word := words[c.landmark].word
		least, place, into := math.Inf(1), 0, 0
		var after bucket
		for _, i := range c.at {
			for j, b := range chosen {
				if tried := b.with(at(word, i)); tried.often-b.often < least {
					least, place, into, after = tried.often-b.often, i, j, tried
				}
			}
		}
		chosen[into] = after
		f.add(placed{c.landmark, word, place}, into)
	}
}

// add adds a word with the place of its key.
func (f *finder) add(p placed, bucket int) {
	text := binary.LittleEndian.Uint32([]byte(p.word[p.at:]))
	for i := range f.keys {
		if f.keys[i].text == text {
			f.keys[i].words = append(f.keys[i].words, p)
			return
		}
	}
	f.keys = append(f.keys, key{text: text, bucket: bucket, words: []placed{p}})
}

// each calls visit with the landmarks that lie wholly in text and where they begin, until visit is false. Lines come in order; the
// landmarks of one line may not, and one may come twice.
func (f *finder) each(text []byte, visit func(landmark, begin int) bool) {
	from := 0
	if hasTeddy {
		if from = f.eachCandidate(text, visit); from < 0 {
			return
		}
		from = max(0, from-f.longest)
	}
	f.pairs.each(text, from, visit)
}

// eachCandidate does so for the landmarks whose keys stand in a text before the place that it returns, which is less than a step from
// the text's end. It is -1 if visit was false.
func (f *finder) eachCandidate(text []byte, visit func(landmark, begin int) bool) int {
	from := 0
	for {
		n, _, why := f.look(text[from:])
		from += n
		switch {
		case why == atEnd:
			return from
		case why == atCandidate && !f.at(text, from, visit):
			return -1
		case why == atCandidate:
			from++
		}
	}
}

// at calls visit with the landmarks whose key stands at a place. It is false if visit was.
func (f *finder) at(text []byte, place int, visit func(landmark, begin int) bool) bool {
	found := binary.LittleEndian.Uint32(text[place:])
	for i := f.byHash[hash(found)]; i > 0; i = f.keys[i-1].next {
		k := &f.keys[i-1]
		if k.text != found {
			continue
		}
		for _, p := range k.words {
			begin := place - p.at
			if begin >= 0 && len(text)-begin >= len(p.word) && string(text[begin:begin+len(p.word)]) == p.word && !visit(p.landmark, begin) {
				return false
			}
		}
	}
	return true
}

// look does what teddyAVX2 does. On other processors it looks for no keys, only at line feeds.
func (f *finder) look(text []byte) (at, lines int, why stop) {
	if hasTeddy {
		if len(text) < step+keyLen-1 {
			return 0, 0, atEnd
		}
		return teddyAVX2(&text[0], len(text), &f.masks)
	}
	for ; at+cell <= len(text); at += cell {
		n := bytes.Count(text[at:at+cell], []byte{'\n'})
		if n == 0 {
			return at + cell, lines, behindCell
		}
		lines += n
	}
	return at, lines, atEnd
}

// skip returns where the first line with a landmark begins, or else the line that the text does not end, and how many line feeds stand
// before. It stops before a line that is odd, too: odd is asked about each line of surelyAsked bytes and more that the text holds to its end, and about
// some of those from cell bytes on.
func (f *finder) skip(text []byte, odd func(line []byte) bool) (begin, lines int, isOdd bool) {
	landmark := -1
	visit := func(_, begin int) bool {
		landmark = begin
		return false
	}
	if !hasTeddy {
		if f.pairs.each(text, 0, visit); landmark >= 0 {
			text, landmark = text[:landmark], -1
		}
	}
	at, asked := 0, 0 // lines are those in text[:at]; the lines in text[:asked] are not odd
	for why := behindCell; why != atEnd && landmark < 0; {
		var n, feeds int
		if n, feeds, why = f.look(text[at:]); n > 0 {
			// Only a line that lies around this place can be long without having been seen before.
			if place := at + (n-1)/cell*cell; place >= asked {
				size := bytes.IndexByte(text[place:], '\n')
				if size < 0 {
					size = len(text) - place
				} else if end := place + size; end >= cell && bytes.IndexByte(text[end-cell:end], '\n') < 0 {
					if begin := lineBegin(text, place); odd(text[begin:end]) {
						return begin, lines + bytes.Count(text[min(at, begin):begin], []byte{'\n'}), true
					}
				}
				asked = place + size
			}
		}
		if at, lines = at+n, lines+feeds; why == atCandidate {
			f.at(text, at, visit)
			at++
		}
	}
	if landmark < 0 && hasTeddy {
		f.pairs.each(text, max(0, at-f.longest), visit)
	}
	if landmark < 0 {
		landmark = len(text)
	}
	begin = lineBegin(text, landmark)
	return begin, lines + bytes.Count(text[min(at, begin):begin], []byte{'\n'}), false
}

// lineBegin returns where the line begins that a place lies in, eight bytes at a time.
func lineBegin(text []byte, place int) int {
	const feeds, ones, highs = 0x0a0a0a0a0a0a0a0a, 0x0101010101010101, 0x8080808080808080
	for ; place >= 8; place -= 8 {
		if x := binary.LittleEndian.Uint64(text[place-8:]) ^ feeds; (x-ones)&^x&highs != 0 {
			break
		}
	}
	for place > 0 && text[place-1] != '\n' {
		place--
	}
	return place
}
