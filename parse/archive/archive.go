// Package archive reads compressed files and archives as streams of entries: gzip, zstd, xz, bzip2, tar and zip, in any nesting.
//
// Formats are recognised by their first bytes, never by names. No entry is held in memory or written to disk under its name; only a zip
// that is not a file itself is first copied to a temporary file that has no name any more, since a zip is read from its end.
//
// # Names
//
// An entry's path is the one in its archive, with slashes. An archive inside another one is a directory of its own name
// ("inner.tar.gz/logs/x.log"), a compressed file inside one loses the ending of its compression ("x.log.gz" is "x.log").
//
// # Faults
//
// What cannot be read is a [Problem], and the rest is read: a zip's entries do not depend on one another, behind a damaged header of
// a tar the next sound one is looked for, and where the stream of a compressed file breaks off, the entries before that place
// have been read.
package archive

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Kind is a format of packed files, empty for any other file.
type Kind string

const (
	Gzip  Kind = "gzip"
	Zstd  Kind = "zstd"
	XZ    Kind = "xz"
	Bzip2 Kind = "bzip2"
	Tar   Kind = "tar"
	Zip   Kind = "zip"
)

// Compressed reports whether the format packs one stream, and not files with names.
func (k Kind) Compressed() bool { return k != "" && k != Tar && k != Zip }

// SniffLen is the number of bytes from a file's beginning that [Sniff] needs.
const SniffLen = 512

// Sniff returns the format of a file, judging by its first bytes.
func Sniff(head []byte) Kind {
	for _, m := range []struct {
		magic string
		kind  Kind
	}{
		{"\x1f\x8b\x08", Gzip}, {"\x28\xb5\x2f\xfd", Zstd}, {"\xfd7zXZ\x00", XZ}, {"PK\x03\x04", Zip}, {"PK\x05\x06", Zip},
	} {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.kind
		}
	}
	switch {
	case len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18": // a frame of zstd to be skipped
		return Zstd
	case len(head) >= 10 && string(head[:3]) == "BZh" && (string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90"):
		return Bzip2
	case soundHeader(head):
		return Tar
	}
	return ""
}

// Limits bound what a packed file may unpack to. Zero fields have the defaults.
type Limits struct {
	// Ratio is the most that a stream may grow when it is unpacked, checked behind its first 64 MiB.
	Ratio int
	// Unpacked is the most bytes that all layers of one file may unpack to.
	Unpacked int64
	// Depth is the most containers that may lie in one another.
	Depth int
	// Window is the most bytes of its past that a stream may make its reader hold.
	Window int64
}

// The defaults of Limits.
const (
	DefaultRatio    = 500
	DefaultUnpacked = 1 << 40
	DefaultDepth    = 5
	DefaultWindow   = 128 << 20
)

// ratioFrom is where the growth of a stream begins to be checked.
const ratioFrom = 64 << 20

func (l Limits) complete() Limits {
	if l.Ratio == 0 {
		l.Ratio = DefaultRatio
	}
	if l.Unpacked == 0 {
		l.Unpacked = DefaultUnpacked
	}
	if l.Depth == 0 {
		l.Depth = DefaultDepth
	}
	if l.Window == 0 {
		l.Window = DefaultWindow
	}
	return l
}

// Entry is a file in an archive.
type Entry struct {
	Path string
	// Modified is the time of its last change, zero if unknown.
	Modified time.Time
	// Size is its length in bytes, -1 if unknown.
	Size int64
	// Text is what it holds. It can be read until the function that was given the entry returns; what is left is passed over.
	Text io.Reader
}

// Codes of Problems.
const (
	Damaged   = "archive-damaged"   // the bytes are not what the format demands, or end early
	TooLarge  = "archive-limit"     // a limit is passed
	Unsafe    = "archive-unsafe"    // the entry is no file with a path inside the archive
	Duplicate = "archive-duplicate" // the archive has several entries of this path; all are read
)

// Problem is something that keeps an entry, or the rest of an archive, from being read.
type Problem struct {
	// Member is the path of the entry, empty for the outermost file.
	Member string
	Code   string
	Err    error
}

// limitError says which limit is passed.
type limitError struct{ message string }

func (e *limitError) Error() string { return e.message }

// codeOf returns the code of a Problem with an error.
func codeOf(err error) string {
	if _, ok := errors.AsType[*limitError](err); ok {
		return TooLarge
	}
	return Damaged
}

// Blocks is an unpacked stream that gives out its text where the decoder has it, too: what NextBlock returns is valid until the next call of
// NextBlock or Read.
type Blocks interface {
	io.Reader
	NextBlock() ([]byte, error)
}

// Open returns the unpacked stream of a compressed file. Damage and limits are errors of its Read. That of zstd has [Blocks].
func Open(r io.Reader, k Kind, l Limits) (io.ReadCloser, error) {
	s, err := open(r, k, l.complete(), new(int64))
	if err != nil {
		return nil, err
	}
	if p, ok := s.text.(*puller); ok {
		return blockLayer{s, p}, nil
	}
	return s, nil
}

// blockLayer is a layer whose decoder has blocks.
type blockLayer struct {
	*layer
	puller *puller
}

// NextBlock returns the next block.
func (s blockLayer) NextBlock() ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	block, err := s.puller.NextBlock()
	if err := s.count(len(block), err); err != nil {
		return nil, err
	}
	return block, nil
}

// open opens a layer; total counts what all layers have unpacked.
func open(r io.Reader, k Kind, l Limits, total *int64) (*layer, error) {
	packed := &counter{Reader: r}
	s := &layer{kind: k, packed: packed, limits: l, total: total, close: func() {}}
	var err error
	switch k {
	case Gzip:
		s.text, err = gzip.NewReader(packed)
	case Zstd:
		var d *zstd.Decoder
		d, err = zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(uint64(l.Window)))
		if err == nil {
			p := newPuller(d)
			s.text, s.close = p, func() {
				p.stop()
				d.Close()
			}
		}
	case XZ:
		ahead := bufio.NewReaderSize(packed, xzHeader)
		if err = checkXZ(ahead, l.Window); err == nil {
			s.text, err = xz.NewReader(ahead)
		}
	case Bzip2:
		s.text = bzip2.NewReader(packed)
	default:
		return nil, fmt.Errorf("%q is no format of compressed files", k)
	}
	if err != nil {
		return nil, s.describe(err)
	}
	return s, nil
}

// counter counts what is read.
type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// layer is the unpacked stream of a compressed file.
type layer struct {
	kind   Kind
	text   io.Reader
	packed *counter
	limits Limits
	n      int64
	total  *int64
	close  func()
	err    error
}

func (s *layer) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.text.Read(p)
	return n, s.count(n, err)
}

// count counts what was unpacked, and returns the error to give with it.
func (s *layer) count(n int, err error) error {
	s.n += int64(n)
	*s.total += int64(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		s.err = s.describe(err)
	case s.n > ratioFrom && s.n/int64(s.limits.Ratio) > s.packed.n:
		s.err = &limitError{fmt.Sprintf("unpacks to more than %d times its size, as a bomb does: raise --max-ratio to read it", s.limits.Ratio)}
	case *s.total > s.limits.Unpacked:
		s.err = &limitError{fmt.Sprintf("unpacks to more than %d bytes: raise --max-unpacked to read it", s.limits.Unpacked)}
	default:
		return err
	}
	return s.err
}

func (s *layer) Close() error {
	s.close()
	return nil
}

// describe turns a decoder's error into one that says where and what.
func (s *layer) describe(err error) error {
	switch {
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return &limitError{fmt.Sprintf("needs a window of more than %d MiB: raise --max-window to read it", s.limits.Window>>20)}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("%s stream ends early, behind %d unpacked bytes: %w", s.kind, s.n, io.ErrUnexpectedEOF)
	}
	if _, ok := errors.AsType[*limitError](err); ok {
		return err
	}
	return fmt.Errorf("%s stream is damaged behind %d unpacked bytes: %w", s.kind, s.n, err)
}

// xzHeader is the length of an xz stream's header with the longest header of its first block.
const xzHeader = 12 + 1024

// checkXZ refuses a stream whose first block needs more memory than the window. Later blocks of one stream are written with the
// same settings.
func checkXZ(ahead *bufio.Reader, window int64) error {
	head, err := ahead.Peek(xzHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	const lzma2 = 0x21
	if len(head) < 16 || head[12] == 0 {
		return nil // the decoder will say what is wrong
	}
	block := head[12:min(len(head), 12+4*(int(head[12])+1))]
	flags, rest := block[1], block[2:]
	varint := func() (v uint64) {
		for i := 0; len(rest) > 0 && i < 9; i++ {
			b := rest[0]
			rest = rest[1:]
			v |= uint64(b&0x7f) << (7 * i)
			if b < 0x80 {
				break
			}
		}
		return v
	}
	for _, present := range []byte{0x40, 0x80} {
		if flags&present != 0 {
			varint()
		}
	}
	for range flags&3 + 1 {
		id, size := varint(), varint()
		if size > uint64(len(rest)) {
			return nil
		}
		if id == lzma2 && size == 1 && rest[0] <= 40 {
			dictionary := int64(2|rest[0]&1) << (rest[0]/2 + 11)
			if dictionary > window {
				return &limitError{fmt.Sprintf("needs a window of %d MiB: raise --max-window to read it", dictionary>>20)}
			}
		}
		rest = rest[size:]
	}
	return nil
}

// soundHeader reports whether a block is the header of a tar's entry: its checksum is right.
func soundHeader(block []byte) bool {
	const length, at = 512, 148
	if len(block) < length || block[0] == 0 {
		return false
	}
	field := strings.Trim(string(block[at:at+8]), " \x00")
	want, err := strconv.ParseInt(field, 8, 64)
	if err != nil {
		return false
	}
	unsigned, signed := int64(0), int64(0)
	for i, c := range block[:length] {
		if i >= at && i < at+8 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return want == unsigned || want == signed
}

// unsafePath says why an entry's path is not taken; it is empty for a good one.
func unsafePath(path string) string {
	switch {
	case path == "":
		return "it has no name"
	case strings.ContainsAny(path, "\x00\\"):
		return "its path holds a NUL or a backslash"
	case strings.HasPrefix(path, "/"), len(path) > 1 && path[1] == ':':
		return "its path is absolute"
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return "its path climbs out of the archive"
		}
	}
	return ""
}

// encrypted is the flag of a zip's entry that needs a password.
const encrypted = 0x1

// zipFault says why a zip's entry cannot be read; empty if it can.
func zipFault(f *zip.File) string {
	if f.Flags&encrypted != 0 {
		return "it is encrypted"
	}
	return ""
}
