package run

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/devicestep"
)

// workerLog matches the logs that device step times are computed from, one for each generation server.
var workerLog = regexp.MustCompile(`^gen_server_(\d+)\.log$`)

// steps computes the device step times of a generation-only run whose client's log has none, as the harness would have appended
// them. Its numbers are those of one client only where the workers served one client: nothing in the run tells where in the workers'
// logs a client began.
func (r *reader) steps(t *test, planned *plannedClient, appended []parse.Row) ([]parse.Row, []parse.Diagnostic) {
	genOnly := t.id.SubMode == "gen_only"
	if planned != nil {
		genOnly = planned.client.GenOnly
	}
	if !genOnly || !t.layout || slices.ContainsFunc(appended, func(row parse.Row) bool { return strings.Contains(row.Label, "Device Step Time") }) {
		return nil, nil
	}
	note := func(format string, args ...any) []parse.Diagnostic {
		return []parse.Diagnostic{{Severity: parse.Warning, Code: DeviceStepUnread, Message: "the client's log has no device step times, and " +
			fmt.Sprintf(format, args...)}}
	}
	logs := t.workerLogs(planned)
	switch {
	case len(logs) == 0:
		return nil, nil
	case len(t.clients)+len(t.blocks) != 1 || t.plan != nil && t.expected() != 1:
		return nil, note("the generation workers' logs cannot tell which of several clients theirs belong to")
	}
	var samples []*devicestep.Sample
	for _, f := range logs {
		c := f.content
		if !f.taken {
			c, _ = r.open(f)
		}
		if c.err != nil || c.steps == nil {
			return nil, note("%s could not be read", f.Path)
		}
		for _, n := range c.steps.Notes {
			r.note(parse.Warning, n.Code, f.Path, n.Line, n.Message)
		}
		samples = append(samples, c.steps)
	}
	stats, ok := devicestep.Combine(samples)
	if !ok {
		return nil, note("the generation workers' logs hold no usable one")
	}
	return stats.Rows(), nil
}

// workerLogs returns the logs of the generation servers that the configuration has, in order; without one, all that there are.
func (t *test) workerLogs(planned *plannedClient) []*located {
	var logs []*located
	for _, f := range t.files {
		m := workerLog.FindStringSubmatch(f.name)
		if f.kind != generatorLog || m == nil {
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err == nil && planned != nil && planned.server.Labels.GenerationServers != nil && n >= *planned.server.Labels.GenerationServers {
			continue
		}
		logs = append(logs, f)
	}
	return logs
}

// serverHits adds what the user's own expressions find in the logs of the test's servers. A log whose name tells its server counts for
// that server's clients alone.
func (r *reader) serverHits(t *test, result *parse.Result) []parse.Diagnostic {
	if !r.opt.exprs.ForServers() {
		return nil
	}
	var hits []parse.Hits
	for _, f := range t.files {
		if f.kind != serverLog && f.kind != generatorLog || f.reason == stderrReason {
			continue
		}
		if f.server != nil && result.Server.Index != nil && *f.server != *result.Server.Index {
			continue
		}
		c := f.content
		if !f.taken {
			c, _ = r.open(f)
		}
		for _, h := range c.hits {
			parse.HitsOf(&hits, h.Metric).Join(h.Elsewhere())
		}
	}
	return r.opt.Table.Aggregate(result, hits)
}

// reported fills in what trtllm-bench says of itself before its figures.
func reported(result *parse.Result, details []parse.Row) {
	said := map[string]string{}
	for _, row := range details {
		if row.Text != "None" {
			said[row.Label] = row.Text
		}
	}
	l := &result.Labels
	if l.Model == "" {
		l.Model = said["Model"]
	}
	if l.Precision == "" {
		if l.Precision = precisionOf(said["Quantization"]); l.Precision == "" && said["Quantization"] == "" {
			l.Precision = precisionOf(said["Dtype"])
		}
	}
	for label, to := range map[string]**int{"TP Size": &l.TP, "PP Size": &l.PP, "EP Size": &l.EP} {
		if *to == nil {
			*to = positive(said[label])
		}
	}
	if result.Job.TensorRTLLM == "" {
		result.Job.TensorRTLLM = said["TensorRT-LLM Version"]
	}
}
