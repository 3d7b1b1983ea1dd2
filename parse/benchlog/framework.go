package benchlog

import (
	"slices"

	"github.com/trtperf/trtperf/parse"
)

// forms are the labels that only one framework's client prints. vLLM's peak rows are not among them: forks of its client print them
// against servers of any kind.
var forms = []struct {
	framework string
	labels    []string
}{
	{"TensorRT-LLM", []string{"User throughput (tok/s)", "Total requests", "Avg Decoded Tokens per Iter", "Mean Avg Decoded Tokens per Iter",
		"Mean Request AR", "Total GPU Power (W)"}},
	{"SGLang", []string{"Total generated tokens (retokenized)", "Mean E2E Latency (ms)", "Max request concurrency", "Max reqeuest concurrency",
		"Total input text tokens", "Accept length", "SLO attainment (%)"}},
	{"vLLM", []string{"Request rate configured (RPS)", "Acceptance length", "Probe requests completed", "Failed requests"}},
}

// frameworkOf returns the framework whose client prints such a block, or the empty text.
func frameworkOf(rows []parse.Row) string {
	for _, f := range forms {
		if slices.ContainsFunc(rows, func(r parse.Row) bool { return slices.Contains(f.labels, r.Label) }) {
			return f.framework
		}
	}
	return ""
}
