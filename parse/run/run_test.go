package run_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/run"
)

const runs = "../../testdata/runs"

// readAll reads paths and joins the runs found.
func readAll(t *testing.T, opt run.Options, paths ...string) *run.Run {
	t.Helper()
	opt.Table = parse.Metrics()
	all := &run.Run{}
	for r := range run.Read(context.Background(), paths, opt) {
		all.Results = append(all.Results, r.Results...)
		all.FailedTests = append(all.FailedTests, r.FailedTests...)
		all.Skipped = append(all.Skipped, r.Skipped...)
		all.Diagnostics = append(all.Diagnostics, r.Diagnostics...)
		all.Found += r.Found
		all.Blocks += r.Blocks
		all.Stray += r.Stray
		all.Inputs.Read += r.Inputs.Read
		all.Inputs.Skipped += r.Inputs.Skipped
		all.Inputs.Failed += r.Inputs.Failed
		all.Inputs.OtherShards += r.Inputs.OtherShards
	}
	if n := all.Inputs.Total(); n != all.Found {
		t.Errorf("%d inputs found, %d accounted for", all.Found, n)
	}
	places := all.Stray
	for _, r := range all.Results {
		places += 1 + len(r.AlsoIn)
	}
	if places != all.Blocks {
		t.Errorf("%d blocks, %d accounted for", all.Blocks, places)
	}
	return all
}

// brief is a Result in one line: indices, names, status with reasons, and the output token throughput.
func brief(r *parse.Result) string {
	at := func(i *int) string {
		if i == nil {
			return "-"
		}
		return fmt.Sprint(*i)
	}
	var codes []string
	for _, reason := range r.Reasons {
		codes = append(codes, string(reason.Code))
	}
	return strings.TrimSpace(fmt.Sprintf("%s.%s %s/%s %s %s %s", at(r.Server.Index), at(r.Client.Index), r.Server.Name, r.Client.Name, r.Status,
		r.Metrics.Get("token_throughput").Text, strings.Join(codes, ",")))
}

func TestRunDirectories(t *testing.T) {
	for _, c := range []struct {
		dir     string
		mode    parse.Mode
		test    string
		results []string
		failed  []parse.Code // of the failed test
		also    int          // further places of the results
		stray   int
	}{
		{dir: "single-agg", mode: parse.SingleAgg, results: []string{
			"0.0 tp4_1k1k/con8_iter10_1k1k valid 1006.76", "0.1 tp4_1k1k/con16_iter10_isl1024_osl1024 valid 1731.56"}},
		{dir: "multi-agg", mode: parse.MultiAgg, results: []string{
			"0.0 dep8_mtp1_1k1k/con512_iter2_1k1k valid 7328.60", "1.0 tep8_mtp3_1k1k/con2_iter10_1k1k valid 286.59",
			"1.1 tep8_mtp3_1k1k/con4_iter10_1k1k valid 512.45"}},
		{dir: "disagg-e2e", mode: parse.Disagg, results: []string{
			"0.0 e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX/con8_iter10_isl1024_osl1024 valid 1129.78",
			"0.1 e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX/con16_iter10_isl1024_osl1024 valid 1969.47"}},
		{dir: "disagg-gen-only", mode: parse.Disagg, results: []string{
			"0.0 gen_only-toy-fp4_8k1k_ctx1_gen1_dep8_bs64_eplb0_mtp0_ccb-UCX/con64_iter1_isl8192_osl1024 valid 3303.23"}},
		{dir: "disagg-gen-only-computed", mode: parse.Disagg, results: []string{
			"0.0 gen_only-toy-fp4_8k1k_ctx1_gen1_dep8_bs64_eplb0_mtp0_ccb-UCX/con64_iter1_isl8192_osl1024 valid 3273.53"}},
		{dir: "disagg-va", mode: parse.Disagg, results: []string{"0.0 toy-fp4_1k1k_ctx1_gen1_tp8_va/con4_iter8_isl1024_osl1024 valid 784.49",
			"0.1 toy-fp4_1k1k_ctx1_gen1_tp8_va/con8_iter8_isl1024_osl1024 valid 1393.49"}},
		{dir: "disagg-vb", mode: parse.Disagg, results: []string{
			"0.0 e2e-toy-fp4_1k1k_ctx1_gen1_tp8_vb/con4_iter10_isl1024_osl1024 valid 783.77"}},
		{dir: "disagg-no-benchmark", failed: []parse.Code{parse.NoBenchmark}},
		{dir: "failed-requests", mode: parse.SingleAgg, results: []string{
			"0.0 tp4_1k1k/con8_iter5_1k1k failed 775.24 failed-requests,junit-failure"}, failed: []parse.Code{parse.JUnitFailure}},
		{dir: "junit-failure", mode: parse.SingleAgg, results: []string{"0.0 tp4_1k1k/con8_iter10_1k1k failed 1003.92 junit-failure"},
			failed: []parse.Code{parse.JUnitFailure}},
		{dir: "no-upload", mode: parse.SingleAgg, results: []string{"0.0 tp4_1k1k/con8_iter10_1k1k valid 1005.89"}},
		{dir: "sa-client", mode: parse.SingleAgg, results: []string{"0.0 tp4_1k1k/con8_iter10_1k1k valid 998.66"}},
		{dir: "lost", mode: parse.SingleAgg, results: []string{"0.0 tp4_1k1k/con8_iter10_1k1k failed 950.32 lost-requests"}},
		{dir: "custom-prefix", mode: parse.Disagg, results: []string{
			"0.0 e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX/con8_iter10_isl1024_osl1024 valid 1124.04"}},
		{dir: "accuracy-only", mode: parse.SingleAgg, results: []string{"0.0 tp4_1k1k/con8_iter10_1k1k valid 1000.00"}},
		{dir: "duplicated-client-log", mode: parse.SingleAgg, also: 1, results: []string{
			"0.0 tp4_1k1k/con8_iter10_1k1k failed 1009.49 missing-results"}, failed: []parse.Code{parse.MissingResults}},
		{dir: "ambiguous", mode: parse.SingleAgg, results: []string{"0.0 tp4_1k1k/con8_iter10_1k1k failed 1002.57 ambiguous",
			"0.0 tp4_1k1k/con8_iter10_1k1k failed 983.43 ambiguous"}},
	} {
		t.Run(c.dir, func(t *testing.T) {
			got := readAll(t, run.Options{}, filepath.Join(runs, c.dir))
			var results []string
			also := 0
			for _, r := range got.Results {
				results = append(results, brief(r))
				also += len(r.AlsoIn)
				if r.Mode != c.mode || r.Role != parse.Benchmark || r.Labels.Framework != "TensorRT-LLM" {
					t.Errorf("mode %s, role %s, framework %s", r.Mode, r.Role, r.Labels.Framework)
				}
			}
			if !slices.Equal(results, c.results) {
				t.Errorf("results:\n%s\nwant:\n%s", strings.Join(results, "\n"), strings.Join(c.results, "\n"))
			}
			var failed []parse.Code
			for _, f := range got.FailedTests {
				for _, reason := range f.Reasons {
					failed = append(failed, reason.Code)
				}
			}
			if !slices.Equal(failed, c.failed) || also != c.also || got.Stray != c.stray {
				t.Errorf("failed tests %v, %d further places, %d stray blocks", failed, also, got.Stray)
			}
			if got.Inputs.Failed > 0 {
				t.Errorf("inputs %+v", got.Inputs)
			}
			for _, d := range got.Diagnostics {
				if d.Severity != parse.Error {
					t.Log(d)
				}
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	got := readAll(t, run.Options{}, filepath.Join(dir, "absent.log"))
	if got.Inputs.Failed != 1 || len(got.Diagnostics) != 1 || got.Diagnostics[0].Code != run.Unreadable {
		t.Errorf("got %+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "core"), []byte("\x7fELF\x00\x01"), 0o644); err != nil {
		t.Fatal(err)
	}
	got = readAll(t, run.Options{}, dir)
	if got.Inputs.Skipped != 1 || !strings.Contains(got.Skipped[0].Reason, "program") {
		t.Errorf("got %+v", got)
	}
}
