package run

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/input"
)

// changing is a context that does something when so many bytes have been read.
type changing struct {
	context.Context
	bytes   *atomic.Int64
	after   int64
	once    *sync.Once
	happens func()
}

func (c changing) Err() error {
	if c.bytes.Load() >= c.after {
		c.once.Do(c.happens)
	}
	return c.Context.Err()
}

// A file that grows or shrinks while it is read is told of, and what it holds is read.
func TestFileChangesWhileRead(t *testing.T) {
	for name, c := range map[string]struct {
		lines   int // behind the block
		change  func(path string) error
		results int
	}{
		"a small one is cut":     {1000, func(path string) error { return os.Truncate(path, 9000) }, 1},
		"a small one grows":      {1000, func(path string) error { return grow(path) }, 1},
		"a great one is cut":     {300_000, func(path string) error { return os.Truncate(path, 100_000) }, 1},
		"a great one grows":      {300_000, func(path string) error { return grow(path) }, 1},
		"a great one is emptied": {300_000, func(path string) error { return os.Truncate(path, 0) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			block := "============ Serving Benchmark Result ============\nRequest throughput (req/s): 3.24\n" + strings.Repeat("=", 50) + "\n"
			path := filepath.Join(t.TempDir(), "a.log")
			if err := os.WriteFile(path, []byte(block+strings.Repeat("nothing of interest in this line\n", c.lines)), 0o644); err != nil {
				t.Fatal(err)
			}
			opt := &Options{Table: parse.Metrics(), Bytes: new(atomic.Int64)}
			ctx := changing{context.Background(), opt.Bytes, 8 << 10, new(sync.Once), func() {
				if err := c.change(path); err != nil {
					t.Error(err)
				}
			}}
			r := newReader(ctx, groupFiles([]located{locate(input.File{Path: path, Root: path}, filepath.Dir(path), placeOf)})[0], opt)
			r.read()
			told := slices.ContainsFunc(r.Diagnostics, func(d parse.Diagnostic) bool { return d.Code == ChangedWhile && d.File == path })
			if len(r.Results) != c.results || !told || r.Inputs.Failed != 0 {
				t.Errorf("%d results, told of it: %v, %+v", len(r.Results), told, r.Inputs)
			}
		})
	}
}

// grow appends to a file.
func grow(path string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString("one more line\n")
	return err
}
