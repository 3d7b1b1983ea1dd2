package run_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/archive"
	"github.com/trtperf/trtperf/parse/run"
)

type member struct {
	name, text string
	modified   time.Time
}

// membersOf returns the files below a directory, in an order of no meaning.
func membersOf(t *testing.T, dir string) []member {
	t.Helper()
	var all []member
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		all = append(all, member{name: path, text: string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(uint64(len(all)), 1))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func closed(t *testing.T, w io.Closer) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func tarOf(t *testing.T, members []member) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.text)), Mode: 0o644, ModTime: m.modified}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.text); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, w)
	return b.String()
}

func zipOf(t *testing.T, members []member) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.Create(m.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, m.text); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, w)
	return b.String()
}

func gz(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	closed(t, w)
	return b.String()
}

func zst(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	closed(t, w)
	return b.String()
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// placeless are the Results without the places where they were read.
func placeless(t *testing.T, r *run.Run) []*parse.Result {
	t.Helper()
	var all []*parse.Result
	for _, x := range r.Results {
		y := *x
		y.Source = parse.Source{Block: x.Source.Block, Line: x.Source.Line}
		y.AlsoIn = slices.Repeat([]parse.Source{{}}, len(x.AlsoIn))
		for i := range y.Reasons {
			y.Reasons[i].Message = ""
		}
		all = append(all, &y)
	}
	return all
}

// Every run directory, read from an archive of any kind whatever the order of its members, is what it is in its directory.
func TestArchivesAreDirectories(t *testing.T) {
	dirs, err := os.ReadDir(runs)
	if err != nil {
		t.Fatal(err)
	}
	packed := t.TempDir()
	var everything []member
	var all []*parse.Result
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		t.Run(d.Name(), func(t *testing.T) {
			dir := filepath.Join(runs, d.Name())
			want := readAll(t, run.Options{}, dir)
			members := membersOf(t, dir)
			for i := range members {
				everything = append(everything, member{name: d.Name() + "/" + members[i].name, text: members[i].text})
			}
			all = append(all, placeless(t, want)...)
			compress := slices.Clone(members)
			for i := range compress {
				compress[i].name += ".gz"
				compress[i].text = gz(t, compress[i].text)
			}
			for name, text := range map[string]string{"x.tar.gz": gz(t, tarOf(t, members)), "x.zip": zipOf(t, members), "x.tar.zst": zst(t, tarOf(t, members)),
				"members.tar": tarOf(t, compress)} {
				path := write(t, filepath.Join(packed, d.Name(), name), text)
				got := readAll(t, run.Options{}, path)
				if !reflect.DeepEqual(placeless(t, got), placeless(t, want)) || len(got.FailedTests) != len(want.FailedTests) {
					t.Errorf("%s: %d results, want %d; failed tests %v, want %v", name, len(got.Results), len(want.Results), got.FailedTests, want.FailedTests)
				}
				in, out := got.Inputs, want.Inputs
				if in.Read != out.Read+1 || in.Skipped != out.Skipped || in.Failed != out.Failed {
					t.Errorf("%s: inputs %+v, in the directory %+v", name, in, out)
				}
				for _, r := range got.Results {
					if r.Source.File != path || r.Source.Member == "" || strings.HasPrefix(r.Source.Member, "/") {
						t.Errorf("%s: source %+v", name, r.Source)
					}
				}
			}
			// Compressed in place.
			for _, m := range compress {
				write(t, filepath.Join(packed, "in-place", d.Name(), m.name), m.text)
			}
			got := readAll(t, run.Options{}, filepath.Join(packed, "in-place", d.Name()))
			if !reflect.DeepEqual(placeless(t, got), placeless(t, want)) || got.Inputs != want.Inputs {
				t.Errorf("in place: %d results, want %d; inputs %+v, want %+v", len(got.Results), len(want.Results), got.Inputs, want.Inputs)
			}
		})
	}
	r := rand.New(rand.NewPCG(7, 7))
	r.Shuffle(len(everything), func(i, j int) { everything[i], everything[j] = everything[j], everything[i] })
	inner := []member{{name: "deep/all.tar.gz", text: gz(t, tarOf(t, everything))}}
	got := readAll(t, run.Options{}, write(t, filepath.Join(packed, "all", "all.zip"), zipOf(t, inner)))
	same := func(a, b *parse.Result) int { return strings.Compare(a.ID+a.TestID.String(), b.ID+b.TestID.String()) }
	found := placeless(t, got)
	slices.SortFunc(found, same)
	slices.SortFunc(all, same)
	if !reflect.DeepEqual(found, all) {
		t.Errorf("all in one: %d results, want %d", len(found), len(all))
	}
}

func TestFilters(t *testing.T) {
	dir := t.TempDir()
	old, recent := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for name, at := range map[string]time.Time{"a/x.log": old, "b/x.log": recent, "b/y.log": recent, "night/aggr-k/trtllm-benchmark.0.0.log": old,
		"night/aggr-k/trtllm-serve.0.log": recent} {
		path := write(t, filepath.Join(dir, name), block(len(name)%5))
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "packed.tar"), tarOf(t, []member{{"in/x.log", block(8), old}, {"in/z.log", block(9), recent}}))
	if err := os.Chtimes(filepath.Join(dir, "packed.tar"), recent, recent); err != nil {
		t.Fatal(err)
	}
	sources := func(f run.Filter) []string {
		var all []string
		for _, r := range readAll(t, run.Options{Filter: f}, dir).Results {
			rel, _ := filepath.Rel(dir, r.Source.File)
			all = append(all, strings.Trim(rel+"/"+r.Source.Member, "/"))
		}
		return all
	}
	everything := []string{"a/x.log", "b/x.log", "b/y.log", "night/aggr-k/trtllm-benchmark.0.0.log", "packed.tar/in/x.log", "packed.tar/in/z.log"}
	for name, c := range map[string]struct {
		f    run.Filter
		want []string
	}{
		"none":               {run.Filter{}, everything},
		"include":            {run.Filter{Include: []string{"b/**"}}, everything[1:3]},
		"include by name":    {run.Filter{Include: []string{"x.log", "*.tar"}}, []string{"a/x.log", "b/x.log", "packed.tar/in/x.log"}},
		"exclude":            {run.Filter{Exclude: []string{"**/x.log", "night/**"}}, []string{"b/y.log", "packed.tar/in/z.log"}},
		"exclude an archive": {run.Filter{Exclude: []string{"*.tar"}}, everything[:4]},
		"since":              {run.Filter{Since: recent}, []string{"b/x.log", "b/y.log", "night/aggr-k/trtllm-benchmark.0.0.log", "packed.tar/in/z.log"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sources(c.f); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	// Each run is in one share, and in the same one from another place.
	var joined []string
	for i := range 3 {
		joined = append(joined, sources(run.Filter{Shard: i + 1, Shards: 3})...)
		copied := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		here := readAll(t, run.Options{Filter: run.Filter{Shard: i + 1, Shards: 3}}, dir)
		there := readAll(t, run.Options{Filter: run.Filter{Shard: i + 1, Shards: 3}}, copied)
		if len(here.Results) != len(there.Results) || here.Inputs != there.Inputs {
			t.Errorf("share %d: %+v here, %+v there", i+1, here.Inputs, there.Inputs)
		}
	}
	slices.Sort(joined)
	if !slices.Equal(joined, everything) {
		t.Errorf("the shares hold %q", joined)
	}
	for _, f := range []run.Filter{{Include: []string{"[x"}}, {Exclude: []string{"{x"}}, {Shard: 3, Shards: 2}, {Shard: 0, Shards: 2}} {
		if f.Check() == nil {
			t.Errorf("%+v makes sense", f)
		}
	}
}

// However paths are given, each file is read once.
func TestPathsOverlap(t *testing.T) {
	dir := t.TempDir()
	a, b := write(t, filepath.Join(dir, "a", "x.log"), block(1)), write(t, filepath.Join(dir, "a", "b", "y.log"), block(2))
	write(t, filepath.Join(dir, "c", "z.log"), block(3))
	if err := os.Symlink(dir, filepath.Join(dir, "c", "loop")); err != nil {
		t.Fatal(err)
	}
	for _, paths := range [][]string{{dir}, {dir, dir}, {dir, filepath.Join(dir, "a")}, {filepath.Join(dir, "a", "b"), dir, filepath.Join(dir, "c")},
		{b, dir}, {dir, a, b}, {filepath.Join(dir, "a") + "/", filepath.Join(dir, "c"), b}, {a, b, filepath.Join(dir, "c", "z.log"), a, filepath.Join(dir, "c", "loop")}} {
		got := readAll(t, run.Options{}, paths...)
		ids := map[string]bool{}
		for _, r := range got.Results {
			ids[r.ID] = true
		}
		// The link is followed only where it is given itself; then the files are found behind it too.
		want := 3
		if len(paths) == 5 {
			want = 6
		}
		if len(ids) != 3 || len(got.Results) != want {
			t.Errorf("%q: %d results of %d, want %d", paths, len(ids), len(got.Results), want)
		}
	}
}

// What a hostile tree holds is told of, and the rest is read.
func TestHostile(t *testing.T) {
	good := block(1)
	for name, c := range map[string]struct {
		make    func(t *testing.T, dir string)
		options run.Options
		want    string // codes of diagnostics, and parts of the reasons for skipping
		failed  int
	}{
		"damaged archive": {make: func(t *testing.T, dir string) {
			text := gz(t, tarOf(t, []member{{name: "a.log", text: good}, {name: "b.log", text: strings.Repeat(block(2), 99)}}))
			write(t, filepath.Join(dir, "x.tar.gz"), text[:len(text)-20])
		}, want: run.Unreadable, failed: 1},
		"truncated log": {make: func(t *testing.T, dir string) {
			text := zst(t, strings.Repeat("x\n", 1<<20))
			write(t, filepath.Join(dir, "x.log.zst"), text[:len(text)/2])
		}, want: run.Unreadable, failed: 1},
		"a tar under a log's name": {make: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "aggr-k", "trtllm-benchmark.0.0.log"), tarOf(t, []member{{name: "a.log", text: good}}))
		}, want: "a tar archive under the name of another file"},
		"climbing": {make: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "x.tar"), tarOf(t, []member{{name: "../../etc/x.log", text: good}}))
		}, want: "climbs out"},
		"nested too deep": {make: func(t *testing.T, dir string) {
			text := good
			for range 9 {
				text = gz(t, text)
			}
			write(t, filepath.Join(dir, "x.log"), text)
		}, want: run.Unreadable, failed: 1},
		"UTF-16":     {make: func(t *testing.T, dir string) { write(t, filepath.Join(dir, "x.log"), "\xff\xfeS\x00e\x00") }, want: "UTF-16"},
		"a database": {make: func(t *testing.T, dir string) { write(t, filepath.Join(dir, "x.txt"), "SQLite format 3\x00") }, want: "SQLite"},
		"a pipe": {make: func(t *testing.T, dir string) {
			if err := syscall.Mkfifo(filepath.Join(dir, "x.log"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, want: "not a regular file"},
		"too much": {make: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "x.log.gz"), gz(t, strings.Repeat(good, 1000)))
		}, options: run.Options{Limits: archive.Limits{Unpacked: 1 << 16}}, want: run.Unreadable, failed: 1},
		"a bad CSV": {make: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "x.csv"), "network_name,metric_type,perf_metric,state\nn,SEQ_THROUGHPUT,1.2.3,valid\n\"n,x\n")
		}, want: "not-a-number bad-row"},
		"another CSV": {make: func(t *testing.T, dir string) { write(t, filepath.Join(dir, "x.csv"), "a,b\n1,2\n") }, want: "a CSV without a row for each metric"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			write(t, filepath.Join(dir, "z", "good.log"), block(7))
			got := readAll(t, c.options, dir)
			var said []string
			for _, d := range got.Diagnostics {
				said = append(said, d.Code)
			}
			for _, s := range got.Skipped {
				said = append(said, s.Reason)
			}
			for _, want := range strings.SplitN(c.want, " bad", 2) {
				if !strings.Contains(strings.Join(said, "\n"), want) {
					t.Errorf("said %q, want %q", said, c.want)
				}
			}
			if got.Inputs.Failed != c.failed {
				t.Errorf("inputs %+v", got.Inputs)
			}
			if !slices.ContainsFunc(got.Results, func(r *parse.Result) bool { return strings.HasSuffix(r.Source.File, "good.log") }) {
				t.Error("the rest was not read")
			}
		})
	}
}

// What a metric-row CSV says of the machine counts, and its id names the precision as a run's does.
func TestRowsKeepClocks(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "x.csv"), "network_name,test_name,perf_metric,state,metric_type,sm_clk,mem_clk\n"+
		"test_benchmark[disagg_perf_file:m-fp4_1_bs:64]_con:8,test_benchmark[disagg_perf_file:m-fp4_1_bs:64]_con:8,3.5,valid,DISAGG_SERVER_TTFT,2062,3996\n")
	x := readAll(t, run.Options{System: parse.System{MemClockMHz: new(1.0)}}, dir).Results[0]
	if x.System.SMClockMHz == nil || *x.System.SMClockMHz != 2062 || *x.System.MemClockMHz != 1 || x.Labels.Precision != "fp4" {
		t.Errorf("%+v, precision %q", x.System, x.Labels.Precision)
	}
}

// A metric-row CSV that trtperf has written is the same result as the log.
func TestRowsAreResults(t *testing.T) {
	dir := t.TempDir()
	header := "network_name,network_hash,test_name,perf_metric,total_time__sec,state,command,metric_type\r\n"
	path := write(t, filepath.Join(dir, "perf_script_test_results.csv"), header+
		"n[a]_con:8,x,n[a]_con:8,3.24,9.5,valid,c,SEQ_THROUGHPUT\r\nn[a]_con:8,x,n[a]_con:8,55.50,9.5,valid,c,DISAGG_SERVER_TTFT\r\n"+
		"n[b]_con:16,x,n[b]_con:16,1,9.5,invalid,c,SEQ_THROUGHPUT\r\n")
	got := readAll(t, run.Options{System: parse.System{GPU: "B200"}}, dir)
	if len(got.Results) != 2 || got.Inputs.Read != 1 {
		t.Fatalf("%d results, inputs %+v", len(got.Results), got.Inputs)
	}
	a, b := got.Results[0], got.Results[1]
	if a.Metrics.Get("median_ttft").Text != "55.50" || a.Metrics.Get("seq_throughput").Value != 3.24 || *a.Client.Concurrency != 8 || a.System.GPU != "B200" ||
		a.Source != (parse.Source{File: path, Block: 1, Line: 2, EndLine: 3}) || !a.Valid() {
		t.Errorf("%+v", a)
	}
	if b.Valid() || b.Reasons[0].Code != parse.MarkedInvalid {
		t.Errorf("%+v", b)
	}
}
