package benchlog

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/trtperf/trtperf/parse"
)

// returnSign stands for a line end in texts that were made one line.
const returnSign = "⏎"

// idle is how many lines without a row, a title or a rule a block may hold.
const idle = 200

// Scanner reads the blocks of a log, one after another. Memory stays flat, whatever the log's size.
type Scanner struct {
	lines *lines
	*room
	// labelled are those of the job's tasks that have labels, by these.
	labelled map[string]*task
	whole    *task     // that without a label, or nil
	all      []*task   // all tasks
	order    []*opened // blocks that have not been given out, in the order of their headers
	ended    bool      // some of these may be final
	// given is the block that was given out, spare one that can be used again; nil for none.
	given, spare *opened
	done         bool

	asked     *int64
	askedLine int
	// namespaceLine is the line of the namespace, 0 without one.
	namespaceLine int
	latest        *opened // the block whose header was the last one

	label   string // of the task that printed the line
	count   int
	long    int // the first line that was too long
	mixed   int // the first header inside another block
	broken  int // the first header whose rule is interrupted
	summary Summary

	// own are the user's own expressions, or nil; hits are those of InLog since the last block.
	own  *search
	hits []parse.Hits
}

// room is what a Scanner works with. The next one goes on with it: most logs are short, and what their rows are is learnt from the logs before.
type room struct {
	rows      recent
	look      looker
	namespace []byte // the text behind the last "Namespace(" with num_prompts=
}

var rooms = sync.Pool{New: func() any { return &room{} }}

// release gives the room back, without what is large or full.
func (s *Scanner) release() {
	const most = 16 << 10
	if cap(s.namespace) > most {
		s.namespace = nil
	}
	if len(s.rows.labels) == mostLabels {
		clear(s.rows.labels)
	}
	rooms.Put(s.room)
	s.room = nil
}

// usualRows is how many rows most blocks have at most.
const usualRows = 32

// opened is a block that may still grow.
type opened struct {
	Block
	prefix prefix
	width  int
	closed bool        // no more rows; the harness's may follow
	final  bool        // nothing more can follow
	idle   int         // lines since the last one that belongs to it
	report bool        // it is trtllm-bench's
	form   uint8       // which of the forms its rows have, the first one; len(forms) for none
	last   *knownLabel // the plain label of its last row with one, nil for none
	recent *recent
	rows   int // how many it will have, perhaps
}

// task is what one task of the job prints.
type task struct {
	block *opened // the last one
	// title is the title of a section of trtllm-bench's report, if that was the task's last line: only a rule below makes it one.
	title sectionTitle
	// details is the section before a report's figures whose rows are being read; nil outside of one.
	details *opened
	// known are the rows of such sections since the last block.
	known []parse.Row
}

// NewScanner returns a Scanner of a log, which looks for expressions of the user's own too; nil has none.
func NewScanner(r io.Reader, e *Expressions) *Scanner {
	s := &Scanner{room: rooms.Get().(*room)}
	if e != nil {
		s.own = &e.client
	}
	s.lines = newLines(r, s.own)
	return s
}

// Scan reads to the next block. It is false at the end of the log, or where reading fails.
func (s *Scanner) Scan() bool {
	s.reuse()
	for {
		// A task that falls silent must not hold back the blocks of the others.
		i := -1
		if s.ended || s.done {
			i = slices.IndexFunc(s.order, func(o *opened) bool { return o.final || s.done })
			s.ended = i >= 0
		}
		if i >= 0 {
			o := s.order[i]
			s.given = o
			if int(o.form) < len(forms) {
				o.Framework = forms[o.form].framework
			}
			if s.done && len(s.order) == 1 {
				for _, h := range s.hits { // those behind the last block
					parse.HitsOf(&o.Hits, h.Metric).Join(h)
				}
			}
			s.order = slices.Delete(s.order, i, i+1)
			return true
		}
		if s.done {
			return false
		}
		s.likelyRows()
		l, ok := s.lines.next(s.growing() || s.own.everyLine())
		if !ok {
			s.finish()
			continue
		}
		s.summary.Lines = l.number
		if l.part && s.long == 0 {
			s.long = l.number
		}
		if s.whole == nil || !s.plain(s.whole, l) {
			s.line(l)
		}
	}
}

// reuse takes back the block that was given out, unless a line to come may need to know of it.
func (s *Scanner) reuse() {
	o := s.given
	s.given = nil
	if o == nil || o == s.latest || slices.ContainsFunc(s.all, func(t *task) bool { return t.block == o }) {
		return
	}
	s.spare = o
}

// plain takes a line of an open block, of a task without a label, that needs no close look: it holds neither a label nor a header nor what a
// terminal does not show. It is false for any other line; [Scanner.line] would do the same.
func (s *Scanner) plain(t *task, l line) bool {
	if !s.mayBePlain(t) || l.last || l.part {
		return false
	}
	if t.block.takeLikely(l.text, l.number) {
		return true
	}
	if !isPlain(l.text) {
		return false
	}
	if !t.block.take(l.text, l.number, false) {
		s.outside(t, l.text, l.number, false, s.look.in(s.lines.finder, l.text))
	}
	return true
}

// mayBePlain reports whether a task's next line may be a plain one.
func (s *Scanner) mayBePlain(t *task) bool {
	return t.block != nil && !t.block.closed && t.details == nil && t.title.part == 0 && s.own == nil
}

// likelyRows takes the rows that follow where they lie, as long as each is the one that is likely: nearly all rows of a log with many blocks.
// [Scanner.plain] would do the same with each.
func (s *Scanner) likelyRows() {
	if s.whole == nil || !s.mayBePlain(s.whole) {
		return
	}
	if size, count := s.whole.block.takeRows(s.lines.text(), s.lines.number); count > 0 {
		s.lines.pass(size, count)
		s.summary.Lines = s.lines.number - 1
	}
}

// mostPlain is the most of a plain line.
const mostPlain = 256

// isPlain reports whether a line is short, begins with a letter or a sign, and holds no "=" and no byte beyond ASCII's printable ones; or is a
// rule.
func isPlain(text []byte) bool {
	if len(text) == 0 || len(text) > mostPlain || !plainBegin[text[0]] {
		return false
	}
	if text[0] == '=' {
		return onlyRule(text) > 0 && text[len(text)-1] == '='
	}
	for _, c := range text {
		if !plainByte[c] {
			return false
		}
	}
	return true
}

// plainByte are the bytes of plain lines, plainBegin those that these begin with: no task's label does.
var plainByte, plainBegin = func() (all, begin [256]bool) {
	for c := ' '; c <= '~'; c++ {
		all[c] = c != '='
		begin[c] = c > ' ' && c != '[' && (c < '0' || c > '9')
	}
	return all, begin
}()

// growing reports whether a block takes rows.
func (s *Scanner) growing() bool {
	for _, t := range s.all {
		if t.block != nil && !t.block.closed || t.details != nil || t.title.part != 0 {
			return true
		}
	}
	return false
}

// Block returns the block that Scan has read, nil where there was none. It is valid until the next call of Scan; what it refers to stays.
func (s *Scanner) Block() *Block {
	if s.given == nil {
		return nil
	}
	return &s.given.Block
}

// Err returns the error of the reader. Text of any kind is no error.
func (s *Scanner) Err() error { return s.lines.err }

// Notes returns what a person should know about the log's text, when it has been read.
func (s *Scanner) Notes() []Note {
	var notes []Note
	if s.long > 0 {
		notes = append(notes, Note{s.long, LongLine, "a line of more than 1 MiB was looked at in parts"})
	}
	if s.broken > 0 {
		notes = append(notes, Note{s.broken, BrokenRule, "a block's header has something between its signs: the log may be damaged"})
	}
	if s.mixed > 0 {
		notes = append(notes, Note{s.mixed, Interleaved, "a block begins inside another one: if several tasks wrote to this log, their lines " +
			"are mixed and their numbers may be too; srun --label keeps them apart"})
	}
	return notes
}

// Summary returns what is known of the log when it has been read.
func (s *Scanner) Summary() Summary {
	sum := s.summary
	sum.Blocks = s.count
	sum.Bytes = s.lines.bytes()
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
	s.release()
	for _, o := range s.order {
		if !o.closed {
			o.End = EndOfLog
		}
	}
}

// line takes a line apart at its carriage returns. Its first piece alone has a task's label.
func (s *Scanner) line(l line) {
	text := l.text
	s.label, _ = splitTask(text)
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
	label, n := splitTask(text)
	if n == 0 {
		label = s.label
	}
	line := text[n:]
	if h, ok := findHeader(line); ok {
		if s.broken == 0 && h.broken(line) {
			s.broken = number
		}
		s.open(label, line[:h.start], h.width, number)
		if rest := line[h.end:]; len(trim(rest)) > 0 {
			s.collapsed(label, rest, number, last)
		}
		return
	}
	t := s.known(label)
	if t == nil && label != "" {
		// A digit and a colon may stand at a line's beginning without being a task's label.
		t, line = s.whole, text
	}
	if t != nil && s.section(t, label, line) {
		return
	}
	if title, ok := findTitle(line, number); ok {
		if t == nil {
			t = s.task(label)
		}
		t.title = title
		return
	}
	inBlock := t != nil && t.block != nil && !t.block.closed
	var found []int
	if s.own != nil {
		found = s.look.in(s.own.finder, line)
		s.match(t, line, number, inBlock, found)
	}
	if inBlock && t.block.take(line, number, last) {
		return
	}
	if t != nil && t.details != nil && t.details.take(line, number, last) {
		return
	}
	if s.own == nil {
		found = s.look.in(s.lines.finder, line)
	}
	s.outside(t, line, number, last, found)
}

// known returns the task with a label, or nil.
func (s *Scanner) known(label string) *task {
	if label == "" {
		return s.whole // mostly so
	}
	return s.labelled[label]
}

// task returns the task with a label, which may be new.
func (s *Scanner) task(label string) *task {
	t := s.known(label)
	if t != nil {
		return t
	}
	t = &task{}
	switch {
	case label == "":
		s.whole = t
	case s.labelled == nil:
		s.labelled = map[string]*task{label: t}
	default:
		s.labelled[label] = t
	}
	s.all = append(s.all, t)
	return t
}

// section takes the line behind a section's title and begins the section, if the line is a rule. It is false for any other line.
func (s *Scanner) section(t *task, label string, line []byte) bool {
	if d := t.details; d != nil && d.closed {
		t.known, t.details = append(t.known, d.Rows...), nil
	}
	title := t.title
	if title.part == 0 {
		return false
	}
	t.title = sectionTitle{}
	width := onlyRule(title.prefix.strip(line))
	if width < leastRule {
		return false
	}
	switch b := t.block; {
	case title.part == detail:
		if b != nil {
			b.closed, b.final, s.ended = true, true, true
		}
		t.details = &opened{prefix: title.prefix, width: width, report: true, recent: &s.rows}
	case title.part == goesOn && b != nil && b.report && !b.final:
		b.closed, b.idle = false, 0
	default:
		s.open(label, title.prefix, width, title.line)
		t.block.report = true
		t.block.Details, t.known = t.known, nil
	}
	return true
}

// open begins a block. Before stands before its header in the line.
func (s *Scanner) open(label string, before []byte, width, number int) {
	t := s.task(label)
	since := 0 // line of the task's block before this one
	if o := t.block; o != nil {
		if !o.closed {
			o.End, o.closed = NextHeader, true
			if s.mixed == 0 {
				s.mixed = number
			}
		}
		o.final, s.ended = true, true
		since = o.Line
	}
	t.details, t.title = nil, sectionTitle{}
	s.count++
	o := s.spare
	if s.spare = nil; o == nil {
		o = &opened{}
	}
	*o = opened{prefix: prefix(bytes.Clone(before)), width: width, form: uint8(len(forms)), recent: &s.rows, rows: usualRows}
	if s.latest != nil {
		o.rows = len(s.latest.Rows) // a client's blocks have equally many
	}
	o.Number, o.Line, o.EndLine = s.count, number, number
	o.Hits, s.hits = s.hits, nil
	// All tasks of a job may share one command, so what it said is not used up by the first task's block.
	if s.askedLine > since {
		o.Asked, o.AskedLine = s.asked, s.askedLine
	}
	if s.namespaceLine > since {
		o.Options = optionsOf(s.namespace, s.rows.of)
	}
	s.latest = o
	s.summary.Death, s.summary.DeathLine = "", 0
	t.block = o
	s.order = append(s.order, o)
}

// collapsed takes the text behind a header in the header's own line: a block whose line ends have become blanks.
func (s *Scanner) collapsed(label string, text []byte, number int, last bool) {
	parts := splitCollapsed(text)
	for i, part := range parts {
		if h, ok := findHeader(part); ok {
			s.open(label, part[:h.start], h.width, number)
			continue
		}
		t := s.known(label)
		if t.block.closed || !t.block.take(part, number, last && i == len(parts)-1) {
			s.outside(t, part, number, last && i == len(parts)-1, s.look.in(s.lines.finder, part))
		}
	}
}

// take takes a line of an open block. It is false for a line that is none of the block's.
func (o *opened) take(line []byte, number int, last bool) bool {
	line = trim(o.prefix.strip(line))
	if k, value := splitKnown(line, o.recent.after(o.last)); k != nil {
		o.takeKnown(k, value, number, last)
		return true
	}
	if rule := onlyRule(line); rule > 0 {
		if closes(rule, o.width) {
			o.End, o.closed, o.EndLine = Rule, true, number
		}
		return true
	}
	switch {
	case bytes.IndexByte(line, '!') >= 0 && bannerLine().Match(line):
		o.Banner, o.idle, o.EndLine = true, 0, number
		return true
	case isTitle(line) || o.report && bytes.HasPrefix(line, []byte("-- ")):
		o.idle, o.EndLine = 0, number
		return true
	case bytes.HasPrefix(line, []byte("```")), bytes.Contains(line, []byte("Namespace(")):
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
	r = o.recent.labelled(r)
	o.add(&r, formOf(r.Label))
	return true
}

// takeLikely takes a line that has the label which is likely now. Such a line is a plain one.
func (o *opened) takeLikely(line []byte, number int) bool {
	likely := o.recent.after(o.last)
	if likely == nil || len(o.prefix) > 0 {
		return false
	}
	k, value := splitLikely(trimRight(line), likely)
	if k == nil {
		return false
	}
	o.takeKnown(k, value, number, false)
	return true
}

// takeRows takes the lines with which a text begins, as long as each is a row with the label that is likely then, or a section's title. It returns
// their size and number.
func (o *opened) takeRows(text []byte, number int) (size, count int) {
	if len(o.prefix) > 0 {
		return 0, 0
	}
	for {
		rest := text[size:]
		if n := titleSize(rest); n > 0 {
			o.idle, o.EndLine = 0, number+count
			size, count = size+n, count+1
			continue
		}
		likely := o.recent.after(o.last)
		if likely == nil {
			return size, count
		}
		value, n := likelyRow(rest, likely)
		if n == 0 {
			return size, count
		}
		o.takeKnown(likely, value, number+count, false)
		size, count = size+n, count+1
	}
}

// takeKnown takes a row with a plain label.
func (o *opened) takeKnown(k *knownLabel, value []byte, number int, last bool) {
	o.idle, o.EndLine = 0, number
	row := o.add(&k.row, k.form)
	row.Text, row.Line, row.Cut = o.recent.of(value), number, last
	o.recent.follows(o.last, k)
	o.last = k
}

// add adds a copy of a row, whose label is one of a form's, and returns it.
func (o *opened) add(r *parse.Row, form uint8) *parse.Row {
	if o.Rows == nil {
		o.Rows = parse.NewRows(o.rows)
	}
	o.Rows = append(o.Rows, *r)
	o.form = min(o.form, form)
	return &o.Rows[len(o.Rows)-1]
}

// match tries the user's own expressions on a line that holds landmarks.
func (s *Scanner) match(t *task, line []byte, number int, inBlock bool, found []int) {
	for e := range s.own.candidates(found) {
		switch {
		case e.metric.Place == parse.InLog:
			e.match(line, number, &s.hits)
		case inBlock:
			e.match(line, number, &t.block.Hits)
		}
	}
}

// outside takes a line that stands in no block and holds landmarks. T is its task, nil for one that has printed nothing of interest yet.
func (s *Scanner) outside(t *task, line []byte, number int, last bool, found []int) {
	for _, n := range found {
		if n >= len(landmarks) {
			break // the user's own
		}
		switch l := landmarks[n]; l.kind {
		case asked:
			if n, ok := lastAsked(line, l.word, s.look.last[n]); ok {
				s.asked, s.askedLine = &n, number
			}
		case namespace:
			const word, prompts = "Namespace(", "num_prompts="
			inside := line[bytes.Index(line, []byte(word))+len(word):]
			last := s.look.last[promptsLandmark] - (len(line) - len(inside)) // mostly the only one
			if found[0] == promptsLandmark && last >= 0 && bytes.HasPrefix(inside[last:], []byte(prompts)) || bytes.Contains(inside, []byte(prompts)) {
				s.namespace, s.namespaceLine = append(s.namespace[:0], inside...), number
			}
		case trailer:
			o := s.latest // the harness writes without a task's label
			if t != nil && t.block != nil {
				o = t.block
			}
			if o == nil || o.final {
				continue
			}
			at := trailerStart().FindIndex(line)
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

// lastAsked returns the last number of prompts that a line asks for with a word: the nearest to the block. The word's last place is known.
func lastAsked(line []byte, word string, last int) (number int64, ok bool) {
	if number, ok := askedAt(line, last, len(word)); ok {
		return number, true
	}
	for from := 0; ; from += len(word) {
		i := bytes.Index(line[from:], []byte(word))
		if i < 0 {
			return number, ok
		}
		from += i
		if n, isNumber := askedAt(line, from, len(word)); isNumber {
			number, ok = n, true
		}
	}
}

// askedAt reads "num_prompts=80", "--num-prompts 80" or "num_prompt='80'" whose word stands at a place. It is no part of a longer name or
// number.
func askedAt(line []byte, at, length int) (int64, bool) {
	before := bytes.TrimSuffix(line[:at], []byte("--"))
	if n := len(before); n > 0 && (isWord(before[n-1]) || before[n-1] == '-') {
		return 0, false
	}
	rest := bytes.TrimPrefix(line[at+length:], []byte("s"))
	if value, ok := bytes.CutPrefix(rest, []byte("=")); ok {
		rest = value
	} else if value := bytes.TrimLeft(rest, " "); len(value) < len(rest) {
		rest = value
	} else {
		return 0, false
	}
	if len(rest) > 0 && (rest[0] == '"' || rest[0] == '\'') {
		rest = rest[1:]
	}
	n := digits(rest)
	if len(rest) > n && (isWord(rest[n]) || rest[n] == '.') {
		return 0, false
	}
	number, err := strconv.ParseInt(string(rest[:n]), 10, 64)
	return number, err == nil
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
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

// knownLabel is a label that needs no copy of its own.
type knownLabel struct {
	row    parse.Row // with the label alone
	number uint8     // among the known labels, from 1, if it is plain; 0 for others
	form   uint8
	// plain says that it begins with a letter, and that no other line than a block's row begins with it.
	plain bool
}

// isKnown gives for a known label the label, numbered for a number of a plain one the same.
var isKnown, numbered = func() (set map[string]*knownLabel, numbered [256]*knownLabel) {
	set = map[string]*knownLabel{}
	for n, label := range known {
		k := &knownLabel{row: parse.RowOf(label), form: formOf(label)}
		begin := label[0] | 0x20
		k.plain = begin >= 'a' && begin <= 'z' && !strings.ContainsAny(label, ":!=") && !isTrailerLabel(label)
		if k.plain && n+1 < len(numbered) {
			k.number, numbered[n+1] = uint8(n+1), k
		}
		set[label] = k
	}
	return set, numbered
}()

// knownLabels finds known labels, each with its colon.
var knownLabels = sync.OnceValue(func() *regexp.Regexp {
	quoted := make([]string, len(known))
	for i, label := range known {
		quoted[i] = regexp.QuoteMeta(label)
	}
	return regexp.MustCompile(`(?:^|[ \t])((?:` + strings.Join(quoted, "|") + `):)(?:[ \t]|$)`)
})

// ruleRun is a rule, a section's title with its dashes, or a line of the failure banner in a collapsed text.
var ruleRun = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`={3,}!?[^=]*?!?={3,}|={20,}|-{4,}[^-]+-{4,}|-{20,}`)
})

// splitCollapsed parts a text whose line ends have become blanks into what were its lines, by the labels that are known.
func splitCollapsed(text []byte) [][]byte {
	begins := map[int]bool{0: true}
	for at := 0; at < len(text); {
		m := knownLabels().FindSubmatchIndex(text[at:])
		if m == nil {
			break
		}
		begins[at+m[2]] = true
		at += m[3]
	}
	for _, m := range ruleRun().FindAllIndex(text, -1) {
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
