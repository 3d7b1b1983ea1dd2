// Package export writes Results as CSV files.
//
// # Layouts
//
//   - guide, perf_script_test_results.csv: a row for each valid Result, for people: network, batchsize, precision, framework, command, the
//     16 base metrics always, and al, device step times and metrics of the user's own where some Result has them. CRLF.
//     trt_perf_parser.py skips every row of it, since it has no metric_type.
//   - metric-rows, perf_script_test_results.metrics.csv: a row for each metric of each Result in the 18 columns of TensorRT-LLM's
//     test_perf.py. CRLF. This is what trt_perf_parser.py reads.
//   - full, perf_results_full.csv: a row for each Result, failed ones too, with every field and metric, units in the columns' names. LF.
//
// # Rules
//
// Columns come from the metric table; the union of what the Results have decides about the optional ones. An absent value is an empty
// cell. A number is the shortest text that reads back as the same float64, without an exponent. Rows are ordered by test, server,
// client and source, so the same Results give the same bytes. A file is written whole or not at all, and replaces an older one; where
// there is nothing to write, it has its header alone, so that an older file cannot pass for this one.
package export

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trtperf/trtperf/parse"
)

// Layout names a CSV layout.
type Layout string

const (
	Guide      Layout = "guide"
	MetricRows Layout = "metric-rows"
	Full       Layout = "full"
)

// layouts says all about each layout, in the order of writing.
var layouts = []struct {
	name Layout
	file string
	// takes says whether the layout has a Result.
	takes func(valid, includeFailed bool) bool
	write func(w io.Writer, p *part, report *Report) error
}{
	{Guide, "perf_script_test_results.csv", func(valid, _ bool) bool { return valid }, writeGuide},
	{MetricRows, "perf_script_test_results.metrics.csv", func(valid, failed bool) bool { return valid || failed }, writeMetricRows},
	{Full, "perf_results_full.csv", func(bool, bool) bool { return true }, writeFull},
}

// ParseLayouts reads a list of layouts, with commas between them.
func ParseLayouts(text string) ([]Layout, error) {
	var chosen []Layout
	var names []string
	for _, l := range layouts {
		names = append(names, string(l.name))
	}
	for name := range strings.SplitSeq(text, ",") {
		l := Layout(strings.TrimSpace(name))
		if !slices.Contains(names, string(l)) {
			return nil, fmt.Errorf("unknown layout %q: write one or more of %s", l, strings.Join(names, ", "))
		}
		if !slices.Contains(chosen, l) {
			chosen = append(chosen, l)
		}
	}
	return chosen, nil
}

// Options say what is written.
type Options struct {
	Table   *parse.Table
	Layouts []Layout
	// IncludeFailed puts failed Results also into metric-rows, with the state "failed".
	IncludeFailed bool
	// PerTest writes the files of each test into a folder of its own, named after the id, and none for all together.
	PerTest bool
}

// File is a file that was written.
type File struct {
	Path   string
	Layout Layout
	// Results is the number of Results in it.
	Results int
}

// Report is what was written and what was left out.
type Report struct {
	Files []File
	// Diagnostics tell of what a layout leaves out and why.
	Diagnostics []parse.Diagnostic
}

// LeftOut is the code of diagnostics about what a layout cannot hold.
const LeftOut = "left-out"

func (r *Report) leftOut(x *parse.Result, message string) {
	r.Diagnostics = append(r.Diagnostics, parse.Diagnostic{Severity: parse.Warning, Code: LeftOut, File: x.Source.File, Line: x.Source.Line,
		Message: message})
}

// noTest is the folder of Results without a test id.
const noTest = "no-test-id"

// Write writes the chosen layouts below a directory. A file that cannot be written does not keep the others from being written; the
// error names all such files.
func Write(dir string, results []*parse.Result, opt Options) (*Report, error) {
	var s Set
	for i, r := range results {
		s.Put(i, r)
	}
	return s.Write(dir, opt, func(place int) (*parse.Result, error) { return results[place], nil })
}

// Write is the function Write for the Results of a Set, which get gives by their places, as they were when they were put. Each is asked for once
// for every file that has it, and no longer needed when the next one is asked for.
func (s *Set) Write(dir string, opt Options, get func(place int) (*parse.Result, error)) (*Report, error) {
	report := &Report{}
	sorted := make([]int, len(s.heads))
	for i := range sorted {
		sorted[i] = i
	}
	slices.SortStableFunc(sorted, s.compare)
	folders := map[string][]int{dir: sorted}
	order := []string{dir}
	if opt.PerTest {
		folders, order = map[string][]int{}, nil
		for _, place := range sorted {
			folder := filepath.Join(dir, s.heads[place].folder)
			if folders[folder] == nil {
				order = append(order, folder)
			}
			folders[folder] = append(folders[folder], place)
		}
	}
	var failed error
	for _, folder := range order {
		for _, l := range layouts {
			if !slices.Contains(opt.Layouts, l.name) {
				continue
			}
			p := &part{set: s, get: get, table: opt.Table}
			for _, place := range folders[folder] {
				if l.takes(s.heads[place].valid, opt.IncludeFailed) {
					p.places = append(p.places, place)
				}
			}
			path := filepath.Join(folder, l.file)
			if err := writeFile(path, func(w io.Writer) error { return l.write(w, p, report) }); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			report.Files = append(report.Files, File{path, l.name, len(p.places)})
		}
	}
	return report, failed
}

// decimal is the shortest text that reads back as the same float64, without an exponent.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func integer(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func float(v *float64) string {
	if v == nil {
		return ""
	}
	return decimal(*v)
}
