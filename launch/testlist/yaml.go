package testlist

import (
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/yamldoc"
)

// document bounds a YAML list, far above the largest real one (some thousand lines).
var document = yamldoc.Kind{Name: "test list", Bytes: 2 << 20, Tokens: 100_000, Nesting: 20, Key: 512}

// yamlReader reads a YAML list.
type yamlReader struct {
	in      io.Reader
	file    string
	read    bool
	records []Record
}

func (r *yamlReader) next() (Record, error) {
	if !r.read {
		r.read = true
		body, err := document.Read(r.in, r.file)
		if err != nil {
			return nil, err
		}
		r.suites(body)
		slices.SortStableFunc(r.records, func(a, b Record) int { return a.At().Line - b.At().Line })
	}
	if len(r.records) == 0 {
		return nil, io.EOF
	}
	first := r.records[0]
	r.records = r.records[1:]
	return first, nil
}

// line is a node's line in the file.
func line(n ast.Node) int {
	switch m := n.(type) { // a mapping's own token is a colon in it
	case *ast.MappingNode:
		if len(m.Values) > 0 {
			n = m.Values[0].Key
		}
	case *ast.MappingValueNode:
		n = m.Key
	}
	if n == nil || n.GetToken() == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

func (r *yamlReader) at(n ast.Node) Place { return Place{r.file, line(n)} }

func (r *yamlReader) fault(at ast.Node, format string, a ...any) {
	r.records = append(r.records, &SyntaxError{r.at(at), fmt.Sprintf(format, a...)})
}

func (r *yamlReader) remark(at ast.Node, format string, a ...any) {
	r.records = append(r.records, &Remark{r.at(at), fmt.Sprintf(format, a...)})
}

// entries returns a mapping's keys and values.
func (r *yamlReader) entries(n ast.Node, what string) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode:
		r.fault(n, "anchors, aliases and tags are not read in test lists: write it out")
	default:
		r.fault(n, "%s", what)
	}
	return nil
}

func isMapping(n ast.Node) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// text returns a scalar as it was written; ok is false, and a fault recorded, where it is none. Null is "none", as in the databases' queries.
func (r *yamlReader) text(n ast.Node, what string) (text string, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	case *ast.BoolNode:
		return strconv.FormatBool(n.Value), true
	case *ast.NullNode:
		return "none", true
	case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode:
		r.fault(n, "anchors, aliases and tags are not read in test lists: write it out")
	default:
		r.fault(n, "%s", what)
	}
	return "", false
}

// group is what holds for all entries of a group.
type group struct {
	suite      string
	mode       parse.Mode
	modeBy     string
	conditions []Requirement
}

// modeSuites are the names of suites that tell the mode of their entries, as in perf_test_cases.yaml.
var modeSuites = []struct {
	name *regexp.Regexp
	mode parse.Mode
}{
	{regexp.MustCompile(`^single_agg_tests$`), parse.SingleAgg},
	{regexp.MustCompile(`^multi_agg_(\d+)nodes_tests$`), parse.MultiAgg},
	{regexp.MustCompile(`^disagg_(\d+)nodes_tests$`), parse.Disagg},
	{regexp.MustCompile(`^wideep_tests$`), parse.Disagg},
}

const listShape = "write suites by name, each a list of groups with condition and tests, or one group"

func (r *yamlReader) suites(body ast.Node) {
	if body == nil {
		return
	}
	found := false
	for _, entry := range r.entries(body, "no test list: "+listShape) {
		name := key(entry)
		switch name {
		case "version", "metadata":
			continue
		case "execution_config":
			r.remark(entry.Key, "execution_config is not applied: image, nodes, time limit and output are options of a launch, and TIMEOUT (minutes) one of a test")
			continue
		}
		found = true
		g := group{suite: name}
		for _, s := range modeSuites {
			if s.name.MatchString(name) {
				g.mode, g.modeBy = s.mode, "the suite's name "+name
			}
		}
		switch value := entry.Value.(type) {
		case *ast.SequenceNode:
			for _, item := range value.Values {
				switch {
				case g.mode != "" && !isMapping(item), g.mode != "" && has(item, "config_file"):
					r.test(item, g)
				default:
					r.group(item, g)
				}
			}
		case *ast.NullNode:
			r.remark(entry.Key, "suite %s is empty", name)
		default:
			r.group(value, g)
		}
	}
	if !found {
		r.fault(body, "no suite: %s", listShape)
	}
}

// key is the name of an entry.
func key(entry *ast.MappingValueNode) string {
	t := entry.Key.GetToken()
	if q, ok := entry.Key.(*ast.MappingKeyNode); ok && q.Value != nil { // "? key"
		t = q.Value.GetToken()
	}
	return t.Value
}

// has reports whether a mapping has a key.
func has(n ast.Node, name string) bool {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if key(v) == name {
				return true
			}
		}
	case *ast.MappingValueNode:
		return key(n) == name
	}
	return false
}

// group reads a group of tests.
func (r *yamlReader) group(n ast.Node, g group) {
	var tests ast.Node
	given := false
	for _, entry := range r.entries(n, "no group: write a mapping with tests and, perhaps, condition and test_type") {
		switch name := key(entry); name {
		case "condition":
			g.conditions = r.condition(entry.Value)
			if mode := nodesMode(g.conditions); mode != "" && g.mode == "" {
				g.mode, g.modeBy = mode, "the group's nodes"
			}
		case "test_type":
			if mode, ok := r.mode(entry.Value); ok {
				g.mode, g.modeBy = mode, "the group's test_type"
			}
		case "tests":
			tests, given = entry.Value, true
		default:
			r.fault(entry.Key, "unknown key %q of a group: it may have condition, test_type and tests", name)
		}
	}
	switch list := tests.(type) {
	case nil:
		if !given && n != nil && isMapping(n) {
			r.fault(n, "a group without tests")
		}
	case *ast.SequenceNode:
		for _, item := range list.Values {
			r.test(item, g)
		}
	case *ast.NullNode: // all of them are commented out
		r.remark(list, "a group whose tests are empty")
	default:
		r.fault(tests, "tests must be a list")
	}
}

func (r *yamlReader) mode(n ast.Node) (parse.Mode, bool) {
	const want = "test_type: write single-agg, multi-agg or disagg"
	text, ok := r.text(n, want)
	if !ok {
		return "", false
	}
	mode, err := parse.ParseMode(text)
	if err != nil || mode == "" {
		r.fault(n, "%s, not %q", want, text)
		return "", false
	}
	return mode, true
}

// nodesMode is the mode that a condition's number of nodes states.
func nodesMode(conditions []Requirement) parse.Mode {
	for _, c := range conditions {
		if n, err := strconv.Atoi(c.Values[0]); c.Key == nodesKey && c.Is == is && err == nil {
			if n > 1 {
				return parse.MultiAgg
			}
			return parse.SingleAgg
		}
	}
	return ""
}

// test reads one test: a text as in a text list, or a mapping.
func (r *yamlReader) test(n ast.Node, g group) {
	const what = "no test: write a node id, or a mapping with config_file"
	fields := map[string]ast.Node{}
	var own []Requirement
	var said parse.Mode
	text, label, saidBy := "", "", ""
	if !isMapping(n) {
		var ok bool
		if text, ok = r.text(n, what); !ok {
			return
		}
	} else {
		ok := true
		for _, entry := range r.entries(n, what) {
			field := key(entry)
			fields[field] = entry.Value
			var good bool
			switch field {
			case "name":
				label, good = r.text(entry.Value, "name: want a text")
			case "config_file":
				text, good = r.text(entry.Value, "config_file: want a configuration's name")
			case "condition":
				before := len(r.records)
				own = r.condition(entry.Value)
				good = len(r.records) == before
				if mode := nodesMode(own); mode != "" && said == "" {
					said, saidBy = mode, "its nodes"
				}
			case "test_type":
				if said, good = r.mode(entry.Value); good {
					saidBy = "its test_type"
				}
			default:
				r.fault(entry.Key, "unknown key %q of a test: it may have name, config_file, condition and test_type", field)
				good = false
			}
			ok = ok && good
		}
		if fields["config_file"] == nil && ok {
			r.fault(n, "a test without config_file: name is only what people read")
		}
		if !ok || fields["config_file"] == nil {
			return
		}
	}
	switch text = strings.TrimSpace(text); {
	case text == "" || text == "none" && !isMapping(n):
		r.fault(n, "an empty test")
		return
	case strings.ContainsAny(text, "\n\r"):
		r.fault(n, "a test of several lines: write each on a line of its own")
		return
	}
	e, message := parseEntry(text)
	if message != "" {
		r.fault(n, "%s", message)
		return
	}
	e.Place, e.Label, e.Suite = r.at(n), label, g.suite
	e.Said, e.SaidBy, e.Group, e.GroupBy = said, saidBy, g.mode, g.modeBy
	e.Conditions = append(append(e.Conditions, g.conditions...), own...)
	r.records = append(r.records, e)
}

// condition reads a condition.
func (r *yamlReader) condition(n ast.Node) []Requirement {
	var all []Requirement
	if _, null := n.(*ast.NullNode); null {
		return nil
	}
	for _, section := range r.entries(n, "condition: want terms, ranges and wildcards") {
		kind := key(section)
		if _, null := section.Value.(*ast.NullNode); null {
			continue
		}
		switch kind {
		case "terms", "ranges", "wildcards":
		default:
			all = append(all, Requirement{r.at(section.Key), kind, unknown, []string{"terms, ranges and wildcards are"}})
			continue
		}
		for _, entry := range r.entries(section.Value, "condition."+kind+": want a mapping of facts") {
			fact := key(entry)
			switch kind {
			case "terms":
				all = r.requirement(all, entry, fact, is)
			case "wildcards":
				all = r.requirement(all, entry, fact, like)
			case "ranges":
				for _, bound := range r.entries(entry.Value, "condition.ranges."+fact+": want gte and lte") {
					switch word := key(bound); word {
					case "gte":
						all = r.requirement(all, bound, fact, atLeast)
					case "lte":
						all = r.requirement(all, bound, fact, atMost)
					default:
						all = append(all, Requirement{r.at(bound.Key), fact + "." + word, unknown, []string{"gte and lte are"}})
					}
				}
			}
		}
	}
	return all
}

// requirement reads what one fact must be.
func (r *yamlReader) requirement(all []Requirement, entry *ast.MappingValueNode, fact string, how comparison) []Requirement {
	q := Requirement{Place: r.at(entry.Key), Key: fact, Is: how}
	values := []ast.Node{entry.Value}
	if list, ok := entry.Value.(*ast.SequenceNode); ok {
		values = list.Values
	}
	for _, v := range values {
		text, ok := r.text(v, "condition: "+fact+": want a word, or a list of words")
		if !ok {
			return all
		}
		_, bad := strconv.Atoi(text)
		_, malformed := path.Match(pattern(text), "")
		switch {
		case bad != nil && (how == atLeast || how == atMost):
			r.fault(v, "condition: %s: want a whole number, have %q", fact, text)
			return all
		case bad != nil && fact == nodesKey && how == is:
			r.fault(v, "condition: nodes: want a whole number, have %q", text)
			return all
		case how == like && errors.Is(malformed, path.ErrBadPattern):
			r.fault(v, "condition: %s: %q is no pattern of *, ? and [letters]", fact, text)
			return all
		}
		q.Values = append(q.Values, text)
	}
	if len(q.Values) == 0 {
		r.fault(entry.Key, "condition: %s: an empty list fits nothing", fact)
		return all
	}
	return append(all, q)
}
