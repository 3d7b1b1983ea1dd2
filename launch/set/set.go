// Package set carries out many tests, a few at a time, and says at the end what became of each.
//
// A set has a directory, in which each test has one of its own. Two files stand beside them: trtperf-set.json, the ledger of the set, which is
// written anew whenever a test begins or ends, and trtperf-set.xml, a JUnit file with every test of the list exactly once, those that were left
// out too. How a test is carried out is the caller's.
package set

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/parse"
)

// Files of a set's directory.
const (
	LedgerFile = "trtperf-set.json"
	JUnitFile  = "trtperf-set.xml"
)

// State is how a test stands.
type State string

const (
	Waiting     State = "waiting"
	Running     State = "running"
	Passed      State = "passed"
	Failed      State = "failed"      // it ran and failed
	Lost        State = "lost"        // it did not run, or not to its end: refused by Slurm, timed out, lost
	Unplanned   State = "unplanned"   // no plan could be made of it
	Interrupted State = "interrupted" // the user ended it
	Stopped     State = "stopped"     // the set ended it, since another had not passed
	NotStarted  State = "not started" // the set was stopped before its turn
	LeftOut     State = "left out"
)

// Test is a test of a set.
type Test struct {
	NodeID string     `json:"node_id"`
	Mode   parse.Mode `json:"mode,omitempty"`
	// Place is where the list has it, "file:line".
	Place string `json:"place"`
	// Workspace is the test's directory, relative to the set's.
	Workspace string `json:"workspace,omitempty"`
	State     State  `json:"state"`
	// Message says why it was left out or what went wrong.
	Message string `json:"message,omitempty"`
	Outcome
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
}

// Outcome is what is known of how a test ended, beside what that means.
type Outcome struct {
	// Job is the Slurm job's id, JobState Slurm's last word on it (COMPLETED, CANCELLED, TIMEOUT …); empty where there is none.
	Job      string `json:"job,omitempty"`
	JobState string `json:"job_state,omitempty"`
	// Exit is the exit code of the step that measures; nil where it is unknown.
	Exit *int `json:"exit,omitempty"`
}

// End is what became of a test that was carried out.
type End struct {
	State   State
	Message string
	Outcome Outcome
}

// Options of a set.
type Options struct {
	// Dir is the set's directory.
	Dir string
	// Jobs is how many tests run at the same time.
	Jobs int
	// StopOnError starts no further test once one has not passed, and ends those that run.
	StopOnError bool
	// Carry carries out one test, at the same time as others. Where its context ends, so must the test, as interrupted.
	Carry func(ctx context.Context, t Test) End
	// Tell is told of a test that begins or ends; it is called by one at a time.
	Tell func(t Test, all []Test)
}

// Run carries out the tests that wait. It changes them in place and returns what could not be written.
func Run(ctx context.Context, tests []Test, o Options) error {
	if err := os.MkdirAll(o.Dir, 0o777); err != nil {
		return err
	}
	// What has begun ends in its own way when the user ends the set; only a set that stops itself ends it from here.
	inner, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	var failed error
	note := func(i int, change func(t *Test)) {
		mu.Lock()
		defer mu.Unlock()
		change(&tests[i])
		if err := write(o.Dir, tests); err != nil && failed == nil {
			failed = err
		}
		o.Tell(tests[i], tests)
	}
	next := make(chan int)
	var working sync.WaitGroup
	for range max(o.Jobs, 1) {
		working.Go(func() {
			for i := range next {
				note(i, func(t *Test) { t.State, t.Began = Running, time.Now().UTC() })
				end := o.Carry(inner, tests[i])
				if end.State == Interrupted && ctx.Err() == nil && inner.Err() != nil {
					// Nobody has interrupted anything: the error that stopped the set is what went wrong.
					end.State, end.Message = Stopped, "ended because --stop-on-error asks for it: another test had not passed"
				}
				note(i, func(t *Test) {
					t.State, t.Message, t.Outcome, t.Ended = end.State, end.Message, end.Outcome, time.Now().UTC()
				})
				if o.StopOnError && end.State != Passed {
					stop()
				}
			}
		})
	}
	for i := range tests {
		mu.Lock()
		waits := tests[i].State == Waiting
		mu.Unlock()
		if !waits {
			continue
		}
		started := false
		if inner.Err() == nil {
			select {
			case next <- i:
				started = true
			case <-inner.Done():
			}
		}
		if !started {
			note(i, func(t *Test) { t.State, t.Message = NotStarted, "the set was stopped before its turn" })
		}
	}
	close(next)
	working.Wait()
	if err := write(o.Dir, tests); err != nil && failed == nil {
		failed = err
	}
	if err := writeJUnit(o.Dir, tests); err != nil && failed == nil {
		failed = err
	}
	return failed
}

// write writes the ledger, whole or not at all.
func write(dir string, tests []Test) error {
	text, err := json.MarshalIndent(tests, "", "  ")
	if err != nil {
		return err
	}
	return launch.WriteFile(filepath.Join(dir, LedgerFile), append(text, '\n'))
}

// Read reads the ledger of a set's directory.
func Read(dir string) ([]Test, error) {
	text, err := os.ReadFile(filepath.Join(dir, LedgerFile))
	if err != nil {
		return nil, err
	}
	var tests []Test
	if err := json.Unmarshal(text, &tests); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, LedgerFile), err)
	}
	return tests, nil
}

// junit is the form of JUnit files that pytest writes and Jenkins reads.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitMessage `xml:"failure"`
	Error   *junitMessage `xml:"error"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
}

func writeJUnit(dir string, tests []Test) error {
	suite := junitSuite{Name: "trtperf"}
	total := time.Duration(0)
	selected := map[string]bool{}
	for _, t := range tests {
		selected[t.NodeID] = selected[t.NodeID] || t.State != LeftOut
	}
	for _, t := range tests {
		if t.State == LeftOut && selected[t.NodeID] {
			continue // the list has it twice, and it stands here as the test that it is
		}
		took := time.Duration(0)
		if !t.Ended.IsZero() {
			took = t.Ended.Sub(t.Began)
		}
		total += took
		c := junitCase{Class: string(t.Mode), Name: t.NodeID, Time: seconds(took)}
		message := &junitMessage{t.Message}
		switch t.State {
		case Passed:
		case Failed:
			c.Failure = message
			suite.Failures++
		case LeftOut, NotStarted, Stopped:
			c.Skipped = message
			suite.Skipped++
		default:
			c.Error = message
			suite.Errors++
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Tests, suite.Time = len(suite.Cases), seconds(total)
	text, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return err
	}
	return launch.WriteFile(filepath.Join(dir, JUnitFile), append([]byte(xml.Header), append(text, '\n')...))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
