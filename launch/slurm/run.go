package slurm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/parse"
)

// Options say how to reach Slurm and whom to tell.
type Options struct {
	Client *Client
	// Lookout is shared by runs at the same time; nil for one of this run's own.
	Lookout *Lookout
	// Output gets what the job's log holds, as it grows; nil for nobody.
	Output io.Writer
	// Notify is told what happens; nil for nobody. It is called from one goroutine.
	Notify func(launch.Event)
}

// Run submits the job of a plan whose files are written and prepared, and watches it to its end. An interrupt cancels the job. When a role other
// than BENCHMARK has failed, the job is cancelled. An error says that there is no job, or that nobody knows; what the outcome means,
// [launch.Plan.Verdict] tells.
func Run(ctx context.Context, p *launch.Plan, opt Options) (launch.Outcome, error) {
	w := newWatch(p, opt)
	if _, err := ReadRecord(p.Workspace); !errors.Is(err, os.ErrNotExist) {
		return launch.Outcome{}, fmt.Errorf("a job of this run was submitted already: trtperf launch --attach %s", p.Workspace)
	}
	r, err := w.client.submit(ctx, p, w.notify)
	if err != nil && r == nil {
		return launch.Outcome{Interrupted: ctx.Err() != nil}, err
	}
	w.record, w.outcome.JobID = r, r.JobID
	w.tell("submitted", fmt.Sprintf("job %s; after a lost terminal: trtperf launch --attach %s", r.JobID, p.Workspace))
	if err != nil {
		// Nobody could pick it up again.
		w.cancel("its id is not on disk")
		return w.outcome, err
	}
	return w.run(ctx)
}

// Attach watches the job of a plan that another process submitted, from wherever it is now. Its end may be long ago.
func Attach(ctx context.Context, p *launch.Plan, opt Options) (launch.Outcome, error) {
	w := newWatch(p, opt)
	r, err := ReadRecord(p.Workspace)
	if errors.Is(err, os.ErrNotExist) {
		return launch.Outcome{}, fmt.Errorf("no job was submitted for %s: there is no %s", p.Workspace, RecordFile)
	}
	if err != nil {
		return launch.Outcome{}, err
	}
	if r.JobID == "" {
		found, err := w.client.await(ctx, r, p.Workspace, 3*lookPause, time.Now().Add(time.Duration(p.Waits.Silence)), w.notify)
		if err != nil {
			return launch.Outcome{}, err
		}
		if !found {
			return launch.Outcome{}, fmt.Errorf("sbatch was called for %s, and Slurm knows no job of it: launch it again with --from %s", p.Workspace, p.Path(launch.PlanFile))
		}
	}
	w.record, w.outcome.JobID = r, r.JobID
	w.tell("attached", "job "+r.JobID)
	return w.run(ctx)
}

// watch is a job that is watched.
type watch struct {
	plan    *launch.Plan
	client  *Client
	lookout *Lookout
	opt     Options
	record  *Record
	outcome launch.Outcome

	last     Job
	told     string                   // the line that was told last
	toldAt   time.Time                // and when
	heard    time.Time                // when Slurm answered last
	unknown  time.Time                // since when it says that it does not know the job
	ending   time.Time                // since when the job has been ending
	hopeless int                      // looks in a row that found a reason that never goes away
	suspects map[parse.Role]time.Time // since when a role seems to have failed
	codes    map[parse.Role]int       // exit codes that srun told in roles' logs
}

func newWatch(p *launch.Plan, opt Options) *watch {
	w := &watch{plan: p, client: opt.Client, lookout: opt.Lookout, opt: opt, suspects: map[parse.Role]time.Time{}, codes: map[parse.Role]int{}}
	if w.lookout == nil {
		w.lookout = NewLookout(w.client, time.Duration(p.Waits.Poll))
	}
	return w
}

func (w *watch) notify(e launch.Event) {
	if w.opt.Notify != nil {
		w.opt.Notify(e)
	}
}

func (w *watch) tell(state, message string) {
	w.notify(launch.Event{Name: "sbatch", State: state, Job: w.outcome.JobID, Message: message})
}

// heartbeat is how often a state that does not change is told.
const heartbeat = 5 * time.Minute

// run watches the job to its end.
func (w *watch) run(ctx context.Context) (launch.Outcome, error) {
	if w.opt.Output != nil {
		stop := follow(w.plan.Path(strings.ReplaceAll(w.plan.Job.Output, "%j", number(w.record.JobID))), w.opt.Output)
		defer stop()
	}
	w.heard = time.Now()
	for {
		job, known, err := w.lookout.Look(ctx, w.record.JobID)
		switch {
		case ctx.Err() != nil:
			w.outcome.Interrupted = true
			w.cancel("interrupted")
			return w.finish(), nil
		case err != nil:
			if w.silence(err) {
				return w.finish(), nil
			}
			continue
		}
		w.heard = time.Now()
		if !known || job.Doubtful {
			if w.forgotten() {
				return w.finish(), nil
			}
			continue
		}
		w.unknown = time.Time{}
		w.last = job
		w.progress(job)
		if w.over(job) {
			return w.finish(), nil
		}
	}
}

func number(id string) string {
	_, n := clusterArgs(id)
	return n
}

// silence notes that Slurm gave no answer, and reports whether that has lasted too long. The job may well go on: it is left alone.
func (w *watch) silence(err error) bool {
	w.line("no answer", fmt.Sprintf("Slurm gives no answer: %v", err))
	if time.Since(w.heard) < time.Duration(w.plan.Waits.Silence) {
		return false
	}
	w.outcome.Lost = true
	w.outcome.Reason = fmt.Sprintf("Slurm has given no answer for %s (%v); job %s may go on: trtperf launch --attach %s", time.Duration(w.plan.Waits.Silence), err,
		w.record.JobID, w.plan.Workspace)
	return true
}

// forgetting is how long Slurm may not know a job before that counts. The controller of a moment ago may be about to read its state.
const forgetting = time.Minute

// forgotten notes that Slurm does not know the job, and reports whether that has lasted. What the job has left must say then how it ended.
func (w *watch) forgotten() bool {
	if w.unknown.IsZero() {
		w.unknown = time.Now()
	}
	w.line("unknown", "Slurm does not know the job")
	return time.Since(w.unknown) >= min(forgetting, time.Duration(w.plan.Waits.Silence))
}

// line tells a state when it is new, and now and then when it is not.
func (w *watch) line(state, message string) {
	if key := state + message; key != w.told || time.Since(w.toldAt) >= heartbeat {
		w.told, w.toldAt = key, time.Now()
		w.tell(state, message)
	}
}

// progress tells how the job stands: when state, reason or nodes have changed, and now and then.
func (w *watch) progress(j Job) {
	key := strings.Join([]string{j.State, j.Reason, j.Nodes}, separator)
	if j.Meaning.Phase == Ended {
		key = j.State
	}
	if key != w.told || time.Since(w.toldAt) >= heartbeat {
		w.told, w.toldAt = key, time.Now()
		w.tell(j.State, j.Line())
	}
}

// neverReasons are reasons to wait that never go away by themselves: a request that nothing can satisfy.
var neverReasons = []string{"BadConstraints", "DependencyNeverSatisfied", "InvalidAccount", "InvalidQOS", "PartitionNodeLimit", "PartitionTimeLimit",
	"AccountNotAllowed", "QOSNotAllowed"}

// over reports whether the job has ended, or ends it for a reason of our own.
func (w *watch) over(j Job) bool {
	waits := w.plan.Waits
	since := time.Since(w.record.Submitting)
	grace := time.Duration(waits.Grace)
	switch j.Meaning.Phase {
	case Ended:
		return true
	case Ending:
		if w.ending.IsZero() {
			w.ending = time.Now()
		}
		// Nodes that cannot end a process keep a job here for ever.
		return time.Since(w.ending) >= time.Duration(waits.Finish)+grace
	case Waiting, Unknown:
		if j.Meaning.Phase == Waiting && never(j.Reason) {
			w.hopeless++
		} else {
			w.hopeless = 0
		}
		switch {
		case w.hopeless >= 3:
			return w.end(fmt.Sprintf("the job can never start: %s", j.Reason))
		case since >= time.Duration(waits.Queue)+j.Elapsed:
			return w.end(fmt.Sprintf("the job has not started within the queue's limit of %s: it %s", time.Duration(waits.Queue), j.Line()))
		}
	case Running:
		w.ending = time.Time{}
		switch role, sign := w.dead(); {
		case j.Elapsed >= time.Duration(waits.Run)+grace:
			return w.end(fmt.Sprintf("the test ran longer than its limit of %s", time.Duration(waits.Run)))
		case since >= time.Duration(waits.Queue)+time.Duration(waits.Run)+2*grace:
			return w.end(fmt.Sprintf("the job is not over %s after it was submitted: it %s", since.Round(time.Second), j.Line()))
		case sign != "":
			w.outcome.Died = role
			w.cancel(fmt.Sprintf("%s has failed: %s", role, sign))
			return true
		}
	}
	return false
}

func never(reason string) bool {
	for _, r := range neverReasons {
		if strings.Contains(reason, r) {
			return true
		}
	}
	return false
}

// end gives the job up for a reason.
func (w *watch) end(reason string) bool {
	w.outcome.Lost, w.outcome.Reason = true, reason
	w.cancel(reason)
	return true
}

// cancel cancels the job and waits for its end, as long as the plan allows, and says what has come of it.
func (w *watch) cancel(why string) {
	id := w.record.JobID
	w.tell("cancelling", why)
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(w.plan.Waits.Grace)+callTimeout)
	defer stop()
	if err := w.client.Cancel(ctx, id); err != nil {
		w.tell("not cancelled", fmt.Sprintf("%v; the job may go on: scancel %s", err, number(id)))
		return
	}
	limit := time.Now().Add(time.Duration(w.plan.Waits.Grace))
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		jobs, err := w.client.Jobs(ctx, id)
		if job, ok := jobs[id]; ok {
			w.last = job
			if job.Meaning.Phase == Ended {
				w.tell("cancelled", "the job has ended: it "+job.Line())
				return
			}
		} else if err == nil {
			w.tell("cancelled", "the job is gone")
			return
		}
		if time.Now().After(limit) {
			w.tell("still "+w.last.State, fmt.Sprintf("%s after scancel; it will end: squeue --jobs=%s", time.Duration(w.plan.Waits.Grace), number(id)))
			return
		}
		time.Sleep(pause)
	}
}

// finish puts together what is known of the end: exit codes that the job's script has left, then what accounting knows of steps, which
// may come a little later.
func (w *watch) finish() launch.Outcome {
	o, p := &w.outcome, w.plan
	limit := time.Now().Add(min(time.Duration(p.Waits.Results), accountingDelay))
	for {
		p.ReadExits(o)
		b := o.Step(parse.Benchmark)
		if b != nil && b.Exit != nil || o.Lost || o.Interrupted || o.Died != "" || w.last.Accounted || w.last.State == "" || !w.client.Accounting() ||
			!time.Now().Before(limit) {
			break
		}
		time.Sleep(min(time.Second, time.Duration(p.Waits.Poll)))
		if jobs, _ := w.client.Jobs(context.Background(), o.JobID); jobs[o.JobID].State != "" {
			w.last = jobs[o.JobID]
		}
	}
	for _, s := range w.last.Steps {
		role := parse.Role(s.Name)
		if w.role(role) == nil || s.Meaning.Phase != Ended {
			continue
		}
		x := o.Step(role)
		if x == nil {
			o.Steps = append(o.Steps, launch.StepOutcome{Role: role})
			x = &o.Steps[len(o.Steps)-1]
		}
		if x.Exit != nil {
			continue
		}
		switch own := ownEnd(w.last.State); {
		case s.Signal != 0 && own && w.role(role).Foreground:
			x.Signal = s.Signal
		case s.Meaning.Name == "CANCELLED" || s.Signal != 0:
			x.Ended = true
		default:
			x.Exit = s.Exit
		}
	}
	if x := o.Step(o.Died); o.Died != "" && (x == nil || x.Exit == nil) {
		if x == nil {
			o.Steps = append(o.Steps, launch.StepOutcome{Role: o.Died})
			x = &o.Steps[len(o.Steps)-1]
		}
		if code, ok := w.codes[o.Died]; ok {
			x.Exit, x.Ended, x.Signal = &code, false, 0
		}
	}
	o.State = w.last.State
	if w.last.Meaning.Phase == Ended {
		if w.last.Signal == 0 && ownEnd(w.last.State) {
			o.JobExit = w.last.Exit
		}
		if o.Reason == "" {
			o.Reason = w.last.Line()
		}
	}
	return *o
}

// ownEnd reports whether a job in that state has ended by itself, so that exit codes and signals are its own.
func ownEnd(state string) bool { return state == "COMPLETED" || state == "FAILED" }

// accountingDelay is how long accounting may take to know the end of a job that the controller has seen.
const accountingDelay = 20 * time.Second

// role is a plan's step; nil for what is none of its roles.
func (w *watch) role(role parse.Role) *launch.Step {
	for i := range w.plan.Steps {
		if w.plan.Steps[i].Role == role {
			return &w.plan.Steps[i]
		}
	}
	return nil
}
