package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/trtperf/trtperf/parse/spelling"
)

// collectLimit is how long pytest may take to collect a file's tests.
const collectLimit = 5 * time.Minute

// collect asks pytest whether it knows the node id, before a node is spent on it. Nothing is left on disk.
func (s *Spec) collect(ctx context.Context) error {
	program, err := exec.LookPath(s.Pytest[0])
	if err != nil {
		s.remark("the id was not checked: there is no %s here", s.Pytest[0])
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, collectLimit)
	defer cancel()
	args := append(slices.Clone(s.Pytest[1:]), s.Module, "--collect-only", "-q", "--rootdir="+s.dir(), "-p", "no:cacheprovider")
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = s.dir()
	command.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTEST_ADDOPTS=")
	command.Env = append(command.Env, s.Environment...)
	command.WaitDelay = time.Second
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if ctx.Err() != nil {
		return fmt.Errorf("pytest --collect-only did not end within %s: %w; --no-collect leaves it out", collectLimit, ctx.Err())
	}
	node := s.Module + "::" + s.Selected
	var ids []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\r\n")
		if line == node || strings.HasPrefix(line, node+"[") || strings.HasPrefix(line, node+"::") {
			return nil
		}
		if strings.HasPrefix(line, s.Module+"::") {
			ids = append(ids, line)
		}
	}
	if err != nil && len(ids) == 0 {
		_, exited := errors.AsType[*exec.ExitError](err)
		why := lastLine(append(out, complaint.Bytes()...))
		if s.On == Slurm || !exited {
			s.remark("the id was not checked: pytest cannot collect the tests here: %s", why)
			return nil
		}
		return fmt.Errorf("pytest cannot collect the tests of %s: %s; --no-collect leaves this check out", s.Module, why)
	}
	if len(ids) == 0 {
		return fmt.Errorf("pytest finds no test in %s", s.Module)
	}
	slices.SortStableFunc(ids, func(a, b string) int { return spelling.Distance(node, a) - spelling.Distance(node, b) })
	return fmt.Errorf("pytest knows no test %s; of its %d tests the nearest are\n  %s", node, len(ids), strings.Join(ids[:min(len(ids), nearest)], "\n  "))
}

// nearest is the number of ids that an error proposes.
const nearest = 5

// lastLine is the last line that says something: pytest's own error lines begin with E.
func lastLine(text []byte) string {
	last := "no word of why"
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "E  ") || strings.HasPrefix(line, "ERROR") {
			return strings.TrimSpace(strings.TrimPrefix(line, "E "))
		}
		if line != "" {
			last = line
		}
	}
	return last
}

var declared = regexp.MustCompile(`addoption\(\s*["'](--[\w-]+)["']`)

// ownOptions lists the pytest options that the conftest files from a directory down to a module declare.
func ownOptions(dir, module string) []string {
	var options []string
	at := dir
	for _, part := range strings.Split(path.Dir(module), "/") {
		for _, m := range matches(filepath.Join(at, "conftest.py")) {
			if !slices.Contains(options, m) {
				options = append(options, m)
			}
		}
		at = filepath.Join(at, part)
	}
	for _, m := range matches(filepath.Join(at, "conftest.py")) {
		if !slices.Contains(options, m) {
			options = append(options, m)
		}
	}
	slices.Sort(options)
	return options
}

func matches(conftest string) []string {
	text, err := os.ReadFile(conftest)
	if err != nil {
		return nil
	}
	var all []string
	for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1])
	}
	return all
}
