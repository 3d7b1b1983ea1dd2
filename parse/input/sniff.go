package input

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// SniffLen is the number of bytes from a file's beginning that [Sniff] needs at most.
const SniffLen = 8 << 10

// magic are the beginnings of files that hold no text.
var magic = []struct{ prefix, kind string }{
	{"SQLite format 3\x00", "SQLite database"},
	{"\x7fELF", "program"},
	{"\x89PNG", "picture"},
	{"\xff\xfe", "UTF-16 text"},
	{"\xfe\xff", "UTF-16 text"},
}

// Sniff says what a file that is no text holds, judging by its first bytes; it returns the empty text where they look like
// text. A few control characters and NULs do not make a log binary.
func Sniff(head []byte) string {
	for _, m := range magic {
		if bytes.HasPrefix(head, []byte(m.prefix)) {
			return m.kind
		}
	}
	if controls(head)*10 <= len(head) {
		return ""
	}
	odd := 0
	for _, c := range head {
		odd += int(isOdd[c])
	}
	if odd*10 > len(head) {
		return "binary data"
	}
	return ""
}

// controls counts the control characters, eight bytes at a time.
func controls(head []byte) int {
	const low, high, fromBlank = 0x7f7f7f7f7f7f7f7f, 0x8080808080808080, 0x6060606060606060
	n := 0
	for ; len(head) >= 8; head = head[8:] {
		eight := binary.LittleEndian.Uint64(head)
		n += 8 - bits.OnesCount64((eight&low+fromBlank|eight)&high)
	}
	for _, c := range head {
		if c < ' ' {
			n++
		}
	}
	return n
}

// isOdd is 1 for the bytes that are rare in text.
var isOdd = func() (set [256]uint8) {
	for c := range ' ' {
		set[c] = 1
	}
	for _, c := range "\n\r\t\b\f\x1b" {
		set[c] = 0
	}
	return set
}()
