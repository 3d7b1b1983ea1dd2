package run_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/run"
)

// Device step times come from the harness's rows where it has appended them, else from the workers' logs; the printed numbers are the
// same.
func TestDeviceSteps(t *testing.T) {
	names := []string{"mean", "median", "std", "p75", "p99"}
	appended := readAll(t, run.Options{}, filepath.Join(runs, "disagg-gen-only")).Results[0]
	computed := readAll(t, run.Options{}, filepath.Join(runs, "disagg-gen-only-computed")).Results[0]
	for _, name := range names {
		name += "_gen_worker_per_iter_device_step_time"
		a, c := appended.Metrics.Get(name), computed.Metrics.Get(name)
		if a.Text == "" || a.Computed || a.Line == 0 || c.Text == "" || !c.Computed {
			t.Errorf("%s: appended %+v, computed %+v", name, a, c)
		}
	}
	if v := computed.Metrics.Get("mean_gen_worker_per_iter_device_step_time"); v.Text != "7.30" {
		t.Errorf("computed %+v", v)
	}
	const line = "iter = %, global_rank = 0, num_scheduled_requests = 1, prev_device_step_time = 7.5ms, states = {'num_generation_tokens': 8}\n"
	steps := strings.ReplaceAll(line, "%", "5") + strings.ReplaceAll(line, "%", "6")
	for name, c := range map[string]struct{ files, says string }{
		"one client":  {"-- disagg-gen_only-k/trtllm-benchmark.0.0.log --\nBLOCK1\n-- disagg-gen_only-k/gen_server_0.log --\n" + steps, ""},
		"two workers": {"-- disagg-gen_only-k/trtllm-benchmark.0.0.log --\nBLOCK1\n-- disagg-gen_only-k/gen_server_0.log --\n" + steps + "-- disagg-gen_only-k/gen_server_1.log --\nnothing\n", ""},
		"two clients": {"-- disagg-gen_only-k/trtllm-benchmark.0.0.log --\nBLOCK1\n-- disagg-gen_only-k/trtllm-benchmark.0.1.log --\nBLOCK2\n-- disagg-gen_only-k/gen_server_0.log --\n" + steps,
			"which of several clients"},
		"no usable row": {"-- disagg-gen_only-k/trtllm-benchmark.0.0.log --\nBLOCK1\n-- disagg-gen_only-k/gen_server_0.log --\nnothing\n", "hold no usable one"},
		"not gen_only":  {"-- disagg-e2e-k/trtllm-benchmark.0.0.log --\nBLOCK1\n-- disagg-e2e-k/gen_server_0.log --\n" + steps, "no"},
	} {
		t.Run(name, func(t *testing.T) {
			got := readAll(t, run.Options{}, files(t, c.files))
			said := ""
			for _, d := range got.Diagnostics {
				if d.Code == run.DeviceStepUnread {
					said = d.Message
				}
			}
			v, ok := got.Results[0].Metrics.Lookup("mean_gen_worker_per_iter_device_step_time")
			if ok != (c.says == "") || ok && v.Value != 7.5 || c.says != "no" && !strings.Contains(said, c.says) || c.says == "no" && said != "" {
				t.Errorf("%+v, says %q", v, said)
			}
		})
	}
}

// Expressions of the user's own look into the servers' logs; a log whose name tells its server counts for that server's clients.
func TestServerLogMetrics(t *testing.T) {
	dir := files(t, "-- aggr-k/trtllm-benchmark.0.0.log --\nBLOCK1\n-- aggr-k/trtllm-benchmark.1.0.log --\nBLOCK2\n"+
		"-- aggr-k/trtllm-serve.0.log --\nPeak memory: 70.5 GiB\nPeak memory: 71.25 GiB\n-- aggr-k/trtllm-serve.1.log --\nPeak memory: 60 GiB\n")
	table, err := parse.Metrics().With([]parse.Metric{{Name: "peak", Expr: regexp.MustCompile(`Peak memory: ([\d.]+) GiB`), Direction: parse.SmallerBetter,
		Place: parse.InServerLog, Aggregate: parse.Max, Unit: "GiB"}})
	if err != nil {
		t.Fatal(err)
	}
	found := map[int][]string{}
	for r := range run.Read(context.Background(), []string{dir}, run.Options{Table: table}) {
		for _, x := range r.Results {
			found[*x.Server.Index] = append(found[*x.Server.Index], x.Metrics.Get("peak").Text)
		}
	}
	if strings.Join(found[0], " ") != "71.25" || strings.Join(found[1], " ") != "60" {
		t.Errorf("%v", found)
	}
}

// How long the servers took to start, the longest of each role.
func TestStartup(t *testing.T) {
	got := readAll(t, run.Options{}, files(t, "-- disagg-e2e-k/trtllm-benchmark.0.0.log --\nBLOCK1\n-- disagg-e2e-k/startup_metrics.0.json --\n"+
		`[{"role": "CTX_0", "metrics": {"total_model_loading_seconds": 12.50, "else": 3}}, {"role": "CTX_1", "metrics": {"total_model_loading_seconds": 14.25}},`+
		`{"role": "GEN_0", "metrics": {"draft_model_weight_population_seconds": 2}}, {"role": "GEN_1", "error": "timeout"}]`+"\n"))
	m := got.Results[0].Metrics
	if m.Get("ctx_total_model_loading_seconds") != (parse.Value{Value: 14.25, Text: "14.25", Unit: "s", Computed: true}) ||
		m.Get("gen_draft_model_weight_population_seconds").Value != 2 || len(got.Skipped) != 0 {
		t.Errorf("%+v, skipped %v", m, got.Skipped)
	}
	broken := readAll(t, run.Options{}, files(t, "-- aggr-k/trtllm-benchmark.0.0.log --\nBLOCK1\n-- aggr-k/startup_metrics.0.json --\n[{\n"))
	if broken.Inputs.Failed != 1 || len(broken.Results) != 1 || !broken.Results[0].Valid() {
		t.Errorf("%+v", broken.Inputs)
	}
}

// How the servers loaded their checkpoints, as their logs say; a log that does not is skipped as ever.
func TestCheckpoints(t *testing.T) {
	line := func(requested, activated string) string {
		return "[08/23/2026-01:02:03] [TRT-LLM] [I] Checkpoint I/O policy: requested=" + requested + ", selected=direct, activated=" + activated +
			", effective=direct, fallback_reason=none.\n"
	}
	tree := "-- disagg-e2e-k/trtllm-benchmark.0.0.log --\nBLOCK1\n" +
		"-- disagg-e2e-k/ctx_server_0.log --\n" + strings.Repeat("starting\n", 20_000) + line("auto", "True") + line("direct", "False") + "Checkpoint I/O policy: requested=x\n" +
		"-- disagg-e2e-k/ctx_server_1.log --\n" + strings.TrimSuffix(line("auto", "True"), "\n") + "\n" +
		"-- disagg-e2e-k/gen_server_0.log --\n" + line("posix", "False") +
		"-- disagg-e2e-k/gen_server_1.log --\nnothing\n" +
		"-- disagg-e2e-k/disagg_server.log --\n" + line("other", "True")
	want := []parse.CheckpointIO{
		{Role: "ctx", Requested: []string{"auto", "direct"}, Selected: []string{"direct"}, Effective: []string{"direct"}, Statuses: 3, Activated: 2},
		{Role: "gen", Requested: []string{"posix"}, Selected: []string{"direct"}, Effective: []string{"direct"}, Statuses: 1},
	}
	dir := files(t, tree)
	packed := filepath.Join(t.TempDir(), "run.tar")
	if out, err := exec.Command("tar", "-C", dir, "-cf", packed, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, path := range []string{dir, packed} {
		got := readAll(t, run.Options{}, path)
		if !reflect.DeepEqual(got.Results[0].Checkpoints, want) {
			t.Errorf("%s: %+v", path, got.Results[0].Checkpoints)
		}
		if len(got.Skipped) != 2 || got.Inputs.Failed != 0 {
			t.Errorf("%s: skipped %v, %+v", path, got.Skipped, got.Inputs)
		}
	}
}
