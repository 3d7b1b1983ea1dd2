package launch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/trtperf/trtperf/parse"
)

// Verdict says what an outcome means: nil where the test ran and passed, [ErrTestFailed] where it ran and failed, [context.Canceled] where
// the user ended it; any other error means that it did not run, or not to its end. A run without its result files did not.
func (p *Plan) Verdict(o Outcome) error {
	if o.Interrupted {
		return context.Canceled
	}
	if o.Lost {
		return fmt.Errorf("%s", o.Reason)
	}
	benchmark := o.Step(parse.Benchmark)
	switch {
	case benchmark == nil || benchmark.Exit == nil:
		return fmt.Errorf("nobody knows how %s ended", parse.Benchmark)
	case *benchmark.Exit != 0 && *benchmark.Exit != pytestFailed:
		return fmt.Errorf("pytest %s: the tests were not run to their end", benchmark.Words())
	}
	for _, x := range p.Results {
		if _, err := os.Stat(p.Path(x.Path)); x.Required && err != nil {
			return fmt.Errorf("the run ended and left no %s (%s): %w", x.Path, x.What, err)
		}
	}
	if *benchmark.Exit == pytestFailed {
		return ErrTestFailed
	}
	return nil
}

// errorWords are those by which TensorRT-LLM's own tests find the lines of a log that say why a server died.
var errorWords = []string{"RuntimeError", "out of memory", "ValueError", "FileNotFoundError", "ConnectionRefusedError", "ClientConnectorError",
	"CancelledError", "TimeoutError", "PMI2_Init failed to initialize", "OSError"}

const (
	tailBytes = 256 << 10 // of a log that are looked through
	tailLines = 10        // shown of it
)

// LogTail names a step's log and quotes its last lines that say why it ended: those with an error's words, else its last lines.
func LogTail(p *Plan, step Step) string {
	if step.Log == "" {
		return "its output says why"
	}
	path := p.Path(step.Log)
	f, err := os.Open(path)
	if err != nil {
		return fmt.Sprintf("it has left no log: %v", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = f.Seek(-tailBytes, io.SeekEnd)
	}
	text, _ := io.ReadAll(f)
	var errors, all []string
	for line := range bytes.Lines(text) {
		line := strings.TrimRight(string(line), "\r\n \t")
		if line == "" {
			continue
		}
		all = append(all, line)
		for _, word := range errorWords {
			if strings.Contains(line, word) {
				errors = append(errors, line)
				break
			}
		}
	}
	what := "its last lines with an error"
	if len(errors) == 0 {
		errors, what = all, "its last lines"
	}
	if len(errors) == 0 {
		return fmt.Sprintf("its log %s is empty", path)
	}
	if n := len(errors) - tailLines; n > 0 {
		errors = errors[n:]
	}
	return fmt.Sprintf("its log is %s, %s:\n  %s", path, what, strings.Join(errors, "\n  "))
}
