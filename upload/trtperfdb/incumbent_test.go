package trtperfdb_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trtperf/trtperf/export"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/run"
	"github.com/trtperf/trtperf/testdata/services"
	"github.com/trtperf/trtperf/upload"
)

const oracleDir = "../../testdata/oracle"

// incumbent puts a CSV into a schema by trt_perf_parser.py's rule.
func incumbent(t *testing.T, d *database, csv string, options ...string) {
	t.Helper()
	bin, err := exec.Command(filepath.Join(oracleDir, "venv.sh")).CombinedOutput()
	if err != nil {
		if os.Getenv("TRTPERF_REQUIRE_SERVICES") == "1" {
			t.Fatalf("venv.sh: %v\n%s", err, bin)
		}
		t.Skipf("venv.sh: %v\n%s", err, bin)
	}
	_, port, _ := net.SplitHostPort(d.server)
	args := append([]string{filepath.Join(oracleDir, "trt_perf.py"), "--port", port, "--schema", d.name}, append(options, csv)...)
	if out, err := exec.Command(filepath.Join(strings.TrimSpace(string(bin)), "python"), args...).CombinedOutput(); err != nil {
		t.Fatalf("trt_perf.py: %v\n%s", err, out)
	}
}

// accepting are the documented tables with what trt_perf_parser.py needs besides.
var accepting = append(slices.Clone(documented), "ALTER TABLE runs ADD commit_time text, MODIFY cudnn varchar(150) NOT NULL DEFAULT ''")

// everything joins the tables; a row is a result with its case and its run.
func (d *database) everything(t *testing.T) map[string]map[string]string {
	t.Helper()
	rows, err := d.Query("SELECT p.*, c.*, r.* FROM perf_result p JOIN cases c ON c.id = p.case_id JOIN runs r ON r.id = p.run_id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]string{}
	for rows.Next() {
		cells := make([]*string, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := map[string]string{}
		for i, name := range columns {
			if name == "id" || strings.HasSuffix(name, "_id") {
				continue
			}
			row[name] = "NULL"
			if cells[i] != nil {
				row[name] = *cells[i]
			}
		}
		if found[row["network"]] != nil {
			t.Errorf("two results of the network %s", row["network"])
		}
		found[row["network"]] = row
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// differences are all that a row of ours may have otherwise than trt_perf_parser.py's. The numbers are those of docs/stores.md.
var differences = map[string]struct {
	columns []string
	// allowed reports whether theirs and ours differ by it.
	allowed func(r *parse.Result, theirs, ours string) bool
}{
	"1 the identity": {[]string{"UUID"}, func(r *parse.Result, theirs, ours string) bool { return theirs == "NULL" && ours == r.ID }},
	"2 what was not measured is NULL": {[]string{"total_time", "build_time", "throughput"},
		func(_ *parse.Result, theirs, ours string) bool { return theirs == "0" && ours == "NULL" }},
	"3 what is not known is NULL where it may be": {[]string{"log", "notes", "link", "cl", "cpu", "trtllm", "commit_time"},
		func(_ *parse.Result, theirs, ours string) bool { return theirs == "" && ours == "NULL" }},
	"4 the framework": {[]string{"format"}, func(r *parse.Result, theirs, ours string) bool {
		return theirs == "ONNX" && ours == strings.ToUpper(r.Labels.Framework)
	}},
	"5 the batch size": {[]string{"batchsize"}, func(r *parse.Result, _, ours string) bool { return ours == fmt.Sprint(*r.Client.Concurrency) }},
	"6 the precision": {[]string{"precision"}, func(r *parse.Result, theirs, ours string) bool {
		return theirs == "TF32" && ours == "" && r.Labels.Precision == ""
	}},
	"7 numbers are numbers": {[]string{"perf_data"}, func(_ *parse.Result, theirs, ours string) bool {
		var texts map[string]string
		var numbers map[string]json.Number
		if json.Unmarshal([]byte(theirs), &texts) != nil || json.Unmarshal([]byte(ours), &numbers) != nil {
			return false
		}
		return maps.EqualFunc(texts, numbers, func(a string, b json.Number) bool {
			x, _, okX := parse.ParseNumber(a)
			y, _, okY := parse.ParseNumber(b.String())
			return okX && okY && x == y && !strings.HasPrefix(b.String(), `"`)
		})
	}},
	"8 the command": {[]string{"cmd"}, func(r *parse.Result, theirs, ours string) bool {
		// It names the client too, and no word is left out so that another precision may not be guessed from it.
		words := strings.Fields(ours)
		return !slices.ContainsFunc(strings.Fields(theirs), func(w string) bool { return !slices.Contains(words, w) }) &&
			(strings.Contains(ours, "--client="+r.Client.Name) || strings.Contains(ours, r.Labels.Command) && !strings.Contains(theirs, r.Labels.Command))
	}},
}

// For the same metric rows, what stands there equals what trt_perf_parser.py stores, but for the differences.
func TestIncumbent(t *testing.T) {
	server := services.MariaDB(t)
	var results []*parse.Result
	for n := range 40 {
		r := whole(n)
		r.Metrics = nil
		i := 0
		for m := range parse.Metrics().All() {
			if i++; i <= 16 || m.Name == "benchmark_duration" {
				r.Metrics.Set(m.Name, parse.Value{Value: float64(n*100+i) + 0.123456, Text: fmt.Sprintf("%d.123456", n*100+i), Unit: m.Unit})
			}
		}
		r.Client.Concurrency = new(8 << (n % 4))
		switch n % 5 {
		case 1:
			r.TestID, _ = parse.ParseTestID(fmt.Sprintf("disagg_upload-e2e-K%d_bs:64", n))
			r.Labels.Command, r.Labels.Precision = "disagg_K_K", "fp4"
		case 2:
			r.Labels.Precision, r.Labels.Framework = "", "vLLM"
			r.Metrics.Delete("token_throughput")
		case 3:
			r.Labels.Precision, r.Labels.Command = "fp4", "aggr_fp8kv_con8" // misleads a reader of words
		}
		results = append(results, r)
	}
	dir := t.TempDir()
	if _, err := export.Write(dir, results, export.Options{Table: parse.Metrics(), Layouts: []export.Layout{export.MetricRows}}); err != nil {
		t.Fatal(err)
	}
	theirs, ours := newDatabase(t, server, accepting...), newDatabase(t, server, accepting...)
	incumbent(t, theirs, filepath.Join(dir, "perf_script_test_results.metrics.csv"), "--driver", "580.1", "--cuda", "13.0", "--tensorrt", "10.9",
		"--gpu", "NVIDIA B200", "--cpu-name", "Grace", "--os", "Ubuntu 24.04", "--trtllm", "1.2.0\nsecond line", "--commit", "abc",
		"--link", "http://ci/1", "--notes", "nightly", "--start-time", "2026-11-23 11:00:00", "--end-time", "2026-11-23 12:00:00")
	var items []upload.Item
	for _, r := range results {
		items = append(items, item(r))
	}
	wantAnswers(t, put(t, open(t, ours.target()), items...), all("stored", len(items))...)
	theirs.wantCounts(t, "1 40 40")
	ours.wantCounts(t, "1 40 40")
	compareRows(t, theirs.everything(t), ours.everything(t), results, "1", "2", "3", "4", "5", "6", "7", "8")
}

// compareRows compares rows by network. Each of the differences that are to be seen must be met, so that the list does not hold more than there is.
func compareRows(t *testing.T, theirs, ours map[string]map[string]string, results []*parse.Result, seen ...string) {
	t.Helper()
	met := map[string]bool{}
	for _, r := range results {
		network := strings.ToLower(export.CaseName(r))
		a, b := theirs[network], ours[network]
		if a == nil || b == nil {
			t.Errorf("%s: theirs has it: %t, ours: %t", network, a != nil, b != nil)
			continue
		}
		for column, text := range a {
			if text == b[column] {
				continue
			}
			why := ""
			for name, d := range differences {
				if slices.Contains(d.columns, column) && d.allowed(r, text, b[column]) {
					why = name
				}
			}
			if why == "" {
				t.Errorf("%s: %s is %q there and %q here", network, column, text, b[column])
			}
			met[why] = true
		}
		if len(a) != len(b) {
			t.Errorf("%s: %d columns there and %d here", network, len(a), len(b))
		}
	}
	for name := range differences {
		number, _, _ := strings.Cut(name, " ")
		if met[name] != slices.Contains(seen, number) {
			t.Errorf("difference %q: met %t", name, met[name])
		}
	}
}

// sample reads the disaggregated suite's file of 104 rows.
func sample(t *testing.T) (string, []*parse.Result) {
	t.Helper()
	dir := os.Getenv("TRTPERF_CORPUS")
	if dir == "" {
		dir = "../shared/corpus"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("../..", dir)
	}
	path := filepath.Join(dir, "csv", "disagg_perf_script_test_results.csv")
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("TRTPERF_REQUIRE_CORPUS") == "1" {
			t.Fatal(err)
		}
		t.Skipf("no corpus: set TRTPERF_CORPUS to its folder: %v", err)
	}
	var results []*parse.Result
	for r := range run.Read(t.Context(), []string{path}, run.Options{Table: parse.Metrics()}) {
		results = append(results, r.Results...)
	}
	if len(results) != 52 {
		t.Fatalf("%d results", len(results))
	}
	return path, results
}

func TestIncumbentSample(t *testing.T) {
	path, results := sample(t)
	server := services.MariaDB(t)
	theirs, ours := newDatabase(t, server, accepting...), newDatabase(t, server, accepting...)
	s := open(t, ours.target())
	var items []upload.Item
	for _, r := range results {
		items = append(items, item(r))
	}
	for n, want := range []string{"1 52 52", "2 52 104"} {
		incumbent(t, theirs, path, "--start-time", "2025-10-31 00:00:00", "--end-time", "2025-10-31 12:00:00")
		theirs.wantCounts(t, want)
		if n == 0 {
			// The suite's medians are the metrics median_ttft and median_e2el under another word, and so have the fields of those.
			theirs.do(t, "UPDATE perf_result SET gpu_time = JSON_VALUE(perf_data, '$.disagg_server_e2el'), perf_data = JSON_OBJECT("+
				"'server_median_ttft', JSON_VALUE(perf_data, '$.disagg_server_ttft'), 'server_median_e2el', JSON_VALUE(perf_data, '$.disagg_server_e2el'))")
			wantAnswers(t, put(t, s, items...), all("stored", 52)...)
			// The times are the file's own here, and options there.
			theirs.do(t, "UPDATE runs SET start_time = (SELECT start_time FROM "+ours.name+".runs), end_time = (SELECT end_time FROM "+ours.name+".runs)")
			compareRows(t, theirs.everything(t), ours.everything(t), results, "1", "2", "3", "4", "5", "7")
		}
		ours.wantCounts(t, "1 52 52")
		wantAnswers(t, put(t, s, items...), all("present", 52)...)
	}
	begin, _ := time.Parse(time.DateTime, ours.text(t, "SELECT start_time FROM runs"))
	for _, r := range results {
		if r.StartedAt.Before(begin) {
			t.Errorf("a test began at %s and the run at %s", r.StartedAt, begin)
		}
	}
}
