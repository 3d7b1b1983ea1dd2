// Command gen makes inputs of any size for tests and benchmarks, the same bytes for the same seed:
//
//	gen log  -size 512MiB        a log: iteration lines (60 %), access lines, NCCL lines, progress bars, a block for each 2 MB
//	gen line -size 10GiB         one line that never ends
//	gen logs -n 10000 -dir DIR   client logs of one block each, in all variants of the clients and some faults; variants.tsv says which
//	gen xml  -size 128MiB        a results.xml whose test cases have huge outputs; -one: a single one
//	gen csv  -size 450MiB        a metric-row CSV with raw_result cells; -rows: without
//	gen tree -n 100000 -dir DIR  directories with one small log each; -files: many files in each directory instead, most without a block
//	gen often FILE...            how often two characters follow one another in logs: parse/benchlog/often.txt
//
// What has no -dir goes to standard output.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// options are the flags of all kinds.
type options struct {
	size         uint64
	n            int
	dir          string
	one          bool
	rows         bool
	files        bool
	kind         string
	seed         uint64
	out          *bufio.Writer
	written      uint64
	random       *rand.Rand
	iteration, m int
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("name what to make: log, line, logs, xml, csv, tree or often")
	}
	o := &options{kind: args[0], out: bufio.NewWriterSize(out, 1<<20)}
	flags := flag.NewFlagSet("gen "+o.kind, flag.ContinueOnError)
	size := flags.String("size", "16MiB", "bytes to make, about")
	flags.Uint64Var(&o.seed, "seed", 1, "seed")
	flags.IntVar(&o.n, "n", 1000, "number of logs")
	flags.StringVar(&o.dir, "dir", "", "directory to write to")
	flags.BoolVar(&o.one, "one", false, "xml: one test case with one output")
	flags.BoolVar(&o.rows, "rows", false, "csv: without raw_result")
	flags.BoolVar(&o.files, "files", false, "tree: a thousand files in each directory, one in a hundred with a block")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	var err error
	if o.size, err = humanize.ParseBytes(*size); err != nil {
		return err
	}
	o.random = rand.New(rand.NewPCG(o.seed, 0))
	switch o.kind {
	case "log":
		o.log(o.size, "\n", true)
	case "line":
		for piece := strings.Repeat("no line end ", 1000); o.written < o.size; {
			o.print("%s", piece)
		}
	case "logs":
		return o.logs()
	case "xml":
		o.xml()
	case "csv":
		o.csv()
	case "tree":
		return o.tree()
	case "often":
		if err := o.often(flags.Args()); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%q: name log, line, logs, xml, csv, tree or often", o.kind)
	}
	return o.out.Flush()
}

func (o *options) print(format string, args ...any) {
	n, _ := fmt.Fprintf(o.out, format, args...)
	o.written += uint64(n)
}

// log writes about so many bytes of a log. Its lines are put together once and then varied, which is fast.
func (o *options) log(size uint64, end string, blocks bool) {
	const perBlock = 2 << 20
	begin, last := o.written, uint64(0)
	for o.written-begin < size {
		if blocks && (o.written-begin)/perBlock > last {
			last = (o.written - begin) / perBlock
			o.m++
			o.block(o.out, o.m, end)
		}
		o.line(end)
	}
}

// line writes one line that holds no result.
func (o *options) line(end string) {
	r := o.random
	switch n := r.IntN(100); {
	case n < 28: // 330 bytes each, so 60 % of the log
		o.iteration++
		o.print("[TRT-LLM] [I] [_torch][RANK 0] iter = %d, global_rank = 0, rank = 0, num_scheduled_requests = %d, kv_cache_util = 0.%03d, "+
			"currank_total_requests = %d/%d, host_step_time = %d.%010dms, prev_device_step_time = %d.%010dms, timestamp = 08-23-2026 01:02:%02d, "+
			"states = {'num_ctx_requests': 0, 'num_ctx_tokens': 0, 'num_generation_tokens': %d}%s",
			o.iteration, 1+r.IntN(512), r.IntN(1000), r.IntN(99), o.iteration, r.IntN(20), r.IntN(1e9), r.IntN(20), r.IntN(1e9), r.IntN(60), 8<<r.IntN(7), end)
	case n < 66:
		o.print("INFO:     127.0.0.1:%d - \"POST /v1/completions HTTP/1.1\" 200 OK%s", 30000+r.IntN(30000), end)
	case n < 99:
		o.print("gb200-%02d:%d:%d [%d] NCCL INFO Channel %02d/0 : 0[0] -> 1[1] via P2P/CUMEM/read%s", r.IntN(72), 1722+r.IntN(9), 1722+r.IntN(9000), r.IntN(4),
			r.IntN(32), end)
	default:
		total := 10 * (1 + r.IntN(30))
		for i := range 20 {
			o.print("\rBenchmarking: %3d%%|%-10s| %d/%d [00:%02d<00:22,  %d.%02dit/s]", i*5, "████████████████████"[:3*(i/2)], i*total/20, total, i, r.IntN(9), r.IntN(100))
		}
		o.print("%s", end)
	}
}

// measured are the numbers of one block. They agree with one another, and no two blocks have the same.
type measured struct {
	requests, input, output int
	seconds                 float64
	mean                    [4]float64 // TTFT, TPOT, ITL, E2EL
}

func (o *options) measure(n int) measured {
	r := o.random
	m := measured{requests: 8 * (1 + r.IntN(99)), seconds: 1 + r.Float64()*1000}
	m.input, m.output = 1024*m.requests, 512*m.requests+n // n keeps any two apart
	for i, scale := range []float64{500, 20, 20, 9000} {
		m.mean[i] = scale * (0.1 + r.Float64())
	}
	return m
}

// block writes a whole block of TensorRT-LLM's client with what stands before it.
func (o *options) block(w io.Writer, n int, end string) {
	m := o.measure(n)
	write := func(format string, args ...any) {
		k, _ := fmt.Fprintf(w, format+end, args...)
		if w == o.out {
			o.written += uint64(k)
		}
	}
	write("Namespace(backend='openai', base_url=None, host='localhost', port=8000, dataset_name='random', model='toy', max_concurrency=%d, "+
		"num_prompts=%d, random_input_len=1024, random_output_len=512, request_rate=inf, seed=0)", m.requests/8, m.requests)
	write("============ Serving Benchmark Result ============")
	for _, l := range m.lines(true) {
		write("%s", l)
	}
	write("==================================================")
}

func row(label, value string) string { return fmt.Sprintf("%-40s %-10s", label, value) }

// lines are a block's lines between its header and its closing rule. All has every row of TensorRT-LLM's current client.
func (m measured) lines(all bool) []string {
	var lines []string
	add := func(label string, format string, value any) {
		lines = append(lines, row(label+":", fmt.Sprintf(format, value)))
	}
	if all {
		add("Total requests", "%d", m.requests)
	}
	add("Successful requests", "%d", m.requests)
	if all {
		add("Failed requests", "%d", 0)
	}
	add("Benchmark duration (s)", "%.2f", m.seconds)
	add("Total input tokens", "%d", m.input)
	add("Total generated tokens", "%d", m.output)
	add("Request throughput (req/s)", "%.2f", float64(m.requests)/m.seconds)
	add("Output token throughput (tok/s)", "%.2f", float64(m.output)/m.seconds)
	add("Total Token throughput (tok/s)", "%.2f", float64(m.input+m.output)/m.seconds)
	if all {
		add("User throughput (tok/s)", "%.2f", 1000/m.mean[1])
	}
	titles := [4]string{"---------------Time to First Token----------------", "-----Time per Output Token (excl. 1st token)------",
		"---------------Inter-token Latency----------------", "----------------End-to-end Latency----------------"}
	for i, name := range [4]string{"TTFT", "TPOT", "ITL", "E2EL"} {
		lines = append(lines, titles[i])
		add("Mean "+name+" (ms)", "%.2f", m.mean[i])
		add("Median "+name+" (ms)", "%.2f", m.mean[i]*0.98)
		if all {
			add("Std Dev "+name+" (ms)", "%.2f", m.mean[i]*0.1)
		}
		add("P99 "+name+" (ms)", "%.2f", m.mean[i]*1.5)
	}
	return lines
}

// create makes a file below the directory and fills it.
func (o *options) create(path string, fill func(w *bufio.Writer)) error {
	path = filepath.Join(o.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	fill(w)
	return errors.Join(w.Flush(), file.Close())
}

// tree writes many small logs.
func (o *options) tree() error {
	if o.dir == "" {
		return errors.New("tree: name a -dir")
	}
	const perDirectory = 1000
	for i := range o.n {
		path := fmt.Sprintf("part-%04d/run-%06d/bench.log", i/perDirectory, i)
		if o.files {
			path = fmt.Sprintf("part-%04d/run-%06d.log", i/perDirectory, i)
		}
		err := o.create(path, func(w *bufio.Writer) {
			fmt.Fprintf(w, "RandomDataset.sample() started...\nrun %d\n", i)
			if !o.files || i%100 == 0 {
				o.block(w, i, "\n")
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// often writes how often each two printable ASCII characters follow one another, in powers of four: a line for each first one. 0 is less
// than once in a MiB.
func (o *options) often(paths []string) error {
	const first, last = ' ', '~'
	var counts [256][256]int
	all := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := 1; i < len(text); i++ {
			counts[text[i-1]][text[i]]++
		}
		all += len(text)
	}
	for a := first; a <= last; a++ {
		for b := first; b <= last; b++ {
			level := 0
			for n := counts[a][b] << 20 / max(all, 1); n > 0 && level < 9; n >>= 2 {
				level++
			}
			o.print("%d", level)
		}
		o.print("\n")
	}
	return nil
}
