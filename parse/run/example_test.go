package run_test

import (
	"context"
	"fmt"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/run"
)

func ExampleRead() {
	options := run.Options{Table: parse.Metrics()}
	for r := range run.Read(context.Background(), []string{"../../testdata/runs/single-agg"}, options) {
		for _, x := range r.Results {
			fmt.Println(x.TestID, x.Client.Name, x.Status, x.Metrics.Get("mean_ttft").Text, x.Metrics.Get("mean_ttft").Unit)
		}
	}
	// Output:
	// aggr_upload-toy_fp4_blackwell-tp4_1k1k con8_iter10_1k1k valid 61.25 ms
	// aggr_upload-toy_fp4_blackwell-tp4_1k1k con16_iter10_isl1024_osl1024 valid 88.40 ms
}
