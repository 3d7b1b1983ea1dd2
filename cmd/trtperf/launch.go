package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/launch/local"
	"github.com/trtperf/trtperf/launch/script"
	"github.com/trtperf/trtperf/launch/set"
	"github.com/trtperf/trtperf/launch/slurm"
	"github.com/trtperf/trtperf/launch/testlist"
	"github.com/trtperf/trtperf/parse"
)

// launching is the state of one launch command.
type launching struct {
	settings *settings
	std      stdio
	report   *reporter
	request  launch.Request // what all tests have in common
	dryRun   bool
	process  bool
	// processed: what process prints has been printed.
	processed bool
	attach    string // a run's directory
	follow    bool
	far       *far
	inSet     *setMember // of a test that is one of a list

	onlyList, anyCondition, stopOnError bool
	keyword, waives, testPrefix, rerun  string
	matches                             []string
	facts                               map[string]*string
	collecting                          collecting
	jobs                                int

	on, submit, pytest                  string
	time, queue, finish, grace, results time.Duration
	timeout                             time.Duration
	poll                                time.Duration
}

func launchCommand(s *settings, std stdio) *cobra.Command {
	l := &launching{settings: s, std: std, far: &far{}, facts: map[string]*string{}}
	c := &cobra.Command{
		Use:   "launch TARGET",
		Short: "Run a performance test or a list of them, here, as Slurm jobs or on a cluster behind ssh, and wait",
		Long: "TARGET is a pytest node id, the name of a configuration, or a test list, text or YAML, of which --list says what it means. Module, function and\n" +
			"prefix of the node id come from --module, --function and --prefix, or PERF_TEST_MODULE, PERF_TEST_FUNCTION and\n" +
			"PERF_TEST_PREFIX; empty means the default. The mode comes from the id and from the configuration, which is looked for in\n" +
			"--config-dir and in the checkout. Everything that the run writes lies in the workspace, which must be new, plan.json among\n" +
			"it: --from plan.json does the same again. --process reads the results and goes on as trtperf process does.",
		Args: func(_ *cobra.Command, args []string) error {
			sources := len(args)
			for _, other := range []string{s.from, l.attach, l.rerun} {
				if other != "" {
					sources++
				}
			}
			if sources != 1 {
				return usagef("launch: name one node id, configuration or test-list file, or a plan with --from, or a run with --attach")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			l.report = newReporter(s, std)
			defer l.far.close()
			err := l.collecting.prepare()
			if err == nil {
				err = l.run(cmd.Context(), strings.Join(args, ""))
			}
			if !l.processed {
				// The ledger is the last event of every command.
				ledger := parse.Ledger{Exit: exitCode(cmd.Context(), err), Conditions: []int{}}
				if ledger.Exit != exitOK {
					ledger.Conditions = append(ledger.Conditions, ledger.Exit)
				}
				l.report.event(ledgerEvent{"ledger", &ledger})
			}
			return err
		},
	}
	f := c.Flags()
	s.addReading(f)
	s.addOutput(f)
	s.addFailed(f)
	s.addStore(f)
	s.addReread(f)
	s.addTargets(f)
	r := &l.request
	f.StringVar(&r.Tree, "tree", ".", treeUsage)
	f.StringVar(&r.Workspace, "workspace", "", "directory of the run (default trtperf-runs/<time>-<id>)")
	f.StringVar(&r.Module, "module", "", "test file, relative to the checkout or to its tests/integration/defs (default "+launch.DefaultModule+")")
	f.StringVar(&r.Function, "function", "", "test function (default "+parse.DefaultFunction+")")
	f.StringVar(&r.Prefix, "prefix", "", "prefix of the id (default "+launch.DefaultPrefix+", aggr_upload in aggregated modes)")
	f.StringVar(&l.on, "on", string(launch.Local), "where to run: local or slurm")
	f.StringVar(&l.submit, "submit", string(launch.SubmitAuto), "how a disaggregated Slurm job is made: tree (the checkout's own submit.py), native, or auto")
	s.addCluster(f)
	f.StringVar(&l.far.keyFile, "ssh-key", "", sshKeyUsage)
	f.StringVar(&l.far.program, "far-program", "", "trtperf for the cluster's architecture (default this one, or trtperf-linux-<arch> beside it)")
	f.DurationVar(&l.far.patience, "reconnect-limit", 30*time.Minute, "how long to try to connect again after a connection was lost")
	f.IntVar(&l.far.keep, "keep-runs", 10, "how many of the newest runs stay on a cluster that is reached by ssh")
	s.addFrom(f)
	f.StringVar(&l.attach, "attach", "", "watch the Slurm job of a run's directory, as after a lost terminal")
	f.BoolVar(&l.follow, "follow", false, "print what the Slurm job's log holds, as it grows")
	f.BoolVar(&l.onlyList, "list", false, "say what a test list means, with the reason of everything left out, and start nothing")
	f.StringVarP(&l.keyword, "keyword", "k", "", "of a list: only tests that pytest's -k expression selects")
	f.IntVar(&l.jobs, "jobs", 0, "tests of a list that run at the same time (default 1 here, 8 as Slurm jobs)")
	f.BoolVar(&l.stopOnError, "stop-on-error", false, "of a list: start no further test once one has not passed, and end those that run")
	f.StringVar(&l.rerun, "rerun-failed", "", "run those tests of a list's directory again that did not pass")
	f.StringVar(&l.waives, "waives", "", "list of waived tests")
	f.StringVar(&l.testPrefix, "test-prefix", "", "stage's name that stands before the node ids of a list")
	f.BoolVar(&l.anyCondition, "any-condition", false, "of a list: also tests whose condition does not hold or cannot be decided")
	f.StringArrayVar(&l.matches, "match", nil, "fact that decides conditions of a list, KEY=VALUE; repeatable")
	for _, fact := range testlist.Facts {
		l.facts[fact.Key] = f.String(fact.Flag, "", "fact that decides conditions of a list: "+fact.What)
	}
	f.BoolVar(&l.dryRun, "dry-run", false, "print what would be done, and do nothing")
	f.BoolVar(&l.process, "process", false, "read the results of the run, write CSVs, commit and deliver")
	f.BoolVar(&l.collecting.want, "collect", false, "collect the run's files into an archive at the end, also after a failure")
	l.collecting.addFlags(f)
	f.BoolVar(&r.NoCollect, "no-collect", false, "do not ask pytest first whether it knows the id")
	f.StringVar(&l.pytest, "pytest", "pytest", pytestUsage)
	f.StringArrayVar(&r.PytestArgs, "pytest-arg", nil, "further argument for pytest; repeatable")
	f.StringVar(&r.Python, "python", "python3", "Python for the checkout's submit.py")
	f.StringVar(&r.Launcher, "launcher", "", "program that makes one pytest of several ranks (default the checkout's trtllm-llmapi-launch)")
	f.StringArrayVar(&r.Env, "env", nil, "variable for every process of the run, NAME=VALUE, or NAME for the value it has here; repeatable")
	f.IntVar(&r.GPUsPerNode, "gpus-per-node", 0, "GPUs of a node, where the configuration does not say")
	f.IntVar(&r.Nodes, "nodes", 0, "nodes of a job, for tests without a configuration")
	f.StringVar(&r.Slurm.Partition, "partition", "", "Slurm partition")
	f.StringVar(&r.Slurm.Account, "account", "", "Slurm account")
	f.DurationVar(&l.time, "time", time.Duration(launch.DefaultTimeLimit), "how long the test may run, here or as a Slurm job, whose time limit it is")
	f.StringVar(&r.Slurm.GPURequest, "gpu-request", launch.GPUsPerNode, "how the job asks for GPUs: gpus-per-node, gres or none")
	f.IntVar(&r.Slurm.Segment, "segment", 0, "segment size of the job, where Slurm knows segments")
	f.StringVar(&r.Slurm.MPI, "mpi", "", "MPI type of the workers' steps, such as pmix")
	f.StringVar(&r.Slurm.Image, "image", "", "container image of the steps")
	f.StringArrayVar(&r.Slurm.Mounts, "mount", nil, "further mount of the container, FROM:TO; repeatable")
	f.StringVar(&r.Slurm.Data, "llm-data", "", "directory of models and data sets")
	f.StringArrayVar(&r.Slurm.SbatchArgs, "sbatch-arg", nil, "further argument for sbatch; repeatable")
	f.StringArrayVar(&r.Slurm.SrunArgs, "srun-arg", nil, "further argument for every srun step; repeatable")
	w := launch.DefaultWaits()
	f.DurationVar(&l.timeout, "test-timeout", 0, "pytest's own limit for the test, by pytest-timeout")
	f.DurationVar(&l.queue, "queue-limit", time.Duration(w.Queue), "how long the job may wait to start")
	f.DurationVar(&l.poll, "poll", time.Duration(w.Poll), "time between two looks at a Slurm job")
	f.DurationVar(&l.finish, "finish-limit", time.Duration(w.Finish), "how long servers may take to end after the test")
	f.DurationVar(&l.grace, "grace", time.Duration(w.Grace), "how long an interrupted process, or a cancelled job, may take to end")
	f.DurationVar(&l.results, "results-limit", time.Duration(w.Results), "how long result files may take to appear")
	for flag, variables := range map[string][]string{
		"module": {"PERF_TEST_MODULE"}, "function": {"PERF_TEST_FUNCTION"}, "prefix": {"PERF_TEST_PREFIX"},
		"account": {"CLUSTER_ACCOUNT"}, "partition": {"CLUSTER_PARTITION"}, "llm-data": {"CLUSTER_LLM_DATA"}, "image": {"DOCKER_IMAGE"},
		"mpi": {"MPI_TYPE"}, "srun-arg": {"EXTRA_SRUN_PARAMS"},
	} {
		if err := f.SetAnnotation(flag, incumbent, variables); err != nil {
			panic(err) // no such flag
		}
	}
	return c
}

// complete fills in the request's parts that flags give in another form.
func (l *launching) complete() error {
	r, s := &l.request, l.settings
	r.ConfigDir, r.Getenv = s.configDir, l.std.getenv
	if s.mode != "" {
		mode, err := parse.ParseMode(s.mode)
		if err != nil {
			return usagef("--mode: %w", err)
		}
		r.Mode = mode
	}
	if c := s.cluster; c != nil {
		if l.on == string(launch.Local) && s.origin["on"] != "" {
			return usagef("launch: --cluster runs Slurm jobs: leave --on local out")
		}
		l.on = string(launch.Slurm)
		for _, remark := range c.Remarks {
			l.report.say("cluster   %s", remark)
		}
	}
	switch r.On = launch.On(l.on); r.On {
	case launch.Local, launch.Slurm:
	default:
		return usagef("--on %q: write %s or %s", l.on, launch.Local, launch.Slurm)
	}
	r.Submit, r.Pytest = launch.Submit(l.submit), strings.Fields(l.pytest)
	r.TestTimeout, r.Slurm.TimeLimit = launch.Duration(l.timeout), launch.Duration(l.time)
	r.Waits = launch.DefaultWaits()
	for to, from := range map[*launch.Duration]time.Duration{&r.Waits.Run: l.time, &r.Waits.Queue: l.queue, &r.Waits.Finish: l.finish,
		&r.Waits.Grace: l.grace, &r.Waits.Results: l.results, &r.Waits.Poll: l.poll} {
		if from <= 0 {
			return usagef("launch: limits must be above 0")
		}
		*to = launch.Duration(from)
	}
	r.RunID = time.Now().UTC().Format("20060102T150405Z") + fmt.Sprintf("-%d", os.Getpid())
	if r.Workspace == "" {
		r.Workspace = filepath.Join("trtperf-runs", r.RunID)
	}
	return nil
}

// run launches what the target means.
func (l *launching) run(ctx context.Context, target string) error {
	if err := l.complete(); err != nil {
		return err
	}
	if l.attach != "" {
		plan, err := launch.ReadPlan(filepath.Join(l.attach, launch.PlanFile))
		if err != nil {
			return usagef("launch: --attach: %w", err)
		}
		if plan.Workspace, err = filepath.Abs(l.attach); err != nil {
			return err
		}
		if place, ok, err := readPlace(l.attach); err != nil {
			return usagef("launch: --attach: %w", err)
		} else if ok {
			return l.attachFar(ctx, plan, place)
		}
		if plan.On != launch.Slurm {
			return usagef("launch: --attach %s: a local run, of which nothing is left to watch", l.attach)
		}
		l.show(plan)
		outcome, err := slurm.Attach(ctx, plan, l.slurm())
		return l.end(ctx, plan, outcome, err)
	}
	if from := l.settings.from; from != "" {
		tree := ""
		if l.settings.origin["tree"] != "" {
			tree = l.request.Tree
		}
		plan, err := launch.Again(from, l.request.Workspace, tree, l.request.RunID)
		if err != nil {
			return usagef("launch: %w", err)
		}
		return l.carryOut(ctx, plan)
	}
	if l.rerun != "" {
		return l.rerunFailed(ctx)
	}
	if list, err := l.isList(target); err != nil {
		return usagef("launch: %w", err)
	} else if list {
		return l.runList(ctx, target)
	}
	if l.onlyList {
		return usagef("launch: --list: %s is no test list", target)
	}
	request := l.request
	request.Target = target
	plan, err := planOf(ctx, request)
	if err != nil {
		return usagef("launch: %w", err)
	}
	return l.carryOut(ctx, plan)
}

// planOf makes the plan of one test.
func planOf(ctx context.Context, request launch.Request) (*launch.Plan, error) {
	spec, err := request.Resolve(ctx)
	if err != nil {
		return nil, err
	}
	return launch.New(spec)
}

// joined is the worst of several errors, with the texts of all.
func joined(failed []error) error {
	if len(failed) < 2 {
		return errors.Join(failed...)
	}
	var codes []int
	for _, err := range failed {
		if e, ok := errors.AsType[*codeError](err); ok {
			codes = append(codes, e.code)
		}
	}
	return &codeError{worst(codes), errors.Join(failed...)}
}

var unsafeInNames = regexp.MustCompile(`[^\w.,=+-]+`)

// slug makes a directory's name of what stands between a node id's brackets.
func slug(target string) string {
	id, err := parse.ParseTestID(target)
	if err != nil {
		id.ID = target
	}
	name := unsafeInNames.ReplaceAllString(id.ID, "_")
	return name[:min(len(name), 100)]
}

// carryOut carries out one plan.
func (l *launching) carryOut(ctx context.Context, plan *launch.Plan) error {
	if c := l.settings.cluster; c != nil && !c.Local() {
		return l.carryFar(ctx, c, plan)
	}
	l.show(plan)
	if l.dryRun {
		return l.report.err
	}
	if err := plan.Write(); err != nil {
		return usagef("launch: %w", err)
	}
	outcome, err := l.execute(ctx, plan)
	return l.end(ctx, plan, outcome, err)
}

// execute carries out a plan whose files are written.
func (l *launching) execute(ctx context.Context, plan *launch.Plan) (launch.Outcome, error) {
	if plan.On == launch.Slurm {
		if err := plan.Prepare(ctx, os.Environ()); err != nil {
			return launch.Outcome{Interrupted: ctx.Err() != nil}, err
		}
		return slurm.Run(ctx, plan, l.slurm())
	}
	// A lost terminal ends what runs on it. A job on Slurm goes on, and --attach takes it up again.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	return local.Run(ctx, plan, local.Options{Output: l.std.err, Notify: l.event, Environ: os.Environ()})
}

func (l *launching) slurm() slurm.Options {
	o := slurm.Options{Client: slurm.NewClient(os.Environ()), Notify: l.event}
	if l.inSet != nil {
		o.Lookout = l.inSet.lookout
	}
	if l.follow {
		o.Output = l.std.err
	}
	return o
}

// end says what became of a plan, and goes on to its results.
func (l *launching) end(ctx context.Context, plan *launch.Plan, outcome launch.Outcome, err error) error {
	if err == nil {
		err = plan.Verdict(ctx, outcome)
	}
	switch {
	case errors.Is(err, launch.ErrTestFailed):
		err = &codeError{exitFailed, fmt.Errorf("launch: %w", err)}
	case ctx.Err() != nil || outcome.Interrupted:
		what := "everything that ran has been ended"
		if outcome.JobID != "" {
			what = "job " + outcome.JobID + " has been cancelled"
		}
		err = &codeError{exitInterrupted, errors.New("launch: interrupted; " + what)}
	case err != nil:
		err = &codeError{exitLaunch, fmt.Errorf("launch: %w", err)}
	}
	l.report.say("run       %s", plan.Workspace)
	if l.inSet != nil {
		l.inSet.outcome = set.Outcome{Job: outcome.JobID, JobState: outcome.State}
		if step := outcome.Step(plan.Benchmark().Role); step != nil {
			l.inSet.outcome.Exit = step.Exit
		}
		return err
	}
	err = l.collecting.after(ctx, l.report, plan.Workspace, err)
	if l.process && ctx.Err() == nil {
		var conditions []int
		if e, ok := errors.AsType[*codeError](err); ok {
			conditions = append(conditions, e.code)
		}
		l.processed = true
		processed := processPaths(ctx, l.settings, l.std, []string{plan.Workspace}, launched{conditions: conditions})
		return joined(slices.DeleteFunc([]error{err, processed}, func(err error) bool { return err == nil }))
	}
	return err
}

// show prints a plan for people.
func (l *launching) show(plan *launch.Plan) {
	if plan.Announcement != "" {
		l.report.say("%s", strings.TrimSuffix(plan.Announcement, "\n"))
	}
	for _, remark := range plan.Remarks {
		l.report.warn("%s", remark)
	}
	if plan.Mode != "" {
		l.report.say("mode      %s, by %s", strings.TrimSpace(string(plan.Mode)+" "+plan.SubMode), plan.Spec.ModeReason)
	}
	if plan.On == launch.Slurm {
		l.report.say("way       %s: %s", plan.Way, plan.WayReason)
	}
	l.report.say("directory %s", plan.Dir)
	for _, s := range plan.Steps {
		l.report.say("role      %s", roleLine(plan, s))
	}
	if !l.dryRun {
		return
	}
	l.report.event(planEvent{"plan", plan})
	for _, e := range plan.Environment {
		l.report.say("variable  %s", e)
	}
	for _, s := range plan.Steps {
		l.report.say("%-9s %s", s.Role, shown(s.Argv))
	}
	for _, c := range plan.Preparation {
		l.report.say("%-9s %s", c.Name, shown(c.Argv))
	}
	if j := plan.Job; j != nil {
		l.report.say("sbatch    %s", shown(slices.Concat([]string{"sbatch"}, j.Directives, j.Args, []string{plan.Path(j.Script)})))
	}
	for _, x := range plan.Results {
		word := "may leave"
		if x.Required {
			word = "must leave"
		}
		l.report.say("result    %s %s (%s)", word, plan.Path(x.Path), x.What)
	}
	for _, f := range plan.Files {
		if f.Link != "" {
			l.report.say("link      %s -> %s", plan.Path(f.Path), f.Link)
		} else {
			l.report.say("file      %s\n%s", plan.Path(f.Path), f.Content)
		}
	}
}

// roleLine says where a role runs.
func roleLine(plan *launch.Plan, s launch.Step) string {
	place := ""
	switch h := plan.Hardware; {
	case h.GPUsPerNode == 0:
	case s.Overlap:
		place = ", beside the others"
	case s.Nodes > 0:
		of := h.RequestPerNode
		nodes := "1 node"
		if s.Nodes > 1 {
			nodes = fmt.Sprintf("%d nodes", s.Nodes)
		}
		place = fmt.Sprintf(": %s of %d GPUs", nodes, of)
	}
	if s.Log != "" {
		place += ", log " + plan.Path(s.Log)
	}
	return string(s.Role) + place
}

// shown is an argument list as a shell would take it.
func shown(argv []string) string {
	text, err := script.Words(argv)
	if err != nil {
		return fmt.Sprintf("%q", argv)
	}
	return text
}

type planEvent struct {
	Kind string       `json:"kind"`
	Plan *launch.Plan `json:"plan"`
}

type stepEvent struct {
	Kind string `json:"kind"`
	launch.Event
}

// event tells what happens while a plan is carried out.
func (l *launching) event(e launch.Event) {
	l.report.event(stepEvent{"step", e})
	if e.State == "ended" && e.Message != "" {
		l.report.say("%-9s %s", e.Name, e.Message)
		return
	}
	l.report.say("%-9s %s: %s", e.Name, e.State, e.Message)
}
