package slurm

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/testdata/services"
)

// passed is a results.xml of a test that passed.
const passed = `<testsuites><testsuite name="pytest" tests="1"><testcase classname="t" name="test_e2e[disagg-e2e-k]" time="1"/></testsuite></testsuites>`

// failed is one of a test that failed.
const failedXML = `<testsuites><testsuite name="pytest" tests="1" failures="1"><testcase classname="t" name="test_e2e[disagg-e2e-k]" time="1"><failure message="too slow"/></testcase></testsuite></testsuites>`

// ends is the part of a job's script that leaves BENCHMARK's exit code and results.
func ends(code int) string {
	xml := passed
	if code != 0 {
		xml = failedXML
	}
	return fmt.Sprintf("printf '%%s' '%s' >results.xml\nsrun --job-name=BENCHMARK sh -c 'exit %d'; code=$?\necho $code >exit/BENCHMARK\n", xml, code)
}

// plan is a plan whose job runs a script of the test's own in place of a generated one.
func plan(t *testing.T, script string, directives ...string) *launch.Plan {
	t.Helper()
	dir := t.TempDir()
	p := &launch.Plan{Version: launch.PlanVersion, RunID: "test-" + filepath.Base(dir), Workspace: dir, Mode: parse.Disagg, On: launch.Slurm,
		Spec: launch.Spec{Selected: "test_e2e[disagg-e2e-k]"},
		Waits: launch.Waits{Queue: launch.Duration(time.Minute), Run: launch.Duration(time.Minute), Finish: launch.Duration(5 * time.Second),
			Grace: launch.Duration(10 * time.Second), Results: launch.Duration(2 * time.Second), Poll: launch.Duration(500 * time.Millisecond),
			Silence: launch.Duration(40 * time.Second)},
		Steps: []launch.Step{{Role: "GEN_0", Log: "gen_server_0.log", JUnit: "results.GEN_0.xml", Exit: "exit/GEN_0"},
			{Role: parse.Benchmark, JUnit: "results.xml", Exit: "exit/BENCHMARK", Foreground: true}},
		Results: []launch.Expected{{Path: "results.xml", Role: parse.Benchmark, What: "pytest's results", Required: true}},
		Job: &launch.Job{Name: "disagg_perf_test", Script: "job.sh", Output: "slurm_%j.log",
			Directives: append([]string{"--output=" + dir + "/slurm_%j.log", "--time=2"}, directives...)},
		Files: []launch.File{{Path: "job.sh", Mode: 0o755, Content: "#!/bin/bash\nmkdir -p exit\n" + script}}}
	if err := p.Write(); err != nil {
		t.Fatal(err)
	}
	return p
}

// client reaches a cluster.
func client(c *services.SlurmCluster, more ...string) *Client {
	return NewClient(append(append(os.Environ(), "SLURM_CONF="+c.Conf()), more...))
}

// ran is what a run has told.
type ran struct {
	mu      sync.Mutex
	events  []launch.Event
	outcome launch.Outcome
	err     error // of Run
	verdict error
}

func (r *ran) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.events {
		fmt.Fprintf(&b, "%s: %s\n", e.State, e.Message)
	}
	return b.String()
}

// hook makes a run's events call a function when one has that state, once.
func (r *ran) notify(hooks map[string]func()) func(launch.Event) {
	return func(e launch.Event) {
		r.mu.Lock()
		r.events = append(r.events, e)
		r.mu.Unlock()
		if f := hooks[e.State]; f != nil {
			delete(hooks, e.State)
			f()
		}
	}
}

type runner func(context.Context, *launch.Plan, Options) (launch.Outcome, error)

// carry runs a plan and judges it.
func carry(ctx context.Context, run runner, p *launch.Plan, c *Client, hooks map[string]func()) *ran {
	r := &ran{}
	r.outcome, r.err = run(ctx, p, Options{Client: c, Notify: r.notify(maps.Clone(hooks))})
	if r.err == nil {
		r.verdict = p.Verdict(context.Background(), r.outcome)
	}
	return r
}

// wants checks a verdict: "" passed, "failed" a failed test, anything else the text of what was lost.
func (r *ran) wants(t *testing.T, want string) {
	t.Helper()
	ok := r.err == nil
	switch want {
	case "":
		ok = ok && r.verdict == nil
	case "failed":
		ok = ok && errors.Is(r.verdict, launch.ErrTestFailed)
	default:
		ok = ok && r.verdict != nil && !errors.Is(r.verdict, launch.ErrTestFailed) && strings.Contains(r.verdict.Error(), want)
	}
	if !ok {
		t.Errorf("error %v, verdict %v, want %q\noutcome %+v\n%s", r.err, r.verdict, want, r.outcome, r.text())
	}
}

func (r *ran) told(t *testing.T, words ...string) {
	t.Helper()
	text := r.text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q was not told:\n%s", w, text)
		}
	}
}

// slurm calls a program of the cluster.
func slurm(t *testing.T, c *services.SlurmCluster, argv ...string) string {
	t.Helper()
	command := exec.Command(argv[0], argv[1:]...)
	command.Env = append(os.Environ(), "SLURM_CONF="+c.Conf())
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%q: %v\n%s", argv, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestRun shows how jobs end on a real cluster that many share.
func TestRun(t *testing.T) {
	cluster := services.Slurm(t)
	c := client(cluster)
	steps := func(t *testing.T, r *ran, want map[parse.Role]int) {
		t.Helper()
		got := map[parse.Role]int{}
		for _, s := range r.outcome.Steps {
			if s.Exit != nil {
				got[s.Role] = *s.Exit
			}
		}
		for role, code := range want {
			if exit, ok := got[role]; !ok || exit != code {
				t.Errorf("steps %v, want %v", got, want)
			}
		}
	}
	for name, test := range map[string]struct {
		script     string
		directives []string
		waits      func(*launch.Waits)
		state      string
		want       string
		steps      map[parse.Role]int
		told       []string
	}{
		"passes": {script: ends(0) + "exit $code", state: "COMPLETED", steps: map[parse.Role]int{"BENCHMARK": 0}, told: []string{"submitted: job ", "COMPLETED: ran to its end, exit code 0"}},
		"fails":  {script: ends(1) + "exit $code", state: "FAILED", want: "failed", steps: map[parse.Role]int{"BENCHMARK": 1}},
		// As the drafts of TensorRT-LLM do, which leave no exit codes.
		"fails and cancels itself":    {script: ends(1) + "rm exit/BENCHMARK; scancel $SLURM_JOB_ID; exit 1", state: "CANCELLED", want: "failed", steps: map[parse.Role]int{"BENCHMARK": 1}},
		"runs nothing":                {script: "true", state: "COMPLETED", want: "left no"},
		"runs nothing and says 0":     {script: "echo 0 >exit/BENCHMARK", state: "COMPLETED", want: "left no", steps: map[parse.Role]int{"BENCHMARK": 0}},
		"usage error":                 {script: "echo 4 >exit/BENCHMARK; exit 4", state: "FAILED", want: "pytest ended with exit code 4", steps: map[parse.Role]int{"BENCHMARK": 4}},
		"passes, and the job fails":   {script: ends(0) + "exit 3", state: "FAILED", want: "the job ended as FAILED", steps: map[parse.Role]int{"BENCHMARK": 0}},
		"passes, by accounting alone": {script: ends(0) + "rm exit/BENCHMARK", state: "COMPLETED", steps: map[parse.Role]int{"BENCHMARK": 0}},
		"killed":                      {script: "srun --job-name=BENCHMARK sh -c 'kill -9 $$'", state: "FAILED", want: "signal 9"},
		"too long": {script: "sleep 100", waits: func(w *launch.Waits) { w.Run, w.Grace = launch.Duration(time.Second), launch.Duration(3*time.Second) }, state: "CANCELLED",
			want: "longer than its limit of 1s", told: []string{"cancelling: the test ran longer", "cancelled: the job has ended"}},
		"a role dies at start": {script: "srun --job-name=GEN_0 sh -c 'echo RuntimeError: no GPU >&2; exit 7' >gen_server_0.log 2>&1 &\nsleep 60", state: "CANCELLED",
			want: "RuntimeError: no GPU", steps: map[parse.Role]int{"GEN_0": 7}, told: []string{"cancelling: GEN_0 has failed"}},
		"a role without a name dies": {script: "srun sh -c 'echo RuntimeError: no GPU >&2; exit 7' >gen_server_0.log 2>&1 &\nsleep 60", state: "CANCELLED",
			want: "GEN_0 ended with exit code 7 before the test was at its end; its log is ", steps: map[parse.Role]int{"GEN_0": 7}},
		"a role ends with the job": {script: "srun --overlap --job-name=GEN_0 sleep 60 >gen_server_0.log 2>&1 &\nsleep 2\n" + strings.Replace(ends(0), "srun", "srun --overlap", 1) + "exit 0",
			state: "COMPLETED", steps: map[parse.Role]int{"BENCHMARK": 0}},
		"a queue too long": {script: "true", directives: []string{"--partition=closed"}, waits: func(w *launch.Waits) { w.Queue = launch.Duration(2 * time.Second) },
			state: "CANCELLED", want: "not started within the queue's limit of 2s: it waits (PartitionDown)", told: []string{"PENDING: waits (PartitionDown)"}},
		"a request that nothing satisfies": {script: "true", directives: []string{"--partition=small", "--nodes=2"}, state: "CANCELLED", want: "the job can never start: PartitionNodeLimit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plan(t, test.script, test.directives...)
			if test.waits != nil {
				test.waits(&p.Waits)
			}
			r := carry(t.Context(), Run, p, c, nil)
			r.wants(t, test.want)
			r.told(t, test.told...)
			if r.outcome.State != test.state {
				t.Errorf("state %q, want %q", r.outcome.State, test.state)
			}
			steps(t, r, test.steps)
			// Whoever comes later finds the same end.
			again := carry(t.Context(), Attach, p, c, nil)
			if r.outcome.Died == "" && !r.outcome.Lost {
				again.wants(t, test.want)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		p := plan(t, "true", "--partition=nowhere")
		r := carry(t.Context(), Run, p, c, nil)
		if r.err == nil || !strings.Contains(r.err.Error(), "the job was refused: sbatch: invalid partition specified: nowhere") {
			t.Errorf("error %v", r.err)
		}
	})
	t.Run("cancelled by another", func(t *testing.T) {
		t.Parallel()
		p := plan(t, "sleep 60")
		var id string
		r := &ran{}
		r.outcome, r.err = Run(t.Context(), p, Options{Client: c, Notify: r.notify(map[string]func(){"RUNNING": func() {
			record, err := ReadRecord(p.Workspace)
			if err != nil {
				t.Error(err)
			}
			id = record.JobID
			slurm(t, cluster, "scancel", id)
		}})})
		r.verdict = p.Verdict(t.Context(), r.outcome)
		r.wants(t, "CANCELLED (was cancelled by user "+fmt.Sprint(os.Getuid())+")")
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		p := plan(t, "sleep 60")
		ctx, interrupt := context.WithCancel(t.Context())
		r := carry(ctx, Run, p, c, map[string]func(){"RUNNING": interrupt})
		r.told(t, "cancelling: interrupted", "cancelled: the job has ended: it was cancelled")
		if !errors.Is(r.verdict, context.Canceled) || r.outcome.State != "CANCELLED" {
			t.Errorf("verdict %v, outcome %+v", r.verdict, r.outcome)
		}
	})
	t.Run("submitted twice", func(t *testing.T) {
		t.Parallel()
		p := plan(t, ends(0))
		carry(t.Context(), Run, p, c, nil).wants(t, "")
		if r := carry(t.Context(), Run, p, c, nil); r.err == nil || !strings.Contains(r.err.Error(), "--attach") {
			t.Errorf("error %v", r.err)
		}
	})
	t.Run("followed", func(t *testing.T) {
		t.Parallel()
		p := plan(t, "echo one; sleep 2; echo two\n"+ends(0))
		var out strings.Builder
		if _, err := Run(t.Context(), p, Options{Client: c, Output: &out}); err != nil || out.String() != "one\ntwo\n" {
			t.Errorf("error %v, log %q", err, out.String())
		}
	})
}

// TestLostAnswer shows that a job whose id did not come back is found, and that there is one job. A program stands before the real sbatch, which
// does its work and says nothing of it; a lost process is one that ends before it has written the id.
func TestLostAnswer(t *testing.T) {
	cluster := services.Slurm(t)
	real, err := exec.LookPath("sbatch")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, end := range map[string]string{
		"lost":    "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
		"killed":  "kill -9 $$",
		"silent":  "exit 0",
		"refused": "echo 'sbatch: error: Batch job submission failed: words of a later Slurm' >&2; exit 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bin := filepath.Join(dir, name)
			text := "#!/bin/sh\n" + real + ` "$@" >/dev/null` + "\necho once >>" + bin + "/calls\n" + end + "\n"
			if err := errors.Join(os.Mkdir(bin, 0o777), os.WriteFile(filepath.Join(bin, "sbatch"), []byte(text), 0o755)); err != nil {
				t.Fatal(err)
			}
			p := plan(t, ends(0)+"sleep 2")
			c := client(cluster)
			c.run = func(ctx context.Context, environ, argv []string) ([]byte, []byte, error) {
				if argv[0] == "sbatch" {
					argv = append([]string{filepath.Join(bin, "sbatch")}, argv[1:]...)
				}
				return run(ctx, environ, argv)
			}
			r := carry(t.Context(), Run, p, c, nil)
			r.wants(t, "")
			r.told(t, "found: the job of this run")
			if calls, err := os.ReadFile(filepath.Join(bin, "calls")); string(calls) != "once\n" {
				t.Errorf("sbatch was called %q times: %v", calls, err)
			}
		})
	}
	t.Run("a process that ended before", func(t *testing.T) {
		t.Parallel()
		p := plan(t, ends(0)+"sleep 2")
		c := client(cluster)
		record := &Record{RunID: p.RunID, Argv: c.sbatch(t.Context(), p, nil), Submitting: time.Now()}
		if err := record.write(p.Workspace); err != nil {
			t.Fatal(err)
		}
		if r := carry(t.Context(), Attach, p, c, nil); r.err == nil || !strings.Contains(r.err.Error(), "Slurm knows no job of it") {
			t.Errorf("error %v", r.err)
		}
		slurm(t, cluster, record.Argv...)
		r := carry(t.Context(), Attach, p, c, nil)
		r.wants(t, "")
		again, err := ReadRecord(p.Workspace)
		if err != nil || again.JobID == "" || again.JobID != r.outcome.JobID {
			t.Errorf("record %+v, %v", again, err)
		}
	})
}

// TestAnswerCutOff shows a connection that breaks after the controller has got a job and before its answer has come: the job is found, and is
// the only one.
func TestAnswerCutOff(t *testing.T) {
	t.Parallel()
	cluster := services.Slurm(t)
	text, err := os.ReadFile(cluster.Conf())
	if err != nil {
		t.Fatal(err)
	}
	port := regexp.MustCompile(`(?m)^SlurmctldPort=(\d+)$`)
	proxy := services.NewToxiproxy(t, "127.0.0.1:"+string(port.FindSubmatch(text)[1]))
	proxy.Add(t, "limit_data", "downstream", `"bytes": 10`)
	conf := filepath.Join(t.TempDir(), "slurm.conf")
	_, through, _ := strings.Cut(proxy.Listen, ":")
	text = append(port.ReplaceAll(text, []byte("SlurmctldPort="+through)), "\nMessageTimeout=4\n"...)
	if err := os.WriteFile(conf, text, 0o666); err != nil {
		t.Fatal(err)
	}
	p := plan(t, "printf '%s' '"+passed+"' >results.xml; echo 0 >exit/BENCHMARK")
	c := NewClient(append(os.Environ(), "SLURM_CONF="+conf))
	r := carry(t.Context(), Run, p, c, map[string]func(){"no answer": func() { proxy.Heal(t) }})
	r.wants(t, "")
	r.told(t, "found: the job of this run")
	if ids, err := client(cluster).find(t.Context(), p.Workspace, time.Now().Add(-time.Minute)); err != nil || len(ids) != 1 {
		t.Errorf("jobs %v, %v", ids, err)
	}
}

// TestNodeDown shows a node that is set down in mid-run: the job is over and is not queued again.
func TestNodeDown(t *testing.T) {
	t.Parallel()
	cluster := services.NewSlurm(t)
	p := plan(t, "sleep 60", "--nodelist=n2")
	r := carry(t.Context(), Run, p, client(cluster), map[string]func(){"RUNNING": func() { cluster.Do(t, "node-down", "2") }})
	r.wants(t, "NODE_FAIL (lost a node)")
}

// TestControllerAway shows a controller that is restarted while a job is waited for, and one that is away when a job is submitted.
func TestControllerAway(t *testing.T) {
	t.Parallel()
	cluster := services.NewSlurm(t, "--set", "MessageTimeout=2")
	c := client(cluster)
	// A new step waits long for a controller that has just come back, and is not what this is about.
	p := plan(t, "sleep 8\n"+strings.Replace(ends(0), "srun --job-name=BENCHMARK", "", 1))
	back := make(chan struct{})
	r := carry(t.Context(), Run, p, c, map[string]func(){"RUNNING": func() {
		cluster.Do(t, "stop-ctld")
		go func() {
			defer close(back)
			time.Sleep(3 * time.Second)
			cluster.Do(t, "start-ctld")
		}()
	}})
	<-back
	r.wants(t, "")
	cluster.Do(t, "stop-ctld")
	back = make(chan struct{})
	r = carry(t.Context(), Run, plan(t, ends(0)), c, map[string]func(){"no answer": func() {
		go func() {
			defer close(back)
			cluster.Do(t, "start-ctld")
		}()
	}})
	<-back
	r.wants(t, "")
	r.told(t, "Unable to contact slurm controller")
	// Away for good: the job is left alone, and the message says how to go on.
	p = plan(t, "sleep 60")
	p.Waits.Silence = launch.Duration(time.Second)
	r = carry(t.Context(), Run, p, c, map[string]func(){"RUNNING": func() { cluster.Do(t, "stop-ctld"); cluster.Do(t, "stop-dbd") }})
	r.wants(t, "may go on: trtperf launch --attach "+p.Workspace)
}

// TestNoAccounting shows a cluster without accounting: exit codes that the job's script has left count, and scontrol's for the job; one that
// nobody has left is unknown.
func TestNoAccounting(t *testing.T) {
	t.Parallel()
	cluster := services.NewSlurm(t, "--no-accounting", "--set", "MinJobAge=4")
	c := client(cluster)
	p := plan(t, ends(0)+"exit $code")
	r := carry(t.Context(), Run, p, c, nil)
	r.wants(t, "")
	if r.outcome.JobExit == nil || *r.outcome.JobExit != 0 || c.Accounting() {
		t.Errorf("outcome %+v", r.outcome)
	}
	r = carry(t.Context(), Run, plan(t, ends(1)+"exit 9"), c, nil)
	r.wants(t, "failed")
	if r.outcome.JobExit == nil || *r.outcome.JobExit != 9 {
		t.Errorf("outcome %+v", r.outcome)
	}
	carry(t.Context(), Run, plan(t, ends(0)+"rm exit/BENCHMARK"), c, nil).wants(t, "nobody knows how BENCHMARK ended")
	// A job that the controller has forgotten is judged by what it has left.
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(time.Second) {
		if jobs, err := c.Jobs(t.Context(), r.outcome.JobID); err == nil && len(jobs) == 0 {
			break
		}
	}
	p.Waits.Silence = launch.Duration(time.Second)
	r = carry(t.Context(), Attach, p, c, nil)
	r.wants(t, "")
	r.told(t, "unknown: Slurm does not know the job")
}

// TestNoPrograms shows a machine without Slurm, and one without sacct.
func TestNoPrograms(t *testing.T) {
	t.Parallel()
	cluster := services.Slurm(t)
	missing := func(name string) *Client {
		c := client(cluster)
		c.run = func(ctx context.Context, environ, argv []string) ([]byte, []byte, error) {
			if argv[0] == name {
				argv = []string{"no-" + name + "-here"}
			}
			return run(ctx, environ, argv)
		}
		return c
	}
	if r := carry(t.Context(), Run, plan(t, ends(0)), missing("sbatch"), nil); r.err == nil || !strings.Contains(r.err.Error(), "there is no Slurm here") {
		t.Errorf("error %v", r.err)
	}
	c := missing("sacct")
	carry(t.Context(), Run, plan(t, ends(0)), c, nil).wants(t, "")
	if c.Accounting() {
		t.Error("sacct is missing and was not missed")
	}
}

// TestJobs shows that many jobs are asked for in one call of each program.
func TestJobs(t *testing.T) {
	t.Parallel()
	cluster := services.Slurm(t)
	c := client(cluster)
	var mu sync.Mutex
	calls := map[string]int{}
	c.run = func(ctx context.Context, environ, argv []string) ([]byte, []byte, error) {
		mu.Lock()
		calls[argv[0]]++
		mu.Unlock()
		return run(ctx, environ, argv)
	}
	var ids []string
	for i := range 4 {
		ids = append(ids, slurm(t, cluster, "sbatch", "--parsable", "--output=/dev/null", "--job-name=a | b", fmt.Sprintf("--wrap=exit %d", i)))
	}
	l := NewLookout(c, 2*time.Second)
	looks := 0
	for waiting := slices.Clone(ids); len(waiting) > 0 && looks < 60; looks++ {
		var wg sync.WaitGroup
		over := make([]bool, len(waiting))
		for i, id := range waiting {
			wg.Go(func() {
				job, ok, err := l.Look(t.Context(), id)
				if err != nil || !ok {
					t.Errorf("%s: %v, %v", id, ok, err)
				}
				over[i] = job.Meaning.Phase == Ended && job.Accounted
				if over[i] && (job.Exit == nil || *job.Exit != slices.Index(ids, id)) {
					t.Errorf("%s: %+v", id, job)
				}
			})
		}
		wg.Wait()
		var left []string
		for i, id := range waiting {
			if !over[i] {
				left = append(left, id)
			}
		}
		waiting = left
	}
	if calls["sacct"] != looks || calls["squeue"] != looks {
		t.Errorf("%d looks with calls %v", looks, calls)
	}
	jobs, err := c.Jobs(t.Context(), "4000000")
	if err != nil || len(jobs) != 0 {
		t.Errorf("jobs %v, %v", jobs, err)
	}
}

// TestHangup shows that a job outlives the process that submitted it, whose terminal is lost.
func TestHangup(t *testing.T) {
	if os.Getenv("SLURM_TEST_PLAN") != "" {
		p, err := launch.ReadPlan(os.Getenv("SLURM_TEST_PLAN"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Run(t.Context(), p, Options{Client: NewClient(os.Environ()), Notify: func(e launch.Event) {
			if e.State == "RUNNING" {
				_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
			}
		}})
		t.Fatal("outlived its terminal", err)
	}
	t.Parallel()
	cluster := services.Slurm(t)
	p := plan(t, "sleep 4\n"+ends(0))
	command := exec.Command(os.Args[0], "-test.run=^TestHangup$")
	command.Env = append(os.Environ(), "SLURM_TEST_PLAN="+p.Path(launch.PlanFile), "SLURM_CONF="+cluster.Conf())
	out, err := command.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGHUP {
		t.Fatalf("%v\n%s", err, out)
	}
	r := carry(t.Context(), Attach, p, client(cluster), nil)
	r.wants(t, "")
	r.told(t, "attached: job ")
}

// TestMain lets more tests run at once than there are processors: they wait for Slurm.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	m.Run()
}

// TestTimeLimit shows a job that Slurm ends at its time limit, whose smallest is a minute.
func TestTimeLimit(t *testing.T) {
	if os.Getenv("TRTPERF_SOAK") == "" {
		t.Skip("it takes more than a minute: set TRTPERF_SOAK=1")
	}
	t.Parallel()
	p := plan(t, "sleep 300", "--time=1")
	p.Waits.Run = launch.Duration(10 * time.Minute)
	r := carry(t.Context(), Run, p, client(services.Slurm(t)), nil)
	r.wants(t, "TIMEOUT (hit its time limit)")
	r.told(t, "of 1m0s on n")
}
