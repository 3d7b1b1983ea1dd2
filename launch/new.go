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

	"github.com/trtperf/trtperf/parse"
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
	p := &Plan{Version: PlanVersion, Spec: spec, RunID: spec.RunID, Mode: spec.Mode, SubMode: spec.SubMode, Way: Native, On: spec.On,
		Tree: spec.Tree, Dir: spec.Tree, Workspace: spec.Workspace, Waits: spec.Waits, Environment: slices.Clone(spec.Environment),
		Remarks: slices.Clone(spec.Remarks)}
	if spec.InDefs {
		p.Dir = filepath.Join(spec.Tree, filepath.FromSlash(defsDirectory))
	}
	p.RootDir = p.Dir
	p.Test = Test{NodeID: spec.Module + "::" + spec.Selected, Module: spec.Module}
	id, err := parse.ParseTestID(p.Test.NodeID)
	if err != nil {
		return nil, err
	}
	p.Test.Function, p.Test.ID = id.Function, id.ID
	if id.Suite == parse.PerfSanity {
		p.Test.Prefix, p.Test.Config = id.Prefix, id.Config
		if id.Upload == parse.UploadNo {
			p.Remarks = append(p.Remarks, fmt.Sprintf("the prefix %q does not contain \"upload\", so the test's own upload is off", id.Prefix))
		}
	}
	if err := p.hardware(); err != nil {
		return nil, err
	}
	p.steps()
	list := testListName
	if p.Mode == parse.Disagg {
		list = disaggTestListName
	}
	p.Files = append(p.Files, File{Path: list, Mode: 0o644, Content: p.Test.NodeID + "\n"})
	p.announce(list)
	return p, nil
}

// ceil is a/b, rounded up.
func ceil(a, b int) int { return (a + b - 1) / b }

// hardware counts nodes, GPUs and tasks: whole nodes for each server.
func (p *Plan) hardware() error {
	c := p.Spec.Config
	if c == nil {
		return nil
	}
	if c.GPUsPerNode < 1 {
		return fmt.Errorf("%s: hardware.gpus_per_node is missing or 0: set it there, or give --gpus-per-node", c.Path)
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
	if h.Nodes == 0 {
		return fmt.Errorf("%s: no server to start: hardware.num_gen_servers and num_ctx_servers are 0 or missing", c.Path)
	}
	h.TasksPerNode, h.RequestPerNode = c.GPUsPerNode, c.GPUsPerNode
	if h.Aggregated != nil {
		h.TasksPerNode, h.RequestPerNode = h.Aggregated.PerNode, h.Aggregated.PerNode
	}
	h.Tasks, h.GPUs = h.Nodes*h.TasksPerNode, h.Nodes*h.RequestPerNode
	p.Hardware = h
	return nil
}

// steps lists the roles in the order of their start: generation, context, router, client.
func (p *Plan) steps() {
	node := 0
	workers := func(kind string, s *Servers, log string) {
		for i := range cmp.Or(s, &Servers{}).Count {
			role := parse.Role(fmt.Sprintf("%s_%d", kind, i))
			p.Steps = append(p.Steps, Step{Role: role, Nodes: s.Nodes, Tasks: s.World, TasksPerNode: s.PerNode, FirstNode: node,
				Log: path.Join(p.testDir(), fmt.Sprintf(log, i))})
			node += s.Nodes
		}
	}
	if p.Mode == parse.Disagg {
		workers("GEN", p.Hardware.Generation, "gen_server_%d.log")
		workers("CTX", p.Hardware.Context, "ctx_server_%d.log")
		p.Steps = append(p.Steps, Step{Role: parse.DisaggServer, Nodes: 1, Tasks: 1, TasksPerNode: 1, Overlap: true,
			Log: path.Join(p.testDir(), "disagg_server.log")})
	}
	benchmark := Step{Role: parse.Benchmark, Nodes: 1, Tasks: 1, TasksPerNode: 1, Overlap: p.Mode == parse.Disagg, Foreground: true}
	if a := p.Hardware.Aggregated; a != nil {
		benchmark.Nodes, benchmark.Tasks, benchmark.TasksPerNode = a.Nodes, a.World, a.PerNode
	}
	p.Steps = append(p.Steps, benchmark)
	for i := range p.Steps {
		s := &p.Steps[i]
		s.Dir, s.JUnit = p.Dir, resultsName
		if s.Role != parse.Benchmark {
			s.JUnit = "results." + string(s.Role) + ".xml"
		}
		if p.Mode == parse.Disagg {
			s.Env = append(s.Env, "DISAGG_SERVING_TYPE="+string(s.Role))
		}
		s.Argv = p.pytest(s)
		p.Results = append(p.Results, Expected{Path: s.JUnit, Role: s.Role, What: "pytest's results", Required: s.Role == parse.Benchmark})
	}
}

// testDir is the directory in the workspace that the test harness names after the id, where it looks for the workers' logs.
func (p *Plan) testDir() string {
	if id := p.Test.ID; id != "" && id != "." && id != ".." && !strings.ContainsAny(id, "/\x00") {
		return id
	}
	return "test"
}

// pytest is the argument list of a role.
func (p *Plan) pytest(s *Step) []string {
	argv := append(slices.Clone(p.Spec.Pytest), p.Test.NodeID, "-vv", "-o", "junit_logging=out-err", "--junit-xml="+p.Path(s.JUnit))
	return append(argv, p.Spec.PytestArgs...)
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

// checkNodeID refuses what is no node id.
func checkNodeID(node string) error {
	module, selected, ok := strings.Cut(node, "::")
	if !ok || path.Ext(module) != ".py" || selected == "" {
		return fmt.Errorf("%q is no node id: write <module>.py::<function>[<id>]", node)
	}
	return nil
}

var errNoMode = errors.New("a configuration's name does not tell the mode: give --mode single-agg, multi-agg or disagg, or a whole node id")
