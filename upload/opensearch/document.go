package opensearch

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/opensearch-project/opensearch-go/v2/opensearchapi"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
)

// fields are a document's fields, but for metrics, status and times. Names: TensorRT-LLM's perf-sanity documents, as far as they have
// the thing. A nil value, an empty text or a nil pointer is absent.
var fields = []struct {
	name  string
	value func(*parse.Result) any
}{
	{"s_trtperf_id", func(r *parse.Result) any { return r.ID }},
	{"s_test_list", func(r *parse.Result) any { return r.TestID.String() }},
	{"s_test_module", func(r *parse.Result) any { return r.Module }},
	{"s_test_function", func(r *parse.Result) any { return r.Function }},
	{"s_test_case_name", testCaseName},
	{"s_runtime", runtime},
	{"s_benchmark_mode", func(r *parse.Result) any { return r.TestID.SubMode }},
	{"s_mode", func(r *parse.Result) any { return string(r.Mode) }},
	{"s_network", func(r *parse.Result) any { return r.Labels.Network }},
	{"s_model_name", func(r *parse.Result) any { return strings.ToLower(r.Labels.Model) }},
	{"s_precision", func(r *parse.Result) any { return r.Labels.Precision }},
	{"s_framework", func(r *parse.Result) any { return r.Labels.Framework }},
	{"s_command", func(r *parse.Result) any { return r.Labels.Command }},
	{"s_server_name", func(r *parse.Result) any { return r.Server.Name }},
	{"l_server_index", func(r *parse.Result) any { return r.Server.Index }},
	{"s_client_name", func(r *parse.Result) any { return r.Client.Name }},
	{"l_client_index", func(r *parse.Result) any { return r.Client.Index }},
	{"l_concurrency", func(r *parse.Result) any { return r.Client.Concurrency }},
	{"l_iterations", func(r *parse.Result) any { return r.Client.Iterations }},
	{"l_isl", func(r *parse.Result) any { return r.Client.ISL }},
	{"l_osl", func(r *parse.Result) any { return r.Client.OSL }},
	{"l_gpus", func(r *parse.Result) any { return r.Labels.GPUs }},
	{"l_gpus_per_node", func(r *parse.Result) any { return r.Labels.GPUsPerNode }},
	{"l_tp", func(r *parse.Result) any { return r.Labels.TP }},
	{"l_ep", func(r *parse.Result) any { return r.Labels.EP }},
	{"l_pp", func(r *parse.Result) any { return r.Labels.PP }},
	{"l_cp", func(r *parse.Result) any { return r.Labels.CP }},
	{"l_num_ctx_servers", func(r *parse.Result) any { return r.Labels.ContextServers }},
	{"l_num_gen_servers", func(r *parse.Result) any { return r.Labels.GenerationServers }},
	{"b_eos", func(r *parse.Result) any { return r.Labels.SpecDecoding }},
	{"l_requests_asked", func(r *parse.Result) any { return r.Requests.Asked }},
	{"s_gpu_type", func(r *parse.Result) any { return r.System.GPU }},
	{"l_gpu_count", func(r *parse.Result) any { return r.System.GPUCount }},
	{"s_driver", func(r *parse.Result) any { return r.System.Driver }},
	{"s_cuda", func(r *parse.Result) any { return r.System.CUDA }},
	{"d_sm_clock_mhz", func(r *parse.Result) any { return r.System.SMClockMHz }},
	{"d_mem_clock_mhz", func(r *parse.Result) any { return r.System.MemClockMHz }},
	{"s_cpu", func(r *parse.Result) any { return r.System.CPU }},
	{"s_os", func(r *parse.Result) any { return r.System.OS }},
	{"s_host_node_name", func(r *parse.Result) any { return r.System.Host }},
	{"s_trtllm_version", func(r *parse.Result) any { return r.Job.TensorRTLLM }},
	{"s_tensorrt_version", func(r *parse.Result) any { return r.Job.TensorRT }},
	{"s_commit", func(r *parse.Result) any { return r.Job.Commit }},
	{"s_job_url", func(r *parse.Result) any { return r.Job.Link }},
	{"s_notes", func(r *parse.Result) any { return r.Job.Notes }},
	{"ts_started", func(r *parse.Result) any { return milliseconds(r.StartedAt) }},
	{"ts_ended", func(r *parse.Result) any { return milliseconds(r.EndedAt) }},
	{"d_test_seconds", func(r *parse.Result) any { return r.TestSeconds }},
	{"s_source_file", func(r *parse.Result) any { return r.Source.File }},
	{"l_source_line", func(r *parse.Result) any { return r.Source.Line }},
}

// testCaseName is "<server>-<client>", as upstream's match keys have it.
func testCaseName(r *parse.Result) any {
	if r.Server.Name == "" || r.Client.Name == "" {
		return nil
	}
	return r.Server.Name + "-" + r.Client.Name
}

// runtime is upstream's word for the mode; an aggregated server counts as multi-node whenever it does not fill exactly one node.
func runtime(r *parse.Result) any {
	switch {
	case r.Mode == parse.Disagg:
		return "multi_node_disagg_server"
	case r.Labels.GPUs != nil && r.Labels.GPUsPerNode != nil && *r.Labels.GPUs != *r.Labels.GPUsPerNode:
		return "multi_node_aggr_server"
	case r.Mode != "":
		return "aggr_server"
	}
	return nil
}

func milliseconds(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// document makes the two halves of an update: doc, which is written over what is there, and upsert, which makes the document where
// there is none.
func document(item upload.Item, table *parse.Table, now time.Time) (doc, upsert map[string]any) {
	r := item.Result
	doc = map[string]any{}
	for _, f := range fields {
		if v := present(f.value(r)); v != nil {
			doc[f.name] = v
		}
	}
	for name, v := range r.Metrics {
		m := table.ByName(name)
		switch {
		case m == nil:
			// A metric of the user's own whose table this command has not got.
			doc["d_"+name] = v.Value
		case m.Kind != parse.Count:
			doc[m.Document] = v.Value
		case v.Value == math.Trunc(v.Value):
			doc[m.Document] = int64(v.Value)
		}
	}
	var codes []string
	for _, reason := range r.Reasons {
		codes = append(codes, string(reason.Code))
	}
	status := map[string]any{"b_is_valid": r.Valid(), "s_failure_reasons": strings.Join(codes, " ")}
	upsert = map[string]any{"b_is_baseline": false}
	for name, v := range doc {
		upsert[name] = v
	}
	for name, v := range status {
		upsert[name] = v
		if !r.Valid() || item.Delivered || slices.Contains(r.Checked, parse.InJUnit) {
			doc[name] = v
		}
	}
	created := now
	for _, t := range []time.Time{r.StartedAt, r.EndedAt} {
		if !t.IsZero() {
			created = t
		}
	}
	upsert["ts_created"] = created.UnixMilli()
	upsert["@timestamp"] = created.UTC().Format("2006-01-02T15:04:05.000Z")
	return doc, upsert
}

// present returns a value, or nil where it stands for something absent.
func present(v any) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			return nil
		}
	case *int:
		if v == nil {
			return nil
		}
	case *int64:
		if v == nil {
			return nil
		}
	case *float64:
		if v == nil {
			return nil
		}
	case *bool:
		if v == nil {
			return nil
		}
	}
	return v
}

// prefixes are upstream's, with the types that they promise.
var prefixes = []struct{ prefix, kind string }{
	{"s_", "keyword"}, {"l_", "long"}, {"d_", "double"}, {"b_", "boolean"},
	// Milliseconds since 1970: a date sorts and charts, and takes upstream's range queries in milliseconds.
	{"ts_", "date"},
}

// templateName is the index template's.
const templateName = "trtperf"

// template maps by prefix.
func template() map[string]any {
	var dynamic []any
	for _, p := range prefixes {
		mapping := map[string]any{"type": p.kind}
		if p.kind == "date" {
			mapping["format"] = "epoch_millis"
		}
		if p.kind == "keyword" {
			mapping["ignore_above"] = 8191
		}
		dynamic = append(dynamic, map[string]any{strings.TrimSuffix(p.prefix, "_"): map[string]any{"match": p.prefix + "*", "mapping": mapping}})
	}
	return map[string]any{
		"index_patterns": []string{"df-*-trtperf"},
		"priority":       200,
		"template": map[string]any{"mappings": map[string]any{
			"dynamic":           true,
			"dynamic_templates": dynamic,
			"properties":        map[string]any{"@timestamp": map[string]any{"type": "date"}},
		}},
	}
}

// prepare puts the index template, once. It returns the answer for all items where that fails.
func (s *Store) prepare(ctx context.Context) *upload.Answer {
	if s.prepared {
		return nil
	}
	body, err := json.Marshal(template())
	if err != nil {
		return &upload.Answer{Outcome: parse.Refused, Reason: err.Error()}
	}
	if _, failed := s.do(ctx, opensearchapi.IndicesPutIndexTemplateRequest{Name: templateName, Body: strings.NewReader(string(body))}); failed != nil {
		failed.Reason = "index template: " + failed.Reason
		return failed
	}
	s.prepared = true
	return nil
}
