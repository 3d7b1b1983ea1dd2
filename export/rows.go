package export

import (
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gocarina/gocsv"

	"github.com/trtperf/trtperf/parse"
)

// metricRow is a row of the metric-rows layout: the columns of TensorRT-LLM's tests/integration/defs/perf/utils.py, with device_subtype. All
// cells are text, so that an absent value is an empty cell.
type metricRow struct {
	NetworkName       string `csv:"network_name"`
	NetworkHash       string `csv:"network_hash"`
	SMClock           string `csv:"sm_clk"`
	MemClock          string `csv:"mem_clk"`
	GPUIndex          string `csv:"gpu_idx"`
	DeviceSubtype     string `csv:"device_subtype"`
	PerfCaseName      string `csv:"perf_case_name"`
	TestName          string `csv:"test_name"`
	OriginalTestName  string `csv:"original_test_name"`
	PerfMetric        string `csv:"perf_metric"`
	TotalTime         string `csv:"total_time__sec"`
	StartTimestamp    string `csv:"start_timestamp"`
	EndTimestamp      string `csv:"end_timestamp"`
	State             string `csv:"state"`
	Command           string `csv:"command"`
	Threshold         string `csv:"threshold"`
	AbsoluteThreshold string `csv:"absolute_threshold"`
	MetricType        string `csv:"metric_type"`
}

// Limits of the TRT_perf schema that trt_perf_parser.py writes into.
const (
	longestName    = 150
	longestCommand = 2000
	// leastTooLarge is the first number that a float(16,6) column refuses, and with it all results of the run.
	leastTooLarge = 1e10
)

func writeMetricRows(w io.Writer, p *part, report *Report) error {
	names := p.networkNames()
	noClock := false
	metrics, _ := p.columns()
	out := csv.NewWriter(w)
	out.UseCRLF = true
	rows := []metricRow{} // gocsv writes the header of an empty slice, but not of nil
	if err := gocsv.MarshalCSV(rows, gocsv.NewSafeCSVWriter(out)); err != nil {
		return err
	}
	err := p.each(func(i int, r *parse.Result) error {
		rows = rows[:0]
		seconds := totalTime(r)
		if seconds == "" {
			report.leftOut(r, "metric-rows leave the result out: neither its block nor a results.xml tells the time it took, and without it"+
				" trt_perf_parser.py ends")
			return nil
		}
		noClock = noClock || r.System.SMClockMHz == nil || r.System.MemClockMHz == nil
		for _, m := range metrics {
			v, ok := r.Metrics.Lookup(m.Name)
			if !ok {
				continue
			}
			if math.Abs(v.Value) >= leastTooLarge {
				report.leftOut(r, fmt.Sprintf("metric-rows leave %s of a result out: %s is more than TRT_perf can hold", m.Name, v.Text))
				continue
			}
			row := metricRow{
				NetworkName: names[i], NetworkHash: r.ID, SMClock: float(r.System.SMClockMHz), MemClock: float(r.System.MemClockMHz),
				PerfCaseName: names[i], TestName: names[i], OriginalTestName: p.set.heads[p.places[i]].base, PerfMetric: decimal(v.Value),
				TotalTime: seconds, StartTimestamp: upstreamTime(r.StartedAt), EndTimestamp: upstreamTime(r.EndedAt),
				State: string(r.Status), Command: command(r), MetricType: m.MetricType,
			}
			if relative, absolute, ok := m.Thresholds(); ok {
				row.Threshold, row.AbsoluteThreshold = decimal(relative), decimal(absolute)
			}
			rows = append(rows, row)
		}
		return gocsv.MarshalCSVWithoutHeaders(rows, gocsv.NewSafeCSVWriter(out))
	})
	if err != nil {
		return err
	}
	if noClock {
		report.Diagnostics = append(report.Diagnostics, parse.Diagnostic{Severity: parse.Info, Code: LeftOut,
			Message: "metric-rows have no clocks for some results, and TRT_perf demands them: --sm-clock and --mem-clock give them"})
	}
	return out.Error()
}

// totalTime is never guessed: the benchmark's duration, else the test case's time, else empty.
func totalTime(r *parse.Result) string {
	if v, ok := r.Metrics.Lookup("benchmark_duration"); ok && v.Value < leastTooLarge {
		return decimal(v.Value)
	}
	return float(r.TestSeconds)
}

// upstreamTime is how test_perf.py writes times, in UTC.
func upstreamTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime)
}

// baseName is "<function>[<test id>]", else the name of the log.
func baseName(r *parse.Result) string {
	id := r.TestID
	switch {
	case id.IsZero():
		file := cmp.Or(r.Source.Member, r.Source.File)
		return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	case id.Suite == parse.PerfSanity:
		return fmt.Sprintf("%s[%s]", cmp.Or(r.Function, id.Function, parse.DefaultFunction), id.ID)
	}
	return id.String()
}

// networkNames names each Result so that no two share a name, also for a reader that ignores letter case: with the indices of server
// and client where the test does not suffice, then with the block and at last the identity.
func (p *part) networkNames() []string {
	const steps = 4
	names := make([]string, len(p.places))
	step := make([]int, len(p.places))
	for range steps {
		taken := map[string][]int{}
		for i, place := range p.places {
			names[i] = networkName(&p.set.heads[place], step[i])
			key := strings.ReplaceAll(strings.ToLower(names[i]), "-refit", "") // as trt_perf_parser.py compares them
			taken[key] = append(taken[key], i)
		}
		for _, same := range taken {
			if len(same) > 1 {
				for _, i := range same {
					step[i]++
				}
			}
		}
	}
	return names
}

// networkName is a name with as much behind it as a step asks for.
func networkName(h *head, step int) string {
	name := h.base
	if step >= 1 && (h.server >= 0 || h.client >= 0) {
		name += fmt.Sprintf("-%s-%s", cmp.Or(h.server.String(), h.serverName), cmp.Or(h.client.String(), h.clientName))
	}
	if step >= 2 && h.block > 0 {
		name += fmt.Sprintf("-block%d", h.block)
	}
	if step >= 3 {
		name += "-" + h.id[:min(12, len(h.id))]
	}
	end := ""
	if h.concurrency >= 0 && !strings.HasSuffix(name, "_con:"+h.concurrency.String()) {
		end = "_con:" + h.concurrency.String()
	}
	if utf8.RuneCountInString(name+end) <= longestName {
		return name + end
	}
	end = ""
	if h.concurrency >= 0 {
		end = "_con:" + h.concurrency.String()
	}
	return fit(name, end, longestName)
}

// CaseName is the network_name of a Result that shares its name with no other of the file.
func CaseName(r *parse.Result) string {
	h := headOf(r)
	return networkName(&h, 0)
}

// Fit returns a text of at most n characters. A longer one is cut and ends in "~" and a hash of the whole, so that two long texts stay two.
func Fit(text string, n int) string { return fit(text, "", n) }

// fit is Fit for a text with an end that stays.
func fit(text, end string, n int) string {
	if utf8.RuneCountInString(text)+utf8.RuneCountInString(end) <= n {
		return text + end
	}
	sum := sha256.Sum256([]byte(text + end))
	end = "~" + hex.EncodeToString(sum[:6]) + end
	return string([]rune(text)[:n-utf8.RuneCountInString(end)]) + end
}

// precisionOptions are the words for which trt_perf_parser.py takes a precision from a command, in its order. It looks for them
// anywhere in the text, so a name with another one in it would mislead it.
var precisionOptions = []string{"float16", "fp16", "int8", "bf16", "float32", "fp32", "noTF32", "fp8", "fp4"}

// precisionSpelling are spellings that it would take for something else.
var precisionSpelling = strings.NewReplacer("bfloat16", "bf16", "float16", "fp16", "float32", "fp32")

// CasePrecision is a Result's precision in trt_perf_parser.py's short spelling, in small letters.
func CasePrecision(r *parse.Result) string { return precisionSpelling.Replace(r.Labels.Precision) }

// CaseCommand is a Result's command line: its own where it was read from a CSV that has one, else one that names what was run.
func CaseCommand(r *parse.Result) string {
	if strings.Contains(r.Labels.Command, " ") {
		return r.Labels.Command
	}
	return strings.Join(commandWords(r), " ")
}

func commandWords(r *parse.Result) []string {
	words := []string{"benchmark_serving", r.Labels.Command}
	if r.Labels.Model != "" {
		words = append(words, "--model="+filepath.Base(r.Labels.Model))
	}
	if precision := CasePrecision(r); precision != "" {
		words = append(words, "--"+precision)
	}
	if r.Client.Concurrency != nil {
		words = append(words, "--concurrency="+integer(r.Client.Concurrency))
	}
	return slices.DeleteFunc(words, func(word string) bool { return word == "" })
}

// command tells trt_perf_parser.py what it looks for in a command's text: the precision as an option. Where the precision is known,
// words that would lead it to another one are left out.
func command(r *parse.Result) string {
	precision := CasePrecision(r)
	words := slices.DeleteFunc(commandWords(r), func(word string) bool {
		return precision != "" && slices.ContainsFunc(precisionOptions, func(option string) bool {
			return strings.Contains(word, option) && !strings.Contains(precision, option)
		})
	})
	return Fit(strings.Join(words, " "), longestCommand)
}
