package devicestep

import (
	"bytes"
	"errors"
	"io"
)

const (
	// longest is the most of a line that is looked at, in bytes.
	longest = 1 << 20
	chunk   = 128 << 10
)

// word is in every line that matters.
var word = []byte("prev_device_step_time")

// Read reads a worker's log, in memory that does not depend on its length. The error is the reader's; the sample is then that of the
// whole lines before it.
func Read(in io.Reader) (*Sample, error) {
	r := reader{number: 1}
	buf := make([]byte, 0, chunk)
	for {
		if len(buf) > cap(buf)/2 {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...) // a long line
		}
		var err error
		for err == nil && len(buf) < cap(buf) {
			var n int
			n, err = in.Read(buf[len(buf):cap(buf)])
			buf = buf[:len(buf)+n]
		}
		end := errors.Is(err, io.EOF)
		buf = append(buf[:0], r.lines(buf, end)...)
		if end {
			return r.finish(), nil
		}
		if err != nil {
			return r.finish(), err
		}
	}
}

// reader finds the lines that matter.
type reader struct {
	sampler
	// number is the line in which the text that is looked at next begins.
	number int
	// inside says that this text begins inside a line that is longer than the longest, and noted that a note tells of it.
	inside, noted bool
}

// lines takes the lines of a text that have the word and returns the text's rest, in which a line may go on: all of that line, up to the
// longest. End says that no text follows.
func (r *reader) lines(text []byte, end bool) []byte {
	for {
		at := bytes.Index(text, word)
		if at < 0 {
			break
		}
		r.skip(text[:lastLine(text[:at])])
		text = text[lastLine(text[:at]):]
		length := firstLine(text)
		whole := length < len(text) || end
		if !whole && length <= longest {
			return text
		}
		line := text[:length]
		if r.inside || length > longest {
			r.long()
			line = line[:min(length, longest)]
		}
		if !r.inside && bytes.Contains(line, word) {
			r.line(line, r.number)
		}
		r.inside = !whole
		text = text[length:]
	}
	n := lastLine(text)
	r.skip(text[:n])
	if text = text[n:]; r.inside || len(text) > longest {
		r.inside = true
		return text[max(0, len(text)-len(word)+1):] // the word may go on
	}
	return text
}

// skip passes over whole lines.
func (r *reader) skip(lines []byte) {
	if len(lines) > 0 {
		r.number += bytes.Count(lines, []byte{'\n'})
		r.inside, r.noted = false, false
	}
}

// long notes that the line is too long.
func (r *reader) long() {
	if !r.noted {
		r.note(r.number, LongLine, "only the first MiB of a line with a device step time was looked at")
	}
	r.noted = true
}

// LF and CR are looked for at once: in a log that lacks one of them a search for it would go far.

// firstLine returns the length of a text's first line without its end.
func firstLine(text []byte) int {
	if n := bytes.IndexAny(text, "\r\n"); n >= 0 {
		return n
	}
	return len(text)
}

// lastLine returns where a text's last line begins.
func lastLine(text []byte) int { return bytes.LastIndexAny(text, "\r\n") + 1 }
