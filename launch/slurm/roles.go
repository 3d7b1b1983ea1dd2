package slurm

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/parse"
)

// srunFailed is what srun prints into a role's log when the step has failed or was never made. What it prints while it waits for nodes is none.
var srunFailed = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^srun: (?:fatal: |error: (?:.*: tasks? .*: (?:Exited with exit code (\d+)|Killed|Terminated|Aborted|Segmentation fault|Bus error|Illegal instruction|Floating point exception)|` +
		`Unable to create step|Unable to confirm allocation|Task launch for|Application launch failed|Timed out waiting for job step|Job step .*aborted)).*$`)
})

// roleTail is how much of a log's end is looked through.
const roleTail = 64 << 10

// sureAfter is how long a role must be seen to have failed while the job runs, so that the end of the job itself, which ends its roles, is
// not taken for it: what accounting and logs say of a role may be known a moment earlier than the job's end.
const sureAfter = 3 * time.Second

// dead reports whether a role other than BENCHMARK has failed while BENCHMARK runs, and by what sign: the exit code that the job's script has
// left, accounting, or what srun says in its log.
func (w *watch) dead() (role parse.Role, sign string) {
	var o launch.Outcome
	w.plan.ReadExits(&o)
	if b := o.Step(parse.Benchmark); b != nil || o.Died != "" {
		return "", "" // the job's script sees to it
	}
	if b := w.plan.Benchmark(); b.JUnit != "" {
		if _, err := os.Stat(w.plan.Path(b.JUnit)); err == nil {
			return "", ""
		}
	}
	for _, s := range w.plan.Steps {
		if s.Foreground {
			continue
		}
		sign := w.failed(&o, s)
		switch since, suspected := w.suspects[s.Role]; {
		case sign == "":
			delete(w.suspects, s.Role)
		case !suspected:
			w.suspects[s.Role] = time.Now()
		case time.Since(since) >= sureAfter:
			return s.Role, sign
		}
	}
	return "", ""
}

// failed is the sign that a role has failed, empty for none. An exit code that it tells is noted.
func (w *watch) failed(o *launch.Outcome, s launch.Step) (sign string) {
	if x := o.Step(s.Role); x != nil && x.Exit != nil {
		if *x.Exit == 0 {
			return ""
		}
		return x.Words()
	}
	for _, step := range w.last.Steps {
		if step.Name == string(s.Role) && step.Meaning.Phase == Ended && step.Meaning.Name != "COMPLETED" {
			return "its step " + step.Meaning.Words
		}
	}
	if s.Log == "" {
		return ""
	}
	found := srunFailed().FindSubmatch(tail(w.plan.Path(s.Log)))
	if found == nil {
		return ""
	}
	if code, err := strconv.Atoi(string(found[1])); err == nil {
		w.codes[s.Role] = code
	}
	return string(found[0])
}

// tail is the end of a file, from the beginning of a line; nothing where there is no file.
func tail(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	cut := false
	if info, err := f.Stat(); err == nil && info.Size() > roleTail {
		_, err = f.Seek(-roleTail, io.SeekEnd)
		cut = err == nil
	}
	text, _ := io.ReadAll(io.LimitReader(f, roleTail))
	if cut {
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
	}
	return text
}
