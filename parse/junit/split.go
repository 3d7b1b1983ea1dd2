package junit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxTag bounds what is kept of a tag with its attributes.
	maxTag = 1 << 20
	// maxText bounds a text in the skeleton, and maxTexts all of them: go-junit holds each several times.
	maxText, maxTexts = 64 << 10, 2 << 20
	// maxAttribute bounds an attribute's value in the skeleton, and maxName that of a name.
	maxAttribute, maxName = 4 << 10, 64 << 10
	// window is how far the splitter looks ahead.
	window = 64 << 10
)

// splitter reads a file once and parts it into the skeleton and the bodies of outputs.
type splitter struct {
	in     *bufio.Reader
	output func(Output) error

	skeleton  bytes.Buffer
	open      []string // names of open elements
	cases     []Case
	failed    map[int]bool // cases with a failure or an error in them
	current   int          // open case, or -1
	line      int
	textLen   int  // of the text since the last tag
	textsLen  int  // of all texts
	root      bool // the root element has begun
	truncated bool
	started   time.Time
	notes     []Note
	// stopped is the error of output.
	stopped error
}

func newSplitter(r io.Reader, output func(Output) error) *splitter {
	return &splitter{in: bufio.NewReaderSize(r, window), output: output, failed: map[int]bool{}, current: -1, line: 1}
}

// errEnd says that the file ends inside its XML.
var errEnd = errors.New("the file ends")

// split reads the file to its end or to a fault. Afterwards the skeleton is well-formed.
func (s *splitter) split() error {
	err := s.elements()
	if s.stopped != nil || errors.Is(err, ErrNotJUnit) {
		return err
	}
	if len(s.open) > 0 {
		if errors.Is(err, errEnd) {
			s.truncated, err = true, nil
		}
		if s.current >= 0 {
			s.cases[s.current].Status = Incomplete
		}
		for _, name := range slices.Backward(s.open) {
			s.skeleton.WriteString("</" + name + ">")
		}
	}
	if errors.Is(err, errEnd) {
		err = nil
	}
	return err
}

// elements reads element by element.
func (s *splitter) elements() error {
	if err := s.prologue(); err != nil {
		return err
	}
	for {
		if s.root && len(s.open) == 0 {
			return s.epilogue()
		}
		if err := s.text(); err != nil {
			return err
		}
		switch head, _ := s.in.Peek(9); {
		case bytes.HasPrefix(head, []byte("<!--")):
			if err := s.skipTo("-->"); err != nil {
				return err
			}
		case bytes.HasPrefix(head, []byte("<![CDATA[")):
			s.discard(len("<![CDATA["))
			if err := s.cdata(); err != nil {
				return err
			}
		case bytes.HasPrefix(head, []byte("<?")):
			if err := s.skipTo("?>"); err != nil {
				return err
			}
		case bytes.HasPrefix(head, []byte("<!")):
			if err := s.skipTo(">"); err != nil {
				return err
			}
		default:
			if err := s.tag(); err != nil {
				return err
			}
		}
	}
}

// epilogue looks for anything but blanks behind the root element.
func (s *splitter) epilogue() error {
	for {
		head, err := s.buffered()
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(head)) > 0 {
			s.notes = append(s.notes, Note{Line: s.line, Code: BehindEnd, Message: "the text behind the end of the results is not read"})
			return nil
		}
		s.discard(len(head))
	}
}

// prologue looks at a byte order mark and at the declared encoding.
func (s *splitter) prologue() error {
	head, _ := s.in.Peek(256)
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return fmt.Errorf("%w: UTF-16 text: write it as UTF-8", ErrNotJUnit)
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		s.discard(3)
		head = head[3:]
	}
	if !bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("<")) {
		return ErrNotJUnit
	}
	if declaration, _, ok := bytes.Cut(head, []byte("?>")); ok && bytes.HasPrefix(declaration, []byte("<?xml")) {
		encoding := strings.ToLower(attributes(string(declaration[len("<?xml"):]))["encoding"])
		if encoding != "" && encoding != "utf-8" && encoding != "us-ascii" && encoding != "ascii" {
			s.notes = append(s.notes, Note{Line: 1, Code: Encoding, Message: fmt.Sprintf("declared as %s: letters that are not ASCII are replaced", encoding)})
		}
	}
	return nil
}

// discard consumes n bytes that have been peeked at.
func (s *splitter) discard(n int) {
	head, _ := s.in.Peek(n)
	s.line += bytes.Count(head, []byte{'\n'})
	_, _ = s.in.Discard(len(head)) // what was peeked at is there
}

// buffered returns what can be looked at without reading more than needed; empty only at the end.
func (s *splitter) buffered() ([]byte, error) {
	if _, err := s.in.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errEnd
		}
		return nil, err
	}
	return s.in.Peek(s.in.Buffered())
}

// skipTo consumes everything up to and with end.
func (s *splitter) skipTo(end string) error {
	for {
		head, err := s.buffered()
		if err != nil {
			return err
		}
		if i := bytes.Index(head, []byte(end)); i >= 0 {
			s.discard(i + len(end))
			return nil
		}
		if len(head) >= len(end) {
			s.discard(len(head) - len(end) + 1)
			continue
		}
		if _, err := s.in.Peek(len(end)); err != nil {
			return errEnd
		}
	}
}

// text copies the text before the next tag into the skeleton. Outside of the root element it drops it.
func (s *splitter) text() error {
	s.textLen = 0
	for {
		head, err := s.buffered()
		if err != nil {
			return err
		}
		i := bytes.IndexByte(head, '<')
		run := head[:max(i, 0)]
		if i < 0 {
			if run = head[:len(head)-unfinished(head)]; len(run) == 0 {
				if _, err := s.in.Peek(len(head) + 1); err == nil {
					continue // now there is more of it
				}
				run = head
			}
		}
		s.keep(run, false)
		s.discard(len(run))
		if i >= 0 {
			return nil
		}
	}
}

// unfinished returns how many bytes at the end of a text are the beginning of a character or of a reference.
func unfinished(text []byte) int {
	for n := 1; n < maxReference && n <= len(text); n++ {
		switch c := text[len(text)-n]; {
		case c == '&':
			return n
		case c == ';':
			return 0
		case n < utf8.UTFMax && utf8.RuneStart(c) && !utf8.FullRune(text[len(text)-n:]):
			return n
		}
	}
	return 0
}

// keep adds a text to the skeleton, as far as it fits. Escape says that its markup characters are to be escaped.
func (s *splitter) keep(text []byte, escape bool) {
	if len(s.open) == 0 || s.textLen > maxText || len(bytes.TrimSpace(text)) == 0 {
		return
	}
	if room := min(maxText-s.textLen, maxTexts-s.textsLen); len(text) > room {
		text = text[:max(room, 0)]
		s.notes = append(s.notes, Note{Line: s.line, Code: LongText, Message: fmt.Sprintf("a text of <%s> is cut", s.open[len(s.open)-1])})
		if !escape {
			text = text[:len(text)-unfinished(text)]
		}
		s.textLen = maxText + 1
	}
	s.textLen += len(text)
	s.textsLen += len(text)
	s.sanitise(text, escape)
}

// sanitise writes a text into the skeleton without what XML does not allow. A reference that XML does not know becomes plain text.
func (s *splitter) sanitise(text []byte, escape bool) {
	for len(text) > 0 {
		c, n := utf8.DecodeRune(text)
		switch {
		case c == '&' && !escape:
			if _, size, ok := reference(text); ok {
				s.skeleton.Write(text[:size])
				n = size
			} else {
				s.skeleton.WriteString("&amp;")
			}
		case c == '&':
			s.skeleton.WriteString("&amp;")
		case c == '<':
			s.skeleton.WriteString("&lt;")
		case c == '>':
			s.skeleton.WriteString("&gt;")
		case c == '"':
			s.skeleton.WriteString("&quot;")
		case c == '\r':
			s.skeleton.WriteString("&#xD;") // a bare one would be read as a line feed
		case allowed(c):
			s.skeleton.WriteRune(c) // an invalid byte is written as U+FFFD
		}
		text = text[n:]
	}
}

// allowed reports whether XML 1.0 allows a character.
func allowed(c rune) bool {
	return c == '\t' || c == '\n' || c == '\r' || c >= 0x20 && c != 0xfffe && c != 0xffff
}

// cdata copies a CDATA section's text into the skeleton.
func (s *splitter) cdata() error {
	for {
		head, err := s.buffered()
		if err != nil {
			return err
		}
		if i := bytes.Index(head, []byte("]]>")); i >= 0 {
			s.keep(head[:i], true)
			s.discard(i + 3)
			return nil
		}
		if len(head) < 8 {
			if _, err := s.in.Peek(8); err == nil {
				continue
			}
			if len(head) < 3 {
				return errEnd
			}
		}
		// The section's end may begin in the last two bytes, and a character in the last three.
		n := len(head) - 3
		for n > 0 && !utf8.RuneStart(head[n]) {
			n--
		}
		if n <= 0 {
			n = 1
		}
		s.keep(head[:n], true)
		s.discard(n)
	}
}

// tag reads one tag, and the body behind it where that is an output's.
func (s *splitter) tag() error {
	at := s.line
	tag, err := s.readTag()
	if err != nil {
		return err
	}
	if name, ok := bytes.CutPrefix(tag, []byte("/")); ok {
		return s.closeElement(string(bytes.TrimRight(name, " \t\r\n")), at)
	}
	text, selfClosing := strings.CutSuffix(string(tag), "/")
	name := text
	if i := strings.IndexAny(text, " \t\r\n"); i >= 0 {
		name = text[:i]
	}
	if len(s.open) == 0 && name != "testsuites" && name != "testsuite" {
		return fmt.Errorf("%w: the root element is <%.40s>", ErrNotJUnit, name)
	}
	if !isName(name) {
		return brokenTag(at, text)
	}
	s.root = true
	attrs := attributes(text[len(name):])
	for k, v := range attrs {
		most := maxAttribute
		if k == "name" || k == "classname" {
			most = maxName
		}
		if len(v) > most {
			attrs[k] = strings.ToValidUTF8(v[:most], "")
			s.notes = append(s.notes, Note{Line: at, Code: LongText, Message: fmt.Sprintf("the %s of <%s> is cut to %d bytes", k, name, most)})
		}
	}
	switch name {
	case "testsuite":
		if started, err := time.Parse(time.RFC3339, attrs["timestamp"]); err == nil && s.started.IsZero() {
			s.started = started
		}
	case "testcase":
		s.cases = append(s.cases, Case{Name: attrs["name"], Class: attrs["classname"], Line: at, Status: Passed})
		s.current = len(s.cases) - 1
		attrs[indexAttribute] = strconv.Itoa(s.current)
	case "failure", "error":
		if s.current >= 0 {
			s.failed[s.current] = true
		}
	case "system-out", "system-err":
		if selfClosing {
			return nil
		}
		return s.body(name)
	}
	s.skeleton.WriteString("<" + name)
	for _, k := range slices.Sorted(maps.Keys(attrs)) {
		s.skeleton.WriteString(" " + k + `="`)
		s.sanitise([]byte(attrs[k]), true)
		s.skeleton.WriteByte('"')
	}
	s.skeleton.WriteByte('>')
	s.open = append(s.open, name)
	if selfClosing {
		return s.closeElement(name, at)
	}
	return nil
}

func (s *splitter) closeElement(name string, at int) error {
	if len(s.open) == 0 {
		return fmt.Errorf("line %d: </%.40s> closes nothing", at, name)
	}
	if top := s.open[len(s.open)-1]; top != name {
		return fmt.Errorf("line %d: </%.40s> stands where <%s> is open", at, name, top)
	}
	s.open = s.open[:len(s.open)-1]
	s.skeleton.WriteString("</" + name + ">")
	if name == "testcase" {
		s.current = -1
	}
	return nil
}

func brokenTag(line int, text string) error {
	return fmt.Errorf("line %d: a broken tag <%.40s", line, strings.ToValidUTF8(text, "\ufffd"))
}

// readTag consumes "<…>" and returns what stands between, of a long tag its beginning; a ">" in quotes does not end it.
func (s *splitter) readTag() ([]byte, error) {
	at := s.line
	s.discard(1)
	var tag []byte
	add := func(text []byte) {
		tag = append(tag, text[:min(len(text), maxTag-len(tag))]...)
	}
	quote, before := byte(0), byte(0)
	for {
		head, err := s.buffered()
		if err != nil {
			return nil, err
		}
		for i, c := range head {
			switch {
			case c == '<': // XML forbids it, also in quotes: one of these is missing
				add(head[:i])
				return nil, brokenTag(at, string(tag))
			case quote != 0:
				if c == quote {
					quote = 0
				}
			case c == '"' || c == '\'':
				quote = c
			case c == '>':
				add(head[:i])
				s.discard(i + 1)
				if len(tag) == maxTag && before == '/' {
					tag[maxTag-1] = '/' // it may have been cut off
				}
				return tag, nil
			}
			before = c
		}
		add(head)
		s.discard(len(head))
	}
}

// body hands the body of an output to the caller and skips what is left of it.
func (s *splitter) body(name string) error {
	b := &body{s: s, end: []byte("</" + name)}
	o := Output{Index: s.current, Stream: name, Line: s.line, Text: b}
	if s.current >= 0 {
		o.Case, o.Class = s.cases[s.current].Name, s.cases[s.current].Class
	}
	if s.output != nil {
		if err := s.output(o); err != nil {
			s.stopped = err
			return err
		}
	}
	_, err := io.Copy(io.Discard, b)
	return err
}

// nameForm is what is taken for the name of an element or an attribute: ASCII letters, digits and signs, with a name space or not.
var nameForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*(?::[A-Za-z_][A-Za-z0-9_.-]*)?$`)

func isName(s string) bool { return nameForm.MatchString(s) }

// attributes reads name="value" pairs and decodes the values. What is no pair is passed over.
func attributes(text string) map[string]string {
	found := map[string]string{}
	for {
		text = strings.TrimLeft(text, " \t\r\n/")
		name, rest, ok := strings.Cut(text, "=")
		name = strings.TrimSpace(name)
		rest = strings.TrimLeft(rest, " \t\r\n")
		if !ok || rest == "" || rest[0] != '"' && rest[0] != '\'' {
			return found
		}
		// The value of a tag that was cut has no closing quote.
		value, behind, _ := strings.Cut(rest[1:], rest[:1])
		if isName(name) {
			found[name] = decode(value)
		}
		text = behind
	}
}

// decode resolves the references of an attribute's value.
func decode(value string) string {
	if !strings.Contains(value, "&") {
		return value
	}
	var b strings.Builder
	for value != "" {
		if c, n, ok := reference([]byte(value)); ok {
			b.WriteRune(c)
			value = value[n:]
			continue
		}
		b.WriteByte(value[0])
		value = value[1:]
	}
	return b.String()
}

// reference reads "&name;" or "&#number;" at the beginning of a text.
func reference(text []byte) (c rune, size int, ok bool) {
	if len(text) == 0 || text[0] != '&' {
		return 0, 0, false
	}
	end := bytes.IndexByte(text[:min(len(text), maxReference)], ';')
	if end < 0 {
		return 0, 0, false
	}
	name := string(text[1:end])
	switch name {
	case "lt":
		return '<', end + 1, true
	case "gt":
		return '>', end + 1, true
	case "amp":
		return '&', end + 1, true
	case "quot":
		return '"', end + 1, true
	case "apos":
		return '\'', end + 1, true
	}
	digits, base := "", 10
	if number, ok := strings.CutPrefix(name, "#x"); ok {
		digits, base = number, 16
	} else if number, ok := strings.CutPrefix(name, "#"); ok {
		digits = number
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || !utf8.ValidRune(rune(n)) || !allowed(rune(n)) {
		return 0, 0, false
	}
	return rune(n), end + 1, true
}

// maxReference bounds a reference, "&#x10FFFF;" and some leading zeros.
const maxReference = 16
