package export

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/trtperf/trtperf/parse"
)

// fullFields are the columns before the metrics.
var fullFields = []struct {
	column string
	cell   func(*parse.Result) string
}{
	{"id", func(r *parse.Result) string { return r.ID }},
	{"status", func(r *parse.Result) string { return string(r.Status) }},
	{"reasons", reasons},
	{"test_id", func(r *parse.Result) string { return r.TestID.String() }},
	{"module", func(r *parse.Result) string { return r.Module }},
	{"function", func(r *parse.Result) string { return r.Function }},
	{"mode", func(r *parse.Result) string { return string(r.Mode) }},
	{"role", func(r *parse.Result) string { return string(r.Role) }},
	{"server_index", func(r *parse.Result) string { return integer(r.Server.Index) }},
	{"server_name", func(r *parse.Result) string { return r.Server.Name }},
	{"client_index", func(r *parse.Result) string { return integer(r.Client.Index) }},
	{"client_name", func(r *parse.Result) string { return r.Client.Name }},
	{"concurrency", func(r *parse.Result) string { return integer(r.Client.Concurrency) }},
	{"isl__tokens", func(r *parse.Result) string { return integer(r.Client.ISL) }},
	{"osl__tokens", func(r *parse.Result) string { return integer(r.Client.OSL) }},
	{"iterations", func(r *parse.Result) string { return integer(r.Client.Iterations) }},
	{"network", func(r *parse.Result) string { return r.Labels.Network }},
	{"model", func(r *parse.Result) string { return r.Labels.Model }},
	{"precision", func(r *parse.Result) string { return r.Labels.Precision }},
	{"framework", func(r *parse.Result) string { return r.Labels.Framework }},
	{"command", func(r *parse.Result) string { return r.Labels.Command }},
	{"gpus", func(r *parse.Result) string { return integer(r.Labels.GPUs) }},
	{"gpus_per_node", func(r *parse.Result) string { return integer(r.Labels.GPUsPerNode) }},
	{"tp", func(r *parse.Result) string { return integer(r.Labels.TP) }},
	{"ep", func(r *parse.Result) string { return integer(r.Labels.EP) }},
	{"pp", func(r *parse.Result) string { return integer(r.Labels.PP) }},
	{"cp", func(r *parse.Result) string { return integer(r.Labels.CP) }},
	{"context_servers", func(r *parse.Result) string { return integer(r.Labels.ContextServers) }},
	{"generation_servers", func(r *parse.Result) string { return integer(r.Labels.GenerationServers) }},
	{"spec_decoding", func(r *parse.Result) string { return truth(r.Labels.SpecDecoding) }},
	{"requests_asked", func(r *parse.Result) string { return count(r.Requests.Asked) }},
	{"gpu", func(r *parse.Result) string { return r.System.GPU }},
	{"gpu_count", func(r *parse.Result) string { return integer(r.System.GPUCount) }},
	{"driver", func(r *parse.Result) string { return r.System.Driver }},
	{"cuda", func(r *parse.Result) string { return r.System.CUDA }},
	{"sm_clock__MHz", func(r *parse.Result) string { return float(r.System.SMClockMHz) }},
	{"mem_clock__MHz", func(r *parse.Result) string { return float(r.System.MemClockMHz) }},
	{"cpu", func(r *parse.Result) string { return r.System.CPU }},
	{"os", func(r *parse.Result) string { return r.System.OS }},
	{"host", func(r *parse.Result) string { return r.System.Host }},
	{"trtllm", func(r *parse.Result) string { return r.Job.TensorRTLLM }},
	{"tensorrt", func(r *parse.Result) string { return r.Job.TensorRT }},
	{"commit", func(r *parse.Result) string { return r.Job.Commit }},
	{"link", func(r *parse.Result) string { return r.Job.Link }},
	{"notes", func(r *parse.Result) string { return r.Job.Notes }},
	{"build_id", func(r *parse.Result) string { return r.Job.Build.ID }},
	{"build_url", func(r *parse.Result) string { return r.Job.Build.URL }},
	{"branch", func(r *parse.Result) string { return r.Job.Build.Branch }},
	{"post_merge", func(r *parse.Result) string { return truth(r.Job.Build.PostMerge) }},
	{"started_at", func(r *parse.Result) string { return instant(r.StartedAt) }},
	{"ended_at", func(r *parse.Result) string { return instant(r.EndedAt) }},
	{"test_time__s", func(r *parse.Result) string { return float(r.TestSeconds) }},
	{"source_file", func(r *parse.Result) string { return r.Source.File }},
	{"source_member", func(r *parse.Result) string { return r.Source.Member }},
	{"source_testcase", func(r *parse.Result) string { return r.Source.Testcase }},
	{"source_block", func(r *parse.Result) string { return strconv.Itoa(r.Source.Block) }},
	{"source_line", func(r *parse.Result) string { return strconv.Itoa(r.Source.Line) }},
}

func writeFull(w io.Writer, p *part, _ *Report) error {
	var metrics []*parse.Metric
	all, has := p.columns()
	for _, m := range all {
		if m.GuideAlways || has[m.Name] {
			metrics = append(metrics, m)
		}
	}
	out := csv.NewWriter(w)
	var row []string
	for _, f := range fullFields {
		row = append(row, f.column)
	}
	for _, m := range metrics {
		row = append(row, m.Full)
	}
	if err := out.Write(row); err != nil {
		return err
	}
	err := p.each(func(_ int, r *parse.Result) error {
		row = row[:0]
		for _, f := range fullFields {
			row = append(row, f.cell(r))
		}
		return out.Write(append(row, metricCells(r, metrics)...))
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func reasons(r *parse.Result) string {
	codes := make([]string, len(r.Reasons))
	for i, x := range r.Reasons {
		codes[i] = string(x.Code)
	}
	return strings.Join(codes, " ")
}

func truth(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}

func count(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
