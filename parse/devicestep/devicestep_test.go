package devicestep_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/trtperf/trtperf/parse/devicestep"
)

// row is a line as a worker prints it.
func row(iteration, requests int, value string, more ...string) string {
	tokens := "'num_generation_tokens': 256"
	if len(more) > 0 {
		tokens = more[0]
	}
	return fmt.Sprintf("[TRT-LLM] [I] [_torch][RANK 0] iter = %d, global_rank = 0, rank = 0, num_scheduled_requests = %d, kv_cache_util = 0.1, "+
		"host_step_time = 7.4ms, prev_device_step_time = %s, states = {'num_ctx_requests': 0, %s}\n", iteration, requests, value, tokens)
}

// read reads a log, whole and in other pieces.
func read(t testing.TB, text string) *devicestep.Sample {
	t.Helper()
	whole, err := devicestep.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]io.Reader{
		"bytes": iotest.OneByteReader(strings.NewReader(text)), "halves": iotest.HalfReader(strings.NewReader(text)),
		"with the end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		if s, err := devicestep.Read(r); err != nil || !reflect.DeepEqual(s, whole) {
			t.Errorf("%s: %+v, %v; whole %+v", name, s, err, whole)
		}
	}
	return whole
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Max(1, math.Abs(b)) }

func nearStats(a, b devicestep.Stats) bool {
	return near(a.Mean, b.Mean) && near(a.Median, b.Median) && near(a.Std, b.Std) && near(a.P75, b.P75) && near(a.P99, b.P99)
}

// Values from the harness's own tests.
func TestGolden(t *testing.T) {
	for name, c := range map[string]struct {
		log   string
		rows  int
		stats devicestep.Stats
	}{
		"five": {row(5, 1, "100ms") + row(6, 1, "2ms") + row(7, 1, "3ms") + row(8, 1, "4ms") + row(9, 1, "1ms"), 5,
			devicestep.Stats{Mean: 22, Median: 3, Std: 43.617656975128774, P75: 4, P99: 96.16}},
		"two": {row(5, 1, "1ms") + row(6, 1, "3ms"), 2, devicestep.Stats{Mean: 2, Median: 2, Std: 1.4142135623730951, P75: 2.5, P99: 2.98}},
		"one": {row(5, 1, "1ms"), 1, devicestep.Stats{Mean: 1, Median: 1, P75: 1, P99: 1}},
		"idle": {row(5, 1, "7.0ms") + row(6, 0, "7.0ms") + row(7, 1, "500ms") + row(8, 1, "9ms"), 3,
			devicestep.Stats{Mean: 23.0 / 3, Median: 7, Std: math.Sqrt(4.0 / 3), P75: 8, P99: 8.96}},
		"real idle": {row(258, 1, "7.326848030090332ms") + row(259, 0, "7.391776084899902ms") + row(260, 1, "1450.61ms") + row(261, 1, "7.31ms"), 3,
			devicestep.Stats{Mean: (7.326848030090332 + 7.391776084899902 + 7.31) / 3, Median: 7.326848030090332, Std: 0.04317954083597812, P75: 7.359312057495117, P99: 7.390477523803711}},
	} {
		s := read(t, c.log)
		if s.Rows != c.rows || !nearStats(s.Stats, c.stats) || s.Tokens == nil || *s.Tokens != 256 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestCombine(t *testing.T) {
	one := devicestep.Sample{Rows: 1, Stats: devicestep.Stats{Mean: 1.015, Median: 2, Std: 0, P75: 4, P99: 6}}
	two := devicestep.Sample{Rows: 99, Stats: devicestep.Stats{Mean: 3.02, Median: 4, Std: 2, P75: 6, P99: 8.00006}}
	stats, ok := devicestep.Combine([]*devicestep.Sample{&one, {}, &two})
	var rows []string
	for _, r := range stats.Rows() {
		rows = append(rows, r.Label+": "+r.Text)
	}
	want := "Average Per Iter Device Step Time (ms): 2.02|Median Per Iter Device Step Time (ms): 3.0000|Stdev Per Iter Device Step Time (ms): 1.0000|" +
		"P75 Per Iter Device Step Time (ms): 5.0000|P99 Per Iter Device Step Time (ms): 7.0000"
	if got := strings.Join(rows, "|"); !ok || got != want {
		t.Errorf("got %s", got)
	}
	if _, ok := devicestep.Combine([]*devicestep.Sample{{}}); ok {
		t.Error("statistics of nothing")
	}
}

func TestRules(t *testing.T) {
	rank := func(n string, line string) string { return strings.Replace(line, "global_rank = 0", n, 1) }
	old := func(line string) string {
		return strings.Replace(line, "num_scheduled_requests = ", "num_scheduled_requests: ", 1)
	}
	const noTokens = "'x': 1"
	for name, c := range map[string]struct {
		log  string
		rows int
		mean float64
	}{
		"empty":                   {"", 0, 0},
		"warm-up":                 {row(4, 1, "9ms") + row(5, 1, "7ms"), 1, 7},
		"N/A":                     {row(5, 1, "N/A"), 0, 0},
		"no number":               {row(5, 1, "nan") + row(6, 1, "-1ms") + row(7, 1, "1e3ms") + row(8, 1, "7,3ms"), 0, 0},
		"missing ms":              {row(5, 1, "7.3") + row(6, 1, "7.3 s"), 0, 0},
		"longer unit":             {row(5, 1, "7 ms") + row(6, 1, "9msec"), 2, 8},
		"bare points":             {row(5, 1, "5.ms") + row(6, 1, ".5ms"), 2, 2.75},
		"zero counts":             {row(5, 1, "0.0ms") + row(6, 1, "4ms"), 2, 2},
		"behind an idle one":      {row(5, 0, "4ms") + row(6, 1, "500ms") + row(7, 1, "6ms"), 2, 5},
		"behind an idle one, N/A": {row(5, 0, "N/A") + row(6, 1, "500ms") + row(7, 1, "6ms"), 1, 6},
		"behind an idle warm-up":  {row(4, 0, "4ms") + row(5, 1, "500ms") + row(6, 1, "6ms"), 1, 6},
		"behind two idle ones":    {row(5, 0, "4ms") + row(6, 0, "500ms") + row(7, 1, "500ms") + row(8, 1, "8ms"), 2, 6},
		"behind an N/A":           {row(5, 0, "4ms") + row(6, 1, "N/A") + row(7, 1, "6ms"), 2, 5},
		"after a gap":             {row(5, 0, "4ms") + row(7, 1, "6ms"), 2, 5},
		"after a restart":         {row(9, 0, "4ms") + row(5, 1, "6ms"), 2, 5},
		"the same iteration":      {row(5, 0, "4ms") + row(5, 1, "6ms"), 2, 5},
		"behind an unknown one":   {row(5, 0, "4ms") + old(row(5, 0, "9ms")) + row(6, 1, "5ms"), 3, 6},
		"of another rank":         {row(5, 0, "4ms") + rank("global_rank = 1", row(6, 1, "6ms")), 2, 5},
		"of no rank":              {row(5, 0, "4ms") + rank("rank: x", row(6, 1, "6ms")), 2, 5},
		"no rank is one":          {rank("rank: x", row(5, 0, "4ms")) + row(6, 1, "6ms") + rank("y", row(6, 1, "500ms")), 2, 5},
		"each rank its own":       {row(5, 0, "4ms") + rank("global_rank = 1", row(6, 1, "6ms")) + row(6, 1, "500ms"), 2, 5},
		"a rank with zeros":       {row(5, 0, "4ms") + rank("global_rank=00", row(6, 1, "500ms")), 1, 4},
		"leading zeros":           {strings.Replace(row(5, 0, "4ms"), "iter = 5", "iter = 0005", 1) + row(6, 1, "500ms"), 1, 4},
		"all zeros":               {strings.Replace(row(5, 0, "4ms"), "requests = 0", "requests = 000", 1) + row(6, 1, "500ms"), 1, 4},
		"most frequent tokens":    {row(5, 1, "1ms", "'num_generation_tokens': 512") + row(6, 1, "3ms") + row(7, 1, "5ms"), 2, 4},
		"as frequent: the larger": {row(5, 1, "1ms", "'num_generation_tokens': 8") + row(6, 1, "3ms") +
			row(7, 1, "9ms", "'num_generation_tokens': 64"), 1, 3},
		"larger as a number": {row(5, 1, "1ms", "'num_generation_tokens': 9") + row(6, 1, "3ms", "'num_generation_tokens': 10"), 1, 3},
		"zero tokens": {row(5, 1, "1ms", "'num_generation_tokens': 0") + row(6, 1, "3ms", "'num_generation_tokens': 0") +
			row(7, 1, "5ms"), 2, 2},
		"tokens with zeros":            {row(5, 1, "1ms", "'num_generation_tokens': 08") + row(6, 1, "3ms", "'num_generation_tokens':8") + row(7, 1, "9ms"), 2, 2},
		"unknown tokens":               {row(5, 1, "1ms", noTokens) + row(6, 1, "3ms", "'num_generation_tokens': tensor(256)") + row(7, 1, "5ms"), 1, 5},
		"only unknown tokens":          {row(5, 1, "1ms", noTokens) + row(6, 1, "3ms", "'num_generation_tokens': tensor(256)"), 2, 2},
		"glued":                        {strings.TrimSuffix(row(5, 1, "N/A"), "\n") + row(6, 1, "7ms"), 1, 7},
		"glued, the first's iteration": {strings.TrimSuffix(row(4, 1, "N/A"), "\n") + row(6, 1, "7ms"), 0, 0},
		"glued, the first's value":     {strings.TrimSuffix(row(5, 1, "6ms"), "\n") + row(6, 1, "7ms"), 1, 6},
		"a longer word":                {strings.Replace(row(2, 1, "7ms"), "iter = 2", "max_iter = 9, iter = 2", 1), 1, 7},
		"another spelling":             {strings.Replace(row(5, 1, "7ms"), "iter = 5,", "iter = 5 ,", 1) + strings.Replace(row(6, 1, "7ms"), "iter =", "iter:", 1), 0, 0},
		"fields in another order": {"'num_generation_tokens': 256}, iter = 5, prev_device_step_time = 7ms, global_rank = 3, num_scheduled_requests = 0\n" +
			rank("global_rank = 3", row(6, 1, "500ms")), 1, 7},
		"the value before the iteration": {"prev_device_step_time = 7ms, iter = 5, num_scheduled_requests = 1\n", 0, 0},
		"requests before the iteration":  {"num_scheduled_requests = 0, iter = 5, prev_device_step_time = 7ms\n" + rank("", row(6, 1, "9ms", noTokens)), 2, 8},
		"another line between":           {row(5, 0, "4ms") + "iter = 5, num_scheduled_requests = 3\n" + row(6, 1, "500ms"), 1, 4},
		"CRLF":                           {strings.ReplaceAll(row(5, 0, "4ms")+row(6, 1, "500ms"), "\n", "\r\n"), 1, 4},
		"CR":                             {strings.ReplaceAll(row(5, 0, "4ms")+row(6, 1, "500ms")+row(7, 1, "6ms"), "\n", "\r"), 2, 5},
		"CR inside, before the value":    {strings.Replace(row(5, 1, "4ms"), "kv_cache", "\r", 1), 0, 0},
		"CR inside, before the tokens":   {strings.Replace(row(5, 1, "4ms"), "states", "\r", 1) + row(6, 1, "6ms"), 1, 6},
		"CR inside, before the line":     {"12%|#\r" + row(5, 1, "4ms"), 1, 4},
		"no line end":                    {strings.TrimSuffix(row(5, 1, "4ms"), "\n"), 1, 4},
		"not UTF-8":                      {strings.Replace(row(5, 1, "4ms"), "kv_cache", "\xff\xfe", 1), 1, 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := read(t, c.log)
			if s.Rows != c.rows || !near(s.Stats.Mean, c.mean) || len(s.Notes) > 0 {
				t.Errorf("%+v; want %d rows, mean %v", s, c.rows, c.mean)
			}
			compare(t, c.log, s)
		})
	}
}

func TestNotes(t *testing.T) {
	s := read(t, "x\ry\r\n"+row(5, 1, "1.2.3ms")+row(6, 1, ".ms")+row(7, 1, "4ms")+row(8, 1, strings.Repeat("9", 400)+"ms"))
	if s.Rows != 1 || len(s.Notes) != 3 || s.Notes[0].Line != 2 || s.Notes[1].Line != 3 || s.Notes[2].Line != 5 ||
		s.Notes[0].Code != devicestep.NotANumber || !strings.Contains(s.Notes[0].Message, "1.2.3ms") {
		t.Errorf("%+v", s)
	}
	if s := read(t, row(4, 1, ".ms")+row(5, 0, "4ms")+row(6, 1, ".ms")); s.Rows != 1 || len(s.Notes) > 0 {
		t.Errorf("notes of lines that are no rows: %+v", s)
	}
	s = read(t, strings.Repeat(row(7, 1, ".ms"), 1000))
	if n := len(s.Notes); n != 101 || s.Notes[100].Line != 101 || s.Notes[100].Message != "from here on 900 more notes of this kind" {
		t.Errorf("%d notes, last %+v", n, s.Notes[n-1])
	}
}

func TestLongLines(t *testing.T) {
	const mebi = 1 << 20
	x := func(n int) string { return strings.Repeat("x", n) }
	const tokens = "'num_generation_tokens': 256"
	bare := strings.TrimSuffix(row(6, 0, "6ms"), "\n") // the row behind an idle one shows whether it is remembered
	for name, c := range map[string]struct {
		line  string
		rows  int // of this line and the next
		noted bool
	}{
		"just short enough":      {bare + x(mebi-len(bare)), 1, false},
		"one more":               {bare + x(mebi-len(bare)+1), 1, true},
		"at the end":             {x(mebi-len(bare)) + bare, 1, false},
		"cut":                    {x(mebi-len(bare)+1) + bare, 1, true},
		"cut inside the unit":    {tokens + x(mebi-strings.Index(bare, "ms, states")-1-len(tokens)) + bare, 0, true},
		"cut inside the word":    {x(mebi-strings.Index(bare, "prev")-5) + bare, 1, true},
		"behind the first MiB":   {x(2*mebi) + bare, 1, true},
		"before and behind":      {bare + x(mebi) + bare + x(mebi) + bare, 1, true},
		"inside, in many pieces": {x(17*131_071) + bare + x(5), 1, true},
		"nothing in it":          {x(2 * mebi), 1, false},
	} {
		for _, ends := range []string{"\n", "\r"} {
			s := read(t, "a\n"+row(6, 1, "6ms")+c.line+ends+row(7, 1, "6ms"))
			if want := 1 + c.rows; s.Rows != want || (len(s.Notes) == 1) != c.noted || len(s.Notes) > 1 {
				t.Errorf("%s: %+v, want %d rows", name, s, want)
			}
			if c.noted && (s.Notes[0].Line != 3 || s.Notes[0].Code != devicestep.LongLine) {
				t.Errorf("%s: %+v", name, s.Notes)
			}
		}
	}
	two := x(mebi) + bare + "\n"
	if s, err := devicestep.Read(strings.NewReader(two + two)); err != nil || len(s.Notes) != 2 || s.Notes[1].Line != 2 {
		t.Errorf("%+v %v", s, err)
	}
}

// Half a million rows count. Those behind only count as such, and for the memory.
func TestMostRows(t *testing.T) {
	const line = "iter=7,prev_device_step_time=1ms\n"
	many := strings.Repeat(line, 500_000)
	s, err := devicestep.Read(io.MultiReader(strings.NewReader("iter=4,prev_device_step_time=1ms\n"+many),
		strings.NewReader("iter=8,num_scheduled_requests=0,prev_device_step_time=9ms\niter=9,prev_device_step_time=9ms\niter=9,prev_device_step_time=.ms\n")))
	if err != nil || s.Rows != 500_000 || s.Stats.P99 != 1 || s.Stats.Mean != 1 || s.Beyond != 2 || len(s.Notes) > 0 {
		t.Errorf("%+v %v", s, err)
	}
}

// Numbers and ranks of any size are no reason to stop, or to fill memory.
func TestLargeNumbers(t *testing.T) {
	nines := strings.Repeat("9", 300)
	s := read(t, strings.Replace(row(5, 0, "4ms", "'num_generation_tokens': "+nines), "iter = 5", "iter = "+nines, 1)+row(6, 1, "6ms")+
		strings.Replace(row(7, 1, "8ms", "'num_generation_tokens': "+nines), "global_rank = 0", "global_rank = "+nines, 1))
	if s.Rows != 2 || *s.Tokens != math.MaxInt64 || s.Stats.Mean != 6 {
		t.Errorf("%+v", s)
	}
	ranks := "global_rank=%d iter=%d,num_scheduled_requests=0,prev_device_step_time=4ms\n"
	apart := fmt.Sprintf(ranks, 65_533, 5) + fmt.Sprintf(ranks, 65_534, 6)
	asOne := fmt.Sprintf(ranks, 65_535, 5) + fmt.Sprintf(ranks, 65_536, 6)
	if a, b := read(t, apart), read(t, asOne); a.Rows != 2 || b.Rows != 1 {
		t.Errorf("%+v %+v", a, b)
	}
}

// What stands before an error counts as far as its lines are whole. A decompressor's unexpected end is no end.
func TestReadError(t *testing.T) {
	half := row(6, 1, "6ms")
	for _, broken := range []error{errors.New("broken"), io.ErrUnexpectedEOF} {
		s, err := devicestep.Read(io.MultiReader(strings.NewReader(row(5, 1, "4ms")+half[:len(half)-1]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || s.Rows != 1 || s.Stats.Mean != 4 {
			t.Errorf("%+v %v", s, err)
		}
	}
}

// random makes a log that meets the rules.
func random(r *rand.Rand) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	tokens := [][]string{
		{"'num_generation_tokens': 256", "'num_generation_tokens':8", "'num_generation_tokens': 0", "'num_generation_tokens': tensor(8)", "",
			"'num_generation_tokens': 08"},
		{"", "'num_generation_tokens': tensor(8)"}, // nobody knows
		{"'num_generation_tokens': 0", "'num_generation_tokens': 0", "'num_generation_tokens': 8"},
	}[r.IntN(3)]
	var b strings.Builder
	iterations := [3]int{r.IntN(8), r.IntN(8), r.IntN(8)}
	for range r.IntN(40) {
		who := r.IntN(len(iterations))
		iteration := &iterations[who]
		switch r.IntN(10) {
		case 0:
			*iteration += r.IntN(4)
		case 1:
			*iteration = r.IntN(9)
		}
		fields := []string{
			fmt.Sprintf("%siter%s=%s%s%d%s", pick("", "", "", "max_iter = 9, "), pick(" ", "", "\t"), pick(" ", ""), pick("", "", "00"),
				*iteration, pick(",", ",", ",", ",", " ,")),
			[]string{"global_rank = 0,", "global_rank=1,", pick("", "global_rank = x,")}[who],
			fmt.Sprintf("num_scheduled_requests %s %d,", pick("=", "=", "=", "=", ":"), r.IntN(3)),
			"prev_device_step_time = " + pick(fmt.Sprintf("%d.%dms", r.IntN(9), r.IntN(99)), fmt.Sprintf("%dms", r.IntN(9)), fmt.Sprintf("%d.5 msec", r.IntN(9)),
				"N/A", "7.3 s", "7", "nanms", "-1ms", pick("1.2.3ms", ".ms", "2.ms")) + ",",
			tokens[r.IntN(len(tokens))],
		}
		if r.IntN(4) == 0 {
			r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		}
		b.WriteString(strings.Join(fields, pick(" ", " ", " ", " ", " ", "\r")) + pick("\n", "\n", "\n", "\n", "\r\n", "\r", ""))
		if r.IntN(8) == 0 {
			b.WriteString("iter = 7, num_scheduled_requests = 0, another line\n")
		}
		if r.IntN(5) > 0 {
			*iteration++
		}
	}
	return b.String()
}

// compare compares a log's sample with what the harness's rule gives.
func compare(t *testing.T, log string, s *devicestep.Sample) verdict {
	t.Helper()
	want := harness(log)
	if s.Rows != len(want.values) || !nearStats(s.Stats, want.stats) || !reflect.DeepEqual(s.Tokens, want.tokens) || len(s.Notes) != min(want.raised, 101) {
		t.Errorf("%+v; the harness's rule gives %+v of %v\n%q", s, want.stats, want.values, log)
	}
	return want
}

func TestAgainstTheHarness(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	met := map[string]int{}
	for i := range 2000 {
		log := random(r)
		s, err := devicestep.Read(strings.NewReader(log))
		if err != nil {
			t.Fatal(err)
		}
		if i%4 == 0 {
			s = read(t, log)
		}
		for rule, n := range compare(t, log, s).met {
			met[rule] += n
		}
		if t.Failed() {
			return
		}
	}
	for _, rule := range []string{"rank 0", "rank 1", "rank none", "no value", "warm-up", "unknown before", "behind an idle one", "gap", "restart", "raised",
		"tie", "nothing", "no tokens", "zero tokens"} {
		if met[rule] < 20 {
			t.Errorf("the logs meet %q only %d times", rule, met[rule])
		}
	}
}

var longNumber = regexp.MustCompile(`[\d.]{19}`)

func FuzzRead(f *testing.F) {
	f.Add(row(5, 0, "4ms") + row(6, 1, "500ms"))
	f.Add("iter=5,prev_device_step_time=.ms\riter=6,prev_device_step_time=7ms")
	for i := range uint64(5) {
		f.Add(random(rand.New(rand.NewPCG(3, i))))
	}
	f.Fuzz(func(t *testing.T, log string) {
		s := read(t, log)
		if longNumber.MatchString(log) || strings.Count(log, "prev_device_step_time") > 100 || len(log) > 1<<20 {
			return // limits that the harness lacks
		}
		compare(t, log, s)
	})
}

func BenchmarkRead(b *testing.B) {
	for name, line := range map[string]string{
		"other": "host:1722:1722 [0] NCCL INFO Channel 01/0 : 0[0] -> 1[1] via P2P/CUMEM/read\n",
		"alike": "[TRT-LLM] [I] [RANK 0] KV cache manager: preview of prev_device memory, step time, server prepared, prev_device_time = 3\n",
		"bars":  "Loading safetensors checkpoint shards:  12% Completed | 3/25 [00:01<00:10,  2.1it/s]\r",
		"rows":  row(7, 1, "1ms"),
	} {
		b.Run(name, func(b *testing.B) {
			text := strings.Repeat(line, 1<<26/len(line))
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := devicestep.Read(strings.NewReader(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
