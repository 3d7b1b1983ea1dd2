// Package keyword selects tests by pytest's -k expressions.
//
// The grammar is that of pytest 8.4 and 9.0, which is the same (source: _pytest/mark/expression.py):
//
//	expression: expr? EOF
//	expr:       and_expr ('or' and_expr)*
//	and_expr:   not_expr ('and' not_expr)*
//	not_expr:   'not' not_expr | '(' expr ')' | ident kwargs?
//	ident:      (\w|:|\+|-|\.|\[|\]|\\|/)+
//	kwargs:     '(' name '=' value (',' name '=' value)* ')'
//	value:      a quoted text | -?[0-9]+ | 'True' | 'False' | 'None'
//
// An identifier fits a test if it stands, in any case of its letters, in one of the test's names; True, False and None are identifiers
// like any other. An expression with arguments can be written and never evaluated, as in pytest.
package keyword

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SyntaxError says where an expression breaks the grammar.
type SyntaxError struct {
	// Text is the expression, without blanks before it, as pytest reports it.
	Text string
	// Column counts characters of Text from 1.
	Column  int
	Message string
}

// Error is pytest's own message.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("Wrong expression passed to '-k': %s: at column %d: %s", e.Text, e.Column, e.Message)
}

// ErrArguments says that an expression with arguments was to be evaluated.
var ErrArguments = errors.New("Keyword expressions do not support call parameters.") //nolint:staticcheck // pytest's message

// Expression is a parsed expression.
type Expression struct {
	text string
	root node // nil selects every test
}

// Parse reads an expression. An empty one selects every test. The error is a [SyntaxError].
func Parse(text string) (*Expression, error) {
	e := &Expression{text: strings.TrimLeftFunc(text, isSpace)}
	if e.text == "" {
		return e, nil
	}
	p := &parser{lexer: lexer{text: []rune(e.text)}}
	root, err := p.expression()
	if err != nil {
		err.Text = e.text
		return nil, err
	}
	e.root = root
	return e, nil
}

// String returns the expression's text.
func (e *Expression) String() string { return e.text }

// Match reports whether a test of these names is selected. The error is [ErrArguments].
func (e *Expression) Match(names []string) (bool, error) {
	if e.root == nil {
		return true, nil
	}
	lowered := make([]string, len(names))
	for i, n := range names {
		lowered[i] = lower(n)
	}
	return e.root.match(lowered)
}

// Names returns the names of a test that pytest matches: the directories below its rootdir, the file, the classes, and the function with
// the id. What pytest adds of the test's code, the names of its marks and attributes, is not known of a node id.
func Names(nodeID string) []string {
	before, id := nodeID, ""
	if i := strings.IndexByte(nodeID, '['); i >= 0 {
		before, id = nodeID[:i], nodeID[i:]
	}
	parts := strings.Split(before, "::")
	names := strings.FieldsFunc(parts[0], func(r rune) bool { return r == '/' })
	names = append(names, parts[1:]...)
	if len(names) > 0 {
		names[len(names)-1] += id
	}
	return names
}

// lower is Python's str.lower, but for the Greek sigma at a word's end.
func lower(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, "İ", "i̇"))
}

// isSpace reports whether Python's str.lstrip removes r.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// node is a part of an expression.
type node interface {
	match(names []string) (bool, error)
}

type (
	ident string
	call  struct{} // an identifier with arguments
	not   struct{ of node }
	both  struct{ left, right node }
	any2  struct{ left, right node }
)

func (n ident) match(names []string) (bool, error) {
	return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, string(n)) }), nil
}

func (call) match([]string) (bool, error) { return false, ErrArguments }

func (n not) match(names []string) (bool, error) {
	fits, err := n.of.match(names)
	return !fits, err
}

func (n both) match(names []string) (bool, error) {
	if fits, err := n.left.match(names); !fits || err != nil {
		return false, err
	}
	return n.right.match(names)
}

func (n any2) match(names []string) (bool, error) {
	if fits, err := n.left.match(names); fits || err != nil {
		return fits, err
	}
	return n.right.match(names)
}

// kind is a kind of token, by the name that pytest's messages give it.
type kind string

const (
	leftParen  kind = "left parenthesis"
	rightParen kind = "right parenthesis"
	orWord     kind = "or"
	andWord    kind = "and"
	notWord    kind = "not"
	identifier kind = "identifier"
	end        kind = "end of input"
	equals     kind = "="
	quoted     kind = "string literal"
	comma      kind = ","
)

type token struct {
	kind  kind
	value string
	at    int // in characters, from 0
}

// lexer gives tokens one by one, so that of two faults the one that pytest meets first is reported.
type lexer struct {
	text []rune
	pos  int
}

var punctuation = map[rune]kind{'(': leftParen, ')': rightParen, '=': equals, ',': comma}

var reserved = map[string]kind{"or": orWord, "and": andWord, "not": notWord}

func (l *lexer) next() (token, *SyntaxError) {
	for l.pos < len(l.text) && (l.text[l.pos] == ' ' || l.text[l.pos] == '\t') {
		l.pos++
	}
	start := l.pos
	if start == len(l.text) {
		return token{kind: end, at: start}, nil
	}
	r := l.text[start]
	if k, ok := punctuation[r]; ok {
		l.pos++
		return token{k, string(r), start}, nil
	}
	if r == '\'' || r == '"' {
		n := slices.Index(l.text[start+1:], r)
		if n < 0 {
			return token{}, fault(start, `closing quote "%c" is missing`, r)
		}
		if backslash := slices.Index(l.text, '\\'); backslash >= 0 {
			return token{}, fault(backslash, `escaping with "\" not supported in marker expression`)
		}
		l.pos = start + n + 2
		return token{quoted, string(l.text[start+1 : start+1+n]), start}, nil
	}
	for l.pos < len(l.text) && isIdent(l.text[l.pos]) {
		l.pos++
	}
	if l.pos == start {
		return token{}, fault(start, `unexpected character "%c"`, r)
	}
	word := string(l.text[start:l.pos])
	if k, ok := reserved[word]; ok {
		return token{k, word, start}, nil
	}
	return token{identifier, word, start}, nil
}

// isIdent reports whether r may stand in an identifier.
func isIdent(r rune) bool {
	return isWord(r) || strings.ContainsRune(`:+-.[]\/`, r)
}

// isWord is \w of Python's regular expressions.
func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }

func fault(at int, format string, args ...any) *SyntaxError {
	return &SyntaxError{Column: at + 1, Message: fmt.Sprintf(format, args...)}
}

type parser struct {
	lexer
	token token
	// late is a fault that Python's compiler finds, once the grammar is kept.
	late *SyntaxError
}

func (p *parser) advance() *SyntaxError {
	var err *SyntaxError
	p.token, err = p.next()
	return err
}

// accept takes a token if it is of this kind.
func (p *parser) accept(k kind) (bool, *SyntaxError) {
	if p.token.kind != k {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) want(kinds ...kind) *SyntaxError {
	if p.token.kind == kinds[0] {
		return p.advance()
	}
	return p.reject(kinds...)
}

func (p *parser) reject(kinds ...kind) *SyntaxError {
	var words []string
	for _, k := range kinds {
		words = append(words, string(k))
	}
	return fault(p.token.at, "expected %s; got %s", strings.Join(words, " OR "), p.token.kind)
}

func (p *parser) expression() (node, *SyntaxError) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	n, err := p.or()
	if err == nil && p.token.kind != end {
		err = p.reject(end)
	}
	if err == nil {
		err = p.late
	}
	return n, err
}

func (p *parser) or() (node, *SyntaxError) {
	n, err := p.and()
	for err == nil {
		var more bool
		if more, err = p.accept(orWord); !more {
			break
		}
		if err == nil {
			var right node
			right, err = p.and()
			n = any2{n, right}
		}
	}
	return n, err
}

func (p *parser) and() (node, *SyntaxError) {
	n, err := p.not()
	for err == nil {
		var more bool
		if more, err = p.accept(andWord); !more {
			break
		}
		if err == nil {
			var right node
			right, err = p.not()
			n = both{n, right}
		}
	}
	return n, err
}

func (p *parser) not() (node, *SyntaxError) {
	word := p.token
	switch word.kind {
	case notWord, leftParen, identifier:
		if err := p.advance(); err != nil {
			return nil, err
		}
	default:
		return nil, p.reject(notWord, leftParen, identifier)
	}
	switch word.kind {
	case notWord:
		n, err := p.not()
		return not{n}, err
	case leftParen:
		n, err := p.or()
		if err == nil {
			err = p.want(rightParen)
		}
		return n, err
	}
	called, err := p.accept(leftParen)
	if !called || err != nil {
		return ident(lower(word.value)), err
	}
	if err := p.arguments(); err != nil {
		return nil, err
	}
	return call{}, p.want(rightParen)
}

func (p *parser) arguments() *SyntaxError {
	given := map[string]bool{}
	for {
		name := p.token
		if err := p.want(identifier); err != nil {
			return err
		}
		switch {
		case !isPythonIdentifier(name.value):
			return fault(name.at, "not a valid python identifier %s", name.value)
		case pythonKeywords[name.value]:
			return fault(name.at, "unexpected reserved python keyword `%s`", name.value)
		case given[name.value] && p.late == nil:
			p.late = fault(name.at, "keyword argument repeated: %s", name.value)
		case name.value == "__debug__" && p.late == nil:
			p.late = fault(name.at, "cannot assign to __debug__")
		}
		given[name.value] = true
		if err := p.want(equals); err != nil {
			return err
		}
		value := p.token
		if text, err := p.accept(quoted); !text {
			if err := p.want(identifier); err != nil {
				return err
			}
			if !isNumber(value.value) && value.value != "True" && value.value != "False" && value.value != "None" {
				return fault(value.at, `unexpected character/s "%s"`, value.value)
			}
		} else if err != nil {
			return err
		}
		if more, err := p.accept(comma); !more || err != nil {
			return err
		}
	}
}

// pythonKeywords are Python's reserved words that an identifier can be here.
var pythonKeywords = func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq("False None True as assert async await break class continue def del elif else except finally for from" +
		" global if import in is lambda nonlocal pass raise return try while with yield") {
		words[word] = true
	}
	return words
}()

func isPythonIdentifier(s string) bool {
	for i, r := range s {
		start := r == '_' || unicode.IsLetter(r) || unicode.Is(unicode.Nl, r)
		if !start && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}

// isNumber reports whether Python's int reads s, one sign at most before it.
func isNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && utf8.ValidString(digits) && strings.IndexFunc(digits, func(r rune) bool { return !unicode.IsDigit(r) }) < 0
}
