package launch

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/trtperf/trtperf/parse"
)

// Outcome is what became of a plan that was carried out.
type Outcome struct {
	// JobID and State are Slurm's, State the first word of it (COMPLETED, FAILED, CANCELLED, TIMEOUT, NODE_FAIL …); empty on this machine,
	// and where Slurm did not tell.
	JobID string `json:"job_id,omitempty"`
	State string `json:"state,omitempty"`
	// JobExit is the job's own exit code; nil where it is unknown.
	JobExit *int `json:"job_exit,omitempty"`
	// Reason says in words why it ended so, where that is known: a queue's reason, who cancelled, which limit was hit.
	Reason string        `json:"reason,omitempty"`
	Steps  []StepOutcome `json:"steps,omitempty"`
	// Interrupted: the user ended it.
	Interrupted bool `json:"interrupted,omitempty"`
	// Died is the role, other than BENCHMARK, whose failure ended the run.
	Died parse.Role `json:"died,omitempty"`
	// Lost: it was not seen to its end: a limit of ours was hit, or Slurm gave no answer.
	Lost bool `json:"lost,omitempty"`
}

// StepOutcome is what became of one role.
type StepOutcome struct {
	Role parse.Role `json:"role"`
	// Exit is its exit code; nil where it is unknown, as for a step that was ended with the job.
	Exit *int `json:"exit,omitempty"`
	// Signal is the signal that ended it; 0 for none.
	Signal int `json:"signal,omitempty"`
	// Ended: the run ended it, its own end says nothing.
	Ended bool `json:"ended,omitempty"`
}

// Event is something that happens while a plan is carried out.
type Event struct {
	// Name is what it happens to: "sbatch", "submit.py", a role.
	Name string `json:"name"`
	// State is a Slurm state, or "started", "ended", "failed", "cancelling" …
	State string `json:"state,omitempty"`
	Job   string `json:"job,omitempty"`
	// Message is for people.
	Message string `json:"message,omitempty"`
}

// ErrTestFailed says that the tests ran and one failed. Any other error means that they did not run, or not to their end.
var ErrTestFailed = errors.New("a test failed")

// pytestFailed is pytest's exit code for a test that failed; others than 0 and 1 mean that tests were not run.
const pytestFailed = 1

// Words says how a step ended.
func (o StepOutcome) Words() string {
	switch {
	case o.Signal != 0:
		return fmt.Sprintf("was ended by signal %d (%s)", o.Signal, syscall.Signal(o.Signal))
	case o.Exit != nil:
		return fmt.Sprintf("ended with exit code %d", *o.Exit)
	}
	return "ended in an unknown way"
}

// Step returns the outcome of a role; nil where nothing is known of it.
func (o *Outcome) Step(role parse.Role) *StepOutcome {
	for i := range o.Steps {
		if o.Steps[i].Role == role {
			return &o.Steps[i]
		}
	}
	return nil
}

// ReadExits fills in what a native job's script has left of its roles' exit codes.
func (p *Plan) ReadExits(o *Outcome) {
	for _, s := range p.Steps {
		if s.Exit == "" {
			continue
		}
		text, err := os.ReadFile(p.Path(s.Exit))
		if err != nil {
			continue
		}
		code, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			continue
		}
		if known := o.Step(s.Role); known != nil {
			known.Exit = &code
		} else {
			o.Steps = append(o.Steps, StepOutcome{Role: s.Role, Exit: &code})
		}
	}
	// What the script ended after a role had died says nothing of itself.
	if text, err := os.ReadFile(p.Path(diedPath)); err == nil && o.Died == "" {
		o.Died = parse.Role(strings.TrimSpace(string(text)))
		for i := range o.Steps {
			o.Steps[i].Ended = o.Steps[i].Role != o.Died
		}
	}
}
