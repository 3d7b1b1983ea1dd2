package input

import (
	"errors"
	"io"
)

const (
	// windowSize is how much of a file is mapped at a time: more than what a reader takes as one piece, and little memory.
	windowSize = 4 << 20
	// windowAlign is where windows begin. Systems that keep files in huge pages can map these whole.
	windowAlign = 2 << 20
)

// Mapped is a stream of a file's own text, which can also be looked at where it lies.
type Mapped struct {
	*Stream
	window []byte
}

// Mapped returns the stream with a way to look at its text where it lies, or nil where there is none: for what is unpacked or no file,
// and for a small file, of which a copy is cheaper.
func (s *Stream) Mapped() *Mapped {
	if s.file == nil || s.packed || !s.start.Mode().IsRegular() || s.start.Size() < windowAlign {
		return nil
	}
	m := &Mapped{Stream: s}
	s.close = append(s.close, m.unmap)
	return m
}

// Map returns text from an offset on: at least 2 MiB, or up to where the file ended when it was opened. It is empty where nothing can be mapped.
// The text must not be written to and is valid until the next call or Close; if the file is cut in the meantime, touching it is a fault.
func (m *Mapped) Map(offset int64) []byte {
	if m.unmap() != nil {
		return nil
	}
	begin := offset / windowAlign * windowAlign
	size := min(windowSize, m.start.Size()-begin)
	if size <= offset-begin {
		return nil
	}
	window, err := mapFile(m.file, begin, int(size))
	if err != nil {
		return nil // the reader goes on by reading
	}
	m.window = window
	m.count.upTo(begin + size)
	return window[offset-begin:]
}

// unmap gives the window back.
func (m *Mapped) unmap() error {
	window := m.window
	m.window = nil
	if window == nil {
		return nil
	}
	return unmapFile(window)
}

// Seek moves the place from which Read goes on, counted from the file's beginning.
func (m *Mapped) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart {
		return 0, errors.ErrUnsupported
	}
	at, err := m.file.Seek(offset, whence)
	m.count.at = at
	m.Reset(m.count)
	return at, err
}
