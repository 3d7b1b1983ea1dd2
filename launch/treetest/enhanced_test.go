package treetest_test

import (
	"database/sql"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the custom database is one

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/custom"
	"github.com/trtperf/trtperf/parse/run"
)

// TestEnhanced runs the test file of a user's own under both of its prefixes and functions, and compares what it wrote itself with what trtperf
// reads: its CSV, its database, its own metric. The logs that it collects are copies, and make no result twice.
func TestEnhanced(t *testing.T) {
	metrics, err := custom.Read(strings.NewReader("metrics:\n- {name: my_metric_1, regex: 'My Metric 1 \\(units\\):\\s+(-?[\\d\\.]+)', unit: units, direction: larger, place: client-log}\n"), "m.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table, err := parse.Metrics().With(metrics)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		node, roles string
		rows        []string // network, batch size, precision, command
		mode        parse.Mode
	}{
		{"perf/test_perf_enhanced.py::test_e2e_enhanced[custom_test-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX]", disaggRoles, []string{
			"e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX 4 fp4", "e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX 8 fp4"}, parse.Disagg},
		{"perf/test_perf_enhanced.py::test_e2e[disagg_custom-gen_only-toy-fp4_8k1k_ctx1_gen1_dep4_bs8_eplb0_mtp0_ccb-UCX]", disaggRoles, []string{
			"gen_only-toy-fp4_8k1k_ctx1_gen1_dep4_bs8_eplb0_mtp0_ccb-UCX 8 fp4"}, parse.Disagg},
		{"perf/test_perf_enhanced.py::test_e2e[disagg_custom-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v2]", disaggRoles, []string{
			"toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v2 8 fp4"}, parse.Disagg},
		{"perf/test_perf_enhanced.py::test_e2e[custom_test-toy_fp4_blackwell]", "", []string{"tp4_1k1k 4 ", "tp4_1k1k 8 ", "tp2_mtp3 2 "}, parse.SingleAgg},
		{"perf/test_perf_enhanced.py::test_e2e[custom_test-toy_nvfp4_2_nodes-tep8-sa]", "", []string{"tep8-sa 4 "}, parse.MultiAgg},
	} {
		_, id, _ := strings.Cut(strings.TrimSuffix(c.node, "]"), "[")
		t.Run(id, func(t *testing.T) {
			r := newCheckout(t)
			database := filepath.Join(t.TempDir(), "custom.db")
			roles := []string{""}
			if c.roles != "" {
				roles = strings.Fields(c.roles)
			}
			for role, code := range r.all(t, roles, c.node, "CUSTOM_PERF_DB="+database) {
				if code != 0 {
					t.Fatalf("%s ended with %d", role, code)
				}
			}
			var results []*parse.Result
			for x := range run.Read(t.Context(), []string{r.out}, run.Options{Table: table, ConfigDir: r.tree}) {
				results = append(results, x.Results...)
				if len(x.FailedTests) > 0 {
					t.Errorf("failed tests: %+v", x.FailedTests)
				}
				for _, d := range x.Diagnostics {
					t.Errorf("diagnostic %+v", d)
				}
			}
			text, err := os.Open(filepath.Join(r.out, id, "perf_script_test_results.csv"))
			if err != nil {
				t.Fatal(err)
			}
			defer text.Close()
			table, err := csv.NewReader(text).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			at := func(row []string, column string) string {
				if i := slices.Index(table[0], column); i >= 0 {
					return row[i]
				}
				return ""
			}
			var rows []string
			for i, row := range table[1:] {
				rows = append(rows, strings.Join(row[:3], " "))
				if i >= len(results) {
					continue
				}
				x := results[i]
				if c.roles == "" && x.Server.Name != at(row, "network") {
					t.Errorf("server %q, network %q", x.Server.Name, at(row, "network"))
				}
				if !x.Valid() || x.Mode != c.mode || fmt.Sprint(*x.Client.Concurrency) != at(row, "batchsize") || at(row, "framework") != "TensorRT-LLM" || x.TestID.ID != id {
					t.Errorf("row %q, result %+v", row, x)
				}
				if len(x.AlsoIn) != 1 {
					t.Errorf("also in %v, want the collected copy", x.AlsoIn)
				}
				for column, metric := range map[string]string{"throughput__qps": "token_throughput", "mean_ttft__ms": "mean_ttft", "p99_itl": "p99_itl",
					"median_e2el__ms": "median_e2el", "my_metric_1": "my_metric_1"} {
					if v, err := strconv.ParseFloat(at(row, column), 64); err != nil || v != x.Metrics.Get(metric).Value {
						t.Errorf("%s is %q in the CSV, trtperf reads %+v", column, at(row, column), x.Metrics.Get(metric))
					}
				}
			}
			if !slices.Equal(rows, c.rows) || len(results) != len(c.rows) {
				t.Errorf("%d results, rows\n%s\nwant\n%s", len(results), strings.Join(rows, "\n"), strings.Join(c.rows, "\n"))
			}
			db, err := sql.Open("sqlite", database)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var n int
			if err := db.QueryRow("SELECT count(*) FROM results WHERE test = ? AND metric = 'throughput__qps'", id).Scan(&n); err != nil || n != len(c.rows) {
				t.Errorf("%d rows in the database (%v), want %d", n, err, len(c.rows))
			}
		})
	}
}
