package yamldoc_test

import (
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse/yamldoc"
)

func TestRead(t *testing.T) {
	kind := yamldoc.Kind{Name: "toy", Bytes: 200, Tokens: 30, Nesting: 4, Key: 10}
	for name, c := range map[string]struct {
		text, err string
		body      bool
	}{
		"a document":      {"a: 1\nb: [2]\n", "", true},
		"marks":           {"\ufeff%YAML 1.2\n---\na: 1\r\n", "", true},
		"empty":           {"# nothing\n", "", false},
		"too large":       {strings.Repeat("# 3456789\n", 21), "f.yml: larger than 0 KiB: this is no toy", false},
		"not UTF-8":       {"a: 1\nb: \xff\n", "f.yml:2: not UTF-8", false},
		"too many tokens": {strings.Repeat("- 1\n", 20), "more than 30 YAML tokens: this is no toy", false},
		"deep in a flow":  {"a: [[[[1]]]]\n", "f.yml:1: nested more than 4", false},
		"deep in blocks":  {"a:\n b:\n  c:\n   d:\n    e: 1\n", "f.yml:4: nested more than 4", false},
		"long key":        {"\na_long_long_key: 1\n", "f.yml:2: a key of more than 10", false},
		"syntax":          {"a: 1\nb: [\n", "YAML syntax", false},
		"two documents":   {"a: 1\n---\nb: 1\n", "f.yml:3: a second YAML document: a toy is one", false},
		"key twice":       {"a: 1\na: 2\n", "f.yml:2: YAML syntax", false},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := kind.Read(strings.NewReader(c.text), "f.yml")
			if (body != nil) != c.body || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v, %v", body, err)
			}
		})
	}
	kind.DuplicateKeys = true
	if _, err := kind.Read(strings.NewReader("a: 1\na: 2\n"), "f.yml"); err != nil {
		t.Error(err)
	}
}
