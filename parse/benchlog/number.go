package benchlog

import (
	"bytes"
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// numberMatcher finds what an expression of the common form does, "a text, blanks perhaps, (a number), a text perhaps":
//
//	My Metric 1 \(units\):\s+(-?[\d\.]+)
//
// without the expression, which is many times slower.
type numberMatcher struct {
	before, behind []byte
	// blanks are how many must stand between: at least least, and none at all where there may be none.
	least   int
	some    bool
	minus   bool // "-?" stands before the number
	numeral [256]bool
}

// compileNumber returns a matcher for an expression of that form, or nil.
func compileNumber(expr string) *numberMatcher {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	m := &numberMatcher{}
	next := func() *syntax.Regexp {
		if len(parts) == 0 {
			return &syntax.Regexp{}
		}
		return parts[0]
	}
	literal := func() []byte {
		p := next()
		if p.Op != syntax.OpLiteral || p.Flags&syntax.FoldCase != 0 {
			return nil
		}
		parts = parts[1:]
		return []byte(string(p.Rune))
	}
	if m.before = literal(); m.before == nil {
		return nil
	}
	if p := next(); (p.Op == syntax.OpPlus || p.Op == syntax.OpStar) && isClass(p.Sub[0], "\t\n\f\r ") {
		m.some = true
		if p.Op == syntax.OpPlus {
			m.least = 1
		}
		parts = parts[1:]
	}
	capture := next()
	if capture.Op != syntax.OpCapture {
		return nil
	}
	parts = parts[1:]
	number := capture.Sub[0]
	if number.Op == syntax.OpConcat && len(number.Sub) == 2 && number.Sub[0].Op == syntax.OpQuest && number.Sub[0].Sub[0].Op == syntax.OpLiteral &&
		string(number.Sub[0].Sub[0].Rune) == "-" {
		m.minus, number = true, number.Sub[1]
	}
	switch {
	case number.Op != syntax.OpPlus || number.Flags&syntax.NonGreedy != 0:
		return nil
	case isClass(number.Sub[0], ".0123456789"):
		m.numeral['.'] = true
	case !isClass(number.Sub[0], "0123456789"):
		return nil
	}
	for c := '0'; c <= '9'; c++ {
		m.numeral[c] = true
	}
	if len(parts) > 0 {
		// What the number cannot be may follow it: then there is one way only to match.
		if m.behind = literal(); m.behind == nil || len(parts) > 0 || m.numeral[m.behind[0]] {
			return nil
		}
	}
	return m
}

// fixedMatcher finds what an expression does that matches one text only: "a text", "a text (and a part of it)".
type fixedMatcher struct {
	whole []byte
	group string // what the first group matches, all where there is none
}

// compileFixed returns a matcher for an expression of that form, or nil.
func compileFixed(expr string) *fixedMatcher {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	m := &fixedMatcher{}
	grouped := false
	for _, p := range parts {
		isGroup := p.Op == syntax.OpCapture
		if isGroup {
			p = p.Sub[0]
		}
		// A byte that is no UTF-8 matches the replacement character, and is not its bytes.
		if p.Op != syntax.OpLiteral || p.Flags&syntax.FoldCase != 0 || slices.Contains(p.Rune, utf8.RuneError) {
			return nil
		}
		m.whole = append(m.whole, string(p.Rune)...)
		if isGroup && !grouped {
			m.group, grouped = string(p.Rune), true
		}
	}
	if !grouped {
		m.group = string(m.whole)
	}
	return m
}

// isClass reports whether an expression is a class of exactly these ASCII characters.
func isClass(p *syntax.Regexp, characters string) bool {
	if p.Op != syntax.OpCharClass {
		return false
	}
	var all []rune
	for i := 0; i+1 < len(p.Rune); i += 2 {
		for c := p.Rune[i]; c <= p.Rune[i+1] && len(all) <= len(characters); c++ {
			all = append(all, c)
		}
	}
	return slices.Equal(all, []rune(characters))
}

// match returns the number in the first place of the line where all of it stands.
func (m *numberMatcher) match(line []byte) (number []byte, ok bool) {
	for {
		i := bytes.Index(line, m.before)
		if i < 0 {
			return nil, false
		}
		rest := line[i+len(m.before):]
		blank := 0
		for m.some && blank < len(rest) && bytes.IndexByte([]byte("\t\n\f\r "), rest[blank]) >= 0 {
			blank++
		}
		end := blank
		if m.minus && end < len(rest) && rest[end] == '-' {
			end++
		}
		begin := end
		for end < len(rest) && m.numeral[rest[end]] {
			end++
		}
		if blank >= m.least && end > begin && bytes.HasPrefix(rest[end:], m.behind) {
			return rest[blank:end], true
		}
		line = line[i+1:]
	}
}
