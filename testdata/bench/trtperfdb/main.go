// Command trtperfdb makes the same results in three forms and times trtperf's own way of putting them into TRT_perf.
//
//	trtperfdb make CASES METRICS DIRECTORY   writes a metric-row CSV, and results.sql: INSERTs of 500 rows with the ids given
//	trtperfdb put CASES METRICS TARGET       puts them and prints the seconds, from the connection to its end
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/trtperf/trtperf/export"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/trtperfdb"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "trtperfdb:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return errors.New("usage: trtperfdb make CASES METRICS DIRECTORY | put CASES METRICS TARGET")
	}
	cases, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	metrics, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	results := make([]*parse.Result, cases)
	for n := range results {
		results[n] = result(n, metrics)
	}
	if args[0] == "put" {
		return put(results, args[3])
	}
	if _, err := export.Write(args[3], results, export.Options{Table: parse.Metrics(), Layouts: []export.Layout{export.MetricRows}}); err != nil {
		return err
	}
	return writeSQL(results, filepath.Join(args[3], "results.sql"))
}

// result is the n-th case, with a number of metrics of which the median E2EL is always one.
func result(n, metrics int) *parse.Result {
	seconds, concurrency := 80+float64(n)/1000, 1<<(n%10)
	r := &parse.Result{Status: parse.Valid, Function: "test_e2e", Mode: parse.SingleAgg, TestSeconds: &seconds,
		StartedAt: time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC), EndedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	r.TestID, _ = parse.ParseTestID(fmt.Sprintf("aggr_upload-k%05d_r1_fp4_v2_blackwell-r1_fp4_v2_dep4_mtp1_1k1k", n))
	r.Server.Name, r.Client.Name, r.Client.Concurrency = "r1_fp4_v2_dep4_mtp1_1k1k", fmt.Sprintf("con%d_iter10_1k1k", concurrency), &concurrency
	r.Labels = parse.Labels{Network: r.Server.Name, Model: "deepseek_r1_0528_fp4_v2", Precision: "fp4", Framework: "TensorRT-LLM",
		Command: "aggr_" + r.Server.Name + "_" + r.Client.Name}
	clock := 2062.0
	r.System = parse.System{GPU: "B200", Driver: "580.1", CUDA: "13.0", OS: "Ubuntu 24.04", SMClockMHz: &clock, MemClockMHz: &clock}
	r.Job = parse.Job{Commit: "0123abc", Link: "http://ci/job/1", TensorRTLLM: "1.2.0", TensorRT: "10.9"}
	take := func(name string, i int) {
		text := fmt.Sprintf("%d.%02d", 10*(i+1)+n%977, n%100)
		value, _ := strconv.ParseFloat(text, 64)
		r.Metrics.Set(name, parse.Value{Value: value, Text: text})
		r.Rows = append(r.Rows, parse.Row{Label: name + " throughput", Text: text})
	}
	take("median_e2el", n)
	for m := range parse.Metrics().All() {
		if len(r.Metrics) == metrics {
			break
		}
		if m.Name != "median_e2el" && m.Name != "al" {
			take(m.Name, len(r.Metrics))
		}
	}
	r.ID = parse.Identify(r)
	return r
}

func put(results []*parse.Result, target string) error {
	var items []upload.Item
	for _, r := range results {
		items = append(items, upload.Item{Result: r})
	}
	started := time.Now()
	store, err := trtperfdb.Open(target, upload.Settings{Getenv: os.Getenv, Table: parse.Metrics()})
	if err != nil {
		return err
	}
	for batch := upload.DefaultPolicy().Batch; len(items) > 0; {
		some := items[:min(batch, len(items))]
		answers, err := store.Put(context.Background(), some)
		if err != nil {
			return err
		}
		for _, a := range answers {
			if a.Outcome != parse.Stored {
				return fmt.Errorf("%s: %s", a.Outcome, a.Reason)
			}
		}
		items = items[len(some):]
	}
	if err := store.Close(); err != nil {
		return err
	}
	fmt.Printf("%.4f\n", time.Since(started).Seconds())
	return nil
}

// rowsAtOnce is the number of rows of an INSERT.
const rowsAtOnce = 500

// writeSQL writes what trtperf would store as statements, with all ids given and in one transaction.
func writeSQL(results []*parse.Result, path string) error {
	store, err := trtperfdb.Open("mysql://localhost/x", upload.Settings{Getenv: func(string) string { return "x" }, Table: parse.Metrics()})
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "BEGIN;")
	var cases, rows []string
	for i, r := range results {
		text, err := store.Preview(upload.Item{Result: r})
		if err != nil {
			return err
		}
		var tables struct {
			Runs   map[string]any             `json:"runs"`
			Cases  map[string]any             `json:"cases"`
			Result map[string]json.RawMessage `json:"perf_result"`
		}
		if err := json.Unmarshal(text, &tables); err != nil {
			return err
		}
		if i == 0 {
			run := tables.Runs
			fmt.Fprintf(w, "INSERT INTO runs (id, start_time, end_time, driver, cuda, tensorrt, gpu, graphic_freq, memory_freq, cl, os, link, trtllm) VALUES"+
				" (1, '%s', '%s', '%s', '%s', '%s', '%s', '%s', '%s', '%s', '%s', '%s', '%s');\n", run["start_time"], run["end_time"], run["driver"], run["cuda"],
				run["tensorrt"], run["gpu"], run["graphic_freq"], run["memory_freq"], run["cl"], run["os"], run["link"], run["trtllm"])
		}
		c := tables.Cases
		cases = append(cases, fmt.Sprintf("(%d, '%s', %v, '%s', '%s', '%s')", i+1, c["cmd"], c["batchsize"], c["format"], c["network"], c["precision"]))
		p := tables.Result
		rows = append(rows, fmt.Sprintf("('%s', %d, 1, %s, %s, %s, '%s')", r.ID, i+1, p["gpu_time"], p["total_time"], p["throughput"], p["perf_data"]))
	}
	for _, table := range []struct {
		head string
		rows []string
	}{
		{"INSERT INTO cases (id, cmd, batchsize, format, network, `precision`) VALUES ", cases},
		{"INSERT INTO perf_result (UUID, case_id, run_id, gpu_time, total_time, throughput, perf_data) VALUES ", rows},
	} {
		for rows := table.rows; len(rows) > 0; {
			n := min(rowsAtOnce, len(rows))
			fmt.Fprintln(w, table.head+strings.Join(rows[:n], ",\n")+";")
			rows = rows[n:]
		}
	}
	fmt.Fprintln(w, "COMMIT;")
	return errors.Join(w.Flush(), file.Close())
}
