package script_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/launch/script"
)

// words are what users and checkouts have in names and settings.
var words = []string{"", "a b", "it's", `say "x"`, "$HOME", "`id`", "$(id)", `back\slash`, "t.py::test_e2e[disagg-a]", "*", "~", "~root", "#x", "-n", "a=b", "--x=a b", "é", "步骤", "a\nb",
	"a\tb", "{a,b}", "!x", "a;b", "&", "|", "<", "if", "\x01", "\xff"}

// TestQuote has Bash read back what was quoted, in a directory with a file that brackets would fit.
func TestQuote(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "t.py::test_e2ed"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	quoted, err := script.Words(words)
	if err != nil {
		t.Fatal(err)
	}
	if got := printed(t, dir, "printf '%s\\0' "+quoted); got != strings.Join(words, "\x00")+"\x00" {
		t.Errorf("got %q", got)
	}
	for _, w := range words {
		if w == "\x01" || w == "\xff" {
			continue
		}
		if got := printed(t, dir, "x="+script.DoubleQuoted(w)+"; printf '%s' \"$x\""); got != w {
			t.Errorf("%q comes back from double quotes as %q", w, got)
		}
	}
	if _, err := script.Quote("a\x00b"); err == nil {
		t.Error("a zero byte is quoted")
	}
}

// TestForAnyShell has the system's sh, which need not be Bash, read back what was quoted.
func TestForAnyShell(t *testing.T) {
	quoted, err := script.ForAnyShell(words)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", "printf '%s\\0' "+quoted).Output()
	if err != nil || string(out) != strings.Join(words, "\x00")+"\x00" {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := script.ForAnyShell([]string{"a\x00b"}); err == nil {
		t.Error("a zero byte is quoted")
	}
}

func printed(t *testing.T, dir, text string) string {
	t.Helper()
	command := exec.Command("bash", "--norc", "-c", text)
	command.Dir = dir
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return string(out)
}

func FuzzQuote(f *testing.F) {
	for _, w := range words {
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, word string) {
		q, err := script.Quote(word)
		if err != nil {
			return
		}
		if got := printed(t, t.TempDir(), "printf '%s' "+q); got != word {
			t.Errorf("%q comes back as %q", word, got)
		}
	})
}

func TestShown(t *testing.T) {
	got, err := script.Shown([]string{"pytest", "perf/x.py::t[disagg-a]", "--junit-xml=/a b/r.xml"})
	if want := "pytest perf/x.py::t[disagg-a] '--junit-xml=/a b/r.xml'"; err != nil || got != want {
		t.Errorf("got %s, want %s (%v)", got, want, err)
	}
}

func TestCheck(t *testing.T) {
	for text, good := range map[string]bool{
		"#!/bin/bash\na=(1 2)\n":          true,
		"#!/bin/sh\na=(1 2)\n":            false,
		"#!/bin/bash\nexport A=\"b\n":     false,
		"#!/bin/bash\nx=\\$(echo \\$(a))": false, // what a copied escape gives
		"#!/bin/bash\nif true; then\n":    false,
		script.System:                     true,
	} {
		if err := script.Check("x.sh", text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestSystem runs the script with a stand-in for nvidia-smi, since test machines have no GPU, and without.
func TestSystem(t *testing.T) {
	for name, c := range map[string]struct {
		smi  string
		want map[string]any
	}{
		"none": {"", map[string]any{}},
		"GB200": {`case $1 in
--query-gpu=name*) printf 'NVIDIA GB200, 570.1.2\nNVIDIA GB200, 570.1.2\n' ;;
--query-gpu=clocks*) printf '1965, 3996\n1965, 3996\n' ;;
*) printf '| NVIDIA-SMI 570.1.2   Driver Version: 570.1.2   CUDA Version: 12.9  |\n' ;;
esac`, map[string]any{"gpu": "NVIDIA GB200", "gpu_count": 2.0, "driver": "570.1.2", "cuda": "12.9", "sm_clock_mhz": 1965.0, "mem_clock_mhz": 3996.0}},
		"no clocks": {`case $1 in
--query-gpu=name*) printf 'NVIDIA "X"\\, [N/A]\n' ;;
--query-gpu=clocks*) echo 'Field "clocks.applications.graphics" is not a valid field to query.'; exit 2 ;;
*) exit 9 ;;
esac`, map[string]any{"gpu": `NVIDIA "X"\`, "gpu_count": 1.0}},
		"fails": {`echo 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'; exit 9`, map[string]any{}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			bin := filepath.Join(dir, "bin")
			if err := os.Mkdir(bin, 0o777); err != nil {
				t.Fatal(err)
			}
			if c.smi != "" {
				if err := os.WriteFile(filepath.Join(bin, "nvidia-smi"), []byte("#!/bin/sh\n"+c.smi+"\n"), 0o777); err != nil {
					t.Fatal(err)
				}
			}
			command := exec.Command("sh", "-c", script.System, "system.sh", dir, "BENCHMARK@1", "GEN_0@1", "CTX_0@0")
			command.Env = []string{"PATH=" + bin + ":/usr/bin:/bin", "SLURM_NODEID=1"}
			if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
				t.Fatalf("%v: %s", err, out)
			}
			if _, err := os.Stat(filepath.Join(dir, "trtperf-system.CTX_0.json")); err == nil {
				t.Error("a role of another node is described")
			}
			for _, role := range []string{"BENCHMARK", "GEN_0"} {
				text, err := os.ReadFile(filepath.Join(dir, "trtperf-system."+role+".json"))
				if err != nil {
					t.Fatal(err)
				}
				var got map[string]any
				if err := json.Unmarshal(text, &got); err != nil {
					t.Fatalf("%v: %s", err, text)
				}
				if got["host"] == "" || got["os"] == "" {
					t.Errorf("%s", text)
				}
				for _, own := range []string{"host", "os", "cpu"} {
					delete(got, own)
				}
				if !maps.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			}
		})
	}
}
