package export

import (
	"encoding/csv"
	"io"

	"github.com/trtperf/trtperf/parse"
)

// guideLabels are the columns before the metrics.
var guideLabels = []struct {
	column string
	cell   func(*parse.Result) string
}{
	{"network", func(r *parse.Result) string { return r.Labels.Network }},
	{"batchsize", func(r *parse.Result) string { return integer(r.Client.Concurrency) }},
	{"precision", func(r *parse.Result) string { return r.Labels.Precision }},
	{"framework", func(r *parse.Result) string { return r.Labels.Framework }},
	{"command", func(r *parse.Result) string { return r.Labels.Command }},
}

func writeGuide(w io.Writer, p *part, _ *Report) error {
	var metrics []*parse.Metric
	all, has := p.columns()
	for _, m := range all {
		if m.Guide != "" && (m.GuideAlways || has[m.Name]) {
			metrics = append(metrics, m)
		}
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	var row []string
	for _, l := range guideLabels {
		row = append(row, l.column)
	}
	for _, m := range metrics {
		row = append(row, m.Guide)
	}
	if err := out.Write(row); err != nil {
		return err
	}
	err := p.each(func(_ int, r *parse.Result) error {
		row = row[:0]
		for _, l := range guideLabels {
			row = append(row, l.cell(r))
		}
		return out.Write(append(row, metricCells(r, metrics)...))
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// metricCells are a Result's values, empty where absent.
func metricCells(r *parse.Result, metrics []*parse.Metric) []string {
	cells := make([]string, len(metrics))
	for i, m := range metrics {
		if v, ok := r.Metrics.Lookup(m.Name); ok {
			cells[i] = decimal(v.Value)
		}
	}
	return cells
}
