package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/launch/treetest"
	"github.com/trtperf/trtperf/testdata/services"
)

// block is a fenced block of shell in a page.
type block struct {
	line int
	text string
	// exit is the exit code that it must have, from "exit=N" behind the fence's "sh".
	exit string
}

var (
	fixtureLine = regexp.MustCompile(`(?m)^<!-- fixtures: (.*) -->$`)
	fence       = regexp.MustCompile("^```sh(?: (.*))?$")
)

// blocks returns a page's blocks of shell. "notrun" behind the fence's "sh" is for what cannot run in a test; the reason must follow.
func blocks(t *testing.T, page string) []block {
	var all []block
	var open *block
	for i, line := range strings.Split(page, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case open != nil && line == "```":
			if open.exit != "notrun" {
				all = append(all, *open)
			}
			open = nil
		case open != nil:
			open.text += line + "\n"
		case m != nil:
			open = &block{line: i + 1, exit: "0"}
			if code, ok := strings.CutPrefix(m[1], "exit="); ok {
				open.exit = code
			} else if reason, ok := strings.CutPrefix(m[1], "notrun "); ok && reason != "" {
				open.exit = "notrun"
			} else if m[1] != "" {
				t.Errorf("line %d: unknown word %q behind the fence", i+1, m[1])
			}
		}
	}
	return all
}

// TestPages runs every command of the documentation, page by page, in a directory that holds what the page's "fixtures" line names:
// <place below testdata>=<name in the directory>, several with blanks between them. Example hosts are replaced by real servers. A page with
// a line "needs: pytest" has one on its PATH.
func TestPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	dir := t.TempDir()
	goBuild(t, ".", filepath.Join(dir, "trtperf"))
	for _, path := range pages {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		todo := blocks(t, string(text))
		if len(todo) == 0 {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".md"), func(t *testing.T) {
			work := t.TempDir()
			if m := fixtureLine.FindStringSubmatch(string(text)); m != nil {
				for fixture := range strings.FieldsSeq(m[1]) {
					from, to, _ := strings.Cut(fixture, "=")
					to = filepath.Join(work, filepath.FromSlash(to))
					if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
						t.Fatal(err)
					}
					if out, err := exec.Command("cp", "-r", filepath.Join("../../testdata", from), to).CombinedOutput(); err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
				}
			}
			for _, b := range todo {
				script := b.text
				if strings.Contains(script, "opensearch.example") {
					script = strings.ReplaceAll(script, "opensearch+https://opensearch.example:9200/perf",
						strings.Replace(services.OpenSearch(t), "http://", "opensearch+http://", 1)+"/page-"+fmt.Sprintf("%x", os.Getpid()))
				}
				programs := dir
				if strings.Contains(script, "trtperf launch") {
					programs += string(os.PathListSeparator) + treetest.Python(t)
				}
				command := exec.Command("bash", "-euo", "pipefail", "-c", script)
				command.Dir = work
				command.Env = append(os.Environ(), "PATH="+programs+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+work)
				out, err := command.CombinedOutput()
				if code := fmt.Sprint(command.ProcessState.ExitCode()); code != b.exit {
					t.Errorf("%s:%d: exit code %s, want %s (%v)\n%s%s", path, b.line, code, b.exit, err, b.text, out)
				}
			}
		})
	}
}
