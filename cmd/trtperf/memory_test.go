package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// mostMemory is what reading may take, however much is read, in KiB.
const mostMemory = 64 << 10

// soak reports whether the whole sizes are wanted, not a twentieth of them.
func soak() bool { return os.Getenv("TRTPERF_SOAK") == "1" }

// Memory does not grow with the input. The inputs come through pipes.
func TestFlatMemory(t *testing.T) {
	dir := t.TempDir()
	program, generator, peak := filepath.Join(dir, "trtperf"), filepath.Join(dir, "gen"), filepath.Join(dir, "peak")
	for path, source := range map[string]string{program: ".", generator: "../../testdata/gen", peak: "../../testdata/bench/peak"} {
		goBuild(t, source, path)
	}
	size := func(mebibytes int) string {
		if !soak() {
			mebibytes /= 20
		}
		return fmt.Sprintf("%dMiB", mebibytes)
	}
	tree := filepath.Join(dir, "tree")
	files := 1_000_000
	if !soak() {
		files /= 20
	}
	if out, err := exec.Command(generator, "tree", "-files", "-n", fmt.Sprint(files), "-dir", tree).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer os.RemoveAll(tree)
	log := filepath.Join(dir, "big.log")
	if out, err := exec.Command("sh", "-c", `"$0" log -size "$1" >"$2"`, generator, size(512), log).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, c := range map[string]struct {
		generate []string // what is piped into the command; nothing for a tree
		path     string   // by which it is given
		process  bool     // and not only parsed
	}{
		"10 GB log":                 {[]string{"log", "-size", size(10 << 10)}, "-", false},
		"10 GB without a line end":  {[]string{"line", "-size", size(10 << 10)}, "-", false},
		"1 GB results.xml":          {[]string{"xml", "-size", size(1 << 10)}, "results.xml", false},
		"900 MB system-out":         {[]string{"xml", "-one", "-size", size(1000)}, "results.xml", false},
		"450 MB CSV":                {[]string{"csv", "-size", size(450)}, "-", false},
		"450 MB CSV, small rows":    {[]string{"csv", "-rows", "-size", size(450)}, "-", false},
		"450 MB CSV, to SQLite":     {[]string{"csv", "-size", size(450)}, "-", true},
		"1,000,000 files":           {nil, tree, false},
		"a log of 512 MB in a file": {nil, log, false},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"peak", program, "parse", "-q", c.path}
			if c.process {
				args = []string{"peak", program, "process", "-q", "-o", "out", c.path}
			}
			command := exec.Command(peak, args...)
			command.Dir = t.TempDir()
			if c.generate != nil {
				source := exec.Command(generator, c.generate...)
				pipe, err := source.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if c.path == "-" {
					command.Stdin = pipe
				} else {
					fifo := filepath.Join(command.Dir, c.path)
					if err := syscall.Mkfifo(fifo, 0o600); err != nil {
						t.Fatal(err)
					}
					source = exec.Command("sh", "-c", `exec "$0" "$@" >`+c.path, generator)
					source.Args, source.Dir = append(source.Args, c.generate...), command.Dir
				}
				if err := source.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := source.Wait(); err != nil {
						t.Error(err)
					}
				}()
			}
			command.Stderr = os.Stderr
			err := command.Run()
			if code := command.ProcessState.ExitCode(); code != 0 && (c.generate == nil || c.generate[0] != "line" || code != exitNothing) {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(command.Dir, "peak"))
			if err != nil {
				t.Fatal(err)
			}
			used, err := strconv.Atoi(string(text))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d KiB", used)
			if used > mostMemory {
				t.Errorf("%d KiB", used)
			}
		})
	}
}
