package parse

import (
	"slices"
	"strings"
	"testing"
)

func TestParseTestID(t *testing.T) {
	for _, c := range []struct {
		text                            string
		suite                           Suite
		stage, module, function         string
		prefix, subMode, config, suffix string
		servers                         []string
		upload                          Upload
		mode                            Mode
		aggregated                      bool
	}{
		{text: "aggr_upload-deepseek_r1_fp4_v2_grace_blackwell-r1_fp4_v2_tp4_mtp3_1k1k", suite: PerfSanity, prefix: "aggr_upload",
			config: "deepseek_r1_fp4_v2_grace_blackwell", servers: []string{"r1_fp4_v2_tp4_mtp3_1k1k"}, upload: UploadYes, aggregated: true},
		{text: "aggr-k-a, b", suite: PerfSanity, prefix: "aggr", config: "k", servers: []string{"a", "b"}, upload: UploadNo, aggregated: true},
		{text: "aggr-k", suite: PerfSanity, prefix: "aggr", config: "k", upload: UploadNo, aggregated: true},
		{text: "aggr-k-a-b", suite: PerfSanity, prefix: "aggr", config: "k", servers: []string{"a-b"}, upload: UploadNo, aggregated: true},
		{text: "aggr-ctx_only", suite: PerfSanity, prefix: "aggr", config: "ctx_only", upload: UploadNo, aggregated: true},
		{text: "aggr_upload-ctx_only-deepseek-r1-fp4_x", suite: PerfSanity, prefix: "aggr_upload", subMode: "ctx_only",
			config: "deepseek-r1-fp4_x", upload: UploadYes, aggregated: true},
		{text: "disagg_upload-e2e-deepseek-r1-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX", suite: PerfSanity, prefix: "disagg_upload",
			subMode: "e2e", config: "deepseek-r1-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX", upload: UploadYes, mode: Disagg},
		{text: "disagg-gen_only-k", suite: PerfSanity, prefix: "disagg", subMode: "gen_only", config: "k", upload: UploadNo, mode: Disagg},
		{text: "disagg-e2e_time_breakdown-k.yaml", suite: PerfSanity, prefix: "disagg", subMode: "e2e_time_breakdown", config: "k",
			upload: UploadNo, mode: Disagg},
		{text: "disagg-e2e-time_breakdown-k", suite: PerfSanity, prefix: "disagg", subMode: "e2e_time_breakdown", config: "k",
			upload: UploadNo, mode: Disagg},
		{text: "disagg_upload-deepseek-r1-fp4_1k1k", suite: PerfSanity, prefix: "disagg_upload", config: "deepseek-r1-fp4_1k1k",
			upload: UploadYes, mode: Disagg},
		{text: "perf/test_perf_enhanced.py::test_e2e_enhanced[custom_test-e2e-k-1]", suite: PerfSanity, module: "perf/test_perf_enhanced.py",
			function: "test_e2e_enhanced", prefix: "custom_test", subMode: "e2e", config: "k-1", upload: UploadNo},
		{text: "test_e2e[disagg_custom-k]", suite: PerfSanity, function: "test_e2e", prefix: "disagg_custom", config: "k", upload: UploadNo,
			mode: Disagg},
		{text: "H100_PCIe-PyTorch-Perf-1/perf/test_perf.py::test_perf_metric_build_time[llama_v3.1_8b-bench-bfloat16-maxbs:512-input_output_len:128,128]",
			suite: PerfMetric, stage: "H100_PCIe-PyTorch-Perf-1", module: "perf/test_perf.py", function: "test_perf_metric_build_time"},
		{text: "full:GB200/tests/integration/defs/perf/test_perf_sanity.py::test_e2e[aggr-k]", suite: PerfSanity, stage: "full:GB200",
			module: "tests/integration/defs/perf/test_perf_sanity.py", function: "test_e2e", prefix: "aggr", config: "k", upload: UploadNo,
			aggregated: true},
		{text: "test_benchmark[disagg_perf_file:deepseek-r1-fp4_015_8k1k_dep:16_bs:64_mtp:0_ccbackend:UCX]_con:1075", suite: DisaggQA,
			function: "test_benchmark", config: "deepseek-r1-fp4_015_8k1k_dep:16_bs:64_mtp:0_ccbackend:UCX", suffix: "_con:1075", mode: Disagg},
		{text: "run-1", suite: OtherSuite},
		{text: "logs", suite: OtherSuite},
		{text: "test_other[a b]", suite: OtherSuite, function: "test_other"},
	} {
		t.Run(c.text, func(t *testing.T) {
			id, err := ParseTestID(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if id.String() != c.text {
				t.Errorf("prints back %q", id)
			}
			if id.Suite != c.suite || id.Stage != c.stage || id.Module != c.module || id.Function != c.function || id.Prefix != c.prefix ||
				id.SubMode != c.subMode || id.Config != c.config || id.Suffix != c.suffix || id.Upload != c.upload || id.Mode() != c.mode ||
				id.Aggregated() != c.aggregated || !slices.Equal(id.Servers, c.servers) {
				t.Errorf("got %+v, want %+v", id, c)
			}
		})
	}
	id, _ := ParseTestID("test_benchmark[disagg_perf_file:x]-con-8")
	if id.Concurrency == nil || *id.Concurrency != 8 {
		t.Errorf("the older suffix gives no concurrency: %+v", id)
	}
}

func TestParseTestIDErrors(t *testing.T) {
	for _, text := range []string{"", "disagg_upload-", "aggr-.yaml"} {
		if id, err := ParseTestID(text); err == nil {
			t.Errorf("%q: no error, got %+v", text, id)
		}
	}
}

func FuzzParseTestID(f *testing.F) {
	for _, s := range []string{"aggr-k-a,b", "perf/x.py::test_e2e[disagg-e2e-k]", "[]", "a[b]c", "disagg_perf_file:", "test[disagg-e2e]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseTestID(s)
		if err == nil && id.String() != s {
			t.Errorf("%q prints back %q", s, id)
		}
		var back TestID
		text, _ := id.MarshalText()
		if back.UnmarshalText(text) != nil || back.String() != id.String() {
			t.Errorf("%q does not survive as text", s)
		}
	})
}

func TestSelecting(t *testing.T) {
	for text, want := range map[string]string{
		"test_x[custom_test-k-a]":          "k a",
		"test_x[custom_test-k-a-b, c]":     "k a-b c",
		"test_x[custom_test-k]":            "",
		"test_x[custom_test-k-]":           "",
		"test_x[custom_test-e2e-k-a]":      "",
		"test_x[custom_test-ctx_only-k-a]": "",
		"test_x[disagg_custom-k-a]":        "",
		"aggr_upload-k-a":                  "",
		"k-a":                              "",
	} {
		id, err := ParseTestID(text)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if selecting, ok := id.Selecting(); ok {
			got = strings.Join(append([]string{selecting.Config}, selecting.Servers...), " ")
			if !selecting.SameTest(id) || selecting.String() != text {
				t.Errorf("%s became %s", text, selecting)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
