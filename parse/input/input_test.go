package input_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/trtperf/trtperf/parse/input"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "x.log"), "text")
	var read atomic.Int64
	var opener input.Opener
	s, err := input.Opener{Bytes: &read}.Open(input.File{Path: path, Root: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if text, _ := io.ReadAll(s); string(text) != "text" || s.Changed() {
		t.Errorf("read %q, changed %v", text, s.Changed())
	}
	if read.Load() != 4 {
		t.Errorf("%d bytes counted", read.Load())
	}
	write(t, path, "longer text")
	if !s.Changed() {
		t.Error("a growing file goes unnoticed")
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, dir} {
		if _, err := opener.Open(input.File{Path: path, Root: "x"}); !errors.Is(err, input.ErrNotRegular) {
			t.Errorf("%s: %v", path, err)
		}
	}
	in, err := input.Opener{Stdin: strings.NewReader("piped")}.Open(input.File{Path: input.Stdin, Root: input.Stdin})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(in); string(text) != "piped" || in.Changed() || in.Close() != nil {
		t.Errorf("standard input: %q", text)
	}
}

func TestSniff(t *testing.T) {
	for head, want := range map[string]string{
		"":                                     "",
		"============ Serving":                 "",
		"\x1b[32mgreen\x1b[0m\r\n\x00 one NUL": "",
		"\x7fELF\x02":                          "program",
		"\x00\x01\x02\x03abc":                  "binary data",
	} {
		if got := input.Sniff([]byte(head)); got != want {
			t.Errorf("%.20q: %q, want %q", head, got, want)
		}
	}
}
