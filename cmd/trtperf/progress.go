package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

// progress tells how far a long reading has come: a bar with the time left on a terminal, else a line now and then.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil without a terminal
	bytes atomic.Int64             // read so far
	total atomic.Int64             // bytes of all inputs, as far as they have been counted
	files atomic.Int64
	found atomic.Int64 // results
	mu    sync.Mutex   // held while something is printed
	stop  func()
}

const (
	// barAfter is how long a reading may take before a bar is shown, linesEvery the time between two lines.
	barAfter   = time.Second
	barEvery   = 200 * time.Millisecond
	linesEvery = 30 * time.Second
)

// isTerminal reports whether a stream is somebody's terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// newProgress begins to tell of the reading of paths.
func newProgress(ctx context.Context, out io.Writer, terminal bool, paths []string) *progress {
	p := &progress{out: out}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	p.stop = func() {
		cancel()
		running.Wait()
		p.clear()
	}
	every := linesEvery
	if terminal {
		every = barEvery
		running.Go(func() { p.measure(ctx, paths) })
	}
	running.Go(func() {
		begin, tick := time.Now(), time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if !terminal || time.Since(begin) >= barAfter {
					p.show(terminal)
				}
			}
		}
	})
	return p
}

// measure adds up the sizes of all inputs, for the time left.
func (p *progress) measure(ctx context.Context, paths []string) {
	for _, path := range paths {
		_ = filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil || entry.IsDir() {
				return nil
			}
			if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
				p.total.Add(info.Size())
			}
			return nil
		})
	}
}

// show prints the state.
func (p *progress) show(terminal bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := fmt.Sprintf("%d files, %d results", p.files.Load(), p.found.Load())
	if !terminal {
		fmt.Fprintf(p.out, "reading  %s read, %s\n", humanize.IBytes(uint64(p.bytes.Load())), state)
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(p.out), progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true),
			progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(20), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(0))
	}
	// A worker's or a server's log is not read at all, so less than everything may be read in the end.
	p.bar.ChangeMax64(max(p.total.Load(), p.bytes.Load()+1))
	p.bar.Describe(fmt.Sprintf("%s of %s, %s", humanize.IBytes(uint64(p.bytes.Load())), humanize.IBytes(uint64(p.total.Load())), state))
	_ = p.bar.Set64(p.bytes.Load())
}

// clear takes the bar off the terminal, so that something else can be printed.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
