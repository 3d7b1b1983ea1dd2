package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user without rights; root would ignore the mode bits that these tests are about.
const nobody = 65534

// place makes a directory that nobody can reach, and write to if open is set.
func place(t *testing.T, open bool) string {
	t.Helper()
	dir := t.TempDir()
	for up := filepath.Dir(dir); strings.HasPrefix(up, os.TempDir()) && up != os.TempDir(); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mode := os.FileMode(0o755)
	if open {
		mode = 0o777
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWithoutRights(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	binary := filepath.Join(place(t, false), "trtperf")
	goBuild(t, ".", binary)
	example, err := os.ReadFile("../../testdata/logs/example.log")
	if err != nil {
		t.Fatal(err)
	}
	logs := place(t, false)
	write := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, example, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(logs, "good.log"), 0o644)
	// run runs the binary as nobody.
	run := func(wantExit int, args ...string) string {
		t.Helper()
		command := exec.Command(binary, args...)
		command.Dir = "/"
		command.Env = []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH")}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		var out bytes.Buffer
		command.Stdout, command.Stderr = &out, &out
		err := command.Run()
		code := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != wantExit {
			t.Errorf("trtperf %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, wantExit, out.String())
		}
		return out.String()
	}
	want := func(out string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(out, p) {
				t.Errorf("no %q in\n%s", p, out)
			}
		}
	}

	t.Run("unreadable inputs", func(t *testing.T) {
		mixed := place(t, false)
		write(filepath.Join(mixed, "good.log"), 0o644)
		write(filepath.Join(mixed, "secret.log"), 0)
		if err := os.Symlink("gone.log", filepath.Join(mixed, "vanished.log")); err != nil {
			t.Fatal(err)
		}
		closed := filepath.Join(mixed, "closed")
		if err := os.Mkdir(closed, 0); err != nil {
			t.Fatal(err)
		}
		out := run(exitUnread, "process", "-o", place(t, true), mixed)
		want(out, "secret.log: open: permission denied", "vanished.log: stat: no such file", closed+": open: permission denied", "results  1 valid",
			"1 read, 0 skipped, 3 failed")
	})
	t.Run("read-only output", func(t *testing.T) {
		readOnly, db := place(t, false), filepath.Join(place(t, true), "x.db")
		out := run(exitUsage, "process", "-o", readOnly, "--db", db, logs)
		want(out, filepath.Join(readOnly, "perf_script_test_results.csv")+" was not written", "permission denied", "with -o", "stored   1 results in "+db)
		if left, _ := os.ReadDir(readOnly); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		want(run(exitOK, "list", "--db", db), "1 results")
	})
	t.Run("read-only store", func(t *testing.T) {
		dir := place(t, true)
		out := run(exitUsage, "process", "-o", dir, "--db", filepath.Join(place(t, false), "x.db"), logs)
		want(out, "x.db", "--db", "make its folder writable")
		if n := csvRows(t, filepath.Join(dir, "perf_script_test_results.csv")); n != 1 {
			t.Errorf("%d rows in the CSV", n)
		}
	})
	t.Run("somebody else's store", func(t *testing.T) {
		db := filepath.Join(place(t, false), "x.db")
		trtperf(t, exitOK, "process", "-o", t.TempDir(), "--db", db, logs)
		if err := os.Chmod(db, 0o644); err != nil {
			t.Fatal(err)
		}
		want(run(exitOK, "list", "--db", db), "1 results")
		want(run(exitOK, "export", "-o", place(t, true), "--from", db), "(1 results)")
	})
	t.Run("full disk", func(t *testing.T) {
		full := place(t, true)
		if err := syscall.Mount("tmpfs", full, "tmpfs", 0, "size=8k,mode=777"); err != nil {
			t.Skipf("no file system can be mounted here: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(full, 0) })
		if err := os.WriteFile(filepath.Join(full, "filler"), bytes.Repeat([]byte("x"), 4096), 0o644); err != nil {
			t.Fatal(err)
		}
		db := filepath.Join(place(t, true), "x.db")
		out := run(exitUsage, "process", "-o", full, "--db", db, "--layout", "full,metric-rows", logs)
		want(out, "no space left on device", "make room", "stored   1 results")
		left, _ := filepath.Glob(filepath.Join(full, ".trtperf-*"))
		if len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		// The store itself has no room: nothing of the run is stored, and that is said.
		dir := place(t, true)
		want(run(exitUsage, "process", "-o", dir, "--db", filepath.Join(full, "x.db"), logs), "x.db", "is full", "make room")
		if n := csvRows(t, filepath.Join(dir, "perf_script_test_results.csv")); n != 1 {
			t.Errorf("%d rows in the CSV", n)
		}
	})
}
