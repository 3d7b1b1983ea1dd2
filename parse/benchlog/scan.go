package benchlog

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trtperf/trtperf/parse"
)

// returnSign stands for a line end in texts that were made one line.
const returnSign = "⏎"

// idle is how many lines without a row, a title or a rule a block may hold.
const idle = 200

// Scanner reads the blocks of a log, one after another. Memory stays flat, whatever the log's size.
type Scanner struct {
	lines *lines
	// tasks are the last blocks of each task of the job, by its label; without labels there is one.
	tasks map[string]*opened
	order []*opened // blocks that have not been given out, in the order of their headers
	block *Block
	done  bool

	asked     *int64
	askedLine int
	namespace []byte // the text behind "Namespace("
	// namespaceLine is its line, 0 without one.
	namespaceLine int
	latest        *opened // the block whose header was the last one

	count   int
	long    int // the first line that was too long
	summary Summary
}

// opened is a block that may still grow.
type opened struct {
	Block
	prefix prefix
	width  int
	closed bool // no more rows; the harness's may follow
	final  bool // nothing more can follow
	idle   int  // lines since the last one that belongs to it
}

// NewScanner returns a Scanner of a log.
func NewScanner(r io.Reader) *Scanner {
	return &Scanner{lines: newLines(r), tasks: map[string]*opened{}}
}

// Scan reads to the next block. It is false at the end of the log, or where reading fails.
func (s *Scanner) Scan() bool {
	for {
		// A task that falls silent must not hold back the blocks of the others.
		if i := slices.IndexFunc(s.order, func(o *opened) bool { return o.final || s.done }); i >= 0 {
			s.block = &s.order[i].Block
			s.block.Framework = frameworkOf(s.block.Rows)
			s.order = slices.Delete(s.order, i, i+1)
			return true
		}
		if s.done {
			return false
		}
		l, ok := s.lines.next(s.growing())
		if !ok {
			s.finish()
			continue
		}
		s.summary.Lines = l.number
		if l.part && s.long == 0 {
			s.long = l.number
		}
		s.line(l)
	}
}

// growing reports whether a block takes rows.
func (s *Scanner) growing() bool {
	for _, o := range s.tasks {
		if !o.closed {
			return true
		}
	}
	return false
}

// Block returns the block that Scan has read.
func (s *Scanner) Block() *Block { return s.block }

// Err returns the error of the reader. Text of any kind is no error.
func (s *Scanner) Err() error { return s.lines.err }

// Notes returns what a person should know about the log's text, when it has been read.
func (s *Scanner) Notes() []Note {
	if s.long == 0 {
		return nil
	}
	return []Note{{Line: s.long, Code: LongLine, Message: "a line of more than 1 MiB was looked at in parts"}}
}

// Summary returns what is known of the log when it has been read.
func (s *Scanner) Summary() Summary {
	sum := s.summary
	sum.Blocks = s.count
	sum.Bytes = s.lines.in.bytes
	if sum.Blocks > 0 {
		sum.Skip = ""
	} else if sum.Skip == "" && sum.Death != "" {
		sum.Skip = "no benchmark block; the log says: " + sum.Death
	}
	return sum
}

// finish ends the blocks that are open where the log ends.
func (s *Scanner) finish() {
	s.done = true
	s.lines.release()
	for _, o := range s.order {
		if !o.closed {
			o.End = EndOfLog
		}
	}
}

// line takes a line apart at its carriage returns.
func (s *Scanner) line(l line) {
	text := l.text
	for {
		piece, rest, more := bytes.Cut(text, []byte{'\r'})
		if len(piece) > 0 || !more {
			s.piece(piece, l.number, l.last && !more)
		}
		if !more {
			return
		}
		text = rest
	}
}

// piece takes a piece of text that a terminal would show as a line.
func (s *Scanner) piece(text []byte, number int, last bool) {
	text = clean(text)
	if bytes.Contains(text, []byte(returnSign)) {
		for {
			part, rest, more := bytes.Cut(text, []byte(returnSign))
			s.row(part, number, last && !more)
			if !more {
				return
			}
			text = rest
		}
	}
	s.row(text, number, last)
}

// row takes one line of text: a header, a line of a block, or one outside of blocks.
func (s *Scanner) row(text []byte, number int, last bool) {
	task, n := splitTask(text)
	line := text[n:]
	if h, ok := findHeader(line); ok {
		s.open(task, line, h, number)
		if rest := line[h.end:]; len(bytes.Trim(rest, blanks)) > 0 {
			s.collapsed(task, rest, number, last)
		}
		return
	}
	o := s.tasks[task]
	if o == nil && n > 0 {
		// A digit and a colon may stand at a line's beginning without being a task's label.
		o, line = s.tasks[""], text
	}
	if o != nil && !o.closed && o.take(line, number, last) {
		return
	}
	s.outside(o, line, number, last)
}

// open begins a block.
func (s *Scanner) open(task string, line []byte, h headerLine, number int) {
	before := 0 // line of the task's block before this one
	if o := s.tasks[task]; o != nil {
		if !o.closed {
			o.End, o.closed = NextHeader, true
		}
		o.final = true
		before = o.Line
	}
	s.count++
	o := &opened{prefix: prefix(bytes.Clone(line[:h.start])), width: h.width}
	o.Number, o.Line, o.EndLine = s.count, number, number
	// All tasks of a job may share one command, so what it said is not used up by the first task's block.
	if s.askedLine > before {
		o.Asked, o.AskedLine = s.asked, s.askedLine
	}
	if s.namespaceLine > before {
		o.Namespace = options(s.namespace)
	}
	s.latest = o
	s.summary.Death, s.summary.DeathLine = "", 0
	s.tasks[task] = o
	s.order = append(s.order, o)
}

// collapsed takes the text behind a header in the header's own line: a block whose line ends have become blanks.
func (s *Scanner) collapsed(task string, text []byte, number int, last bool) {
	parts := splitCollapsed(text)
	for i, part := range parts {
		if h, ok := findHeader(part); ok {
			s.open(task, part, h, number)
			continue
		}
		o := s.tasks[task]
		if o.closed || !o.take(part, number, last && i == len(parts)-1) {
			s.outside(o, part, number, last && i == len(parts)-1)
		}
	}
}

// take takes a line of an open block. It is false for a line that is none of the block's.
func (o *opened) take(line []byte, number int, last bool) bool {
	line = o.prefix.strip(line)
	if rule := onlyRule(line); rule > 0 {
		if closes(rule, o.width) {
			o.End, o.closed, o.EndLine = Rule, true, number
		}
		return true
	}
	switch trimmed := bytes.Trim(line, blanks); {
	case bytes.IndexByte(trimmed, '!') >= 0 && bannerLine.Match(trimmed):
		o.Banner, o.idle, o.EndLine = true, 0, number
		return true
	case bytes.HasPrefix(trimmed, []byte("--")) && titleLine.Match(trimmed):
		o.idle, o.EndLine = 0, number
		return true
	case bytes.HasPrefix(trimmed, []byte("```")), bytes.Contains(trimmed, []byte("Namespace(")):
		o.End, o.closed = EndOfLog, true
		return false
	}
	r, ok := rowAt(line, number, last)
	if !ok {
		if o.idle++; o.idle > idle {
			o.End, o.closed = EndOfLog, true
		}
		return false
	}
	o.idle = 0
	if isTrailerLabel(r.Label) {
		o.Trailer = append(o.Trailer, r)
		return true
	}
	o.EndLine = number
	o.Rows = append(o.Rows, r)
	return true
}

var (
	promptsAsked = regexp.MustCompile(`(?:^|[^\w-])(?:--)?num[_-]prompts?(?:=| +)["']?(\d{1,18})(?:[^\w.]|$)`)
	option       = regexp.MustCompile(`([a-z_][a-z0-9_]*)=(?:'([^']*)'|"([^"]*)"|([^,()\s]+))`)
)

// outside takes a line that stands in no block. O is the last block of its task, or nil.
func (s *Scanner) outside(o *opened, line []byte, number int, last bool) {
	for _, l := range landmarksIn(line) {
		switch l.kind {
		case asked:
			if n, ok := lastAsked(line, l.word); ok {
				s.asked, s.askedLine = &n, number
			}
		case namespace:
			inside := line[bytes.Index(line, []byte("Namespace("))+len("Namespace("):]
			if bytes.Contains(inside, []byte("num_prompts=")) {
				s.namespace, s.namespaceLine = bytes.Clone(inside), number
			}
		case trailer:
			if o == nil {
				o = s.latest // the harness writes without a task's label
			}
			if o == nil || o.final {
				continue
			}
			at := trailerStart.FindIndex(line)
			if at == nil {
				continue
			}
			if r, ok := rowAt(line[at[0]:], number, last); ok && isTrailerLabel(r.Label) {
				o.Trailer = append(o.Trailer, r)
			}
		case summary, tool:
			if s.summary.Skip == "" || l.kind == summary {
				s.summary.Skip = l.means
			}
		case death:
			if s.summary.Death == "" {
				s.summary.Death, s.summary.DeathLine = shorten(line), number
			}
		}
	}
}

// lastAsked returns the last number of prompts that a line asks for with a word: the nearest to the block. Lines can be long, so the
// expression sees no more than the word's surroundings.
func lastAsked(line []byte, word string) (int64, bool) {
	const before, behind = 3, 40
	for end := len(line); ; {
		i := bytes.LastIndex(line[:end], []byte(word))
		if i < 0 {
			return 0, false
		}
		window := line[max(0, i-before):min(len(line), i+len(word)+behind)]
		if m := promptsAsked.FindSubmatch(window); m != nil {
			if n, err := strconv.ParseInt(string(m[1]), 10, 64); err == nil {
				return n, true
			}
		}
		end = i
	}
}

// options reads the options of a client's Namespace; nil without one.
func options(namespace []byte) map[string]string {
	if namespace == nil {
		return nil
	}
	found := map[string]string{}
	for _, m := range option.FindAllSubmatch(namespace, -1) {
		value := text(bytes.Join(m[2:], nil))
		if value != "None" {
			found[string(m[1])] = value
		}
	}
	return found
}

// shorten makes a line fit into a message.
func shorten(line []byte) string {
	const most = 160
	s := strings.TrimSpace(text(line))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// known are the labels that the metric table and the settings have. A line with one needs no second look.
var known = func() []string {
	all := parse.Settings()
	for m := range parse.Metrics().All() {
		all = append(all, m.Labels...)
	}
	return all
}()

var isKnown = func() map[string]bool {
	set := map[string]bool{}
	for _, label := range known {
		set[label] = true
	}
	return set
}()

// knownLabels finds known labels, each with its colon.
var knownLabels = regexp.MustCompile(func() string {
	quoted := make([]string, len(known))
	for i, label := range known {
		quoted[i] = regexp.QuoteMeta(label)
	}
	return `(?:^|[ \t])((?:` + strings.Join(quoted, "|") + `):)(?:[ \t]|$)`
}())

// ruleRun is a rule, a section's title with its dashes, or a line of the failure banner in a collapsed text.
var ruleRun = regexp.MustCompile(`={3,}!?[^=]*?!?={3,}|={20,}|-{4,}[^-]+-{4,}|-{20,}`)

// splitCollapsed parts a text whose line ends have become blanks into what were its lines, by the labels that are known.
func splitCollapsed(text []byte) [][]byte {
	begins := map[int]bool{0: true}
	for at := 0; at < len(text); {
		m := knownLabels.FindSubmatchIndex(text[at:])
		if m == nil {
			break
		}
		begins[at+m[2]] = true
		at += m[3]
	}
	for _, m := range ruleRun.FindAllIndex(text, -1) {
		begins[m[0]], begins[m[1]] = true, true
	}
	var parts [][]byte
	start := 0
	for i := 1; i <= len(text); i++ {
		if i == len(text) || begins[i] {
			parts = append(parts, text[start:i])
			start = i
		}
	}
	return parts
}
