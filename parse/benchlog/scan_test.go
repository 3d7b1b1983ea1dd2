package benchlog_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/trtperf/trtperf/parse/benchlog"
)

const (
	head = "============ Serving Benchmark Result ============"
	rule = "=================================================="
)

// block is a short block.
func block(throughput string) []string {
	return []string{head, "Successful requests:                     40        ", "Request throughput (req/s):              " + throughput + "      ",
		"---------------Time to First Token----------------", "Mean TTFT (ms):                          55.50     ", rule}
}

// scan gives each block in a few lines.
func scan(t testing.TB, r io.Reader) []string {
	t.Helper()
	s := benchlog.NewScanner(r, nil)
	var all []string
	for s.Scan() {
		b := s.Block()
		line := fmt.Sprintf("%d %d-%d %s", b.Number, b.Line, b.EndLine, b.End)
		if b.Banner {
			line += " banner"
		}
		if b.Asked != nil {
			line += fmt.Sprintf(" asked %d@%d", *b.Asked, b.AskedLine)
		}
		all = append(all, line)
		for _, r := range b.Rows {
			cut := ""
			if r.Cut {
				cut = " cut"
			}
			all = append(all, fmt.Sprintf("  %d %s = %s%s", r.Line, r.Label, r.Text, cut))
		}
		for _, r := range b.Trailer {
			all = append(all, fmt.Sprintf("  + %d %s = %s", r.Line, r.Label, r.Text))
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return all
}

func TestScan(t *testing.T) {
	join := func(prefix, end string, lines ...string) string {
		return prefix + strings.Join(lines, end+prefix) + end
	}
	rows := func(number, line, step int, throughput string) []string {
		return []string{fmt.Sprintf("%d %d-%d rule", number, line, line+5*step), fmt.Sprintf("  %d Successful requests = 40", line+step),
			fmt.Sprintf("  %d Request throughput (req/s) = %s", line+2*step, throughput), fmt.Sprintf("  %d Mean TTFT (ms) = 55.50", line+4*step)}
	}
	plain := rows(1, 1, 1, "3.24")
	var interleaved []string
	zero, two := block("3.24"), block("7.5")
	interleaved = append(interleaved, "2: "+two[0])
	for _, l := range zero {
		interleaved = append(interleaved, "0: "+l)
	}
	for _, l := range two[1:] {
		interleaved = append(interleaved, "srun: error: n1: task 1: Terminated", "2: "+l)
	}
	for name, c := range map[string]struct {
		log  string
		want []string
	}{
		"LF":            {join("", "\n", block("3.24")...), plain},
		"CRLF":          {join("", "\r\n", block("3.24")...), plain},
		"trailing":      {join("", strings.Repeat(" ", 500)+"\n", block("3.24")...), plain},
		"indented":      {join("     ", "\n", block("3.24")...), plain},
		"quoted":        {join("> ", "\n", block("3.24")...), plain},
		"piped":         {join("  | ", "\n", block("3.24")...), plain},
		"srun":          {join("0: ", "\n", block("3.24")...), plain},
		"mpirun":        {join("[1,0]<stdout>:", "\n", block("3.24")...), plain},
		"time":          {join("2026/11/23 10:20:30 ", "\n", block("3.24")...), plain},
		"logger":        {join("[11/23/2026-10:20:30] [TRT-LLM] [I] ", "\n", block("3.24")...), plain},
		"pid":           {join("(APIServer pid=158) ", "\n", block("3.24")...), plain},
		"header quoted": {join("", "\n", slices.Concat([]string{"> " + head}, block("3.24")[1:])...), plain},
		"colours":       {join("\x1b[32m", "\x1b[0m\n", block("3.24")...), plain},
		"coloured value": {strings.Replace(join("", "\n", block("3.24")...), "Request throughput (req/s):  ", "Request throughput (req/s): \x1b[1m ", 1),
			plain},
		"bar in front": {"Benchmarking:  50%|###   |\rBenchmarking: 100%|######|\r" + join("", "\n", block("3.24")...), plain},
		"60 columns": {join("", "\n", slices.Concat([]string{"=====" + head + "====="}, block("3.24")[1:5], []string{"=====" + rule + "====="})...),
			plain},
		"return signs":       {join("", " ⏎ ", block("3.24")...) + "\n", rows(1, 1, 0, "3.24")},
		"blanks":             {"text " + strings.Join(strings.Fields(join("", " ", block("3.24")...)), " ") + " more\n", rows(1, 1, 0, "3.24")},
		"NULs":               {"\x00\x00" + join("", "\n", block("3.24")...), plain},
		"invalid UTF-8":      {join("", "\n", slices.Concat([]string{"\xff\xfe"}, block("3.24"))...), rows(1, 2, 1, "3.24")},
		"two":                {join("", "\n", slices.Concat(block("3.24"), []string{"==== max-concurrency=2 ===="}, block("7.5"))...), slices.Concat(plain, rows(2, 8, 1, "7.5"))},
		"interleaved, srun":  {join("", "\n", interleaved...), []string{"1 1-17 rule", "  9 Successful requests = 40", "  11 Request throughput (req/s) = 7.5", "  15 Mean TTFT (ms) = 55.50", "2 2-7 rule", "  3 Successful requests = 40", "  4 Request throughput (req/s) = 3.24", "  6 Mean TTFT (ms) = 55.50"}},
		"no rule, next":      {join("", "\n", slices.Concat(block("3.24")[:3], block("7.5"))...), slices.Concat([]string{"1 1-3 next header"}, plain[1:3], rows(2, 4, 1, "7.5"))},
		"truncated":          {join("", "\n", block("3.24")[:5]...), slices.Concat([]string{"1 1-5 end of log"}, plain[1:])},
		"truncated in value": {strings.TrimRight(strings.Join(block("3.24")[:3], "\n"), "4 "), []string{"1 1-3 end of log", "  2 Successful requests = 40", "  3 Request throughput (req/s) = 3.2 cut"}},
		"no line end":        {strings.Join(block("3.24"), "\n"), plain},
		"empty":              {"", nil},
		"no block":           {"Successful requests: 40\nServing Benchmark Result\n", nil},
		"banner": {join("", "\n", head, "Successful requests: 34", "=======================!FAILED REQUESTS!=======================", "Total failed requests: 6",
			"=====================!CHECK LOG FOR ERRORS!====================", "Mean TTFT (ms): 5", rule),
			[]string{"1 1-7 rule banner", "  2 Successful requests = 34", "  4 Total failed requests = 6", "  6 Mean TTFT (ms) = 5"}},
		"asked": {"Namespace(backend='openai', num_prompts=80, seed=0)\n" + join("", "\n", block("3.24")...) + "bench --num-prompts 16\n" + join("", "\n", block("3.24")...) +
			"Running benchmark with num_prompt=18\n" + join("", "\n", block("3.24")...) + join("", "\n", block("3.24")...),
			slices.Concat([]string{"1 2-7 rule asked 80@1"}, rows(1, 2, 1, "3.24")[1:], []string{"2 9-14 rule asked 16@8"}, rows(1, 9, 1, "3.24")[1:],
				[]string{"3 16-21 rule asked 18@15"}, rows(1, 16, 1, "3.24")[1:], rows(4, 22, 1, "3.24"))},
		"not asked": {"bench --warmup-num-prompts 8 --num-prompts 64.5 --my_num_prompts=3\n" + join("", "\n", block("3.24")...), rows(1, 2, 1, "3.24")},
		"asked once for two tasks": {"Namespace(num_prompts=80)\n" + join("0: ", "\n", block("3.24")...) + join("1: ", "\n", block("7.5")...),
			slices.Concat([]string{"1 2-7 rule asked 80@1"}, rows(1, 2, 1, "3.24")[1:], []string{"2 8-13 rule asked 80@1"}, rows(2, 8, 1, "7.5")[1:])},
		"asked behind a cut block": {join("", "\n", block("3.24")[:5]...) + "Namespace(num_prompts=7)\n" + join("", "\n", block("7.5")...),
			slices.Concat([]string{"1 1-5 end of log"}, plain[1:], []string{"2 7-12 rule asked 7@6"}, rows(2, 7, 1, "7.5")[1:])},
		"harness behind a task": {join("0: ", "\n", block("3.24")...) + "\nAverage Per Iter Device Step Time (ms): 7.30\n",
			slices.Concat(plain, []string{"  + 8 Average Per Iter Device Step Time (ms) = 7.30"})},
		"harness": {join("", "\n", block("3.24")...) + "\nAverage Per Iter Device Step Time (ms): 7.30\nP99 Per Iter Device Step Time (ms): 7.4140\n",
			slices.Concat(plain, []string{"  + 8 Average Per Iter Device Step Time (ms) = 7.30", "  + 9 P99 Per Iter Device Step Time (ms) = 7.4140"})},
		"logger between rows": {strings.Replace(join("", "\n", block("3.24")...), "-------", "INFO 11-23 10:00:00 x.py:12: Avg generation throughput: 5 tokens/s\n-------", 1),
			[]string{"1 1-7 rule", "  2 Successful requests = 40", "  3 Request throughput (req/s) = 3.24", "  6 Mean TTFT (ms) = 55.50"}},
		"note behind the value": {join("", "\n", head, "Mean TTFT (ms):   5.50     ← key metric", rule), []string{"1 1-3 rule", "  2 Mean TTFT (ms) = 5.50"}},
		"colons in the value":   {join("", "\n", head, "SLOs (ms):   ttft:18 tpot:5", "Label:nothing", "None:", rule), []string{"1 1-5 rule", "  2 SLOs (ms) = ttft:18 tpot:5"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.log), iotest.OneByteReader(strings.NewReader(c.log)), iotest.HalfReader(strings.NewReader(c.log))} {
				if got := scan(t, r); !slices.Equal(got, c.want) {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
			}
		})
	}
}

// The example that stands in the client's documentation, and the reading that stands under it there.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("../../testdata/logs/example.log")
	if err != nil {
		t.Fatal(err)
	}
	s := benchlog.NewScanner(bytes.NewReader(text), nil)
	if !s.Scan() {
		t.Fatal("no block")
	}
	b := s.Block()
	if b.Framework != "TensorRT-LLM" || b.Asked == nil || *b.Asked != 40 || len(b.Rows) != 32 || b.End != benchlog.Rule {
		t.Errorf("got %+v", b)
	}
	values := map[string]string{}
	for _, r := range b.Rows {
		values[r.Label] = r.Text
	}
	for label, want := range map[string]string{"Request throughput (req/s)": "3.24", "User throughput (tok/s)": "829.49", "P99 E2EL (ms)": "1851.75",
		"Mean Avg Decoded Tokens per Iter": "2.71", "Failed requests": "0", "P99 TPOT (ms)": "1.65"} {
		if values[label] != want {
			t.Errorf("%s is %q, want %s", label, values[label], want)
		}
	}
}

// How much a reader gives at a time must not matter, and a chunk's seam may fall anywhere.
func TestSeams(t *testing.T) {
	dir := corpus(t)
	for _, name := range []string{"024", "030", "070", "084"} {
		paths, err := filepath.Glob(filepath.Join(dir, "logs", name+"-*"))
		if err != nil || len(paths) != 1 {
			t.Fatal(paths, err)
		}
		text, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		want := scan(t, bytes.NewReader(text))
		if got := scan(t, iotest.HalfReader(bytes.NewReader(text))); !slices.Equal(got, want) {
			t.Errorf("%s: the size of reads matters", name)
		}
		for _, before := range []int{1<<20 - 3000, 1 << 20, 2<<20 - 777} {
			padding := bytes.Repeat([]byte("x\n"), before/2)
			got := scan(t, io.MultiReader(bytes.NewReader(padding), bytes.NewReader(text)))
			if len(got) != len(want) {
				t.Errorf("%s behind %d bytes: %d rows, want %d", name, len(padding), len(got), len(want))
			}
		}
	}
}

// A log that is one endless line is read to its end in flat memory, and what follows is not lost.
func TestEndlessLine(t *testing.T) {
	const size = 200 << 20
	noise := bytes.Repeat([]byte("Benchmarking |#### "), 1<<16)
	log := io.MultiReader(io.LimitReader(&endless{noise, 0}, size), strings.NewReader("\n"+strings.Join(block("3.24"), "\n")+"\n"))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := benchlog.NewScanner(log, nil)
	if !s.Scan() || len(s.Block().Rows) != 3 || s.Block().Line != 2 {
		t.Fatalf("got %+v", s.Block())
	}
	runtime.ReadMemStats(&after)
	if s.Scan() || len(s.Notes()) != 1 || s.Notes()[0].Code != benchlog.LongLine {
		t.Errorf("notes %v", s.Notes())
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 32<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
}

type endless struct {
	text []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

func FuzzScan(f *testing.F) {
	f.Add([]byte(strings.Join(block("3.24"), "\n")))
	f.Add([]byte("0: " + strings.Join(block("3.24"), "\r\n0: ")))
	f.Add([]byte(strings.Join(strings.Fields(strings.Join(block("3.24"), " ")), " ")))
	piece := "3: " + strings.Repeat("y", 1024) + "\n"
	f.Add([]byte("3: x\n" + piece + piece + "3: z\n" + "3: " + strings.Join(block("3.24"), "\n3: ") + "\n" + piece + "4: x\n" + piece))
	f.Add([]byte(piece + "3: ============ Serving Benchmark Result ============\n" + piece + "3:  Mean TTFT (ms): 5\n3: Median TTFT (ms): 7\n" + piece))
	f.Fuzz(func(t *testing.T, log []byte) {
		want := scan(t, bytes.NewReader(log))
		if got := scan(t, iotest.OneByteReader(bytes.NewReader(log))); !slices.Equal(got, want) {
			t.Errorf("the size of reads matters:\n%q\n%q", got, want)
		}
		for _, size := range []int{1, 100, 4096} {
			if got := scan(t, windows{bytes.NewReader(log), log, size}); !slices.Equal(got, want) {
				t.Errorf("looked at %d bytes at a time:\n%q\n%q", size, got, want)
			}
			if got := scan(t, inParts(log, size)); !slices.Equal(got, want) {
				t.Errorf("in parts of %d bytes:\n%q\n%q", size, got, want)
			}
		}
		s := benchlog.NewScanner(bytes.NewReader(log), nil)
		lines := bytes.Count(log, []byte("\n")) + 1
		for s.Scan() {
			b := s.Block()
			if b.Line < 1 || b.EndLine < b.Line || b.EndLine > lines {
				t.Errorf("block in lines %d to %d of %d", b.Line, b.EndLine, lines)
			}
			for _, r := range b.Rows {
				if r.Label == "" || r.Text == "" || r.Line < b.Line || r.Line > b.EndLine || strings.Contains(r.Text, "  ") {
					t.Errorf("row %+v in block %d-%d", r, b.Line, b.EndLine)
				}
			}
		}
	})
}

// BenchmarkScan reads the corpus, blocks and all.
func BenchmarkScan(b *testing.B) {
	logs, err := filepath.Glob(filepath.Join(corpus(b), "logs", "*"))
	if err != nil {
		b.Fatal(err)
	}
	var all []byte
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, text...)
	}
	b.SetBytes(int64(len(all)))
	for b.Loop() {
		s := benchlog.NewScanner(bytes.NewReader(all), nil)
		for s.Scan() {
		}
	}
}
