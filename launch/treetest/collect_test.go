package treetest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/launch/treetest"
)

// TestCollect asks pytest for the tree's ids and wants those that the grammar gives for its configurations, in the harness's order.
func TestCollect(t *testing.T) {
	t.Parallel()
	python, tree := treetest.Python(t), treetest.Checkout(t)
	defs := filepath.Join(tree, "tests", "integration", "defs")
	list := filepath.Join(t.TempDir(), "list.txt")
	const id = "perf/test_perf_sanity.py::test_e2e[aggr-toy_fp4_blackwell-tp2_mtp3]"
	if err := os.WriteFile(list, []byte("# two of them\n\n"+id+" TIMEOUT (1)\nperf/test_perf_sanity.py::test_e2e[disagg-e2e-toy-fp4_1k1k_ctx2_gen2_tp2_mtp2]  # why\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	collect := func(args ...string) []string {
		t.Helper()
		command := exec.Command(filepath.Join(python, "pytest"), append([]string{"--collect-only", "-q", "-p", "no:cacheprovider"}, args...)...)
		command.Dir, command.Env = defs, treetest.Environ(python)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool { return !strings.Contains(line, "::") })
	}
	var want []string
	add := func(ids ...string) {
		for _, id := range ids {
			want = append(want, "perf/test_perf_sanity.py::test_e2e["+id+"]")
		}
	}
	for _, config := range []string{"toy_fp4_blackwell tp4_1k1k tp2_mtp3", "toy_nvfp4_2_nodes dep8_mtp1 tep8-sa", "toy_bf16_old tp1"} {
		names := strings.Fields(config)
		for _, prefix := range []string{"aggr_upload-", "aggr-"} {
			add(prefix + names[0])
			for _, server := range names[1:] {
				add(prefix + names[0] + "-" + server)
			}
		}
	}
	for _, config := range []string{"toy-fp4_1k1k_ctx0_gen1_dep4_noctx", "toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX", "toy-fp4_1k1k_ctx2_gen2_tp2_mtp2",
		"toy-fp4_8k1k_ctx1_gen1_dep4_bs8_eplb0_mtp0_ccb-UCX"} {
		for _, prefix := range []string{"disagg_upload-", "disagg-"} {
			add(prefix+"e2e-"+config, prefix+"gen_only-"+config)
		}
		add("aggr_upload-ctx_only-"+config, "aggr-ctx_only-"+config)
	}
	for _, config := range []string{"toy-fp4_1k1k_ctx0_gen1_dep4_noctx_v2", "toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v2", "toy-fp4_8k1k_ctx1_gen1_dep4_gen_only_v2",
		"toy-fp4_1k1k_ctx0_gen1_dep4_noctx_v1", "toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v1", "toy-fp4_8k1k_ctx1_gen1_dep4_gen_only_v1"} {
		add("disagg_upload-"+config, "disagg-"+config)
	}
	if got := collect("perf/test_perf_sanity.py"); !slices.Equal(got, want) {
		t.Errorf("ids\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := collect("--test-prefix=GB200-Stage-1", id); !slices.Equal(got, []string{"GB200-Stage-1/" + id}) {
		t.Errorf("with a prefix: %q", got)
	}
	if got := collect("--test-list="+list, "perf"); !slices.Equal(got, []string{id, "perf/test_perf_sanity.py::test_e2e[disagg-e2e-toy-fp4_1k1k_ctx2_gen2_tp2_mtp2]"}) {
		t.Errorf("of a list: %q", got)
	}
	if got := collect("--test-list="+list, "--test-prefix=P", "perf"); !slices.Equal(got[:1], []string{"P/" + id}) {
		t.Errorf("of a list with a prefix: %q", got)
	}
	for _, prefix := range []string{"disagg_custom-", "custom_test-"} {
		for _, function := range []string{"test_e2e", "test_e2e_enhanced"} {
			id := "perf/test_perf_enhanced.py::" + function + "[" + prefix + "toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX]"
			if got := collect(id); !slices.Equal(got, []string{id}) {
				t.Errorf("collected %q", got)
			}
		}
	}
}

// TestOptions runs a test with the command line that TensorRT-LLM's own jobs have, and looks at what its options leave.
func TestOptions(t *testing.T) {
	r := newCheckout(t)
	const name = "test_e2e[aggr_upload-toy_fp4_blackwell-tp2_mtp3]"
	list := filepath.Join(r.out, "list.txt")
	if err := os.WriteFile(list, []byte("perf/test_perf_sanity.py::"+name+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), filepath.Join(r.python, "pytest"), "-vv", "-p", "no:cacheprovider", "--timeout-method=thread", "--apply-test-list-correction",
		"--timeout=60", "--rootdir", filepath.Join(r.tree, "tests/integration/defs"), "--test-prefix=Stage-1", "--waives-file=waives.txt", "--output-dir="+r.out+"/", "--csv="+r.out+"/report.csv",
		"-o", "junit_logging=out-err", "--cov=tensorrt_llm/", "--cov-report=", "--cov-config=.coveragerc", "--periodic-junit", "--periodic-junit-xmlpath", filepath.Join(r.out, "results.xml"),
		"--periodic-batch-size=1", "--periodic-save-unfinished-test", "--perf", "--perf-log-formats", "csv", "--perf-log-formats", "yaml", "--enable-gpu-clock-lock",
		"--test-list="+list, "--splitting-algorithm", "least_duration", "--splits", "1", "--group", "1")
	command.Dir, command.Env = filepath.Join(r.tree, "tests", "integration", "defs"), treetest.Environ(r.python)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	results, failed, _ := r.read(t)
	if len(results) != 1 || !results[0].Valid() || results[0].Function != "test_e2e" || len(failed) > 0 {
		t.Errorf("results %+v, failed tests %+v", results, failed)
	}
	for file, want := range map[string]string{"report.csv": "Stage-1/perf/test_perf_sanity.py::" + name + ",", "results.xml": "name=\"" + name + "\"", "unfinished_test.txt": ""} {
		text, err := os.ReadFile(filepath.Join(r.out, file))
		if err != nil || !strings.Contains(string(text), want) || want == "" && len(text) > 0 {
			t.Errorf("%s: %v\n%s", file, err, text)
		}
	}
}
