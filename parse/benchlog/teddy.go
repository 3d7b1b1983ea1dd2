package benchlog

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// finder searches a text for all landmarks in one pass. Where the processor can, 32 places are looked at in one step ("Teddy", the
// method of Hyperscan): a rare part of each landmark, its key, stands for it; the keys are spread over eight buckets; and for each of
// a key's four bytes two tables of 16 entries tell which buckets may have that byte, by its lower and by its upper half. Places
// where some bucket fits all four bytes are candidates, and there the landmarks are compared.
type finder struct {
	pairs *pairFinder
	keys  []key
	masks teddyMasks
	// longest is the greatest length of a landmark.
	longest int
}

const (
	// keyLen is the length of keys.
	keyLen = 4
	// step is how many places teddyAVX2 looks at in one step; it reads keyLen-1 bytes more.
	step = 32
)

// key is a part of landmarks.
type key struct {
	text  uint32
	words []placed
}

// placed is a landmark's word with the place of its key in it.
type placed struct {
	landmark int
	word     string
	at       int
}

// teddyMasks are the tables, each twice for the two lanes of a register, and the mask of a byte's lower half.
type teddyMasks struct {
	halves [keyLen][2][step]uint8
	low    [step]uint8
}

// common are bytes of logs, the most frequent ones first. Others are rare.
const common = "0ets2n1_r:,aiouc.m/=3465-l78p[k]h9gT'd|qPvO%<NbILx\"R#KMFfCyw^ASE{}H()D*B\\U>GzWV`jQ?X+;!YJ&Z@$~ "

func rarity(c byte) int {
	if i := strings.IndexByte(common, c); i >= 0 {
		return i
	}
	return len(common)
}

func newFinder(words []landmark) *finder {
	f := &finder{pairs: newPairFinder(words)}
	for n, l := range words {
		best, most := 0, -1
		for at := 0; at+keyLen <= len(l.word); at++ {
			sum := 0
			for _, c := range []byte(l.word[at : at+keyLen]) {
				sum += rarity(c)
			}
			if sum > most {
				best, most = at, sum
			}
		}
		f.add(placed{n, l.word, best})
		f.longest = max(f.longest, len(l.word))
	}
	for i := range f.masks.low {
		f.masks.low[i] = 0x0f
	}
	// Keys whose bytes have the same upper halves share buckets, since those let the fewest other places through.
	slices.SortStableFunc(f.keys, func(a, b key) int { return cmp.Compare(a.text&0xf0f0f0f0, b.text&0xf0f0f0f0) })
	for n, k := range f.keys {
		bucket := uint8(1) << (n * 8 / len(f.keys))
		for i := range keyLen {
			c := uint8(k.text >> (8 * i))
			for lane := 0; lane < step; lane += 16 {
				f.masks.halves[i][0][lane+int(c&0x0f)] |= bucket
				f.masks.halves[i][1][lane+int(c>>4)] |= bucket
			}
		}
	}
	return f
}

// add adds a word with the place of its key.
func (f *finder) add(p placed) {
	text := binary.LittleEndian.Uint32([]byte(p.word[p.at:]))
	for i := range f.keys {
		if f.keys[i].text == text {
			f.keys[i].words = append(f.keys[i].words, p)
			return
		}
	}
	f.keys = append(f.keys, key{text, []placed{p}})
}

// each calls visit with the landmarks that lie wholly in text and where they begin, until visit is false. Lines come in order; the
// landmarks of one line may not, and one may come twice.
func (f *finder) each(text []byte, visit func(landmark, begin int) bool) {
	from := 0
	if hasTeddy {
		for len(text)-from >= step+keyLen-1 {
			n := teddyAVX2(&text[from], len(text)-from, &f.masks)
			if n < 0 {
				from += (len(text) - from - (keyLen - 1)) / step * step
				break
			}
			from += n
			if !f.at(text, from, visit) {
				return
			}
			from++
		}
		from = max(0, from-f.longest)
	}
	f.pairs.each(text, from, visit)
}

// at calls visit with the landmarks whose key stands at a place. It is false if visit was.
func (f *finder) at(text []byte, place int, visit func(landmark, begin int) bool) bool {
	found := binary.LittleEndian.Uint32(text[place:])
	for i := range f.keys {
		if f.keys[i].text != found {
			continue
		}
		for _, p := range f.keys[i].words {
			begin := place - p.at
			if begin >= 0 && len(text)-begin >= len(p.word) && string(text[begin:begin+len(p.word)]) == p.word && !visit(p.landmark, begin) {
				return false
			}
		}
	}
	return true
}

// find returns where a landmark of the first line that has one begins, or -1.
func (f *finder) find(text []byte) int {
	at := -1
	f.each(text, func(_, begin int) bool { at = begin; return false })
	return at
}
