package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every code that an event can have is explained in docs/json.md.
func TestCodesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	constant := regexp.MustCompile(`(?m)^(?:const)?\s*\w+\s+(?:Code\s+)?= "([a-z]+(?:-[a-z]+)+|unreadable|changed|truncated|ambiguous|output|target)"`)
	literal := regexp.MustCompile(`Code: "([a-z-]+)"`)
	n := 0
	for _, pattern := range []string{"../../parse/*.go", "../../parse/*/*.go", "../../export/*.go", "*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "role.go") || strings.HasSuffix(file, "testid.go") ||
				strings.HasSuffix(file, "export.go") && !strings.Contains(file, "export/export.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range append(constant.FindAllStringSubmatch(string(text), -1), literal.FindAllStringSubmatch(string(text), -1)...) {
				if m[1] == "metric-rows" || m[1] == "trtperf-index" || m[1] == "no-test-id" || m[1] == "trtperf-collection" {
					continue
				}
				n++
				if !strings.Contains(string(doc), "| `"+m[1]+"` |") {
					t.Errorf("%s: docs/json.md does not explain %q", file, m[1])
				}
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d codes found", n)
	}
}

// A flag means the same on every command, and has a description.
func TestFlagsMeanTheSame(t *testing.T) {
	usage := map[string]string{}
	root := rootCommand(&settings{}, stdio{getenv: func(string) string { return "" }})
	for _, c := range root.Commands() {
		if c.Short == "" {
			t.Errorf("%s has no description", c.Name())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			switch before, seen := usage[f.Name]; {
			case f.Usage == "":
				t.Errorf("%s --%s has no description", c.Name(), f.Name)
			case seen && before != f.Usage:
				t.Errorf("--%s: %q and %q", f.Name, before, f.Usage)
			}
			usage[f.Name] = f.Usage
		})
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range root.Commands() {
		if !strings.Contains(string(readme), "trtperf "+c.Name()) && !builtIn(c) {
			t.Errorf("README.md does not name %s", c.Name())
		}
	}
}

func builtIn(c *cobra.Command) bool {
	return c.Hidden || c.Name() == "version" || c.Name() == "completion" || c.Name() == "help" || c.Name() == "man"
}
