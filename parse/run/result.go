package run

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/benchlog"
	"github.com/trtperf/trtperf/parse/config"
)

const tensorRTLLM = "TensorRT-LLM"

// result makes a Result of a block. The indices are nil where nothing tells them.
func (r *reader) result(t *test, b *block, server, client *int) *parse.Result {
	result := parse.NewResult()
	result.TestID, result.Module, result.Function, result.Mode, result.Role = t.id, t.module, t.function, t.mode, t.role
	result.Server.Index, result.Client.Index = server, client
	result.Rows, result.Requests.Asked, result.Source = b.Rows, b.Asked, b.source
	if result.Function == "" && t.layout && t.id.Suite == parse.PerfSanity {
		result.Function = parse.DefaultFunction
	}
	planned := t.planned(server, client)
	r.label(result, t, b, planned)
	trailer := slices.Clone(b.Trailer)
	computed, stepNotes := r.steps(t, planned, trailer)
	// Once for a file: a sweep prints the label in every block.
	told := func(label string) bool { return r.unknown[[2]string{b.source.File, label}] }
	found := append(r.opt.Table.Measure(result, append(trailer, computed...), told), stepNotes...)
	for _, row := range computed {
		name := r.opt.Table.ByLabel(row.Label).Name
		v := result.Metrics.Get(name)
		v.Computed = true
		result.Metrics.Set(name, v)
	}
	found = append(found, r.opt.Table.Aggregate(result, b.Hits)...)
	found = append(found, r.serverHits(t, result)...)
	if planned != nil && result.Requests.Asked == nil && result.Requests.Total == nil {
		result.Requests.Asked = planned.client.Prompts
	}
	parse.Judge(r.opt.Table, result, b.Banner, b.End == benchlog.EndOfLog)
	if t.layout && t.id.Suite == parse.PerfSanity {
		r.require(result, t, planned, found)
	}
	r.describe(result, t)
	result.ID = parse.Identify(result)
	for _, d := range found {
		d.File, d.Member = b.source.File, b.source.Member
		if d.Code == parse.UnknownLabel {
			if told(d.Label) { // twice in the block
				continue
			}
			if r.unknown == nil {
				r.unknown = map[[2]string]bool{}
			}
			r.unknown[[2]string{d.File, d.Label}] = true
		}
		r.Diagnostics = append(r.Diagnostics, d)
	}
	return result
}

// plannedClient is a client of the plan with its server.
type plannedClient struct {
	server config.PlannedServer
	client config.PlannedClient
}

func (t *test) planned(server, client *int) *plannedClient {
	if t.plan == nil || server == nil || client == nil {
		return nil
	}
	for _, s := range t.plan.Servers {
		for _, c := range s.Clients {
			if *s.Index == *server && *c.Index == *client {
				return &plannedClient{s, c}
			}
		}
	}
	return nil
}

// label fills in what was measured: from the YAML, else from the id, else from the log.
func (r *reader) label(result *parse.Result, t *test, b *block, planned *plannedClient) {
	if planned != nil {
		result.Server.Name = planned.server.Name
		result.Client = planned.client.Client
		result.Labels = planned.server.Labels
		result.Labels.Command = planned.client.Command
	}
	if len(b.Details) > 0 {
		reported(result, b.Details)
	}
	l, c := &result.Labels, &result.Client
	option := &b.Options
	l.Network = cmp.Or(l.Network, networkOf(t.id))
	l.Model = cmp.Or(l.Model, option.Model)
	if option.Model != r.model.name { // all blocks of a log have the same
		r.model.name, r.model.precision = option.Model, precisionOf(path.Base(option.Model))
	}
	l.Precision = cmp.Or(l.Precision, precisionOf(t.id.Config, strings.Join(t.id.Servers, "-")), r.model.precision)
	if t.layout && t.id.Suite == parse.PerfSanity {
		l.Framework = tensorRTLLM
	}
	l.Framework = cmp.Or(l.Framework, b.Framework)
	c.Concurrency = cmp.Or(c.Concurrency, positive(option.Concurrency), result.ConcurrencySetting(), t.id.Concurrency)
	c.ISL = cmp.Or(c.ISL, positive(option.InputLen))
	c.OSL = cmp.Or(c.OSL, positive(option.OutputLen))
}

// networkOf is the network's name where no YAML tells it: a disaggregated configuration with its mode, or the one server that an
// aggregated id selects.
func networkOf(id parse.TestID) string {
	switch {
	case id.Suite != parse.PerfSanity:
		return ""
	case id.Aggregated() && id.SubMode == "" && len(id.Servers) == 1:
		return id.Servers[0]
	case id.Aggregated() && id.SubMode == "":
		return ""
	case id.SubMode != "":
		return id.SubMode + "-" + id.Config
	}
	return id.Config
}

// precisions are the words that name a weights' type when they stand as a whole token.
var precisions = map[string]bool{
	"fp4": true, "nvfp4": true, "mxfp4": true, "fp8": true, "bf16": true, "bfloat16": true, "fp16": true, "float16": true, "fp32": true,
	"float32": true, "int8": true, "int4": true, "w4a8": true, "w4a16": true, "w8a8": true, "w8a16": true,
}

// tokenBreak are the characters between tokens.
const tokenBreak = "-_/.:,"

// precisionOf returns the one precision that the texts name as a whole token, else the empty text.
func precisionOf(texts ...string) string {
	found := ""
	for _, text := range texts {
		if text == "" || text == "." { // of no path
			continue
		}
		for token := range strings.FieldsFuncSeq(text, func(c rune) bool { return strings.ContainsRune(tokenBreak, c) }) {
			if token = strings.ToLower(token); precisions[token] && token != found {
				if found != "" {
					return "" // two words, and nothing says which is the weights' type
				}
				found = token
			}
		}
	}
	return found
}

func positive(digits string) *int {
	if digits == "" {
		return nil // without an error, of which there would be many
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n <= 0 {
		return nil
	}
	return &n
}

// require fails a Result that lacks a metric which its kind of run must have. Only runs of the perf-sanity harness have such.
// Source: its check_test_failure.
func (r *reader) require(result *parse.Result, t *test, planned *plannedClient, found []parse.Diagnostic) {
	saClient := result.Requests.Total == nil && result.Requests.Failed == nil
	specDecoding, genOnly := false, t.id.SubMode == "gen_only"
	if planned != nil {
		saClient = planned.client.SAClient
		specDecoding = planned.client.SpecDecoding && (!planned.client.Agentx || !planned.client.ForcesAccepted)
		genOnly = planned.client.GenOnly
	}
	notMeasured := map[int]bool{}
	for _, d := range found {
		if d.Code == parse.NotMeasured {
			notMeasured[d.Line] = true
		}
	}
	var missing []string
	for m := range r.opt.Table.All() {
		needed := false
		switch m.Required {
		case parse.AnyClient:
			needed = true
		case parse.OwnClient:
			needed = !saClient
		case parse.SpecDecodingClient:
			needed = specDecoding && t.era >= config.EraE
		case parse.GenOnlyClient:
			needed = genOnly && t.era >= config.EraE
		}
		if _, ok := result.Metrics.Lookup(m.Name); ok || !needed {
			continue
		}
		if slices.ContainsFunc(result.Rows, func(row parse.Row) bool { return row.Metric == m.Name && notMeasured[row.Line] }) {
			continue
		}
		missing = append(missing, m.Name)
	}
	if len(missing) > 0 {
		result.Fail(parse.MissingMetric, fmt.Sprintf("such a run must have %s", strings.Join(missing, ", ")))
	}
}
