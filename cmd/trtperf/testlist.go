package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/launch/keyword"
	"github.com/trtperf/trtperf/launch/set"
	"github.com/trtperf/trtperf/launch/slurm"
	"github.com/trtperf/trtperf/launch/testlist"
	"github.com/trtperf/trtperf/parse"
)

// configurationKey is at the left edge of a YAML configuration of a test and not of a list.
var configurationKey = regexp.MustCompile(`(?m)^(server_configs|worker_config|hardware|benchmark)\s*:`)

// isList reports whether a target is a file that holds a test list.
func (l *launching) isList(target string) (bool, error) {
	if strings.Contains(target, "::") {
		return false, nil
	}
	info, err := os.Stat(target)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	switch filepath.Ext(target) {
	case ".yaml", ".yml":
		text, err := os.ReadFile(target)
		return !configurationKey.Match(text), err
	}
	return true, nil
}

// treeTests knows the tests of the checkout that a launch is of.
type treeTests struct {
	ctx     context.Context
	request launch.Request
}

// NodeID is the node id of a configuration in a mode.
func (c treeTests) NodeID(config string, mode parse.Mode) (string, error) {
	r := c.request
	r.Target, r.Mode, r.NoCollect = config, mode, true
	spec, err := r.Resolve(c.ctx)
	if err != nil {
		return "", err
	}
	return spec.Module + "::" + spec.Selected, nil
}

// Mode decides the mode of one test.
func (c treeTests) Mode(nodeID string, said parse.Mode) (parse.Mode, string, error) {
	r := c.request
	r.Target, r.Mode, r.NoCollect = nodeID, said, true
	spec, err := r.Resolve(c.ctx)
	if err != nil {
		return "", "", err
	}
	return spec.Mode, spec.ModeReason, nil
}

// selection is what a list means under the command's options.
func (l *launching) selection(ctx context.Context, path string) (*testlist.Selection, error) {
	o := testlist.Options{Module: l.request.Module, Function: l.request.Function, Prefix: l.request.Prefix, Mode: l.request.Mode, Facts: map[string]string{},
		AnyCondition: l.anyCondition, TestPrefix: l.testPrefix}
	if o.Module == "" {
		o.Module = launch.DefaultModule
	}
	if o.Function == "" {
		o.Function = parse.DefaultFunction
	}
	for key, value := range l.facts {
		if *value != "" {
			o.Facts[key] = *value
		}
	}
	for _, match := range l.matches {
		key, value, ok := strings.Cut(match, "=")
		if !ok || key == "" {
			return nil, usagef("--match %q: write KEY=VALUE", match)
		}
		o.Facts[key] = value
	}
	for key, value := range o.Facts {
		if err := testlist.CheckFact(key, value); err != nil {
			return nil, usagef("%w", err)
		}
	}
	if l.keyword != "" {
		var err error
		if o.Keyword, err = keyword.Parse(l.keyword); err != nil {
			return nil, usagef("-k: %w", err)
		}
	}
	read := func(path string) ([]*testlist.Entry, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, usagef("launch: %w", err)
		}
		defer f.Close()
		entries, remarks, err := testlist.Read(f, path)
		for _, r := range remarks {
			l.report.warn("%s", r)
		}
		if err != nil {
			return nil, usagef("launch: %w", err)
		}
		return entries, nil
	}
	if l.waives != "" {
		var err error
		if o.Waives, err = read(l.waives); err != nil {
			return nil, err
		}
	}
	entries, err := read(path)
	if err != nil {
		return nil, err
	}
	request := l.request
	request.Mode = "" // it is the list's filter
	o.Resolver = treeTests{ctx, request}
	s := testlist.Select(entries, o)
	for _, r := range s.Remarks {
		l.report.warn("%s", r)
	}
	var faults []error
	for _, f := range s.Faults {
		faults = append(faults, f)
	}
	if len(faults) > 0 {
		return s, usagef("launch: %w", errors.Join(faults...))
	}
	return s, nil
}

// entryEvent is what becomes of an entry of a list.
type entryEvent struct {
	Kind    string     `json:"kind"`
	Place   string     `json:"place"`
	Text    string     `json:"text"`
	NodeID  string     `json:"node_id,omitempty"`
	Mode    parse.Mode `json:"mode,omitempty"`
	ModeBy  string     `json:"mode_by,omitempty"`
	Timeout string     `json:"timeout,omitempty"`
	Cause   string     `json:"cause,omitempty"`
	Reason  string     `json:"reason,omitempty"`
}

// showSelection says what a list means.
func (l *launching) showSelection(s *testlist.Selection) {
	for _, t := range s.Tests {
		e := entryEvent{Kind: "entry", Place: t.Place.String(), Text: t.Text, NodeID: t.NodeID, Mode: t.Mode, ModeBy: t.ModeBy}
		more := ""
		if t.Timeout > 0 {
			e.Timeout = t.Timeout.String()
			more = ", at most " + e.Timeout
		}
		for _, marker := range []struct {
			name   string
			reason *testlist.Reason
		}{{"expected to fail", t.XFail}, {"unstable", t.Unstable}} {
			if marker.reason != nil {
				more += fmt.Sprintf(", %s (%s)", marker.name, marker.reason.Text)
			}
		}
		l.report.event(e)
		l.report.say("test      %s: %s: %s, by %s%s", t.Place, t.NodeID, t.Mode, t.ModeBy, more)
	}
	for _, x := range s.Left {
		l.report.event(entryEvent{Kind: "entry", Place: x.Place.String(), Text: x.Text, NodeID: x.NodeID, Cause: string(x.Cause), Reason: x.Reason})
		l.report.say("left out  %s: %s: %s: %s", x.Place, x.Text, x.Cause, x.Reason)
	}
	l.report.say("list      %d tests, %d left out", len(s.Tests), len(s.Left))
}

// runList launches the tests that a list means.
func (l *launching) runList(ctx context.Context, path string) error {
	s, err := l.selection(ctx, path)
	if err != nil {
		return err
	}
	l.showSelection(s)
	if l.onlyList {
		return l.report.err
	}
	var tests []set.Test
	requests := map[string]launch.Request{}
	for i, t := range s.Tests {
		r := l.request
		r.Target, r.Mode = t.NodeID, t.Mode
		r.Workspace = filepath.Join(l.request.Workspace, fmt.Sprintf("%02d_%s", i, slug(t.NodeID)))
		r.RunID += fmt.Sprintf("-%d", i)
		if t.Timeout > 0 {
			r.TestTimeout = launch.Duration(t.Timeout)
			// pytest ends the test itself and says what it was at; Slurm's limit is for what pytest cannot end.
			limit := launch.Duration(t.Timeout + pytestEnds)
			r.Slurm.TimeLimit, r.Waits.Run = limit, limit
		}
		requests[r.Workspace] = r
		tests = append(tests, set.Test{NodeID: t.NodeID, Mode: t.Mode, Place: t.Place.String(), Workspace: filepath.Base(r.Workspace), State: set.Waiting})
	}
	for _, x := range s.Left {
		name := x.NodeID
		if name == "" {
			name = x.Text
		}
		tests = append(tests, set.Test{NodeID: name, Place: x.Place.String(), State: set.LeftOut, Message: string(x.Cause) + ": " + x.Reason})
	}
	return l.runSet(ctx, tests, requests)
}

// pytestEnds is how long pytest may take to end after its own limit.
const pytestEnds = 2 * time.Minute

// rerunFailed launches the tests of a set's directory that did not pass.
func (l *launching) rerunFailed(ctx context.Context) error {
	before, err := set.Read(l.rerun)
	if err != nil {
		return usagef("launch: --rerun-failed: %w", err)
	}
	var tests []set.Test
	requests := map[string]launch.Request{}
	for _, t := range before {
		if t.State == set.Passed || t.State == set.LeftOut {
			continue
		}
		r := l.request
		r.Target, r.Mode = t.NodeID, t.Mode
		r.Workspace = filepath.Join(l.request.Workspace, t.Workspace)
		r.RunID += fmt.Sprintf("-%d", len(tests))
		// What the list said of its limits stands in its plan.
		if plan, err := launch.ReadPlan(filepath.Join(l.rerun, t.Workspace, launch.PlanFile)); err == nil {
			r.TestTimeout, r.Slurm.TimeLimit, r.Waits.Run = plan.Spec.TestTimeout, plan.Spec.Slurm.TimeLimit, plan.Spec.Waits.Run
		}
		requests[r.Workspace] = r
		tests = append(tests, set.Test{NodeID: t.NodeID, Mode: t.Mode, Place: t.Place, Workspace: t.Workspace, State: set.Waiting})
	}
	if len(tests) == 0 {
		l.report.say("list      every test of %s passed", l.rerun)
		return l.report.err
	}
	return l.runSet(ctx, tests, requests)
}

// setMember is what a launch of one test of a set has of its own.
type setMember struct {
	lookout *slurm.Lookout
	outcome set.Outcome
}

// lockedWriter lets several write to one stream.
type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(text)
}

// member is a launch of one test of the set: what it says to people goes into a file beside the test's directory.
func (l *launching) member(log io.Writer, mu *sync.Mutex, lookout *slurm.Lookout) *launching {
	m := *l
	m.inSet = &setMember{lookout: lookout}
	m.report = &reporter{text: log, notes: map[string]int{}, row: map[string]int{}}
	if l.report.events != nil {
		m.report.events = lockedWriter{mu, l.report.events}
	}
	m.std.err = log
	return &m
}

// carryMember carries out one test of a set.
func (l *launching) carryMember(ctx context.Context, t set.Test, request launch.Request, mu *sync.Mutex, lookout *slurm.Lookout) set.End {
	log, err := os.Create(request.Workspace + ".launch")
	if err != nil {
		return set.End{State: set.Unplanned, Message: err.Error()}
	}
	defer log.Close()
	m := l.member(log, mu, lookout)
	plan, err := planOf(ctx, request)
	if err != nil {
		if ctx.Err() != nil {
			return set.End{State: set.Interrupted, Message: "interrupted"}
		}
		return set.End{State: set.Unplanned, Message: err.Error()}
	}
	end := set.End{State: set.Passed}
	if err := m.carryOut(ctx, plan); err != nil {
		end.State, end.Message = set.Lost, strings.TrimPrefix(err.Error(), "launch: ")
		switch exitCode(ctx, err) {
		case exitFailed:
			end.State = set.Failed
		case exitUsage:
			end.State = set.Unplanned
		case exitInterrupted:
			end.State = set.Interrupted
		}
	}
	end.Outcome = m.inSet.outcome
	return end
}

// testEvent is a test of a set that begins or ends.
type testEvent struct {
	Kind string `json:"kind"`
	set.Test
}

// runSet carries out the tests of a set, says what became of each, and goes on to their results.
func (l *launching) runSet(ctx context.Context, tests []set.Test, requests map[string]launch.Request) error {
	dir, err := filepath.Abs(l.request.Workspace)
	if err != nil {
		return err
	}
	if l.dryRun {
		for _, t := range tests {
			if t.State != set.Waiting {
				continue
			}
			plan, err := planOf(ctx, requests[filepath.Join(l.request.Workspace, t.Workspace)])
			if err != nil {
				return usagef("launch: %w", err)
			}
			if err := l.carryOut(ctx, plan); err != nil {
				return err
			}
		}
		return l.report.err
	}
	if err := launch.MakeWorkspace(dir); err != nil {
		return usagef("launch: %w", err)
	}
	jobs := l.jobs
	if jobs == 0 {
		if jobs = 1; l.request.On == launch.Slurm {
			jobs = 8
		}
	}
	var lookout *slurm.Lookout
	if l.request.On == launch.Slurm && (l.settings.cluster == nil || l.settings.cluster.Local()) {
		lookout = slurm.NewLookout(slurm.NewClient(os.Environ()), time.Duration(l.request.Waits.Poll))
	}
	var mu sync.Mutex
	live, drawn := isTerminal(l.std.out) && !l.report.quiet && l.report.events == nil && len(requests) <= tall, 0
	err = set.Run(ctx, tests, set.Options{Dir: dir, Jobs: jobs, StopOnError: l.stopOnError,
		Carry: func(ctx context.Context, t set.Test) set.End {
			return l.carryMember(ctx, t, requests[filepath.Join(l.request.Workspace, t.Workspace)], &mu, lookout)
		},
		Tell: func(t set.Test, all []set.Test) {
			mu.Lock()
			defer mu.Unlock()
			l.report.event(testEvent{"test", t})
			ended := 0
			for _, x := range all {
				if x.State != set.Waiting && x.State != set.Running && x.State != set.LeftOut {
					ended++
				}
			}
			if live {
				drawn = l.draw(all, drawn)
				return
			}
			l.report.say("%-9s %s (%d of %d ended)%s", t.State, t.NodeID, ended, len(requests), after(": ", firstLine(t.Message)))
		}})
	if err != nil {
		return usagef("launch: %w", err)
	}
	return l.endSet(ctx, dir, tests)
}

// tall is the most rows of a live table; a longer list is told in lines.
const tall = 40

// draw shows how the tests stand in place of the table that was drawn before, of so many rows, and returns how many it has now.
func (l *launching) draw(all []set.Test, before int) int {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	rows := 0
	for _, t := range all {
		if t.State == set.LeftOut {
			continue
		}
		rows++
		since := "-"
		switch {
		case !t.Ended.IsZero():
			since = t.Ended.Sub(t.Began).Round(time.Second).String()
		case !t.Began.IsZero():
			since = "since " + t.Began.Local().Format(time.TimeOnly)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.State, orDash(string(t.Mode)), since, slug(t.NodeID))
	}
	_ = w.Flush() // it goes into memory
	// Rows are cut at the terminal's edge, so that the table has as many lines as rows.
	const up, clear, cut, wrap = "\x1b[%dA", "\x1b[K\n", "\x1b[?7l", "\x1b[?7h"
	text := strings.ReplaceAll(table.String(), "\n", clear)
	if before > 0 {
		text = fmt.Sprintf(up, before) + text
	}
	l.report.print(cut + text + wrap)
	return rows
}

func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// codes are the exit codes of the states that a test can end in.
var codes = map[set.State]int{set.Failed: exitFailed, set.Lost: exitLaunch, set.Unplanned: exitUsage, set.Interrupted: exitInterrupted,
	set.Stopped: exitFailed, set.NotStarted: exitFailed}

// endSet prints the table of a set and processes its results.
func (l *launching) endSet(ctx context.Context, dir string, tests []set.Test) error {
	var conditions []int
	var notes []string
	if ctx.Err() != nil {
		conditions = append(conditions, exitInterrupted) // also where it came between two tests
	}
	w := tabwriter.NewWriter(l.report.text, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "STATE\tMODE\tJOB\tTIME\tTEST\tWHY")
	counts := map[set.State]int{}
	for _, t := range tests {
		counts[t.State]++
		took := "-"
		if !t.Ended.IsZero() {
			took = t.Ended.Sub(t.Began).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.State, orDash(string(t.Mode)), orDash(t.Job), took, t.NodeID, firstLine(t.Message))
		if code, ok := codes[t.State]; ok {
			conditions = append(conditions, code)
			notes = append(notes, fmt.Sprintf("%s: %s%s", t.State, t.NodeID, after(": ", firstLine(t.Message))))
		}
	}
	if !l.report.quiet {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	var words []string
	for _, state := range []set.State{set.Passed, set.Failed, set.Lost, set.Unplanned, set.Interrupted, set.Stopped, set.NotStarted, set.LeftOut} {
		if counts[state] > 0 {
			words = append(words, fmt.Sprintf("%d %s", counts[state], state))
		}
	}
	said := strings.Join(words, ", ")
	l.report.say("list      %s; %s and %s in %s", said, set.LedgerFile, set.JUnitFile, dir)
	var failed error
	if code := worst(conditions); code != exitOK {
		failed = &codeError{code, fmt.Errorf("launch: %s", said)}
	}
	failed = l.collecting.after(ctx, l.report, dir, failed)
	if !l.process || ctx.Err() != nil {
		return failed
	}
	l.processed = true
	processed := processPaths(ctx, l.settings, l.std, []string{dir}, launched{conditions, append([]string{"list: " + said}, notes...)})
	if failed == nil {
		return processed
	}
	return joined([]error{failed, processed})
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
