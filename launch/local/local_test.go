package local_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/launch/local"
	"github.com/trtperf/trtperf/parse"
)

// newPlan is a plan of shell commands by role, in a workspace of the test's own.
func newPlan(t *testing.T, commands ...string) *launch.Plan {
	p := &launch.Plan{RunID: t.Name() + time.Now().Format(time.RFC3339Nano), Workspace: t.TempDir(), Waits: launch.Waits{Run: launch.Duration(time.Minute),
		Finish: launch.Duration(200 * time.Millisecond), Grace: launch.Duration(500 * time.Millisecond)}}
	for i := 0; i < len(commands); i += 2 {
		role := parse.Role(commands[i])
		s := launch.Step{Role: role, Argv: []string{"sh", "-c", commands[i+1]}, Dir: p.Workspace, Env: []string{"DISAGG_SERVING_TYPE=" + commands[i]},
			Foreground: role == parse.Benchmark}
		if !s.Foreground {
			s.Log, s.Done = "logs/"+commands[i]+".log", "logs/"+commands[i]+".done"
		}
		p.Steps = append(p.Steps, s)
	}
	return p
}

// left lists the processes of a plan that still run. One that was killed is gone a moment after that.
func left(t *testing.T, p *launch.Plan) []string {
	t.Helper()
	rest := running(p)
	for deadline := time.Now().Add(5 * time.Second); len(rest) > 0 && time.Now().Before(deadline); rest = running(p) {
		time.Sleep(10 * time.Millisecond)
	}
	return rest
}

// running lists the processes of a plan that run now.
func running(p *launch.Plan) []string {
	var all []string
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range environments {
		if text, err := os.ReadFile(name); err == nil && bytes.Contains(text, []byte("TRTPERF_RUN_ID="+p.RunID+"\x00")) {
			status, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "stat"))
			if _, rest, ok := strings.Cut(string(status), ") "); !ok || rest[0] != 'Z' {
				all = append(all, name)
			}
		}
	}
	return all
}

// log collects events.
type log struct {
	sync.Mutex
	events []launch.Event
}

func (l *log) add(e launch.Event) {
	l.Lock()
	defer l.Unlock()
	l.events = append(l.events, e)
}

func (l *log) String() string {
	l.Lock()
	defer l.Unlock()
	var all strings.Builder
	for _, e := range l.events {
		all.WriteString(e.Name + " " + e.State + " " + e.Message + "\n")
	}
	return all.String()
}

func code(n int) *int { return &n }

func TestRun(t *testing.T) {
	const waits = "exec sleep 60"
	for name, c := range map[string]struct {
		commands []string
		limit    time.Duration
		died     parse.Role
		lost     bool
		exits    map[parse.Role]*int
		ended    []parse.Role
		verdict  string
		events   string
	}{
		"all end by themselves": {commands: []string{"GEN_0", "sleep 0.1", "BENCHMARK", "exit 0"}, exits: map[parse.Role]*int{"GEN_0": code(0), "BENCHMARK": code(0)}},
		"a failed test":         {commands: []string{"BENCHMARK", "echo x; exit 1"}, exits: map[parse.Role]*int{"BENCHMARK": code(1)}, verdict: "a test failed: pytest ended with exit code 1"},
		"a usage error":         {commands: []string{"BENCHMARK", "exit 4"}, exits: map[parse.Role]*int{"BENCHMARK": code(4)}, verdict: "pytest ended with exit code 4: the tests were not run to their end"},
		"a killed test":         {commands: []string{"BENCHMARK", "kill -9 $$"}, exits: map[parse.Role]*int{"BENCHMARK": nil}, verdict: "pytest was ended by signal 9"},
		"servers that stay":     {commands: []string{"GEN_0", waits, "BENCHMARK", "exit 0"}, exits: map[parse.Role]*int{"BENCHMARK": code(0)}, ended: []parse.Role{"GEN_0"}, events: "still running 200ms after the test"},
		"servers that do not listen": {commands: []string{"GEN_0", "trap '' INT TERM; while :; do sleep 0.1; done", "BENCHMARK", "exit 0"}, exits: map[parse.Role]*int{"BENCHMARK": code(0)},
			ended: []parse.Role{"GEN_0"}, events: "GEN_0 ending killed"},
		"a dead server": {commands: []string{"GEN_0", waits, "CTX_0", "echo starting; echo 'RuntimeError: no GPU'; sleep 0.1; exit 3", "DISAGG_SERVER", waits, "BENCHMARK", waits}, died: "CTX_0",
			exits: map[parse.Role]*int{"CTX_0": code(3)}, ended: []parse.Role{"GEN_0", "DISAGG_SERVER", "BENCHMARK"}, verdict: "logs/CTX_0.log, its last lines with an error:\n  RuntimeError: no GPU"},
		"a server's failed test": {commands: []string{"GEN_0", "exit 1", "BENCHMARK", waits}, died: "GEN_0", ended: []parse.Role{"BENCHMARK"}, verdict: "a test failed: GEN_0 ended with exit code 1 before"},
		"too long":               {commands: []string{"BENCHMARK", waits}, limit: 200 * time.Millisecond, lost: true, ended: []parse.Role{"BENCHMARK"}, verdict: "longer than its limit of 200ms"},
		"children that left":     {commands: []string{"GEN_0", "setsid sleep 60 & sleep 0.1", "BENCHMARK", "setsid sh -c 'sleep 60; true' & (sleep 60 &) ; sleep 0.2"}, exits: map[parse.Role]*int{"BENCHMARK": code(0)}, events: "left over by the test"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlan(t, c.commands...)
			if c.limit > 0 {
				p.Waits.Run = launch.Duration(c.limit)
			}
			var events log
			began := time.Now()
			o, err := local.Run(t.Context(), p, local.Options{Environ: os.Environ(), Notify: events.add})
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("took %s", took)
			}
			if o.Died != c.died || o.Lost != c.lost || o.Interrupted {
				t.Errorf("outcome %+v", o)
			}
			for role, want := range c.exits {
				if got := o.Step(role); got == nil || (got.Exit == nil) != (want == nil) || want != nil && *got.Exit != *want {
					t.Errorf("%s: %+v", role, got)
				}
			}
			for _, role := range c.ended {
				if got := o.Step(role); got == nil || !got.Ended {
					t.Errorf("%s was not ended: %+v", role, got)
				}
			}
			err = p.Verdict(t.Context(), o)
			if c.verdict == "" && err != nil || c.verdict != "" && (err == nil || !strings.Contains(err.Error(), c.verdict)) {
				t.Errorf("verdict %v, want %q", err, c.verdict)
			}
			if failed := strings.HasPrefix(c.verdict, "a test failed"); failed != errors.Is(err, launch.ErrTestFailed) {
				t.Errorf("verdict %v", err)
			}
			if !strings.Contains(events.String(), c.events) {
				t.Errorf("events %s", &events)
			}
			if rest := left(t, p); len(rest) > 0 {
				t.Errorf("left over: %q", rest)
			}
			if _, err := os.Stat(p.Path("logs/GEN_0.done")); o.Step("GEN_0") != nil && err != nil {
				t.Error(err)
			}
		})
	}
}

// TestInterrupt ends everything, and says so, when the user does.
func TestInterrupt(t *testing.T) {
	p := newPlan(t, "GEN_0", "trap 'echo interrupted; exit 0' INT; while :; do sleep 0.05; done", "BENCHMARK", "setsid sleep 60 & touch here; sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for {
			if _, err := os.Stat(p.Path("here")); err == nil || ctx.Err() != nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	var events log
	o, err := local.Run(ctx, p, local.Options{Environ: os.Environ(), Notify: events.add})
	if err != nil || !o.Interrupted || !errors.Is(p.Verdict(ctx, o), context.Canceled) {
		t.Errorf("%+v, %v", o, err)
	}
	if text, _ := os.ReadFile(p.Path("logs/GEN_0.log")); string(text) != "interrupted\n" {
		t.Errorf("GEN_0 said %q", text)
	}
	if !strings.Contains(events.String(), "BENCHMARK ending interrupt: interrupted") {
		t.Errorf("events %s", &events)
	}
	if rest := left(t, p); len(rest) > 0 {
		t.Errorf("left over: %q", rest)
	}
}

// TestDoesNotStart: a role that cannot be started ends those that were.
func TestDoesNotStart(t *testing.T) {
	p := newPlan(t, "GEN_0", "exec sleep 60", "BENCHMARK", "true")
	p.Steps[1].Argv = []string{"/no/such/program"}
	if _, err := local.Run(t.Context(), p, local.Options{Environ: os.Environ()}); err == nil || !strings.Contains(err.Error(), "BENCHMARK did not start") {
		t.Error(err)
	}
	if rest := left(t, p); len(rest) > 0 {
		t.Errorf("left over: %q", rest)
	}
}

// TestEnvironment: what a role gets, and what it does not.
func TestEnvironment(t *testing.T) {
	p := newPlan(t, "BENCHMARK", `echo "$DISAGG_SERVING_TYPE,$A,${B-none},$C,${TRTPERF_MYSQL_PASSWORD-none},$PATH"`)
	p.Environment, p.Steps[0].Unset, p.Steps[0].Env = []string{"A=plan", "C=plan"}, []string{"B"}, append(p.Steps[0].Env, "C=step")
	var out bytes.Buffer
	if _, err := local.Run(t.Context(), p, local.Options{Output: &out, Environ: []string{"PATH=/bin:/usr/bin", "A=mine", "B=mine", "TRTPERF_MYSQL_PASSWORD=x"}}); err != nil {
		t.Fatal(err)
	}
	if want := "BENCHMARK,plan,none,step,none,/bin:/usr/bin\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
