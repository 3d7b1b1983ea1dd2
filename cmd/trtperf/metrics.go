package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/custom"
	runs "github.com/trtperf/trtperf/parse/run"
)

func metricsCommand(s *settings, std stdio) *cobra.Command {
	var check string
	c := &cobra.Command{
		Use:   "metrics [LOG…]",
		Short: "Print the metric table, or check metrics of your own against logs",
		Long: "Print the metric table: name, unit, direction, printed labels and the columns and fields of each output.\n" +
			"With --check FILE, read FILE as --metrics does and say which of its metrics the LOGs hold.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if check != "" {
				return checkMetrics(cmd, s, std, check, args)
			}
			if len(args) > 0 {
				return usagef("metrics takes logs only with --check FILE")
			}
			opt, err := s.reading(std)
			if err != nil {
				return err
			}
			if s.json {
				return printMetricEvents(std.out, opt.Table)
			}
			return printMetrics(std.out, opt.Table)
		},
	}
	c.Flags().StringVar(&check, "check", "", "YAML file with metrics of your own, to be tried on the logs")
	s.addMetrics(c.Flags())
	return c
}

func printMetrics(out io.Writer, t *parse.Table) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tUNIT\tBETTER\tPRINTED AS\tGUIDE COLUMN\tMETRIC TYPE\tTRT_PERF FIELD\tOPENSEARCH FIELD")
	for m := range t.All() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, m.Unit, m.Direction, printedAs(m), m.Guide, m.MetricType, m.PerfField, m.Document)
	}
	return w.Flush()
}

// printedAs is the first label of a metric, else its expression.
func printedAs(m *parse.Metric) string {
	if m.Expr != nil {
		return m.Expr.String()
	}
	return m.Labels[0]
}

// metricEvent is a row of the metric table for programs.
type metricEvent struct {
	Kind       string            `json:"kind"`
	Name       string            `json:"name"`
	Labels     []string          `json:"labels,omitempty"`
	Pattern    string            `json:"pattern"`
	Unit       string            `json:"unit,omitempty"`
	Direction  parse.Direction   `json:"direction"`
	Guide      string            `json:"guide_column,omitempty"`
	Full       string            `json:"full_column"`
	MetricType string            `json:"metric_type"`
	PerfField  string            `json:"trt_perf_field"`
	Document   string            `json:"opensearch_field"`
	Required   parse.Requirement `json:"required_of,omitempty"`
}

func printMetricEvents(out io.Writer, t *parse.Table) error {
	for m := range t.All() {
		e := metricEvent{"metric", m.Name, m.Labels, m.Pattern(), m.Unit, m.Direction, m.Guide, m.Full, m.MetricType, m.PerfField, m.Document,
			m.Required}
		if err := writeJSON(out, e); err != nil {
			return err
		}
	}
	return nil
}

// own yields the metrics of the user's own.
func own(t *parse.Table) iter.Seq[parse.Metric] {
	return func(yield func(parse.Metric) bool) {
		for m := range t.All() {
			if m.Custom && !yield(*m) {
				return
			}
		}
	}
}

// checkMetrics tries metrics of the user's own on logs and prints where they are found.
func checkMetrics(cmd *cobra.Command, s *settings, std stdio, file string, logs []string) error {
	if len(logs) == 0 {
		return usagef("metrics --check %s: name at least one log to try it on", file)
	}
	s.metrics = file
	opt, err := s.reading(std)
	if err != nil {
		return err
	}
	own := slices.Collect(own(opt.Table))
	for _, name := range custom.Slow(own) {
		fmt.Fprintf(std.err, "slow     %s: its expression holds no text of four letters or more that every hit has, so each line of every log is tried\n", name)
	}
	hits, blocks := map[string]int{}, 0
	var unread error
	w := tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "METRIC\tVALUE\tUNIT\tFOUND IN")
	for r := range runs.Read(cmd.Context(), logs, opt) {
		for _, result := range r.Results {
			blocks++
			for _, m := range own {
				v, ok := result.Metrics.Lookup(m.Name)
				if !ok {
					continue
				}
				hits[m.Name]++
				place := strings.TrimSuffix(result.Source.File+"/"+result.Source.Member, "/")
				if v.Line > 0 {
					place += ":" + strconv.Itoa(v.Line)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s, block %d\n", m.Name, v.Text, m.Unit, place, result.Source.Block)
			}
		}
		for _, d := range r.Diagnostics {
			switch {
			case d.Severity == parse.Error:
				unread = errors.Join(unread, fmt.Errorf("%s: %s", d.File, d.Message))
			case d.Code == parse.NotANumber:
				fmt.Fprintf(std.err, "%s:%d: %s\n", d.File, d.Line, d.Message)
			}
		}
	}
	missing := false
	for _, m := range own {
		if hits[m.Name] == 0 {
			fmt.Fprintf(w, "%s\t-\t%s\tin no block of %d\n", m.Name, m.Unit, blocks)
			missing = true
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	switch {
	case unread != nil:
		return &codeError{exitUnread, unread}
	case blocks == 0:
		return &codeError{exitNothing, errors.New("the logs hold no benchmark block")}
	case missing:
		return &codeError{exitFailed, fmt.Errorf("some metric of %s stands in no block: compare its label or regex with the log, letter case counts", file)}
	}
	return nil
}
