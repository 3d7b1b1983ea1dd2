package collect

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/trtperf/trtperf/parse/manifest"
)

// formats are the kinds of archive, by the ending of their names. Any other name is a directory's.
var formats = []struct {
	ending string
	pack   func(io.Writer) (io.WriteCloser, error)
}{
	{".tar.zst", packZstd}, {".tzst", packZstd},
	{".tar.gz", packGzip}, {".tgz", packGzip},
	{".tar", func(w io.Writer) (io.WriteCloser, error) { return unpacked{w}, nil }},
}

func packZstd(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }

func packGzip(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }

type unpacked struct{ io.Writer }

func (unpacked) Close() error { return nil }

// noFormats are endings of archives that are not written.
var noFormats = []string{".zip", ".gz", ".zst", ".xz", ".bz2", ".tbz", ".tbz2", ".txz", ".7z"}

// Check says whether an archive of this name can be written. It must not exist yet, so that no earlier one is lost; an empty directory may.
func Check(archive string) error {
	isDir := true
	for _, f := range formats {
		isDir = isDir && !strings.HasSuffix(archive, f.ending)
	}
	if isDir {
		for _, ending := range noFormats {
			if strings.HasSuffix(archive, ending) {
				return fmt.Errorf("--archive %s: write .tar.zst, .tar.gz, .tar, or the name of a directory", archive)
			}
		}
	}
	info, err := os.Lstat(archive)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case isDir && info.IsDir():
		entries, err := os.ReadDir(archive)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return nil
		}
	}
	return fmt.Errorf("--archive %s exists already: choose another name, or remove it first", archive)
}

// sink takes the files of an archive in the order in which they stand in it.
type sink interface {
	add(name string, size int64, modified time.Time, text io.Reader) error
}

// write writes an archive under a temporary name, and gives it its own name once it is whole.
func write(archive string, fill func(sink) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(archive), 0o777); err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(archive), fmt.Sprintf(".trtperf-%d-%s", os.Getpid(), filepath.Base(archive)))
	for _, f := range formats {
		if !strings.HasSuffix(archive, f.ending) {
			continue
		}
		file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return err
		}
		defer os.Remove(temporary) // there is none any more where it was renamed
		packed, err := f.pack(file)
		if err != nil {
			return errors.Join(err, file.Close())
		}
		to := &tarSink{tar.NewWriter(packed), packed, file}
		if err := fill(to); err != nil {
			return errors.Join(err, file.Close())
		}
		if err := to.close(); err != nil {
			return err
		}
		// A link fails where another has made an archive of this name in the meantime, and a renaming does not.
		if err := os.Link(temporary, archive); err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
		return os.Rename(temporary, archive) // a file system without links
	}
	if err := os.Mkdir(temporary, 0o777); err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	if err := fill(dirSink(temporary)); err != nil {
		return err
	}
	return os.Rename(temporary, archive)
}

type tarSink struct {
	tar    *tar.Writer
	packed io.Closer
	file   *os.File
}

func (s *tarSink) add(name string, size int64, modified time.Time, text io.Reader) error {
	if err := s.tar.WriteHeader(&tar.Header{Name: name, Size: size, ModTime: modified.Truncate(time.Second), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := io.Copy(s.tar, text)
	return err
}

func (s *tarSink) close() error {
	return errors.Join(s.tar.Close(), s.packed.Close(), s.file.Sync(), s.file.Close())
}

// dirSink is a directory.
type dirSink string

func (s dirSink) add(name string, _ int64, modified time.Time, text io.Reader) error {
	path := filepath.Join(string(s), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Chtimes(path, modified, modified)
}

// addManifest adds the manifest, which has the time of the newest file: two archives of one run are the same to the byte.
func addManifest(to sink, m *manifest.Manifest) error {
	var text bytes.Buffer
	if err := m.Write(&text); err != nil {
		return err
	}
	modified := time.Unix(0, 0).UTC()
	for _, f := range m.Files {
		if f.Modified.After(modified) {
			modified = f.Modified
		}
	}
	return to.add(manifest.Name, int64(text.Len()), modified, &text)
}
