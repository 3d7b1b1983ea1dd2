package run_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/run"
)

// What a client has saved adds digits to the result that printed the same numbers, and to no other.
func TestSaved(t *testing.T) {
	saved := `{"duration": 12.3512345, "completed": 40, "request_throughput": 3.2391, "mean_ttft_ms": 55.50012, "p90_ttft_ms": 80.25, "ttfts": [0.1]}`
	const name = "openai-infqps-concurrency8-toy-20260823-010203.json"
	for what, c := range map[string]struct {
		logs  []string
		saved string
		says  string // a diagnostic's message holds it; empty for none
	}{
		"the result's":       {[]string{block(3)}, saved, ""},
		"one of two":         {[]string{block(4), block(3)}, saved, ""},
		"another one's":      {[]string{block(4)}, saved, "seq_throughput is 4.24 there and 3.2391 here"},
		"nobody's":           {[]string{block(4), block(5)}, saved, "no result beside it"},
		"not a client's":     {[]string{block(3)}, `{"a": 1}`, "skipped"},
		"broken":             {[]string{block(3)}, saved[:60], "unexpected EOF"},
		"beside nothing":     {nil, saved, "skipped"},
		"in a test's folder": {[]string{"aggr-k/trtllm-benchmark.0.0.log"}, saved, ""},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			place := dir
			for i, text := range c.logs {
				if strings.HasSuffix(text, ".log") {
					place = filepath.Join(dir, filepath.Dir(text))
					write(t, filepath.Join(dir, text), block(3))
					continue
				}
				write(t, filepath.Join(dir, string(rune('a'+i))+".log"), text)
			}
			write(t, filepath.Join(place, name), c.saved)
			got := readAll(t, run.Options{}, dir)
			said := ""
			for _, d := range got.Diagnostics {
				if d.Code != run.NoConfig {
					said += d.Message + "\n"
				}
			}
			for _, s := range got.Skipped {
				if strings.HasSuffix(s.Path, name) {
					said += "skipped"
				}
			}
			if (said == "") != (c.says == "") || !strings.Contains(said, c.says) {
				t.Errorf("says %q, want %q", said, c.says)
			}
			var enriched []*parse.Result
			for _, r := range got.Results {
				if len(r.AlsoIn) > 0 {
					enriched = append(enriched, r)
				}
			}
			if c.says != "" {
				if len(enriched) > 0 {
					t.Errorf("%d results have digits of it", len(enriched))
				}
				return
			}
			plain := readAll(t, run.Options{}, write(t, filepath.Join(t.TempDir(), "x.log"), block(3))).Results[0]
			if len(enriched) != 1 || enriched[0].ID != plain.ID || enriched[0].Metrics.Get("mean_ttft").Text != "55.50012" || enriched[0].Metrics.Get("mean_ttft").Line == 0 ||
				enriched[0].Metrics.Get("p90_ttft").Value != 80.25 || enriched[0].Metrics.Get("median_ttft").Text != "54.39" || !strings.HasSuffix(enriched[0].AlsoIn[0].File, name) {
				t.Errorf("%d results have digits of it", len(enriched))
			}
		})
	}
}
