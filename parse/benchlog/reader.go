package benchlog

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
)

const (
	// chunk is how much is read at a time: little enough to stay in a processor's own cache until it has been searched.
	chunk = 256 << 10
	// longest is the most of a line that is looked at as one.
	longest = 1 << 20
)

// line is a line of the log, or a part of one that is too long.
type line struct {
	text   []byte // without its end; valid until the next one is asked for
	number int
	// last says that the log ends behind it without a line end.
	last bool
	// part says that it is a part of a line longer than is looked at as one.
	part bool
}

// lines cuts a log into lines.
type lines struct {
	r      io.Reader
	read   int64       // from r
	in     *unsplitter // reads r for it as soon as srun has parted a line; nil before
	finder *finder
	mapped *mapping // nil where the text is read
	blocks Blocks   // nil where the text has none
	ahead  []byte   // what has not been looked at of the last block
	array  *[longest + chunk]byte
	buf    []byte // the array, until it is released
	pos    int    // the next line begins here, in the buffer or the window
	end    int    // buf[:end] holds text
	base   int64
	number int // of the line at pos
	inside bool
	eof    bool
	err    error
}

// wordFinder finds the landmarks; it is built once and only read.
var wordFinder = sync.OnceValue(func() *finder { return newFinder(landmarks) })

// buffers are those of logs that have been read: most logs are far smaller than one, and clearing a new one would cost more than
// reading them.
var buffers = sync.Pool{New: func() any { return new([longest + chunk]byte) }}

// newLines returns the lines of a log. Beside the landmarks a search's words are looked for; it may be nil.
func newLines(r io.Reader, s *search) *lines {
	l := &lines{r: r, number: 1}
	if s != nil && s.finder != nil {
		l.finder = s.finder
	} else {
		l.finder = wordFinder()
	}
	l.blocks, _ = r.(Blocks)
	if m, ok := r.(Mapped); ok {
		l.mapped = &mapping{Mapped: m}
	} else {
		l.useBuffer()
	}
	return l
}

// useBuffer takes a buffer to read into.
func (l *lines) useBuffer() {
	l.array = buffers.Get().(*[longest + chunk]byte)
	l.buf, l.pos, l.end, l.base = l.array[:], longest, longest, -longest
}

// bytes returns how much has been read or looked at.
func (l *lines) bytes() int64 {
	if l.mapped != nil {
		return l.mapped.offset + int64(l.pos)
	}
	if l.in != nil {
		return l.in.bytes
	}
	return l.read
}

// release gives the buffer back. Nothing can be read afterwards.
func (l *lines) release() {
	if l.array != nil {
		buffers.Put(l.array)
		l.array, l.buf, l.pos, l.end, l.eof = nil, nil, 0, 0, true
	}
}

// fill reads more text behind what is there. It is false at the end. Unless all lines are wanted, it may leave out some without a landmark.
func (l *lines) fill(all bool) bool {
	if l.eof {
		return false
	}
	// What is left goes right before the place where text is always read to: kernels copy faster to a page's beginning, and that
	// place stays in the processor's cache.
	begin := longest - (l.end - l.pos)
	copy(l.buf[begin:longest], l.buf[l.pos:l.end])
	l.base += int64(l.pos - begin)
	l.pos, l.end = begin, longest
	var n int
	var err error
	switch {
	case l.in != nil:
		n, err = l.in.Read(l.buf[longest:])
	case l.blocks != nil:
		n, err = l.fromBlock(all)
	default:
		n, err = l.r.Read(l.buf[longest:])
		l.read += int64(n)
	}
	l.end += n
	if err != nil {
		l.eof = true
		if !errors.Is(err, io.EOF) {
			l.err = err
		}
	}
	return true
}

// Blocks is a reader whose text can also be looked at where a decoder has it. A [Scanner] of one copies only what it needs.
type Blocks interface {
	io.Reader
	// NextBlock returns the text that follows, or the error that ends it. The text is valid until the next call of NextBlock or Read.
	NextBlock() ([]byte, error)
}

// fromBlock copies text of a block behind what is there: as far as needed to end a line that has begun, else what remains behind the lines
// that nobody wants.
func (l *lines) fromBlock(all bool) (n int, err error) {
	if len(l.ahead) == 0 {
		if l.ahead, err = l.blocks.NextBlock(); err != nil {
			return 0, err
		}
		l.read += int64(len(l.ahead))
	}
	n = len(l.ahead)
	switch {
	case l.pos < l.end:
		if i := bytes.IndexByte(l.ahead, '\n'); i >= 0 {
			n = i + 1
		}
	case !all && !l.inside:
		begin, feeds, _ := l.finder.skip(l.ahead, isOdd)
		l.ahead, l.number, l.base = l.ahead[begin:], l.number+feeds, l.base+int64(begin)
		n -= begin
	}
	n = copy(l.buf[longest:], l.ahead[:n])
	l.ahead = l.ahead[n:]
	return n, nil
}

// next returns the next line. Unless all are wanted, it passes over lines without a landmark.
func (l *lines) next(all bool) (line, bool) {
	if l.mapped != nil {
		if at, ok := l.nextMapped(all); ok {
			return at, true
		}
	}
	for {
		if !all && !l.inside && l.skip() {
			l.unsplit()
			continue
		}
		text := l.buf[l.pos:l.end]
		n := bytes.IndexByte(text[:min(len(text), longest+1)], '\n')
		switch {
		case n >= 0 && l.in == nil && !l.inside && isFullPiece(text[:n]):
			l.unsplit()
		case n >= 0:
			at := line{text: text[:n], number: l.number, part: l.inside}
			l.number++
			l.inside = false
			l.advance(n + 1)
			return at, true
		case len(text) > longest:
			at := line{text: text[:cut(text[:longest])], number: l.number, part: true}
			l.inside = true
			l.advance(len(at.text))
			return at, true
		case l.fill(all):
		case len(text) > 0:
			l.advance(len(text))
			return line{text: text, number: l.number, last: true, part: l.inside}, true
		default:
			return line{}, false
		}
	}
}

// text returns the text that is there and in which the next line begins, as it would be given out: none where lines are joined or parted.
func (l *lines) text() []byte {
	switch {
	case l.mapped != nil:
		return l.mapped.ahead
	case l.in != nil || l.inside:
		return nil
	}
	return l.buf[l.pos:l.end]
}

// pass moves behind lines of that text.
func (l *lines) pass(size, count int) {
	if l.mapped != nil {
		l.mapped.ahead = l.mapped.ahead[size:]
	}
	l.pos, l.number = l.pos+size, l.number+count
}

// advance moves to the text behind n bytes, and counts the line feeds that the unsplitter has dropped.
func (l *lines) advance(n int) {
	l.pos += n
	if l.in != nil {
		l.number += l.in.lines(l.base + int64(l.pos))
	}
}

// unsplit joins from here on the lines that srun --label has split. Most logs have none, and looking at each line twice costs.
func (l *lines) unsplit() {
	rest := slices.Concat(l.buf[l.pos:l.end], l.ahead)
	l.blocks, l.ahead = nil, nil
	var r io.Reader = bytes.NewReader(rest)
	if !l.eof {
		r = io.MultiReader(r, l.r)
	}
	l.in = &unsplitter{r: r, bytes: l.read - int64(len(rest))}
	l.eof = false
	l.pos, l.end, l.base = longest, longest, -longest
}

// skip moves to the beginning of the next line with a landmark, or that must be looked at in parts, as far as what is buffered shows. It
// is true at a line that srun may have split.
func (l *lines) skip() (isPiece bool) {
	begin, feeds, _ := l.finder.skip(l.buf[l.pos:l.end], func(line []byte) bool {
		isPiece = l.in == nil && isFullPiece(line)
		return isPiece || len(line) > longest
	})
	l.number += feeds
	l.advance(begin)
	return isPiece
}

// cut returns where a line that is too long is parted: behind a carriage return, else before a rule, else behind a blank.
func cut(text []byte) int {
	tail := len(text) - 4096
	if i := bytes.LastIndexByte(text, '\r'); i > 0 {
		return i + 1
	}
	if i := bytes.LastIndex(text[tail:], []byte(returnSign)); i > 0 {
		return tail + i
	}
	if i := bytes.Index(text[tail:], []byte("====")); i > 0 {
		return tail + i
	}
	if i := bytes.LastIndexByte(text[tail:], ' '); i > 0 {
		return tail + i
	}
	return len(text)
}
