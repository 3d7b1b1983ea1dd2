package treetest_test

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/launch/treetest"
)

// The eras of the launch scripts, each with a disaggregated configuration of its own.
var eras = map[string]struct {
	submit, draft, folder, config, genOnly, noContext string
}{
	"v1": {"perf/disaggregated/submit.py", "perf/disaggregated/slurm_launch_draft.sh", "tests/integration/defs/perf/disagg/test_configs/disagg/perf",
		"toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v1", "toy-fp4_8k1k_ctx1_gen1_dep4_gen_only_v1", "toy-fp4_1k1k_ctx0_gen1_dep4_noctx_v1"},
	"v2": {"perf/disaggregated/submit.py", "perf/disaggregated/slurm_launch_draft.sh", "tests/integration/defs/perf/disagg/test_configs/disagg/perf-sanity",
		"toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v2", "toy-fp4_8k1k_ctx1_gen1_dep4_gen_only_v2", "toy-fp4_1k1k_ctx0_gen1_dep4_noctx_v2"},
	"v2-566e0e05": {"perf/disaggregated/submit.py", "perf/disaggregated/slurm_launch_draft.sh", "tests/integration/defs/perf/disagg/test_configs/disagg/perf-sanity",
		"toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v2", "toy-fp4_8k1k_ctx1_gen1_dep4_gen_only_v2", "toy-fp4_1k1k_ctx0_gen1_dep4_noctx_v2"},
	"v3-1a43c7d6": {"perf/submit.py", "perf/disaggregated/slurm_launch_draft.sh", "tests/scripts/perf-sanity/disaggregated",
		"toy-fp4_1k1k_ctx2_gen2_tp2_mtp2", "toy-fp4_8k1k_ctx1_gen1_dep4_bs8_eplb0_mtp0_ccb-UCX", "toy-fp4_1k1k_ctx0_gen1_dep4_noctx"},
	"v3": {"perf/submit.py", "perf/disaggregated/slurm_launch_draft.sh", "tests/scripts/perf-sanity/disaggregated",
		"toy-fp4_1k1k_ctx2_gen2_tp2_mtp2", "toy-fp4_8k1k_ctx1_gen1_dep4_bs8_eplb0_mtp0_ccb-UCX", "toy-fp4_1k1k_ctx0_gen1_dep4_noctx"},
}

var (
	older1and2 = []string{"v1", "v2", "v2-566e0e05"}
	newer3     = []string{"v3-1a43c7d6", "v3"}
	allEras    = slices.Concat(older1and2, newer3)
)

// submission is one call of a submit.py.
type submission struct {
	era     string
	list    string   // the test list's text; S, G and N in it stand for the era's configurations
	yaml    []string // replacements in the configuration S: old, new, …
	prefix  string   // the prefix's text; empty for a good one
	args    []string // further arguments
	without string   // an option to leave out
	env     []string
	draft   string // another draft
	remove  string // a file of the checkout to remove first
	srun    string // the srun arguments' text; empty for some
}

// submitted is what came of it.
type submitted struct {
	code   int
	reason string // the last line of standard error
	stdout string
	script string // empty where none was written
	dir    string // of the checkout
	path   string
}

const goodPrefix = `#!/bin/bash
#SBATCH --nodes=3

set -Eeuo pipefail
export jobWorkspace=@/work
export llmSrcNode=@
export stageName="perf_Disagg"
export pytestCommand="LLM_ROOT=@ COLUMNS=300 @/tensorrt_llm/llmapi/trtllm-llmapi-launch pytest -vv --timeout=3600 --output-dir=@/out --csv=@/out/report.csv --junit-xml=@/out/results.xml perf/test_perf_sanity.py::test_e2e[x]"
if true; then
    export inner=1
fi
`

func (s submission) run(t *testing.T, tree, python string) submitted {
	t.Helper()
	e := eras[s.era]
	dir := t.TempDir()
	name := func(text string) string {
		for key, config := range map[string]string{"S": e.config, "G": e.genOnly, "N": e.noContext} {
			text = strings.ReplaceAll(text, "{"+key+"}", config)
		}
		return text
	}
	write := func(file, text string) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if len(s.yaml) > 0 || s.remove != "" {
		private := filepath.Join(dir, "tree")
		if out, err := exec.Command("cp", "-RL", tree, private).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		tree = private
	}
	if s.remove != "" {
		if err := os.Remove(filepath.Join(tree, s.remove)); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.yaml) > 0 {
		path := filepath.Join(tree, e.folder, e.config+".yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := string(text)
		if s.yaml[0] == "" {
			changed = s.yaml[1]
		} else {
			for i := 0; i < len(s.yaml); i += 2 {
				before, _, found := strings.Cut(changed, s.yaml[i])
				if !found {
					t.Fatalf("%q is not in the configuration", s.yaml[i])
				}
				changed = before + s.yaml[i+1] + changed[len(before)+len(s.yaml[i]):]
			}
		}
		if err := os.WriteFile(path, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	prefix := s.prefix
	if prefix == "" {
		prefix = goodPrefix
	}
	draft := e.draft
	if s.draft != "" {
		draft = s.draft
	}
	result := submitted{dir: tree, path: filepath.Join(dir, "launch.sh")}
	options := []string{
		"--llm-src", tree, "--test-list", write("list.txt", name(s.list)), "--draft-launch-sh", filepath.Join(tree, "jenkins/scripts", draft),
		"--launch-sh", result.path, "--run-sh", filepath.Join(tree, "jenkins/scripts/slurm_run.sh"),
		"--install-sh", filepath.Join(tree, "jenkins/scripts/slurm_install.sh"), "--script-prefix", write("prefix.sh", strings.ReplaceAll(prefix, "@", tree)),
		"--srun-args", write("args.txt", cmp.Or(s.srun, "--container-name=x_${SLURM_JOB_ID}\n--mpi=pmix\n--with blank\n")),
	}
	if i := slices.Index(options, s.without); s.without != "" && i >= 0 {
		options = slices.Delete(options, i, i+2)
	}
	command := exec.Command(filepath.Join(python, "python3"), slices.Concat([]string{filepath.Join(tree, "jenkins/scripts", e.submit)}, options, s.args)...)
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	command.Env = treetest.Environ(python, s.env...)
	if err := command.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	result.code, result.stdout, result.reason = command.ProcessState.ExitCode(), stdout.String(), lines[len(lines)-1]
	if text, err := os.ReadFile(result.path); err == nil {
		result.script = string(text)
	}
	return result
}

// checkouts makes one checkout for each era.
func checkouts(t *testing.T) (python string, trees map[string]string) {
	t.Helper()
	python, trees = treetest.Python(t), map[string]string{}
	for era := range eras {
		trees[era] = treetest.Checkout(t, era)
	}
	return python, trees
}

// TestSubmitRefusals walks through ids, lists, configurations and options, and wants each era's submit.py to refuse what the real one refuses.
func TestSubmitRefusals(t *testing.T) {
	t.Parallel()
	const ok = ""
	all := func(want string) map[string]string {
		m := map[string]string{}
		for _, era := range allEras {
			m[era] = want
		}
		return m
	}
	split := func(old, new string) map[string]string {
		m := map[string]string{}
		for _, era := range older1and2 {
			m[era] = old
		}
		for _, era := range newer3 {
			m[era] = new
		}
		return m
	}
	id := func(id string) submission {
		return submission{list: "perf/test_perf_sanity.py::test_e2e[" + id + "]\n"}
	}
	// good is an id of the configuration S that its era takes.
	good := func(era string) string {
		if strings.HasPrefix(era, "v3") {
			return "disagg_upload-e2e-{S}"
		}
		return "disagg_upload-{S}"
	}
	python, trees := checkouts(t)
	for name, c := range map[string]struct {
		submission
		want map[string]string // how the last line of standard error begins; "2" for exit code 2
	}{
		"disagg_upload-S":         {id("disagg_upload-{S}"), split(ok, "ValueError")},
		"disagg_custom-S":         {id("disagg_custom-{S}"), split(ok, "ValueError")},
		"x_disagg-S":              {id("x_disagg-{S}"), split(ok, "ValueError")},
		"disagg-e2e-S":            {id("disagg-e2e-{S}"), split("FileNotFoundError", ok)},
		"disagg_custom-e2e-S":     {id("disagg_custom-e2e-{S}"), split("FileNotFoundError", ok)},
		"custom_test-S":           {id("custom_test-{S}"), all("ValueError")},
		"-S":                      {id("-{S}"), all("ValueError")},
		"S":                       {id("{S}"), all("ValueError")},
		"Disagg-e2e-S":            {id("Disagg-e2e-{S}"), all("ValueError")},
		"a dash in the prefix":    {id("disagg-x-{S}"), split("FileNotFoundError", "ValueError")},
		"ctx_only":                {id("aggr_upload-ctx_only-{S}"), split("ValueError", ok)},
		"one server":              {id("my_aggr-toy_fp4_blackwell-tp4_1k1k"), split("ValueError", ok)},
		"a server with a dash":    {id("aggr-toy_nvfp4_2_nodes-tep8-sa"), split("ValueError", ok)},
		"no server":               {id("aggr-toy_fp4_blackwell"), all("ValueError")},
		"two servers":             {id("aggr-toy_fp4_blackwell-tp4_1k1k,tp2_mtp3"), all("ValueError")},
		"no configuration":        {id("disagg-e2e-nothing"), all("FileNotFoundError")},
		"no configuration, old":   {id("disagg-nothing"), split("FileNotFoundError", "ValueError")},
		"gen_only":                {id("disagg-{G}"), split(ok, "ValueError")},
		"gen_only, mode":          {id("disagg-gen_only-{G}"), split("FileNotFoundError", ok)},
		"unknown option":          {submission{list: "x[GOOD]", args: []string{"--nothing"}}, all("2")},
		"--run-ci":                {submission{list: "x[GOOD]", args: []string{"--run-ci"}}, split(ok, "2")},
		"--config-yaml":           {submission{list: "x[GOOD]", args: []string{"--config-yaml", ""}}, split(ok, "2")},
		"--split-group":           {submission{list: "x[GOOD]", args: []string{"--split-group", "1"}}, split("2", ok)},
		"--split-group 0":         {submission{list: "\nx[GOOD]", args: []string{"--split-group", "0"}}, split("2", ok)},
		"--split-group -1":        {submission{list: "\nx[GOOD]", args: []string{"--split-group=-1"}}, split("2", ok)},
		"--split-group 2":         {submission{list: "what\n\nx[GOOD]", args: []string{"--split-group", "2"}}, split("2", ok)},
		"--split-group too large": {submission{list: "x[GOOD]", args: []string{"--split-group", "2"}}, split("2", "ValueError")},
		"without --run-sh":        {submission{list: "x[GOOD]", without: "--run-sh"}, all("2")},
		"without --install-sh":    {submission{list: "x[GOOD]", without: "--install-sh"}, all("2")},
		"without --draft":         {submission{list: "x[GOOD]", without: "--draft-launch-sh"}, all("2")},
		"without --launch-sh":     {submission{list: "x[GOOD]", without: "--launch-sh"}, all("2")},
		"without --llm-src":       {submission{list: "x[GOOD]", without: "--llm-src"}, split("FileNotFoundError", "2")},
		"without --test-list":     {submission{list: "x[GOOD]", without: "--test-list"}, split("FileNotFoundError", "2")},
		"without --script-prefix": {submission{list: "x[GOOD]", without: "--script-prefix"}, split("FileNotFoundError", "2")},
		"without --srun-args":     {submission{list: "x[GOOD]", without: "--srun-args"}, split("FileNotFoundError", "2")},
		"blank line first":        {submission{list: "\nx[GOOD]\n"}, split("ValueError", ok)},
		"comment first":           {submission{list: "# text\nx[GOOD]\n"}, all("ValueError")},
		"empty list":              {submission{list: ""}, all("ValueError")},
		"CRLF":                    {submission{list: "x[GOOD]\r\n"}, all(ok)},
		"BOM":                     {submission{list: "\ufeffx[GOOD]\n"}, all(ok)},
		"TIMEOUT":                 {submission{list: "x[GOOD] TIMEOUT (90)\n"}, all(ok)},
		"full:":                   {submission{list: "full:GB200/x[GOOD]\n"}, all(ok)},
		"last bracket counts":     {submission{list: "x[what] y[GOOD]\n"}, all(ok)},
		"bracket in a reason":     {submission{list: "x[GOOD] SKIP (bug [x-y])\n"}, all("ValueError")},
		"no gpus_per_node":        {submission{list: "x[GOOD]", yaml: []string{"  gpus_per_node: 4\n", ""}}, all("ValueError")},
		"gpus_per_node 0":         {submission{list: "x[GOOD]", yaml: []string{"gpus_per_node: 4", "gpus_per_node: 0"}}, all("ZeroDivisionError")},
		"gpus_per_node a text":    {submission{list: "x[GOOD]", yaml: []string{"gpus_per_node: 4", "gpus_per_node: '4'"}}, all("TypeError")},
		"empty configuration":     {submission{list: "x[GOOD]", yaml: []string{"", ""}}, all("AttributeError")},
		"empty environment": {submission{list: "x[GOOD]", yaml: []string{"  worker_env_var: \"TLLM_LOG_LEVEL=INFO TRTLLM_ENABLE_PDL=1\"\n", "",
			"  server_env_var: \"TRTLLM_SERVER_DISABLE_GC=1\"\n", ""}}, split("AttributeError", ok)},
		"three concurrencies": {submission{list: "x[GOOD]", yaml: []string{"concurrency_list: ", "concurrency_list: '1 2 4' #"}}, all("ValueError")},
		"empty concurrency":   {submission{list: "x[GOOD]", yaml: []string{"concurrency_list: ", "concurrency_list: '' #"}}, all("ValueError")},
		"a list":              {submission{list: "x[GOOD]", yaml: []string{"concurrency_list: ", "concurrency_list: [16, 32] #"}}, all(ok)},
		"a list, gen_only": {submission{list: "x[GENONLY]", yaml: []string{"concurrency_list: ", "concurrency_list: [16, 32] #", "mode: e2e", "mode: gen_only"}},
			map[string]string{"v1": ok, "v2": ok, "v2-566e0e05": ok, "v3-1a43c7d6": ok, "v3": "TypeError"}},
		"no gate": {submission{list: "x[GOOD]", remove: "jenkins/scripts/perf/disaggregated/slurm_ct_precheck_gate.sh"}, map[string]string{"v3": "FileNotFoundError"}},
	} {
		for era, want := range c.want {
			if strings.Contains(era, "-") && len(c.want) == len(allEras) && os.Getenv("TRTPERF_SOAK") == "" && !distinct(c.want, era) {
				continue // the era's other form says the same; all are asked where there is time
			}
			t.Run(name+"/"+era, func(t *testing.T) {
				s := c.submission
				s.era = era
				s.list = strings.ReplaceAll(s.list, "GOOD", good(era))
				s.list = strings.ReplaceAll(s.list, "GENONLY", strings.Replace(good(era), "e2e", "gen_only", 1))
				got := s.run(t, trees[era], python)
				code := 1
				switch want {
				case ok:
					code = 0
				case "2":
					code, want = 2, ""
				}
				if got.code != code || !strings.HasPrefix(got.reason, want) || (got.script != "") != (code == 0) {
					t.Errorf("exit code %d, %q, script of %d bytes; want %d, %q", got.code, got.reason, len(got.script), code, want)
				}
			})
		}
	}
}

// distinct reports whether an era's answer is not the one of its newest form, such as v3 of v3-1a43c7d6.
func distinct(want map[string]string, era string) bool {
	newest, _, _ := strings.Cut(era, "-")
	return want[era] != want[newest]
}

// values sources the exports of a job script, up to its srun arguments, and returns those of some variables.
func (s submitted) values(t *testing.T, names ...string) map[string]string {
	t.Helper()
	head, _, found := strings.Cut(s.script, "\nsrunArgs=(")
	if !found {
		t.Fatalf("no srunArgs in\n%s", s.script)
	}
	probe := "set +eu\n" + strings.ReplaceAll(head, "set -Eeuo pipefail", "") + "\n"
	for _, name := range names {
		probe += `printf '%s\0' "$` + name + "\"\n"
	}
	out, err := exec.Command("bash", "-c", probe).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, head)
	}
	values := map[string]string{}
	for i, v := range strings.Split(string(out), "\x00") {
		if i < len(names) {
			values[names[i]] = strings.ReplaceAll(v, s.dir, "@")
		}
	}
	return values
}

// syntax reports whether bash takes the script.
func (s submitted) syntax() bool { return exec.Command("bash", "-n", s.path).Run() == nil }

// TestSubmitScripts looks at the job scripts that each era's submit.py writes.
func TestSubmitScripts(t *testing.T) {
	t.Parallel()
	python, trees := checkouts(t)
	const (
		full     = "LLM_ROOT=@ COLUMNS=300 pytest -vv --timeout=3600 --output-dir=@/out --csv=@/out/report.csv --junit-xml=@/out/results.xml perf/test_perf_sanity.py::test_e2e[x]"
		stripped = "LLM_ROOT=@ COLUMNS=300 pytest -vv --timeout=3600 --output-dir=@/out --junit-xml=@/out/results.xml perf/test_perf_sanity.py::test_e2e[x]"
		launcher = "COLUMNS=300 @/tensorrt_llm/llmapi/trtllm-llmapi-launch pytest"
		env      = "TLLM_LOG_LEVEL=INFO TRTLLM_ENABLE_PDL=1"
		caches   = "FLASHINFER_JIT_DIR=/tmp/flashinfer_jit_cache HF_HOME=/tmp/hf_home"
		router   = "TRTLLM_SERVER_DISABLE_GC=1 "
		overlap  = "TRTLLM_DISABLE_KV_CACHE_TRANSFER_OVERLAP=1 "
	)
	launched := func(command string) string { return strings.Replace(command, "COLUMNS=300 pytest", launcher, 1) }
	for _, c := range []struct {
		name string
		submission
		want map[string]string
		not  string // a text that the script must not hold
	}{
		{"v1", submission{era: "v1", list: "x[disagg_upload-{S}]"}, map[string]string{
			"pytestCommandNoLLMAPILaunch": full, "pytestCommandWorker": "unset UCX_TLS && " + env + " " + launched(full),
			"pytestCommandDisaggServer": router + full, "pytestCommandBenchmark": " " + full,
			"runScript": "@/jenkins/scripts/slurm_run.sh", "installScript": "@/jenkins/scripts/slurm_install.sh", "configYamlPath": "",
			"numCtxServers": "1", "numGenServers": "1", "gpusPerNode": "4", "gpusPerCtxServer": "4", "gpusPerGenServer": "8", "nodesPerCtxServer": "1", "nodesPerGenServer": "2",
			"totalNodes": "3", "totalGpus": "12", "TRTLLM_DISAGG_BENCHMARK_GEN_ONLY": "", "inner": "1"}, "partial"},
		{"v1, gen_only", submission{era: "v1", list: "x[disagg_upload-{G}]"}, map[string]string{"numCtxServers": "0", "totalNodes": "1", "totalGpus": "4",
			"TRTLLM_DISAGG_BENCHMARK_GEN_ONLY": "1", "pytestCommandWorker": "unset UCX_TLS && " + overlap + "TLLM_BENCHMARK_REQ_QUEUES_SIZE=8 " + env + " " + launched(full)}, "partial"},
		{"v2", submission{era: "v2", list: "x[disagg_upload-{S}]"}, map[string]string{
			"partialPytestCommandWorker": launched(stripped), "partialPytestCommandDisaggServer": stripped, "partialPytestCommandBenchmark": full,
			"pytestCommandWorker": "unset UCX_TLS && " + env + " " + launched(stripped), "pytestCommandDisaggServer": router + stripped, "pytestCommandBenchmark": " " + full,
			"gpusPerfNodePerfCtxServer": "4", "gpusPerfNodePerfGenServer": "4", "nodesPerGenServer": "2", "totalNodes": "3",
			"configYamlPath": "@/tests/integration/defs/perf/disagg/test_configs/disagg/perf-sanity/toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v2.yaml"}, "NoLLMAPILaunch"},
		{"v2, gen_only keeps context servers", submission{era: "v2", list: "x[disagg_upload-{G}]"}, map[string]string{"numCtxServers": "1", "totalNodes": "2",
			"TRTLLM_DISAGG_BENCHMARK_GEN_ONLY": ""}, "export TRTLLM_DISAGG_BENCHMARK_GEN_ONLY"},
		{"v2, no context", submission{era: "v2", list: "x[disagg_upload-{N}]"}, map[string]string{"numCtxServers": "0", "totalNodes": "1", "TRTLLM_DISAGG_BENCHMARK_GEN_ONLY": "1"}, ""},
		{"v2 upstream, gen_only", submission{era: "v2-566e0e05", list: "x[disagg_upload-{G}]"}, map[string]string{"numCtxServers": "0", "totalNodes": "1",
			"TRTLLM_DISAGG_BENCHMARK_GEN_ONLY": "1"}, ""},
		{"v3", submission{era: "v3", list: "x[disagg_upload-e2e-{S}]", args: []string{"--stage-name", "GB200-Disagg-1"}}, map[string]string{
			"pytestCommandCTXWorker": "unset UCX_TLS && " + caches + " " + env + "  " + launched(stripped), "pytestCommandGENWorker": "unset UCX_TLS && " + caches + " " + env + "  " + launched(stripped),
			"pytestCommandDisaggServer": router + stripped, "pytestCommandBenchmark": " " + full, "gpusPerNodePerCtxServer": "2", "gpusPerNodePerGenServer": "2",
			"numCtxServers": "2", "numGenServers": "2", "nodesPerCtxServer": "1", "nodesPerGenServer": "1", "totalNodes": "4", "totalGpus": "16",
			"testOutputDir": "@/out/disagg_upload-e2e-toy-fp4_1k1k_ctx2_gen2_tp2_mtp2", "TRTLLM_DISAGG_CT_PRECHECK": "1", "stageName": "GB200-Disagg-1", "inner": "1"}, "\n    export"},
		{"v3, no stage name", submission{era: "v3", list: "x[disagg-e2e-{S}]"}, map[string]string{"stageName": ""}, ""},
		{"v3 first, stage name stays", submission{era: "v3-1a43c7d6", list: "x[disagg-e2e-{S}]"}, map[string]string{"stageName": "perf_Disagg"}, "precheck"},
		{"v3, GB300", submission{era: "v3", list: "x[disagg-e2e-{S}]", args: []string{"--stage-name", "GB300"}}, map[string]string{
			"pytestCommandCTXWorker": "export UCX_TLS=rc,cuda_copy,cuda_ipc,sm,self && " + caches + " " + env + "  " + launched(stripped)}, ""},
		{"v3, B200", submission{era: "v3", list: "x[disagg-e2e-{S}]", args: []string{"--stage-name", "B200"}}, map[string]string{
			"pytestCommandCTXWorker": "export UCX_TLS=^ib && " + caches + " " + env + "  " + launched(stripped)}, ""},
		{"v3, gen_only", submission{era: "v3", list: "x[disagg-gen_only-{G}]"}, map[string]string{"numCtxServers": "1", "totalNodes": "2", "TRTLLM_DISAGG_BENCHMARK_GEN_ONLY": "",
			"pytestCommandCTXWorker": "unset UCX_TLS && " + overlap + caches + " " + env + "  " + launched(stripped),
			"pytestCommandGENWorker": "unset UCX_TLS && " + overlap + "TLLM_BENCHMARK_REQ_QUEUES_SIZE=8 " + caches + " " + env + "  " + launched(stripped)}, ""},
		{"v3, queue cap", submission{era: "v3", list: "x[disagg-gen_only-{S}]", yaml: []string{"concurrency_list: ", "concurrency_list: 1000 #"}}, map[string]string{
			"pytestCommandGENWorker": "unset UCX_TLS && " + overlap + "TLLM_BENCHMARK_REQ_QUEUES_SIZE=96 " + caches + " " + env + "  " + launched(stripped)}, ""},
		{"v3, e2e of a gen_only configuration", submission{era: "v3", list: "x[disagg-e2e-{N}]"}, map[string]string{"numCtxServers": "1", "TRTLLM_DISAGG_BENCHMARK_GEN_ONLY": ""}, ""},
		{"v3, no context", submission{era: "v3", list: "x[disagg-gen_only-{N}]"}, map[string]string{"numCtxServers": "0", "totalNodes": "1", "TRTLLM_DISAGG_BENCHMARK_GEN_ONLY": "1"}, ""},
		{"v3, worker environments", submission{era: "v3", list: "x[disagg-e2e-{S}]", yaml: []string{"environment:\n", "environment:\n  ctx_worker_env_var: A=1\n  gen_worker_env_var: B=2\n"}},
			map[string]string{"pytestCommandCTXWorker": "unset UCX_TLS && " + caches + " " + env + " A=1 " + launched(stripped),
				"pytestCommandGENWorker": "unset UCX_TLS && " + caches + " " + env + " B=2 " + launched(stripped)}, ""},
		{"v3 first, worker environments", submission{era: "v3-1a43c7d6", list: "x[disagg-e2e-{S}]", yaml: []string{"environment:\n", "environment:\n  ctx_worker_env_var: A=1\n"}},
			map[string]string{"pytestCommandCTXWorker": "unset UCX_TLS && " + caches + " " + env + " " + launched(stripped)}, "A=1"},
		{"v3, precheck off", submission{era: "v3", list: "x[disagg-e2e-{S}]", yaml: []string{"slurm:\n", "cache_transceiver_precheck: {enabled: false}\nslurm:\n"}},
			map[string]string{"TRTLLM_DISAGG_CT_PRECHECK": "0"}, ""},
		{"v3, precheck on by the environment", submission{era: "v3", list: "x[disagg-e2e-{S}]", env: []string{"TRTLLM_DISAGG_CT_PRECHECK=1"},
			yaml: []string{"slurm:\n", "cache_transceiver_precheck: {enabled: false}\nslurm:\n"}}, map[string]string{"TRTLLM_DISAGG_CT_PRECHECK": "1"}, ""},
		{"v3, precheck off by an empty variable", submission{era: "v3", list: "x[disagg-e2e-{S}]", env: []string{"TRTLLM_DISAGG_CT_PRECHECK="}},
			map[string]string{"TRTLLM_DISAGG_CT_PRECHECK": "0"}, ""},
		{"v3, the guide's short command", submission{era: "v3", list: "x[disagg-e2e-{S}]", prefix: "export pytestCommand=\"pytest x[y] -vv --junit-xml=/w/results.xml\"\n"},
			map[string]string{"testOutputDir": "", "pytestCommandBenchmark": " pytest x[y] -vv --junit-xml=/w/results.xml"}, ""},
		{"v3, aggregated", submission{era: "v3", list: "x[aggr_upload-toy_nvfp4_2_nodes-dep8_mtp1]", draft: "perf/aggregated/slurm_launch_draft.sh"}, map[string]string{
			"partialPytestCommand": launched(full), "pytestCommand": " " + launched(full), "totalNodes": "2", "totalGpus": "8", "gpusPerNodePerServer": "4",
			"stageName": "perf_Disagg"}, "precheck"},
		{"v3, world_size", submission{era: "v3", list: "x[aggr-ctx_only-{S}]", draft: "perf/aggregated/slurm_launch_draft.sh", yaml: []string{"  ctx:\n", "  ctx:\n    world_size: 6\n"}},
			map[string]string{"totalNodes": "2", "totalGpus": "8", "gpusPerNodePerServer": "4"}, ""},
		// What a launcher must not trip over.
		{"only the first export, commented or not", submission{era: "v1", list: "x[disagg-{S}]", prefix: "# export pytestCommand=\"old\"\nexport pytestCommand=\"A=1 pytest x\"\n"},
			map[string]string{"pytestCommandNoLLMAPILaunch": ""}, ""},
		{"a path with the variable's name", submission{era: "v2", list: "x[disagg-{S}]", prefix: "export pytestCommand=\"A=1 pytest --x=/pytestCommand/y n\"\n"},
			map[string]string{"partialPytestCommandBenchmark": "A=1 pytest --x=/partialPytestCommandBenchmark/y n"}, ""},
		{"a bare flag swallows the node id", submission{era: "v2", list: "x[disagg-{S}]", prefix: "export pytestCommand=\"A=1 pytest --periodic-junit x[y] -q\"\n"},
			map[string]string{"partialPytestCommandWorker": "A=1 pytest -q", "partialPytestCommandDisaggServer": "A=1 pytest -q", "partialPytestCommandBenchmark": "A=1 pytest --periodic-junit x[y] -q"}, ""},
		{"any word with --cov", submission{era: "v3", list: "x[disagg-e2e-{S}]", prefix: "export pytestCommand=\"A=1 pytest --no--cov=1 x[y]  -q\"\n"},
			map[string]string{"partialPytestCommandWorker": "A=1 pytest x[y] -q", "partialPytestCommandBenchmark": "A=1 pytest --no--cov=1 x[y] -q"}, ""},
		{"no word pytest", submission{era: "v2", list: "x[disagg-{S}]", prefix: "export pytestCommand=\"A=1 /bin/pytest --csv=x y\"\n"},
			map[string]string{"partialPytestCommandWorker": "A=1 /bin/pytest --csv=x y"}, ""},
		{"a file for each role", submission{era: "v3", list: "x[disagg-e2e-{S}]", prefix: "export pytestCommand=\"A=1 pytest --junit-xml=/w/results.\\${DISAGG_SERVING_TYPE:-AGG}.xml x\"\n"},
			map[string]string{"pytestCommandBenchmark": " A=1 pytest --junit-xml=/w/results.${DISAGG_SERVING_TYPE:-AGG}.xml x"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.run(t, trees[c.era], python)
			if got.code != 0 {
				t.Fatalf("exit code %d: %s", got.code, got.reason)
			}
			var names []string
			for name := range c.want {
				names = append(names, name)
			}
			for name, value := range got.values(t, names...) {
				if value != c.want[name] {
					t.Errorf("%s is\n%q, want\n%q", name, value, c.want[name])
				}
			}
			if c.not != "" && strings.Contains(got.script, c.not) {
				t.Errorf("the script holds %q", c.not)
			}
		})
	}
}

// TestSubmitHazards shows what a syntax check does and does not find, and what the files look like.
func TestSubmitHazards(t *testing.T) {
	t.Parallel()
	python, trees := checkouts(t)
	launcherFirst := "export pytestCommand=\"/x/trtllm-llmapi-launch pytest x[y] --junit-xml=/w/results.xml\"\n"
	droppedLast := "export pytestCommand=\"A=1 pytest x[y] --csv=/w/report.csv\"\n"
	list := map[string]string{"v1": "x[disagg-{S}]", "v2": "x[disagg-{S}]", "v3": "x[disagg-e2e-{S}]"}
	for _, c := range []struct {
		name, era, prefix string
		syntax            bool
		role, holds       string // a role's variable, and whether it still has pytest in it
	}{
		{"launcher first", "v1", launcherFirst, false, "", ""},
		{"launcher first", "v2", launcherFirst, true, "pytestCommandBenchmark", ""},
		{"launcher first", "v3", launcherFirst, true, "pytestCommandBenchmark", ""},
		{"continued", "v1", "export pytestCommand=\"A=1 pytest\\\n x\"\n", false, "", ""},
		{"dropped last", "v1", droppedLast, true, "pytestCommandBenchmark", "pytest x[y]"},
		{"dropped last", "v2", droppedLast, true, "pytestCommandDisaggServer", ""},
		{"dropped last", "v3", droppedLast, true, "pytestCommandDisaggServer", ""},
	} {
		t.Run(c.name+"/"+c.era, func(t *testing.T) {
			got := submission{era: c.era, list: list[c.era], prefix: c.prefix}.run(t, trees[c.era], python)
			if got.code != 0 || got.syntax() != c.syntax {
				t.Fatalf("exit code %d, bash -n says %v:\n%s", got.code, got.syntax(), got.script)
			}
			if c.role == "" {
				return
			}
			if value := got.values(t, c.role)[c.role]; strings.Contains(value, "pytest x[y]") != (c.holds != "") {
				t.Errorf("%s is %q", c.role, value)
			}
		})
	}
	for era := range list {
		t.Run("file/"+era, func(t *testing.T) {
			got := submission{era: era, list: list[era]}.run(t, trees[era], python)
			info, err := os.Stat(got.path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm()&0o111 != 0 {
				t.Errorf("mode %v", info.Mode())
			}
			// v2 of the fork keeps the prefix, and what is in it, to itself.
			if printed := strings.Contains(got.stdout, "export jobWorkspace"); printed != (era != "v2") || !strings.Contains(got.stdout, got.path) {
				t.Errorf("printed:\n%s", got.stdout)
			}
			if !got.syntax() {
				t.Error("bash refuses the script")
			}
			_, args, _ := strings.Cut(got.script, "\nsrunArgs=(\n")
			args, draft, _ := strings.Cut(args, "\n)\n")
			const want = "  \"--container-name=x_${SLURM_JOB_ID}\"\n  \"--mpi=pmix\"\n  \"--with\"\n  \"blank\"\n  \"--container-env=DISAGG_SERVING_TYPE\"\n  \"--container-env=pytestCommand\""
			if args != want {
				t.Errorf("srunArgs\n%s", args)
			}
			// Blank lines and indentation stay in v1 and v2 and go in v3.
			if indented := strings.Contains(draft, "\n    scancel $SLURM_JOB_ID\n    exit 1\n}\n\n"); indented != (era != "v3") {
				t.Errorf("draft\n%s", draft)
			}
			if kept := strings.HasPrefix(got.script, "#!/bin/bash\n#SBATCH --nodes=3\n\nset"); kept != (era != "v3") {
				t.Errorf("script\n%s", got.script)
			}
			if gate := strings.Index(draft, "run_ct_precheck() {"); (gate >= 0) != (era == "v3") {
				t.Errorf("gate at %d", gate)
			}
		})
	}
	t.Run("a quote in the environment ends the export", func(t *testing.T) {
		got := submission{era: "v3", list: list["v3"], yaml: []string{"server_env_var: \"TRTLLM_SERVER_DISABLE_GC=1\"", "server_env_var: 'A=\"b c\"'"}}.run(t, trees["v3"], python)
		if got.code != 0 || exec.Command("bash", "-c", "set -e\n"+strings.Split(got.script, "\nexport runScript")[0]).Run() == nil {
			t.Errorf("exit code %d; the exports passed", got.code)
		}
	})
	t.Run("an old script stays", func(t *testing.T) {
		s := submission{era: "v1", list: "x[nothing]"}
		got := s.run(t, trees["v1"], python)
		if got.code != 1 || got.script != "" {
			t.Errorf("exit code %d, script %q", got.code, got.script)
		}
	})
}
