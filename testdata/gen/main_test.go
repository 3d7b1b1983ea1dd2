package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The same seed makes the same bytes, another one others.
func TestDeterministic(t *testing.T) {
	for _, kind := range []string{"log", "xml", "csv", "csv -rows", "xml -one"} {
		made := func(seed string) string {
			var b bytes.Buffer
			if err := run(append(strings.Fields(kind), "-size", "5MiB", "-seed", seed), &b); err != nil {
				t.Fatal(err)
			}
			return b.String()
		}
		one := made("1")
		if len(one) < 4<<20 || one != made("1") || one == made("2") {
			t.Errorf("%s: %d bytes", kind, len(one))
		}
		if n := strings.Count(one, "Serving Benchmark Result"); kind == "log" && n != 2 || strings.HasPrefix(kind, "xml") && n != 1 {
			t.Errorf("%s: %d blocks", kind, n)
		}
	}
}

func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	if err := run([]string{"logs", "-n", "500", "-dir", dir}, nil); err != nil {
		t.Fatal(err)
	}
	variants, err := os.ReadFile(filepath.Join(dir, "variants.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"sa", "1.0", "al", "no-e2el", "no-tpot", "odd", "banner", "bar-in-front", "truncated", "steps", "label", "crlf", "no-block", "not-streamed", "cut"} {
		if !strings.Contains(string(variants), v) {
			t.Errorf("no log of the variant %s", v)
		}
	}
	if err := run([]string{"tree", "-n", "2001", "-dir", dir}, nil); err != nil {
		t.Fatal(err)
	}
	if logs, _ := filepath.Glob(filepath.Join(dir, "part-*", "run-*", "bench.log")); len(logs) != 2001 {
		t.Errorf("%d logs", len(logs))
	}
}
