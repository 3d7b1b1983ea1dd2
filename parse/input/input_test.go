package input_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

func TestFind(t *testing.T) {
	dir := t.TempDir()
	b := write(t, filepath.Join(dir, "b.log"), "b")
	a := write(t, filepath.Join(dir, "a", "x.log"), "a")
	outside := write(t, filepath.Join(t.TempDir(), "c.log"), "c")
	link := filepath.Join(dir, "loop")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	files, problems := input.Find(context.Background(), []string{b, dir, outside, dir, input.Stdin, filepath.Join(dir, "absent")})
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	want := []string{b, a, link, outside, input.Stdin}
	if !slices.Equal(paths, want) {
		t.Errorf("got %v, want %v", paths, want)
	}
	if !files[0].Given() || files[1].Given() {
		t.Error("a given file and a found one are confused")
	}
	if len(problems) != 1 || !strings.HasSuffix(problems[0].Path, "absent") {
		t.Errorf("problems %v", problems)
	}
	// A link that is given itself is looked behind.
	files, problems = input.Find(context.Background(), []string{link})
	if len(files) != 3 || len(problems) != 0 {
		t.Errorf("behind a link: %v %v", files, problems)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "x.log"), "text")
	s, err := input.Open(input.File{Path: path, Root: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if text, _ := io.ReadAll(s); string(text) != "text" || s.Changed() {
		t.Errorf("read %q, changed %v", text, s.Changed())
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
		if _, err := input.Open(input.File{Path: path, Root: "x"}, nil); !errors.Is(err, input.ErrNotRegular) {
			t.Errorf("%s: %v", path, err)
		}
	}
	in, err := input.Open(input.File{Path: input.Stdin, Root: input.Stdin}, strings.NewReader("piped"))
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
		"\x1f\x8b\x08\x00":                     "gzip archive",
		"\x7fELF\x02":                          "program",
		"\x00\x01\x02\x03abc":                  "binary data",
		strings.Repeat("\x00", 257) + "ustar\x0000": "tar archive",
	} {
		if got := input.Sniff([]byte(head)); got != want {
			t.Errorf("%.20q: %q, want %q", head, got, want)
		}
	}
}
