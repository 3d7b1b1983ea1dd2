package testlist

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/trtperf/trtperf/parse"
)

// maxLine bounds a line; node ids have some hundred characters.
const maxLine = 64 << 10

// textReader reads a text list line by line.
type textReader struct {
	in   *bufio.Reader
	at   Place
	done bool
}

func (r *textReader) next() (Record, error) {
	for !r.done {
		line, err := r.line()
		if err != nil {
			r.done = true
			if !errors.Is(err, io.EOF) {
				return nil, err
			}
		}
		if line == "" && r.done {
			break
		}
		r.at.Line++
		if r.at.Line == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if record := readLine(r.at, line); record != nil {
			return record, nil
		}
	}
	return nil, io.EOF
}

// line reads a line with its end. The end of one that is too long is passed over.
func (r *textReader) line() (string, error) {
	var b strings.Builder
	for {
		piece, err := r.in.ReadSlice('\n')
		if b.Len() <= maxLine {
			b.Write(piece)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return b.String(), err
		}
	}
}

// readLine reads one line; nil for one without an entry.
func readLine(at Place, line string) Record {
	fault := func(format string, args ...any) Record { return &SyntaxError{at, fmt.Sprintf(format, args...)} }
	switch {
	case len(line) > maxLine:
		return fault("a line of more than %d KiB: no test's name is that long", maxLine>>10)
	case !utf8.ValidString(line):
		return fault("not UTF-8 text")
	}
	line = strings.TrimRight(line, "\r\n")
	if bare := strings.TrimSpace(line); bare == "" || bare[0] == '#' {
		return nil
	}
	if message := templateText(line); message != "" {
		return fault("%s", message)
	}
	text, comment := cutComment(line)
	e, message := parseEntry(strings.TrimSpace(text))
	if message != "" {
		return fault("%s", message)
	}
	e.Place = at
	if word, ok := strings.CutPrefix(strings.TrimSpace(comment), "mode:"); ok {
		word, _, _ = strings.Cut(strings.TrimSpace(word), " ")
		mode, err := parse.ParseMode(word)
		if err != nil || mode == "" {
			return fault("# mode: %q is no mode: write single-agg, multi-agg or disagg", word)
		}
		e.Said, e.SaidBy = mode, "# mode: comment"
	}
	return e
}

// templateText says what of a line TensorRT-LLM's renderer of text lists would take for its own.
func templateText(line string) string {
	const remedy = "render the list first, or write what it gives"
	switch bare := strings.TrimSpace(line); {
	case bare[0] == '%':
		return `"%" at the start of a line is a Mako control line, which is not evaluated here: ` + remedy
	case strings.Contains(line, "<%"):
		return `"<%" begins a Mako block, which is not evaluated here: ` + remedy
	case strings.Contains(line, "${"):
		return `"${" begins a Mako expression, which is not evaluated here: ` + remedy + ", such as SKIP (reason) for skipIf(…)"
	case strings.HasSuffix(bare, `\`):
		return `"\" at the end of a line joins it with the next one in Mako: write each test on a line of its own`
	}
	return ""
}

// cutComment parts a line at the first "#" that stands outside of brackets and parentheses.
func cutComment(line string) (text, comment string) {
	depth := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '[', '(':
			depth++
		case ']', ')':
			depth = max(0, depth-1)
		case '#':
			if depth == 0 {
				return line[:i], line[i+1:]
			}
		}
	}
	return line, ""
}

const (
	skipMarker      = "SKIP"
	xfailMarker     = "XFAIL"
	unstableMarker  = "UNSTABLE"
	timeoutMarker   = "TIMEOUT"
	isolationMarker = "ISOLATION"
)

var (
	markerStart = regexp.MustCompile(`^[\s,]+(SKIP|XFAIL|UNSTABLE|TIMEOUT|ISOLATION)(?:[\s,(]|$)`)
	platform    = regexp.MustCompile(`^full:([^/\s\[]+)/`)
)

// unittests is what begins the name of a test that TensorRT-LLM's lists write as a path.
const unittests = "unittest/"

// maxTimeout is far above any test's.
const maxTimeout = 7 * 24 * time.Hour

// parseEntry reads an entry without its comment. The message says what is wrong with it.
func parseEntry(text string) (e *Entry, message string) {
	e = &Entry{Text: text}
	// The name ends at the first marker outside of its brackets; a blank may stand inside them, and in a unittest's, which may carry
	// pytest's options.
	end, depth, blank := len(text), 0, -1
scan:
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '[':
			depth++
		case c == ']':
			depth = max(0, depth-1)
		case depth == 0 && (c == ' ' || c == '\t' || c == ',') && markerStart.MatchString(text[i:]):
			end = i
			break scan
		case depth == 0 && blank < 0 && (c == ' ' || c == '\t'):
			blank = i
		}
	}
	if depth > 0 {
		return nil, fmt.Sprintf("%q: a bracket is not closed", text)
	}
	e.Name = strings.TrimSpace(text[:end])
	if m := platform.FindStringSubmatch(e.Name); m != nil {
		e.Platform, e.Name = m[1], e.Name[len(m[0]):]
	} else if strings.HasPrefix(e.Name, "full:") {
		return nil, fmt.Sprintf(`%q: write full:<platform>/<test>`, e.Name)
	}
	switch {
	case e.Name == "":
		return nil, "no test stands before the marker"
	case blank >= 0 && !strings.HasPrefix(e.Name, unittests):
		return nil, fmt.Sprintf("%q is no test: behind its name only SKIP, XFAIL, UNSTABLE, TIMEOUT and ISOLATION may stand, and a comment after #", e.Name)
	}
	return e, e.markers(text[end:])
}

// markers reads what stands behind the name.
func (e *Entry) markers(text string) (message string) {
	seen := map[string]bool{}
	for text = strings.TrimRight(text, " \t,"); text != ""; {
		m := markerStart.FindStringSubmatchIndex(text + " ")
		if m == nil {
			return fmt.Sprintf("%q is no marker: write SKIP, XFAIL, UNSTABLE, TIMEOUT or ISOLATION, with its argument in parentheses", strings.TrimSpace(text))
		}
		marker := text[m[2]:m[3]]
		text = text[m[3]:]
		if seen[marker] {
			return fmt.Sprintf("%s stands twice", marker)
		}
		seen[marker] = true
		argument, given := "", false
		if rest := strings.TrimLeft(text, " \t"); strings.HasPrefix(rest, "(") {
			n := closing(rest)
			if n < 0 {
				return fmt.Sprintf("%s: the parenthesis is not closed", marker)
			}
			argument, given, text = strings.TrimSpace(rest[1:n]), true, rest[n+1:]
		}
		switch marker {
		case skipMarker:
			e.Skip = &Reason{argument}
		case xfailMarker:
			e.XFail = &Reason{argument}
		case unstableMarker:
			e.Unstable = &Reason{argument}
		case isolationMarker:
			if e.Isolated = true; given {
				return "ISOLATION has no argument"
			}
		case timeoutMarker:
			minutes, err := strconv.ParseUint(argument, 10, 32)
			if err != nil || minutes == 0 || time.Duration(minutes)*time.Minute > maxTimeout {
				return fmt.Sprintf("TIMEOUT wants its minutes in parentheses, TIMEOUT (90), at most %d; it has %q", maxTimeout/time.Minute, argument)
			}
			e.Timeout = time.Duration(minutes) * time.Minute
		}
	}
	return ""
}

// closing returns the place of the parenthesis that closes the one text begins with; -1 if there is none.
func closing(text string) int {
	depth := 0
	for i, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
