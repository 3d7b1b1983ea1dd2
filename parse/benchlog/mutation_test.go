package benchlog_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/trtperf/trtperf/parse/benchlog"
)

// seen is all that a scanner says of a log.
func seen(t *testing.T, log []byte) string {
	t.Helper()
	s := benchlog.NewScanner(bytes.NewReader(log), nil)
	text := ""
	for s.Scan() {
		b := s.Block()
		text += fmt.Sprintln(b.Number, b.Line, b.EndLine, b.End, b.Banner, b.Rows, b.Trailer, b.Details)
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return text + fmt.Sprintln(s.Notes(), s.Summary().Skip)
}

// One changed byte in a value, a label or a rule is never swallowed: something that is read differs, or a note tells of it. TRTPERF_SOAK=1
// tries every byte.
func TestMutation(t *testing.T) {
	step := 5
	if os.Getenv("TRTPERF_SOAK") == "1" {
		step = 1
	}
	dir := corpus(t)
	for _, name := range []string{"001-trtllmserve-doc-llama70b-conc1.log", "004-trtllmbench-v0.21-streaming-full.log", "075-sglang-h200-fp8-4-blocks.log"} {
		log, err := os.ReadFile(filepath.Join(dir, "logs", name))
		if err != nil {
			t.Fatal(err)
		}
		whole := seen(t, log)
		tried := 0
		for _, at := range matters(t, log) {
			if tried++; tried%step != 0 {
				continue
			}
			for _, c := range []byte("7x=") {
				if log[at] == c {
					continue
				}
				changed := bytes.Clone(log)
				changed[at] = c
				if seen(t, changed) == whole {
					line := changed[bytes.LastIndexByte(changed[:at], '\n')+1:]
					line, _, _ = bytes.Cut(line, []byte{'\n'})
					t.Fatalf("%s: byte %d, %q to %q, is swallowed: %s", name, at, log[at], c, line)
				}
			}
		}
		if tried < 500 {
			t.Errorf("%s: only %d bytes matter", name, tried)
		}
	}
}

// matters returns the places of the bytes of values, labels and rules: in the lines of rows, those that are no blanks, and in the block's
// header and closing rule.
func matters(t *testing.T, log []byte) []int {
	t.Helper()
	wanted := map[int]bool{} // lines
	s := benchlog.NewScanner(bytes.NewReader(log), nil)
	for s.Scan() {
		b := s.Block()
		wanted[b.Line], wanted[b.EndLine] = true, true
		for _, r := range b.Rows {
			wanted[r.Line] = true
		}
	}
	var places []int
	line := 1
	for i, c := range log {
		if wanted[line] && c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			places = append(places, i)
		}
		if c == '\n' {
			line++
		}
	}
	return places
}
