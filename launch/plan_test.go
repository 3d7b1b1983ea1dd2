package launch_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/parse"
)

func TestNewPlan(t *testing.T) {
	const config = "deepseek-r1-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX"
	for name, c := range map[string]struct {
		request launch.Request
		ids     []string
		list    string
		dir     string
		remarks int
		err     string
	}{
		"disagg, defaults": {request: launch.Request{Target: config, Mode: parse.Disagg},
			ids: []string{"perf/test_perf_sanity.py::test_e2e[disagg_upload-" + config + "]"}, list: "test_list_disagg.txt", dir: "tree/tests/integration/defs"},
		"disagg, all three set": {request: launch.Request{Target: config, Mode: parse.Disagg, Module: "perf/test_perf_enhanced.py", Function: "test_e2e_enhanced", Prefix: "custom_test"},
			ids: []string{"perf/test_perf_enhanced.py::test_e2e_enhanced[custom_test-" + config + "]"}, list: "test_list_disagg.txt", dir: "tree/tests/integration/defs", remarks: 1},
		"single-agg": {request: launch.Request{Target: "k-s1.yaml", Mode: parse.SingleAgg, Prefix: "ignored"},
			ids: []string{"perf/test_perf_sanity.py::test_e2e[aggr_upload-k-s1]"}, list: "test_list.txt", dir: "tree/tests/integration/defs"},
		"node id": {request: launch.Request{Target: "other/test_x.py::test_e2e[aggr-k]"}, ids: []string{"other/test_x.py::test_e2e[aggr-k]"},
			list: "test_list.txt", dir: "tree", remarks: 1},
		"test list": {request: launch.Request{Target: "l.txt", List: []byte("# two\nperf/a.py::test_e2e[disagg_upload-e2e-k]\n\nperf/a.py::test_e2e[disagg_upload-e2e-l]\n")},
			ids: []string{"perf/a.py::test_e2e[disagg_upload-e2e-k]", "perf/a.py::test_e2e[disagg_upload-e2e-l]"}, list: "test_list_disagg.txt", dir: "tree/tests/integration/defs"},
		"no mode":        {request: launch.Request{Target: config}, err: "--mode"},
		"empty list":     {request: launch.Request{Target: "l.txt", List: []byte("# none\n")}, err: "no node id"},
		"bad line":       {request: launch.Request{Target: "l.txt", List: []byte("\nwhat\n")}, err: "l.txt:2"},
		"line twice":     {request: launch.Request{Target: "l.txt", List: []byte("a.py::t[x]\na.py::t[x]\n")}, err: "l.txt:2: the test of line 1"},
		"no function":    {request: launch.Request{Target: "a.py::"}, err: "no node id"},
		"brackets":       {request: launch.Request{Target: "a[b]", Mode: parse.Disagg}, err: "no configuration"},
		"broken grammar": {request: launch.Request{Target: "a.py::test_e2e[disagg_upload-]"}, err: "no configuration behind"},
	} {
		t.Run(name, func(t *testing.T) {
			c.request.Tree, c.request.Workspace = "tree", "ws"
			p, err := launch.NewPlan(c.request, func(module string) bool { return strings.HasPrefix(module, "perf/") })
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			argv := slices.Concat([]string{"pytest"}, c.ids, []string{"-vv", "-o", "junit_logging=out-err", "--junit-xml=ws/results.xml"})
			if !slices.Equal(p.NodeIDs, c.ids) || !slices.Equal(p.Argv, argv) || p.Dir != c.dir || len(p.Remarks) != c.remarks ||
				len(p.Files) != 1 || p.Files[0].Name != c.list || p.Files[0].Content != strings.Join(c.ids, "\n")+"\n" {
				t.Errorf("got %+v", p)
			}
		})
	}
}

func TestAnnouncement(t *testing.T) {
	p, err := launch.NewPlan(launch.Request{Target: "k", Mode: parse.Disagg, Prefix: "custom_test", Workspace: "/ws"}, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	const want = "[步骤 0] 测试模块配置:\n  测试模块: perf/test_perf_sanity.py\n  测试函数: test_e2e\n  测试前缀: custom_test\n✓ 生成 test list: /ws/test_list_disagg.txt\n"
	if got := p.Announcement(); got != want {
		t.Errorf("got %q", got)
	}
	p, err = launch.NewPlan(launch.Request{Target: "k", Mode: parse.SingleAgg}, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Announcement(); got != "测试模块: perf/test_perf_sanity.py\n测试函数: test_e2e\n" {
		t.Errorf("got %q", got)
	}
}
