// Package local carries out a plan on this machine: a process for each role, in the order of the plan.
package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/trtperf/trtperf/launch"
)

// OutputName is the log that holds what BENCHMARK prints, in place of a job's.
const OutputName = "slurm_local.log"

// marker is in the environment of every process of a run, so that none is left over when the run is.
const marker = "TRTPERF_RUN_ID"

// Options say whom to tell.
type Options struct {
	// Output gets what BENCHMARK prints.
	Output io.Writer
	// Notify is told what happens; nil for nobody.
	Notify func(launch.Event)
	// Environ is the environment to inherit.
	Environ []string
}

// role is a started process.
type role struct {
	step    launch.Step
	command *exec.Cmd
	pid     int
	done    bool
	outcome launch.StepOutcome
}

// runner carries out one plan.
type runner struct {
	plan    *launch.Plan
	opt     Options
	roles   []*role
	ended   chan *role
	outcome launch.Outcome
}

// Run starts the roles of a plan whose files are written and waits for its end. When BENCHMARK has ended the others may end too, and are
// ended after a while; when another role fails first, all are ended at once. An interrupted run ends all. No process is left. An error says
// that a process could not be started; what the outcome means, [launch.Plan.Verdict] tells.
func Run(ctx context.Context, p *launch.Plan, opt Options) (launch.Outcome, error) {
	r := &runner{plan: p, opt: opt, ended: make(chan *role)}
	defer r.sweep()
	if p.System != nil {
		r.system(ctx)
	}
	for _, step := range p.Steps {
		if ctx.Err() != nil {
			break
		}
		if err := r.start(step); err != nil {
			r.end("another role did not start")
			return r.outcome, fmt.Errorf("%s did not start: %w", step.Role, err)
		}
	}
	r.wait(ctx)
	for _, x := range r.roles {
		r.outcome.Steps = append(r.outcome.Steps, x.outcome)
	}
	return r.outcome, nil
}

func (r *runner) notify(e launch.Event) {
	if r.opt.Notify != nil {
		r.opt.Notify(e)
	}
}

// environment is what a step's process gets: what this one has, without what the step unsets, and the plan's.
func (r *runner) environment(step launch.Step) []string {
	inherited := slices.DeleteFunc(slices.Clone(r.opt.Environ), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(step.Unset, name) || secret(name)
	})
	return slices.Concat(inherited, r.plan.Environment, step.Env, []string{marker + "=" + r.plan.RunID})
}

// secret reports whether a variable holds a credential of trtperf's own, which a test has no use for.
func secret(name string) bool {
	return strings.HasPrefix(name, "TRTPERF_") && (strings.Contains(name, "PASSWORD") || strings.Contains(name, "API_KEY"))
}

// system has the machine described. A test runs without it as well.
func (r *runner) system(ctx context.Context) {
	c := r.plan.System
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	command.Dir, command.Env = c.Dir, append(slices.Clone(r.opt.Environ), c.Env...)
	if out, err := command.CombinedOutput(); err != nil {
		r.notify(launch.Event{Name: c.Name, State: "failed", Message: fmt.Sprintf("the machine is not described: %v: %s", err, bytes.TrimSpace(out))})
	}
}

// start starts a role. Its end comes through r.ended.
func (r *runner) start(step launch.Step) error {
	x := &role{step: step, outcome: launch.StepOutcome{Role: step.Role}}
	command := exec.Command(step.Argv[0], step.Argv[1:]...)
	command.Dir, command.Env = step.Dir, r.environment(step)
	name := step.Log
	if name == "" {
		name = OutputName
	}
	if err := os.MkdirAll(filepath.Dir(r.plan.Path(name)), 0o777); err != nil {
		return err
	}
	log, err := os.OpenFile(r.plan.Path(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	command.Stdout = log
	if step.Foreground && r.opt.Output != nil {
		command.Stdout = io.MultiWriter(log, r.opt.Output)
	}
	command.Stderr = command.Stdout
	command.WaitDelay = time.Duration(r.plan.Waits.Grace)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	x.command = command
	started := make(chan error)
	go func() {
		// The child is told when the thread that started it ends, so the thread must last as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		err := command.Start()
		started <- err
		if err != nil {
			return
		}
		err = command.Wait()
		// What it has left in its group ends with it.
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		if exit, ok := errors.AsType[*exec.ExitError](err); ok || err == nil || errors.Is(err, exec.ErrWaitDelay) {
			code := 0
			if ok {
				code = exit.ExitCode()
			}
			if status, ok := command.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				x.outcome.Signal = int(status.Signal())
			} else {
				x.outcome.Exit = &code
			}
		}
		r.ended <- x
	}()
	if err := <-started; err != nil {
		return err
	}
	x.pid = command.Process.Pid
	r.roles = append(r.roles, x)
	r.notify(launch.Event{Name: string(step.Role), State: "started", Message: fmt.Sprintf("process %d, log %s", x.pid, r.plan.Path(name))})
	return nil
}

// wait waits for BENCHMARK's end and then for the others', and ends what has to be ended.
func (r *runner) wait(ctx context.Context) {
	limit := time.NewTimer(time.Duration(r.plan.Waits.Run))
	defer limit.Stop()
	for {
		select {
		case <-ctx.Done():
			r.outcome.Interrupted = true
			r.end("interrupted")
			return
		case <-limit.C:
			r.outcome.Lost, r.outcome.Reason = true, fmt.Sprintf("the test ran longer than its limit of %s", time.Duration(r.plan.Waits.Run))
			r.end(r.outcome.Reason)
			return
		case x := <-r.ended:
			r.take(x)
			switch {
			case x.step.Foreground:
				r.finish(ctx)
				return
			case failed(x.outcome):
				r.outcome.Died = x.step.Role
				r.end(fmt.Sprintf("%s %s", x.step.Role, x.outcome.Words()))
				return
			}
		}
	}
}

func failed(o launch.StepOutcome) bool { return o.Exit == nil || *o.Exit != 0 }

// take notes a role's end.
func (r *runner) take(x *role) {
	x.done = true
	if x.step.Done != "" {
		if err := os.WriteFile(r.plan.Path(x.step.Done), nil, 0o666); err != nil {
			r.notify(launch.Event{Name: string(x.step.Role), State: "failed", Message: err.Error()})
		}
	}
	r.notify(launch.Event{Name: string(x.step.Role), State: "ended", Message: x.outcome.Words()})
}

// finish gives the other roles the time to end by themselves.
func (r *runner) finish(ctx context.Context) {
	limit := time.NewTimer(time.Duration(r.plan.Waits.Finish))
	defer limit.Stop()
	for slices.ContainsFunc(r.roles, func(x *role) bool { return !x.done }) {
		select {
		case x := <-r.ended:
			r.take(x)
		case <-limit.C:
			r.end(fmt.Sprintf("still running %s after the test", time.Duration(r.plan.Waits.Finish)))
			return
		case <-ctx.Done():
			r.outcome.Interrupted = true
			r.end("interrupted")
			return
		}
	}
}

// end ends all processes: by an interrupt, which pytest passes on to its fixtures, and at last by force.
func (r *runner) end(why string) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		running := false
		for _, x := range r.roles {
			if !x.done {
				running = true
				x.outcome.Ended = true
				r.notify(launch.Event{Name: string(x.step.Role), State: "ending", Message: fmt.Sprintf("%s: %s", signal, why)})
				_ = syscall.Kill(-x.pid, signal)
			}
		}
		if !running {
			return
		}
		wait := time.Duration(r.plan.Waits.Grace)
		if signal == syscall.SIGTERM {
			wait /= 4
		}
		limit := time.NewTimer(wait)
		for over := false; !over && slices.ContainsFunc(r.roles, func(x *role) bool { return !x.done }); {
			select {
			case x := <-r.ended:
				r.take(x)
			case <-limit.C:
				over = true
			}
		}
		limit.Stop()
	}
}

// sweep ends processes of the run that have left their group.
func (r *runner) sweep() {
	want := []byte(marker + "=" + r.plan.RunID)
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		text, err := os.ReadFile(path)
		if err != nil || !slices.ContainsFunc(bytes.Split(text, []byte{0}), func(v []byte) bool { return bytes.Equal(v, want) }) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		r.notify(launch.Event{Name: "process " + strconv.Itoa(pid), State: "ending", Message: "left over by the test"})
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
