package run_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/run"
)

const rule = "=================================================="

// block is a complete block; n makes its numbers differ.
func block(n int) string {
	return fmt.Sprintf(`============ Serving Benchmark Result ============
Total requests:                          40
Successful requests:                     40
Failed requests:                         0
Benchmark duration (s):                  12.35
Total input tokens:                      40960
Total generated tokens:                  40960
Request throughput (req/s):              %[1]d.24
Output token throughput (tok/s):         3317.94
Total Token throughput (tok/s):          6635.88
User throughput (tok/s):                 829.49
Mean TTFT (ms):                          55.50
Median TTFT (ms):                        54.39
P99 TTFT (ms):                           83.25
Mean TPOT (ms):                          1.10
Median TPOT (ms):                        1.08
P99 TPOT (ms):                           1.65
Mean ITL (ms):                           11.70
Median ITL (ms):                         11.47
P99 ITL (ms):                            17.55
Mean E2EL (ms):                          1234.50
Median E2EL (ms):                        1209.81
P99 E2EL (ms):                           1851.75
%[2]s
`, n, rule)
}

// files writes a txtar archive's files, with BLOCK<n> replaced by a block, and returns their directory.
func files(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		text := string(f.Data)
		for n := range 5 {
			text = strings.ReplaceAll(text, fmt.Sprintf("BLOCK%d\n", n), block(n))
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	xmlHead = `<testsuites><testsuite name="pytest" timestamp="2026-11-23T10:00:00+00:00">`
	xmlTail = `</testsuite></testsuites>`
	config  = `
server_configs:
  - name: s
    tensor_parallel_size: 4
    client_configs:
      - {name: c0, concurrency: 8, iterations: 5}
      - {name: c1, concurrency: 16, iterations: 5}
`
)

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		files        string
		results      []string // index, names, status, throughput, reasons
		failed       []parse.Code
		codes        []string // of diagnostics, without notes
		also         int
		stray        int
		failedInputs int
	}{
		"results.xml alone": {
			files:   "-- results.xml --\n" + xmlHead + "<testcase name=\"test_e2e[aggr_upload-k-s]\"><system-out>\nBLOCK1\n</system-out></testcase>" + xmlTail,
			results: []string{"-.- / valid 3317.94"}},
		"results.xml alone, failed, with the block": {
			files:   "-- results.xml --\n" + xmlHead + "<testcase name=\"test_e2e[aggr_upload-k-s]\"><failure message=\"boom\"/><system-out>\nBLOCK1\n</system-out></testcase>" + xmlTail,
			results: []string{"-.- / failed 3317.94 junit-failure"}, failed: []parse.Code{parse.JUnitFailure}},
		"results.xml alone, failed, without a block": {
			files:  "-- results.xml --\n" + xmlHead + "<testcase name=\"test_e2e[aggr_upload-k-s]\"><error message=\"boom\"/></testcase>" + xmlTail,
			failed: []parse.Code{parse.JUnitFailure}},
		"results.xml ends inside the test": {
			files:   "-- results.xml --\n" + xmlHead + "<testcase name=\"test_e2e[aggr_upload-k-s]\"><system-out>\nBLOCK1\n",
			results: []string{"-.- / failed 3317.94 run-died"}, failed: []parse.Code{parse.RunDied}, codes: []string{run.BadXML}, failedInputs: 1},
		"results.xml of a worker": {
			files: "-- results.xml --\n" + xmlHead + "<testcase name=\"test_e2e[disagg-e2e-k]\"><system-out>Disagg serving type is GEN_0, skipping perf result parsing\nBLOCK1\n</system-out></testcase>" + xmlTail,
			codes: []string{run.StrayBlock}, stray: 1},
		"client logs before results.xml": {
			files: "-- aggr-k/k.yaml --" + config + "-- aggr-k/trtllm-benchmark.0.0.log --\nBLOCK1\n-- aggr-k/trtllm-benchmark.0.1.log --\nBLOCK2\n" +
				"-- results.xml --\n" + xmlHead + "<testcase name=\"test_e2e[aggr-k]\"><system-out>\nBLOCK1\nBLOCK3\n</system-out></testcase>" + xmlTail,
			results: []string{"0.0 s/c0 valid 3317.94", "0.1 s/c1 valid 3317.94"}, also: 1, stray: 1, codes: []string{run.StrayBlock}},
		"results.xml where there is no client log": {
			files: "-- k.yaml --" + config + "-- aggr-k/trtllm-serve.0.log --\nserver\n-- results.xml --\n" + xmlHead +
				"<testcase name=\"test_e2e[aggr-k]\"><system-out>\nBLOCK1\nBLOCK2\n</system-out></testcase>" + xmlTail,
			results: []string{"0.0 s/c0 valid 3317.94", "0.1 s/c1 valid 3317.94"}},
		"more blocks in results.xml than clients": {
			files: "-- k.yaml --" + config + "-- aggr-k/trtllm-serve.0.log --\nserver\n-- results.xml --\n" + xmlHead +
				"<testcase name=\"test_e2e[aggr-k]\"><system-out>\nBLOCK1\nBLOCK2\nBLOCK3\n</system-out></testcase>" + xmlTail,
			results: []string{"-.- / failed 3317.94 ambiguous", "-.- / failed 3317.94 ambiguous", "-.- / failed 3317.94 ambiguous"}},
		"the job's log where nothing else is": {
			files:   "-- k.yaml --" + config + "-- aggr-k/trtllm-serve.0.log --\nserver\n-- slurm-1.out --\nBLOCK1\nBLOCK2\n",
			results: []string{"0.0 s/c0 valid 3317.94", "0.1 s/c1 valid 3317.94"}},
		"a client without a result": {
			files:   "-- k.yaml --" + config + "-- aggr-k/trtllm-benchmark.0.0.log --\nBLOCK1\n",
			results: []string{"0.0 s/c0 failed 3317.94 missing-results"}, failed: []parse.Code{parse.MissingResults}},
		"a client that died": {
			files:   "-- k.yaml --" + config + "-- aggr-k/trtllm-benchmark.0.0.log --\nBLOCK1\n-- aggr-k/trtllm-benchmark.0.1.log --\nSegmentation fault (core dumped)\n",
			results: []string{"0.0 s/c0 failed 3317.94 missing-results"}, failed: []parse.Code{parse.MissingResults}, codes: []string{run.NoBlock}},
		"a run without any result": {
			files:  "-- aggr-k/trtllm-serve.0.log --\nserver\n",
			failed: []parse.Code{parse.MissingResults}},
		"a cut log": {
			files:   "-- aggr-k/trtllm-benchmark.0.0.log --\n" + strings.TrimSuffix(block(1), rule+"\n") + "\n",
			results: []string{"0.0 / failed 3317.94 truncated"}},
		"a missing base metric": {
			files:   "-- aggr-k/trtllm-benchmark.0.0.log --\n" + strings.Replace(block(1), "P99 ITL", "P98 ITL", 1),
			results: []string{"0.0 / failed 3317.94 missing-metric"}},
		"a value that is no number": {
			files:   "-- aggr-k/trtllm-benchmark.0.0.log --\n" + strings.Replace(block(1), "17.55", "nan", 1),
			results: []string{"0.0 / failed 3317.94 missing-metric"}, codes: []string{parse.NotANumber}},
		"unfinished": {
			files:   "-- unfinished_test.txt --\nperf/test_perf_sanity.py::test_e2e[aggr-k]\n-- aggr-k/trtllm-benchmark.0.0.log --\nBLOCK1\n",
			results: []string{"0.0 / failed 3317.94 run-died"}, failed: []parse.Code{parse.RunDied}},
		"a sweep in a log of its own": {
			files: "-- sweep.log --\nBLOCK1\nBLOCK2\nBLOCK1\n", results: []string{"-.- / valid 3317.94", "-.- / valid 3317.94"}, also: 1},
		"worker logs around a test": {
			files:   "-- gen_server_0.log --\nx\n-- disagg_server.log --\nBLOCK1\n-- disagg-e2e-k/trtllm-benchmark.0.0.log --\nBLOCK2\n",
			results: []string{"0.0 / valid 3317.94"}},
		"workers' logs in the launch scripts' own directory beside the test": {
			files: "-- results.xml --\n" + xmlHead + "<testcase name=\"test_e2e[disagg-e2e-k]\"/>" + xmlTail +
				"\n-- disagg_workspace/gen_server_0.log --\nx\n-- disagg_workspace/disagg_server.log --\nBLOCK1\n-- disagg-e2e-k/trtllm-benchmark.0.0.log --\nBLOCK2\n",
			results: []string{"0.0 / valid 3317.94"}},
		"two tests in one job": {
			files: "-- results.xml --\n" + xmlHead + "<testcase name=\"test_e2e[aggr-k]\"/><testcase name=\"test_e2e[aggr-l]\"><failure message=\"x\"/></testcase>" + xmlTail +
				"\n-- aggr-k/trtllm-benchmark.0.0.log --\nBLOCK1\n-- aggr-l/trtllm-benchmark.0.0.log --\nBLOCK2\n",
			results: []string{"0.0 / valid 3317.94", "0.0 / failed 3317.94 junit-failure"}, failed: []parse.Code{parse.JUnitFailure}},
		"not JUnit": {files: "-- other.xml --\n<html/>\n"},
		"a YAML with a syntax error": {
			files:   "-- k.yaml --\nserver_configs: [\n  - x\n-- aggr-k/trtllm-benchmark.0.0.log --\nBLOCK1\n",
			results: []string{"0.0 / valid 3317.94"}, codes: []string{run.BadConfig}, failedInputs: 1},
		"a server that the YAML has not got": {
			files:   "-- k.yaml --" + config + "-- aggr-k-other/trtllm-benchmark.0.0.log --\nBLOCK1\n",
			results: []string{"0.0 / valid 3317.94"}, codes: []string{run.BadConfig}},
	} {
		t.Run(name, func(t *testing.T) {
			got := readAll(t, run.Options{}, files(t, c.files))
			var results []string
			also := 0
			for _, r := range got.Results {
				results = append(results, brief(r))
				also += len(r.AlsoIn)
			}
			var failed []parse.Code
			for _, f := range got.FailedTests {
				for _, reason := range f.Reasons {
					failed = append(failed, reason.Code)
				}
			}
			var codes []string
			for _, d := range got.Diagnostics {
				if d.Severity != parse.Info {
					codes = append(codes, d.Code)
				}
			}
			if !slices.Equal(results, c.results) || !slices.Equal(failed, c.failed) || !slices.Equal(codes, c.codes) || also != c.also ||
				got.Stray != c.stray || got.Inputs.Failed != c.failedInputs {
				t.Errorf("results %q, failed %v, diagnostics %v, %d further places, %d stray, inputs %+v", results, failed, got.Diagnostics, also, got.Stray, got.Inputs)
			}
		})
	}
}

// The same test in the results.xml of two runs stays two tests, also where both files are given themselves.
func TestTwoRunsOfOneTest(t *testing.T) {
	one := xmlHead + "<testcase name=\"test_e2e[aggr-k]\"><failure message=\"boom\"/><system-out>\nBLOCK1\n</system-out></testcase>" + xmlTail
	two := xmlHead + "<testcase name=\"test_e2e[aggr-k]\"><system-out>\nBLOCK2\n</system-out></testcase>" + xmlTail
	dir := files(t, "-- a/results.xml --\n"+one+"\n-- b/results.xml --\n"+two+"\n")
	for _, paths := range [][]string{{dir}, {filepath.Join(dir, "a", "results.xml"), filepath.Join(dir, "b", "results.xml")}} {
		got := readAll(t, run.Options{}, paths...)
		if len(got.Results) != 2 || got.Results[0].Valid() == got.Results[1].Valid() || len(got.FailedTests) != 1 {
			t.Errorf("%v: %+v", paths, got.Results)
		}
	}
}

func TestSystem(t *testing.T) {
	dir := files(t, `
-- session_properties.csv --
username,start_timestamp,hostname,ip,nvidia_driver_version,nvidia_device_count,os_properties,cpu_properties,gpu_properties,cuda_version,end_timestamp
,2025-05-22 07:19:59,n1,,575.57.05,1,"{'os_name': 'posix', 'name': 'Ubuntu', 'version': '24.04'}","{'cpu_count': 32, 'product_name': 'EPYC'}","{'device_product_name': 'NVIDIA H100 PCIe', 'pci_device_id': 590418142}",12.9,2025-05-22 07:24:13
-- gpu_monitoring.csv --
gpu_id,timestamp,gpu_clock__MHz,memory_clock__MHz
0,x,1755,1593
0,x,1755,1593
0,x,345,1593
-- aggr-k/trtperf-system.BENCHMARK.json --
{"gpu": "NVIDIA B200", "driver": "580.1"}
-- aggr-k/trtllm-benchmark.0.0.log --
BLOCK1
`)
	system := parse.System{CUDA: "13.0"}
	got := readAll(t, run.Options{System: system, Ended: time.Unix(1, 0).UTC()}, dir)
	if len(got.Results) != 1 {
		t.Fatalf("got %+v", got)
	}
	r := got.Results[0]
	s := r.System
	if s.GPU != "B200" || s.Driver != "580.1" || s.CUDA != "13.0" || s.OS != "Ubuntu 24.04" || s.CPU != "EPYC" || s.Host != "n1" || *s.GPUCount != 1 ||
		*s.SMClockMHz != 1755 || *s.MemClockMHz != 1593 {
		t.Errorf("got %+v", s)
	}
	if r.StartedAt.Format(time.DateTime) != "2025-05-22 07:19:59" || r.EndedAt != time.Unix(1, 0).UTC() {
		t.Errorf("from %v to %v", r.StartedAt, r.EndedAt)
	}
	if got := readAll(t, run.Options{}, files(t, "-- gpu_monitoring.csv --\n\"never closed\n-- aggr-k/trtllm-benchmark.0.0.log --\nBLOCK1\n")); got.Inputs.Failed != 1 || len(got.Results) != 1 {
		t.Errorf("a broken system file: %+v", got)
	}
}

func TestPrecision(t *testing.T) {
	for id, want := range map[string]string{
		"aggr-llama_fp8_x": "fp8", "aggr-k-tp4_nvfp4-2": "nvfp4", "aggr-k_fp4-a_fp8": "", "aggr-kfp8": "", "disagg-e2e-deepseek-r1-fp4_1k1k": "fp4",
	} {
		got := readAll(t, run.Options{}, files(t, "-- "+id+"/trtllm-benchmark.0.0.log --\nBLOCK1\n"))
		if len(got.Results) != 1 || got.Results[0].Labels.Precision != want {
			t.Errorf("%s: %q, want %q", id, got.Results[0].Labels.Precision, want)
		}
	}
}
