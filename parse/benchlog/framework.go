package benchlog

import "sync"

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

// formOf returns the place of the form that has a label, and len(forms) for none. The first form that one of a block's rows has is the
// block's.
func formOf(label string) uint8 {
	if n, ok := formOfLabel()[label]; ok {
		return n
	}
	return uint8(len(forms))
}

var formOfLabel = sync.OnceValue(func() map[string]uint8 {
	set := map[string]uint8{}
	for n, f := range forms {
		for _, label := range f.labels {
			if _, ok := set[label]; !ok {
				set[label] = uint8(n)
			}
		}
	}
	return set
})
