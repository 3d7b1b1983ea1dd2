package benchlog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse/benchlog"
)

// corpus returns the folder of real logs with their truth, which lies beside the checkout.
func corpus(t testing.TB) string {
	dir := os.Getenv("TRTPERF_CORPUS")
	if dir == "" {
		dir = "../../../shared/corpus"
	} else if !filepath.IsAbs(dir) {
		dir = filepath.Join("../..", dir)
	}
	if _, err := os.Stat(filepath.Join(dir, "logs")); err != nil {
		if os.Getenv("TRTPERF_REQUIRE_CORPUS") == "1" {
			t.Fatalf("no corpus, and TRTPERF_REQUIRE_CORPUS=1: set TRTPERF_CORPUS: %v", err)
		}
		t.Skipf("no corpus: set TRTPERF_CORPUS to its folder: %v", err)
	}
	return dir
}

// Every row of every truth file, and no other; no block where there is none.
func TestCorpus(t *testing.T) {
	dir := corpus(t)
	logs, err := filepath.Glob(filepath.Join(dir, "logs", "*"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no logs: %v", err)
	}
	for _, path := range logs {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			var want []string
			truth, err := os.ReadFile(filepath.Join(dir, "truth", name[:3]+".tsv"))
			if err == nil {
				want = strings.Split(strings.TrimRight(string(truth), "\n"), "\n")[1:]
			}
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			s := benchlog.NewScanner(file, nil)
			var got []string
			for s.Scan() {
				b := s.Block()
				for _, r := range b.Rows {
					got = append(got, fmt.Sprintf("%d\t%d\t%s\t%s", b.Number, r.Line, r.Label, r.Text))
				}
			}
			if s.Err() != nil {
				t.Fatal(s.Err())
			}
			for _, line := range diff(want, got) {
				t.Error(line)
			}
		})
	}
}

// diff returns the lines that only one side has.
func diff(want, got []string) []string {
	var all []string
	for _, w := range want {
		if !slices.Contains(got, w) {
			all = append(all, "missing: "+w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			all = append(all, "too much: "+g)
		}
	}
	if len(all) == 0 && !slices.Equal(want, got) {
		all = append(all, "the order or the number of rows differs")
	}
	return all
}
