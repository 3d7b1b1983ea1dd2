package collect_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtperf/trtperf/launch/collect"
	"github.com/trtperf/trtperf/parse/manifest"
)

// write writes files and returns their directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// names are the entries of a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// What happens to the files while they are collected: one that grows is collected as far as it went, one that is written anew ends it, and so does
// an interrupt; then nothing is left of the archive.
func TestWhileItRuns(t *testing.T) {
	for _, ending := range []string{"", ".tar.zst"} {
		for name, c := range map[string]struct {
			meanwhile func(b string, cancel func()) error
			want      string // of the error
		}{
			"grows": {func(b string, _ func()) error {
				f, err := os.OpenFile(b, os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					return err
				}
				_, err = f.WriteString("more\n")
				f.Close()
				return err
			}, ""},
			"anew":    {func(b string, _ func()) error { return os.WriteFile(b, []byte("two\n"), 0o666) }, "changed while it was collected"},
			"shorter": {func(b string, _ func()) error { return os.WriteFile(b, []byte("o"), 0o666) }, "changed while it was collected"},
			"gone":    {func(b string, _ func()) error { return os.Remove(b) }, "no such file"},
			"interrupted": {func(_ string, cancel func()) error {
				cancel()
				return nil
			}, "context canceled"},
		} {
			t.Run(name+ending, func(t *testing.T) {
				dir := write(t, map[string]string{"a.log": "one\n", "b.log": "one\n"})
				out := t.TempDir()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				m, err := collect.Collect(ctx, dir, filepath.Join(out, "x"+ending), collect.Options{Collected: func(f manifest.File) {
					if f.Source != "a.log" {
						return
					}
					if err := c.meanwhile(filepath.Join(dir, "b.log"), cancel); err != nil {
						t.Error(err)
					}
				}})
				if c.want == "" {
					if err != nil || len(m.Files) != 2 || m.Files[1].Size != 4 {
						t.Errorf("%+v, %v", m, err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				if left := names(t, out); left != "" {
					t.Errorf("left behind: %s", left)
				}
			})
		}
	}
}

// An archive inside the run, of an earlier collection and of this one, is not collected into itself.
func TestInsideTheRun(t *testing.T) {
	dir := write(t, map[string]string{"a.log": "one\n"})
	for range 2 {
		for i, name := range []string{"x", "x.tar.gz"} {
			archive := filepath.Join(dir, time.Now().Format("150405.000000000")+name)
			m, err := collect.Collect(t.Context(), dir, archive, collect.Options{})
			if err != nil || len(m.Files) != 1 {
				t.Fatalf("%d: %+v, %v", i, m, err)
			}
		}
	}
}

// The job of a file is that of its run, as the launcher, the job's output or the workers' directory name it.
func TestJobs(t *testing.T) {
	dir := write(t, map[string]string{
		"a/slurm_job.json": `{"run_id": "r", "job_id": "12;alpha"}`, "a/slurm-12.out": "x\n", "a/t/trtllm-serve.0.log": "x\n",
		"b/slurm_13.log": "x\n", "b/t/hostnames-13-0/GEN_0.txt": "n:1\n",
		"c/hostnames-14-0/GEN_0.txt": "n:1\n", "c/trtllm-benchmark.0.0.log": "x\n", "d.log": "x\n",
	})
	m, err := collect.Collect(t.Context(), dir, filepath.Join(t.TempDir(), "x.tar"), collect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	jobs := map[string]string{"a": "12", "b": "13", "c": "14", "d.log": ""}
	for _, f := range m.Files {
		top, _, _ := strings.Cut(f.Source, "/")
		if f.Job != jobs[top] {
			t.Errorf("%s: job %q, want %q", f.Source, f.Job, jobs[top])
		}
	}
}
