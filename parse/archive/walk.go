package archive

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// walker goes through one outermost file.
type walker struct {
	ctx     context.Context
	limits  Limits
	visit   func(Entry) error
	problem func(Problem)
	total   int64
	seed    maphash.Seed
	seen    map[uint64]int
	// told is the member that the last fault was of, which is told of once.
	told string
}

// Walk calls visit with every entry of an archive, in the archive's order, and problem with what cannot be read. A compressed file
// without an archive inside is one entry. Name is the outermost file's. A zip is read in place where r has ReadAt and tells its size (an
// *os.File, a *bytes.Reader). The error is that of visit, or of the context.
func Walk(ctx context.Context, name string, r io.Reader, l Limits, visit func(Entry) error, problem func(Problem)) error {
	w := &walker{ctx: ctx, limits: l.complete(), visit: visit, problem: problem, seed: maphash.MakeSeed(), seen: map[uint64]int{}}
	err := w.descend(item{name: path.Base(name), size: -1, outer: true}, r, 0)
	if s, ok := errors.AsType[stop](err); ok {
		return s.error
	}
	return err
}

// item is a file on the way to being recognised.
type item struct {
	// prefix is the archive that it lies in, with a slash, empty for the outermost file; name its path there.
	prefix, name string
	modified     time.Time
	size         int64
	outer        bool // it is the outermost file
	unpacked     bool // it comes out of a layer of compression
}

// member is how a Problem names it: the outermost file has no name.
func (i item) member() string {
	if i.outer {
		return ""
	}
	return i.prefix + i.name
}

// endings are those of compressed files.
var endings = []string{".gz", ".zst", ".xz", ".bz2"}

// plain is its path without the ending of its compression.
func (i item) plain() string {
	if i.unpacked {
		for _, e := range endings {
			if trimmed := strings.TrimSuffix(i.name, e); trimmed != i.name && trimmed != "" {
				return i.prefix + trimmed
			}
		}
	}
	return i.prefix + i.name
}

// stop is an error that ends the whole walk: the visitor's.
type stop struct{ error }

// descend goes through a file: the entries of an archive, or the file itself. Its errors are stops.
func (w *walker) descend(at item, r io.Reader, depth int) error {
	if err := w.ctx.Err(); err != nil {
		return stop{err}
	}
	text := &watched{Reader: r}
	ahead := bufio.NewReaderSize(text, SniffLen)
	head, err := ahead.Peek(SniffLen)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		w.fault(at, err)
		return nil
	}
	kind := Sniff(head)
	if kind != "" && depth == w.limits.Depth {
		w.fault(at, &limitError{fmt.Sprintf("more than %d archives in one another: raise --max-nesting to read it", w.limits.Depth)})
		return nil
	}
	switch {
	case kind.Compressed():
		s, err := open(ahead, kind, w.limits, &w.total)
		if err != nil {
			w.fault(at, err)
			return nil
		}
		defer s.close()
		at.unpacked, at.size = true, -1
		return w.descend(at, s, depth+1)
	case kind == Tar:
		return w.tar(at, ahead, depth)
	case kind == Zip:
		var source io.Reader = ahead
		if at.outer && !at.unpacked {
			source = r
		}
		return w.zip(at, source, ahead, depth)
	}
	entry := Entry{Path: at.plain(), Modified: at.modified, Size: at.size, Text: ahead}
	hash := maphash.String(w.seed, entry.Path)
	if w.seen[hash]++; w.seen[hash] > 1 {
		again := fmt.Sprintf("%s#%d", entry.Path, w.seen[hash])
		w.problem(Problem{entry.Path, Duplicate, fmt.Errorf("the archive has several entries of this path: this one is read as %s", again)})
		entry.Path = again
	}
	if err := w.visit(entry); err != nil {
		return stop{err}
	}
	if text.err != nil {
		w.told = at.prefix + at.name
		w.problem(Problem{entry.Path, codeOf(text.err), text.err})
	}
	return nil
}

// fault tells of what keeps a file from being read.
func (w *walker) fault(at item, err error) {
	if !at.outer && w.told == at.prefix+at.name {
		return
	}
	w.told = at.prefix + at.name
	w.problem(Problem{at.member(), codeOf(err), err})
}

// watched remembers the error of a reader.
type watched struct {
	io.Reader
	err error
}

func (t *watched) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}

// inside is the prefix of the entries of an archive.
func (i item) inside() string {
	if i.outer {
		return ""
	}
	return i.prefix + i.name + "/"
}

// tar goes through the entries of a tar.
func (w *walker) tar(at item, r io.Reader, depth int) error {
	source := &counter{Reader: r}
	watch := &watched{Reader: source}
	entries := tar.NewReader(watch)
	last := at
	for {
		h, err := entries.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case watch.err != nil:
			w.fault(last, watch.err)
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			w.fault(last, fmt.Errorf("the tar ends early, at byte %d: %w", source.n, err))
			return nil
		case err != nil && !errors.Is(err, tar.ErrInsecurePath):
			w.fault(at, fmt.Errorf("the tar is damaged before byte %d (%w): the next sound header is looked for", source.n, err))
			block, ok := nextHeader(watch)
			if !ok {
				if watch.err != nil {
					w.fault(last, watch.err)
				}
				return nil
			}
			entries = tar.NewReader(io.MultiReader(strings.NewReader(block), watch))
			continue
		}
		next := item{prefix: at.inside(), name: h.Name, modified: h.ModTime, size: h.Size}
		last = next
		switch h.Typeflag {
		case tar.TypeReg, '\x00', tar.TypeGNUSparse:
		case tar.TypeDir, tar.TypeXGlobalHeader:
			continue
		default:
			w.refuse(next, "it is a link, a device or a pipe, and no file")
			continue
		}
		if err := w.entry(next, entries, depth); err != nil {
			return err
		}
	}
}

// nextHeader reads up to the next header of a tar's entry.
func nextHeader(r io.Reader) (block string, ok bool) {
	buf := make([]byte, 512)
	for {
		if _, err := io.ReadFull(r, buf); err != nil {
			return "", false
		}
		if soundHeader(buf) {
			return string(buf), true
		}
	}
}

// entry goes through an entry whose path comes from an archive.
func (w *walker) entry(next item, text io.Reader, depth int) error {
	next.name = strings.TrimPrefix(next.name, "./")
	if why := unsafePath(next.name); why != "" {
		w.refuse(next, why)
		return nil
	}
	next.name = path.Clean(next.name)
	return w.descend(next, text, depth+1)
}

// refuse tells of an entry that is not taken.
func (w *walker) refuse(at item, why string) {
	w.problem(Problem{strings.ToValidUTF8(at.prefix+at.name, "\ufffd"), Unsafe, fmt.Errorf("not read: %s", why)})
}

// sized is a file that can be read at any place.
type sized interface {
	io.ReaderAt
	io.Seeker
}

// zip goes through the entries of a zip: in place if source can be read at any place, else from a copy of stream.
func (w *walker) zip(at item, source, stream io.Reader, depth int) error {
	file, ok := source.(sized)
	size := int64(0)
	if ok {
		var err error
		if size, err = file.Seek(0, io.SeekEnd); err != nil {
			ok = false // a pipe
		}
	}
	if !ok {
		spool, err := w.spool(stream)
		if err != nil {
			w.fault(at, err)
			return nil
		}
		defer spool.Close()
		if size, err = spool.Seek(0, io.SeekEnd); err != nil {
			w.fault(at, err)
			return nil
		}
		file = spool
	}
	entries, err := zip.NewReader(file, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		w.fault(at, fmt.Errorf("the zip's directory cannot be read: %w", err))
		return nil
	}
	for _, f := range entries.File {
		next := item{prefix: at.inside(), name: f.Name, modified: f.Modified, size: int64(f.UncompressedSize64)}
		switch mode := f.Mode(); {
		case mode.IsDir():
			continue
		case mode&fs.ModeType != 0:
			w.refuse(next, "it is a link, a device or a pipe, and no file")
			continue
		}
		if why := zipFault(f); why != "" {
			w.refuse(next, why)
			continue
		}
		text, err := f.Open()
		if err != nil {
			w.fault(next, err)
			continue
		}
		packed := &layer{kind: Zip, text: text, packed: &counter{n: int64(f.CompressedSize64)}, limits: w.limits, total: &w.total}
		err = w.entry(next, packed, depth)
		text.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// spool copies a zip to a temporary file without a name.
func (w *walker) spool(r io.Reader) (*os.File, error) {
	file, err := os.CreateTemp("", "trtperf-zip-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	n, err := io.Copy(file, io.LimitReader(r, w.limits.Unpacked-w.total+1))
	if w.total += n; err == nil && w.total > w.limits.Unpacked {
		err = &limitError{fmt.Sprintf("unpacks to more than %d bytes: raise --max-unpacked to read it", w.limits.Unpacked)}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
