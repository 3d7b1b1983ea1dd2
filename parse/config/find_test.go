package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFind(t *testing.T) {
	const disaggOld = "tests/integration/defs/perf/disagg/test_configs/disagg/perf-sanity/x.yaml"
	for _, tt := range []struct {
		name, id string
		files    []string // below directories a and b, both searched
		want     string
	}{
		{"nothing", "aggr-x", []string{"a/y.yaml"}, ""},
		{"beside", "aggr-x", []string{"a/x.yaml"}, "a/x.yaml"},
		{"other extension", "aggr-x", []string{"a/x.yml"}, "a/x.yml"},
		{"both extensions", "aggr-x", []string{"a/x.yml", "a/x.yaml"}, "a/x.yaml"},
		{"beside before folders", "aggr-x", []string{"a/aggregated/x.yaml", "a/x.yml"}, "a/x.yml"},
		{"aggregated of two", "aggr-x-s", []string{"a/aggregated/x.yaml", "a/disaggregated/x.yaml"}, "a/aggregated/x.yaml"},
		{"disaggregated of two", "disagg-e2e-x", []string{"a/aggregated/x.yaml", "a/disaggregated/x.yaml"}, "a/disaggregated/x.yaml"},
		{"disaggregated of two without mode", "disagg-x", []string{"a/aggregated/x.yaml", "a/" + disaggOld}, "a/" + disaggOld},
		{"ctx_only of two", "aggr-ctx_only-x", []string{"a/aggregated/x.yaml", "a/disaggregated/x.yaml"}, "a/disaggregated/x.yaml"},
		{"own prefix of two", "f[mine-x]", []string{"a/aggregated/x.yaml", "a/disaggregated/x.yaml"}, "a/disaggregated/x.yaml"},
		{"the other kind alone", "aggr-x", []string{"a/disaggregated/x.yaml"}, "a/disaggregated/x.yaml"},
		{"own kind in a checkout", "aggr-x", []string{"a/disaggregated/x.yaml", "a/tests/scripts/perf-sanity/x.yaml"}, "a/tests/scripts/perf-sanity/x.yaml"},
		{"checkout of today", "disagg-e2e-x", []string{"b/tests/scripts/perf-sanity/disaggregated/x.yaml"}, "b/tests/scripts/perf-sanity/disaggregated/x.yaml"},
		{"first directory", "aggr-x", []string{"b/x.yaml", "a/aggregated/x.yaml"}, "a/aggregated/x.yaml"},
		{"dashes and .yaml", "disagg-e2e-x-1.yaml", []string{"a/x-1.yaml"}, "a/x-1.yaml"},
		{"a directory", "aggr-x", []string{"a/x.yaml/z", "b/x.yaml"}, "b/x.yaml"},
		{"other suite", "disagg_perf_file:x", []string{"a/x.yaml"}, ""},
		{"climbing", "disagg-e2e-..", []string{"a/x.yaml"}, ""},
	} {
		dir := t.TempDir()
		for _, f := range tt.files {
			p := filepath.Join(dir, filepath.FromSlash(f))
			if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		got, ok := Find([]string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}, testID(t, tt.id))
		if rel, err := filepath.Rel(dir, got); err == nil {
			got = filepath.ToSlash(rel)
		}
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, ok, tt.want)
		}
	}
}
