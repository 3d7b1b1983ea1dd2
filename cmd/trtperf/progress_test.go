package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProgress(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.log"), make([]byte, 3<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	for terminal, want := range map[bool][]string{true: {"1.0 MiB of 3.0 MiB, 7 files, 2 results", "33%"}, false: {"reading  1.0 MiB read, 7 files, 2 results\n"}} {
		var out bytes.Buffer
		p := newProgress(context.Background(), &out, terminal, []string{dir})
		for terminal && p.total.Load() == 0 {
			continue // the sizes are added up elsewhere
		}
		p.bytes.Store(1 << 20)
		p.files.Store(7)
		p.found.Store(2)
		p.show(terminal)
		p.stop()
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("terminal %v: %q is not in %q", terminal, w, out.String())
			}
		}
		if terminal && !strings.HasSuffix(out.String(), "\r") {
			t.Errorf("the bar is not taken off: %q", out.String())
		}
	}
	if isTerminal(&bytes.Buffer{}) {
		t.Error("a buffer is a terminal")
	}
}
