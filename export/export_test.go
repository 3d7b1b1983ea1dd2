package export_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trtperf/trtperf/export"
	"github.com/trtperf/trtperf/parse"
)

// guideHeader is the header of a complete block without speculative decoding, as the guide prints it.
const guideHeader = "network,batchsize,precision,framework,command,seq_throughput,throughput__qps,total_token_throughput,user_throughput," +
	"mean_ttft__ms,median_ttft__ms,p99_ttft__ms,mean_tpot,median_tpot,p99_tpot,mean_itl,median_itl,p99_itl,mean_e2el__ms,median_e2el__ms,p99_e2el__ms"

const rowsHeader = "network_name,network_hash,sm_clk,mem_clk,gpu_idx,device_subtype,perf_case_name,test_name,original_test_name,perf_metric," +
	"total_time__sec,start_timestamp,end_timestamp,state,command,threshold,absolute_threshold,metric_type"

// base gives each base metric its own value, so that two columns that are swapped show.
var base = []struct{ label, text string }{
	{"Request throughput (req/s)", "1.01"}, {"Output token throughput (tok/s)", "1.02"}, {"Total Token throughput (tok/s)", "1.03"},
	{"User throughput (tok/s)", "1.04"}, {"Mean TTFT (ms)", "1.05"}, {"Median TTFT (ms)", "1.06"}, {"P99 TTFT (ms)", "1.07"},
	{"Mean TPOT (ms)", "1.08"}, {"Median TPOT (ms)", "1.09"}, {"P99 TPOT (ms)", "1.10"}, {"Mean ITL (ms)", "1.11"}, {"Median ITL (ms)", "1.12"},
	{"P99 ITL (ms)", "1.13"}, {"Mean E2EL (ms)", "1.14"}, {"Median E2EL (ms)", "1.15"}, {"P99 E2EL (ms)", "1.16"},
}

// result makes a Result; more are label and text of further rows.
func result(test string, server, client, concurrency int, more ...string) *parse.Result {
	r := &parse.Result{
		Mode: parse.SingleAgg, Role: parse.Benchmark, Server: parse.Server{Index: &server, Name: fmt.Sprintf("s%d", server)},
		Client: parse.Client{Index: &client, Name: fmt.Sprintf("con%d", concurrency), Concurrency: &concurrency},
		Labels: parse.Labels{Network: fmt.Sprintf("s%d", server), Precision: "fp4", Framework: "TensorRT-LLM",
			Command: fmt.Sprintf("aggr_s%d_con%d", server, concurrency)},
		Source: parse.Source{File: fmt.Sprintf("run/trtllm-benchmark.%d.%d.log", server, client), Block: 1, Line: 7, EndLine: 40},
	}
	r.TestID, _ = parse.ParseTestID(test)
	r.Rows = append(r.Rows, parse.Row{Label: "Successful requests", Text: strconv.Itoa(40 + client)}, parse.Row{Label: "Benchmark duration (s)", Text: "12.35"})
	for _, b := range base {
		r.Rows = append(r.Rows, parse.Row{Label: b.label, Text: b.text})
	}
	for i := 0; i < len(more); i += 2 {
		r.Rows = append(r.Rows, parse.Row{Label: more[i], Text: more[i+1]})
	}
	parse.Metrics().Measure(r, nil, nil)
	parse.Judge(parse.Metrics(), r, false, false)
	r.ID = parse.Identify(r)
	return r
}

func all() []export.Layout { return []export.Layout{export.Guide, export.MetricRows, export.Full} }

// write writes Results and returns the files' texts by layout.
func write(t *testing.T, results []*parse.Result, opt export.Options) (map[export.Layout]string, *export.Report) {
	t.Helper()
	opt.Table = parse.Metrics()
	if opt.Layouts == nil {
		opt.Layouts = all()
	}
	report, err := export.Write(t.TempDir(), results, opt)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[export.Layout]string{}
	for _, f := range report.Files {
		text, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		texts[f.Layout] = string(text)
	}
	return texts, report
}

// golden compares with a file; TRTPERF_UPDATE=1 writes it anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("TRTPERF_UPDATE") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s\nwant:\n%s", name, got, want)
	}
}

func sample() []*parse.Result {
	clock := 1980.0
	full := result("aggr_upload-k-s0", 0, 1, 16, "Mean Avg Decoded Tokens per Iter", "2.71", "Std Dev TTFT (ms)", "5.55", "P90 ITL (ms)", "0.5")
	full.System = parse.System{GPU: "B200", SMClockMHz: &clock, MemClockMHz: &clock}
	full.StartedAt = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	full.EndedAt = full.StartedAt.Add(90 * time.Second)
	failed := result("aggr_upload-k-s0", 0, 2, 32)
	failed.Fail(parse.FailedRequests, "6 requests failed")
	return []*parse.Result{result("aggr_upload-k-s0", 0, 0, 8), full, failed}
}

func TestGolden(t *testing.T) {
	texts, report := write(t, sample(), export.Options{})
	golden(t, "guide.csv", texts[export.Guide])
	golden(t, "metric-rows.csv", texts[export.MetricRows])
	golden(t, "full.csv", texts[export.Full])
	for i, n := range []int{2, 2, 3} {
		if report.Files[i].Results != n {
			t.Errorf("%s has %d results", report.Files[i].Layout, report.Files[i].Results)
		}
	}
	texts, _ = write(t, sample(), export.Options{IncludeFailed: true})
	if strings.Count(texts[export.MetricRows], ",failed,") != 18 || strings.Contains(texts[export.Guide], ",32,") {
		t.Error("failed results belong into metric-rows and not into guide")
	}
}

// The order of the input does not matter, and nothing is appended.
func TestSameBytes(t *testing.T) {
	var results []*parse.Result
	for server := range 3 {
		for client := range 5 {
			results = append(results, result("aggr_upload-k", server, client, 1<<client))
		}
	}
	want, _ := write(t, results, export.Options{})
	for range 5 {
		rand.Shuffle(len(results), func(i, j int) { results[i], results[j] = results[j], results[i] })
		got, _ := write(t, results, export.Options{})
		for layout, text := range want {
			if got[layout] != text {
				t.Errorf("%s depends on the order", layout)
			}
		}
	}
	dir := t.TempDir()
	for range 2 {
		if _, err := export.Write(dir, results, export.Options{Table: parse.Metrics(), Layouts: all()}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "perf_script_test_results.csv"))
	if err != nil || string(text) != want[export.Guide] {
		t.Errorf("written twice it differs: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".trtperf-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestHeaders(t *testing.T) {
	texts, _ := write(t, []*parse.Result{result("aggr_upload-k-s0", 0, 0, 8)}, export.Options{})
	if head, _, _ := strings.Cut(texts[export.Guide], "\r\n"); head != guideHeader {
		t.Errorf("guide: %s", head)
	}
	if head, _, _ := strings.Cut(texts[export.MetricRows], "\r\n"); head != rowsHeader {
		t.Errorf("metric-rows: %s", head)
	}
	records, err := csv.NewReader(strings.NewReader(texts[export.Guide])).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"s0", "8", "fp4", "TensorRT-LLM", "aggr_s0_con8"}
	for _, b := range base {
		v, _ := strconv.ParseFloat(b.text, 64)
		want = append(want, strconv.FormatFloat(v, 'f', -1, 64))
	}
	if !slices.Equal(records[1], want) {
		t.Errorf("cells %v, want %v", records[1], want)
	}
	with, _ := write(t, sample(), export.Options{})
	if !strings.Contains(with[export.Guide], ",user_throughput,al,mean_ttft__ms,") {
		t.Error("al does not stand behind user_throughput")
	}
	none, _ := write(t, nil, export.Options{})
	if none[export.Guide] != guideHeader+"\r\n" || none[export.MetricRows] != rowsHeader+"\r\n" {
		t.Errorf("without Results: %q", none)
	}
}

func TestParseLayouts(t *testing.T) {
	got, err := export.ParseLayouts("full, guide,full")
	if err != nil || !slices.Equal(got, []export.Layout{export.Full, export.Guide}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := export.ParseLayouts("wide"); err == nil || !strings.Contains(err.Error(), "guide, metric-rows, full") {
		t.Errorf("error %v", err)
	}
}

// imported is one case as trt_perf_parser.py would store it.
type imported struct {
	network, batch, precision string
	fields                    map[string]string
}

// trtPerfParser does what trt_perf_parser.py does with a file, from a description of its rules: which rows it skips, what ends it, how it
// renames networks, infers batch size and precision, and merges rows into cases.
func trtPerfParser(t *testing.T, text string) (cases map[string]imported, kept int) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	cases = map[string]imported{}
	for _, record := range records[1:] {
		cell := map[string]string{}
		for i, name := range records[0] {
			cell[name] = record[i]
		}
		if cell["state"] == "failed" || cell["network_name"] == "" || cell["metric_type"] == "" || cell["perf_metric"] == "" {
			continue
		}
		for _, column := range []string{"perf_metric", "total_time__sec"} {
			if _, err := strconv.ParseFloat(cell[column], 64); err != nil {
				t.Fatalf("%s %q ends the import", column, cell[column])
			}
		}
		network := strings.ReplaceAll(strings.ToLower(cell["network_name"]), "-refit", "")
		if strings.Contains(cell["test_name"], "test_perf_metric") {
			t.Fatalf("%s would be renamed", cell["test_name"])
		}
		if n := len([]rune(cell["network_name"])); n > 150 {
			t.Fatalf("a name of %d characters is refused", n)
		}
		batch := "0"
		for _, pattern := range []string{`(?i)(?:bs:|maxbs:)(\d+)`, `[-_/]bs_(\d+)`, `[-_/]batch_size_(\d+)`, `[-_/]bs(\d+)`, `[-_/]b(\d+)`, `batch(\d+)`} {
			if m := regexp.MustCompile(pattern).FindStringSubmatch(network); m != nil {
				batch = m[1]
				break
			}
		}
		precision := "TF32"
		for _, rule := range []struct{ words, precision string }{
			{"float16 --fp16 -fp16", "FP16"}, {"int8", "INT8"}, {"bfloat16 --bf16 -bf16", "BF16"}, {"float32 --noTF32 -fp32", "FP32"}, {"fp8", "FP8"}, {"fp4", "FP4"},
		} {
			if slices.ContainsFunc(strings.Fields(rule.words), func(w string) bool { return strings.Contains(cell["command"], w) }) {
				precision = rule.precision
				break
			}
		}
		key := strings.Join([]string{network, batch, precision, strings.TrimSpace(cell["command"])}, "\x00")
		c, ok := cases[key]
		if !ok {
			c = imported{network, batch, precision, map[string]string{}}
			cases[key] = c
		}
		if _, twice := c.fields[cell["metric_type"]]; twice {
			t.Errorf("%s merges two clients", cell["network_name"])
		}
		c.fields[cell["metric_type"]] = cell["perf_metric"]
		kept++
	}
	return cases, kept
}

func TestTRTPerfParserReadsIt(t *testing.T) {
	var results []*parse.Result
	metrics := 0
	add := func(r *parse.Result) {
		results = append(results, r)
		metrics += len(r.Metrics)
	}
	for server := range 2 {
		for client, concurrency := range []int{8, 8, 16} { // two clients with one concurrency
			add(result("aggr_upload-k", server, client, concurrency))
		}
	}
	add(result("disagg_upload-e2e-deepseek-r1-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX", 0, 0, 1024))
	add(result("disagg_upload-e2e-"+strings.Repeat("very-long-name_", 20)+"A", 0, 0, 1024))
	add(result("disagg_upload-e2e-"+strings.Repeat("very-long-name_", 20)+"B", 0, 0, 1024))
	add(result("DISAGG_upload-e2e-x", 0, 0, 4))
	add(result("disagg_upload-e2e-x", 0, 1, 4))
	misleading := result("aggr_upload-m_fp8kv-s", 0, 0, 8)
	misleading.Labels.Command, misleading.Labels.Precision, misleading.Labels.Model = "aggr_m_fp8kv_float16", "bfloat16", "llama-int8"
	add(misleading)
	for n := range 2 { // a sweep in a log of no known run
		r := result("", 0, 0, 8)
		r.TestID, r.Server, r.Client = parse.TestID{}, parse.Server{}, parse.Client{}
		r.Source = parse.Source{File: "sweep.log", Block: n + 1}
		add(r)
	}
	texts, report := write(t, results, export.Options{})
	cases, kept := trtPerfParser(t, texts[export.MetricRows])
	if kept != metrics || len(cases) != len(results) {
		t.Errorf("%d of %d metrics are kept, in %d cases of %d clients", kept, metrics, len(cases), len(results))
	}
	for _, c := range cases {
		want := "FP4"
		if strings.Contains(c.network, "m_fp8kv") {
			want = "BF16"
		}
		if c.precision != want {
			t.Errorf("%s gets the precision %s, want %s", c.network, c.precision, want)
		}
		if !strings.Contains(c.network, "sweep") && !regexp.MustCompile(`_con:\d+$`).MatchString(c.network) {
			t.Errorf("%s does not end in the concurrency", c.network)
		}
		if c.fields["TOKEN_THROUGHPUT"] != "1.02" || c.fields["SEQ_THROUGHPUT"] != "1.01" || c.fields["SERVER_MEDIAN_E2EL"] != "1.15" {
			t.Errorf("%s: %v", c.network, c.fields)
		}
	}
	if _, kept := trtPerfParser(t, texts[export.Guide]); kept != 0 {
		t.Errorf("the guide's layout gives %d rows", kept)
	}
	if len(report.Diagnostics) == 0 {
		t.Error("nothing says that the clocks are unknown")
	}
}

func TestLeftOut(t *testing.T) {
	noTime := result("aggr_upload-a-s", 0, 0, 8)
	noTime.Metrics.Delete("benchmark_duration")
	junitTime := result("aggr_upload-b-s", 0, 0, 8)
	junitTime.Metrics.Delete("benchmark_duration")
	seconds := 61.5
	junitTime.TestSeconds = &seconds
	huge := result("aggr_upload-c-s", 0, 0, 8, "Total input tokens", "99999999999")
	texts, report := write(t, []*parse.Result{noTime, junitTime, huge}, export.Options{})
	text := texts[export.MetricRows]
	if strings.Contains(text, "aggr_upload-a") || !strings.Contains(text, ",61.5,") || strings.Contains(text, "TOTAL_INPUT_TOKENS") {
		t.Errorf("rows:\n%s", text)
	}
	n := 0
	for _, d := range report.Diagnostics {
		if d.Severity == parse.Warning && d.Code == export.LeftOut {
			n++
		}
	}
	if n != 2 || !strings.Contains(texts[export.Guide], "s0,8,fp4") {
		t.Errorf("%d left out: %v", n, report.Diagnostics)
	}
}

func TestPerTest(t *testing.T) {
	dir := t.TempDir()
	none := result("", 0, 0, 1)
	none.TestID = parse.TestID{}
	results := []*parse.Result{result("aggr_upload-k-s0", 0, 0, 8), result("test_benchmark[disagg_perf_file:a/b]_con:4", 0, 0, 4),
		result("test_benchmark[disagg_perf_file:a_b]_con:4", 0, 0, 4), result("no-test-id", 0, 0, 4), none}
	report, err := export.Write(dir, results, export.Options{Table: parse.Metrics(), Layouts: []export.Layout{export.Full}, PerTest: true})
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]bool{}
	for _, f := range report.Files {
		folders[filepath.Base(filepath.Dir(f.Path))] = true
	}
	if len(folders) != len(results) || !folders["aggr_upload-k-s0"] || !folders["no-test-id"] {
		t.Errorf("folders %v", folders)
	}
}

// limited runs this test binary again with limits that root does not have or cannot set for itself.
func limited(t *testing.T, dir string, asNobody bool) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "export.test")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, self, 0o755); err != nil {
		t.Fatal(err)
	}
	for up := filepath.Dir(binary); up != "/tmp" && up != "/"; up = filepath.Dir(up) {
		_ = os.Chmod(up, 0o755) // so that another user reaches it
	}
	child := exec.Command(binary, "-test.run=^TestLimitedChild$")
	child.Dir = "/"
	child.Env = append(os.Environ(), "TRTPERF_CHILD_DIR="+dir)
	if asNobody {
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else {
		child.Env = append(child.Env, "TRTPERF_CHILD_FULL=1")
	}
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestLimitedChild(t *testing.T) {
	dir := os.Getenv("TRTPERF_CHILD_DIR")
	if dir == "" {
		t.Skip("runs as a child of the tests of what cannot be written")
	}
	if os.Getenv("TRTPERF_CHILD_FULL") != "" {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100, Max: 100}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := export.Write(dir, sample(), export.Options{Table: parse.Metrics(), Layouts: all()})
	fmt.Printf("error: %v\n", err)
}

func TestCannotWrite(t *testing.T) {
	for name, asNobody := range map[string]bool{"read-only folder": true, "full disk": false} {
		t.Run(name, func(t *testing.T) {
			if asNobody && os.Getuid() != 0 {
				t.Skip("only root can become another user")
			}
			dir := t.TempDir()
			for up := dir; up != "/tmp" && up != "/"; up = filepath.Dir(up) {
				_ = os.Chmod(up, 0o755)
			}
			old := filepath.Join(dir, "perf_script_test_results.csv")
			if err := os.WriteFile(old, []byte("older\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			out := limited(t, dir, asNobody)
			if strings.Count(out, "was not written, an older file of that name is unchanged") != 3 || !strings.Contains(out, "with -o") ||
				!strings.Contains(out, old) {
				t.Errorf("says %s", out)
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 1 {
				t.Errorf("left behind %v, %v", entries, err)
			}
			if text, err := os.ReadFile(old); err != nil || !bytes.Equal(text, []byte("older\n")) {
				t.Errorf("the older file is %q, %v", text, err)
			}
		})
	}
}
