package launch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trtperf/trtperf/launch/script"
	"github.com/trtperf/trtperf/launch/tree"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/build"
)

// Names of files in a workspace. Those of TensorRT-LLM's scripts are theirs.
const (
	disaggTestListName = "test_list_disagg.txt"
	testListName       = "test_list.txt"
	resultsName        = "results.xml"
	defsDirectory      = "tests/integration/defs"
)

// New computes the plan of a spec. It reads nothing.
func New(spec Spec) (*Plan, error) {
	if !filepath.IsAbs(spec.Workspace) || !filepath.IsAbs(spec.Tree) {
		return nil, fmt.Errorf("workspace %q and tree %q must be absolute paths", spec.Workspace, spec.Tree)
	}
	if strings.ContainsAny(spec.Workspace+spec.Tree, "\n\r\x00") {
		return nil, errors.New("the paths of workspace and tree must be of one line")
	}
	p := &Plan{Version: PlanVersion, Spec: spec, RunID: spec.RunID, Mode: spec.Mode, SubMode: spec.SubMode, Way: cmp.Or(spec.Way, Native),
		WayReason: spec.WayReason, On: cmp.Or(spec.On, Local), Tree: spec.Tree, Dir: spec.dir(), RootDir: spec.dir(), Workspace: spec.Workspace,
		Waits: spec.Waits, Remarks: slices.Clone(spec.Remarks)}
	p.Test = Test{NodeID: spec.Module + "::" + spec.Selected, Module: spec.Module}
	id, err := parse.ParseTestID(p.Test.NodeID)
	if err != nil {
		return nil, err
	}
	p.Test.Function, p.Test.ID = id.Function, id.ID
	if id.Suite == parse.PerfSanity {
		p.Test.Prefix, p.Test.Config = id.Prefix, id.Config
		if id.Upload == parse.UploadNo {
			p.remark("the prefix %q does not contain \"upload\", so the test's own upload is off", id.Prefix)
		}
	}
	p.environment()
	if err := p.hardware(); err != nil {
		return nil, err
	}
	list := testListName
	if p.Mode == parse.Disagg {
		list = disaggTestListName
	}
	p.file(list, 0o644, p.Test.NodeID+"\n")
	if c := spec.Config; c != nil && c.Text != "" {
		p.file(c.Stem+".yaml", 0o644, c.Text)
	}
	if spec.Build != "" {
		p.file(build.FileName, 0o644, spec.Build)
	}
	if err := p.nodeInfo(); err != nil {
		return nil, err
	}
	if err := p.steps(); err != nil {
		return nil, err
	}
	if err := p.carryOut(list); err != nil {
		return nil, err
	}
	for _, f := range p.Files {
		if strings.HasSuffix(f.Path, ".sh") {
			if err := script.Check(f.Path, f.Content); err != nil {
				return nil, err
			}
		}
	}
	p.announce(list)
	return p, nil
}

func (p *Plan) remark(format string, args ...any) {
	p.Remarks = append(p.Remarks, fmt.Sprintf(format, args...))
}

// environment is what TensorRT-LLM's scripts set for pytest, and what the user asks for, which wins.
func (p *Plan) environment() {
	set := func(name, value string) {
		if value != "" && p.Spec.variable(name) == "" {
			p.Environment = append(p.Environment, name+"="+value)
		}
	}
	set("LLM_ROOT", p.Tree)
	set("LLM_BACKEND_ROOT", p.Tree+"/triton_backend")
	set("LLM_MODELS_ROOT", p.Spec.Slurm.Data)
	set("MODEL_CACHE_DIR", p.Spec.Slurm.Data)
	set("COLUMNS", "300")
	if c := p.Spec.Config; c != nil && c.Folder != "" {
		// Every generation of the test harness is to read the file that this plan was made of.
		set("AGG_CONFIG_FOLDER", c.Folder)
		set("DISAGG_CONFIG_FOLDER", c.Folder)
		set("TRTLLM_CONFIG_FOLDER", c.Folder)
	}
	p.Environment = append(p.Environment, p.Spec.Environment...)
}

// ceil is a/b, rounded up.
func ceil(a, b int) int { return (a + b - 1) / b }

// hardware counts nodes, GPUs and tasks: whole nodes for each server.
func (p *Plan) hardware() error {
	c := p.Spec.Config
	if c == nil {
		p.Hardware = Hardware{Nodes: p.Spec.Nodes, GPUsPerNode: p.Spec.GPUsPerNode, TasksPerNode: min(1, p.Spec.Nodes), Tasks: p.Spec.Nodes,
			RequestPerNode: p.Spec.GPUsPerNode, GPUs: p.Spec.Nodes * p.Spec.GPUsPerNode}
		return nil
	}
	if c.GPUsPerNode < 1 {
		return c.noGPUsPerNode()
	}
	h := Hardware{GPUsPerNode: c.GPUsPerNode}
	servers := func(s *ServerSpec) *Servers {
		if s == nil || s.Count == 0 {
			return nil
		}
		n := &Servers{Count: s.Count, World: s.World, Nodes: ceil(s.World, c.GPUsPerNode), PerNode: min(s.World, c.GPUsPerNode)}
		h.Nodes += n.Count * n.Nodes
		return n
	}
	h.Context, h.Generation, h.Aggregated = servers(c.Context), servers(c.Generation), servers(c.Aggregated)
	if h.Nodes == 0 || h.Aggregated == nil && h.Generation == nil {
		return fmt.Errorf("%s: no generation server to start: hardware.num_gen_servers is 0 or missing", c.Path)
	}
	h.TasksPerNode, h.RequestPerNode = c.GPUsPerNode, c.GPUsPerNode
	if h.Aggregated != nil {
		h.TasksPerNode, h.RequestPerNode = h.Aggregated.PerNode, h.Aggregated.PerNode
	}
	h.Tasks, h.GPUs = h.Nodes*h.TasksPerNode, h.Nodes*h.RequestPerNode
	p.Hardware = h
	if p.Spec.Nodes > 0 && p.Spec.Nodes != h.Nodes {
		return fmt.Errorf("--nodes %d, but by %s the test takes %d nodes", p.Spec.Nodes, c.Path, h.Nodes)
	}
	return nil
}

// nodeInfo writes node_info.json with the keys of TensorRT-LLM's scripts.
func (p *Plan) nodeInfo() error {
	h := p.Hardware
	if h.Generation == nil {
		return nil
	}
	ctx := cmp.Or(h.Context, &Servers{})
	text, err := encode(struct {
		CtxServers  int `json:"num_ctx_servers"`
		GenServers  int `json:"num_gen_servers"`
		CtxWorld    int `json:"ctx_world_size"`
		GenWorld    int `json:"gen_world_size"`
		CtxNodes    int `json:"ctx_nodes"`
		GenNodes    int `json:"gen_nodes"`
		Nodes       int `json:"total_nodes"`
		GPUs        int `json:"total_gpus"`
		GPUsPerNode int `json:"gpus_per_node"`
	}{ctx.Count, h.Generation.Count, p.Spec.Config.Context.World, h.Generation.World, ctx.Count * ctx.Nodes, h.Generation.Count * h.Generation.Nodes,
		h.Nodes, h.GPUs, h.GPUsPerNode})
	p.file(nodeInfoName, 0o644, string(text))
	return err
}

// steps lists the roles in the order of their start: generation, context, router, client.
func (p *Plan) steps() error {
	node := 0
	workers := func(kind string, s *Servers, name string) {
		for i := range cmp.Or(s, &Servers{}).Count {
			step := Step{Role: parse.Role(fmt.Sprintf("%s_%d", kind, i)), Nodes: s.Nodes, Tasks: s.World, TasksPerNode: s.PerNode, FirstNode: node,
				MPI: p.Spec.Slurm.MPI, Log: path.Join(p.logs(), fmt.Sprintf("%s_server_%d.log", name, i)), Unset: []string{"UCX_TLS"}}
			if kind == "GEN" {
				step.Done = path.Join(p.logs(), fmt.Sprintf("%s_server_%d.done", name, i))
			}
			p.Steps = append(p.Steps, step)
			node += s.Nodes
		}
	}
	if p.Mode == parse.Disagg {
		workers("GEN", p.Hardware.Generation, "gen")
		workers("CTX", p.Hardware.Context, "ctx")
		p.Steps = append(p.Steps, Step{Role: parse.DisaggServer, Nodes: 1, Tasks: 1, TasksPerNode: 1, Overlap: true,
			Log: path.Join(p.logs(), "disagg_server.log")})
	}
	benchmark := Step{Role: parse.Benchmark, Nodes: 1, Tasks: 1, TasksPerNode: 1, Overlap: p.Mode == parse.Disagg, Foreground: true}
	if a := p.Hardware.Aggregated; a != nil {
		benchmark.Nodes, benchmark.Tasks, benchmark.TasksPerNode, benchmark.MPI = a.Nodes, a.World, a.PerNode, p.Spec.Slurm.MPI
	}
	p.Steps = append(p.Steps, benchmark)
	for i := range p.Steps {
		s := &p.Steps[i]
		if err := p.launcher(s); err != nil {
			return err
		}
		s.Dir, s.JUnit = p.Dir, resultsName
		if s.Role != parse.Benchmark {
			s.JUnit = "results." + string(s.Role) + ".xml"
		}
		s.Env = p.roleEnvironment(s.Role)
		s.Argv = p.pytest(s)
		if p.On == Slurm && p.Way == Native {
			s.Exit = exitPath(s.Role)
		}
		p.Results = append(p.Results, Expected{Path: s.JUnit, Role: s.Role, What: "pytest's results", Required: s.Role == parse.Benchmark})
	}
	return nil
}

// mpiLauncher is the program's path.
func (p *Plan) mpiLauncher() string {
	if p.Spec.MPILauncher == ownLauncher {
		return filepath.Join(p.Tree, filepath.FromSlash(ownLauncher))
	}
	return p.Spec.MPILauncher
}

// launcher decides whether a step's ranks become one pytest, or whether it is one process.
func (p *Plan) launcher(s *Step) error {
	switch {
	case s.Tasks <= 1:
		s.MPI = ""
	case p.On == Local:
		if s.Nodes > 1 {
			p.remark("%s takes %d nodes, and runs as one process on this machine", s.Role, s.Nodes)
		}
		s.Nodes, s.Tasks, s.TasksPerNode, s.FirstNode, s.MPI = 1, 1, 1, 0, ""
	case p.Spec.MPILauncher == "" && s.Nodes > 1:
		return fmt.Errorf("%s runs on %d nodes, and the checkout has no %s: every rank would run a pytest of its own; give --launcher",
			s.Role, s.Nodes, ownLauncher)
	case p.Spec.MPILauncher == "":
		p.remark("%s runs as one process: the checkout has no %s, which makes one pytest of its %d ranks; --launcher names one",
			s.Role, ownLauncher, s.Tasks)
		s.Tasks, s.TasksPerNode, s.MPI = 1, 1, ""
	}
	return nil
}

// roleEnvironment is what one role gets beside the environment of the run.
func (p *Plan) roleEnvironment(role parse.Role) []string {
	if p.Mode != parse.Disagg {
		return nil
	}
	env := []string{"DISAGG_SERVING_TYPE=" + string(role)}
	c := p.Spec.Config
	if c.NoContext {
		env = append(env, "TRTLLM_DISAGG_BENCHMARK_GEN_ONLY=1")
	}
	switch kind, _, _ := strings.Cut(string(role), "_"); kind {
	case "CTX":
		return append(env, c.Context.Env...)
	case "GEN":
		if c.QueueSize > 0 {
			env = append(env, "TRTLLM_DISABLE_KV_CACHE_TRANSFER_OVERLAP=1", fmt.Sprintf("TLLM_BENCHMARK_REQ_QUEUES_SIZE=%d", c.QueueSize))
		}
		return append(env, c.Generation.Env...)
	case "DISAGG":
		return append(env, c.RouterEnv...)
	}
	return append(env, c.ClientEnv...)
}

// testDir is the directory in the workspace that the test harness names after the id.
func (p *Plan) testDir() string {
	if id := p.Test.ID; id != "" && id != "." && id != ".." && !strings.ContainsAny(id, "/\x00\n") {
		return id
	}
	return "test"
}

// logs is the directory in the workspace for the roles' logs: where the test harness looks for them.
func (p *Plan) logs() string {
	if p.Way == Tree && p.Spec.Launcher.Version != tree.V3 {
		return jobDirectory
	}
	return p.testDir()
}

// pytest is the argument list of a role.
func (p *Plan) pytest(s *Step) []string {
	var argv []string
	if s.Tasks > 1 {
		argv = append(argv, p.mpiLauncher())
	}
	argv = append(argv, p.Spec.Pytest...)
	junit := p.Path(s.JUnit)
	if strings.ContainsAny(junit, "$~") {
		// pytest expands variables in this path, once.
		s.Env = append(s.Env, "TRTPERF_JUNIT="+junit)
		junit = "$TRTPERF_JUNIT"
	}
	argv = append(argv, p.Test.NodeID, "-vv", "--junit-xml="+junit, "-o", "junit_logging=out-err", "--rootdir="+p.RootDir)
	return append(argv, p.pytestOptions()...)
}

// pytestOptions are the options that the tree declares or the user asks for.
func (p *Plan) pytestOptions() []string {
	var options []string
	if slices.Contains(p.Spec.OwnOptions, "--output-dir") {
		options = append(options, "--output-dir="+p.Workspace+"/")
	}
	if t := time.Duration(p.Spec.TestTimeout); t > 0 {
		options = append(options, "--timeout-method=thread", fmt.Sprintf("--timeout=%d", int64(t.Seconds())))
	}
	return append(options, p.Spec.PytestArgs...)
}

// carryOut adds what the place of execution needs.
func (p *Plan) carryOut(list string) error {
	if p.On == Local {
		p.file(systemName, 0o755, script.System)
		p.System = &Command{Name: "system", Argv: []string{"sh", p.Path(systemName), p.Workspace}, Dir: p.Workspace}
		for _, s := range p.Steps {
			p.System.Argv = append(p.System.Argv, string(s.Role))
		}
	} else {
		if err := p.job(); err != nil {
			return err
		}
		if p.Way == Tree {
			if err := p.treeJob(list); err != nil {
				return err
			}
		} else if err := p.nativeJob(); err != nil {
			return err
		}
	}
	p.Results = append(p.Results, Expected{Path: "trtperf-system." + string(parse.Benchmark) + ".json", Role: parse.Benchmark, What: "the machine"})
	return nil
}

// announce sets what TensorRT-LLM's scripts print before a launch.
func (p *Plan) announce(list string) {
	switch {
	case p.Mode == parse.Disagg:
		p.Announcement = fmt.Sprintf("[步骤 0] 测试模块配置:\n  测试模块: %s\n  测试函数: %s\n  测试前缀: %s\n✓ 生成 test list: %s\n", p.Test.Module, p.Test.Function, p.Test.Prefix,
			p.Path(list))
	case p.Test.Config != "":
		p.Announcement = fmt.Sprintf("测试模块: %s\n测试函数: %s\n", p.Test.Module, p.Test.Function)
	}
}

// encode writes a value as JSON for people and programs.
func encode(v any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return text.Bytes(), err
}

// DefaultWaits are the limits that hold where the user sets no others. The server-ready limit of the test harness is an hour, its limit
// for a whole test three.
func DefaultWaits() Waits {
	return Waits{Queue: Duration(24 * time.Hour), Run: Duration(4 * time.Hour), Finish: Duration(2 * time.Minute), Grace: Duration(30 * time.Second),
		Results: Duration(time.Minute), Poll: Duration(10 * time.Second), Silence: Duration(10 * time.Minute)}
}
