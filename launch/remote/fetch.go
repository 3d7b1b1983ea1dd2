package remote

import (
	"archive/tar"
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/trtperf/trtperf/parse/run"
)

// manifestName is the last member of a run's stream: the XXH64 of each file. It guards against damage by the two programs, by memory and by what is between them and ssh; ssh itself sees to it
// that nobody changes the stream.
const manifestName = ".trtperf-manifest.json"

// errNoHashes says that a stream ended too early.
var errNoHashes = errors.New("the stream ended before its list of hashes: not all results are here")

// copyBuffer is larger than the buffers around the streams, so that what is in files is not copied into those.
const copyBuffer = 256 << 10

// Fetched says what came back.
type Fetched struct {
	Files int
	Bytes int64
	Took  time.Duration
}

// Fetch brings the files of a far directory into one of this machine and checks the hash of each. Program is the far side's own.
func (s *Session) Fetch(ctx context.Context, from, to, program string) (Fetched, error) {
	started := time.Now()
	var done Fetched
	if err := os.MkdirAll(to, 0o777); err != nil {
		return done, err
	}
	far, err := s.start(ctx, program, "far", "send", "--", from)
	if err != nil {
		return done, err
	}
	err = takeRun(bufio.NewReaderSize(far.out, 64<<10), to, &done)
	// Where the stream breaks off the far side says why. What this side could not do with it ends the far side too, and is the cause itself.
	if said := far.wait(); said != nil && (err == nil || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errNoHashes)) {
		err = said
	}
	done.Took = time.Since(started)
	if err != nil {
		return done, fmt.Errorf("results of %s:%s: %w", s.destination(), from, err)
	}
	return done, nil
}

// Send is the far side of a fetch: it writes a run's files as a tar stream, but for secrets, which stay where they are. A file that grows meanwhile is sent as long as it was; one that is gone is
// left out.
func Send(out io.Writer, from string) error {
	w := bufio.NewWriterSize(out, 64<<10)
	archive := tar.NewWriter(w)
	hashes, buffer := map[string]uint64{}, make([]byte, copyBuffer)
	err := filepath.WalkDir(from, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() || run.KnownOf(d.Name()).Secret {
			return nil
		}
		rel, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		f, err := os.Open(at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(rel), Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime(), Format: tar.FormatPAX}
		if err := archive.WriteHeader(h); err != nil {
			return err
		}
		sum := xxhash.New()
		n, err := io.CopyBuffer(io.MultiWriter(archive, sum), io.LimitReader(f, info.Size()), buffer)
		if err == nil && n < info.Size() {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		hashes[h.Name] = sum.Sum64()
		return nil
	})
	if err != nil {
		return err
	}
	text, err := json.Marshal(hashes)
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: manifestName, Mode: 0o600, Size: int64(len(text)), Format: tar.FormatPAX}); err != nil {
		return err
	}
	if _, err := archive.Write(text); err != nil {
		return err
	}
	return cmp.Or(archive.Close(), w.Flush())
}

// takeRun unpacks a run's stream and holds what arrived against the manifest.
func takeRun(in io.Reader, to string, done *Fetched) error {
	root, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer root.Close()
	got := map[string]uint64{}
	if err := unpack(tar.NewReader(in), root, func(path string, hash uint64) { got[path] = hash }); err != nil {
		return err
	}
	text, err := root.ReadFile(manifestName)
	if err != nil {
		return errNoHashes
	}
	if err := root.Remove(manifestName); err != nil {
		return err
	}
	delete(got, manifestName)
	var sent map[string]uint64
	if err := json.Unmarshal(text, &sent); err != nil {
		return fmt.Errorf("list of hashes: %w", err)
	}
	for name, hash := range sent {
		arrived, ok := got[name]
		if !ok {
			return fmt.Errorf("%s was sent and did not arrive", name)
		}
		if arrived != hash {
			return fmt.Errorf("%s arrived damaged: hash %016x, want %016x", name, arrived, hash)
		}
		info, err := root.Stat(name)
		if err != nil {
			return err
		}
		done.Files++
		done.Bytes += info.Size()
	}
	return nil
}
