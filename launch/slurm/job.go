package slurm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Job is how a job stands.
type Job struct {
	// ID is as sbatch printed it.
	ID string
	// State is its long name; Meaning its row in the table; By who cancelled it, where that is said.
	State   string
	Meaning Meaning
	By      string
	// Exit and Signal are the job script's own; nil and 0 where they are unknown, as before the end.
	Exit   *int
	Signal int
	// Reason is why it waits, or what the controller says of its end.
	Reason string
	// Elapsed is how long it has run, suspensions left out; Limit its time limit, 0 for none or unknown.
	Elapsed, Limit time.Duration
	Nodes          string
	Submitted      time.Time
	Steps          []Step
	// Accounted: accounting knows its end, and so those of its steps.
	Accounted bool
	// Doubtful: accounting says that it runs, and the controller does not know it.
	Doubtful bool
}

// Step is a part of a job: "batch" is its script.
type Step struct {
	ID, Name string
	Meaning  Meaning
	// Exit and Signal are nil and 0 before its end.
	Exit   *int
	Signal int
}

// separator stands between the columns of what the programs print: names and reasons may hold any other character.
const separator = "\x1f"

// What the programs say where there is nothing to know.
const (
	noAccounting = "accounting storage is disabled"
	noSuchJob    = "Invalid job id"
)

// Jobs asks how jobs stand, with one call of squeue and one of sacct for all of a cluster. Where a job is not in the answer, nobody knows it, or
// the error says who gave no answer.
func (c *Client) Jobs(ctx context.Context, ids ...string) (map[string]Job, error) {
	clusters := map[string][]string{}
	for _, id := range ids {
		_, cluster, _ := strings.Cut(id, ";")
		clusters[cluster] = append(clusters[cluster], id)
	}
	jobs := map[string]Job{}
	var failed []error
	for _, ids := range clusters {
		failed = append(failed, c.jobs(ctx, jobs, ids))
	}
	return jobs, errors.Join(failed...)
}

func (c *Client) jobs(ctx context.Context, jobs map[string]Job, ids []string) error {
	args, _ := clusterArgs(ids[0])
	byNumber := map[string]string{}
	numbers := make([]string, len(ids))
	for i, id := range ids {
		_, numbers[i] = clusterArgs(id)
		byNumber[numbers[i]] = id
	}
	list := "--jobs=" + strings.Join(numbers, ",")
	var accounted map[string]Job
	var accountErr error
	var wg sync.WaitGroup
	wg.Go(func() { accounted, accountErr = c.account(ctx, append(slices.Clone(args), list)) })
	queued, queueErr := c.queue(ctx, append(slices.Clone(args), list))
	wg.Wait()
	for number, id := range byNumber {
		q, inQueue := queued[number]
		a, inAccount := accounted[number]
		switch {
		case inQueue && inAccount:
			q.Steps = a.Steps
			if q.Meaning.Phase == Ended {
				if a.Meaning.Phase == Ended {
					q.Exit, q.Signal, q.By, q.Accounted = a.Exit, a.Signal, a.By, true
				} else {
					c.exitCode(ctx, args, number, &q)
				}
			}
		case inQueue:
			if q.Meaning.Phase == Ended {
				c.exitCode(ctx, args, number, &q)
			}
		case inAccount:
			q = a
			q.Accounted = a.Meaning.Phase == Ended
			q.Doubtful = queueErr == nil && a.Meaning.Phase != Ended
		default:
			continue
		}
		q.ID = id
		jobs[id] = q
	}
	return errors.Join(queueErr, accountErr)
}

// lines splits what a program prints into rows of so many columns.
func lines(text string, columns int) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		if row := strings.Split(strings.TrimRight(line, "\r\n"), separator); len(row) == columns {
			rows = append(rows, row)
		}
	}
	return rows
}

// queue asks squeue, which knows jobs until a while after their end.
func (c *Client) queue(ctx context.Context, args []string) (map[string]Job, error) {
	text, err := c.call(ctx, append([]string{"squeue", "--noheader", "--states=all",
		"--format=" + strings.Join([]string{"%i", "%T", "%M", "%l", "%V", "%N", "%r"}, separator)}, args...)...)
	if e, ok := errors.AsType[*CallError](err); ok && strings.Contains(e.Said, noSuchJob) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	jobs := map[string]Job{}
	for _, row := range lines(text, 7) {
		j := Job{State: row[1], Meaning: Mean(row[1]), Elapsed: duration(row[2]), Limit: duration(row[3]), Submitted: epoch(row[4]), Nodes: row[5]}
		if row[6] != "None" {
			j.Reason = row[6]
		}
		j.State = j.Meaning.Name
		jobs[row[0]] = j
	}
	return jobs, nil
}

// account asks sacct, which knows jobs for ever and the ends of their steps, and not yet those of the last moment.
func (c *Client) account(ctx context.Context, args []string) (map[string]Job, error) {
	if !c.Accounting() {
		return nil, nil
	}
	text, err := c.call(ctx, append([]string{"sacct", "--noheader", "--parsable2", "--delimiter=" + separator,
		"--format=JobID,State,ExitCode,ElapsedRaw,TimelimitRaw,Submit,NodeList,JobName"}, args...)...)
	if e, ok := errors.AsType[*CallError](err); ok && (e.Missing || strings.Contains(e.Said, noAccounting)) {
		c.noAccounting.Store(true)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	jobs := map[string]Job{}
	for _, row := range lines(text, 8) {
		number, step, isStep := strings.Cut(row[0], ".")
		meaning := Mean(row[1])
		var exit *int
		var signal int
		if meaning.Phase == Ended {
			exit, signal = exitCode(row[2])
		}
		j := jobs[number]
		if isStep {
			j.Steps = append(j.Steps, Step{ID: step, Name: row[7], Meaning: meaning, Exit: exit, Signal: signal})
		} else {
			seconds, _ := strconv.Atoi(row[3])
			minutes, _ := strconv.Atoi(row[4])
			j = Job{State: meaning.Name, Meaning: meaning, By: By(row[1]), Exit: exit, Signal: signal, Elapsed: time.Duration(seconds) * time.Second,
				Limit: time.Duration(minutes) * time.Minute, Submitted: epoch(row[5]), Nodes: row[6], Steps: j.Steps}
		}
		jobs[number] = j
	}
	for number, j := range jobs {
		if j.State == "" { // steps alone
			delete(jobs, number)
		}
	}
	return jobs, nil
}

// exitCode asks scontrol for the exit code of a job that has ended: it is known as long as the controller remembers the job.
func (c *Client) exitCode(ctx context.Context, args []string, number string, j *Job) {
	text, err := c.call(ctx, append(append([]string{"scontrol"}, args...), "--oneliner", "show", "job", number)...)
	if err != nil {
		return
	}
	for field := range strings.FieldsSeq(text) {
		if value, ok := strings.CutPrefix(field, "ExitCode="); ok {
			j.Exit, j.Signal = exitCode(value)
			return
		}
	}
}

// exitCode reads "3:0", exit code and signal.
func exitCode(text string) (*int, int) {
	code, signal, ok := strings.Cut(text, ":")
	c, err := strconv.Atoi(code)
	if !ok || err != nil {
		return nil, 0
	}
	s, err := strconv.Atoi(signal)
	if err != nil {
		return nil, 0
	}
	return &c, s
}

// epoch reads seconds; the zero time where there are none.
func epoch(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// duration reads "[days-][hours:]minutes:seconds"; 0 for what is none, such as UNLIMITED.
func duration(text string) time.Duration {
	days, clock, ok := strings.Cut(text, "-")
	if !ok {
		days, clock = "0", text
	}
	d, err := strconv.Atoi(days)
	parts := strings.Split(clock, ":")
	if err != nil || len(parts) < 2 || len(parts) > 3 {
		return 0
	}
	seconds := 0
	for _, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil {
			return 0
		}
		seconds = 60*seconds + n
	}
	return time.Duration(d)*24*time.Hour + time.Duration(seconds)*time.Second
}

// Lookout asks about many jobs at once: everybody who waits for its next look gets it from one call of each program. It looks often at first, and
// again when a job has got another state.
type Lookout struct {
	client   *Client
	interval time.Duration

	mu      sync.Mutex
	waiting *look
	last    time.Time
	pause   time.Duration
	states  map[string]string
}

// gathering is how long a look waits for others who want it.
const gathering = 200 * time.Millisecond

// look is a question that is still to be asked.
type look struct {
	ids  []string
	done chan struct{}
	jobs map[string]Job
	err  error
}

// firstPause is the share of an interval between the first two looks. Each pause is longer than the one before by growth.
const (
	firstPause = 10
	growth     = 1.25
)

// NewLookout returns a lookout that asks once in an interval where nothing happens.
func NewLookout(c *Client, interval time.Duration) *Lookout {
	return &Lookout{client: c, interval: interval, pause: interval / firstPause, states: map[string]string{}}
}

// Look says how a job stands at the lookout's next look. The second value is false where nobody knows the job. The error is the context's, or
// that Slurm gave no answer.
func (l *Lookout) Look(ctx context.Context, id string) (Job, bool, error) {
	l.mu.Lock()
	w := l.waiting
	if w == nil {
		w = &look{done: make(chan struct{})}
		l.waiting = w
		pause := time.Until(l.last.Add(l.pause))
		// Jobs that are looked for at the same time are to be found by the same look.
		go l.ask(w, max(pause, min(l.interval/20, gathering)))
	}
	w.ids = append(w.ids, id)
	l.mu.Unlock()
	select {
	case <-ctx.Done():
		return Job{}, false, ctx.Err()
	case <-w.done:
	}
	job, ok := w.jobs[id]
	if ok {
		return job, true, nil
	}
	return job, false, w.err
}

func (l *Lookout) ask(w *look, pause time.Duration) {
	time.Sleep(pause)
	l.mu.Lock()
	l.waiting, l.last = nil, time.Now()
	l.mu.Unlock()
	w.jobs, w.err = l.client.Jobs(context.Background(), w.ids...)
	l.mu.Lock()
	l.pause = min(l.interval, time.Duration(float64(l.pause)*growth))
	for id, job := range w.jobs {
		if l.states[id] != job.State {
			l.states[id], l.pause = job.State, l.interval/firstPause
		}
	}
	l.mu.Unlock()
	close(w.done)
}

// Line says to a person how a job stands.
func (j Job) Line() string {
	words := j.Meaning.Words
	switch j.Meaning.Phase {
	case Waiting:
		if j.Reason != "" {
			words += " (" + j.Reason + ")"
		}
	case Running, Ending:
		words += fmt.Sprintf(" for %s", j.Elapsed)
		if j.Limit > 0 {
			words += fmt.Sprintf(" of %s", j.Limit)
		}
		if j.Nodes != "" {
			words += " on " + j.Nodes
		}
	case Ended:
		if j.By != "" {
			words += " by user " + j.By
		}
		if j.Exit != nil && j.Signal == 0 && ownEnd(j.State) {
			words += fmt.Sprintf(", exit code %d", *j.Exit)
		}
	}
	return words
}
