package parse

import "strings"

// complete fills in what follows from the other fields: the columns of a metric are named after it unless the row says
// otherwise.
func (m Metric) complete() Metric {
	if m.Place == "" {
		m.Place = InBlock
	}
	if m.Kind == "" {
		m.Kind = Other
	}
	if m.Custom && m.Guide == "" {
		m.Guide = m.Name
	}
	if m.Full == "" {
		m.Full = m.Name
		if suffix, ok := unitSuffix[m.Unit]; ok {
			m.Full += suffix
		}
	}
	if m.MetricType == "" {
		m.MetricType = strings.ToUpper(m.Name)
	}
	if m.PerfField == "" {
		m.PerfField = strings.ToLower(m.MetricType)
	}
	if m.Document == "" {
		m.Document = "d_" + m.Name
		if m.Kind == Count {
			m.Document = "l_" + m.Name
		}
	}
	return m
}

// unitSuffix names units in the full CSV's columns.
var unitSuffix = map[string]string{
	"ms": "__ms", "s": "__s", "req/s": "__req_per_s", "tok/s": "__tok_per_s", "J": "__J", "W": "__W", "tps/W": "__tok_per_s_per_W",
	"%": "__pct", "tokens/iteration": "__tok_per_iter", "tok/s/GPU": "__tok_per_s_per_gpu", "tokens": "__tok",
}

// standardMetrics is the metric table. Names, labels, metric types and TRT_perf fields: TensorRT-LLM's test_perf_sanity.py and
// trt_perf_parser.py. Directions are the true ones: TPOT is a latency (test_perf_sanity.py lists it as larger-is-better).
func standardMetrics() []Metric {
	table := []Metric{
		{Name: "seq_throughput", Labels: []string{"Request throughput (req/s)", "Request Throughput (req/sec)"}, Unit: "req/s", Direction: LargerBetter, Kind: Throughput,
			Guide: "seq_throughput", GuideAlways: true, MetricType: "SEQ_THROUGHPUT", PerfField: "seq_per__sec", Required: AnyClient},
		{Name: "token_throughput",
			Labels: []string{"Output token throughput (tok/s)", "Total Output Throughput (tokens/sec)", "Token Throughput (tokens/sec)"},
			Unit:   "tok/s", Direction: LargerBetter, Kind: Throughput, Guide: "throughput__qps", GuideAlways: true, MetricType: "TOKEN_THROUGHPUT", PerfField: "tokens_per__sec",
			OtherTypes: []string{"TOTAL_OUTPUT_THROUGHPUT", "TOKENS_PER_SEC"}, Required: AnyClient},
		{Name: "total_token_throughput",
			Labels: []string{"Total Token throughput (tok/s)", "Total token throughput (tok/s)", "Total throughput (tok/s)",
				"Total Token Throughput (tokens/sec)"},
			Unit: "tok/s", Direction: LargerBetter, Kind: Throughput, Guide: "total_token_throughput", GuideAlways: true,
			MetricType: "TOTAL_TOKEN_THROUGHPUT", Required: AnyClient},
		{Name: "user_throughput",
			Labels: []string{"User throughput (tok/s)", "Per User Output Throughput [w/ ctx] (tps/user)",
				"Per User Output Throughput (tokens/sec/user)"},
			Unit: "tok/s", Direction: LargerBetter, Kind: Throughput,
			Guide: "user_throughput", GuideAlways: true, MetricType: "USER_THROUGHPUT", Required: OwnClient},
		{Name: "al", Labels: []string{"Mean Avg Decoded Tokens per Iter", "Avg Decoded Tokens per Iter"}, Unit: "tokens/iteration",
			Direction: LargerBetter, Guide: "al", Required: SpecDecodingClient},
	}
	// The latencies in the order of the guide's columns. The fields of trt_perf_parser.py follow no rule.
	for _, l := range []struct{ name, label, guideSuffix, mean, median, p99 string }{
		{"ttft", "TTFT", "__ms", "mean_ttft__msec", "server_median_ttft", "p99_ttft__msec"},
		{"tpot", "TPOT", "", "mean_tpot__msec", "server_median_tpot", "p99_tpot__msec"},
		{"itl", "ITL", "", "mean_itl__msec", "server_median_itl", "p99_itl__msec"},
		{"e2el", "E2EL", "__ms", "server_mean_e2el", "server_median_e2el", "server_p99_e2el"},
	} {
		for _, s := range []struct{ stat, field string }{{"Mean", l.mean}, {"Median", l.median}, {"P99", l.p99}} {
			name := strings.ToLower(s.stat) + "_" + l.name
			m := Metric{Name: name, Labels: latencyLabels(s.stat, l.label), Unit: "ms", Direction: SmallerBetter,
				Kind: Latency, Guide: name + l.guideSuffix, GuideAlways: true, MetricType: "SERVER_" + strings.ToUpper(name),
				PerfField: s.field, Required: AnyClient}
			if name == "median_ttft" || name == "median_e2el" {
				m.OtherTypes = []string{"DISAGG_SERVER_" + l.label} // the disaggregated suite's, which takes medians
			}
			table = append(table, m)
		}
	}
	// Appended by the harness to the client's log in gen_only runs.
	for _, s := range []struct{ stat, name string }{
		{"Average", "mean"}, {"Median", "median"}, {"Stdev", "std"}, {"P75", "p75"}, {"P99", "p99"},
	} {
		m := Metric{Name: s.name + "_gen_worker_per_iter_device_step_time", Labels: []string{s.stat + " Per Iter Device Step Time (ms)"},
			Unit: "ms", Direction: SmallerBetter, Kind: Latency, Place: BehindBlock}
		m.Guide = m.Name
		if s.name == "std" {
			m.Kind = Spread
		}
		if s.name == "mean" {
			m.Required = GenOnlyClient
		}
		table = append(table, m)
	}
	table = append(table,
		Metric{Name: "total_requests", Labels: []string{"Total requests", "Number of requests"}, Direction: Neutral, Kind: Count},
		Metric{Name: "successful_requests", Labels: []string{"Successful requests"}, Direction: LargerBetter, Kind: Count},
		Metric{Name: "failed_requests", Labels: []string{"Failed requests", "Total failed requests"}, Direction: SmallerBetter, Kind: Count},
		Metric{Name: "benchmark_duration", Labels: []string{"Benchmark duration (s)", "Total Latency (seconds)"}, Unit: "s",
			Direction: SmallerBetter},
		// trtllm-bench's own figures.
		Metric{Name: "total_latency", Labels: []string{"Total Latency (ms)"}, Unit: "ms", Direction: SmallerBetter},
		Metric{Name: "gpu_throughput", Labels: []string{"Per GPU Output Throughput (tps/gpu)", "Per GPU Output Throughput (tokens/sec/gpu)"},
			Unit: "tok/s/GPU", Direction: LargerBetter, Kind: Throughput},
		Metric{Name: "user_output_speed", Labels: []string{"Per User Output Speed (tps/user)"}, Unit: "tok/s", Direction: LargerBetter,
			Kind: Throughput},
		Metric{Name: "generation_throughput", Labels: []string{"Generation Token Throughput (tokens/sec)"}, Unit: "tok/s",
			Direction: LargerBetter, Kind: Throughput},
		Metric{Name: "mean_input_length", Labels: []string{"Average Input Length (tokens)"}, Unit: "tokens", Direction: Neutral},
		Metric{Name: "mean_output_length", Labels: []string{"Average Output Length (tokens)"}, Unit: "tokens", Direction: Neutral},
		Metric{Name: "total_input_tokens", Labels: []string{"Total input tokens"}, Direction: Neutral, Kind: Count},
		Metric{Name: "total_input_text_tokens", Labels: []string{"Total input text tokens"}, Direction: Neutral, Kind: Count},
		Metric{Name: "total_input_vision_tokens", Labels: []string{"Total input vision tokens"}, Direction: Neutral, Kind: Count},
		Metric{Name: "total_generated_tokens", Labels: []string{"Total generated tokens"}, Direction: Neutral, Kind: Count},
		Metric{Name: "total_retokenized_tokens", Labels: []string{"Total generated tokens (retokenized)"}, Direction: Neutral, Kind: Count},
		Metric{Name: "request_goodput", Labels: []string{"Request goodput (req/s)"}, Unit: "req/s", Direction: LargerBetter, Kind: Throughput},
		Metric{Name: "input_throughput", Labels: []string{"Input token throughput (tok/s)"}, Unit: "tok/s", Direction: LargerBetter,
			Kind: Throughput},
		Metric{Name: "peak_token_throughput", Labels: []string{"Peak output token throughput (tok/s)"}, Unit: "tok/s",
			Direction: LargerBetter, Kind: Throughput},
		Metric{Name: "peak_concurrent_requests", Labels: []string{"Peak concurrent requests"}, Direction: Neutral},
		Metric{Name: "mean_concurrency", Labels: []string{"Concurrency"}, Direction: Neutral},
		Metric{Name: "median_al", Labels: []string{"Median Avg Decoded Tokens per Iter"}, Unit: "tokens/iteration", Direction: LargerBetter},
		Metric{Name: "std_al", Labels: []string{"Std Dev Avg Decoded Tokens per Iter"}, Unit: "tokens/iteration", Direction: SmallerBetter,
			Kind: Spread},
		Metric{Name: "min_al", Labels: []string{"Min Avg Decoded Tokens per Iter"}, Unit: "tokens/iteration", Direction: LargerBetter},
		Metric{Name: "max_al", Labels: []string{"Max Avg Decoded Tokens per Iter"}, Unit: "tokens/iteration", Direction: LargerBetter},
		Metric{Name: "p99_al", Labels: []string{"P99 Avg Decoded Tokens per Iter"}, Unit: "tokens/iteration", Direction: LargerBetter},
		Metric{Name: "mean_request_ar", Labels: []string{"Mean Request AR"}, Direction: LargerBetter},
		Metric{Name: "median_request_ar", Labels: []string{"Median Request AR"}, Direction: LargerBetter},
		// vLLM's and SGLang's words for accepted draft tokens; their mean is over steps, al's over requests.
		Metric{Name: "acceptance_length", Labels: []string{"Acceptance length", "Accept length"}, Unit: "tokens/iteration",
			Direction: LargerBetter},
		Metric{Name: "acceptance_rate", Labels: []string{"Acceptance rate (%)"}, Unit: "%", Direction: LargerBetter},
		Metric{Name: "drafts", Labels: []string{"Drafts"}, Direction: Neutral, Kind: Count},
		Metric{Name: "draft_tokens", Labels: []string{"Draft tokens"}, Direction: Neutral, Kind: Count},
		Metric{Name: "accepted_tokens", Labels: []string{"Accepted tokens"}, Direction: Neutral, Kind: Count},
		Metric{Name: "total_energy", Labels: []string{"Total Energy (J)"}, Unit: "J", Direction: SmallerBetter},
		Metric{Name: "tokens_per_watt", Labels: []string{"Output Tokens per Second per Watt (tps/W)"}, Unit: "tps/W", Direction: LargerBetter},
		Metric{Name: "total_gpu_power", Labels: []string{"Total GPU Power (W)"}, Unit: "W", Direction: Neutral},
	)
	for _, l := range []string{"TTFT", "TPOT", "ITL", "E2EL"} {
		table = append(table, Metric{Name: "std_" + strings.ToLower(l), Labels: latencyLabels("Std Dev", l), Unit: "ms",
			Direction: SmallerBetter, Kind: Spread})
		for _, stat := range []string{"P50", "P75", "P90", "P95", "P99.9", "Min", "Max"} {
			table = append(table, Metric{Name: strings.ToLower(strings.ReplaceAll(stat, ".", "_")) + "_" + strings.ToLower(l),
				Labels: latencyLabels(stat, l), Unit: "ms", Direction: SmallerBetter, Kind: Latency})
		}
	}
	for _, stat := range []struct{ name, label string }{{"mean", "AVERAGE"}, {"median", "P50"}, {"p90", "P90"}, {"p95", "P95"}, {"p99", "P99"},
		{"min", "MINIMUM"}, {"max", "MAXIMUM"}} {
		table = append(table, Metric{Name: stat.name + "_generation_speed", Labels: []string{"[GTPS] " + stat.label}, Unit: "tok/s",
			Direction: LargerBetter, Kind: Throughput})
	}
	for i, m := range table {
		// Source: the clients' --save-result.
		switch key, ok := jsonKeys[m.Name]; {
		case ok:
			table[i].JSON = key
		case m.Unit == "ms" && m.Place == "" && m.Name != "total_latency":
			table[i].JSON = m.Name + "_ms"
		}
	}
	for i := range table {
		table[i] = table[i].complete()
	}
	return table
}

// jsonKeys are the keys of the client's JSON that do not follow from the name.
var jsonKeys = map[string]string{
	"seq_throughput": "request_throughput", "token_throughput": "output_throughput", "total_token_throughput": "total_token_throughput",
	"user_throughput": "user_throughput", "successful_requests": "completed", "benchmark_duration": "duration",
	"total_input_tokens": "total_input_tokens", "total_generated_tokens": "total_output_tokens", "request_goodput": "request_goodput",
}

// latencyLabels are the spellings of one statistic of one latency. SGLang writes "E2E Latency" for E2EL, trtllm-bench has words of its
// own; its P50 is the median.
func latencyLabels(stat, latency string) []string {
	labels := []string{stat + " " + latency + " (ms)"}
	if latency == "E2EL" {
		labels = append(labels, stat+" E2E Latency (ms)")
	}
	word := map[string]string{"Mean": "AVERAGE", "Median": "P50", "P90": "P90", "P95": "P95", "P99": "P99", "Min": "MINIMUM", "Max": "MAXIMUM"}[stat]
	name := map[string]string{"TTFT": "TTFT", "TPOT": "TPOT", "E2EL": "Latency"}[latency]
	if word == "" || name == "" {
		return labels
	}
	if stat == "Mean" {
		labels = append(labels, map[string]string{"TTFT": "Average time-to-first-token [TTFT] (ms)",
			"TPOT": "Average time-per-output-token [TPOT] (ms)", "E2EL": "Average request latency (ms)"}[latency])
	}
	return append(labels, "["+name+"] "+word)
}
