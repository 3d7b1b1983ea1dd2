package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/trtperf/trtperf/parse"
	runs "github.com/trtperf/trtperf/parse/run"
)

// ownMetric is a metric of the user's own in a YAML file: a list of these under "metrics".
type ownMetric struct {
	Name      string          `yaml:"name"`
	Label     string          `yaml:"label"`
	Labels    []string        `yaml:"labels"`
	Unit      string          `yaml:"unit"`
	Direction parse.Direction `yaml:"direction"`
}

// readMetrics reads a YAML file of the user's own metrics.
func readMetrics(path string) ([]parse.Metric, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Metrics []ownMetric `yaml:"metrics"`
	}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(file.Metrics) == 0 {
		return nil, fmt.Errorf("%s: no metrics: write a list under \"metrics:\", each with name, label, unit and direction", path)
	}
	var own []parse.Metric
	for _, m := range file.Metrics {
		labels := m.Labels
		if m.Label != "" {
			labels = append([]string{m.Label}, labels...)
		}
		own = append(own, parse.Metric{Name: m.Name, Labels: labels, Unit: m.Unit, Direction: m.Direction})
	}
	return own, nil
}

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
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, m.Unit, m.Direction, m.Labels[0], m.Guide, m.MetricType, m.PerfField, m.Document)
	}
	return w.Flush()
}

// metricEvent is a row of the metric table for programs.
type metricEvent struct {
	Kind       string            `json:"kind"`
	Name       string            `json:"name"`
	Labels     []string          `json:"labels"`
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

// checkMetrics tries metrics of the user's own on logs.
func checkMetrics(cmd *cobra.Command, s *settings, std stdio, file string, logs []string) error {
	if len(logs) == 0 {
		return usagef("metrics --check %s: name at least one log to try it on", file)
	}
	s.metrics = file
	opt, err := s.reading(std)
	if err != nil {
		return err
	}
	hits, blocks := map[string]int{}, 0
	var unread error
	for r := range runs.Read(cmd.Context(), logs, opt) {
		for _, result := range r.Results {
			blocks++
			for name := range result.Metrics {
				hits[name]++
			}
		}
		if r.Inputs.Failed > 0 {
			for _, d := range r.Diagnostics {
				if d.Severity == parse.Error {
					unread = errors.Join(unread, fmt.Errorf("%s: %s", d.File, d.Message))
				}
			}
		}
	}
	missing := false
	w := tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "METRIC\tBLOCKS OF %d THAT HAVE IT\n", blocks)
	for m := range opt.Table.All() {
		if m.Custom {
			fmt.Fprintf(w, "%s\t%d\n", m.Name, hits[m.Name])
			missing = missing || hits[m.Name] == 0
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
		return &codeError{exitFailed, fmt.Errorf("some metric of %s stands in no block: compare its label with the log, letter case counts", file)}
	}
	return nil
}
