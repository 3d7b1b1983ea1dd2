package rows_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/trtperf/trtperf/export"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/rows"
)

// read gives each case in a line, and the codes and lines of the diagnostics.
func read(t testing.TB, r io.Reader) (cases, notes []string) {
	t.Helper()
	s := rows.NewScanner(r, parse.Metrics())
	for s.Scan() {
		x := s.Result()
		line := fmt.Sprintf("%d %d-%d %s", x.Source.Block, x.Source.Line, x.Source.EndLine, x.Status)
		for _, r := range x.Reasons {
			line += " " + string(r.Code)
		}
		for _, r := range x.Rows {
			line += fmt.Sprintf(" %s=%s", r.Label, r.Text)
		}
		cases = append(cases, line)
		if !parse.IsIdentity(x.ID) {
			t.Errorf("identity %q", x.ID)
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	for _, d := range s.Diagnostics() {
		notes = append(notes, fmt.Sprintf("%s@%d", d.Code, d.Line))
	}
	return cases, notes
}

const header = "network_name,test_name,metric_type,perf_metric,state,total_time__sec,start_timestamp\n"

func TestScanner(t *testing.T) {
	row := func(name, word, value string) string {
		return fmt.Sprintf("%s,%s,%s,%s,valid,1.5,2026-01-02 03:04:05\n", name, name, word, value)
	}
	one := header + row("f[a]", "SEQ_THROUGHPUT", "3.24") + row("f[a]", "SERVER_MEAN_TTFT", "55.50")
	plain := []string{"1 2-3 valid SEQ_THROUGHPUT=3.24 SERVER_MEAN_TTFT=55.50"}
	for name, c := range map[string]struct {
		file  string
		cases []string
		notes []string
	}{
		"plain":               {one, plain, nil},
		"CRLF":                {strings.ReplaceAll(one, "\n", "\r\n"), plain, nil},
		"CR":                  {strings.ReplaceAll(one, "\n", "\r"), plain, nil},
		"BOM":                 {"\ufeff" + one, plain, nil},
		"blank lines":         {strings.ReplaceAll(one, "\n", "\n\n"), []string{"1 3-5 valid SEQ_THROUGHPUT=3.24 SERVER_MEAN_TTFT=55.50"}, nil},
		"no line end":         {strings.TrimSuffix(one, "\n"), []string{"1 2-3 valid SEQ_THROUGHPUT=3.24 SERVER_MEAN_TTFT=55.50"}, nil},
		"blanks in names":     {strings.Replace(one, "metric_type", " metric_type ", 1), plain, nil},
		"quoted":              {header + row(`"f[a,""b""]"`, "SEQ_THROUGHPUT", `" 3.24 "`), []string{"1 2-2 valid SEQ_THROUGHPUT=3.24"}, nil},
		"newline in a cell":   {header + row("\"f[a\r\nb]\"", "SEQ_THROUGHPUT", "3.24"), []string{"1 2-4 valid SEQ_THROUGHPUT=3.24"}, nil},
		"two cases":           {one + row("f[b]", "SEQ_THROUGHPUT", "1"), append(plain, "2 4-4 valid SEQ_THROUGHPUT=1"), nil},
		"the same once more":  {one + row("f[a]", "SEQ_THROUGHPUT", "4"), append(plain, "2 4-4 valid SEQ_THROUGHPUT=4"), nil},
		"appended run":        {one + one, append(plain, "2 5-6 valid SEQ_THROUGHPUT=3.24 SERVER_MEAN_TTFT=55.50"), nil},
		"comment":             {"# made by hand\n" + one, []string{"1 3-4 valid SEQ_THROUGHPUT=3.24 SERVER_MEAN_TTFT=55.50"}, []string{"bad-row@1"}},
		"not a number":        {header + row("f[a]", "SEQ_THROUGHPUT", "\"1,234.5\"") + row("f[a]", "BUILD_TIME", "err") + row("f[a]", "SERVER_MEAN_TTFT", "nan"), []string{"1 2-4 failed no-metrics SEQ_THROUGHPUT=1,234.5 BUILD_TIME=err SERVER_MEAN_TTFT=nan"}, []string{"not-a-number@2", "unknown-label@3", "not-a-number@3", "not-a-number@4"}},
		"unknown type":        {header + row("f[a]", "BUILD_TIME", "36.5") + row("f[b]", "BUILD_TIME", "36.5"), []string{"1 2-2 valid BUILD_TIME=36.5", "2 3-3 valid BUILD_TIME=36.5"}, []string{"unknown-label@2"}},
		"zero":                {header + row("f[a]", "SEQ_THROUGHPUT", "0") + row("f[a]", "SERVER_MEAN_TTFT", "-0.00"), []string{"1 2-3 failed all-zero SEQ_THROUGHPUT=0 SERVER_MEAN_TTFT=-0.00"}, nil},
		"not valid":           {strings.ReplaceAll(one, "valid", "failed"), []string{"1 2-3 failed marked-invalid SEQ_THROUGHPUT=3.24 SERVER_MEAN_TTFT=55.50"}, nil},
		"state in capitals":   {strings.ReplaceAll(one, "valid", "VALID"), plain, nil},
		"no name":             {header + row("", "SEQ_THROUGHPUT", "1") + row("f[a]", "", "1") + row("f[a]", "SEQ_THROUGHPUT", ""), nil, []string{"bad-row@2", "bad-row@3", "bad-row@4"}},
		"short row":           {header + "f[a],x\n" + row("f[a]", "SEQ_THROUGHPUT", "1"), []string{"1 3-3 valid SEQ_THROUGHPUT=1"}, []string{"bad-row@2"}},
		"surplus cells":       {header + strings.TrimSuffix(row("f[a]", "SEQ_THROUGHPUT", "1"), "\n") + ",x,y\n", []string{"1 2-2 valid SEQ_THROUGHPUT=1"}, []string{"bad-row@2"}},
		"two equal columns":   {"network_name,metric_type,perf_metric,perf_metric,state\nf[a],SEQ_THROUGHPUT,1,2,valid\n", []string{"1 2-2 valid SEQ_THROUGHPUT=2"}, []string{"bad-row@1"}},
		"quote never closed":  {one + "\"f[b],SEQ_THROUGHPUT,1\n" + one, plain, []string{"bad-row@4"}},
		"NUL and bad letters": {header + row("f[a]", "SEQ_\x00\xff", "1"), []string{"1 2-2 valid SEQ_\x00\ufffd=1"}, []string{"unknown-label@2"}},
		"quoted, no line end": {header + `"f[a]",x,"SEQ_THROUGHPUT",3.24,"valid"`, []string{"1 2-2 valid SEQ_THROUGHPUT=3.24"}, nil},
		"header only":         {header, nil, nil},
		"empty":               {"", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.file), iotest.OneByteReader(strings.NewReader(c.file))} {
				cases, notes := read(t, r)
				if !slices.Equal(cases, c.cases) || !slices.Equal(notes, c.notes) {
					t.Errorf("got %q %q\nwant %q %q", cases, notes, c.cases, c.notes)
				}
			}
		})
	}
}

func TestFields(t *testing.T) {
	file := "network_name,network_hash,test_name,original_test_name,perf_metric,metric_type,state,command,total_time__sec,start_timestamp,end_timestamp,sm_clk,mem_clk\n" +
		"\"test_benchmark[disagg_perf_file:x_bs:64]_con:1075\",h,\"test_benchmark[disagg_perf_file:x_bs:64]_con:1075\",,1122.63,DISAGG_SERVER_TTFT,valid,  cmd,703.25,2025-10-31 00:53:53,2025-10-31 01:05:36,2062,3996\n" +
		"n,h,n,,1,DISAGG_SERVER_E2EL,,,N/A,yesterday,,x,\n"
	s := rows.NewScanner(strings.NewReader(file), parse.Metrics())
	if !s.Scan() {
		t.Fatal("no case")
	}
	x := s.Result()
	if x.Metrics.Get("median_ttft") != (parse.Value{Value: 1122.63, Text: "1122.63", Unit: "ms", Line: 2}) || *x.Client.Concurrency != 1075 || x.Labels.Command != "cmd" ||
		*x.TestSeconds != 703.25 || !x.StartedAt.Equal(time.Date(2025, 10, 31, 0, 53, 53, 0, time.UTC)) || *x.System.SMClockMHz != 2062 ||
		*x.System.MemClockMHz != 3996 || x.TestID.Suite != parse.DisaggQA || x.Function != "test_benchmark" {
		t.Errorf("%+v", x)
	}
	if !s.Scan() {
		t.Fatal("no second case")
	}
	if x = s.Result(); x.TestSeconds != nil || !x.StartedAt.IsZero() || x.System.SMClockMHz != nil || !x.TestID.IsZero() || !x.Valid() {
		t.Errorf("%+v", x)
	}
}

// What trtperf writes is read back as the same results.
func TestRoundTrip(t *testing.T) {
	eight, seconds := 8, 12.5
	results := []*parse.Result{}
	for i := range 3 {
		id, err := parse.ParseTestID("perf/test_perf_sanity.py::test_e2e[aggr_upload-toy-tp4]")
		if err != nil {
			t.Fatal(err)
		}
		r := &parse.Result{TestID: id, Function: "test_e2e", Status: parse.Valid, TestSeconds: &seconds, Client: parse.Client{Concurrency: &eight, Index: &i},
			Metrics: parse.Values{{Name: "mean_ttft", Value: parse.Value{Value: 55.5 + float64(i), Text: "55.50"}}, {Name: "token_throughput", Value: parse.Value{Value: 1e-05, Text: "1e-05"}}},
			Rows:    []parse.Row{{Label: "Mean TTFT (ms)", Text: fmt.Sprint(55.5 + float64(i))}}}
		r.ID = parse.Identify(r)
		results = append(results, r)
	}
	dir := t.TempDir()
	if _, err := export.Write(dir, results, export.Options{Table: parse.Metrics(), Layouts: []export.Layout{export.MetricRows}}); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, "perf_script_test_results.metrics.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := rows.NewScanner(file, parse.Metrics())
	for _, want := range results {
		if !s.Scan() {
			t.Fatal("a case is missing")
		}
		got := s.Result()
		if got.ID != want.ID || got.Rows != nil || !got.TestID.SameTest(want.TestID) || *got.Client.Concurrency != 8 || *got.TestSeconds != 12.5 || !got.Valid() {
			t.Errorf("%+v", got)
		}
		for name, v := range want.Metrics.All() {
			if got.Metrics.Get(name).Value != v.Value {
				t.Errorf("%s is %v, was %v", name, got.Metrics.Get(name).Value, v.Value)
			}
		}
	}
	if s.Scan() || len(s.Diagnostics()) > 0 {
		t.Error("something more was read")
	}
}

func TestIsHeader(t *testing.T) {
	for head, want := range map[string]bool{
		header:                               true,
		"\ufeff" + header:                    true,
		"# a comment\r\n\r\n" + header:       true,
		strings.ReplaceAll(header, ",", ";"): false,
		"network_name,perf_case_name,test_name,threshold,absolute_threshold,metric_type,perf_metric\n": false, // thresholds
		"network,batchsize,precision,framework,command,throughput__qps\n":                              false, // the guide's layout
		"metric_type\n": false,
		"":              false,
	} {
		if rows.IsHeader([]byte(head)) != want {
			t.Errorf("%q: %v", head, !want)
		}
	}
}

// The files that TensorRT-LLM itself committed.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("TRTPERF_CORPUS")
	if dir == "" {
		dir = "../shared/corpus"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("../..", dir)
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("TRTPERF_REQUIRE_CORPUS") == "1" {
			t.Fatal(err)
		}
		t.Skipf("no corpus: set TRTPERF_CORPUS to its folder: %v", err)
	}
	for name, want := range map[string]int{"disagg_perf_script_test_results.csv": 52, "perf_script_test_results_raw_result.csv": 2, "base_perf_pytorch.csv": -1,
		"backend_comparison.csv": -1, "session_properties.csv": -1} {
		text, err := os.ReadFile(filepath.Join(dir, "csv", name))
		if err != nil {
			t.Fatal(err)
		}
		if !rows.IsHeader(text[:min(len(text), 8<<10)]) {
			if want >= 0 {
				t.Errorf("%s is not recognised", name)
			}
			continue
		}
		cases, notes := read(t, bytes.NewReader(text))
		if len(cases) != want {
			t.Errorf("%s: %d cases, want %d; %q", name, len(cases), want, notes)
		}
	}
}

// On what encoding/csv reads too, both read the same cells.
func FuzzScanner(f *testing.F) {
	f.Add("a,SEQ_THROUGHPUT,1,valid\nb,x,2,\n")
	f.Add("a,\"\r\"\"\n\",1,valid\na,\"\r\n\n\",2,valid\n")
	f.Add("\"a\"\"b\",\"c\nd\",1,valid\r\n\n,,,\n")
	f.Fuzz(func(t *testing.T, body string) {
		file := "network_name,metric_type,perf_metric,state\n" + body
		cases, _ := read(t, strings.NewReader(file))
		again, _ := read(t, iotest.OneByteReader(strings.NewReader(file)))
		if !slices.Equal(cases, again) {
			t.Errorf("%q, in pieces %q", cases, again)
		}
		if strings.ContainsAny(body, "\r\x00") || strings.Contains(body, "network_name") {
			return
		}
		oracle := csv.NewReader(strings.NewReader(file))
		oracle.FieldsPerRecord = -1
		records, err := oracle.ReadAll()
		if err != nil {
			return
		}
		want, got := 0, 0
		for _, r := range records[1:] {
			if len(r) >= 3 && strings.TrimSpace(r[0]) != "" && strings.TrimSpace(r[1]) != "" && strings.TrimSpace(r[2]) != "" {
				want++
			}
		}
		for _, c := range cases {
			got += strings.Count(c, "=")
		}
		if !strings.Contains(body, "=") && got != want {
			t.Errorf("%d rows, want %d: %q", got, want, cases)
		}
	})
}
