package config

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/trtperf/trtperf/parse/yamldoc"
)

// document bounds a configuration file, far above the largest real one (some thousand lines). A key that is given twice counts with its
// last value, as in the test harness.
var document = yamldoc.Kind{Name: "test configuration", Bytes: 1 << 20, Tokens: 50_000, Nesting: 20, Key: 128, DuplicateKeys: true}

const (
	maxVisits = 500_000 // nodes looked at, each as often as an alias leads to it
	maxNumber = 1<<31 - 1
)

// tree is a parsed YAML file that is read by key. Aliases and merge keys are followed where they are met and never expanded, so
// an alias bomb costs what is read of it. The first fault is kept in err, and everything read after it is empty.
type tree struct {
	name    string
	targets map[*ast.AliasNode]ast.Node
	entries map[*ast.MappingNode]map[string]entry
	visits  int
	err     error
}

// entry is a key of a mapping with its value.
type entry struct {
	line int
	node ast.Node
}

// section is a mapping of the tree; the zero value is one without keys.
type section struct {
	tree    *tree
	path    string
	line    int
	entries map[string]entry
}

func parseTree(r io.Reader, name string) (*tree, section, error) {
	t := &tree{name: name, targets: map[*ast.AliasNode]ast.Node{}, entries: map[*ast.MappingNode]map[string]entry{}}
	body, err := document.Read(r, name)
	switch {
	case err != nil:
		return nil, section{}, err
	case body == nil:
		return nil, section{}, fmt.Errorf("%s: empty: no test configuration", name)
	}
	links := &linker{tree: t, anchors: map[string]ast.Node{}}
	if ast.Walk(links, body); links.err != nil {
		return nil, section{}, links.err
	}
	return t, t.mapping(body, "", 1), nil
}

// linker finds the node that each alias stands for: the last anchor of its name before it.
type linker struct {
	tree    *tree
	anchors map[string]ast.Node
	err     error
}

// Visit implements [ast.Visitor].
func (l *linker) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.AnchorNode:
		l.anchors[n.Name.GetToken().Value] = n.Value
	case *ast.AliasNode:
		name := n.Value.GetToken()
		target, ok := l.anchors[name.Value]
		if !ok && l.err == nil {
			l.err = l.tree.errorAt(name.Position.Line, "", fmt.Sprintf("alias *%s without an anchor &%[1]s above it", name.Value))
		}
		l.tree.targets[n] = target
	}
	return l
}

func (t *tree) errorAt(line int, path, message string) error {
	if path != "" {
		path += ": "
	}
	return fmt.Errorf("%s:%d: %s%s", t.name, line, path, message)
}

func (t *tree) fail(line int, path, message string) {
	if t.err == nil {
		t.err = t.errorAt(line, path, message)
	}
}

// visit counts a node and reports whether reading goes on.
func (t *tree) visit(line int) bool {
	if t.visits++; t.visits > maxVisits {
		t.fail(line, "", "too many values once aliases are followed: this is no test configuration")
	}
	return t.err == nil
}

// resolve returns the node behind anchors, tags and aliases; nil for null.
func (t *tree) resolve(n ast.Node, line int) ast.Node {
	for t.visit(line) {
		switch x := n.(type) {
		case *ast.AnchorNode:
			n = x.Value
		case *ast.AliasNode:
			n = t.targets[x]
		case *ast.TagNode:
			n = x.Value
		case nil, *ast.NullNode:
			return nil
		default:
			return n
		}
	}
	return nil
}

// mapping returns the section that n is; without keys where n is null.
func (t *tree) mapping(n ast.Node, path string, line int) section {
	s := section{tree: t, path: path, line: line}
	n = t.resolve(n, line)
	if t.err != nil || n == nil {
		return s
	}
	m, ok := n.(*ast.MappingNode)
	if !ok {
		t.fail(line, path, "want a mapping (key: value)")
		return s
	}
	s.entries = t.keys(m, line)
	return s
}

// keys indexes a mapping: its own keys, then those of the mappings that it merges with "<<", the first of them first.
func (t *tree) keys(m *ast.MappingNode, line int) map[string]entry {
	if known, ok := t.entries[m]; ok {
		return known // also where a mapping merges itself: what is known so far
	}
	all := map[string]entry{}
	t.entries[m] = all
	var merged []ast.Node
	for _, v := range m.Values {
		if !t.visit(line) {
			return nil
		}
		if v.Key.IsMergeKey() {
			merged = append(merged, v.Value)
			continue
		}
		key := v.Key.GetToken()
		if q, ok := v.Key.(*ast.MappingKeyNode); ok && q.Value != nil { // "? key"
			key = q.Value.GetToken()
		}
		all[key.Value] = entry{key.Position.Line, v.Value}
	}
	for _, n := range slices.Backward(merged) {
		t.merge(all, n, line)
	}
	return all
}

func (t *tree) merge(into map[string]entry, n ast.Node, line int) {
	switch n := t.resolve(n, line).(type) {
	case *ast.MappingNode:
		for key, e := range t.keys(n, line) {
			if !t.visit(line) {
				return
			}
			if _, own := into[key]; !own {
				into[key] = e
			}
		}
	case *ast.SequenceNode:
		for _, v := range n.Values {
			if _, nested := t.resolve(v, line).(*ast.MappingNode); !nested {
				t.fail(line, "<<", "want a mapping or a list of mappings to merge")
				return
			}
			t.merge(into, v, line)
		}
	default:
		t.fail(line, "<<", "want a mapping or a list of mappings to merge")
	}
}

// at names a key of the section in messages.
func (s section) at(key string) string {
	if s.path == "" {
		return key
	}
	return s.path + "." + key
}

// value returns a key's node, nil where the key is absent or null, and its line.
func (s section) value(key string) (ast.Node, int) {
	e, ok := s.entries[key]
	if !ok {
		return nil, s.line
	}
	return s.tree.resolve(e.node, e.line), e.line
}

// has reports whether the key is there and not null.
func (s section) has(key string) bool {
	n, _ := s.value(key)
	return n != nil
}

// section returns a key's mapping.
func (s section) section(key string) section {
	n, line := s.value(key)
	return s.tree.mapping(n, s.at(key), line)
}

// list returns a key's list; the line is the key's.
func (s section) list(key string) ([]ast.Node, int) {
	n, line := s.value(key)
	if n == nil {
		return nil, line
	}
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		s.tree.fail(line, s.at(key), "want a list (- item)")
		return nil, line
	}
	return seq.Values, line
}

// sections returns a key's list of mappings.
func (s section) sections(key string) []section {
	list, line := s.list(key)
	var all []section
	for i, n := range list {
		path := fmt.Sprintf("%s[%d]", s.at(key), i)
		line := lineOf(n, line)
		item := s.tree.mapping(n, path, line)
		if s.tree.err == nil && item.entries == nil {
			s.tree.fail(line, path, "want a mapping (key: value)")
		}
		if s.tree.err != nil {
			return nil
		}
		all = append(all, item)
	}
	return all
}

// lineOf returns the line a list item starts on; an alias stands in the list, its anchor elsewhere.
func lineOf(n ast.Node, otherwise int) int {
	if n == nil || n.GetToken() == nil {
		return otherwise
	}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key // a block mapping's own token is its first colon
	}
	return n.GetToken().Position.Line
}

// text returns a key's scalar as written, quotes and blanks around it removed; otherwise where it is absent.
func (s section) text(key, otherwise string) string {
	n, line := s.value(key)
	if n == nil {
		return otherwise
	}
	text, _, ok := scalar(n)
	if !ok {
		s.tree.fail(line, s.at(key), "want a text")
		return otherwise
	}
	return strings.TrimSpace(text)
}

// scalar returns a scalar's text and whether it is quoted.
func scalar(n ast.Node) (text string, quoted, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		t := n.GetToken().Type
		return n.Value, t == token.SingleQuoteType || t == token.DoubleQuoteType, true
	case *ast.LiteralNode:
		return n.Value.Value, true, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, false, true
	}
	return "", false, false
}

// number returns a key's whole number, which must be at least min; otherwise where it is absent.
func (s section) number(key string, otherwise, min int) int {
	if n := s.optional(key, min); n != nil {
		return *n
	}
	return otherwise
}

// optional is number with nil for an absent key.
func (s section) optional(key string, min int) *int {
	n, line := s.value(key)
	if n == nil {
		return nil
	}
	i, ok := s.tree.integer(n, s.at(key), line, min)
	if !ok {
		return nil
	}
	return &i
}

// plainNumber is a decimal number that every YAML version reads alike: 010 is eight in one and ten in another.
var plainNumber = regexp.MustCompile(`^[+-]?(?:0|[1-9][0-9]*)$`)

func (t *tree) integer(n ast.Node, path string, line, min int) (int, bool) {
	text, _, ok := scalar(n)
	text = strings.TrimSpace(text)
	if !ok || !plainNumber.MatchString(text) {
		t.fail(line, path, fmt.Sprintf("want a whole number in plain digits, have %s", describe(text)))
		return 0, false
	}
	i, err := strconv.Atoi(text)
	if err != nil || i < min || i > maxNumber {
		t.fail(line, path, fmt.Sprintf("want a number of %d to %d, have %s", min, maxNumber, describe(text)))
		return 0, false
	}
	return i, true
}

// truth returns a key's truth; otherwise where it is absent. A quoted false is refused, because the harness, as any Python program,
// takes a text that is not empty for true.
func (s section) truth(key string, otherwise bool) bool {
	n, line := s.value(key)
	if n == nil {
		return otherwise
	}
	text, quoted, _ := scalar(n)
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "yes", "on", "1":
		return true
	case "false", "no", "off", "0":
		if !quoted {
			return false
		}
		s.tree.fail(line, s.at(key), fmt.Sprintf("write %s without quotes: the test harness takes the quoted word for true", text))
		return otherwise
	}
	s.tree.fail(line, s.at(key), fmt.Sprintf("want true or false, have %s", describe(text)))
	return otherwise
}

// describe quotes a value in a message, shortened.
func describe(text string) string {
	if text == "" {
		return "something else"
	}
	const limit = 60
	if r := []rune(text); len(r) > limit {
		return strconv.Quote(string(r[:limit])) + "…"
	}
	return strconv.Quote(text)
}
