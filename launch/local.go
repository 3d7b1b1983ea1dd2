package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Write writes the plan's files into its workspace, which must be new: what an earlier run left there would be taken for this one's.
func (p *Plan) Write() error {
	if entries, err := os.ReadDir(p.Workspace); err == nil && len(entries) > 0 {
		return fmt.Errorf("the workspace %s is not empty: choose another with --workspace, so that an older run's files are not taken for this one's", p.Workspace)
	}
	if err := os.MkdirAll(p.Workspace, 0o777); err != nil {
		return err
	}
	for _, f := range p.Files {
		if err := os.WriteFile(filepath.Join(p.Workspace, f.Name), []byte(f.Content), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// pytestFailed is pytest's exit code for a test that failed; others than 0 and 1 mean that tests were not run.
const pytestFailed = 1

// gracePeriod is how long an interrupted pytest may take to end.
const gracePeriod = 30 * time.Second

// ErrTestFailed says that the tests ran and one failed.
var ErrTestFailed = errors.New("a test failed")

// RunLocal runs the plan on this machine and waits. An interrupt is passed on to pytest and its children. The error is [ErrTestFailed] where
// the tests ran; any other means that they did not, or not to their end. A run without a results.xml did not.
func (p *Plan) RunLocal(ctx context.Context, out io.Writer) error {
	command := exec.CommandContext(ctx, p.Argv[0], p.Argv[1:]...)
	command.Dir = p.Dir
	command.Stdout, command.Stderr = out, out
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGINT) }
	command.WaitDelay = gracePeriod
	err := command.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err != nil && !exited:
		return fmt.Errorf("pytest did not start: %w", err)
	case exited && exit.ExitCode() != pytestFailed:
		return fmt.Errorf("pytest ended with %s: the tests were not run to their end", exit.ProcessState)
	}
	if _, missing := os.Stat(p.Results); missing != nil {
		return fmt.Errorf("pytest ended and left no results: %w", missing)
	}
	if exited {
		return ErrTestFailed
	}
	return nil
}
