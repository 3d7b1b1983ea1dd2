package main

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// logs writes client logs of one block each, in the variants that clients print and with faults of a benchmark's life.
func (o *options) logs() error {
	if o.dir == "" {
		return errors.New("logs: name a -dir")
	}
	var index strings.Builder
	for i := range o.n {
		name := fmt.Sprintf("%05d.log", i)
		text, variants := o.clientLog(i)
		fmt.Fprintf(&index, "%s\t%s\n", name, strings.Join(variants, " "))
		if err := o.create(name, func(w *bufio.Writer) { w.WriteString(text) }); err != nil {
			return err
		}
	}
	return o.create("variants.tsv", func(w *bufio.Writer) { w.WriteString(index.String()) })
}

// odd are values that a client would not print, or that are no numbers.
var odd = []string{"1e-05", "1.5e+07", "1,234", "1.2.3", "nan", "inf", "xxx", "N/A", "2...", "---", "20/20", "-0.00", "-7.25", "5", "+5.5"}

// clientLog makes one client's log and says what is special in it.
func (o *options) clientLog(n int) (text string, variants []string) {
	r := o.random
	one := func(of int) bool { return r.IntN(of) == 0 }
	is := func(name string) { variants = append(variants, name) }
	m := o.measure(n)
	sa := one(6)
	rows := m.lines(!sa)
	if sa {
		is("sa")
	}
	drop := func(part string) {
		rows = slices.DeleteFunc(rows, func(l string) bool { return strings.Contains(l, part) })
	}
	if one(8) {
		is("no-e2el")
		drop("E2EL (ms)")
	}
	if one(12) {
		is("no-tpot")
		drop("TPOT (ms)")
	}
	if !sa && one(8) {
		is("1.0")
		drop("Total requests")
		drop("Failed requests")
		drop("Std Dev")
		rows = slices.Insert(rows, 7, row("Mean Request AR:", "2.7123"), row("Median Request AR:", "2.7000"))
	} else if !sa && one(6) {
		is("al")
		at := slices.IndexFunc(rows, func(l string) bool { return strings.HasPrefix(l, "User") }) + 1
		rows = slices.Insert(rows, at, "-----------Avg Decoded Tokens per Iter------------", row("Mean Avg Decoded Tokens per Iter:", fmt.Sprintf("%.2f", 1+r.Float64()*3)),
			row("Median Avg Decoded Tokens per Iter:", "2.70"), row("P99 Avg Decoded Tokens per Iter:", "3.38"))
	}
	if one(10) {
		is("odd")
		value := odd[r.IntN(len(odd))]
		at := r.IntN(len(rows))
		if label, _, ok := strings.Cut(rows[at], ":"); ok {
			is("odd=" + value)
			rows[at] = row(label+":", value)
		}
	}
	if !sa && one(20) {
		is("banner")
		rows = slices.Insert(rows, 10, "=======================!FAILED REQUESTS!=======================", "Total failed requests: 3",
			"=====================!CHECK LOG FOR ERRORS!====================")
	}
	if one(10) {
		is("bar-in-front")
		at := r.IntN(len(rows))
		rows[at] = "Benchmarking: 100%|██████████| 80/80 [00:12<00:00,  6.48it/s]\r" + rows[at]
	}
	if !sa && one(20) {
		is("not-streamed")
		for i, l := range rows {
			if label, _, ok := strings.Cut(l, ":"); ok && strings.HasSuffix(label, "TTFT (ms)") && !strings.HasPrefix(label, "Std") {
				rows[i] = row(label+":", "-1000.00")
			}
		}
	}
	if one(15) {
		is("trailing")
		for i := range rows {
			rows[i] += strings.Repeat(" ", 100)
		}
	}
	block := slices.Concat([]string{"============ Serving Benchmark Result ============"}, rows, []string{"=================================================="})
	if one(15) {
		is("truncated")
		block = block[:2+r.IntN(len(block)-3)]
	}
	lines := []string{
		fmt.Sprintf("Namespace(backend='openai', model='toy', max_concurrency=8, num_prompts=%d, random_input_len=1024)", m.requests),
		"RandomDataset.sample() started...", "Starting initial single prompt test run...", "Initial test run completed. Starting main benchmark run...",
		"Traffic request rate: inf", "Burstiness factor: 1.0 (Poisson process)", "Maximum request concurrency: 8",
		"Benchmarking:   0%|          | 0/80 [00:00<?, ?it/s]\rBenchmarking: 100%|██████████| 80/80 [00:12<00:00,  6.48it/s]", "Total failed requests: 0",
	}
	if one(25) {
		is("no-block")
	} else {
		lines = append(lines, block...)
	}
	if one(12) {
		is("steps")
		lines = append(lines, "", "Average Per Iter Device Step Time (ms): 7.33", "Median Per Iter Device Step Time (ms): 7.3268",
			"Stdev Per Iter Device Step Time (ms): 0.1234", "P75 Per Iter Device Step Time (ms): 7.4000", "P99 Per Iter Device Step Time (ms): 7.9000", "")
	}
	prefix, end := "", "\n"
	if one(10) {
		is("label")
		prefix = fmt.Sprintf("%d: ", r.IntN(8))
	}
	if one(10) {
		is("crlf")
		end = "\r\n"
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(prefix + l + end)
	}
	if text = b.String(); one(20) {
		is("cut") // at any byte
		text = text[:r.IntN(len(text))]
	}
	return text, variants
}

// xml writes a results.xml as pytest does, with test cases whose outputs are logs.
func (o *options) xml() {
	cases := 4
	if o.one {
		cases = 1
	}
	o.print("<?xml version=\"1.0\" encoding=\"utf-8\"?><testsuites name=\"pytest tests\"><testsuite name=\"pytest\" errors=\"0\" failures=\"0\" skipped=\"0\" "+
		"tests=\"%d\" time=\"12.5\" timestamp=\"2026-08-23T01:02:03.000000+00:00\" hostname=\"node\">", cases)
	for i := range cases {
		o.print("<testcase classname=\"perf.test_perf_sanity\" name=\"test_e2e[aggr_upload-toy%d-tp4]\" time=\"12.5\"><system-out>", i)
		if i == 0 {
			o.block(o.out, i, "\n")
		}
		size := o.size / uint64(cases)
		begin := o.written
		for o.written-begin < size*9/10 {
			// Without quotes and arrows, which XML escapes.
			o.print("gb200-%02d:1722:1722 [%d] NCCL INFO Channel %02d/0 : 0[0] -&gt; 1[1] via P2P/CUMEM/read\n", o.random.IntN(72), o.random.IntN(4), o.random.IntN(32))
		}
		o.print("</system-out></testcase>")
	}
	o.print("</testsuite></testsuites>\n")
}

// csv writes a metric-row CSV as test_perf.py did in May 2025, or without its raw_result.
func (o *options) csv() {
	types := []string{"SEQ_THROUGHPUT", "TOKEN_THROUGHPUT", "TOTAL_TOKEN_THROUGHPUT", "USER_THROUGHPUT"}
	for _, l := range []string{"TTFT", "TPOT", "ITL", "E2EL"} {
		types = append(types, "SERVER_MEAN_"+l, "SERVER_MEDIAN_"+l, "SERVER_P99_"+l)
	}
	raw, column := "", ""
	if !o.rows {
		column = "raw_result,"
		raw = "\"" + strings.Repeat(`\n[05/22/2025-07:20:22] [TRT-LLM] [I] Starting ""TensorRT-LLM"" init, worker 3.`, 250) + "\","
	}
	o.print("network_name,network_hash,sm_clk,mem_clk,gpu_idx,perf_case_name,test_name,original_test_name,%sperf_metric,total_time__sec,"+
		"start_timestamp,end_timestamp,state,command,threshold,absolute_threshold,metric_type\r\n", column)
	for i := 0; o.written < o.size; i++ {
		name := fmt.Sprintf("\"test_perf_metric[llama_v3.1_8b-bench-bfloat16-input_output_len:128,128-reqs:%d]\"", i)
		for _, word := range types {
			o.print("%s,%s,1755,1593,0,%s,%s,%s,", name, name, name, name, name)
			o.out.WriteString(raw)
			o.written += uint64(len(raw))
			o.print("%d.%04d,254.122006,2025-05-22 07:19:59,2025-05-22 07:24:13,valid,  trtllm-bench --log_level=verbose,0.1,30,%s\r\n",
				1+o.random.IntN(9000), o.random.IntN(10000), word)
		}
	}
}
