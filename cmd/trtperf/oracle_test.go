package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse"
)

// notStreamed is the TTFT of a client that does not stream. Its TPOT and ITL mean nothing either.
const notStreamed = -1000

// plain are the values that TensorRT-LLM's expressions read as trtperf does. They cut others off where they are not.
var plain = regexp.MustCompile(`^-?\d+(?:\.\d+)?$`)

// Wherever a log holds one block, trtperf's 16 metrics and the further ones of TensorRT-LLM's harness are those that its own rule gives.
// The differences are those of docs/reading.md, "Where trtperf differs".
func TestAgainstUpstream(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatal("the oracle needs python3 (Debian: apt-get install python3)")
	}
	command := func(name string, args ...string) []byte {
		cmd := exec.Command(name, args...)
		cmd.Dir = "../.."
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(name, args, err)
		}
		return out
	}
	command("python3", "testdata/oracle/oracle.py", "--test")
	generated := filepath.Join(t.TempDir(), "logs")
	command("go", "run", "./testdata/gen", "logs", "-n", "10000", "-seed", "1", "-dir", generated)
	for name, dir := range map[string]string{"generated": generated, "corpus": corpus(t)} {
		t.Run(name, func(t *testing.T) {
			dir, err := filepath.Abs(dir)
			if err != nil {
				t.Fatal(err)
			}
			logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
			if err != nil || len(logs) == 0 {
				t.Fatal("no logs")
			}
			list := filepath.Join(t.TempDir(), "list")
			if err := os.WriteFile(list, []byte(strings.Join(logs, "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
			ours := resultsOf(t, dir)
			compared, values := 0, 0
			answers := json.NewDecoder(bytes.NewReader(command("python3", "testdata/oracle/oracle.py", "--list", list)))
			for answers.More() {
				var theirs struct {
					File    string
					Metrics map[string]float64
					Raises  string
				}
				if err := answers.Decode(&theirs); err != nil {
					t.Fatal(err)
				}
				if len(ours[theirs.File]) != 1 {
					continue // no block, or several
				}
				compared++
				values += compareUpstream(t, theirs.File, theirs.Metrics, theirs.Raises, ours[theirs.File][0])
			}
			t.Logf("%d logs and %d values compared", compared, values)
			if compared < len(logs)/3 || values < 5*compared {
				t.Error("hardly anything was compared")
			}
		})
	}
}

// resultsOf reads a directory and returns the Results by file.
func resultsOf(t *testing.T, dir string) map[string][]*parse.Result {
	t.Helper()
	var out bytes.Buffer
	run(context.Background(), []string{"parse", "--json", "-q", dir}, stdio{nil, &out, io.Discard, func(string) string { return "" }})
	all := map[string][]*parse.Result{}
	for events := json.NewDecoder(&out); events.More(); {
		var e struct {
			Kind string `json:"kind"`
			parse.Result
		}
		if err := events.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == "result" {
			all[e.Source.File] = append(all[e.Source.File], &e.Result)
		}
	}
	return all
}

// compareUpstream compares one log's metrics and returns how many values agree.
func compareUpstream(t *testing.T, file string, theirs map[string]float64, raises string, ours *parse.Result) int {
	t.Helper()
	printed := map[string]string{} // by metric, the first row's text
	label := map[string]string{}
	cut := map[string]bool{}
	oddities := 0
	for _, row := range ours.Rows {
		if _, ok := printed[row.Metric]; !ok {
			printed[row.Metric], label[row.Metric], cut[row.Metric] = row.Text, row.Label, row.Cut
		}
		if !plain.MatchString(row.Text) || row.Cut {
			oddities++
		}
	}
	agree := 0
	for name, want := range theirs {
		got, ok := ours.Metrics.Lookup(name)
		switch {
		case ok && got.Value == want:
			agree++
		case printed[name] != "" && !plain.MatchString(printed[name]):
			// A value that their expression cuts off.
		case cut[name], !ok && strings.Contains(name, "device_step") && endsOpen(t, file):
			// The log ends in the value.
		case theirs["mean_ttft"] == notStreamed && !strings.HasSuffix(name, "throughput") && !strings.HasSuffix(name, "e2el"), want == 0:
			// "Not measured", which is no metric for us.
		default:
			t.Errorf("%s: %s is %v for them, %v for us (printed %q)", file, name, want, got.Value, printed[name])
		}
	}
	if raises != "" {
		if oddities == 0 {
			t.Errorf("%s: they end on %s, and we saw nothing odd", file, raises)
		}
		return agree
	}
	table := parse.Metrics()
	for name, v := range ours.Metrics.All() {
		m := table.ByName(name)
		if _, ok := theirs[name]; ok || m.Required == parse.NotRequired && name != "al" {
			continue
		}
		// Other spellings of a label, and a sign or a form that they do not take.
		if label[name] == m.Labels[0] && plain.MatchString(v.Text) && m.Place == parse.InBlock {
			t.Errorf("%s: %s is %s for us and missing for them", file, name, v.Text)
		}
	}
	return agree
}

// endsOpen reports whether a file's last line has no end.
func endsOpen(t *testing.T, file string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return !bytes.HasSuffix(text, []byte{'\n'})
}
