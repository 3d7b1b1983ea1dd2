package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/junit"
)

// Verdict says what an outcome means: nil where the test ran and passed, [ErrTestFailed] where it ran and failed, [context.Canceled] where
// the user ended it; any other error means that it did not run, or not to its end. What decides is BENCHMARK's own exit code and the result
// files, and the job's state only then: TensorRT-LLM's drafts cancel their own job after a failed test, and a job that ran nothing ends
// COMPLETED. Where they disagree the worse one counts, and all are named. Result files are waited for, as long as the plan says.
func (p *Plan) Verdict(ctx context.Context, o Outcome) error {
	if o.Interrupted {
		return context.Canceled
	}
	var failed, lost []error
	judge := func(what string, exit *int, words string) {
		switch {
		case exit == nil || *exit == 0:
		case *exit == pytestFailed:
			failed = append(failed, fmt.Errorf("%s %s", what, words))
		default:
			lost = append(lost, fmt.Errorf("%s %s: the tests were not run to their end", what, words))
		}
	}
	if o.Lost {
		lost = append(lost, errors.New(o.Reason))
	}
	if died := o.Step(o.Died); died != nil {
		err := p.died(died)
		if died.Exit != nil && *died.Exit == pytestFailed {
			return fmt.Errorf("%w: %w", ErrTestFailed, err)
		}
		return err
	}
	benchmark := o.Step(parse.Benchmark)
	var exit *int
	if benchmark != nil {
		exit = benchmark.Exit
		if exit != nil && *exit > killed && p.Benchmark().Tasks > 1 {
			exit = nil // the code of a rank that srun has ended after another one
		}
		judge("pytest", exit, benchmark.Words())
		if benchmark.Signal != 0 && !o.Lost {
			lost = append(lost, fmt.Errorf("pytest %s", benchmark.Words()))
		}
	}
	if !o.Lost {
		patience := time.Duration(p.Waits.Results)
		if len(lost) > 0 {
			patience = 0
		}
		missing := p.awaitResults(ctx, patience)
		lost = append(lost, missing...)
		if len(missing) == 0 {
			err := p.checkCases()
			if _, ok := errors.AsType[*failedCase](err); ok {
				failed = append(failed, err)
			} else if err != nil {
				lost = append(lost, err)
			}
		}
		if exit == nil && len(failed) == 0 && (benchmark == nil || benchmark.Signal == 0) {
			lost = append(lost, fmt.Errorf("nobody knows how %s ended", parse.Benchmark))
		}
	}
	state := ""
	switch o.State {
	case "", "COMPLETED":
	case "CANCELLED", "FAILED":
		// So ends a job after a failed test; alone it says that nothing was run.
		if len(failed) == 0 && len(lost) == 0 {
			lost = append(lost, fmt.Errorf("the job ended as %s, though its test passed", o.words()))
		}
		state = "; the job ended as " + o.words()
	default:
		lost = append(lost, fmt.Errorf("the job ended as %s", o.words()))
	}
	switch {
	case len(lost) > 0:
		return errors.New(sentences(append(lost, failed...)) + state)
	case len(failed) > 0:
		return fmt.Errorf("%w: %s%s", ErrTestFailed, sentences(failed), state)
	}
	return nil
}

// died says which role ended the run, and what its log says of it.
func (p *Plan) died(x *StepOutcome) error {
	tail := ""
	for _, s := range p.Steps {
		if s.Role == x.Role {
			tail = "; " + LogTail(p, s)
		}
	}
	return fmt.Errorf("%s %s before the test was at its end%s", x.Role, x.Words(), tail)
}

// killed is the exit code above which a signal is meant.
const killed = 128

// words are a job's state and why.
func (o *Outcome) words() string {
	if o.Reason != "" {
		return o.State + " (" + o.Reason + ")"
	}
	return o.State
}

func sentences(all []error) string {
	texts := make([]string, len(all))
	for i, err := range all {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// awaitResults waits for the files that must be there, and gives those their names that have another one. What is there at last must be
// of this run.
func (p *Plan) awaitResults(ctx context.Context, patience time.Duration) []error {
	began := time.Time{}
	if info, err := os.Stat(p.Path(PlanFile)); err == nil {
		began = info.ModTime()
	}
	limit := time.Now().Add(patience)
	var missing []error
	for _, x := range p.Results {
		at := p.Path(x.Path)
		info, err := os.Stat(at)
		for x.Required && err != nil && ctx.Err() == nil && time.Now().Before(limit) {
			select {
			case <-ctx.Done():
			case <-time.After(min(time.Second, time.Until(limit))):
			}
			info, err = os.Stat(at)
		}
		switch {
		case err != nil && x.Required:
			missing = append(missing, fmt.Errorf("the run left no %s (%s)", at, x.What))
		case err != nil:
		case info.ModTime().Before(began.Add(-clockSlack)):
			missing = append(missing, fmt.Errorf("%s (%s) is older than this run", at, x.What))
		case x.As != "":
			if err := os.Rename(at, p.Path(x.As)); err != nil {
				missing = append(missing, err)
			}
		}
	}
	return missing
}

// clockSlack is how far the clocks of two machines of one cluster may be apart.
const clockSlack = 2 * time.Minute

// checkCases wants the test in BENCHMARK's results.xml, by its exact name: every role has the same, and a file without it says nothing.
func (p *Plan) checkCases() error {
	name := ""
	for _, x := range p.Results {
		if x.Role == parse.Benchmark && x.Required {
			if name = x.Path; x.As != "" {
				name = x.As
			}
			break
		}
	}
	if name == "" {
		return nil
	}
	f, err := os.Open(p.Path(name))
	if err != nil {
		return err
	}
	defer f.Close()
	report, err := junit.Read(f, nil)
	if err != nil && report == nil {
		return fmt.Errorf("%s: %w", p.Path(name), err)
	}
	head, id, parametrised := strings.Cut(p.Spec.Selected, "[")
	want := head[strings.LastIndex(head, ":")+1:]
	if parametrised {
		want += "[" + id
	}
	found, skipped := 0, 0
	for _, c := range report.Cases {
		// A function without an id selects all of its tests, and a class has tests of other names.
		if parametrised && c.Name != want {
			continue
		}
		found++
		switch c.Status {
		case junit.Failed, junit.Errored:
			return &failedCase{fmt.Sprintf("%s says %s: %s", p.Path(name), c.Status, firstLine(c.Message))}
		case junit.Incomplete:
			return fmt.Errorf("%s ends inside the test", p.Path(name))
		case junit.Skipped:
			skipped++
		}
	}
	switch found {
	case 0:
		return fmt.Errorf("%s does not speak of the test %s: it was not run", p.Path(name), want)
	case skipped:
		return fmt.Errorf("pytest skipped the test %s: it was not run", want)
	}
	return nil
}

// failedCase is a test that results.xml calls failed.
type failedCase struct{ message string }

func (f *failedCase) Error() string { return f.message }

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	const most = 200
	if r := []rune(line); len(r) > most {
		line = string(r[:most]) + "…"
	}
	return line
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
	var telling, all []string
	for line := range bytes.Lines(text) {
		line := strings.TrimRight(string(line), "\r\n \t")
		if line == "" {
			continue
		}
		all = append(all, line)
		for _, word := range errorWords {
			if strings.Contains(line, word) {
				telling = append(telling, line)
				break
			}
		}
	}
	what := "its last lines with an error"
	if len(telling) == 0 {
		telling, what = all, "its last lines"
	}
	if len(telling) == 0 {
		return fmt.Sprintf("its log %s is empty", path)
	}
	if n := len(telling) - tailLines; n > 0 {
		telling = telling[n:]
	}
	return fmt.Sprintf("its log is %s, %s:\n  %s", path, what, strings.Join(telling, "\n  "))
}
