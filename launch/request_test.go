package launch_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/parse"
)

const (
	sanity      = "perf/test_perf_sanity.py"
	defs        = "tests/integration/defs/"
	disaggDir   = "tests/scripts/perf-sanity/disaggregated/"
	aggDir      = "tests/scripts/perf-sanity/aggregated/"
	secondDir   = "tests/integration/defs/perf/disagg/test_configs/disagg/perf-sanity/"
	firstDir    = "tests/integration/defs/perf/disagg/test_configs/disagg/perf/"
	guideConfig = "deepseek-r1-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX"
)

// disaggConfig is a configuration with these servers, "tp4x1" for one of tensor parallelism 4.
func disaggConfig(gpusPerNode, ctxWorld, ctxCount, genWorld, genCount int, mode string) string {
	return fmt.Sprintf(`metadata: {model_name: toy, precision: fp4}
benchmark: {mode: %s, concurrency_list: 16}
hardware: {gpus_per_node: %d, num_ctx_servers: %d, num_gen_servers: %d}
environment: {worker_env_var: A=1, gen_worker_env_var: B=2, server_env_var: C=3, client_env_var: D=4}
worker_config:
  ctx: {tensor_parallel_size: %d, moe_expert_parallel_size: %[5]d}
  gen: {tensor_parallel_size: %d, moe_expert_parallel_size: %[6]d, max_batch_size: 8}
`, mode, gpusPerNode, ctxCount, genCount, ctxWorld, genWorld)
}

// write writes files below a directory.
func write(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// checkout is a small tree with the test files and a configuration of each kind and era.
func checkout(t testing.TB) string {
	archive, err := txtar.ParseFile("testdata/checkout.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string]string{disaggDir + guideConfig + ".yaml": disaggConfig(4, 4, 1, 8, 1, "e2e")}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	return write(t, dir, files)
}

// plan resolves a request in a tree without asking pytest.
func plan(t testing.TB, tree string, r launch.Request) (*launch.Plan, error) {
	r.Tree, r.Workspace, r.NoCollect, r.RunID = tree, cmp.Or(r.Workspace, "/ws"), true, "run"
	spec, err := r.Resolve(t.Context())
	if err != nil {
		return nil, err
	}
	return launch.New(spec)
}

// TestSelection has the rules of modules, prefixes, modes and ids. The defaults are the guide's.
func TestSelection(t *testing.T) {
	tree := checkout(t)
	env := func(variables ...string) func(string) string {
		return func(name string) string {
			for _, v := range variables {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value
				}
			}
			return ""
		}
	}
	for _, c := range []struct {
		request launch.Request
		id      string // node id, in the tree's defs unless dir says otherwise
		dir     string
		mode    parse.Mode
		sub     string
		remark  string
		err     string
	}{
		// Defaults in all modes.
		{request: launch.Request{Target: guideConfig, Mode: parse.Disagg}, id: sanity + "::test_e2e[disagg_upload-" + guideConfig + "]", mode: parse.Disagg, sub: "e2e"},
		{request: launch.Request{Target: guideConfig}, id: sanity + "::test_e2e[disagg_upload-" + guideConfig + "]", mode: parse.Disagg, sub: "e2e"},
		{request: launch.Request{Target: disaggDir + guideConfig + ".yaml"}, id: sanity + "::test_e2e[disagg_upload-" + guideConfig + "]", mode: parse.Disagg, sub: "e2e"},
		{request: launch.Request{Target: "one", Mode: parse.SingleAgg}, id: sanity + "::test_e2e[aggr_upload-one]", mode: parse.SingleAgg},
		{request: launch.Request{Target: "one-tp4"}, id: sanity + "::test_e2e[aggr_upload-one-tp4]", mode: parse.SingleAgg},
		{request: launch.Request{Target: "two-dep16"}, id: sanity + "::test_e2e[aggr_upload-two-dep16]", mode: parse.MultiAgg},
		{request: launch.Request{Target: "ctx_only-" + guideConfig}, id: sanity + "::test_e2e[aggr_upload-ctx_only-" + guideConfig + "]", mode: parse.SingleAgg, sub: "ctx_only"},
		{request: launch.Request{Target: "e2e-" + guideConfig}, id: sanity + "::test_e2e[disagg_upload-e2e-" + guideConfig + "]", mode: parse.Disagg, sub: "e2e"},
		{request: launch.Request{Target: "gen_only-" + guideConfig}, id: sanity + "::test_e2e[disagg_upload-gen_only-" + guideConfig + "]", mode: parse.Disagg, sub: "gen_only"},
		{request: launch.Request{Target: "gen_only-noctx"}, id: sanity + "::test_e2e[disagg_upload-gen_only-noctx]", mode: parse.Disagg, sub: "gen_only_no_context"},
		{request: launch.Request{Target: "second-era"}, id: sanity + "::test_e2e[disagg_upload-second-era]", mode: parse.Disagg, sub: "e2e"},
		{request: launch.Request{Target: "first-era"}, id: sanity + "::test_e2e[disagg_upload-first-era]", mode: parse.Disagg, sub: "gen_only"},
		// The three variables, empty and set, and both spellings of the module.
		{request: launch.Request{Target: guideConfig, Module: "perf/test_perf_enhanced.py", Function: "test_e2e_enhanced", Prefix: "custom_test"},
			id: "perf/test_perf_enhanced.py::test_e2e_enhanced[custom_test-" + guideConfig + "]", mode: parse.Disagg, sub: "e2e", remark: `does not contain "upload"`},
		{request: launch.Request{Target: "one", Module: defs + "perf/test_perf_enhanced.py"}, id: "perf/test_perf_enhanced.py::test_e2e[aggr_upload-one]", mode: parse.SingleAgg},
		{request: launch.Request{Target: "./" + defs + sanity + "::test_e2e[aggr-one]"}, id: sanity + "::test_e2e[aggr-one]", mode: parse.SingleAgg, remark: "upload is off"},
		{request: launch.Request{Target: filepath.Join(tree, defs, sanity) + "::test_e2e[aggr-one]"}, id: sanity + "::test_e2e[aggr-one]", mode: parse.SingleAgg},
		{request: launch.Request{Target: "other/test_x.py::test_y"}, id: "other/test_x.py::test_y", dir: "."},
		{request: launch.Request{Target: "GB200-Perf-1/" + sanity + "::test_e2e[aggr-one]"}, id: sanity + "::test_e2e[aggr-one]", mode: parse.SingleAgg},
		{request: launch.Request{Target: "one", Prefix: "disagg_upload", Mode: parse.SingleAgg}, id: sanity + "::test_e2e[aggr_upload-one]", mode: parse.SingleAgg, remark: "is for disaggregated tests and is not used"},
		{request: launch.Request{Target: "one", Prefix: "custom", Mode: parse.SingleAgg}, id: sanity + "::test_e2e[custom-one]", mode: parse.SingleAgg, remark: "upload is off"},
		{request: launch.Request{Target: sanity + "::test_e2e[custom-two-dep16]"}, id: sanity + "::test_e2e[custom-two-dep16]", mode: parse.MultiAgg},
		{request: launch.Request{Target: "two-tp4, dep16", Mode: parse.MultiAgg}, id: sanity + "::test_e2e[aggr_upload-two-tp4, dep16]", mode: parse.MultiAgg},
		{request: launch.Request{Target: "world"}, id: sanity + "::test_e2e[aggr_upload-world]", mode: parse.SingleAgg},
		{request: launch.Request{Target: "bare", GPUsPerNode: 4}, id: sanity + "::test_e2e[aggr_upload-bare]", mode: parse.SingleAgg},
		{request: launch.Request{Target: "elsewhere", Getenv: env("DISAGG_CONFIG_FOLDER=my/folder")}, id: sanity + "::test_e2e[disagg_upload-elsewhere]", mode: parse.Disagg, sub: "e2e"},
		{request: launch.Request{Target: "elsewhere", ConfigDir: filepath.Join(tree, "my", "folder")}, id: sanity + "::test_e2e[disagg_upload-elsewhere]", mode: parse.Disagg, sub: "e2e"},
		// What is refused, and why.
		{request: launch.Request{Target: "one", Mode: parse.Disagg}, err: "no configuration of test disagg_upload-one: looked for " + tree},
		{request: launch.Request{Target: "one", Mode: parse.MultiAgg}, err: "--mode multi-agg, but test aggr_upload-one is single-agg by 4 GPUs on nodes of 4"},
		{request: launch.Request{Target: "two-dep16", Mode: parse.SingleAgg}, err: "is multi-agg by 16 GPUs on nodes of 4"},
		{request: launch.Request{Target: sanity + "::test_e2e[aggr-one]", Mode: parse.Disagg}, err: "--mode disagg, but test aggr-one is single-agg"},
		{request: launch.Request{Target: "nowhere"}, err: "nothing tells the mode, since no such configuration was found (looked for " + tree},
		{request: launch.Request{Target: "both"}, err: "give --mode single-agg, multi-agg or disagg"},
		{request: launch.Request{Target: sanity + "::test_e2e[custom_test-nowhere]"}, err: `its prefix "custom_test" is of your own, and no configuration`},
		{request: launch.Request{Target: "bare"}, err: "bare.yaml: hardware.gpus_per_node is missing or 0"},
		{request: launch.Request{Target: "zero", Mode: parse.Disagg}, err: "zero.yaml: hardware.gpus_per_node is missing or 0"},
		{request: launch.Request{Target: "one", GPUsPerNode: 8}, err: "--gpus-per-node 8, but"},
		{request: launch.Request{Target: "one", Nodes: 2}, err: "--nodes 2, but by"},
		{request: launch.Request{Target: "one-tp5"}, err: `has no server "tp5", which test aggr_upload-one-tp5 selects; it has tp4`},
		{request: launch.Request{Target: "one", Module: "perf/absent.py"}, err: "there is no test file perf/absent.py: looked for " + filepath.Join(tree, defs, "perf/absent.py")},
		{request: launch.Request{Target: "one", Module: "../x.py"}, err: "lies outside"},
		{request: launch.Request{Target: guideConfig, Prefix: "disagg-x", Mode: parse.Disagg}, err: `holds a "-"`},
		{request: launch.Request{Target: guideConfig, Prefix: "aggr_upload", Mode: parse.Disagg}, err: "is an aggregated test's"},
		{request: launch.Request{Target: "a.py::"}, err: "no node id"},
		{request: launch.Request{Target: "a[b]", Mode: parse.Disagg}, err: "no configuration's name"},
		{request: launch.Request{Target: sanity + "::test_e2e[disagg_upload-]"}, err: "no configuration behind"},
		{request: launch.Request{Target: "none", Mode: parse.Disagg}, err: "no generation server to start"},
		{request: launch.Request{Target: "one", Env: []string{"DB_PASSWORD=x"}}, err: "looks like a secret"},
		{request: launch.Request{Target: "one", Env: []string{"1=x"}}, err: "write NAME=VALUE"},
	} {
		t.Run(c.request.Target+" "+string(c.request.Mode), func(t *testing.T) {
			p, err := plan(t, tree, c.request)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if dir := filepath.Join(tree, cmp.Or(c.dir, defs)); p.Dir != dir || p.RootDir != dir {
				t.Errorf("runs in %s, want %s", p.Dir, dir)
			}
			if p.Test.NodeID != c.id || p.Mode != c.mode || p.SubMode != c.sub {
				t.Errorf("%s is %s %s\nwant %s, %s %s", p.Test.NodeID, p.Mode, p.SubMode, c.id, c.mode, c.sub)
			}
			if argv := p.Benchmark().Argv; !slices.Equal(argv[:3], []string{"pytest", c.id, "-vv"}) || slices.Contains(argv, "-k") {
				t.Errorf("runs %q", argv)
			}
			if c.remark != "" && !strings.Contains(strings.Join(p.Remarks, "\n"), c.remark) {
				t.Errorf("remarks %q, want %q", p.Remarks, c.remark)
			}
		})
	}
}

// TestHardware is the table of servers and nodes: a server has whole nodes for itself, and expert parallelism does not count.
func TestHardware(t *testing.T) {
	for _, c := range []struct {
		ctx, ctxCount, gen, genCount, perNode int
		mode, id                              string
		nodes                                 int
	}{
		{4, 1, 8, 1, 4, "e2e", "e2e", 3},
		{4, 2, 16, 1, 4, "e2e", "e2e", 6},
		{2, 2, 8, 1, 4, "e2e", "e2e", 4},
		{1, 5, 4, 1, 4, "e2e", "e2e", 6},
		{12, 2, 4, 1, 8, "e2e", "e2e", 5},
		{2, 1, 4, 1, 4, "gen_only", "gen_only", 2},
		{2, 1, 4, 1, 4, "gen_only_no_context", "gen_only", 1},
		{2, 1, 4, 1, 4, "gen_only", "e2e", 2},
	} {
		tree := write(t, checkout(t), map[string]string{disaggDir + "k.yaml": disaggConfig(c.perNode, c.ctx, c.ctxCount, c.gen, c.genCount, c.mode)})
		p, err := plan(t, tree, launch.Request{Target: sanity + "::test_e2e[disagg_upload-" + c.id + "-k]", On: launch.Slurm, Launcher: "launcher"})
		if err != nil {
			t.Fatal(err)
		}
		h := p.Hardware
		last, used := 0, 0
		for _, s := range p.Steps {
			if !s.Overlap {
				last, used = max(last, s.FirstNode+s.Nodes), used+s.Nodes
			}
			if worker := strings.HasPrefix(string(s.Role), "CTX") || strings.HasPrefix(string(s.Role), "GEN"); worker != (s.Tasks > 1 || !s.Overlap) || s.MPI != "" {
				t.Errorf("%+v: step %+v", c, s)
			}
		}
		if h.Nodes != c.nodes || h.GPUs != c.nodes*c.perNode || h.Tasks != h.GPUs || last != h.Nodes || used != h.Nodes {
			t.Errorf("%+v: %+v; the steps take %d nodes up to %d", c, h, used, last)
		}
	}
}

// TestWithoutConfiguration: a test of another kind, as a job of a size that the user says.
func TestWithoutConfiguration(t *testing.T) {
	tree := checkout(t)
	p, err := plan(t, tree, launch.Request{Target: "other/test_x.py::test_y", On: launch.Slurm, Nodes: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"--output=/ws/slurm_%j.log", "--nodes=1", "--ntasks=1", "--ntasks-per-node=1", "--job-name=pytest_perf_test", "--time=04:00:00"}
	if !slices.Equal(p.Job.Directives, want) {
		t.Errorf("got %q", p.Job.Directives)
	}
	if _, err := plan(t, tree, launch.Request{Target: "other/test_x.py::test_y", On: launch.Slurm}); err == nil || !strings.Contains(err.Error(), "give --config-dir, or --nodes") {
		t.Error(err)
	}
}

func TestAnnouncement(t *testing.T) {
	tree := checkout(t)
	p, err := plan(t, tree, launch.Request{Target: guideConfig, Module: "perf/test_perf_enhanced.py", Prefix: "custom_test"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "[步骤 0] 测试模块配置:\n  测试模块: perf/test_perf_enhanced.py\n  测试函数: test_e2e\n  测试前缀: custom_test\n✓ 生成 test list: /ws/test_list_disagg.txt\n"
	if p.Announcement != want {
		t.Errorf("got %q", p.Announcement)
	}
	if p, err = plan(t, tree, launch.Request{Target: "one"}); err != nil || p.Announcement != "测试模块: perf/test_perf_sanity.py\n测试函数: test_e2e\n" {
		t.Errorf("got %q, %v", p.Announcement, err)
	}
}
