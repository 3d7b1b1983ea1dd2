package slurm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trtperf/trtperf/launch"
)

// RecordFile is the file in a run's workspace that says what was submitted.
const RecordFile = "slurm_job.json"

// Record says what was submitted for a run. It is written before sbatch is called, without an id, and again with it.
type Record struct {
	RunID string `json:"run_id"`
	// Argv is sbatch's argument list.
	Argv []string `json:"argv"`
	// Submitting is when sbatch was called first.
	Submitting time.Time `json:"submitting"`
	// JobID is as sbatch printed it: "123", or "123;cluster". Empty: it is not known whether there is a job.
	JobID string `json:"job_id,omitempty"`
}

// write puts the record on disk for good: a power cut afterwards does not undo it.
func (r *Record) write(workspace string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := launch.WriteFile(filepath.Join(workspace, RecordFile), append(text, '\n')); err != nil {
		return fmt.Errorf("the job's record: %w", err)
	}
	return nil
}

// ReadRecord reads the record of a run. The error is [os.ErrNotExist] where nothing was submitted.
func ReadRecord(workspace string) (*Record, error) {
	path := filepath.Join(workspace, RecordFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: no record of a job: %w", path, err)
	}
	return &r, nil
}

// printedID is what sbatch --parsable prints.
var printedID = regexp.MustCompile(`^\d+(;\S+)?$`)

// sbatch is the argument list that submits a plan's job. The script's own directives stand in it as well: variables such as
// SBATCH_PARTITION win over a script and not over a command line. The job is not queued again after a node's failure, since it would
// find the files of its first run.
func (c *Client) sbatch(ctx context.Context, p *launch.Plan, notify func(launch.Event)) []string {
	argv := []string{"sbatch", "--parsable", "--no-requeue", "--chdir=" + p.Workspace}
	argv = append(argv, p.Job.Directives...)
	if p.Job.Segment > 0 {
		if c.knows(ctx, "sbatch", "--segment") {
			argv = append(argv, "--segment="+strconv.Itoa(p.Job.Segment))
		} else {
			notify(launch.Event{Name: "sbatch", State: "without --segment", Message: "this Slurm does not know segments"})
		}
	}
	return append(append(argv, p.Job.Args...), p.Path(p.Job.Script))
}

// knows reports whether a program has an option.
func (c *Client) knows(ctx context.Context, program, option string) bool {
	text, err := c.call(ctx, program, "--help")
	return err == nil && strings.Contains(text, option)
}

const (
	// settling is how long after a lost answer a job may still turn up.
	settling = 30 * time.Second
	// lookPause is the time between two looks for a job whose id is not known.
	lookPause = 2 * time.Second
)

// submit submits a plan's job, once, and returns its record with the id, which is on disk by then. A call whose answer was lost is followed by
// looking for the job; sbatch is called again only where it has not reached the controller. An interrupt does not cut off a call.
func (c *Client) submit(ctx context.Context, p *launch.Plan, notify func(launch.Event)) (*Record, error) {
	r := &Record{RunID: p.RunID, Argv: c.sbatch(ctx, p, notify), Submitting: time.Now()}
	if err := r.write(p.Workspace); err != nil {
		return nil, err
	}
	limit := time.Now().Add(time.Duration(p.Waits.Silence))
	for {
		text, err := c.call(context.WithoutCancel(ctx), r.Argv...)
		if fields := strings.Fields(text); err == nil && len(fields) > 0 && printedID.MatchString(fields[len(fields)-1]) {
			r.JobID = fields[len(fields)-1]
			return r, r.write(p.Workspace)
		}
		if err == nil {
			err = fmt.Errorf("sbatch printed no job id: %q", strings.TrimSpace(text))
		}
		e, ok := errors.AsType[*CallError](err)
		if ok && e.Missing {
			return nil, fmt.Errorf("there is no Slurm here: %w", err)
		}
		if ok && !e.Away {
			// What was refused is no job; a look makes sure of it.
			if found, findErr := c.find(ctx, p.Workspace, r.Submitting); findErr != nil || len(found) == 0 {
				return nil, fmt.Errorf("the job was refused: %w", err)
			}
		}
		notify(launch.Event{Name: "sbatch", State: "no answer", Message: err.Error() + "; looking whether there is a job"})
		wait := settling
		never := ok && neverSent(e.Said)
		if never {
			wait = 0
		}
		switch found, findErr := c.await(ctx, r, p.Workspace, wait, limit, notify); {
		case findErr != nil:
			return nil, fmt.Errorf("%w; then, looking for a job: %w; whether there is one, trtperf launch --attach %s finds out", err, findErr, p.Workspace)
		case found:
			return r, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !never:
			return nil, fmt.Errorf("%w; there is no job of this run %s later; trtperf launch --attach %s looks again", err, settling, p.Workspace)
		case time.Now().After(limit):
			return nil, fmt.Errorf("no answer for %s: %w", time.Duration(p.Waits.Silence), err)
		}
		if !sleep(ctx, lookPause) {
			return nil, ctx.Err()
		}
	}
}

// neverSent reports whether a program says that it has not reached the controller at all.
func neverSent(said string) bool {
	return strings.Contains(said, "connect failure") || strings.Contains(said, "Connection refused")
}

// sleep pauses; false where the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// await looks for the job of a record until it is found, until it has not been there for a while, or until the limit. Its id is on disk
// then. Should there be several, the first stays and the others are cancelled.
func (c *Client) await(ctx context.Context, r *Record, workspace string, settle time.Duration, limit time.Time, notify func(launch.Event)) (bool, error) {
	var since time.Time
	for {
		ids, err := c.find(context.WithoutCancel(ctx), workspace, r.Submitting)
		switch {
		case err != nil && (time.Now().After(limit) || ctx.Err() != nil):
			return false, err
		case err != nil:
		case len(ids) > 0:
			r.JobID = ids[0]
			if err := r.write(workspace); err != nil {
				return false, err
			}
			notify(launch.Event{Name: "sbatch", State: "found", Job: r.JobID, Message: "the job of this run"})
			for _, id := range ids[1:] {
				notify(launch.Event{Name: "scancel", State: "cancelling", Job: id, Message: "a second job of this run"})
				if err := c.Cancel(ctx, id); err != nil {
					return true, err
				}
			}
			return true, nil
		case since.IsZero():
			since = time.Now()
		}
		if !since.IsZero() && time.Since(since) >= settle {
			return false, nil
		}
		if !sleep(ctx, lookPause) {
			limit = time.Now()
		}
	}
}

// findSlack is how far the clocks of this machine and of Slurm's may be apart.
const findSlack = 10 * time.Minute

// find returns the ids of jobs whose working directory is a run's own, the first first. It asks squeue, and sacct for what has ended.
func (c *Client) find(ctx context.Context, workspace string, since time.Time) ([]string, error) {
	user := "--user=" + strconv.Itoa(os.Getuid())
	queued, queueErr := c.call(ctx, "squeue", "--noheader", "--states=all", user, "--format="+strings.Join([]string{"%i", "%V", "%Z"}, separator))
	var accounted string
	var accountErr error
	if c.Accounting() {
		accounted, accountErr = c.call(ctx, "sacct", "--noheader", "--allocations", "--parsable2", "--delimiter="+separator, user,
			"--starttime="+since.Add(-findSlack).Format("2006-01-02T15:04:05"), "--format=JobID,Submit,WorkDir")
		if e, ok := errors.AsType[*CallError](accountErr); ok && (e.Missing || strings.Contains(e.Said, noAccounting)) {
			c.noAccounting.Store(true)
			accountErr = nil
		}
	}
	var ids []string
	for _, row := range append(lines(queued, 3), lines(accounted, 3)...) {
		if row[2] == workspace && !epoch(row[1]).Before(since.Add(-findSlack)) && !slices.Contains(ids, row[0]) {
			ids = append(ids, row[0])
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		m, _ := strconv.Atoi(a)
		n, _ := strconv.Atoi(b)
		return m - n
	})
	if len(ids) == 0 {
		// A job that has ended may be in one of the two alone.
		return nil, errors.Join(queueErr, accountErr)
	}
	return ids, nil
}
