package run_test

import (
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/run"
)

// Every file that a run of any generation of the harness, and a launch, leaves has its folder in an archive.
func TestKnownOf(t *testing.T) {
	const leftOut run.Folder = ""
	for _, c := range []struct {
		file   string
		folder run.Folder
		role   parse.Role
		test   bool
	}{
		{"t/trtllm-serve.0.log", run.ServerLogs, "", true},
		{"t/trtllm-serve.GEN_1.0.log", run.ServerLogs, "GEN_1", true},
		{"t/trtllm-serve.0.CTX_0.log", run.ServerLogs, "CTX_0", true}, // V-A
		{"t/trtllm-serve.DISAGG_SERVER.0.log.gz", run.ServerLogs, "DISAGG_SERVER", true},
		{"t/trtllm-serve.CTX_0.0.error.log", run.ServerLogs, "CTX_0", true}, // V-B
		{"t/trtllm-benchmark.0.0.log", run.BenchmarkLogs, "BENCHMARK", true},
		{"t/trtllm-benchmark.0.0.error.log", run.BenchmarkLogs, "BENCHMARK", true},
		{"t/accuracy_eval_gsm8k.0.log", run.BenchmarkLogs, "BENCHMARK", true},
		{"t/gen_server_0.log", run.ComponentLogs, "GEN_0", true},
		{"t/ctx_server_0.log", run.ComponentLogs, "CTX_0", true},
		{"t/disagg_server.log", run.ComponentLogs, "DISAGG_SERVER", true},
		{"output_workers.log", run.ComponentLogs, "", false},
		{"slurm-4711.out", run.ComponentLogs, "", false},
		{"slurm_4711.log", run.ComponentLogs, "", false},
		{"install.log", run.ComponentLogs, "", false},
		{"00_x.launch", run.ComponentLogs, "", false},
		{"other.log", run.ServerLogs, "", false},
		{"t/trtllm-serve.0.addr", run.ResultFiles, "", true},
		{"t/gen_server_0.done", run.ResultFiles, "", true},
		{"t/hostnames-4711-0/CTX_0.txt", run.ResultFiles, "", false},
		{"t/hostnames-4711-0/DISAGG_SERVER.0.addr", run.ResultFiles, "", false},
		{"t/benchmark_status.0.txt", run.ResultFiles, "", true},
		{"t/pytest_done.GEN.0.txt", run.ResultFiles, "", true},
		{"t/startup_metrics.0.json", run.ResultFiles, "", true},
		{"t/regression_data.yaml", run.ResultFiles, "", false},
		{"results.xml", run.ResultFiles, "", false},
		{"results.GEN_0.xml", run.ResultFiles, "GEN_0", false},
		{"report.csv", run.ResultFiles, "", false},
		{"unfinished_test.txt", run.ResultFiles, "", false},
		{"session_properties.csv", run.ResultFiles, "", false},
		{"trtperf-system.BENCHMARK.json", run.ResultFiles, "BENCHMARK", false},
		{"trtperf-job.json", run.ResultFiles, "", false},
		{"exit/GEN_0", run.ResultFiles, "", false},
		{"slurm_job.json", run.ResultFiles, "", false},
		{"t/server_config.0.yaml", run.ConfigFiles, "", true},
		{"t/extra-llm-api-config.gen.e2e-x.yml", run.ConfigFiles, "", true},
		{"configs/aggregated/x.yaml", run.ConfigFiles, "", false},
		{"plan.json", run.ScriptFiles, "", false},
		{"node_info.json", run.ScriptFiles, "", false},
		{"test_list_disagg.txt", run.ScriptFiles, "", false},
		{"slurm_launch_prefix.sh", run.ScriptFiles, "", false},
		{"roles/GEN_0.sh", run.ScriptFiles, "", false},
		{"t/internal_request_auth_key.txt", leftOut, "", false},
		{"t/internal_request_auth_key.txt.lock", leftOut, "", false},
		{"old.tar.zst", leftOut, "", false},
		{"trtperf.db-wal", leftOut, "", false},
	} {
		k := run.KnownOf(c.file)
		if c.folder == leftOut {
			if k.Left == "" {
				t.Errorf("%s is not left out: %+v", c.file, k)
			}
			continue
		}
		if k.Left != "" || k.Folder != c.folder || k.Role != c.role || k.Test != c.test {
			t.Errorf("%s: %+v, want %s, role %q, test %v", c.file, k, c.folder, c.role, c.test)
		}
	}
}
