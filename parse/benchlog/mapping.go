package benchlog

import (
	"bytes"
	"io"
	"runtime/debug"
)

// Mapped is a reader whose text can also be looked at where it lies, as that of a file that the system keeps in memory. A [Scanner] of
// one copies only the lines that it needs.
type Mapped interface {
	io.ReadSeeker
	// Map returns text from an offset on: more than 1 MiB, or all that there is. It is empty where nothing can be looked at. The text is
	// valid until the next call. Where the file has been cut in the meantime, touching it is a fault that recover can catch under
	// [debug.SetPanicOnFault].
	Map(offset int64) []byte
}

// mapping is a text that is looked at where it lies.
type mapping struct {
	Mapped
	offset int64  // of the window
	window []byte // the text that is looked at
	line   []byte // a copy of the line that was given out: nobody else may touch the window
	ahead  []byte // behind it in the copy: the lines that follow
}

// nextMapped returns the next line of a mapped text. It is false where there is none that needs no more than looking: at an
// unfinished line, one that is too long or parted by srun, and where the text could not be touched. All of these are then read.
func (l *lines) nextMapped(all bool) (at line, ok bool) {
	if n := bytes.IndexByte(l.mapped.ahead, '\n'); all && n >= 0 {
		at = line{text: l.mapped.ahead[:n:n], number: l.number}
		l.mapped.ahead = l.mapped.ahead[n+1:]
		l.pos, l.number = l.pos+n+1, l.number+1
		return at, true
	}
	l.mapped.ahead = nil
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if !ok {
			if fault := recover(); fault != nil {
				if _, isFault := fault.(interface{ Addr() uintptr }); !isFault {
					panic(fault)
				}
			}
			l.readOn()
		}
	}()
	for {
		text := l.mapped.window[l.pos:]
		if !all {
			begin, feeds, odd := l.finder.skip(text, isOdd)
			l.pos, l.number = l.pos+begin, l.number+feeds
			if odd {
				return line{}, false
			}
			text = text[begin:]
		}
		if n := bytes.IndexByte(text, '\n'); n >= 0 {
			if isOdd(text[:n]) {
				return line{}, false
			}
			more := n + 1
			if all {
				more = aheadOf(text, n+1)
			}
			l.mapped.line = append(l.mapped.line[:0], text[:more]...)
			at = line{text: l.mapped.line[:n:n], number: l.number}
			l.mapped.ahead = l.mapped.line[n+1:]
			l.pos, l.number = l.pos+n+1, l.number+1
			return at, true
		}
		if l.pos == 0 && len(text) > 0 {
			return line{}, false
		}
		l.mapped.offset += int64(l.pos)
		l.pos = 0
		if l.mapped.window = l.mapped.Map(l.mapped.offset); len(l.mapped.window) == 0 {
			return line{}, false
		}
	}
}

// aheadOf returns where those of the next lines end that are copied together with the one before: whole ones, none of which is odd.
func aheadOf(text []byte, from int) int {
	const most = labelledLine
	ahead := text[from:min(len(text), from+most)]
	return from + bytes.LastIndexByte(ahead, '\n') + 1
}

// isOdd reports whether a line cannot be taken as it lies. Such lines are long enough for the finder to ask about each.
func isOdd(line []byte) bool {
	return len(line) > longest || len(line) > labelledLine && isFullPiece(line)
}

// readOn goes on with reading where looking has ended.
func (l *lines) readOn() {
	offset := l.mapped.offset + int64(l.pos)
	if _, err := l.mapped.Seek(offset, io.SeekStart); err != nil {
		l.eof, l.err = true, err
	}
	l.r, l.read = l.mapped.Mapped, offset
	l.mapped = nil
	l.useBuffer()
}
