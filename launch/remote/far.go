package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/launch/slurm"
)

// outcomeFile is the file of a run on the far side that says that its job was seen to its end.
const outcomeFile = "trtperf-outcome.json"

// Serve is the far side of [Session.Carry]: it reads a plan, carries it out as a job of this cluster, or takes the job up again where the plan was
// begun, and tells what happens. Its standard output is the connection: when that is gone it ends by SIGPIPE, and the job goes on.
func Serve(ctx context.Context, in io.Reader, out io.Writer, environ []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var writing sync.Mutex
	encoder := json.NewEncoder(out)
	tell := func(m message) {
		writing.Lock()
		defer writing.Unlock()
		_ = encoder.Encode(m)
	}
	orders := json.NewDecoder(in)
	var first order
	if err := orders.Decode(&first); err != nil {
		return fmt.Errorf("no plan: %w", err)
	}
	go func() {
		for {
			var next order
			if orders.Decode(&next) != nil {
				return // the connection is lost, or there is nothing more to say
			}
			if next.Cancel {
				cancel()
			}
		}
	}()
	opt := slurm.Options{Client: slurm.NewClient(environ), Notify: func(e launch.Event) { tell(message{Event: &e}) }}
	if first.Follow {
		opt.Output = lines{tell}
	}
	outcome, err := serve(ctx, []byte(first.Plan), opt, environ)
	last := message{Outcome: &outcome}
	if err != nil {
		last.Error = err.Error()
	}
	tell(last)
	return nil
}

func serve(ctx context.Context, text []byte, opt slurm.Options, environ []string) (launch.Outcome, error) {
	var plan launch.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return launch.Outcome{}, fmt.Errorf("the plan cannot be read: %w", err)
	}
	if plan.On != launch.Slurm {
		return launch.Outcome{}, fmt.Errorf("the plan is for %s, and a cluster carries out Slurm jobs", plan.On)
	}
	begun, err := os.ReadFile(plan.Path(launch.PlanFile))
	switch {
	case err == nil && !bytes.Equal(begun, text):
		return launch.Outcome{}, fmt.Errorf("%s holds another plan", plan.Workspace)
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		// What a first try left that broke off before the plan, its last file, was written is of this run alone.
		if err := os.RemoveAll(plan.Workspace); err != nil {
			return launch.Outcome{}, err
		}
		if err := plan.Write(); err != nil {
			return launch.Outcome{}, err
		}
	default:
		return launch.Outcome{}, err
	}
	var outcome launch.Outcome
	if _, err = slurm.ReadRecord(plan.Workspace); err == nil {
		outcome, err = slurm.Attach(ctx, &plan, opt)
	} else if errors.Is(err, fs.ErrNotExist) {
		if err = plan.Prepare(ctx, environ); err == nil {
			outcome, err = slurm.Run(ctx, &plan, opt)
		} else {
			outcome.Interrupted = ctx.Err() != nil
		}
	}
	if saved, failed := json.Marshal(outcome); failed == nil && err == nil {
		err = os.WriteFile(plan.Path(outcomeFile), saved, 0o644)
	}
	return outcome, err
}

// Lock takes a lock, says so, and holds it until its input ends.
func Lock(in io.Reader, out io.Writer, at string) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return err
	}
	f, err := os.OpenFile(at, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	if _, err := fmt.Fprintln(out, "locked"); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// unseen is how long a run stays whose job nobody has seen to its end.
const unseen = 7 * 24 * time.Hour

// Clean removes the runs of a work directory with their sources, but for the newest keep ones and those that may still run.
func Clean(out io.Writer, workdir string, keep int) error {
	runs, err := os.ReadDir(filepath.Join(workdir, "runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// Names begin with the time.
	for i, run := range slices.Backward(runs) {
		if len(runs)-i <= keep {
			continue
		}
		at := filepath.Join(workdir, "runs", run.Name())
		if _, err := os.Stat(filepath.Join(at, outcomeFile)); err != nil {
			if info, err := run.Info(); err != nil || time.Since(info.ModTime()) < unseen {
				continue
			}
		}
		if err := errors.Join(os.RemoveAll(filepath.Join(workdir, "sources", run.Name())), os.RemoveAll(at)); err != nil {
			return err
		}
		fmt.Fprintln(out, run.Name())
	}
	return nil
}
