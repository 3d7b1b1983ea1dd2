// Package treetest gives tests a checkout to launch from: testdata/tree, with the launch scripts of one era in it, and a Python
// with a real pytest. Only tests import it.
package treetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// testdata is the repository's directory of that name.
func testdata() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "testdata")
}

// Checkout copies testdata/tree into a directory of the test's own and returns its path. Each overlay is a directory of testdata/tree-eras
// whose files are put on top, such as "v1".
func Checkout(t testing.TB, overlays ...string) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "TensorRT-LLM")
	sources := []string{filepath.Join(testdata(), "tree")}
	for _, o := range overlays {
		sources = append(sources, filepath.Join(testdata(), "tree-eras", o))
	}
	for _, source := range sources {
		if out, err := exec.Command("cp", "-RL", source+"/.", tree).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return tree
}

// Python returns the directory that holds python, python3 and pytest of an environment with pytest, pytest-timeout and PyYAML. Where it
// cannot be made the test is skipped, or fails where TRTPERF_REQUIRE_SERVICES=1 demands it.
func Python(t testing.TB) string {
	t.Helper()
	command := exec.Command(filepath.Join(testdata(), "pytest", "venv.sh"))
	var complaint strings.Builder
	command.Stderr = &complaint
	out, err := command.Output()
	switch {
	case err == nil:
		return strings.TrimSpace(string(out))
	case os.Getenv("TRTPERF_REQUIRE_SERVICES") == "1":
		t.Fatalf("venv.sh: %v\n%s", err, complaint.String())
	default:
		t.Skipf("venv.sh: %v\n%s", err, complaint.String())
	}
	return ""
}

// Environ is this process's environment with the given Python first on the PATH, and NAME=VALUE words on top.
func Environ(python string, words ...string) []string {
	return append(os.Environ(), append([]string{"PATH=" + python + string(os.PathListSeparator) + os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1"}, words...)...)
}
