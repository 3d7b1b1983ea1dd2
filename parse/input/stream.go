package input

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/trtperf/trtperf/parse/archive"
)

// ErrNotRegular says that a path is a directory, a device, a socket or a pipe.
var ErrNotRegular = errors.New("not a regular file")

// Stream is an open file. Reading it gives its text: a compressed file is unpacked on the way.
type Stream struct {
	*bufio.Reader
	// Archive says that the text is an archive, and which; it is empty for others.
	Archive archive.Kind
	packed  bool
	blocks  archive.Blocks // of the last layer, nil where it has none
	count   *counter       // the file's, with what counts it
	file    *os.File
	start   os.FileInfo
	close   []func() error
}

// peekers are the buffers through which files are looked into before they are read. They hold more than that takes, since decoders, which read through
// them too, ask for little at a time.
var peekers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4*SniffLen) }}

// Opener opens files.
type Opener struct {
	// Stdin is read for the path "-".
	Stdin  io.Reader
	Limits archive.Limits
	// Bytes counts what is read of the files, as they lie on the disk; nil counts nothing.
	Bytes *atomic.Int64
}

// Open opens a file for reading. A pipe or a device that was found in a directory is refused with [ErrNotRegular], since it could
// block for ever; one that was given is read.
func (o Opener) Open(f File) (*Stream, error) {
	if f.Path == Stdin {
		s := &Stream{count: &counter{Reader: o.Stdin, n: o.Bytes}}
		return s, s.unpack(s.count, o.Limits)
	}
	// Opening a pipe would wait for its other end, and opening a device may do more, so a found file is looked at first.
	if !f.Given() && !f.Regular {
		if info, err := os.Stat(f.Path); err != nil {
			return nil, err
		} else if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s: %w", f.Path, ErrNotRegular)
		}
	}
	flags := os.O_RDONLY
	if !f.Given() {
		flags |= atOnce // a file knows no waiting, and Go need not find that out
	}
	file, err := os.OpenFile(f.Path, flags, 0)
	if err != nil {
		return nil, err
	}
	s := &Stream{count: &counter{Reader: file, n: o.Bytes}, file: file, close: []func() error{file.Close}}
	if s.start, err = file.Stat(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.start.IsDir() || !f.Given() && !s.start.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.Path, ErrNotRegular), s.Close())
	}
	if err := s.unpack(s.count, o.Limits); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// counter is a reader that counts what was read of it, each byte once.
type counter struct {
	io.Reader
	n        *atomic.Int64 // nil counts nothing
	at, most int64         // the place in the text, and the last one so far
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.at += int64(n)
	c.upTo(c.at)
	return n, err
}

// upTo counts what lies before a place.
func (c *counter) upTo(place int64) {
	if c.n != nil && place > c.most {
		c.n.Add(place - c.most)
		c.most = place
	}
}

// unpack peels the layers of compression off a file.
func (s *Stream) unpack(r io.Reader, limits archive.Limits) error {
	for range max(limits.Depth, archive.DefaultDepth) {
		peeker := peekers.Get().(*bufio.Reader)
		peeker.Reset(r)
		s.Reader = peeker
		s.close = append(s.close, func() error {
			peeker.Reset(nil)
			peekers.Put(peeker)
			return nil
		})
		head, err := s.Peek(SniffLen)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		kind := archive.Sniff(head)
		if !kind.Compressed() {
			s.Archive = kind
			return nil
		}
		s.packed = true
		layer, err := archive.Open(s.Reader, kind, limits)
		if err != nil {
			return err
		}
		s.close = append(s.close, layer.Close)
		s.blocks, _ = layer.(archive.Blocks)
		r = layer
	}
	return errors.New("compressed too many times over: raise --max-nesting")
}

// Raw returns the reader from which an archive is best read: the file itself, which can be read at any place, where it is not
// compressed.
func (s *Stream) Raw() io.Reader {
	if s.file == nil || s.packed {
		return s
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return s // a pipe; nothing was taken from it but what s holds
	}
	return s.file
}

// Changed reports whether the file was written to since it was opened, so that what was read may be incomplete.
func (s *Stream) Changed() bool {
	if s.file == nil {
		return false
	}
	now, err := s.file.Stat()
	return err != nil || now.Size() != s.start.Size() || !now.ModTime().Equal(s.start.ModTime())
}

// Close closes the file.
func (s *Stream) Close() error {
	var err error
	for i := len(s.close) - 1; i >= 0; i-- {
		err = errors.Join(err, s.close[i]())
	}
	s.close = nil
	return err
}
