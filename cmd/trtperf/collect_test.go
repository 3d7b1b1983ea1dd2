package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse/manifest"
)

// printed runs a command and returns what it prints on standard output.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	var out, complaint bytes.Buffer
	code := run(context.Background(), args, stdio{in: strings.NewReader(""), out: &out, err: &complaint, getenv: func(string) string { return "" }})
	if code != exitOK && code != exitFailed && code != exitNothing {
		t.Fatalf("%q: exit code %d\n%s", args, code, complaint.String())
	}
	return out.String()
}

// sameEvents are events in a form in which those of a run and of its archive are the same: paths are those in the run, and
// places that an archive's file is parted from its member at are put together.
func sameEvents(t *testing.T, events, root string, m *manifest.Manifest) []string {
	t.Helper()
	var to []string
	if m != nil {
		files := slices.Clone(m.Files)
		slices.SortFunc(files, func(a, b manifest.File) int { return len(b.Path) - len(a.Path) })
		for _, f := range files {
			to = append(to, f.Path, f.Source)
		}
		for _, f := range files {
			if dir := path.Dir(f.Source); dir != "." {
				to = append(to, path.Dir(f.Path), dir)
			}
		}
	}
	source := strings.NewReplacer(to...)
	var all []string
	var tidy func(x any) any
	tidy = func(x any) any {
		switch x := x.(type) {
		case map[string]any:
			if member, ok := x["member"].(string); ok {
				x["file"] = x["file"].(string) + "/" + member
				delete(x, "member")
			}
			for k := range x {
				x[k] = tidy(x[k])
			}
		case []any:
			for i := range x {
				x[i] = tidy(x[i])
			}
		case string:
			return strings.ReplaceAll(source.Replace(x), root+"/", "")
		}
		return x
	}
	for line := range strings.Lines(events) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if event["kind"] == "ledger" && m != nil && !isDirectory(root) {
			inputs := event["inputs"].(map[string]any)
			inputs["read"] = inputs["read"].(float64) - 1 // the archive itself
		}
		text, err := json.Marshal(tidy(event))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	slices.Sort(all)
	return all
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Reading the archive of a run is reading the run: the same results, skipped inputs, diagnostics and counts. Each of its files is in the archive
// once, or said to be left out.
func TestCollectedRunsAreTheRuns(t *testing.T) {
	const runs = "../../testdata/runs"
	entries, err := os.ReadDir(runs)
	if err != nil || len(entries) < 15 {
		t.Fatalf("%d runs, %v", len(entries), err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		name, dir := e.Name(), filepath.Join(runs, e.Name())
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), name)
			if err := os.CopyFS(root, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			want := sameEvents(t, printed(t, "parse", "--json", root), root, nil)
			for _, ending := range []string{".d", ".tar", ".tar.gz", ".tar.zst"} {
				archive := filepath.Join(t.TempDir(), "a"+ending)
				m := manifestOf(t, printed(t, "collect", "--json", root, "--archive", archive))
				got := sameEvents(t, printed(t, "parse", "--json", archive), archive, m)
				if !slices.Equal(got, want) {
					t.Errorf("%s:\n got %s\nwant %s", ending, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
				}
				wantEachOnce(t, root, m)
			}
		})
	}
}

// manifestOf is what the events of a collection say of its manifest.
func manifestOf(t *testing.T, events string) *manifest.Manifest {
	t.Helper()
	m := &manifest.Manifest{}
	for line := range strings.Lines(events) {
		var event struct {
			Kind string `json:"kind"`
			manifest.File
			Reason string `json:"reason"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch event.Kind {
		case "collected":
			m.Files = append(m.Files, event.File)
		case "left":
			m.Left = append(m.Left, manifest.Left{Source: event.Source, Reason: event.Reason})
		}
	}
	return m
}

// wantEachOnce wants each file of a run to be collected or left out, once.
func wantEachOnce(t *testing.T, root string, m *manifest.Manifest) {
	t.Helper()
	var want, got []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(root, path)
			want = append(want, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Files {
		got = append(got, f.Source)
	}
	for _, l := range m.Left {
		got = append(got, l.Source)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("collected and left out: %q, want %q", got, want)
	}
}
