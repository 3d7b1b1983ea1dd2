package benchlog

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/trtperf/trtperf/parse"
)

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// trimLeft drops the blanks at the beginning.
func trimLeft(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	return b
}

// trimRight drops the blanks at the end.
func trimRight(b []byte) []byte {
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// trim drops the blanks around.
func trim(b []byte) []byte { return trimLeft(trimRight(b)) }

// escape is a terminal's control sequence: colours and cursor movements, titles, and others of two bytes.
var escape = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-Za-z]|[@-Z\\^_=>78])`)

// clean drops what a terminal does not show, and makes other blanks plain ones.
func clean(text []byte) []byte {
	if bytes.IndexByte(text, 0x1b) >= 0 {
		text = escape.ReplaceAll(text, nil)
	}
	if bytes.IndexByte(text, 0) >= 0 {
		text = bytes.ReplaceAll(text, []byte{0}, nil)
	}
	if bytes.Contains(text, []byte("\u00a0")) {
		text = bytes.ReplaceAll(text, []byte("\u00a0"), []byte(" "))
	}
	return bytes.TrimPrefix(text, []byte("\ufeff"))
}

// splitRow reads a line by the rule for rows.
func splitRow(line []byte) (label, value string, ok bool) {
	line = trim(line)
	colon := rowColon(line)
	if colon < 0 {
		return "", "", false
	}
	name := trimRight(line[:colon])
	if len(name) == 0 || name[0] == '|' || gap(name) >= 0 {
		return "", "", false
	}
	content := trimLeft(line[colon+1:])
	if i := gap(content); i >= 0 {
		content = content[:i]
	}
	if len(content) == 0 {
		return "", "", false
	}
	if label, ok := isKnown[string(name)]; ok {
		return label.row.Label, text(content), true
	}
	if isRecord(line) {
		return "", "", false
	}
	return text(name), text(content), true
}

// splitKnown reads a line without blanks around by the rule for rows, if it is a known plain label with a number or words, as nearly all
// rows are; else the label is nil. [splitRow] gives the same. Likely is a plain label that the line probably has, or nil.
func splitKnown(line []byte, likely *knownLabel) (label *knownLabel, value []byte) {
	if likely != nil {
		if label, value = splitLikely(line, likely); label != nil {
			return label, value
		}
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return nil, nil
	}
	if value = word(line[colon:]); value == nil {
		return nil, nil
	}
	if label = isKnown[string(line[:colon])]; label == nil || !label.plain {
		return nil, nil
	}
	return label, value
}

// splitLikely does so where the line has a likely label.
func splitLikely(line []byte, likely *knownLabel) (label *knownLabel, value []byte) {
	n := len(likely.row.Label)
	if n >= len(line) || line[n] != ':' || string(line[:n]) != likely.row.Label {
		return nil, nil
	}
	if value = word(line[n:]); value == nil {
		return nil, nil
	}
	return likely, value
}

// likelyRow reads the first line of a text, without blanks before it, as [splitLikely] does. Size is that of the line with its end, and 0 where it
// is no such row or is not there to its end.
func likelyRow(text []byte, likely *knownLabel) (value []byte, size int) {
	n := len(likely.row.Label)
	if n >= len(text) || text[n] != ':' || string(text[:n]) != likely.row.Label {
		return nil, 0
	}
	begin, end := wordsAt(text, n)
	size = end
	for size < len(text) && isBlank(text[size]) {
		size++
	}
	if begin == end || size == len(text) || text[size] != '\n' || size > mostPlain {
		return nil, 0
	}
	return text[begin:end], size + 1
}

// titleSize returns the size, with its end, of the first line of a text if that is a section's title of plain bytes, else 0.
func titleSize(text []byte) int {
	if len(text) < 2 || text[0] != '-' || text[1] != '-' {
		return 0
	}
	n := 0
	for n < len(text) && plainByte[text[n]] {
		n++
	}
	if n == len(text) || text[n] != '\n' || n > mostPlain || !isTitle(trimRight(text[:n])) {
		return 0
	}
	return n + 1
}

// word returns the number or the words that stand alone behind a colon and blanks, or nil.
func word(text []byte) []byte {
	if begin, end := wordsAt(text, 0); begin < end && end == len(text) {
		return text[begin:end]
	}
	return nil
}

// wordsAt returns where the number or the words begin and end that stand behind a colon and blanks. There may be none.
func wordsAt(text []byte, colon int) (begin, end int) {
	begin = colon + 1
	for begin < len(text) && text[begin] == ' ' {
		begin++
	}
	end = begin
	if begin == colon+1 {
		return begin, end
	}
	for end < len(text) && (wordByte[text[end]] || text[end] == ' ' && end+1 < len(text) && wordByte[text[end+1]]) {
		end++
	}
	return begin, end
}

// wordByte are the bytes of numbers and words. Single blanks may part them.
var wordByte = func() (set [256]bool) {
	for c := range set {
		set[c] = isWord(byte(c)) || c == '.' || c == '-' || c == '+' || c == '/'
	}
	return set
}()

// recent is what is kept of the rows that came before.
type recent struct {
	// texts are those of many rows together, since an own place in memory for each would take most of the time.
	texts strings.Builder
	// followed gives for a label's number the plain label that followed it the last time, and for 0 the one that began a block: the
	// blocks of one client have the same labels in the same order, so that most need not be looked up. A number 0 is none.
	followed [256]uint8
	// labels are rows without values that have labels of no known plain form, so that each is looked up once.
	labels map[string]parse.Row
}

// mostLabels is how many of these are kept, none of them longer than a plain line.
const mostLabels = 100

// labelled returns the row with what is known of its label.
func (r *recent) labelled(row parse.Row) parse.Row {
	if r == nil {
		return row
	}
	with, ok := r.labels[row.Label]
	if !ok {
		if len(r.labels) == mostLabels || len(row.Label) > mostPlain {
			return row
		}
		if r.labels == nil {
			r.labels = map[string]parse.Row{}
		}
		with = parse.RowOf(row.Label)
		r.labels[row.Label] = with
	}
	with.Text, with.Line, with.Cut = row.Text, row.Line, row.Cut
	return with
}

// of returns a copy of a text.
func (r *recent) of(text []byte) string {
	const room = 512
	if r == nil || len(text) > room/4 {
		return string(text)
	}
	t := &r.texts
	if t.Cap()-t.Len() < len(text) {
		t.Reset()
		t.Grow(room)
	}
	begin := t.Len()
	t.Write(text)
	return t.String()[begin:]
}

// place is where followed has what follows a label; nil is none.
func place(label *knownLabel) uint8 {
	if label == nil {
		return 0
	}
	return label.number
}

// after returns the label that probably follows another one, or nil.
func (r *recent) after(label *knownLabel) *knownLabel {
	if r == nil {
		return nil
	}
	return numbered[r.followed[place(label)]]
}

// follows notes that a label follows another one.
func (r *recent) follows(label, next *knownLabel) {
	if r == nil {
		return
	}
	r.followed[place(label)] = next.number
}

// rowColon returns the place of the first colon that a blank or the end follows, or -1.
func rowColon(line []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(line[i:], ':')
		if n < 0 {
			return -1
		}
		i += n
		if i+1 == len(line) || line[i+1] == ' ' || line[i+1] == '\t' {
			return i
		}
	}
}

// gap returns where the first two blanks in a row, or the first tab, stand, or -1.
func gap(b []byte) int {
	for i, c := range b {
		if c == '\t' || c == ' ' && i+1 < len(b) && (b[i+1] == ' ' || b[i+1] == '\t') {
			return i
		}
	}
	return -1
}

func text(b []byte) string { return strings.ToValidUTF8(string(b), "\ufffd") }

// isRecord reports whether a line that has a colon belongs to somebody else who writes to the same log; see record.
func isRecord(line []byte) bool {
	second := byte(0)
	if len(line) > 1 {
		second = line[1]
	}
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	// The expression is slow, and few lines can match it.
	switch c := line[0]; {
	case c == '-', c == '[', c == '(', isDigit(c), isDigit(second) && bytes.IndexByte([]byte("IWEF"), c) >= 0, c == 'F' && second == 'i',
		slices.ContainsFunc(recordWords, func(word string) bool { return bytes.HasPrefix(line, []byte(word)) }), bytes.Contains(line, []byte("%|")), bytes.Contains(line, []byte(".py:")), bytes.Contains(line, []byte("Error: ")),
		bytes.Contains(line, []byte("Exception: ")), bytes.Contains(line, []byte("Warning: ")):
		return record.Match(line)
	}
	return false
}

// recordWords are the beginnings of words that a record begins with.
var recordWords = []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "CRITICAL", "FATAL", "srun", "sbatch", "salloc", "slurmstepd"}

// record matches section titles, progress bars and the records of loggers, warnings and exceptions.
var record = regexp.MustCompile(`^--.*--$` +
	`|\d%\|` + // a progress bar
	`|^\[?\d{4}[-/]\d\d[-/]\d\d[T -]` + // 2026-01-02 03:04:05
	`|^\[?\d\d[-/]\d\d[-/]\d{4}[ -]` + // [01/02/2026-03:04:05]
	`|^\[?\d\d:\d\d:\d\d\b` +
	`|^[IWEF]\d{4} \d\d:` + // I0102 03:04:05
	`|^\([^()]*\bpid=\d+[^()]*\)` + // (EngineCore pid=158)
	`|^\[(?:TensorRT-LLM|TRT-LLM)\]` +
	`|^\[[\w.-]+:\d+(?::\d+)*\] ` + // [host:1722:0]
	`|^(?:TRACE|DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)\b` +
	`|^(?:srun|sbatch|salloc|slurmstepd[\w-]*): ` +
	`|^[A-Za-z_][\w.]*(?:Error|Exception|Warning): ` +
	`|\.py:\d+: ` +
	`|^File "`)

// prefix is what stands before a header in its line and perhaps before each row too.
type prefix []byte

// strip returns the line without the prefix, or the whole line where it has none. Any number may stand for a number, and any blanks
// for blanks.
func (p prefix) strip(line []byte) []byte {
	i, j := 0, 0
	for i < len(p) {
		switch {
		case p[i] >= '0' && p[i] <= '9':
			m := digits(line[j:])
			if m == 0 {
				return line
			}
			i, j = i+digits(p[i:]), j+m
		case p[i] == ' ' || p[i] == '\t':
			m := len(line[j:]) - len(trimLeft(line[j:]))
			if m == 0 && i > 0 && j < len(line) {
				return line
			}
			i, j = len(p)-len(trimLeft(p[i:])), j+m
		case j == len(line) || p[i] != line[j]:
			return line
		default:
			i, j = i+1, j+1
		}
	}
	return line[j:]
}

// digits counts the leading digits.
func digits(b []byte) int {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return n
}

// splitTask returns the task that printed a line, empty if no label says so, and the length of the label: srun --label's " 3: ", or
// mpirun's "[1,3]<stdout>:", in which a host and "@" may stand before the numbers.
func splitTask(line []byte) (task string, n int) {
	if len(line) == 0 {
		return "", 0
	}
	if line[0] == '[' {
		return splitRank(line)
	}
	const mostDigits = 7
	begin := 0
	for begin < len(line) && line[begin] == ' ' {
		begin++
	}
	end := begin + digits(line[begin:min(len(line), begin+mostDigits)])
	if end == begin || end == len(line) || line[end] != ':' || end+1 < len(line) && line[end+1] != ' ' {
		return "", 0
	}
	if task = string(bytes.TrimLeft(line[begin:end], "0")); task == "" {
		task = "0"
	}
	return task, min(end+2, len(line))
}

// splitRank does so for mpirun's label.
func splitRank(line []byte) (task string, n int) {
	begin := 1
	for end := begin; end < len(line) && (isWord(line[end]) || line[end] == '.' || line[end] == '-' || line[end] == '@'); end++ {
		if line[end] == '@' {
			if end == begin {
				return "", 0
			}
			begin = end + 1
			break
		}
	}
	job := digits(line[begin:])
	comma := begin + job
	if job == 0 || comma == len(line) || line[comma] != ',' {
		return "", 0
	}
	rank := digits(line[comma+1:])
	end := comma + 1 + rank
	if rank == 0 {
		return "", 0
	}
	for _, stream := range []string{"]<stdout>:", "]<stderr>:", "]<stddiag>:"} {
		if rest, ok := bytes.CutPrefix(line[end:], []byte(stream)); ok {
			return string(line[begin:end]), len(line) - len(bytes.TrimPrefix(rest, []byte(" ")))
		}
	}
	return "", 0
}

// headerLine is a header found in a text.
type headerLine struct {
	start, end int // with its runs of "="
	width      int
}

// broken reports whether the rule of a header goes on behind something that is no part of it, or is longer on one side.
func (h headerLine) broken(b []byte) bool {
	left := bytes.Index(b[h.start:], []byte(title))
	right := h.end - h.start - left - len(title)
	return left != right || bytes.HasSuffix(b[:max(0, h.start-1)], []byte("=")) || h.end+1 < len(b) && b[h.end+1] == '='
}

// findHeader returns the first header in a text.
func findHeader(b []byte) (headerLine, bool) {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(title))
		if i < 0 {
			return headerLine{}, false
		}
		i += from
		from = i + len(title)
		left := bytes.TrimRight(b[:i], " ")
		h := headerLine{start: len(bytes.TrimRight(left, "="))}
		right := bytes.TrimLeft(b[from:], " ")
		tail := bytes.TrimLeft(right, "=")
		h.end = len(b) - len(tail)
		h.width = h.end - h.start
		const least = 3
		if len(left)-h.start >= least && len(right)-len(tail) >= least {
			return h, true
		}
	}
}

// onlyRule returns the width of a rule of "=" alone, or 0.
func onlyRule(line []byte) int {
	line = trim(line)
	for _, c := range line {
		if c != '=' {
			return 0
		}
	}
	return len(line)
}

// leastRule is the least width of a rule.
const leastRule = 20

// closes reports whether a rule may close a block whose header has a width.
func closes(rule, width int) bool {
	const tolerance = 12
	return rule >= width-tolerance && rule <= width+tolerance && rule >= leastRule
}

// sectionTitle is a title of trtllm-bench's report.
type sectionTitle struct {
	part   part
	prefix prefix // what stands before it in its line
	line   int
}

// findTitle returns the title that ends a line.
func findTitle(line []byte, number int) (sectionTitle, bool) {
	line = trimRight(line)
	if len(line) == 0 || line[len(line)-1] < 'A' || line[len(line)-1] > 'Z' {
		return sectionTitle{}, false
	}
	i := bytes.LastIndexByte(line, '=')
	for i >= 0 && line[i+1] != ' ' {
		i = bytes.LastIndexByte(line[:i], '=')
	}
	if i < 0 {
		return sectionTitle{}, false
	}
	p, ok := sections[string(line[i+2:])]
	return sectionTitle{p, prefix(bytes.Clone(line[:i])), number}, ok
}

// bannerLine is a line of the failure banner.
var bannerLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`={3,}!(?:FAILED REQUESTS|CHECK LOG FOR ERRORS)!={3,}`)
})

// isTitle reports whether a line is a section's title between dashes, or a rule of dashes.
func isTitle(line []byte) bool {
	return len(line) >= 4 && bytes.HasPrefix(line, []byte("--")) && bytes.HasSuffix(line, []byte("--"))
}

// isTrailerLabel reports whether the harness appends rows with this label.
func isTrailerLabel(label string) bool {
	return strings.HasSuffix(label, strings.TrimSuffix(deviceStep, ":")) || strings.HasPrefix(label, timeBreakdown)
}

// trailerStart is where a row that the harness appends begins.
var trailerStart = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:Average|Mean|Median|Stdev|P\d+(?:\.\d+)?) Per Iter Device Step Time \(ms\):|Time Breakdown \S`)
})

// rowAt makes a row of a line. Cut says that the log ends with the line.
func rowAt(line []byte, number int, cut bool) (parse.Row, bool) {
	label, value, ok := splitRow(line)
	if !ok {
		return parse.Row{}, false
	}
	return parse.Row{Label: label, Text: value, Line: number, Cut: cut && strings.HasSuffix(text(line), value)}, true
}
