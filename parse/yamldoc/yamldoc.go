// Package yamldoc parses files that are one YAML document, within limits and with errors that name the line.
package yamldoc

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Kind is a kind of file with its limits, which should lie far above the largest real one. They bound the YAML parser's memory and stack,
// which grow with the product of nesting, key lengths and number of values.
type Kind struct {
	// Name completes "this is no …".
	Name   string
	Bytes  int64
	Tokens int
	// Nesting is in levels, Key in bytes.
	Nesting, Key int
	// DuplicateKeys: a key that is given twice counts with its last value, as in Python; else it is an error.
	DuplicateKeys bool
}

// Read parses the document; nil for a file without one. Errors begin with the file's name.
func (k Kind) Read(r io.Reader, file string) (body ast.Node, err error) {
	text, err := io.ReadAll(io.LimitReader(r, k.Bytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	case int64(len(text)) > k.Bytes:
		return nil, fmt.Errorf("%s: larger than %d KiB: this is no %s", file, k.Bytes>>10, k.Name)
	}
	for i, line := range strings.SplitAfter(string(text), "\n") {
		if !utf8.ValidString(line) {
			return nil, fmt.Errorf("%s:%d: not UTF-8 text", file, i+1)
		}
	}
	// The YAML library panics on some broken texts.
	defer func() {
		if p := recover(); p != nil {
			body, err = nil, fmt.Errorf("%s: not readable as YAML: %v", file, p)
		}
	}()
	tokens := lexer.Tokenize(strings.TrimPrefix(string(text), "\ufeff"))
	if err := k.check(tokens, file); err != nil {
		return nil, err
	}
	var options []parser.Option
	if k.DuplicateKeys {
		options = append(options, parser.AllowDuplicateMapKey())
	}
	parsed, err := parser.Parse(tokens, 0, options...)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			return nil, fmt.Errorf("%s:%d: YAML syntax: %s", file, syntax.Token.Position.Line, syntax.Message)
		}
		return nil, fmt.Errorf("%s: YAML syntax: %w", file, err)
	}
	for _, d := range parsed.Docs {
		if _, directive := d.Body.(*ast.DirectiveNode); directive || d.Body == nil {
			continue
		}
		if body != nil {
			return nil, fmt.Errorf("%s:%d: a second YAML document: a %s is one document", file, d.Body.GetToken().Position.Line, k.Name)
		}
		body = d.Body
	}
	return body, nil
}

// check refuses token sequences on which the parser's recursion would be deep or its memory large.
func (k Kind) check(tokens token.Tokens, file string) error {
	if len(tokens) > k.Tokens {
		return fmt.Errorf("%s: more than %d YAML tokens: this is no %s", file, k.Tokens, k.Name)
	}
	var columns []int // of the block's open levels, as the lines' first tokens show them
	var line, inLine, flow, properties int
	for i, tk := range tokens {
		if tk.Type == token.CommentType {
			continue
		}
		if tk.Position.Line != line {
			line, inLine = tk.Position.Line, 0
			if flow == 0 {
				for len(columns) > 0 && columns[len(columns)-1] >= tk.Position.Column {
					columns = columns[:len(columns)-1]
				}
				columns = append(columns, tk.Position.Column)
			}
		}
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			inLine++
		case token.MappingValueType:
			if flow == 0 {
				inLine++
			}
			if i > 0 && len(tokens[i-1].Value) > k.Key {
				return fmt.Errorf("%s:%d: a key of more than %d characters", file, line, k.Key)
			}
		}
		if tk.Type == token.TagType || tk.Type == token.AnchorType {
			properties++
		} else if i > 0 && tokens[i-1].Type != token.AnchorType { // the anchor's name follows as a token of its own
			properties = 0
		}
		if len(columns)+inLine+flow > k.Nesting || properties > k.Nesting {
			return fmt.Errorf("%s:%d: nested more than %d levels deep", file, line, k.Nesting)
		}
	}
	return nil
}
