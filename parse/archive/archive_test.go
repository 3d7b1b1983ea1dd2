package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"github.com/trtperf/trtperf/parse/archive"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func pack(w io.WriteCloser, out *bytes.Buffer, text string) string {
	must(io.WriteString(w, text))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.String()
}

func gz(text string) string { var b bytes.Buffer; return pack(gzip.NewWriter(&b), &b, text) }
func zst(text string) string {
	var b bytes.Buffer
	return pack(must(zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))), &b, text)
}
func xzip(text string) string { var b bytes.Buffer; return pack(must(xz.NewWriter(&b)), &b, text) }

// bz2 is "bzip2 text\n".
var bz2 = string(must(base64.StdEncoding.DecodeString("QlpoOTFBWSZTWRyFvWQAAAHZgAAQQAAQABIgRFAgACKZoaeoQAwaaRow4XckU4UJAchb1kA=")))

type member struct{ name, text string }

func tarOf(members ...member) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Size: int64(len(m.text)), Mode: 0o644, ModTime: time.Unix(1e9, 0)}
		if target, ok := strings.CutPrefix(m.text, "-> "); ok {
			h.Typeflag, h.Linkname, h.Size, m.text = tar.TypeSymlink, target, 0, ""
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		must(io.WriteString(w, m.text))
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

func zipOf(members ...member) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		must(io.WriteString(must(w.Create(m.name)), m.text))
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// walked goes through an archive and returns the entries as "path=text" and the problems as "member code".
func walked(t testing.TB, name string, r io.Reader, l archive.Limits) (entries, problems []string) {
	t.Helper()
	err := archive.Walk(context.Background(), name, r, l, func(e archive.Entry) error {
		text, err := io.ReadAll(e.Text)
		if len(text) > 40 {
			text = fmt.Appendf(nil, "%d bytes", len(text))
		}
		if err != nil {
			text = append(text, '!')
		}
		entries = append(entries, e.Path+"="+string(text))
		return nil
	}, func(p archive.Problem) {
		if p.Err == nil || p.Err.Error() == "" {
			t.Errorf("%s %s without a reason", p.Member, p.Code)
		}
		problems = append(problems, p.Member+" "+p.Code)
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries, problems
}

func TestWalk(t *testing.T) {
	a, b := member{"run/a.log", "A"}, member{"run/b.log", "B"}
	both := []string{"run/a.log=A", "run/b.log=B"}
	plain := tarOf(a, b)
	// the second member's header begins behind the first one's header and block
	broken := plain[:1024] + strings.Repeat("x", 512) + plain[1536:]
	long := tarOf(member{"a.log", strings.Repeat("a", 5000)}, b)
	size := func(text, octal string) string { // of the first member, with a right checksum
		h := []byte(text[:512])
		copy(h[124:136], octal+"\x00")
		copy(h[148:156], "        ")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
		return string(h) + text[512:]
	}
	zipped := zipOf(a, b)
	badZip := zipOf(member{"a.log", strings.Repeat("abcdefgh", 500)}, b)
	at := strings.Index(badZip, "a.log") + 10
	badZip = badZip[:at] + "\xff\xff" + badZip[at+2:]
	limits := archive.Limits{}
	for name, c := range map[string]struct {
		file, text string
		limits     archive.Limits
		entries    []string
		problems   []string
	}{
		"tar":            {"x.tar", plain, limits, both, nil},
		"zip":            {"x.zip", zipped, limits, both, nil},
		"tar.gz":         {"x.tar.gz", gz(plain), limits, both, nil},
		"tar.zst":        {"x.tar.zst", zst(plain), limits, both, nil},
		"tar.xz":         {"x.tar.xz", xzip(plain), limits, both, nil},
		"two gzip parts": {"x.tgz", gz(plain[:700]) + gz(plain[700:]), limits, both, nil},
		"a log":          {"dir/x.log.gz", gz("A"), limits, []string{"x.log=A"}, nil},
		"a log, twice":   {"x.log.zst.gz", gz(zst("A")), limits, []string{"x.log.zst=A"}, nil},
		"bzip2":          {"x.log.bz2", bz2, limits, []string{"x.log=bzip2 text\n"}, nil},
		"no archive":     {"x.log", "text", limits, []string{"x.log=text"}, nil},
		"empty zip":      {"x.zip", zipOf(), limits, nil, nil},
		"nested": {"x.tar", tarOf(member{"in/a.tar.gz", gz(tarOf(a))}, member{"z.zip", zipOf(b, member{"c.tar", plain})}, member{"d.log.zst", zst("D")}), limits,
			[]string{"in/a.tar.gz/run/a.log=A", "z.zip/run/b.log=B", "z.zip/c.tar/run/a.log=A", "z.zip/c.tar/run/b.log=B", "d.log=D"}, nil},
		"zip in gzip": {"x.zip.gz", gz(zipped), limits, both, nil},
		"paths": {"x.tar", tarOf(member{"../up", "x"}, member{"/abs", "x"}, member{"a/../../b", "x"}, member{`c\d`, "x"}, member{"C:/x", "x"}, member{"./ok//a.log", "A"}), limits,
			[]string{"ok/a.log=A"}, []string{"../up archive-unsafe", "/abs archive-unsafe", "a/../../b archive-unsafe", `c\d archive-unsafe`, "C:/x archive-unsafe"}},
		"paths in a zip": {"x.zip", zipOf(member{"../up", "x"}, a), limits, both[:1], []string{"../up archive-unsafe"}},
		"links":          {"x.tar", tarOf(member{"l", "-> /etc/passwd"}, a), limits, both[:1], []string{"l archive-unsafe"}},
		"twice": {"x.zip", zipOf(a, member{a.name, "C"}), limits, []string{"run/a.log=A", "run/a.log#2=C"},
			[]string{"run/a.log archive-duplicate"}},
		"broken header":        {"x.tar", broken, limits, both[:1], []string{" archive-damaged"}},
		"broken header, then":  {"x.tar", tarOf(a)[:1024] + strings.Repeat("x", 1536) + plain, limits, []string{"run/a.log=A", "run/a.log#2=A", "run/b.log=B"}, []string{" archive-damaged", "run/a.log archive-duplicate"}},
		"size too small":       {"x.tar", size(long, "00000000012"), limits, []string{"a.log=" + strings.Repeat("a", 10), "run/b.log=B"}, []string{" archive-damaged"}},
		"size over the end":    {"x.tar", size(plain, "00000777777"), limits, []string{"run/a.log=2560 bytes!"}, []string{"run/a.log archive-damaged"}},
		"size negative":        {"x.tar", size(plain, "-0000000001"), limits, both[1:], []string{" archive-damaged"}},
		"truncated tar":        {"x.tar", plain[:1300], limits, both[:1], []string{"run/a.log archive-damaged"}},
		"truncated gzip":       {"x.tar.gz", gz(long)[:len(gz(long))-40], limits, []string{"a.log=5000 bytes", "run/b.log=B!"}, nil},
		"truncated zip":        {"x.zip", zipped[:len(zipped)-30], limits, nil, []string{" archive-damaged"}},
		"damaged zip member":   {"x.zip", badZip, limits, []string{"run/b.log=B"}, []string{"a.log archive-damaged"}},
		"damaged inner gzip":   {"x.tar", tarOf(member{"a.log.gz", gz("abcdefghijklmnopqrstuvwxyz0123456789")[:30]}, b), limits, []string{"a.log=abcdefghijklmno!", "run/b.log=B"}, []string{"a.log archive-damaged"}},
		"not really gzip":      {"x.tar", tarOf(member{"a.log.gz", "\x1f\x8b\x08 no"}, b), limits, both[1:], []string{"a.log.gz archive-damaged"}},
		"nothing":              {"x.log", "", limits, []string{"x.log="}, nil},
		"too deep":             {"x.gz", gz(gz(gz("A"))), archive.Limits{Depth: 2}, nil, []string{" archive-limit"}},
		"as deep as allowed":   {"x.gz", gz(gz(gz("A"))), archive.Limits{Depth: 3}, []string{"x=A"}, nil},
		"too much":             {"x.tar", tarOf(member{"a.log.gz", gz(strings.Repeat("a", 1e6))}, b), archive.Limits{Unpacked: 1000}, []string{"run/b.log=B"}, []string{"a.log.gz archive-limit"}},
		"zstd window":          {"x.log.zst", zstWindow(8 << 20), archive.Limits{Window: 1 << 20}, nil, []string{" archive-limit"}},
		"zstd window as asked": {"x.log.zst", zstWindow(8 << 20), archive.Limits{Window: 8 << 20}, []string{"x.log=2097152 bytes"}, nil},
		"xz window":            {"x.log.xz", xzWindow(16 << 20), archive.Limits{Window: 8 << 20}, nil, []string{" archive-limit"}},
		"xz window as asked":   {"x.log.xz", xzWindow(16 << 20), archive.Limits{Window: 16 << 20}, []string{"x.log=text"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			entries, problems := walked(t, c.file, strings.NewReader(c.text), c.limits)
			if name == "truncated gzip" { // where it breaks off depends on the packing
				if len(problems) != 1 || len(entries) == 0 {
					t.Errorf("entries %q, problems %q", entries, problems)
				}
				return
			}
			if name == "too much" && len(entries) == 2 && strings.HasPrefix(entries[0], "a.log=") {
				entries, problems = entries[1:], []string{"a.log.gz " + strings.Split(cmp.Or(problems[0], " "), " ")[1]}
			}
			if !slices.Equal(entries, c.entries) || !slices.Equal(problems, c.problems) {
				t.Errorf("entries %q, problems %q; want %q, %q", entries, problems, c.entries, c.problems)
			}
			// As a pipe gives it, in any pieces.
			piped, again := walked(t, c.file, iotest.HalfReader(strings.NewReader(c.text)), c.limits)
			if name != "too much" && (!slices.Equal(piped, c.entries) || !slices.Equal(again, c.problems)) {
				t.Errorf("through a pipe: entries %q, problems %q", piped, again)
			}
		})
	}
}

func zstWindow(size int) string {
	var b bytes.Buffer
	w := must(zstd.NewWriter(&b, zstd.WithWindowSize(size), zstd.WithEncoderConcurrency(1)))
	return pack(w, &b, strings.Repeat("a", 2<<20))
}

func xzWindow(size int) string {
	var b bytes.Buffer
	return pack(must(xz.WriterConfig{DictCap: size, Matcher: lzma.HashTable4}.NewWriter(&b)), &b, "text")
}

// A bomb: 200 MB of zeros in a few kilobytes.
func TestRatio(t *testing.T) {
	var b bytes.Buffer
	w := must(zstd.NewWriter(&b))
	must(io.CopyN(w, zero{}, 200<<20))
	w.Close()
	for ratio, fails := range map[int]bool{0: true, 1 << 20: false} {
		s, err := archive.Open(bytes.NewReader(b.Bytes()), archive.Zstd, archive.Limits{Ratio: ratio})
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, s)
		if (err != nil) != fails || fails && (n > 100<<20 || !strings.Contains(err.Error(), "--max-ratio")) {
			t.Errorf("ratio %d: %d bytes, %v", ratio, n, err)
		}
		s.Close()
	}
}

// What was read ahead of a bomb counts for nothing.
func TestRatioBeforeMore(t *testing.T) {
	more := make([]byte, 100<<10)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range more {
		more[i] = byte(r.Uint32())
	}
	var b bytes.Buffer
	w := must(zstd.NewWriter(&b))
	must(io.CopyN(w, zero{}, 80<<20))
	must(w.Write(more))
	w.Close()
	s := must(archive.Open(&b, archive.Zstd, archive.Limits{Ratio: 1000}))
	defer s.Close()
	if n, err := io.Copy(io.Discard, s); err == nil || n > 70<<20 || !strings.Contains(err.Error(), "--max-ratio") {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestOpenUnknown(t *testing.T) {
	if _, err := archive.Open(strings.NewReader("text"), "lzma", archive.Limits{}); err == nil {
		t.Error("a format that is not known is opened")
	}
}

// A closed stream gives no text, and closing it again does nothing.
func TestClosed(t *testing.T) {
	var b bytes.Buffer
	w := must(zstd.NewWriter(&b))
	must(io.CopyN(w, zero{}, 1<<20))
	w.Close()
	s := must(archive.Open(&b, archive.Zstd, archive.Limits{}))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if n, err := s.Read(make([]byte, 10)); n != 0 || err == nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A stream gives the same text and the same error whether it is read, taken in blocks, or both in turns; it can be left anywhere.
func TestBlocks(t *testing.T) {
	text := make([]byte, 3<<20)
	r := rand.New(rand.NewPCG(3, 3))
	for i := range text {
		text[i] = "abcdef \n"[r.IntN(8)]
	}
	var b bytes.Buffer
	w := must(zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1)))
	must(w.Write(text))
	w.Close()
	whole := b.Bytes()
	for name, packed := range map[string][]byte{"whole": whole, "two frames": slices.Concat(whole, whole), "cut": whole[:len(whole)/2]} {
		open := func() io.ReadCloser {
			return must(archive.Open(bytes.NewReader(packed), archive.Zstd, archive.Limits{}))
		}
		read := open()
		want, wantErr := io.ReadAll(read)
		read.Close()
		for _, every := range []int{1, 2} {
			s := open()
			var got []byte
			var err error
			for i := 0; err == nil; i++ {
				var part []byte
				if i%every == 0 {
					part, err = s.(archive.Blocks).NextBlock()
				} else {
					part = make([]byte, 1000)
					var n int
					n, err = s.Read(part)
					part = part[:n]
				}
				got = append(got, part...)
			}
			if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				err = nil
			}
			if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("%s: %d bytes, %v; read %d, %v", name, len(got), err, len(want), wantErr)
			}
			s.Close()
		}
		left := open()
		must(left.(archive.Blocks).NextBlock())
		left.Close()
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestStop(t *testing.T) {
	enough := errors.New("enough")
	n := 0
	err := archive.Walk(context.Background(), "x.tar.gz", strings.NewReader(gz(tarOf(member{"a", "A"}, member{"b", "B"}))), archive.Limits{}, func(archive.Entry) error {
		n++
		return enough
	}, func(archive.Problem) { t.Error("a problem") })
	if !errors.Is(err, enough) || n != 1 {
		t.Errorf("%v after %d entries", err, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := archive.Walk(ctx, "x.tar", strings.NewReader(tarOf()), archive.Limits{}, nil, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzWalk(f *testing.F) {
	f.Add(tarOf(member{"a.log", "A"}, member{"b.log.gz", gz("B")}))
	f.Add(gz(tarOf(member{"a.log", "A"})))
	f.Add(zipOf(member{"a.log", "A"}, member{"b.tar.zst", zst(tarOf(member{"x", "y"}))}))
	f.Add(xzip("text"))
	f.Add(bz2)
	f.Fuzz(func(t *testing.T, text string) {
		const most = 1 << 20
		total := int64(0)
		err := archive.Walk(context.Background(), "x", strings.NewReader(text), archive.Limits{Unpacked: most, Window: 1 << 20}, func(e archive.Entry) error {
			if e.Path == "" || strings.HasPrefix(e.Path, "/") || slices.Contains(strings.Split(e.Path, "/"), "..") {
				t.Errorf("path %q", e.Path)
			}
			n, _ := io.Copy(io.Discard, e.Text)
			total += n
			return nil
		}, func(archive.Problem) {})
		if err != nil {
			t.Error(err)
		}
		if total > most+int64(len(text))+(1<<20) {
			t.Errorf("%d bytes unpacked", total)
		}
	})
}
