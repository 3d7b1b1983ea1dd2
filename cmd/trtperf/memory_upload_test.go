package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// mostUploadMemory is what upload may take, however many Results it has, in KiB.
const mostUploadMemory = 128 << 10

// sweeps writes logs of a hundred blocks each, n in all and no two alike.
func sweeps(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for first := 0; first < n; first += 100 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%07d.log", first)))
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriter(f)
		for i := first; i < first+100; i++ {
			writeBlock(w, i)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Upload keeps no Result longer than its transaction takes.
func TestUploadMemory(t *testing.T) {
	n := 1_000_000
	if !soak() {
		n /= 50
	}
	dir, logs := t.TempDir(), sweeps(t, n)
	program, peak := filepath.Join(dir, "trtperf"), filepath.Join(dir, "peak")
	for path, source := range map[string]string{program: ".", peak: "../../testdata/bench/peak"} {
		goBuild(t, source, path)
	}
	command := exec.Command(peak, "kib", program, "upload", "-q", "--db", "x.db", "--to", "sqlite:target.db", logs)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "kib"))
	if err != nil {
		t.Fatal(err)
	}
	used, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, filepath.Join(dir, "target.db"), "SELECT count(*) FROM results"); got != strconv.Itoa(n) {
		t.Errorf("%s results arrived, want %d", got, n)
	}
	t.Logf("%d results: %d KiB", n, used)
	if used > mostUploadMemory {
		t.Errorf("%d KiB", used)
	}
}
