package junit_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/trtperf/trtperf/parse/junit"
)

type output struct{ where, text string }

// read reads a file and gives its outputs as text.
func read(t *testing.T, r io.Reader) (*junit.Report, []output, error) {
	t.Helper()
	var outputs []output
	report, err := junit.Read(r, func(o junit.Output) error {
		text, err := io.ReadAll(o.Text)
		outputs = append(outputs, output{fmt.Sprintf("%d %s:%d %s", o.Index, o.Stream, o.Line, o.Case), string(text)})
		return err
	})
	return report, outputs, err
}

func brief(c junit.Case) string {
	s := fmt.Sprintf("%d %s %s", c.Line, c.Status, c.Name)
	if c.Message != "" {
		s += ": " + c.Message
	}
	return s
}

func TestRead(t *testing.T) {
	const head = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<testsuites><testsuite name=\"pytest\" timestamp=\"2026-11-23T10:00:00+01:00\">"
	const tail = "</testsuite></testsuites>"
	for name, c := range map[string]struct {
		text    string
		cases   []string
		outputs []output
		ends    int
		err     string
		notes   int
	}{
		"passed":  {text: head + "\n<testcase classname=\"perf.x\" name=\"test_e2e[aggr-k]\" time=\"1.5\" />" + tail, cases: []string{"3 passed test_e2e[aggr-k]"}},
		"failed":  {text: head + "\n<testcase name=\"a\"><failure message=\"x &lt; y&#10;z\">trace</failure></testcase>" + tail, cases: []string{"3 failed a: x < y\nz"}},
		"error":   {text: head + "<testcase name=\"a\"><error message=\"m\"/></testcase>" + tail, cases: []string{"2 error a: m"}},
		"skipped": {text: head + "<testcase name=\"a\"><skipped message=\"why\"/></testcase>" + tail, cases: []string{"2 skipped a: why"}},
		"failed, then skipped": {text: head + "<testcase name=\"a\"><failure message=\"m\"/><skipped message=\"s\"/></testcase>" + tail,
			cases: []string{"2 failed a: m"}},
		"outputs": {text: head + "<testcase name=\"a\"><system-out>one &amp; &#65;\n#x1B[1mtwo</system-out><system-err><![CDATA[<raw> ]] &amp;]]></system-err></testcase>" + tail,
			cases: []string{"2 passed a"}, outputs: []output{{"0 system-out:2 a", "one & A\n\x1b[1mtwo"}, {"0 system-err:3 a", "<raw> ]] &amp;"}}},
		"suite output":     {text: head + "<system-out>x</system-out>" + tail, outputs: []output{{"-1 system-out:2 ", "x"}}},
		"two outputs":      {text: head + "<testcase name=\"a\"><system-out>1</system-out><system-out>2</system-out></testcase>" + tail, cases: []string{"2 passed a"}, outputs: []output{{"0 system-out:2 a", "1"}, {"0 system-out:2 a", "2"}}},
		"control":          {text: head + "<testcase name=\"a\x01b\"><failure message=\"\x00\">\x08</failure></testcase>" + tail, cases: []string{"2 failed ab"}},
		"comment":          {text: "<!DOCTYPE x>" + head + "<!-- <testcase name=\"no\"> --><testcase name=\"a>b\"/>" + tail, cases: []string{"2 passed a>b"}},
		"truncated text":   {text: head + "<testcase name=\"a\"/>\n<testcase name=\"b\"><system-out>half", cases: []string{"2 passed a", "3 incomplete b"}, outputs: []output{{"1 system-out:3 b", "half"}}, ends: 3},
		"truncated tag":    {text: head + "<testcase name=\"a\"/>\n<testcase name=\"b", cases: []string{"2 passed a"}, ends: 3},
		"broken":           {text: head + "<testcase name=\"a\"/>\n</wrong><testcase name=\"b\"/>" + tail, cases: []string{"2 passed a"}, err: "line 3: </wrong>"},
		"latin-1":          {text: strings.Replace(head, "utf-8", "ISO-8859-1", 1) + "<testcase name=\"\xe9\"/>" + tail, cases: []string{"2 passed \ufffd"}, notes: 1},
		"unknown entity":   {text: head + "<testcase name=\"a\"><failure>&nbsp; &</failure></testcase>" + tail, cases: []string{"2 failed a"}},
		"nested":           {text: "<testsuite><testsuite><testcase name=\"a\"/></testsuite><testcase name=\"b\"/></testsuite>", cases: []string{"1 passed a", "1 passed b"}},
		"broken id":        {text: head + "<testcase name=\"test_e2e[disagg_upload-]\"/>" + tail, cases: []string{"2 passed test_e2e[disagg_upload-]"}, notes: 1},
		"huge text":        {text: head + "<testcase name=\"a\"><failure message=\"m\">" + strings.Repeat("x&amp;", 60000) + "</failure></testcase>" + tail, cases: []string{"2 failed a: m"}, notes: 1},
		"broken attribute": {text: head + "<testcase name=\"a\"/>\n<testcase name=\"b\"c\"><failure/></testcase>" + tail, cases: []string{"2 passed a"}, err: "line 3: a broken tag"},
		"text behind":      {text: head + "<testcase name=\"a\"/>" + tail + "\ngarbage <x>", cases: []string{"2 passed a"}, notes: 1},
		"long message":     {text: head + "<testcase name=\"a\"><failure message=\"" + strings.Repeat("m", 2<<20) + "\"/></testcase><testcase name=\"b\"/>" + tail, cases: []string{"2 failed a: " + strings.Repeat("m", 4096), "2 passed b"}, notes: 1},
		"letters":          {text: head + "<testcase name=\"a\"><failure message=\"" + strings.Repeat("é", 50) + "\">" + strings.Repeat("é&lt;", 20000) + "</failure></testcase>" + tail, cases: []string{"2 failed a: " + strings.Repeat("é", 50)}, notes: 1},
		"other XML":        {text: "<html><body/></html>", err: junit.ErrNotJUnit.Error()},
		"no XML":           {text: "plain text", err: junit.ErrNotJUnit.Error()},
		"empty":            {text: "", err: junit.ErrNotJUnit.Error()},
		"UTF-16":           {text: "\xff\xfe<\x00", err: "UTF-16"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text))} {
				report, outputs, err := read(t, r)
				if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				if report == nil {
					return
				}
				var cases []string
				for _, x := range report.Cases {
					cases = append(cases, brief(x))
				}
				if !slices.Equal(cases, c.cases) || !slices.Equal(outputs, c.outputs) || report.EndsAt != c.ends || len(report.Notes) != c.notes {
					t.Errorf("cases %q, outputs %q, ends at %d, notes %v", cases, outputs, report.EndsAt, report.Notes)
				}
			}
		})
	}
	report, _, err := read(t, strings.NewReader(head+"<testcase name=\"test_e2e[aggr-k]\" time=\"1,000.5\" file=\"x.py\"/>"+tail))
	if err != nil || report.Started.UTC().Hour() != 9 || *report.Cases[0].Seconds != 1000.5 || report.Cases[0].File != "x.py" || report.Cases[0].ID.Config != "k" {
		t.Errorf("got %+v, %v", report, err)
	}
	stop := errors.New("stop")
	if _, err := junit.Read(strings.NewReader(head+"<testcase><system-out>x</system-out></testcase>"+tail), func(junit.Output) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}

// Texts of failures must not fill memory either, many as there are.
func TestMemoryOfFailures(t *testing.T) {
	failure := []byte("<testcase name=\"a\"><failure message=\"m\">" + strings.Repeat("x\u00e9 &lt; ", 6000) + "</failure></testcase>")
	const n = 2000
	text := io.MultiReader(strings.NewReader("<testsuite>"), io.LimitReader(&repeat{text: failure}, int64(n*len(failure))), strings.NewReader("</testsuite>"))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	report, err := junit.Read(text, nil)
	if err != nil || len(report.Cases) != n || report.Cases[n-1].Status != junit.Failed || !strings.HasPrefix(report.Cases[0].Text, "x\u00e9 < x") {
		t.Fatalf("%d cases, %v", len(report.Cases), err)
	}
	if strings.Contains(report.Cases[0].Text, "\ufffd") {
		t.Error("a letter is broken where two reads meet")
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 64<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
}

// A valid document has the same names and outputs for encoding/xml.
func FuzzRead(f *testing.F) {
	f.Add("a", "out & <b>", "x\ny", byte(0))
	f.Add("test_e2e[aggr-k]", "]]> &amp; #x1b", "", byte(3))
	f.Fuzz(func(t *testing.T, name, out, message string, kind byte) {
		type textual struct {
			Message string `xml:"message,attr"`
			Text    string `xml:",chardata"`
		}
		type testcase struct {
			Name    string   `xml:"name,attr"`
			Failure *textual `xml:"failure"`
			Out     *string  `xml:"system-out"`
		}
		doc := struct {
			XMLName xml.Name   `xml:"testsuite"`
			Cases   []testcase `xml:"testcase"`
		}{}
		one := testcase{Name: name, Out: &out}
		if kind&1 != 0 {
			one.Failure = &textual{message, out}
		}
		doc.Cases = []testcase{one, {Name: "last"}}
		text, err := xml.Marshal(doc)
		if err != nil || bytes.Contains(text, []byte("#x1B")) {
			return
		}
		if err := xml.Unmarshal(text, &doc); err != nil {
			return
		}
		doc.Cases = doc.Cases[len(doc.Cases)-2:]
		report, outputs, err := read(t, bytes.NewReader(text))
		if err != nil || len(report.Cases) != 2 || report.Cases[1].Name != "last" {
			t.Fatalf("%s: %v, %+v", text, err, report)
		}
		if report.Cases[0].Name != doc.Cases[0].Name || len(outputs) != 1 || outputs[0].text != *doc.Cases[0].Out {
			t.Fatalf("%s: name %q, outputs %q, want %q and %q", text, report.Cases[0].Name, outputs, doc.Cases[0].Name, *doc.Cases[0].Out)
		}
		if (report.Cases[0].Status == junit.Failed) != (kind&1 != 0) {
			t.Fatalf("%s: %s", text, report.Cases[0].Status)
		}
	})
}

func FuzzReadAnything(f *testing.F) {
	f.Add([]byte("<testsuite><testcase name='a'><system-out>&#x41;<![CDATA[x]]></system-out></testcase></testsuite>"))
	f.Add([]byte("<testsuites><testsuite><testcase><failure>]]&#1;</failure"))
	f.Fuzz(func(t *testing.T, text []byte) {
		report, outputs, err := read(t, bytes.NewReader(text))
		again, outputsAgain, errAgain := read(t, iotest.HalfReader(bytes.NewReader(text)))
		if (err == nil) != (errAgain == nil) || !slices.Equal(outputs, outputsAgain) || report != nil && len(report.Cases) != len(again.Cases) {
			t.Fatalf("the size of reads matters: %v and %v", err, errAgain)
		}
		if err != nil && strings.Contains(err.Error(), "structure cannot be read") {
			t.Fatalf("the skeleton is not well-formed: %v", err)
		}
	})
}

// A huge body must not be held in memory.
func TestMemory(t *testing.T) {
	line := []byte("[TRT-LLM] [I] iter = 5, some text &amp; more of it to make a line of common length\n")
	const size = 300 << 20
	text := io.MultiReader(strings.NewReader("<testsuite><testcase name=\"a\"><system-out>"),
		io.LimitReader(&repeat{text: line}, size), strings.NewReader("</system-out></testcase></testsuite>"))
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	most, n := uint64(0), int64(0)
	report, err := junit.Read(text, func(o junit.Output) error {
		buffer := make([]byte, 64<<10)
		for step := 0; ; step++ {
			k, err := o.Text.Read(buffer)
			n += int64(k)
			if step%5000 == 0 {
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	if err != nil || len(report.Cases) != 1 || n < size/2 {
		t.Fatalf("%+v, %v, %d bytes", report, err, n)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
}

type repeat struct {
	text []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], r.text[r.at:])
		n, r.at = n+k, (r.at+k)%len(r.text)
	}
	return n, nil
}

// What a real pytest writes, in both of its forms.
func TestPytest(t *testing.T) {
	dir := t.TempDir()
	if log, err := exec.Command("../../testdata/pytest/make-fixtures.sh", dir).CombinedOutput(); err != nil {
		if os.Getenv("TRTPERF_REQUIRE_SERVICES") != "" {
			t.Fatalf("no pytest: %v\n%s", err, log)
		}
		t.Skipf("no pytest: %v\n%s", err, log)
	}
	for _, family := range []string{"xunit1", "xunit2"} {
		t.Run(family, func(t *testing.T) {
			file, err := os.Open(filepath.Join(dir, family+".xml"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			report, outputs, err := read(t, file)
			if err != nil {
				t.Fatal(err)
			}
			status := map[string]junit.Status{}
			for _, c := range report.Cases {
				if old, twice := status[c.Name]; !twice || old == junit.Passed {
					status[c.Name] = c.Status
				}
				if c.Seconds == nil || (c.File != "") != (family == "xunit1") {
					t.Errorf("%s: %v s, file %q", c.Name, c.Seconds, c.File)
				}
			}
			for name, want := range map[string]junit.Status{
				"test_e2e[disagg_upload-e2e-toy-fp4_1k1k]": junit.Passed, "test_fails": junit.Failed, "test_setup_breaks": junit.Errored,
				"test_teardown_breaks": junit.Errored, "test_skipped": junit.Skipped, "test_expected_to_fail": junit.Skipped,
				"test_control_characters": junit.Passed, "test_letters[\u00e9\u2713]": junit.Passed,
			} {
				if status[name] != want {
					// pytest escapes parameters that are not ASCII unless told otherwise.
					if name != "test_letters[\u00e9\u2713]" {
						t.Errorf("%s is %q, want %s", name, status[name], want)
					}
				}
			}
			all := ""
			for _, o := range outputs {
				all += o.text
			}
			for _, want := range []string{"Request throughput (req/s):              3.24", "\x1b[32mgreen\x1b[0m", "ends with <tags> & \"quotes\""} {
				if !strings.Contains(all, want) {
					t.Errorf("no output has %q", want)
				}
			}
			if !slices.ContainsFunc(report.Cases, func(c junit.Case) bool {
				return c.Name == "test_fails" && strings.Contains(c.Message, "Some metrics in Server 0 Client 0 are missing")
			}) {
				t.Error("the failure's message is lost")
			}
		})
	}
	file, err := os.Open(filepath.Join(dir, "truncated.xml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	report, _, err := read(t, file)
	if err != nil || report.EndsAt == 0 || len(report.Cases) < 2 || report.Cases[len(report.Cases)-1].Status != junit.Incomplete {
		t.Errorf("truncated: %+v, %v", report, err)
	}
}
