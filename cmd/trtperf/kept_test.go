package main

import (
	"fmt"
	"os"
	"reflect"
	"syscall"
	"testing"

	"github.com/trtperf/trtperf/parse"
)

// keptExample is a Result of its own; another reading of it says so in its notes.
func keptExample(n int, notes string) *parse.Result {
	// An identity is known by its beginning.
	r := &parse.Result{ID: fmt.Sprintf("%016x%048x", n+1, 0), Status: parse.Valid, Source: parse.Source{File: "x.log", Block: n + 1}, Job: parse.Job{Notes: notes},
		Rows: []parse.Row{{Label: "Mean TTFT (ms)", Text: fmt.Sprint(n), Line: n}}}
	r.Metrics = parse.Values{{Name: "mean_ttft", Value: parse.Value{Value: float64(n), Text: fmt.Sprint(n), Unit: "ms"}}}
	return r
}

// What is kept comes back as it was, wherever it is kept, and of two readings the last one counts: in memory, in a file, where no file can be
// made, and where it is full in the middle.
func TestKept(t *testing.T) {
	const n = 3000
	for name, c := range map[string]struct {
		most   int
		temp   string
		spoilt int // from this Result on the file takes no more
	}{
		"in memory": {most: n, temp: t.TempDir()}, "in a file": {most: 10, temp: t.TempDir()}, "no file": {most: 10, temp: "/does/not/exist"},
		"full": {most: 10, temp: t.TempDir(), spoilt: n / 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", c.temp)
			k := newKept(c.most)
			defer k.close()
			for i := range n {
				if c.spoilt > 0 && i == c.spoilt {
					k.file = readOnly(t, k.file)
				}
				k.put(keptExample(i, ""))
				if i%7 == 0 {
					k.put(keptExample(i/2, "again"))
				}
			}
			if left, _ := os.ReadDir(c.temp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if name == "in a file" && k.held != c.most || name != "in a file" && name != "in memory" && k.held <= c.most {
				t.Errorf("%d are in memory", k.held)
			}
			i := 0
			err := k.each(func(r *parse.Result) error {
				notes := ""
				if again := 2 * i; again < n && again%7 == 0 || 2*i+1 < n && (2*i+1)%7 == 0 {
					notes = "again"
				}
				if want := keptExample(i, notes); !reflect.DeepEqual(r, want) {
					return fmt.Errorf("%+v, want %+v", r, want)
				}
				i++
				return nil
			})
			if err != nil || i != n || k.set.Len() != n {
				t.Errorf("%d of %d, %d: %v", i, n, k.set.Len(), err)
			}
		})
	}
}

// readOnly returns the same file, open for reading alone.
func readOnly(t *testing.T, file *os.File) *os.File {
	t.Helper()
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return again
}
