package slurm

import (
	"io"
	"os"
	"time"
)

// followPause is how often a log is looked at. Network file systems tell nobody when a file grows.
const followPause = 500 * time.Millisecond

// follow copies a file, which need not be there yet, as it grows. The function that it returns copies the rest and ends it.
func follow(path string, to io.Writer) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		var f *os.File
		defer func() {
			if f != nil {
				f.Close()
			}
		}()
		for last := false; ; {
			if f == nil {
				f, _ = os.Open(path)
			}
			if f != nil {
				if _, err := io.Copy(to, f); err != nil {
					return // nobody reads it any more
				}
			}
			if last {
				return
			}
			select {
			case <-quit:
				last = true
			case <-time.After(followPause):
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
