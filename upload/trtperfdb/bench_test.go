package trtperfdb_test

import (
	"fmt"
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/testdata/services"
	"github.com/trtperf/trtperf/upload"
)

// BenchmarkPut puts a run of 1,250 cases with 16 metrics each into empty tables.
func BenchmarkPut(b *testing.B) {
	d := newDatabase(b, services.MariaDB(b), documented...)
	var items []upload.Item
	for n := range 1250 {
		r := whole(n)
		r.TestID, _ = parse.ParseTestID(fmt.Sprintf("aggr_upload-k-s%d", n))
		for m := range parse.Metrics().All() {
			if len(r.Metrics) < 16 {
				r.Metrics.Set(m.Name, parse.Value{Value: float64(n) + 0.25, Text: fmt.Sprintf("%d.25", n)})
			}
		}
		items = append(items, item(r))
	}
	for b.Loop() {
		b.StopTimer()
		d.do(b, "TRUNCATE perf_result", "TRUNCATE cases", "TRUNCATE runs")
		s := open(b, d.target())
		b.StartTimer()
		for i, a := range put(b, s, items...) {
			if a.Outcome != parse.Stored {
				b.Fatalf("result %d: %+v", i, a)
			}
		}
	}
}
