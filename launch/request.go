package launch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtperf/trtperf/launch/tree"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/build"
)

// Defaults of TensorRT-LLM's scripts.
const (
	DefaultModule    = "perf/test_perf_sanity.py"
	DefaultPrefix    = "disagg_upload"
	aggregatedPrefix = "aggr_upload"
)

// Submit says which way a disaggregated job may go.
type Submit string

const (
	// SubmitAuto takes the tree's way where its launcher would accept the test, else the native one.
	SubmitAuto   Submit = "auto"
	SubmitTree   Submit = "tree"
	SubmitNative Submit = "native"
)

// Request is what the user asks for: one test.
type Request struct {
	// Target is a node id, or a configuration's name.
	Target string
	// Module, Function and Prefix are PERF_TEST_MODULE, PERF_TEST_FUNCTION and PERF_TEST_PREFIX; empty means the default.
	Module, Function, Prefix string
	// Mode may be empty where id and configuration tell it.
	Mode parse.Mode
	// Tree is the TensorRT-LLM checkout, Workspace the run's own directory.
	Tree, Workspace, RunID string
	// ConfigDir is searched for configurations before the tree is.
	ConfigDir string
	// GPUsPerNode is for configurations that do not tell it, Nodes for tests that have none; 0 where they are not given.
	GPUsPerNode, Nodes int
	On                 On
	Submit             Submit
	// Pytest is how pytest is called, empty for "pytest"; PytestArgs are further arguments.
	Pytest, PytestArgs []string
	// Python runs submit.py; empty for "python3".
	Python string
	// Launcher makes one pytest of several ranks; empty for the checkout's own.
	Launcher string
	// Env is for every process, as NAME=VALUE, or NAME for the value that Getenv has.
	Env         []string
	TestTimeout Duration
	Slurm       SlurmSettings
	Waits       Waits
	// NoCollect leaves out the look whether pytest knows the id.
	NoCollect bool
	// Getenv is the environment.
	Getenv func(string) string
}

// Resolve finds out what a request means: it looks at the checkout, reads the test's configuration and asks pytest whether it knows the id.
// It writes nothing.
func (r Request) Resolve(ctx context.Context) (Spec, error) {
	if r.Getenv == nil {
		r.Getenv = func(string) string { return "" }
	}
	spec := Spec{RunID: r.RunID, On: cmp.Or(r.On, Local), Mode: r.Mode, Pytest: r.Pytest, PytestArgs: r.PytestArgs, Slurm: r.Slurm, Waits: r.Waits,
		Python: cmp.Or(r.Python, "python3"), Nodes: r.Nodes, GPUsPerNode: r.GPUsPerNode, TestTimeout: r.TestTimeout}
	if len(spec.Pytest) == 0 {
		spec.Pytest = []string{"pytest"}
	}
	if spec.Waits == (Waits{}) {
		spec.Waits = DefaultWaits()
	}
	var err error
	if spec.Tree, err = filepath.Abs(r.Tree); err != nil {
		return spec, err
	}
	if spec.Workspace, err = filepath.Abs(r.Workspace); err != nil {
		return spec, err
	}
	if job := build.FromEnvironment(r.Getenv); job != (parse.Job{}) {
		text, err := encode(job)
		if err != nil {
			return spec, err
		}
		spec.Build = string(text)
	}
	if info, err := os.Stat(spec.Tree); err != nil || !info.IsDir() {
		return spec, fmt.Errorf("--tree %s is no directory: give the TensorRT-LLM checkout", spec.Tree)
	}
	var unusable error
	spec.Launcher, unusable = tree.Detect(spec.Tree)
	if err := r.environment(&spec); err != nil {
		return spec, err
	}
	found, err := r.selectTest(&spec)
	if err != nil {
		return spec, err
	}
	if err := spec.checkMode(found); err != nil {
		return spec, err
	}
	if spec.MPILauncher = r.Launcher; r.Launcher == "" {
		if _, err := os.Stat(filepath.Join(spec.Tree, filepath.FromSlash(ownLauncher))); err == nil {
			spec.MPILauncher = ownLauncher
		}
	}
	spec.OwnOptions = ownOptions(spec.dir(), spec.Module)
	if err := r.chooseWay(&spec, found, unusable); err != nil {
		return spec, err
	}
	if !r.NoCollect {
		err = spec.collect(ctx)
	} else {
		spec.remark("the id was not checked, as --no-collect asks")
	}
	return spec, err
}

func (s *Spec) remark(format string, args ...any) {
	s.Remarks = append(s.Remarks, fmt.Sprintf(format, args...))
}

// dir is the directory that pytest runs in.
func (s *Spec) dir() string {
	if s.InDefs {
		return filepath.Join(s.Tree, filepath.FromSlash(defsDirectory))
	}
	return s.Tree
}

// ownLauncher is the checkout's program that makes one pytest of several ranks.
const ownLauncher = "tensorrt_llm/llmapi/trtllm-llmapi-launch"

// passed are variables that the test harness reads. A run gets them as the launching machine has them, on whatever machine it is.
var passed = []string{"AGG_CONFIG_FOLDER", "DISAGG_CONFIG_FOLDER", "TRTLLM_CONFIG_FOLDER", "TRTLLM_TEST_AGG_SERVER_READY_TIMEOUT",
	"TRTLLM_TEST_DISAGG_SERVER_READY_TIMEOUT", "TRTLLM_TEST_SERVER_READY_TIMEOUT", "TRTLLM_DISAGG_CT_PRECHECK", "BOLT_ITER_MULT"}

// environment gathers the variables of the run. None may hold a secret, since plan and scripts hold them.
func (r Request) environment(spec *Spec) error {
	set := func(name, value string) {
		spec.Environment = slices.DeleteFunc(spec.Environment, func(e string) bool { return strings.HasPrefix(e, name+"=") })
		spec.Environment = append(spec.Environment, name+"="+value)
	}
	for _, name := range passed {
		if v := r.Getenv(name); v != "" {
			set(name, v)
		}
	}
	for _, e := range r.Env {
		name, value, given := strings.Cut(e, "=")
		if !given {
			value = r.Getenv(name)
		}
		if !variableName.MatchString(name) {
			return fmt.Errorf("--env %q: write NAME=VALUE, or NAME for the value that it has here", e)
		}
		if secretName.MatchString(name) {
			return fmt.Errorf("--env %s: the plan and the job's script would show what looks like a secret: set it where the test runs, or give a file's path", name)
		}
		set(name, value)
	}
	return nil
}

// module finds a test file, in either spelling: relative to the checkout, or to its tests/integration/defs, which is then where pytest runs.
func (s *Spec) module(given string) error {
	name := filepath.ToSlash(given)
	if filepath.IsAbs(given) {
		relative, err := filepath.Rel(s.Tree, given)
		if err != nil || strings.HasPrefix(relative, "..") {
			return fmt.Errorf("the test file %s lies outside of --tree %s", given, s.Tree)
		}
		name = filepath.ToSlash(relative)
	}
	name = path.Clean(name)
	if name == ".." || strings.HasPrefix(name, "../") {
		return fmt.Errorf("the test file %s lies outside of --tree %s", given, s.Tree)
	}
	short := strings.TrimPrefix(name, defsDirectory+"/")
	var tried []string
	for _, c := range []struct {
		module string
		inDefs bool
	}{{short, true}, {name, false}} {
		s.Module, s.InDefs = c.module, c.inDefs
		at := filepath.Join(s.dir(), filepath.FromSlash(c.module))
		if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() {
			return nil
		}
		if !slices.Contains(tried, at) {
			tried = append(tried, at)
		}
	}
	return fmt.Errorf("there is no test file %s: looked for %s; set PERF_TEST_MODULE or --tree", given, strings.Join(tried, " and "))
}

// found is a configuration that belongs to the test, and its kind.
type found struct {
	id   parse.TestID
	path string // absolute; empty where there is none
	// why says where it was looked for in vain.
	why error
}

// selectTest sets module, id, mode and configuration of the target.
func (r Request) selectTest(spec *Spec) (found, error) {
	if strings.Contains(r.Target, "::") {
		return r.selectNode(spec)
	}
	if err := spec.module(cmp.Or(r.Module, DefaultModule)); err != nil {
		return found{}, err
	}
	name := r.Target
	if strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		name = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	}
	if name == "" || strings.ContainsAny(name, "[]/\\\x00\n\r") {
		return found{}, fmt.Errorf("%q is no configuration's name", r.Target)
	}
	if spec.Mode == "" {
		mode, err := r.modeOf(spec, name)
		if err != nil {
			return found{}, err
		}
		spec.Mode = mode
	}
	prefix := aggregatedPrefix
	switch {
	case spec.Mode == parse.Disagg:
		prefix = cmp.Or(r.Prefix, DefaultPrefix)
		if strings.HasPrefix(prefix, "aggr") {
			return found{}, fmt.Errorf("the prefix %q is an aggregated test's, and the mode is %s: set PERF_TEST_PREFIX or --mode", prefix, spec.Mode)
		}
	case strings.Contains(r.Prefix, "disagg"):
		spec.remark("the prefix %q is for disaggregated tests and is not used: this one is %s and takes %q", r.Prefix, spec.Mode, prefix)
	default:
		prefix = cmp.Or(r.Prefix, prefix)
	}
	if strings.Contains(prefix, "-") {
		return found{}, fmt.Errorf("the prefix %q holds a \"-\", which ends a prefix: the test would take what follows for its configuration's name", prefix)
	}
	spec.Selected = fmt.Sprintf("%s[%s-%s]", cmp.Or(r.Function, parse.DefaultFunction), prefix, name)
	return r.configOf(spec)
}

// selectNode takes a node id as it stands.
func (r Request) selectNode(spec *Spec) (found, error) {
	module, selected, _ := strings.Cut(r.Target, "::")
	if path.Ext(module) != ".py" || selected == "" {
		return found{}, fmt.Errorf("%q is no node id: write <module>.py::<function>[<id>]", r.Target)
	}
	if err := spec.module(module); err != nil {
		// What Jenkins' lists write before the file is no directory.
		id, parseErr := parse.ParseTestID(r.Target)
		if parseErr != nil || id.Stage == "" || spec.module(id.Module) != nil {
			return found{}, err
		}
	}
	spec.Selected = selected
	return r.configOf(spec)
}

// configOf looks for the configuration of the selected test and sets the mode as far as id and configuration tell it.
func (r Request) configOf(spec *Spec) (found, error) {
	id, err := parse.ParseTestID(spec.Module + "::" + spec.Selected)
	if err != nil {
		return found{}, err
	}
	f := found{id: id}
	if id.Suite != parse.PerfSanity {
		return f, nil
	}
	own := !id.Aggregated() && id.Mode() != parse.Disagg // a prefix of the user's own
	kinds := []bool{id.Mode() == parse.Disagg || id.SubMode == "ctx_only"}
	if own {
		kinds = []bool{true, false}
		if spec.Mode != "" {
			kinds = []bool{spec.Mode == parse.Disagg}
		}
	}
	var searched []string
	for _, disagg := range kinds {
		stem := id.Config
		if own && !disagg {
			stem, _, _ = strings.Cut(id.ID[len(id.Prefix)+1:], "-")
		}
		at, tried := r.find(spec, stem, disagg)
		if at == "" {
			searched = append(searched, tried...)
			continue
		}
		f.path = at
		config, err := r.readConfig(spec, at, id, stem, disagg)
		if err != nil {
			return f, err
		}
		spec.Config = config
		break
	}
	if f.path == "" {
		f.why = fmt.Errorf("no configuration of test %s: looked for %s; give --config-dir", id.ID, strings.Join(searched, ", "))
	}
	return f, nil
}

// modeOf tells the mode of a configuration by its name alone: in whose folder it lies.
func (r Request) modeOf(spec *Spec, name string) (parse.Mode, error) {
	id, err := parse.ParseTestID("test_e2e[disagg-" + name + "]")
	if err != nil {
		return "", err
	}
	if rest, ok := strings.CutPrefix(name, "ctx_only-"); ok {
		id.Config = rest
	}
	aggregated, _, _ := strings.Cut(name, "-")
	disaggAt, tried := r.find(spec, id.Config, true)
	aggregatedAt, more := r.find(spec, aggregated, false)
	switch {
	case disaggAt != "" && aggregatedAt != "":
		return "", fmt.Errorf("%s may be %s or %s: give --mode single-agg, multi-agg or disagg, or a whole node id", name, disaggAt, aggregatedAt)
	case disaggAt != "" && strings.HasPrefix(name, "ctx_only-"), aggregatedAt != "":
		return aggregatedUnknown, nil
	case disaggAt != "":
		spec.ModeReason = "the configuration " + spec.inTree(disaggAt)
		return parse.Disagg, nil
	}
	return "", fmt.Errorf("%s: nothing tells the mode, since no such configuration was found (looked for %s): give --mode single-agg, multi-agg or disagg, a whole node id, or --config-dir",
		name, strings.Join(append(tried, more...), ", "))
}

// inTree is a path relative to the checkout, where it lies in it.
func (s *Spec) inTree(at string) string {
	if relative, err := filepath.Rel(s.Tree, at); err == nil && !strings.HasPrefix(relative, "..") {
		return filepath.ToSlash(relative)
	}
	return at
}

// aggregatedUnknown stands while it is not known over how many nodes an aggregated server runs.
const aggregatedUnknown parse.Mode = "aggregated"

// folders are where the eras keep their configurations, the newest first.
var folders = map[bool][]string{
	true: {"tests/scripts/perf-sanity/disaggregated", "tests/integration/defs/perf/disagg/test_configs/disagg/perf-sanity",
		"tests/integration/defs/perf/disagg/test_configs/disagg/perf"},
	false: {"tests/scripts/perf-sanity/aggregated", "tests/scripts/perf-sanity", "tests/integration/defs/perf/agg"},
}

// find looks for a configuration: in --config-dir and in the folders that its variables name, else in those of the checkout. It returns where it
// looked in vain.
func (r Request) find(spec *Spec, stem string, disagg bool) (at string, tried []string) {
	var dirs []string
	mixed := "" // a directory for configurations of both kinds
	if r.ConfigDir != "" {
		kind := "aggregated"
		if disagg {
			kind = "disaggregated"
		}
		given, err := filepath.Abs(r.ConfigDir)
		if err != nil {
			given = r.ConfigDir
		}
		mixed = given
		dirs = append(dirs, filepath.Join(given, kind), given)
	}
	name := "AGG_CONFIG_FOLDER"
	if disagg {
		name = "DISAGG_CONFIG_FOLDER"
	}
	for _, variable := range []string{"TRTLLM_CONFIG_FOLDER", name} {
		if dir := spec.variable(variable); dir != "" {
			if !filepath.IsAbs(dir) {
				dir = filepath.Join(spec.Tree, dir)
			}
			dirs = append(dirs, dir)
		}
	}
	for _, f := range folders[disagg] {
		dirs = append(dirs, filepath.Join(spec.Tree, filepath.FromSlash(f)))
	}
	for _, dir := range dirs {
		for _, ext := range []string{".yaml", ".yml"} {
			p := filepath.Join(dir, stem+ext)
			text, err := os.ReadFile(p)
			if (err == nil || !errors.Is(err, fs.ErrNotExist)) && (dir != mixed || bytes.Contains(text, []byte("server_configs")) != disagg) {
				return p, nil
			}
			if ext == ".yaml" {
				tried = append(tried, p)
			}
		}
	}
	return "", tried
}

// variable is what the run's environment says.
func (s *Spec) variable(name string) string {
	for _, e := range s.Environment {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// checkMode settles the mode: what was asked for is checked against what id and configuration say.
func (s *Spec) checkMode(f found) error {
	asked := s.Mode
	if s.SubMode == "" {
		s.SubMode = f.id.SubMode
	}
	told, why := f.id.Mode(), "the id's prefix"
	if c := s.Config; c != nil {
		switch {
		case c.Aggregated == nil:
			told = parse.Disagg
			if f.id.Mode() == "" {
				why = "the configuration " + c.Path
			}
		case c.GPUsPerNode < 1:
			return c.noGPUsPerNode()
		default:
			nodes := ceil(c.Aggregated.World, c.GPUsPerNode)
			told, why = parse.SingleAgg, fmt.Sprintf("%d GPUs on nodes of %d (%s)", c.Aggregated.World, c.GPUsPerNode, c.Path)
			if nodes > 1 {
				told = parse.MultiAgg
			}
		}
	}
	if asked == aggregatedUnknown {
		asked = ""
	}
	switch {
	case asked != "" && told != "" && asked != told:
		return fmt.Errorf("--mode %s, but test %s is %s by %s", asked, f.id.ID, told, why)
	case asked != "":
		s.Mode, s.ModeReason = asked, cmp.Or(s.ModeReason, "--mode")
	case told != "":
		s.Mode, s.ModeReason = told, why
	default:
		s.Mode = ""
	}
	if f.id.Suite != parse.PerfSanity || s.Config != nil {
		return nil
	}
	own := !f.id.Aggregated() && f.id.Mode() != parse.Disagg
	switch {
	case s.Mode == "" && own:
		return fmt.Errorf("nothing tells the mode of test %s: its prefix %q is of your own, and %w; or give --mode single-agg, multi-agg or disagg", f.id.ID, f.id.Prefix, f.why)
	case s.Mode == "" || s.Mode == parse.Disagg || s.On == Slurm && s.Nodes == 0:
		return f.why
	}
	s.remark("%v; the mode is taken from --mode", f.why)
	return nil
}

func (c *ConfigSpec) noGPUsPerNode() error {
	return fmt.Errorf("%s: hardware.gpus_per_node is missing or 0: set it there, or give --gpus-per-node", c.Path)
}

// chooseWay decides between the checkout's own launcher and trtperf's job script.
func (r Request) chooseWay(spec *Spec, f found, unusable error) error {
	submit := cmp.Or(r.Submit, SubmitAuto)
	why := func() error {
		switch {
		case spec.On != Slurm:
			return errors.New("the checkout's launcher makes Slurm jobs, and this run is local")
		case unusable != nil:
			return unusable
		}
		return spec.acceptedByTree(f)
	}
	spec.Way = Native
	switch submit {
	case SubmitNative:
		spec.WayReason = "--submit native"
	case SubmitTree:
		if err := why(); err != nil {
			return fmt.Errorf("--submit tree: %w", err)
		}
		spec.Way, spec.WayReason = Tree, "--submit tree, era "+string(spec.Launcher.Version)
	case SubmitAuto:
		if spec.Mode != parse.Disagg {
			spec.WayReason = "an aggregated test has one role"
			break
		}
		if err := why(); err != nil {
			spec.WayReason = err.Error()
			break
		}
		spec.Way, spec.WayReason = Tree, "the checkout's own submit.py, era "+string(spec.Launcher.Version)
	default:
		return fmt.Errorf("--submit %q: write auto, tree or native", submit)
	}
	return nil
}
