package junit

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// body reads the decoded text of an output up to its closing tag.
type body struct {
	s     *splitter
	end   []byte // the closing tag without its ">"
	cdata bool
	ended bool
	err   error  // that ended it before its closing tag
	rest  []byte // of a decoded character that did not fit
}

// pytestEscape is how pytest writes the escape character, which XML cannot hold.
var pytestEscape = []byte("#x1B")

// Read gives as much as is buffered, since an entity in every line would else make for many small pieces.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	for n < len(p) && !b.ended && (n == 0 || b.s.in.Buffered() > 0) {
		m, err := b.step(p[n:])
		n += m
		if errors.Is(err, errEnd) {
			err = io.EOF // the splitter meets the end again and says so
		}
		if err != nil {
			b.ended, b.err = true, err
		}
		if len(b.rest) > 0 {
			break
		}
	}
	if n > 0 {
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	return 0, io.EOF
}

// step decodes some of what is buffered into p, which has room for at least one byte.
func (b *body) step(p []byte) (int, error) {
	head, err := b.s.buffered()
	if err != nil {
		return 0, err
	}
	run := len(head)
	marks := "&<#"
	if b.cdata {
		marks = "]#"
	}
	for i := range len(marks) {
		if n := bytes.IndexByte(head[:run], marks[i]); n >= 0 {
			run = n
		}
	}
	if run > 0 {
		n := copy(p, head[:run])
		b.s.discard(n)
		return n, nil
	}
	// A mark stands first: look far enough to know it.
	head, _ = b.s.in.Peek(max(maxReference, len(b.end)+1, len("<![CDATA[")))
	switch {
	case bytes.HasPrefix(head, pytestEscape):
		return b.put(p, 0x1b, len(pytestEscape)), nil
	case b.cdata && bytes.HasPrefix(head, []byte("]]>")):
		b.cdata = false
		b.s.discard(3)
		return 0, nil
	case b.cdata:
	case bytes.HasPrefix(head, b.end):
		b.s.discard(len(b.end))
		b.ended = true
		return 0, b.s.skipTo(">")
	case bytes.HasPrefix(head, []byte("<![CDATA[")):
		b.cdata = true
		b.s.discard(len("<![CDATA["))
		return 0, nil
	case bytes.HasPrefix(head, []byte("<!--")):
		return 0, b.s.skipTo("-->")
	case head[0] == '&':
		if c, size, ok := reference(head); ok {
			return b.put(p, c, size), nil
		}
	}
	// A lone mark is text.
	return b.put(p, rune(head[0]), 1), nil
}

// put gives one character for size bytes of the file.
func (b *body) put(p []byte, c rune, size int) int {
	b.s.discard(size)
	text := utf8.AppendRune(nil, c)
	n := copy(p, text)
	b.rest = text[n:]
	return n
}
