package devicestep_test

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/trtperf/trtperf/parse/devicestep"
)

// The rule as TensorRT-LLM's harness states it, with its own expressions, on a whole text. It shares nothing with the package.
var (
	valueForm    = regexp.MustCompile(`iter\s*=\s*(\d+),.*?prev_device_step_time\s*=\s*([\d.]+)\s*ms`)
	tokensForm   = regexp.MustCompile(`'num_generation_tokens':\s*(\d+)`)
	requestsForm = regexp.MustCompile(`iter\s*=\s*(\d+),.*?num_scheduled_requests\s*=\s*(\d+)`)
	rankForm     = regexp.MustCompile(`global_rank\s*=\s*(\d+)`)
	lineEnd      = regexp.MustCompile(`\r\n|\r|\n`)
)

func oracle(text string) (values []float64) {
	type seen struct{ iteration, requests int }
	memory := map[string]*seen{}
	buckets := map[int][]float64{}
	var loose []float64
	for _, line := range lineEnd.Split(text, -1) {
		if !strings.Contains(line, "prev_device_step_time") {
			continue
		}
		number := func(s string) int { n, _ := strconv.Atoi(s); return n }
		rank := "none"
		if m := rankForm.FindStringSubmatch(line); m != nil {
			rank = fmt.Sprint(number(m[1]))
		}
		last := memory[rank]
		memory[rank] = nil
		if m := requestsForm.FindStringSubmatch(line); m != nil {
			memory[rank] = &seen{number(m[1]), number(m[2])}
		}
		m := valueForm.FindStringSubmatch(line)
		if m == nil || number(m[1]) < 5 {
			continue
		}
		if last != nil && last.requests == 0 && last.iteration == number(m[1])-1 {
			continue
		}
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			continue
		}
		if t := tokensForm.FindStringSubmatch(line); t != nil {
			buckets[number(t[1])] = append(buckets[number(t[1])], v)
		} else {
			loose = append(loose, v)
		}
	}
	if len(buckets) == 0 {
		return loose
	}
	most := -1
	for tokens, bucket := range buckets {
		if most < 0 || len(bucket) > len(buckets[most]) || len(bucket) == len(buckets[most]) && tokens > most {
			most = tokens
		}
	}
	return buckets[most]
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// row is a line as a worker prints it.
func row(iteration, requests int, value string, more ...string) string {
	tokens := "'num_generation_tokens': 256"
	if len(more) > 0 {
		tokens = more[0]
	}
	return fmt.Sprintf("[TRT-LLM] [I] [_torch][RANK 0] iter = %d, global_rank = 0, rank = 0, num_scheduled_requests = %d, kv_cache_util = 0.1, "+
		"host_step_time = 7.4ms, prev_device_step_time = %s, states = {'num_ctx_requests': 0, %s}\n", iteration, requests, value, tokens)
}

func read(t testing.TB, text string) *devicestep.Sample {
	t.Helper()
	var first *devicestep.Sample
	for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.HalfReader(strings.NewReader(text))} {
		s, err := devicestep.Read(r)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = s
		} else if s.Rows != first.Rows || s.Stats != first.Stats || !slices.Equal(s.Notes, first.Notes) {
			t.Errorf("in other pieces %+v, whole %+v", s, first)
		}
	}
	return first
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Max(1, math.Abs(b)) }

// Values from the harness's own tests.
func TestGolden(t *testing.T) {
	s := read(t, row(5, 1, "1ms")+row(6, 1, "2ms")+row(7, 1, "3ms")+row(8, 1, "4ms")+row(9, 1, "100ms"))
	if x := s.Stats; !near(x.Mean, 22) || !near(x.Median, 3) || !near(x.Std, 43.617656975128774) || !near(x.P75, 4) || !near(x.P99, 96.16) {
		t.Errorf("%+v", x)
	}
	if s := read(t, row(5, 1, "1ms")+row(6, 1, "3ms")); !near(s.Stats.Std, math.Sqrt2) {
		t.Errorf("%+v", s)
	}
	if s := read(t, row(5, 1, "1ms")); s.Stats != (devicestep.Stats{Mean: 1, Median: 1, P75: 1, P99: 1}) {
		t.Errorf("%+v", s)
	}
	s = read(t, row(5, 1, "7.0ms")+row(6, 0, "7.0ms")+row(7, 1, "500ms")+row(8, 1, "9ms"))
	if s.Rows != 3 || !near(s.Stats.Mean, 23.0/3) || s.Stats.Median != 7 {
		t.Errorf("%+v", s)
	}
	s = read(t, row(258, 1, "7.326848030090332ms")+row(259, 0, "7.391776084899902ms")+row(260, 1, "1450.61ms")+row(261, 1, "7.31ms"))
	if s.Rows != 3 || s.Stats.P99 > 8 {
		t.Errorf("%+v", s)
	}
	one := devicestep.Sample{Rows: 1, Stats: devicestep.Stats{Mean: 1.005, Median: 2, Std: 0, P75: 4, P99: 6}}
	two := devicestep.Sample{Rows: 99, Stats: devicestep.Stats{Mean: 3.005, Median: 4, Std: 2, P75: 6, P99: 8.00006}}
	stats, ok := devicestep.Combine([]*devicestep.Sample{&one, {}, &two})
	var rows []string
	for _, r := range stats.Rows() {
		rows = append(rows, r.Label+": "+r.Text)
	}
	want := "Average Per Iter Device Step Time (ms): 2.00|Median Per Iter Device Step Time (ms): 3.0000|Stdev Per Iter Device Step Time (ms): 1.0000|" +
		"P75 Per Iter Device Step Time (ms): 5.0000|P99 Per Iter Device Step Time (ms): 7.0000"
	if got := strings.Join(rows, "|"); !ok || got != want {
		t.Errorf("got %s", got)
	}
	if _, ok := devicestep.Combine([]*devicestep.Sample{{}}); ok {
		t.Error("statistics of nothing")
	}
}

func TestRules(t *testing.T) {
	rank := func(n int, line string) string {
		return strings.Replace(line, "global_rank = 0", fmt.Sprintf("global_rank = %d", n), 1)
	}
	nobody := func(line string) string {
		return strings.Replace(line, "num_scheduled_requests = ", "num_scheduled_requests: ", 1)
	}
	const noTokens = "'x': 1"
	for name, c := range map[string]struct {
		log  string
		rows int
		mean float64
	}{
		"empty":                          {"", 0, 0},
		"warm-up":                        {row(4, 1, "9ms") + row(5, 1, "7ms"), 1, 7},
		"not a value":                    {row(5, 1, "N/A") + row(6, 1, "nan") + row(7, 1, "-1ms") + row(8, 1, "1e3ms") + row(9, 1, "7.3 s") + row(10, 1, "7.3"), 0, 0},
		"other blanks and units":         {row(5, 1, "7 ms") + row(6, 1, "9msec"), 2, 8},
		"zero counts":                    {row(5, 1, "0.0ms") + row(6, 1, "4ms"), 2, 2},
		"behind an idle one":             {row(5, 0, "4ms") + row(6, 1, "500ms") + row(7, 1, "6ms"), 2, 5},
		"behind an idle one, N/A":        {row(5, 0, "N/A") + row(6, 1, "500ms") + row(7, 1, "6ms"), 1, 6},
		"behind an idle warm-up":         {row(4, 0, "4ms") + row(5, 1, "500ms") + row(6, 1, "6ms"), 1, 6},
		"behind two idle ones":           {row(5, 0, "4ms") + row(6, 0, "500ms") + row(7, 1, "500ms") + row(8, 1, "8ms"), 2, 6},
		"after a gap":                    {row(5, 0, "4ms") + row(7, 1, "6ms"), 2, 5},
		"after a restart":                {row(9, 0, "4ms") + row(5, 1, "6ms"), 2, 5},
		"behind an unknown one":          {row(5, 0, "4ms") + nobody(row(6, 0, "9ms")) + row(7, 1, "5ms"), 2, 4.5},
		"of another rank":                {row(5, 0, "4ms") + rank(1, row(6, 1, "6ms")), 2, 5},
		"each rank its own":              {row(5, 0, "4ms") + rank(1, row(6, 1, "6ms")) + row(6, 1, "500ms"), 2, 5},
		"leading zeros":                  {strings.Replace(row(5, 0, "4ms"), "iter = 5", "iter = 0005", 1) + row(6, 1, "500ms"), 1, 4},
		"most frequent tokens":           {row(5, 1, "1ms", "'num_generation_tokens': 8") + row(6, 1, "3ms") + row(7, 1, "5ms"), 2, 4},
		"as frequent: the larger":        {row(5, 1, "1ms", "'num_generation_tokens': 8") + row(6, 1, "3ms"), 1, 3},
		"no tokens is a number":          {row(5, 1, "1ms", "'num_generation_tokens': 0") + row(6, 1, "3ms", "'num_generation_tokens': 0") + row(7, 1, "5ms"), 2, 2},
		"unknown tokens":                 {row(5, 1, "1ms", noTokens) + row(6, 1, "3ms", "'num_generation_tokens': tensor(256)") + row(7, 1, "5ms"), 1, 5},
		"only unknown tokens":            {row(5, 1, "1ms", noTokens) + row(6, 1, "3ms", noTokens), 2, 2},
		"glued":                          {strings.TrimSuffix(row(5, 1, "N/A"), "\n") + row(6, 1, "7ms"), 1, 7},
		"a longer word":                  {strings.Replace(row(5, 1, "7ms"), "iter = 5", "max_iter = 9, iter = 2", 1), 1, 7},
		"another spelling":               {strings.Replace(row(5, 1, "7ms"), "iter = 5,", "iter = 5 ,", 1) + strings.Replace(row(5, 1, "7ms"), "iter =", "iter:", 1), 0, 0},
		"fields in another order":        {"iter = 5, states = {'num_generation_tokens': 256}, prev_device_step_time = 7ms, global_rank = 3, num_scheduled_requests = 0\n", 1, 7},
		"the value before the iteration": {"prev_device_step_time = 7ms, iter = 5, num_scheduled_requests = 1\n", 0, 0},
		"CRLF":                           {strings.ReplaceAll(row(5, 0, "4ms")+row(6, 1, "500ms"), "\n", "\r\n"), 1, 4},
		"CR":                             {strings.ReplaceAll(row(5, 0, "4ms")+row(6, 1, "500ms")+row(7, 1, "6ms"), "\n", "\r"), 2, 5},
		"no line end":                    {strings.TrimSuffix(row(5, 1, "4ms"), "\n"), 1, 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := read(t, c.log)
			if s.Rows != c.rows || !near(s.Stats.Mean, c.mean) {
				t.Errorf("%d rows, mean %v; want %d, %v", s.Rows, s.Stats.Mean, c.rows, c.mean)
			}
			if want := oracle(c.log); len(want) != c.rows {
				t.Errorf("the harness's rule gives %v", want)
			}
		})
	}
}

func TestNotes(t *testing.T) {
	s := read(t, "x\n"+row(5, 1, "1.2.3ms")+row(6, 1, ".ms")+row(7, 1, "4ms"))
	if s.Rows != 1 || len(s.Notes) != 2 || s.Notes[0].Line != 2 || s.Notes[1].Line != 3 {
		t.Errorf("%+v", s)
	}
	long := row(5, 1, "4ms") + strings.Repeat("x", 3<<20) + "prev_device_step_time" + strings.Repeat("y", 3<<20) + "\n" + row(6, 1, "6ms")
	got, err := devicestep.Read(strings.NewReader(long))
	if err != nil || got.Rows != 2 || got.Stats.Mean != 5 {
		t.Errorf("%+v %v", got, err)
	}
}

// Half a million rows and one more: the last one does not count, and its iteration is remembered all the same.
func TestMostRows(t *testing.T) {
	line := row(7, 1, "1ms")
	s, err := devicestep.Read(io.MultiReader(strings.NewReader(strings.Repeat(line, 500_000)), strings.NewReader(row(8, 1, "9ms"))))
	if err != nil || s.Rows != 500_000 || s.Stats.P99 != 1 || s.Stats.Mean != 1 {
		t.Errorf("%+v %v", s, err)
	}
}

// random makes a log that meets all rules.
func random(r *rand.Rand) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	var b strings.Builder
	iteration := r.IntN(8)
	for range r.IntN(40) {
		switch r.IntN(10) {
		case 0:
			iteration += r.IntN(4)
		case 1:
			iteration = r.IntN(9)
		}
		fields := []string{
			fmt.Sprintf("iter%s=%s%s%d,", pick(" ", "", "  "), pick(" ", ""), pick("", "", "00"), iteration),
			pick("", fmt.Sprintf("global_rank = %d,", r.IntN(2)), "global_rank = x,"),
			fmt.Sprintf("num_scheduled_requests %s %d,", pick("=", "=", "=", ":"), r.IntN(3)),
			"prev_device_step_time = " + pick(fmt.Sprintf("%d.%dms", r.IntN(9), r.IntN(99)), fmt.Sprintf("%dms", r.IntN(9)), "N/A", "7.3 ms", "7", "nanms") + ",",
			pick("'num_generation_tokens': 256", "'num_generation_tokens': 8", "'num_generation_tokens': 0", "'num_generation_tokens': tensor(8)", "", "'num_generation_tokens':8"),
		}
		if r.IntN(4) == 0 {
			r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		}
		b.WriteString(strings.Join(fields, " ") + pick("\n", "\n", "\n", "\r\n", "\r", ""))
		if r.IntN(3) > 0 {
			iteration++
		}
	}
	return b.String()
}

func compare(t *testing.T, log string) {
	s, err := devicestep.Read(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	want := oracle(log)
	if s.Rows != len(want) || len(want) > 0 && !near(s.Stats.Mean, mean(want)) {
		t.Errorf("%d rows, mean %v; the harness's rule gives %v\n%q", s.Rows, s.Stats.Mean, want, log)
	}
}

func TestAgainstTheHarnessRule(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		if compare(t, random(r)); t.Failed() {
			return
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(row(5, 0, "4ms") + row(6, 1, "500ms"))
	f.Add(random(rand.New(rand.NewPCG(3, 4))))
	f.Fuzz(func(t *testing.T, log string) {
		for _, m := range regexp.MustCompile(`\d+`).FindAllString(log, -1) {
			if len(m) > 15 {
				return // the oracle's integers are smaller
			}
		}
		if strings.Contains(log, "\u0085") || strings.ContainsAny(log, "\v\f\x1c\x1d\x1e\x1f") {
			return
		}
		compare(t, log)
		read(t, log)
	})
}

func BenchmarkRead(b *testing.B) {
	text := strings.Repeat("host:1722:1722 [0] NCCL INFO Channel 01/0 : 0[0] -> 1[1] via P2P/CUMEM/read\n", 1<<20)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := devicestep.Read(strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}
