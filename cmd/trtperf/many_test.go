package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtperf/trtperf/launch/set"
	"github.com/trtperf/trtperf/testdata/services"
)

// TestManyJobs: a list of many tiny tests, all of them Slurm jobs at once. Each is in the ledger and in the JUnit file once, with a job of its own, and
// squeue and sacct are not called for each of them again and again: the calls are counted by programs that stand before the real ones.
func TestManyJobs(t *testing.T) {
	many := 40
	if os.Getenv("TRTPERF_SOAK") != "" {
		many = 300
	}
	cluster := services.Slurm(t)
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("tree/tests/integration/defs/perf/test_tiny.py", fmt.Sprintf("import pytest\n\n@pytest.mark.parametrize(\"n\", [f\"n{i}\" for i in range(%d)])\ndef test_tiny(n):\n    assert n != \"n7\"\n", many), 0o644)
	var list strings.Builder
	for i := range many {
		fmt.Fprintf(&list, "perf/test_tiny.py::test_tiny[n%d]\n", i)
	}
	write("list.txt", list.String(), 0o644)
	for _, program := range []string{"squeue", "sacct", "sbatch"} {
		real, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		write("bin/"+program, fmt.Sprintf("#!/bin/sh\necho x >>'%s/%s.calls'\nexec '%s' \"$@\"\n", dir, program, real), 0o755)
	}
	calls := func(program string) int {
		text, err := os.ReadFile(filepath.Join(dir, program+".calls"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "x\n")
	}
	venv, err := exec.Command("../../testdata/pytest/venv.sh").Output()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "trtperf")
	goBuild(t, ".", program)
	command := exec.Command(program, "launch", "--on", "slurm", "--partition", "batch", "--nodes", "1", "--gpu-request", "none", "--tree", "tree", "--no-collect", "--poll", "2s",
		"--jobs", fmt.Sprint(many), "--workspace", "set", "--sbatch-arg=--oversubscribe", "list.txt")
	command.Dir = dir
	command.Env = append(os.Environ(), "SLURM_CONF="+cluster.Conf(), "PATH="+filepath.Join(dir, "bin")+":"+strings.TrimSpace(string(venv))+":"+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	if command.ProcessState.ExitCode() != exitFailed {
		t.Fatalf("%v\n%s", err, out)
	}
	tests, err := set.Read(filepath.Join(dir, "set"))
	if err != nil {
		t.Fatal(err)
	}
	jobs := map[string]bool{}
	for _, x := range tests {
		want := set.Passed
		if x.NodeID == "perf/test_tiny.py::test_tiny[n7]" {
			want = set.Failed
		}
		if x.State != want || x.Job == "" || jobs[x.Job] || x.Exit == nil || (*x.Exit == 0) != (want == set.Passed) || x.JobState == "" {
			text, _ := json.Marshal(x)
			t.Errorf("want %s: %s", want, text)
		}
		jobs[x.Job] = true
	}
	if len(tests) != many {
		t.Errorf("%d tests in the ledger, want %d", len(tests), many)
	}
	junit, err := os.ReadFile(filepath.Join(dir, "set", set.JUnitFile))
	if err != nil || !strings.Contains(string(junit), fmt.Sprintf(`tests="%d" failures="1" errors="0" skipped="0"`, many)) {
		t.Errorf("%v\n%s", err, junit)
	}
	first, last := tests[0].Began, tests[0].Ended
	for _, x := range tests {
		if x.Began.Before(first) {
			first = x.Began
		}
		if x.Ended.After(last) {
			last = x.Ended
		}
	}
	t.Logf("%d jobs in %s: %d calls of sbatch, %d of squeue, %d of sacct", many, last.Sub(first), calls("sbatch"), calls("squeue"), calls("sacct"))
	if n := calls("sbatch"); n != many {
		t.Errorf("%d calls of sbatch for %d jobs", n, many)
	}
	// One call a look for all, a look at most every tenth of --poll, and one for each job's end where accounting is late.
	limit := int(last.Sub(first)/(200*time.Millisecond)) + many
	for _, program := range []string{"squeue", "sacct"} {
		if n := calls(program); n > limit {
			t.Errorf("%d calls of %s for %d jobs, want at most %d", n, program, many, limit)
		}
	}
}
