// Package slurm carries out a plan as one job of a Slurm cluster, by the system's own programs: sbatch, squeue, sacct, scontrol, scancel.
//
// [Run] submits a plan's job, watches it to its end and says what became of it; [Attach] does so for a job that another process submitted.
// A job is submitted once: what is going to be submitted is on disk before sbatch is called, the job's id is on disk before anything else
// happens, and where sbatch's answer was lost, the job is looked up by its working directory, which is the run's own.
//
// How a job stands is told by squeue (what waits and runs now) and sacct (what has ended, and the exit code of each step). Without
// accounting, scontrol tells a job's exit code for as long as the controller remembers the job. A [Lookout] asks about many jobs in one
// call of each.
package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// callTimeout is for one call of a program. The programs themselves give up after MessageTimeout, 10 s where a site has not changed it,
// sometimes twice.
const callTimeout = 45 * time.Second

// Client calls Slurm's programs.
type Client struct {
	environ []string
	// run runs a program. Tests of faults that a real Slurm cannot be made to show replace it.
	run func(ctx context.Context, environ, argv []string) (stdout, stderr []byte, err error)
	// noAccounting: sacct is missing or has nothing to ask.
	noAccounting atomic.Bool
}

// Accounting reports whether there is accounting, as far as is known.
func (c *Client) Accounting() bool { return !c.noAccounting.Load() }

// NewClient returns a client with the environment that the programs and, by sbatch, the job inherit. Variables that would change what the
// programs do or print are left out, and those of a job around this process, and trtperf's own credentials.
func NewClient(environ []string) *Client {
	return &Client{environ: clean(environ), run: run}
}

// clean leaves out what must not reach Slurm's programs.
func clean(environ []string) []string {
	kept := slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case name == "SLURM_CONF", name == "SLURM_CLUSTERS":
			return false
		case name == "SBATCH_WAIT", name == "SBATCH_ARRAY_INX", name == "SBATCH_TEST_ONLY", name == "SBATCH_REQUEUE":
			return true
		case strings.HasPrefix(name, "TRTPERF_"):
			return strings.Contains(name, "PASSWORD") || strings.Contains(name, "API_KEY")
		}
		for _, prefix := range []string{"SLURM_", "SQUEUE_", "SACCT_", "SCANCEL_", "SCONTROL_"} {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return false
	})
	return kept
}

// run runs a program in a process group of its own, so that a terminal's Ctrl-C does not end it in the middle of its work.
func run(ctx context.Context, environ, argv []string) (stdout, stderr []byte, err error) {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, complaint bytes.Buffer
	command.Env, command.Stdout, command.Stderr = environ, &out, &complaint
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.WaitDelay = time.Second
	err = command.Run()
	return out.Bytes(), complaint.Bytes(), err
}

// CallError is a failed call of one of Slurm's programs.
type CallError struct {
	Program string
	// Said is what it printed, without empty lines.
	Said string
	// Away: Slurm gave no answer, so that it is not known whether it did what was asked.
	Away bool
	// Missing: there is no such program.
	Missing bool
	Err     error
}

func (e *CallError) Error() string {
	if e.Said == "" {
		return fmt.Sprintf("%s: %v", e.Program, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Program, e.Said)
}

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.Err }

// awayWords are what the programs say where the controller or the database was not reached, or its answer was not.
var awayWords = []string{"Unable to contact slurm controller", "Socket timed out", "Zero Bytes were transmitted", "Transport endpoint", "Connection refused",
	"Connection reset", "Connection timed out", "communication connection failure", "communication receive failure", "communication send failure",
	"communication shutdown failure", "Unexpected message received", "backup controller in standby", "Unable to connect", "Problem talking to the database",
	"slurmdbd", "Slurm temporarily unable", "Resource temporarily unavailable", "Broken pipe", "authentication error", "Insane message length",
	"Incomplete", "Header lengths are longer", "Message receive failure"}

// call calls a program and returns what it prints.
func (c *Client) call(ctx context.Context, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// Times are printed in seconds of the epoch, which no time zone changes.
	stdout, stderr, err := c.run(ctx, append(slices.Clone(c.environ), "SLURM_TIME_FORMAT=%s"), argv)
	if err == nil {
		return string(stdout), nil
	}
	e := &CallError{Program: argv[0], Err: err, Missing: errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist)}
	var lines []string
	for line := range strings.Lines(string(stderr)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, strings.TrimPrefix(line, argv[0]+": error: "))
		}
	}
	e.Said = strings.Join(lines, "; ")
	if ctx.Err() != nil {
		e.Away, e.Err = true, fmt.Errorf("gave no answer: %w", context.Cause(ctx))
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() {
		e.Away = true
	}
	for _, words := range awayWords {
		e.Away = e.Away || strings.Contains(strings.ToLower(e.Said), strings.ToLower(words))
	}
	return string(stdout), e
}

// clusterArgs are the arguments that name a job's cluster, and its id without it: sbatch prints "123;cluster" in a federation.
func clusterArgs(id string) (args []string, number string) {
	number, cluster, ok := strings.Cut(id, ";")
	if ok && cluster != "" {
		return []string{"--clusters=" + cluster}, number
	}
	return nil, number
}

// Cancel asks for a job's end, again and again while Slurm gives no answer, until the context ends. A job that has ended already is no error.
func (c *Client) Cancel(ctx context.Context, id string) error {
	args, number := clusterArgs(id)
	for pause := time.Second; ; pause = min(2*pause, 10*time.Second) {
		_, err := c.call(ctx, append(append([]string{"scancel"}, args...), number)...)
		e, ok := errors.AsType[*CallError](err)
		if !ok || !e.Away {
			if ok && (strings.Contains(e.Said, "already completing or completed") || strings.Contains(e.Said, "Invalid job id")) {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}
