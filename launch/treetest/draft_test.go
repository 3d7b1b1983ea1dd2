package treetest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trtperf/trtperf/launch/treetest"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/run"
	"github.com/trtperf/trtperf/testdata/services"
)

// jobPrefix is what slurm_run.sh and slurm_install.sh demand of a prefix. @ is the run's directory, TREE the checkout.
const jobPrefix = `#!/bin/bash
#SBATCH --output=@/slurm_%j.log
#SBATCH --nodes=NODES
#SBATCH --ntasks=TASKS
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
set -Eeuo pipefail
export jobWorkspace=@/work
export llmSrcNode=TREE
export stageName="perf_STAGE"
export perfMode=PERFMODE
export resourcePathNode=@/resources
export coverageConfigFile=@/coverage.rc
export tarName=llm.tar.gz
export llmTarfile=@/llm.tar.gz
export pytestCommand="LLM_ROOT=TREE TREE/tensorrt_llm/llmapi/trtllm-llmapi-launch pytest -vv -p no:cacheprovider --timeout-method=thread --timeout=60 --output-dir=@/out/ --cov=__PLACEHOLDER_TRTLLM_WHL_PATH__/tensorrt_llm --junit-xml=@/results.\${DISAGG_SERVING_TYPE:-AGG}.xml NODE"
`

// TestDrafts runs what each era's submit.py writes as jobs of a real Slurm: draft, installation, slurm_run.sh, launcher, pytest.
func TestDrafts(t *testing.T) {
	t.Parallel()
	cluster, python := services.Slurm(t), treetest.Python(t)
	for _, c := range []struct {
		name, era, id   string
		nodes           int
		perfMode, stage string
		prefix          []string // replacements in the prefix: old, new, …
		draft           string
		env             []string
		state           string // of the job, as sacct has it
		clients         int
		files           []string // below the run's directory
		missing         []string
		log             string // a text in the job's log
	}{
		{name: "v1", era: "v1", id: "disagg_upload-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v1", nodes: 3, state: "COMPLETED|0:0", clients: 1,
			files: []string{"work/gen_server_0.log", "work/ctx_server_0.log", "work/disagg_server.log", "work/install.log"}, log: "Total runtime"},
		{name: "v2", era: "v2", id: "disagg_upload-toy-fp4_8k1k_ctx1_gen1_dep4_gen_only_v2", nodes: 2, state: "COMPLETED|0:0", clients: 1,
			files: []string{"work/gen_server_0.log", "work/ctx_server_0.log"}, log: "Total runtime"},
		{name: "v1, gen_only", era: "v1", id: "disagg_upload-toy-fp4_8k1k_ctx1_gen1_dep4_gen_only_v1", nodes: 1, state: "COMPLETED|0:0", clients: 1,
			missing: []string{"work/ctx_server_0.log"}},
		{name: "v3", era: "v3", id: "disagg_upload-e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX", nodes: 3, state: "COMPLETED|0:0", clients: 2,
			files: []string{"work/install.log", "work/ct_precheck.log", "out/ID/gen_server_0.log", "out/ID/ctx_server_0.log", "out/ID/disagg_server.log"}, log: "Total runtime"},
		{name: "v3, aggregated", era: "v3", id: "aggr_upload-toy_nvfp4_2_nodes-dep8_mtp1", nodes: 2, state: "COMPLETED|0:0", clients: 1, missing: []string{"work/install.log"}},
		{name: "v3, failed test", era: "v3", id: "disagg_upload-gen_only-toy-fp4_1k1k_ctx0_gen1_dep4_noctx", nodes: 1, env: []string{"TREE_FAULTS=assert"},
			state: "CANCELLED by 0|0:0", clients: 1, log: "Error: Benchmark failed"},
		{name: "v3, failed precheck", era: "v3", id: "disagg_upload-gen_only-toy-fp4_1k1k_ctx0_gen1_dep4_noctx", nodes: 1, env: []string{"TREE_FAULTS=ct-precheck"},
			state: "CANCELLED by 0|0:0", files: []string{"work/results-ct-precheck.xml"}, log: "precheck failed"},
		{name: "v3, too few nodes", era: "v3", id: "disagg_upload-e2e-toy-fp4_1k1k_ctx2_gen2_tp2_mtp2", nodes: 3, state: "CANCELLED by 0|0:0", log: "Node slicing needs 4 nodes"},
		{name: "v1, perfMode", era: "v1", id: "disagg_upload-toy-fp4_1k1k_ctx0_gen1_dep4_noctx_v1", nodes: 1, perfMode: "true", state: "CANCELLED by 0|0:0", clients: 1,
			log: "perf_script_test_results.csv does not exist"},
		{name: "v1, reinstalls", era: "v1", id: "disagg_upload-toy-fp4_1k1k_ctx0_gen1_dep4_noctx_v1", nodes: 1, stage: "disagg", state: "COMPLETED|0:0", clients: 1,
			log: "for perf_disagg"},
		{name: "v1, no placeholder", era: "v1", id: "disagg_upload-toy-fp4_1k1k_ctx0_gen1_dep4_noctx_v1", nodes: 1, prefix: []string{"--cov=__PLACEHOLDER_TRTLLM_WHL_PATH__/tensorrt_llm", ""},
			state: "CANCELLED by 0|0:0", log: "does not hold __PLACEHOLDER_TRTLLM_WHL_PATH__"},
		{name: "v1, no coverage file", era: "v1", id: "disagg_upload-toy-fp4_1k1k_ctx0_gen1_dep4_noctx_v1", nodes: 1, prefix: []string{"coverage.rc", "nothing.rc"},
			state: "CANCELLED by 0|0:0", log: "nothing.rc: No such file"},
		{name: "v1, no tarName", era: "v1", id: "disagg_upload-toy-fp4_1k1k_ctx0_gen1_dep4_noctx_v1", nodes: 1, prefix: []string{"export tarName=llm.tar.gz\n", ""},
			state: "CANCELLED by 0|0:0", log: "Failed to install", missing: []string{"work/gen_server_0.log"}},
		{name: "v3, a tree that is not there", era: "v3", id: "aggr_upload-toy_fp4_blackwell-tp2_mtp3", nodes: 1, prefix: []string{"@/resources", "@"},
			state: "CANCELLED by 0|0:0", log: "TensorRT-LLM/src/tests/integration/defs: No such file"},
		{name: "v3, launcher first, nothing runs", era: "v3", id: "disagg_upload-gen_only-toy-fp4_1k1k_ctx0_gen1_dep4_noctx", nodes: 1,
			prefix: []string{"set -Eeuo pipefail\n", "", "LLM_ROOT=TREE TREE/tensorrt_llm/llmapi/trtllm-llmapi-launch", "TREE/tensorrt_llm/llmapi/trtllm-llmapi-launch"},
			state:  "COMPLETED|0:0", log: "Total runtime"},
		{name: "v3, no output directory", era: "v3", id: "disagg_upload-gen_only-toy-fp4_1k1k_ctx0_gen1_dep4_noctx", nodes: 1, prefix: []string{"--output-dir=@/out/", ""},
			state: "FAILED|1:0", log: "mkdir: missing operand"},
		{name: "v3, the disaggregated draft for an aggregated test", era: "v3", id: "aggr_upload-toy_fp4_blackwell-tp2_mtp3", nodes: 1,
			draft: "perf/disaggregated/slurm_launch_draft.sh", state: "FAILED|127:0", log: "command not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tree, out := treetest.Checkout(t, c.era), t.TempDir()
			for _, dir := range []string{"out", "resources/TensorRT-LLM"} {
				if err := os.MkdirAll(filepath.Join(out, dir), 0o777); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(tree, filepath.Join(out, "resources/TensorRT-LLM/src")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(out, "coverage.rc"), []byte("---wheel_path---\n"), 0o666); err != nil {
				t.Fatal(err)
			}
			if text, err := exec.Command("tar", "-czf", filepath.Join(out, "llm.tar.gz"), "-C", out, "coverage.rc").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			node := "perf/test_perf_sanity.py::test_e2e[" + c.id + "]"
			stage, perfMode := "Disagg", "false"
			if c.stage != "" {
				stage = c.stage
			}
			if c.perfMode != "" {
				perfMode = c.perfMode
			}
			prefix := strings.NewReplacer(c.prefix...).Replace(jobPrefix)
			prefix = strings.NewReplacer("NODES", fmt.Sprint(c.nodes), "TASKS", fmt.Sprint(4*c.nodes), "STAGE", stage, "PERFMODE", perfMode, "NODE", node,
				"@", out, "TREE", tree).Replace(prefix)
			draft := c.draft
			if draft == "" && strings.HasPrefix(c.id, "aggr") {
				draft = "perf/aggregated/slurm_launch_draft.sh"
			}
			args := []string{}
			if c.era == "v3" {
				args = []string{"--stage-name", "perf_" + stage}
			}
			got := submission{era: c.era, list: node + "\n", prefix: prefix, draft: draft, args: args, srun: "--container-name=x_${SLURM_JOB_ID}\n--mpi=none\n"}.run(t, tree, python)
			if got.code != 0 {
				t.Fatalf("submit.py: %d: %s", got.code, got.reason)
			}
			env := treetest.Environ(python, append([]string{"SLURM_CONF=" + cluster.Conf(), "TREE_DRAFT_MPI=none", "TREE_DRAFT_SLEEP=0", "TREE_DRAFT_SETTLE=0", "TREE_RUN_SLEEP=0",
				"TREE_INSTALL_SLEEP=0.1"}, c.env...)...)
			slurm := func(argv ...string) string {
				t.Helper()
				command := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
				command.Env, command.Dir = env, out
				answer, err := command.Output()
				if err != nil {
					t.Fatalf("%q: %v", argv, err)
				}
				return strings.TrimSpace(string(answer))
			}
			job := slurm("sbatch", "--parsable", "--time=2", got.path)
			state := ""
			for running := true; running; {
				// sbatch --wait would look every ten seconds only.
				time.Sleep(200 * time.Millisecond)
				state = slurm("sacct", "-nXP", "-o", "State,ExitCode", "-j", job)
				running = state == "" || strings.HasPrefix(state, "PENDING") || strings.HasPrefix(state, "RUNNING")
			}
			log, _ := os.ReadFile(filepath.Join(out, "slurm_"+job+".log"))
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("job %s:\n%s", job, log)
				}
			})
			if state != c.state {
				t.Errorf("the job is %s, want %s", state, c.state)
			}
			if !strings.Contains(string(log), c.log) {
				t.Errorf("the job's log does not hold %q", c.log)
			}
			for _, name := range slices.Concat(c.files, c.missing) {
				_, err := os.Stat(filepath.Join(out, strings.ReplaceAll(name, "ID", c.id)))
				if (err == nil) != slices.Contains(c.files, name) {
					t.Errorf("%s: %v", name, err)
				}
			}
			var results []*parse.Result
			for r := range run.Read(t.Context(), []string{filepath.Join(out, "out")}, run.Options{Table: parse.Metrics(), ConfigDir: tree}) {
				results = append(results, r.Results...)
			}
			if len(results) != c.clients {
				t.Errorf("%d results, want %d", len(results), c.clients)
			}
		})
	}
}
