package clientjson_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/clientjson"
)

const saved = `{"date": "20260823-010203", "backend": "openai", "model_id": "toy", "num_prompts": 40, "duration": 12.3456789, "completed": 40,
 "request_throughput": 3.2412345, "request_goodput:": 3.1, "output_throughput": 3317.94123, "ttfts": [0.1, NaN, Infinity, [1, 2]], "itls": [[0.5], [-Infinity]],
 "mean_ttft_ms": 55.501, "p99_ttft_ms": NaN, "std_itl_ms": 1.5e-3, "generated_texts": ["NaN, Infinity", ": NaN"], "extra": {"mean_tpot_ms": 7}}`

func TestRead(t *testing.T) {
	for range 2 {
		got, err := clientjson.Read(iotest.HalfReader(strings.NewReader(saved)), parse.Metrics())
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"benchmark_duration": "12.3456789", "successful_requests": "40", "seq_throughput": "3.2412345", "request_goodput": "3.1",
			"token_throughput": "3317.94123", "mean_ttft": "55.501", "std_itl": "1.5e-3"}
		for name, text := range want {
			if got.Get(name).Text != text {
				t.Errorf("%s is %q, want %s", name, got.Get(name).Text, text)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%v", got)
		}
	}
	for _, text := range []string{"", "[]", "{}", `{"a": 1}`, "text", `{"duration": 1, "completed": 2}`} {
		if _, err := clientjson.Read(strings.NewReader(text), parse.Metrics()); !errors.Is(err, clientjson.ErrNotClient) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := clientjson.Read(strings.NewReader(saved[:200]), parse.Metrics()); err == nil || !strings.Contains(err.Error(), "at byte") {
		t.Errorf("truncated: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(saved)
	f.Add(saved[:100])
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := clientjson.Read(strings.NewReader(text), parse.Metrics()); (err == nil) != (len(got) >= 3) {
			t.Errorf("%v %v", got, err)
		}
	})
}
