package testlist_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/trtperf/trtperf/launch/keyword"
	"github.com/trtperf/trtperf/launch/testlist"
	"github.com/trtperf/trtperf/parse"
)

// tree stands for a checkout: the number of nodes that each server of a configuration takes.
//
//	<config> <server>=<nodes>…
type tree map[string]map[string]int

func (tree) NodeID(config string, mode parse.Mode) (string, error) {
	prefix := "aggr_upload"
	if mode == parse.Disagg {
		prefix = "disagg_upload"
	}
	return "perf/test_perf_sanity.py::test_e2e[" + prefix + "-" + config + "]", nil
}

func (t tree) Mode(node string, said parse.Mode) (parse.Mode, string, error) {
	id, err := parse.ParseTestID(node)
	if err != nil {
		return "", "", err
	}
	if mode := id.Mode(); mode != "" {
		return mode, "the id's prefix", nil
	}
	if !id.Aggregated() {
		if id.Suite == parse.PerfSanity && said == "" {
			return "", "", fmt.Errorf("nothing tells the mode of %s", node)
		}
		return "", "", nil
	}
	servers := t[id.Config]
	if servers == nil {
		if said != "" {
			return said, "the list", nil
		}
		return "", "", fmt.Errorf("no configuration %s.yaml", id.Config)
	}
	nodes := 0
	for name, n := range servers {
		if len(id.Servers) == 0 || id.Servers[0] == name {
			nodes = max(nodes, n)
		}
	}
	if nodes > 1 {
		return parse.MultiAgg, fmt.Sprintf("%d nodes in %s.yaml", nodes, id.Config), nil
	}
	return parse.SingleAgg, fmt.Sprintf("1 node in %s.yaml", id.Config), nil
}

// describe is a selection as text, in a form that shows everything.
func describe(s *testlist.Selection) string {
	var b strings.Builder
	for _, t := range s.Tests {
		fmt.Fprintf(&b, "run %s %s\n    %s by %s", t.Place, t.NodeID, t.Mode, t.ModeBy)
		if t.Timeout > 0 {
			fmt.Fprintf(&b, ", timeout %s", t.Timeout)
		}
		if t.XFail != nil {
			fmt.Fprintf(&b, ", xfail %q", t.XFail.Text)
		}
		if t.Unstable != nil {
			fmt.Fprintf(&b, ", unstable %q", t.Unstable.Text)
		}
		if t.Isolated {
			b.WriteString(", isolated")
		}
		if t.Label != "" {
			fmt.Fprintf(&b, ", label %q", t.Label)
		}
		b.WriteByte('\n')
	}
	for _, l := range s.Left {
		fmt.Fprintf(&b, "left %s %s\n    %s: %s\n", l.Place, l.Text, l.Cause, l.Reason)
	}
	for _, r := range s.Remarks {
		fmt.Fprintf(&b, "remark %s\n", r)
	}
	for _, f := range s.Faults {
		fmt.Fprintf(&b, "fault %s\n", f)
	}
	return b.String()
}

// options reads the file "options" of a case.
func options(t *testing.T, text []byte) testlist.Options {
	o := testlist.Options{Module: "perf/test_perf_sanity.py", Function: "test_e2e", Facts: map[string]string{}}
	for line := range strings.Lines(string(text)) {
		word, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "--mode":
			o.Mode = parse.Mode(value)
		case "--match":
			key, fact, _ := strings.Cut(value, "=")
			o.Facts[key] = fact
			if err := testlist.CheckFact(key, fact); err != nil {
				t.Fatal(err)
			}
		case "--any-condition":
			o.AnyCondition = true
		case "--test-prefix":
			o.TestPrefix = value
		case "-k":
			e, err := keyword.Parse(value)
			if err != nil {
				t.Fatal(err)
			}
			o.Keyword = e
		case "PERF_TEST_PREFIX":
			o.Prefix = value
		case "PERF_TEST_MODULE":
			o.Module = value
		case "PERF_TEST_FUNCTION":
			o.Function = value
		default:
			t.Fatalf("unknown option %q", line)
		}
	}
	return o
}

// TestSelect compares what lists mean with testdata/*.txtar: the list, its options, what it means. TRTPERF_UPDATE=1 writes them anew.
func TestSelect(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var o testlist.Options
			configs := tree{}
			var entries, waives []*testlist.Entry
			var remarks []*testlist.Remark
			var faults error
			var want *txtar.File
			for i := range ar.Files {
				switch f := &ar.Files[i]; f.Name {
				case "options":
					o = options(t, f.Data)
				case "configs":
					for line := range strings.Lines(string(f.Data)) {
						words := strings.Fields(line)
						configs[words[0]] = map[string]int{}
						for _, w := range words[1:] {
							var n int
							name, nodes, _ := strings.Cut(w, "=")
							if _, err := fmt.Sscan(nodes, &n); err != nil {
								t.Fatal(err)
							}
							configs[words[0]][name] = n
						}
					}
				case "waives.txt":
					if waives, _, err = testlist.Read(bytes.NewReader(f.Data), f.Name); err != nil {
						t.Fatal(err)
					}
				case "want":
					want = f
				default:
					entries, remarks, faults = testlist.Read(bytes.NewReader(f.Data), f.Name)
				}
			}
			if o.Module == "" {
				o = options(t, nil)
			}
			o.Resolver, o.Waives = configs, waives
			s := testlist.Select(entries, o)
			got := describe(s)
			for _, r := range remarks {
				got += fmt.Sprintf("read remark %s\n", r)
			}
			if faults != nil {
				for line := range strings.Lines(faults.Error()) {
					got += "read fault " + strings.TrimSuffix(line, "\n") + "\n"
				}
			}
			if n := len(s.Tests) + len(s.Left) + len(s.Faults); n != len(entries) {
				t.Errorf("%d entries, and %d dealt with", len(entries), n)
			}
			if os.Getenv("TRTPERF_UPDATE") != "" {
				if want == nil {
					ar.Files = append(ar.Files, txtar.File{Name: "want"})
					want = &ar.Files[len(ar.Files)-1]
				}
				want.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(ar), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want == nil || got != string(want.Data) {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

// TestReadLimits are lists that no archive of cases can hold.
func TestReadLimits(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		entries    int
		err        string
	}{
		"byte order mark": {"l.txt", "\ufeffa.py::t[x]\n", 1, ""},
		"CRLF":            {"l.txt", "a.py::t[x]\r\n\r\na.py::t[y] TIMEOUT (5)\r\n", 2, ""},
		"no last newline": {"l.txt", "a.py::t[x]", 1, ""},
		"long line":       {"l.txt", "a.py::t[" + strings.Repeat("x", 70<<10) + "]\na.py::t[y]\n", 1, "l.txt:1: a line of more than 64 KiB"},
		"not UTF-8":       {"l.txt", "a.py::t[\xff]\na.py::t[y]\n", 1, "l.txt:1: not UTF-8"},
		"empty":           {"l.txt", "", 0, ""},
		"empty YAML":      {"l.yml", "", 0, ""},
		"deep YAML":       {"l.yml", "a: " + strings.Repeat("[", 50), 0, "l.yml:1: nested more than 20 levels"},
		"YAML syntax":     {"l.yml", "a:\n- b: [\n", 0, "l.yml:"},
		"YAML mark":       {"l.yaml", "\ufeffs:\n- tests: ['a.py::t[x]']\r\n", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			entries, _, err := testlist.Read(strings.NewReader(c.text), c.file)
			if len(entries) != c.entries || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%d entries, %v", len(entries), err)
			}
		})
	}
}

// FuzzRead: whatever a list holds, each record stands at a line of it, and each entry is dealt with once.
func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		if ar, err := txtar.ParseFile(file); err == nil {
			for _, f2 := range ar.Files {
				f.Add(string(f2.Data), strings.HasSuffix(f2.Name, ".yml"))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string, yaml bool) {
		name := "l.txt"
		if yaml {
			name = "l.yml"
		}
		r := testlist.NewReader(strings.NewReader(text), name)
		var entries []*testlist.Entry
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
		for r.Scan() {
			if at := r.Record().At(); at.File != name || at.Line < 0 || at.Line > lines {
				t.Fatalf("%v of %d lines", at, lines)
			}
			if e, ok := r.Record().(*testlist.Entry); ok {
				if e.Name == "" || e.Text == "" {
					t.Fatalf("%v: an empty entry", e.Place)
				}
				entries = append(entries, e)
			}
		}
		s := testlist.Select(entries, testlist.Options{Module: "perf/test_perf_sanity.py", Function: "test_e2e", Resolver: tree{}})
		if len(s.Tests)+len(s.Left)+len(s.Faults) != len(entries) {
			t.Fatalf("%d entries: %d tests, %d left, %d faults", len(entries), len(s.Tests), len(s.Left), len(s.Faults))
		}
	})
}
