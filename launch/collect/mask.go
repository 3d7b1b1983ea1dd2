package collect

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
	"sync"
)

// secretName matches what stands before the value of an environment variable that looks like a secret, in shell text, YAML, JSON and what
// Python prints of a dictionary; and of the one key of a configuration that is a secret. Groups: the name's closing quote, the sign.
var secretName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\b(?:[A-Z0-9_]*(?:TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|API_?KEY|ACCESS_KEY|SECRET_KEY|PRIVATE_KEY|AUTH_KEY|AUTH_HEADER|` +
		`CREDENTIALS?)[0-9]*|internal_request_auth_key)(\\*["'])?(=|[ \t]+=[ \t]+|[ \t]*:[ \t]*)`)
})

// triggers are texts of which a line with a secret holds one; most text holds none, and the expression is slow.
var triggers = [][]byte{[]byte("TOKEN"), []byte("PASS"), []byte("SECRET"), []byte("KEY"), []byte("CREDENTIAL"), []byte("auth_key")}

var (
	// noSecret is a value that hides nothing: none, or the reference to another variable.
	noSecret = regexp.MustCompile(`^(?:None|null|true|false|\$\w+|\$\{\w+(?::?-)?\})?$`)
	// nextWord begins a further assignment behind a blank.
	nextWord = regexp.MustCompile(`[ \t]+[A-Za-z_]\w*=`)
	keyBegin = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)
	keyEnd   = []byte("-----END ")
)

// longestLine bounds what is looked at together, in bytes. A longer line is looked at in parts that end at blanks.
const longestLine = 16 << 20

// masker reads text with an X in place of each byte of a secret. Every line is as long as it was: logs tell places by bytes.
type masker struct {
	r *bufio.Reader
	// json says that a backslash is an escape of JSON.
	json bool
	// count is the number of values masked so far.
	count int
	// inKey says that the text is inside a private key.
	inKey bool

	chunk, left []byte // left is what of chunk was not handed on
	err         error
}

func newMasker(r io.Reader, json bool) *masker {
	return &masker{r: bufio.NewReaderSize(r, 256<<10), json: json}
}

// Read reads what was masked.
func (m *masker) Read(p []byte) (int, error) {
	for len(m.left) == 0 {
		if m.err != nil {
			return 0, m.err
		}
		m.fill()
	}
	n := copy(p, m.left)
	m.left = m.left[n:]
	return n, nil
}

// fill reads the next line.
func (m *masker) fill() {
	m.chunk = m.chunk[:0]
	for {
		part, err := m.r.ReadSlice('\n')
		m.chunk = append(m.chunk, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			if len(m.chunk) < longestLine || part[len(part)-1] != ' ' && len(m.chunk) < 2*longestLine {
				continue
			}
			err = nil
		}
		m.err = err
		break
	}
	m.left = m.chunk
	m.line(m.chunk)
}

// line masks the secrets of a line in place.
func (m *masker) line(b []byte) {
	m.keys(b)
	hit := false
	for _, t := range triggers {
		hit = hit || bytes.Contains(b, t)
	}
	if !hit {
		return
	}
	for at := 0; ; {
		loc := secretName().FindSubmatchIndex(b[at:])
		if loc == nil {
			return
		}
		start, value := at+loc[0], at+loc[1]
		colon := bytes.IndexByte(b[at+loc[4]:value], ':') >= 0
		var opened []byte
		if loc[2] < 0 {
			opened = quoteBefore(b, start)
		}
		from, to := m.value(b, value, opened, colon)
		if !noSecret.Match(b[from:to]) {
			m.count++
			blank(b[from:to])
		}
		at = max(to, value)
	}
}

// blank replaces a text.
func blank(b []byte) {
	for i := range b {
		b[i] = 'X'
	}
}

// quoteBefore is the quote, with the backslashes before it, that ends at a place; nil if there is none.
func quoteBefore(b []byte, at int) []byte {
	if at == 0 || b[at-1] != '"' && b[at-1] != '\'' {
		return nil
	}
	from := at - 1
	for from > 0 && b[from-1] == '\\' {
		from--
	}
	return b[from:at]
}

// closing is the place of the next such quote that is not escaped once more, or the end of the line.
func closing(b []byte, from int, quote []byte) int {
	for at := from; ; {
		i := bytes.Index(b[at:], quote)
		if i < 0 {
			return endOf(b)
		}
		if at+i == from || b[at+i-1] != '\\' {
			return at + i
		}
		at += i + 1
	}
}

// endOf is the end of a line's text.
func endOf(b []byte) int { return len(bytes.TrimRight(b, "\r\n")) }

// value is where the value that begins at a place stands. Opened is the quote that stands before the name.
func (m *masker) value(b []byte, at int, opened []byte, colon bool) (from, to int) {
	begin := at
	if at+1 < len(b) && b[at] == '$' && (b[at+1] == '\'' || b[at+1] == '"') {
		begin++
	}
	for begin < len(b) && b[begin] == '\\' {
		begin++
	}
	if begin < len(b) && (b[begin] == '"' || b[begin] == '\'') && (opened == nil || !bytes.HasPrefix(b[at:], opened)) {
		quote := quoteBefore(b, begin+1)
		from, to = begin+1, closing(b, begin+1, quote)
		behind := to + len(quote)
		// A word of a shell goes on behind a quote.
		if !colon && !m.json && len(quote) == 1 && behind < len(b) && bytes.IndexByte([]byte(" \t\r\n,;:)}]|&<>\"'"), b[behind]) < 0 {
			to = word(b, behind, endOf(b))
		}
		return from, to
	}
	end := endOf(b)
	switch {
	case opened != nil:
		end = closing(b, at, opened)
		if next := nextWord.FindIndex(b[at:end]); next != nil {
			end = at + next[0]
		}
		return at, end
	case colon && bytes.IndexByte(b[:at], '{') < 0:
		return at, at + len(bytes.TrimRight(b[at:end], " \t"))
	}
	stop := end
	for i, c := range b[at:end] {
		// A quote that was opened before the name ends the value, any other is part of it.
		inQuote := (c == '"' || c == '\'') && bytes.Count(b[:at], []byte{c})%2 != 0
		if inQuote || colon && (c == ',' || c == '}') || m.json && c == '\\' {
			stop = at + i
			break
		}
	}
	return at, word(b, at, stop)
}

// word is the end of a shell's word, or of what is left of one, that ends before a place.
func word(b []byte, at, end int) int {
	for ; at < end; at++ {
		switch b[at] {
		case ' ', '\t':
			return at
		case '\'', '"':
			at = closing(b, at+1, b[at:at+1])
		case '\\':
			at++
		}
	}
	return min(at, end)
}

// keys masks what stands between the lines around a private key.
func (m *masker) keys(b []byte) {
	for at := 0; at < len(b); {
		if !m.inKey {
			if !bytes.Contains(b[at:], []byte("PRIVATE KEY-----")) {
				return
			}
			loc := keyBegin.FindIndex(b[at:])
			if loc == nil {
				return
			}
			m.inKey = true
			m.count++
			at += loc[1]
		}
		end := endOf(b)
		if i := bytes.Index(b[at:], keyEnd); i >= 0 {
			m.inKey = false
			end = at + i
		}
		blank(b[at:max(at, end)])
		if m.inKey {
			return
		}
		at = end + len(keyEnd)
	}
}
