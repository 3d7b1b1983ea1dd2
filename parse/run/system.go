package run

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/trtperf/trtperf/parse"
)

// systemFacts is what one file says of the machine that ran the benchmark, or of the build that started it.
type systemFacts struct {
	dir   string // absolute
	given bool
	// rank orders the kinds of files: what launch wrote on the node comes before what test_perf.py exported.
	rank       int
	system     parse.System
	job        parse.Job
	start, end time.Time
}

// readSystem takes what trtperf-system.BENCHMARK.json, trtperf-job.json, session_properties.csv or gpu_monitoring.csv says.
func (r *reader) readSystem(f *located) {
	f.taken = true
	c := r.content(f)
	switch {
	case c.skip != "":
		r.skip(f.Path, f.role, c.skip)
	case c.err != nil:
		r.Found++
		r.Inputs.Failed++
		r.note(parse.Error, BadSystem, f.Path, 0, pathless(f.Path, c.err)+": the run was read without it")
	default:
		r.count()
		facts := c.facts
		facts.dir, facts.given = f.abs, f.Given()
		r.systems = append(r.systems, facts)
	}
}

// productName is a GPU's name as stores have it: without "NVIDIA".
func productName(gpu string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(gpu, "NVIDIA", "")), " ")
}

// dictEntry finds a text in a cell that holds a Python dictionary, plain or ordered.
func dictEntry(cell, key string) string {
	pattern := regexp.MustCompile(`'` + regexp.QuoteMeta(key) + `'[:,] '([^']*)'`)
	if m := pattern.FindStringSubmatch(cell); m != nil {
		return m[1]
	}
	return ""
}

// table reads a CSV's header and calls row for each line with a look-up by column name. A byte order mark and short rows
// are accepted.
func table(text io.Reader, row func(cell func(column string) string) bool) error {
	lines := csv.NewReader(text)
	lines.FieldsPerRecord = -1
	header, err := lines.Read()
	if err != nil {
		return fmt.Errorf("no header line: %w", err)
	}
	columns := map[string]int{}
	for i, name := range header {
		columns[strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))] = i
	}
	for {
		cells, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		more := row(func(column string) string {
			if i, ok := columns[column]; ok && i < len(cells) {
				return strings.TrimSpace(cells[i])
			}
			return ""
		})
		if !more {
			return nil
		}
	}
}

// readProperties reads the first row of a session_properties.csv, as TensorRT-LLM's test_perf.py exports it.
func readProperties(text io.Reader, facts *systemFacts) error {
	return table(text, func(cell func(string) string) bool {
		s := &facts.system
		s.Driver, s.CUDA, s.Host = cell("nvidia_driver_version"), cell("cuda_version"), cell("hostname")
		s.GPU = dictEntry(cell("gpu_properties"), "device_product_name")
		s.CPU = dictEntry(cell("cpu_properties"), "product_name")
		if s.CPU == "" {
			s.CPU = dictEntry(cell("cpu_properties"), "shorthand_cpu_name")
		}
		s.OS = strings.TrimSpace(dictEntry(cell("os_properties"), "name") + " " + dictEntry(cell("os_properties"), "version"))
		s.GPUCount = positive(cell("nvidia_device_count"))
		s.SMClockMHz, s.MemClockMHz = megahertz(cell("Graph Clock(MHz)")), megahertz(cell("Memory Clock(MHz)"))
		facts.start, facts.end = utc(cell("start_timestamp")), utc(cell("end_timestamp"))
		return false
	})
}

// utc reads a time as test_perf.py writes it, in UTC; zero where it is none.
func utc(text string) time.Time {
	t, err := time.ParseInLocation(time.DateTime, text, time.UTC)
	if err != nil {
		return time.Time{}
	}
	return t
}

// readMonitoring takes the most frequent clocks of a gpu_monitoring.csv; of two that are as frequent, the higher.
func readMonitoring(text io.Reader, facts *systemFacts) error {
	sm, mem := map[float64]int{}, map[float64]int{}
	err := table(text, func(cell func(string) string) bool {
		for column, counts := range map[string]map[float64]int{"gpu_clock__MHz": sm, "memory_clock__MHz": mem} {
			if v := megahertz(cell(column)); v != nil {
				counts[*v]++
			}
		}
		return true
	})
	facts.system.SMClockMHz, facts.system.MemClockMHz = mostFrequent(sm), mostFrequent(mem)
	return err
}

func mostFrequent(counts map[float64]int) *float64 {
	var best *float64
	for v, n := range counts {
		if best == nil || n > counts[*best] || n == counts[*best] && v > *best {
			best = &v
		}
	}
	return best
}

func megahertz(text string) *float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0) {
		return nil
	}
	return &v
}

// describe fills in the system, the job and the times: what the options say, else what a file at or above the run says.
func (r *reader) describe(result *parse.Result, t *test) {
	system, trtllm := result.System, result.Job.TensorRTLLM // as the log or the CSV says
	result.System, result.Job = r.opt.System, r.opt.Job
	fillAbsent(&result.System, system)
	result.Job.TensorRTLLM = cmp.Or(result.Job.TensorRTLLM, trtllm)
	for rank := range 3 {
		for _, facts := range r.systems {
			if facts.rank == rank && (facts.given || within(t.dir, facts.dir)) {
				fillAbsent(&result.System, facts.system)
				fillAbsent(&result.Job, facts.job)
				result.StartedAt, result.EndedAt = first(result.StartedAt, facts.start), first(result.EndedAt, facts.end)
			}
		}
	}
	for _, c := range t.cases {
		if result.TestSeconds == nil {
			result.TestSeconds = c.Seconds
		}
		result.StartedAt, result.EndedAt = first(result.StartedAt, c.start), first(result.EndedAt, c.end)
	}
	result.StartedAt, result.EndedAt = first(r.opt.Started, result.StartedAt), first(r.opt.Ended, result.EndedAt)
}

func first(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// fillAbsent sets the fields of s that are absent.
func fillAbsent[T comparable](s *T, from T) {
	var none T
	if from == none {
		return // mostly so
	}
	to, src := reflect.ValueOf(s).Elem(), reflect.ValueOf(from)
	for i := range to.NumField() {
		if to.Field(i).IsZero() {
			to.Field(i).Set(src.Field(i))
		}
	}
}
