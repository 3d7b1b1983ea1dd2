package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/testdata/services"
)

// TestDist builds the archives twice: the same bytes, static programs for both architectures, a page for every command.
func TestDist(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for two architectures")
	}
	build := func() string {
		dir := t.TempDir()
		if out, err := exec.Command("./dist.sh", dir, "1.2.3").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
		check.Dir = dir
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		if strings.Count(string(sums), "\n") != 2 {
			t.Errorf("sums:\n%s", sums)
		}
		return dir
	}
	first, second := build(), build()
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		name := "trtperf-1.2.3-linux-" + arch
		text, err := os.ReadFile(filepath.Join(first, name+".tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := os.ReadFile(filepath.Join(second, name+".tar.gz")); err != nil || !bytes.Equal(text, again) {
			t.Errorf("%s differs from one build to the next (%v)", name, err)
		}
		members := map[string][]byte{}
		unzipped, err := gzip.NewReader(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for archive := tar.NewReader(unzipped); ; {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if members[strings.TrimPrefix(h.Name, name+"/")], err = io.ReadAll(archive); err != nil {
				t.Fatal(err)
			}
		}
		other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[arch]
		for _, want := range []string{"trtperf-linux-" + other, "README.md", "LICENSE", "docs/json.md", "jenkins/Perf_Test.groovy", "jenkins/vars/trtperfProcess.groovy",
			"completion/trtperf.bash", "completion/trtperf.zsh", "completion/trtperf.fish"} {
			if members[want] == nil {
				t.Errorf("%s holds no %s", name, want)
			}
		}
		for _, c := range rootCommand(&settings{}, stdio{getenv: os.Getenv}).Commands() {
			if page := path.Join("man", "trtperf-"+c.Name()+".1"); !c.Hidden && members[page] == nil {
				t.Errorf("%s holds no %s", name, page)
			}
		}
		program, err := elf.NewFile(bytes.NewReader(members["trtperf"]))
		if err != nil {
			t.Fatal(err)
		}
		if program.Machine != machine {
			t.Errorf("%s is for %s", name, program.Machine)
		}
		for _, p := range program.Progs {
			if p.Type == elf.PT_INTERP {
				t.Errorf("%s is not static", name)
			}
		}
	}
}

// goBuild builds a program from the source in a directory, static as the one that is given out, into a file. Of the environment more can be said.
func goBuild(t testing.TB, source, file string, environment ...string) {
	t.Helper()
	build := exec.Command("go", "build", "-o", file, source)
	build.Env = append(append(os.Environ(), "CGO_ENABLED=0"), environment...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestArm64 runs the program for arm64, whose search for landmarks is another than that for amd64: it says of the corpus what that one says, to the byte.
func TestArm64(t *testing.T) {
	logs := corpus(t)
	services.Arm64(t)
	var said [2][]byte
	for i, arch := range []string{"amd64", "arm64"} {
		file := filepath.Join(t.TempDir(), "trtperf")
		goBuild(t, ".", file, "GOARCH="+arch)
		command := exec.Command(file, "parse", "--json", logs)
		said[i], _ = command.Output()
		// Some of the corpus' runs failed.
		if code := command.ProcessState.ExitCode(); code != exitFailed {
			t.Errorf("%s: exit code %d", arch, code)
		}
	}
	if !bytes.Equal(said[0], said[1]) {
		t.Error("what they read differs")
	}
}

// TestCompletion asks a real bash what it would complete.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	goBuild(t, ".", filepath.Join(dir, "trtperf"))
	const ask = `
PATH=$1:$PATH
. <(trtperf completion bash)
COMP_WORDS=(trtperf pro) COMP_CWORD=1 COMP_LINE='trtperf pro' COMP_POINT=11
_get_comp_words_by_ref() { cur=pro prev=trtperf words=(trtperf pro) cword=1; }
__start_trtperf
printf '%s\n' "${COMPREPLY[@]}"`
	// What bash says of compopt outside of a completion goes to standard error.
	out, err := exec.Command("bash", "-c", ask, "bash", dir).Output()
	if err != nil || strings.TrimSpace(string(out)) != "process" {
		t.Errorf("bash completes %q, %v", out, err)
	}
}
