package treetest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trtperf/trtperf/launch/treetest"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/run"
)

// deadline is far beyond what a test of the tree takes, so that a hanging one ends.
const deadline = time.Minute

// checkout is a tree with a place for what its tests write.
type checkout struct {
	tree, python, out string
}

func newCheckout(t *testing.T, overlays ...string) checkout {
	t.Parallel()
	return checkout{treetest.Checkout(t, overlays...), treetest.Python(t), t.TempDir()}
}

// pytest starts pytest for one role ("" in aggregated runs) with what it prints in the file where a launcher puts it, and returns a function that
// waits for its exit code.
func (c checkout) pytest(t *testing.T, role, node string, env ...string) func() int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	_, id, _ := strings.Cut(strings.TrimSuffix(node, "]"), "[")
	results, log := "results.xml", "slurm-1.out"
	switch kind, index, _ := strings.Cut(role, "_"); kind {
	case "GEN", "CTX":
		results, log = "results."+role+".xml", filepath.Join(id, strings.ToLower(kind)+"_server_"+index+".log")
	case "DISAGG":
		results, log = "results."+role+".xml", filepath.Join(id, "disagg_server.log")
	}
	log = filepath.Join(c.out, log)
	if err := os.MkdirAll(filepath.Dir(log), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	command := exec.CommandContext(ctx, filepath.Join(c.python, "pytest"), "-vv", "-p", "no:cacheprovider", "--timeout=50", "--timeout-method=thread", "--output-dir="+c.out,
		"-o", "junit_logging=out-err", "--junit-xml="+filepath.Join(c.out, results), node)
	command.Dir = filepath.Join(c.tree, "tests", "integration", "defs")
	command.Env = treetest.Environ(c.python, env...)
	if role != "" {
		command.Env = append(command.Env, "DISAGG_SERVING_TYPE="+role)
	}
	command.Stdout, command.Stderr = f, f
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return func() int {
		_ = command.Wait()
		if strings.HasPrefix(role, "GEN") && !older.MatchString(id) { // as the draft scripts of that age do
			if err := os.WriteFile(strings.TrimSuffix(log, ".log")+".done", nil, 0o666); err != nil {
				t.Error(err)
			}
		}
		text, _ := os.ReadFile(log)
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s ended with %v:\n%s", role, command.ProcessState, text)
			}
		})
		return command.ProcessState.ExitCode()
	}
}

// older matches the ids of configurations in the folders of older generations.
var older = regexp.MustCompile(`_v[12]$`)

// all runs a test with the given roles at once and returns their exit codes.
func (c checkout) all(t *testing.T, roles []string, node string, env ...string) map[string]int {
	t.Helper()
	type end struct {
		role string
		code int
	}
	ends, codes := make(chan end), map[string]int{}
	for _, role := range roles {
		wait := c.pytest(t, role, node, env...)
		go func() { ends <- end{role, wait()} }()
	}
	for range roles {
		e := <-ends
		codes[e.role] = e.code
	}
	return codes
}

// read reads the run as trtperf does.
func (c checkout) read(t *testing.T) (results []*parse.Result, failed []run.FailedTest, diagnostics []parse.Diagnostic) {
	t.Helper()
	for r := range run.Read(t.Context(), []string{c.out}, run.Options{Table: parse.Metrics(), ConfigDir: c.tree}) {
		results, failed = append(results, r.Results...), append(failed, r.FailedTests...)
		diagnostics = append(diagnostics, r.Diagnostics...)
	}
	return results, failed, diagnostics
}

// printed reads the rows of the one block in a log, by other means than trtperf's.
func printed(t *testing.T, log string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("= Serving Benchmark Result =")); n != 1 {
		t.Fatalf("%s holds %d blocks", log, n)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z][^:\n]*(?: \((?:ms|s|tok/s|req/s)\)| Iter)):\s+(-?[\d.]+)\s*$`).FindAllStringSubmatch(string(text), -1) {
		rows[m[1]] = m[2]
	}
	return rows
}

// labels are those of the metrics that every block of the default client has.
var labels = map[string]string{
	"seq_throughput": "Request throughput (req/s)", "token_throughput": "Output token throughput (tok/s)",
	"total_token_throughput": "Total Token throughput (tok/s)", "user_throughput": "User throughput (tok/s)",
	"mean_ttft": "Mean TTFT (ms)", "median_ttft": "Median TTFT (ms)", "p99_ttft": "P99 TTFT (ms)", "mean_tpot": "Mean TPOT (ms)",
	"median_tpot": "Median TPOT (ms)", "p99_tpot": "P99 TPOT (ms)", "mean_itl": "Mean ITL (ms)", "median_itl": "Median ITL (ms)", "p99_itl": "P99 ITL (ms)",
	"mean_e2el": "Mean E2EL (ms)", "median_e2el": "Median E2EL (ms)", "p99_e2el": "P99 E2EL (ms)",
	"al": "Mean Avg Decoded Tokens per Iter", "mean_gen_worker_per_iter_device_step_time": "Average Per Iter Device Step Time (ms)",
	"p99_gen_worker_per_iter_device_step_time": "P99 Per Iter Device Step Time (ms)",
}

const disaggRoles = "GEN_0 CTX_0 DISAGG_SERVER BENCHMARK"

// TestRuns runs tests of the tree with a real pytest, a process for each role, and wants trtperf to find one result for each client, with the
// numbers that stand in the client's log.
func TestRuns(t *testing.T) {
	for _, c := range []struct {
		id      string
		roles   string
		clients []string // "<server>.<client> <server name>/<client name>, prompts"
		metrics int
		env     string
		mode    parse.Mode
	}{
		{id: "aggr_upload-toy_fp4_blackwell", metrics: 16, mode: parse.SingleAgg, clients: []string{"0.0 tp4_1k1k/con4_iter3_1k1k, 12",
			"0.1 tp4_1k1k/con8_iter2_isl32_osl16, 16", "1.0 tp2_mtp3/con2_iter4, 8"}},
		{id: "aggr-toy_nvfp4_2_nodes-dep8_mtp1", metrics: 17, mode: parse.MultiAgg, clients: []string{"0.0 dep8_mtp1/con8_iter2, 16"}},
		{id: "aggr_upload-toy_nvfp4_2_nodes-tep8-sa", metrics: 15, mode: parse.MultiAgg, clients: []string{"0.0 tep8-sa/con4_iter2, 8"}},
		{id: "aggr_upload-ctx_only-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX", metrics: 10, mode: parse.SingleAgg, clients: []string{
			"0.0 ctx_only-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX/con4_iter3_isl32_osl1, 12",
			"0.1 ctx_only-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX/con8_iter3_isl32_osl1, 24"}},
		{id: "disagg_upload-e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX", roles: disaggRoles, metrics: 16, mode: parse.Disagg, clients: []string{
			"0.0 e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX/con4_iter3_isl32_osl16, 12",
			"0.1 e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX/con8_iter3_isl32_osl16, 24"}},
		{id: "disagg-gen_only-toy-fp4_8k1k_ctx1_gen1_dep4_bs8_eplb0_mtp0_ccb-UCX", roles: disaggRoles, metrics: 18, mode: parse.Disagg, clients: []string{
			"0.0 gen_only-toy-fp4_8k1k_ctx1_gen1_dep4_bs8_eplb0_mtp0_ccb-UCX/con8_iter1_isl32_osl40, 8"}},
		{id: "disagg_upload-gen_only-toy-fp4_1k1k_ctx0_gen1_dep4_noctx", roles: "GEN_0 DISAGG_SERVER BENCHMARK", metrics: 18, mode: parse.Disagg, clients: []string{
			"0.0 gen_only-toy-fp4_1k1k_ctx0_gen1_dep4_noctx/con8_iter1_isl32_osl40, 8"}},
		{id: "disagg_upload-e2e-toy-fp4_1k1k_ctx2_gen2_tp2_mtp2", roles: "GEN_0 GEN_1 CTX_0 CTX_1 DISAGG_SERVER BENCHMARK", metrics: 17, mode: parse.Disagg,
			clients: []string{"0.0 e2e-toy-fp4_1k1k_ctx2_gen2_tp2_mtp2/con6_iter2_isl32_osl16, 12"}},
		{id: "disagg_upload-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v1", roles: disaggRoles, metrics: 16, mode: parse.Disagg, clients: []string{
			"0.0 toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v1/con8_iter3_isl32_osl16, 24"}},
		{id: "disagg-toy-fp4_8k1k_ctx1_gen1_dep4_gen_only_v2", roles: disaggRoles, metrics: 16, mode: parse.Disagg, clients: []string{
			"0.0 toy-fp4_8k1k_ctx1_gen1_dep4_gen_only_v2/con8_iter2_isl32_osl40, 16"}},
	} {
		t.Run(c.id, func(t *testing.T) {
			run := newCheckout(t)
			roles := []string{""}
			if c.roles != "" {
				roles = strings.Fields(c.roles)
			}
			for role, code := range run.all(t, roles, "perf/test_perf_sanity.py::test_e2e["+c.id+"]", c.env) {
				if code != 0 {
					t.Fatalf("%s ended with %d", role, code)
				}
			}
			results, failed, diagnostics := run.read(t)
			if len(failed) > 0 {
				t.Errorf("failed tests: %+v", failed)
			}
			for _, d := range diagnostics {
				// The oldest harness does not read device step times.
				if d.Code != "not-measured" && (d.Code != "device-step-unread" || !older.MatchString(c.id)) {
					t.Errorf("diagnostic %+v", d)
				}
			}
			var got []string
			for _, r := range results {
				got = append(got, fmt.Sprintf("%d.%d %s/%s, %d", *r.Server.Index, *r.Client.Index, r.Server.Name, r.Client.Name, *r.Requests.Asked))
				if !r.Valid() || r.Mode != c.mode || *r.Requests.Successful != *r.Requests.Asked || r.TestID.String() != c.id {
					t.Errorf("got %+v", r)
				}
				rows := printed(t, filepath.Join(run.out, c.id, fmt.Sprintf("trtllm-benchmark.%d.%d.log", *r.Server.Index, *r.Client.Index)))
				compared := 0
				for metric, label := range labels {
					v, measured := r.Metrics.Lookup(metric)
					if measured && v.Text != rows[label] {
						t.Errorf("%s is %q, the log says %q", metric, v.Text, rows[label])
					}
					if measured {
						compared++
					}
				}
				if r.Client.Name == "con2_iter4" {
					compared-- // the one with speculative decoding among others without
				}
				if compared != c.metrics {
					t.Errorf("%d metrics, want %d: %v", compared, c.metrics, r.Metrics)
				}
			}
			if !slices.Equal(got, c.clients) {
				t.Errorf("results\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.clients, "\n"))
			}
		})
	}
}

// TestFaults switches faults on and wants trtperf to see each.
func TestFaults(t *testing.T) {
	const (
		aggr   = "aggr_upload-toy_fp4_blackwell-tp2_mtp3"
		disagg = "disagg_upload-e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX"
	)
	for _, c := range []struct {
		fault, id string
		codes     string // of the roles, where they are not 0
		reasons   string // of the results, each once
		results   int
	}{
		{fault: "assert:wrong", id: aggr, codes: "=1", reasons: "junit-failure", results: 1},
		{fault: "dies", id: aggr, codes: "=7", reasons: ""},
		{fault: "server-dies", id: aggr, codes: "=1", reasons: ""},
		{fault: "failed-requests:2", id: aggr, codes: "=1", reasons: "failed-requests junit-failure", results: 1},
		{fault: "cut-requests:2", id: aggr, codes: "=1", reasons: "failed-requests junit-failure", results: 1},
		{fault: "missing-metric:ttft", id: aggr, codes: "=1", reasons: "junit-failure missing-metric", results: 1},
		{fault: "no-block", id: aggr, codes: "=1", reasons: ""},
		{fault: "no-output", id: aggr, codes: "=1", reasons: ""},
		{fault: "client-exits:3", id: aggr, codes: "=1", reasons: "junit-failure", results: 1},
		{fault: "server-dies:GEN_0", id: disagg, codes: "BENCHMARK=1 DISAGG_SERVER=1 GEN_0=1", reasons: ""},
		{fault: "dies:CTX_0", id: disagg, codes: "BENCHMARK=1 CTX_0=7 DISAGG_SERVER=1", reasons: ""},
	} {
		t.Run(c.fault, func(t *testing.T) {
			run := newCheckout(t)
			roles := []string{""}
			if c.id == disagg {
				roles = strings.Fields(disaggRoles)
			}
			var codes []string
			for role, code := range run.all(t, roles, "perf/test_perf_sanity.py::test_e2e["+c.id+"]", "TREE_FAULTS="+c.fault, "TRTLLM_TEST_SERVER_READY_TIMEOUT=4") {
				if code != 0 {
					codes = append(codes, fmt.Sprintf("%s=%d", role, code))
				}
			}
			slices.Sort(codes)
			if got := strings.Join(codes, " "); got != c.codes {
				t.Errorf("exit codes %q, want %q", got, c.codes)
			}
			results, failed, _ := run.read(t)
			var reasons []string
			for _, r := range results {
				for _, reason := range r.Reasons {
					reasons = append(reasons, string(reason.Code))
				}
			}
			slices.Sort(reasons)
			if got := strings.Join(slices.Compact(reasons), " "); got != c.reasons || len(results) != c.results {
				t.Errorf("%d results, reasons %q; want %d, %q", len(results), got, c.results, c.reasons)
			}
			// A process that dies at once leaves nothing that says so: its exit code is all there is.
			if len(failed) == 0 && !strings.HasPrefix(c.fault, "dies") {
				t.Error("no test has failed")
			}
		})
	}
}
