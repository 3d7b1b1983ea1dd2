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
	"cmp"
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
	takes func(r *parse.Result, includeFailed bool) bool
	write func(w io.Writer, results []*parse.Result, t *parse.Table, report *Report) error
}{
	{Guide, "perf_script_test_results.csv", func(r *parse.Result, _ bool) bool { return r.Valid() }, writeGuide},
	{MetricRows, "perf_script_test_results.metrics.csv", func(r *parse.Result, failed bool) bool { return r.Valid() || failed }, writeMetricRows},
	{Full, "perf_results_full.csv", func(*parse.Result, bool) bool { return true }, writeFull},
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
	report := &Report{}
	sorted := slices.Clone(results)
	slices.SortStableFunc(sorted, compare)
	folders := map[string][]*parse.Result{dir: sorted}
	order := []string{dir}
	if opt.PerTest {
		folders, order = map[string][]*parse.Result{}, nil
		for _, r := range sorted {
			folder := filepath.Join(dir, folderOf(r.TestID))
			if folders[folder] == nil {
				order = append(order, folder)
			}
			folders[folder] = append(folders[folder], r)
		}
	}
	var failed error
	for _, folder := range order {
		for _, l := range layouts {
			if !slices.Contains(opt.Layouts, l.name) {
				continue
			}
			var taken []*parse.Result
			for _, r := range folders[folder] {
				if l.takes(r, opt.IncludeFailed) {
					taken = append(taken, r)
				}
			}
			path := filepath.Join(folder, l.file)
			if err := writeFile(path, func(w io.Writer) error { return l.write(w, taken, opt.Table, report) }); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			report.Files = append(report.Files, File{path, l.name, len(taken)})
		}
	}
	return report, failed
}

// compare orders Results by test, server, client and source.
func compare(a, b *parse.Result) int {
	return cmp.Or(
		cmp.Compare(a.TestID.String(), b.TestID.String()),
		cmp.Compare(at(a.Server.Index), at(b.Server.Index)), cmp.Compare(a.Server.Name, b.Server.Name),
		cmp.Compare(at(a.Client.Index), at(b.Client.Index)), cmp.Compare(a.Client.Name, b.Client.Name),
		cmp.Compare(a.Source.File, b.Source.File), cmp.Compare(a.Source.Member, b.Source.Member), cmp.Compare(a.Source.Block, b.Source.Block),
		cmp.Compare(a.ID, b.ID))
}

func at(i *int) int {
	if i == nil {
		return -1
	}
	return *i
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
