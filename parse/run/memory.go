package run

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/input"
)

// Memory remembers readings, so that runs whose files have not changed need not be read again. It is asked by several goroutines.
type Memory interface {
	// Recall returns what is known of a place; ok is false for nothing.
	Recall(ctx context.Context, place string) (known parse.Reading, ok bool)
}

const (
	// endLength is how much of a file's beginning and end goes into its mark.
	endLength = 4 << 10
	// worthwhile is the size of a run without Results from which on it is remembered. Smaller ones are read again as fast.
	worthwhile = 64 << 10
)

// settingsOf returns a hash of all that a reading's outcome depends on beside the files.
func settingsOf(opt *Options) string {
	var custom []string
	for m := range opt.Table.All() {
		if m.Custom {
			custom = append(custom, fmt.Sprintf("%s %q %s %s %s %s", m.Name, m.Labels, m.Pattern(), m.Unit, m.Place, m.Aggregate))
		}
	}
	text, err := json.Marshal([]any{opt.Version, opt.Mode, opt.ConfigDir != "", absolute(opt.ConfigDir), opt.System, opt.Job, opt.Started, opt.Ended,
		opt.Filter.Include, opt.Filter.Exclude, opt.Filter.Since, opt.Limits, custom})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// recalled returns what a group held when it was read before, if nothing of it has changed, and else the place and the mark of its
// files now; the place is empty for one that is not remembered.
func recalled(ctx context.Context, g *group, opt *Options) (known *Run, place, mark string) {
	if opt.Memory == nil || opt.settings == "" || g.top == "" || g.top == input.Stdin {
		return nil, "", ""
	}
	root := ""
	for f := range g.all() {
		root = f.Root
		break
	}
	place = fmt.Sprintf("%s %q %q", opt.settings, root, g.top)
	mark, err := markFiles(g)
	if err != nil {
		return nil, "", ""
	}
	before, ok := opt.Memory.Recall(ctx, place)
	if !ok || before.Mark != mark+markBeside(before.Beside) {
		return nil, place, mark
	}
	known, err = unpackRun(before.Run)
	if err != nil {
		return nil, place, mark
	}
	known.Recalled = known.Found
	return known, place, mark
}

// remember makes the reading of a group. A run that could not be read whole is not remembered.
func remember(g *group, r *Run, place, mark string, beside []string) {
	if place == "" || r.Inputs.Failed > 0 || r.more != nil {
		return
	}
	for _, d := range r.Diagnostics {
		if d.Code == ChangedWhile {
			return
		}
	}
	if len(r.Results) == 0 {
		size := int64(0)
		for f := range g.all() {
			if info, err := os.Stat(f.Path); err == nil {
				size += info.Size()
			}
		}
		if size < worthwhile {
			return
		}
	}
	if packed, err := packRun(r); err == nil {
		r.Reading = &parse.Reading{Place: place, Beside: beside, Mark: mark + markBeside(beside), Run: packed}
	}
}

// markFiles returns the mark of a group's files.
func markFiles(g *group) (string, error) {
	h := sha256.New()
	ends := make([]byte, 2*endLength)
	for f := range g.all() {
		info, err := os.Stat(f.Path)
		if err == nil && !info.Mode().IsRegular() {
			err = input.ErrNotRegular
		}
		if err != nil {
			return "", err
		}
		n := 0
		if f.kind != secretFile {
			if n, err = readEnds(f.Path, info.Size(), ends); err != nil {
				return "", err
			}
		}
		fmt.Fprintf(h, "%q %d %d %s\n", f.path(), info.Size(), info.ModTime().UnixNano(), ends[:n])
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// readEnds reads the beginning and the end of a file, all of a small one.
func readEnds(path string, size int64, ends []byte) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	n, err := file.ReadAt(ends, 0)
	if err == nil && size > int64(len(ends)) {
		_, err = file.ReadAt(ends[endLength:], size-endLength)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// markBeside returns the mark of files beside a group, which may be absent.
func markBeside(paths []string) string {
	h := sha256.New()
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintf(h, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// packRun makes the form in which a Run is kept.
func packRun(r *Run) ([]byte, error) {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(64<<10))
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(w).Encode(r); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func unpackRun(text []byte) (*Run, error) {
	d, err := zstd.NewReader(bytes.NewReader(text), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var r Run
	if err := json.NewDecoder(d).Decode(&r); err != nil {
		return nil, err
	}
	return &r, nil
}

// lookedFor notes where a configuration was looked for, so that one that appears there later is read.
func (r *reader) lookedFor(dirs, candidates []string) {
	for _, dir := range dirs {
		for _, c := range candidates {
			r.beside = append(r.beside, filepath.Join(dir, filepath.FromSlash(c)))
		}
	}
}
