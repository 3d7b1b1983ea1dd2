package slurm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trtperf/trtperf/launch"
)

// played stands for Slurm's programs where a real one cannot be made to show what is wanted: it answers as a function of the time since its start.
type played struct {
	begin  time.Time
	answer func(since time.Duration, argv []string) (stdout string, err error)
	calls  []string
}

func (p *played) run(_ context.Context, _, argv []string) ([]byte, []byte, error) {
	p.calls = append(p.calls, argv[0])
	out, err := p.answer(time.Since(p.begin), argv)
	if err != nil {
		return nil, []byte(argv[0] + ": error: " + err.Error() + "\n"), errors.New("exit status 1")
	}
	return []byte(out), nil, nil
}

func columns(words ...string) string { return strings.Join(words, separator) + "\n" }

// TestLimits shows by a clock that jumps what happens at each limit, and in states that a small cluster does not get into.
func TestLimits(t *testing.T) {
	queue := func(state, elapsed, reason string) string {
		return columns("7", state, elapsed, "4:00:00", "0", "n1", reason)
	}
	gone := errors.New("Invalid job id specified")
	away := errors.New("Socket timed out on send/recv operation")
	for name, test := range map[string]struct {
		squeue, sacct func(time.Duration) (string, error)
		want          string
		state         string
		after         time.Duration // at least so long, and not much longer
		cancelled     bool
	}{
		"waits for ever": {squeue: func(time.Duration) (string, error) { return queue("PENDING", "0:00", "Resources"), nil }, want: "within the queue's limit of 24h0m0s: it waits (Resources)",
			state: "CANCELLED", after: 24 * time.Hour, cancelled: true},
		"an unknown state": {squeue: func(time.Duration) (string, error) { return queue("TELEPORTING", "0:00", "None"), nil }, want: "within the queue's limit", state: "CANCELLED", after: 24 * time.Hour, cancelled: true},
		"runs for ever": {squeue: func(d time.Duration) (string, error) {
			return queue("RUNNING", fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60), "None"), nil
		}, want: "longer than its limit of 4h0m0s", state: "CANCELLED", after: 4 * time.Hour, cancelled: true},
		"suspended for ever":    {squeue: func(time.Duration) (string, error) { return queue("SUSPENDED", "1:00", "None"), nil }, want: "is not over", state: "CANCELLED", after: 28 * time.Hour, cancelled: true},
		"never finishes ending": {squeue: func(time.Duration) (string, error) { return queue("COMPLETING", "1:00", "None"), nil }, want: "nobody knows how", state: "COMPLETING", after: 2 * time.Minute},
		"never any answer":      {squeue: func(time.Duration) (string, error) { return "", away }, sacct: func(time.Duration) (string, error) { return "", away }, want: "no answer for 10m0s", after: 10 * time.Minute},
		"accounting says it runs, the controller does not know it": {squeue: func(time.Duration) (string, error) { return "", gone },
			sacct: func(time.Duration) (string, error) {
				return columns("7", "RUNNING", "0:0", "60", "240", "0", "n1", "x"), nil
			}, want: "nobody knows how", after: time.Minute},
		// Its end is in accounting alone, and that is away for a while: the job is not taken for a forgotten one.
		"accounting comes back": {squeue: func(time.Duration) (string, error) { return "", gone }, sacct: func(d time.Duration) (string, error) {
			if d < 5*time.Minute {
				return "", errors.New("Problem talking to the database: Connection refused")
			}
			return columns("7", "TIMEOUT", "0:0", "60", "240", "0", "n1", "x"), nil
		}, want: "TIMEOUT (hit its time limit)", state: "TIMEOUT", after: 5 * time.Minute},
		"queued again, then out of memory": {squeue: func(d time.Duration) (string, error) {
			for _, step := range []struct {
				until time.Duration
				state string
			}{{time.Minute, "RUNNING"}, {2 * time.Minute, "COMPLETING"}, {3 * time.Minute, "REQUEUED"}, {4 * time.Minute, "SPECIAL_EXIT"}, {5 * time.Minute, "RESIZING"}, {6 * time.Minute, "SIGNALING"}, {7 * time.Minute, "STAGE_OUT"}} {
				if d < step.until {
					return queue(step.state, "1:00", "None"), nil
				}
			}
			return queue("OUT_OF_MEMORY", "1:00", "OutOfMemory"), nil
		}, want: "OUT_OF_MEMORY (ran out of memory)", state: "OUT_OF_MEMORY", after: 7 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := plan(t, "")
				p.Waits = launch.DefaultWaits()
				cancelled := false
				s := &played{begin: time.Now()}
				s.answer = func(since time.Duration, argv []string) (string, error) {
					switch argv[0] {
					case "sbatch":
						return "7\n", nil
					case "scancel":
						cancelled = true
						return "", nil
					case "squeue":
						if cancelled {
							return columns("7", "CANCELLED", "1:00", "4:00:00", "0", "n1", "None"), nil
						}
						return test.squeue(since)
					case "sacct":
						if test.sacct == nil {
							return "", errors.New("Slurm accounting storage is disabled")
						}
						return test.sacct(since)
					}
					return "", gone
				}
				r := carry(t.Context(), Run, p, &Client{run: s.run}, nil)
				r.wants(t, test.want)
				if took := time.Since(s.begin); took < test.after || took > test.after+test.after/4+3*time.Minute {
					t.Errorf("it took %s, want %s", took, test.after)
				}
				if cancelled != test.cancelled || r.outcome.State != test.state {
					t.Errorf("cancelled %v, state %q, want %v, %q", cancelled, r.outcome.State, test.cancelled, test.state)
				}
				if calls := len(s.calls); calls > 2*int(test.after/time.Second)/8+200 {
					t.Errorf("%d calls in %s", calls, test.after)
				}
			})
		})
	}
}

// TestSubmitOnce shows that sbatch is called again only where it has not reached the controller.
func TestSubmitOnce(t *testing.T) {
	for name, test := range map[string]struct {
		said  string
		calls int
		want  string
	}{
		"never reached": {"Batch job submission failed: Unable to contact slurm controller (connect failure)", 3, ""},
		"answer lost":   {"Batch job submission failed: Socket timed out on send/recv operation", 1, "there is no job of this run 30s later"},
		"refused":       {"Batch job submission failed: Invalid account or account/partition combination specified", 1, "the job was refused: sbatch: Batch job submission failed: Invalid account"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := plan(t, "")
				p.Waits = launch.DefaultWaits()
				calls := 0
				s := &played{begin: time.Now(), answer: func(_ time.Duration, argv []string) (string, error) {
					if argv[0] == "sbatch" {
						if calls++; calls == 3 {
							return "Loading modules\n7;east\n", nil
						}
						return "", errors.New(test.said)
					}
					return "", nil
				}}
				r, err := (&Client{run: s.run}).submit(t.Context(), p, func(launch.Event) {})
				if calls != test.calls || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("%d calls, error %v", calls, err)
				}
				on, readErr := ReadRecord(p.Workspace)
				if readErr != nil || err == nil && (on.JobID != "7;east" || r.JobID != on.JobID) {
					t.Errorf("record %+v, %v", on, readErr)
				}
			})
		})
	}
}

// TestClean shows what reaches Slurm's programs and the job.
func TestClean(t *testing.T) {
	got := clean([]string{"PATH=/bin", "SLURM_CONF=/c", "SLURM_JOB_ID=3", "SLURM_MEM_PER_CPU=1", "SQUEUE_PARTITION=x", "SACCT_FORMAT=x", "SCANCEL_INTERACTIVE=1", "SBATCH_WAIT=1",
		"SBATCH_ACCOUNT=a", "TRTPERF_OPENSEARCH_PASSWORD=p", "TRTPERF_OPENSEARCH_API_KEY=k", "TRTPERF_MYSQL_PASSWORD_FILE=f", "TRTPERF_ON=slurm"})
	if want := []string{"PATH=/bin", "SLURM_CONF=/c", "SBATCH_ACCOUNT=a", "TRTPERF_ON=slurm"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"0:00": 0, "1:05": 65 * time.Second, "2:00:01": 2*time.Hour + time.Second, "1-02:03:04": 26*time.Hour + 3*time.Minute + 4*time.Second,
		"UNLIMITED": 0, "INVALID": 0, "": 0, "NOT_SET": 0, "1-00": 0} {
		if got := duration(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestDeadRoleWords holds what srun says where a step has failed, and what it says where it waits or is ended with the job.
func TestDeadRoleWords(t *testing.T) {
	for line, want := range map[string]bool{
		"srun: error: n1: task 0: Exited with exit code 7":                                              true,
		"srun: error: n[1-2]: tasks 0-7: Killed":                                                        true,
		"srun: error: n1: task 3: Segmentation fault (core dumped)":                                     true,
		"srun: error: Unable to create step for job 7: Invalid generic resource (gres) specification":   true,
		"srun: error: Task launch for StepId=7.1 failed on node n1: Invalid job credential":             true,
		"srun: fatal: cannot setup a thread":                                                            true,
		"srun: Job 7 step creation temporarily disabled, retrying (Requested nodes are busy)":           false,
		"srun: job 7 queued and waiting for resources":                                                  false,
		"0: srun: error: n1: task 0: Exited with exit code 7 (quoted by a program)":                     false,
		"srun: launch/slurm: launch_p_step_launch: StepId=7.1 aborted before step completely launched.": false,
		"RuntimeError: the test itself deals with it":                                                   false,
	} {
		if got := srunFailed().MatchString("before\n" + line + "\nafter"); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}
