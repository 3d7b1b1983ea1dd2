package benchlog_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse/benchlog"
	"github.com/trtperf/trtperf/parse/input"
)

// windows is a text of which so many bytes can be looked at at a time.
type windows struct {
	*bytes.Reader
	text []byte
	size int
}

func (w windows) Map(offset int64) []byte {
	rest := w.text[min(offset, int64(len(w.text))):]
	return rest[:min(len(rest), w.size)]
}

// parts is a text that a decoder has in parts of so many bytes. What was given out before is overwritten, as decoders do.
type parts struct {
	*bytes.Reader
	part []byte
}

func inParts(text []byte, size int) *parts { return &parts{bytes.NewReader(text), make([]byte, size)} }

func (p *parts) NextBlock() ([]byte, error) {
	n, err := p.Read(p.part)
	return p.part[:n], err
}

// A log gives the same blocks whether it is read or looked at, wherever a window or a decoder's part ends.
func TestWindows(t *testing.T) {
	dir := corpus(t)
	paths, err := filepath.Glob(filepath.Join(dir, "logs", "*"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := scan(t, bytes.NewReader(text))
		for _, size := range []int{4096, 100_003, 2 << 20} {
			if got := scan(t, windows{bytes.NewReader(text), text, size}); !slices.Equal(got, want) {
				t.Errorf("%s, %d bytes at a time: got\n%s\nwant\n%s", filepath.Base(path), size, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if got := scan(t, inParts(text, size)); !slices.Equal(got, want) {
				t.Errorf("%s, in parts of %d bytes: got\n%s\nwant\n%s", filepath.Base(path), size, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// What srun --label has parted is joined, and a line that is too long is told of, whichever way a log is read.
func TestOddLines(t *testing.T) {
	long := strings.Repeat("x ", 1<<20)
	piece := "0: " + strings.Repeat("y", 1024) + "\n"
	for name, c := range map[string]struct {
		log         string
		line, notes int
	}{
		"long":   {"a\n" + long + "\n" + strings.Join(block("3.24"), "\n") + "\n", 3, 1},
		"parted": {"0: a\n" + piece + piece + "0: z\n" + "0: " + strings.Join(block("3.24"), "\n0: ") + "\n", 5, 0},
		"parted in a block": {"0: " + strings.Join(slices.Insert(block("3.24"), 3, strings.Repeat("y", 1024), strings.Repeat("y", 9)), "\n0: ") + "\n",
			1, 0},
	} {
		for way, r := range map[string]io.Reader{"read": strings.NewReader(c.log), "looked at": windows{bytes.NewReader([]byte(c.log)), []byte(c.log), 5 << 20},
			"in parts": inParts([]byte(c.log), 128<<10), "in small parts": inParts([]byte(c.log), 700)} {
			s := benchlog.NewScanner(r, nil)
			if !s.Scan() || s.Block().Line != c.line || len(s.Block().Rows) != 3 {
				t.Fatalf("%s, %s: got %+v", name, way, s.Block())
			}
			if s.Scan() || s.Err() != nil || len(s.Notes()) != c.notes {
				t.Errorf("%s, %s: another block, %v, or notes %v", name, way, s.Err(), s.Notes())
			}
			if sum := s.Summary(); sum.Bytes != int64(len(c.log)) || sum.Lines != strings.Count(c.log, "\n") {
				t.Errorf("%s, %s: %+v of %d bytes", name, way, sum, len(c.log))
			}
		}
	}
}

// changing is a file of which something happens to the rest as soon as a part of it was mapped.
type changing struct {
	*input.Mapped
	happens func()
}

func (c *changing) Map(offset int64) []byte {
	text := c.Mapped.Map(offset)
	if c.happens != nil {
		c.happens()
		c.happens = nil
	}
	return text
}

// A file that is cut, replaced or grows while it is looked at is read as far as it goes, which is said, and nothing else happens.
func TestChanging(t *testing.T) {
	line := strings.Repeat("[TRT-LLM] [I] iter = 1, nothing of interest\n", 1000)
	text := strings.Join(block("3.24"), "\n") + "\n" + strings.Repeat(line, 250) + strings.Join(block("7.5"), "\n") + "\n"
	for name, c := range map[string]struct {
		happens func(path string) error
		blocks  int
		end     benchlog.End
	}{
		"nothing":          {func(string) error { return nil }, 2, benchlog.Rule},
		"cut":              {func(path string) error { return os.Truncate(path, 1<<20+77) }, 1, benchlog.Rule},
		"cut in a block":   {func(path string) error { return os.Truncate(path, 150) }, 1, benchlog.EndOfLog},
		"cut to nothing":   {func(path string) error { return os.Truncate(path, 0) }, 0, ""},
		"cut at a page":    {func(path string) error { return os.Truncate(path, 3<<20) }, 1, benchlog.Rule},
		"cut at the end":   {func(path string) error { return os.Truncate(path, int64(len(text)-60)) }, 2, benchlog.EndOfLog},
		"a block is added": {func(path string) error { return add(path, strings.Join(block("9.5"), "\n")+"\n") }, 3, benchlog.Rule},
		"lines are added":  {func(path string) error { return add(path, line) }, 2, benchlog.Rule},
		"removed":          {os.Remove, 2, benchlog.Rule},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.log")
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			stream, err := input.Opener{}.Open(input.File{Path: path, Root: path})
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			m := stream.Mapped()
			if m == nil {
				t.Skip("this system maps no files")
			}
			s := benchlog.NewScanner(&changing{m, func() {
				if err := c.happens(path); err != nil {
					t.Fatal(err)
				}
			}}, nil)
			blocks, end := 0, benchlog.End("")
			for s.Scan() {
				blocks++
				end = s.Block().End
				for _, r := range s.Block().Rows {
					if strings.ContainsRune(r.Label+r.Text, 0) {
						t.Errorf("row %+v", r)
					}
				}
			}
			if s.Err() != nil || blocks != c.blocks || end != c.end {
				t.Errorf("%d blocks, the last one with %q, %v; want %d, %q", blocks, end, s.Err(), c.blocks, c.end)
			}
			if changed := name != "nothing" && name != "removed"; stream.Changed() != changed {
				t.Errorf("changed: %v", stream.Changed())
			}
		})
	}
}

// add appends to a file.
func add(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}
