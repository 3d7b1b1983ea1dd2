// Command sqlite makes the metrics of results as text rows and times trtperf's own way of committing the results to a local store:
//
//	sqlite make RESULTS METRICS FILE   writes the rows as CSV: result, metric, value
//	sqlite commit RESULTS METRICS DB   commits the results, each owed to one target, and prints the seconds, from the opening to the end
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload/sqlite"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sqlite:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return errors.New("usage: sqlite make RESULTS METRICS FILE | commit RESULTS METRICS DB")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	metrics, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	results := make([]*parse.Result, n)
	for i := range results {
		results[i] = result(i, metrics)
	}
	if args[0] == "make" {
		return write(results, args[3])
	}
	return commit(results, args[3])
}

// result is the i-th one.
func result(i, metrics int) *parse.Result {
	r := &parse.Result{Mode: parse.SingleAgg, Role: parse.Benchmark, Status: parse.Valid, Client: parse.Client{Name: "con8", Concurrency: new(8)},
		Labels: parse.Labels{Network: "net", Framework: "TensorRT-LLM"},
		Source: parse.Source{File: fmt.Sprintf("/logs/%d.log", i), Block: 1, Line: 1, EndLine: 40}, EndedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	r.TestID, _ = parse.ParseTestID(fmt.Sprintf("aggr_upload-k-s%d", i))
	for m := range parse.Metrics().All() {
		if len(r.Metrics) == metrics {
			break
		}
		text := fmt.Sprintf("%d.%02d", 10+i, len(r.Metrics))
		value, _ := strconv.ParseFloat(text, 64)
		r.Metrics.Set(m.Name, parse.Value{Value: value, Text: text, Unit: m.Unit, Line: len(r.Rows) + 2})
		r.Rows = append(r.Rows, parse.Row{Label: m.Name, Text: text, Line: len(r.Rows) + 2, Metric: m.Name})
	}
	r.ID = parse.Identify(r)
	return r
}

func write(results []*parse.Result, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, r := range results {
		for name, v := range r.Metrics.All() {
			fmt.Fprintf(w, "%s,%s,%s\n", r.ID, name, v.Text)
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

func commit(results []*parse.Result, path string) error {
	debug.SetGCPercent(300) // as trtperf does
	started := time.Now()
	ctx := context.Background()
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	owing := sqlite.Owing{Targets: []string{"opensearch+http://127.0.0.1:9200/bench"}, Withhold: func(*parse.Result) string { return "" }}
	for some := range slices.Chunk(results, 5000) {
		if _, err := db.CommitOwing(ctx, owing, some); err != nil {
			return err
		}
	}
	if err := db.Close(); err != nil {
		return err
	}
	fmt.Printf("%.4f\n", time.Since(started).Seconds())
	return nil
}
