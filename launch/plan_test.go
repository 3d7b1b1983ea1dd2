package launch_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/parse"
)

func TestNewPlan(t *testing.T) {
	tree := t.TempDir()
	if err := os.CopyFS(filepath.Join(tree, "tests/integration/defs/perf"), fstest.MapFS{"test_perf_sanity.py": {}, "test_perf_enhanced.py": {}}); err != nil {
		t.Fatal(err)
	}
	const config = "deepseek-r1-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX"
	for name, c := range map[string]struct {
		request launch.Request
		id      string
		list    string
		dir     string
		remarks int
		err     string
	}{
		"disagg, defaults": {request: launch.Request{Target: config, Mode: parse.Disagg},
			id: "perf/test_perf_sanity.py::test_e2e[disagg_upload-" + config + "]", list: "test_list_disagg.txt", dir: "tests/integration/defs"},
		"disagg, all three set": {request: launch.Request{Target: config, Mode: parse.Disagg, Module: "perf/test_perf_enhanced.py", Function: "test_e2e_enhanced", Prefix: "custom_test"},
			id: "perf/test_perf_enhanced.py::test_e2e_enhanced[custom_test-" + config + "]", list: "test_list_disagg.txt", dir: "tests/integration/defs", remarks: 1},
		"single-agg": {request: launch.Request{Target: "k-s1.yaml", Mode: parse.SingleAgg, Prefix: "ignored"},
			id: "perf/test_perf_sanity.py::test_e2e[aggr_upload-k-s1]", list: "test_list.txt", dir: "tests/integration/defs"},
		"node id": {request: launch.Request{Target: "other/test_x.py::test_e2e[aggr-k]"}, id: "other/test_x.py::test_e2e[aggr-k]",
			list: "test_list.txt", dir: ".", remarks: 1},
		"no mode":        {request: launch.Request{Target: config}, err: "--mode"},
		"no function":    {request: launch.Request{Target: "a.py::"}, err: "no node id"},
		"brackets":       {request: launch.Request{Target: "a[b]", Mode: parse.Disagg}, err: "no configuration"},
		"broken grammar": {request: launch.Request{Target: "a.py::test_e2e[disagg_upload-]"}, err: "no configuration behind"},
	} {
		t.Run(name, func(t *testing.T) {
			c.request.Tree, c.request.Workspace = tree, "/ws"
			spec, err := c.request.Resolve()
			var p *launch.Plan
			if err == nil {
				p, err = launch.New(spec)
			}
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			argv := []string{"pytest", c.id, "-vv", "-o", "junit_logging=out-err", "--junit-xml=/ws/results.xml"}
			if p.Test.NodeID != c.id || !slices.Equal(p.Benchmark().Argv, argv) || p.Dir != filepath.Join(tree, c.dir) || len(p.Remarks) != c.remarks ||
				len(p.Files) != 1 || p.Files[0].Path != c.list || p.Files[0].Content != c.id+"\n" {
				t.Errorf("got %+v", p)
			}
		})
	}
}

func TestReadList(t *testing.T) {
	for text, want := range map[string]string{
		"# two\na.py::t[x]\n\na.py::t[y]\n": "",
		"# none\n":                          "no node id",
		"\nwhat\n":                          "l.txt:2",
		"a.py::t[x]\na.py::t[x]\n":          "l.txt:2: the test of line 1",
	} {
		ids, err := launch.ReadList("l.txt", []byte(text))
		if want == "" && (err != nil || !slices.Equal(ids, []string{"a.py::t[x]", "a.py::t[y]"})) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, %v", text, ids, err)
		}
	}
}

func TestAnnouncement(t *testing.T) {
	announced := func(mode parse.Mode, id string) string {
		p, err := launch.New(launch.Spec{Workspace: "/ws", Tree: "/tree", Module: "perf/test_perf_sanity.py", Selected: "test_e2e[" + id + "]", Mode: mode, Pytest: []string{"pytest"}})
		if err != nil {
			t.Fatal(err)
		}
		return p.Announcement
	}
	const want = "[步骤 0] 测试模块配置:\n  测试模块: perf/test_perf_sanity.py\n  测试函数: test_e2e\n  测试前缀: custom_test\n✓ 生成 test list: /ws/test_list_disagg.txt\n"
	if got := announced(parse.Disagg, "custom_test-k"); got != want {
		t.Errorf("got %q", got)
	}
	if got := announced(parse.SingleAgg, "aggr-k"); got != "测试模块: perf/test_perf_sanity.py\n测试函数: test_e2e\n" {
		t.Errorf("got %q", got)
	}
}
