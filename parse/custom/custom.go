// Package custom reads metrics of the user's own from a YAML file:
//
//	metrics:
//	  - name: my_metric_1                 # lower-case letters, digits and underscores
//	    label: "My Metric 1 (units)"      # a printed label of the block, whole and without the colon; labels: for several spellings
//	    regex: 'My Metric 1 \(units\):\s+(-?[\d\.]+)'   # instead of a label; its first group is the number
//	    unit: ms
//	    direction: smaller                # smaller, larger or neutral: what is better
//	    aggregate: last                   # with a regex: first (the default), last, mean, max or count of several hits
//	    place: client-log                 # with a regex: block (the default), client-log or server-log
//	    column: my_metric_1__ms           # the column in the guide's and the full CSV
//	    metric_type: MY_METRIC_1          # the word in the metric-rows CSV
//	    field: d_my_metric_1              # the field in OpenSearch: d_ for a number, l_ for a whole number
//
// Name, direction, and one of label, labels and regex must be there. A regex is RE2's and sees one line at a time, without its end, so ^ and $ are
// a line's. Where it has no group, it can only be counted. What it holds that every hit must contain is searched for first; see [Slow].
package custom

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/trtperf/trtperf/parse"
)

// keys are what a metric may have.
var keys = []string{"name", "label", "labels", "regex", "unit", "direction", "aggregate", "place", "column", "metric_type", "field"}

// maxFile bounds the file; a real one has a few kilobytes.
const maxFile = 1 << 20

var (
	columnName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
	fieldName  = regexp.MustCompile(`^[dl]_[a-z0-9_]+$`)
	typeName   = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

// Read reads a file of metrics, to be added with [parse.Table.With]. The error holds every mistake, each in the form
// "FILE:LINE:COLUMN: what is wrong".
func Read(r io.Reader, file string) ([]parse.Metric, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than 1 MiB, which no such file is", file)
	}
	c := &checker{file: file}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, c.syntax(err)
	}
	metrics := c.metrics(tree)
	if c.err == nil {
		_, c.err = parse.Metrics().With(metrics)
		if c.err != nil {
			c.err = fmt.Errorf("%s: %w", file, c.err)
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	return metrics, nil
}

// checker collects the mistakes of a file.
type checker struct {
	file string
	err  error
}

// fault adds a mistake.
func (c *checker) fault(at ast.Node, format string, args ...any) {
	line, column := 1, 1
	switch n := at.(type) { // a mapping's own token is a colon in it
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			at = n.Values[0].Key
		}
	case *ast.MappingValueNode:
		at = n.Key
	}
	if at != nil && at.GetToken() != nil {
		line, column = at.GetToken().Position.Line, at.GetToken().Position.Column
	}
	c.err = errors.Join(c.err, fmt.Errorf("%s:%d:%d: %s", c.file, line, column, fmt.Sprintf(format, args...)))
}

// position finds the place in an error of the YAML parser, which stands before its message.
var position = regexp.MustCompile(`(?s)^\[(\d+):(\d+)\] ([^\n]*)`)

func (c *checker) syntax(err error) error {
	if m := position.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s:%s: %s", c.file, m[1], m[2], m[3])
	}
	return fmt.Errorf("%s: %w", c.file, err)
}

// metrics reads the list of metrics.
func (c *checker) metrics(tree *ast.File) []parse.Metric {
	const shape = `write a list under "metrics:", each with name, direction and a label or a regex`
	var docs []*ast.DocumentNode
	for _, doc := range tree.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			docs = append(docs, doc)
		}
	}
	switch {
	case len(docs) == 0:
		c.fault(nil, "the file is empty: %s", shape)
		return nil
	case len(docs) > 1:
		c.fault(docs[1].Body, "a second YAML document: keep all metrics in one")
		return nil
	}
	var list *ast.SequenceNode
	for _, entry := range c.entries(docs[0].Body, shape) {
		if name := entry.Key.String(); name != "metrics" {
			c.fault(entry.Key, "unknown key %q: %s", name, shape)
			continue
		}
		var ok bool
		if list, ok = entry.Value.(*ast.SequenceNode); !ok {
			c.fault(entry.Value, "metrics must be a list: %s", shape)
			return nil
		}
	}
	if list == nil || len(list.Values) == 0 {
		if c.err == nil {
			c.fault(docs[0].Body, "no metrics: %s", shape)
		}
		return nil
	}
	var all []parse.Metric
	for _, node := range list.Values {
		m := c.metric(node)
		if i := slices.IndexFunc(all, func(x parse.Metric) bool { return x.Name == m.Name }); i >= 0 && m.Name != "" {
			c.fault(node, "the name %q is given twice", m.Name)
		}
		all = append(all, m)
		if c.err == nil {
			// Alone, a metric shows whether it clashes with the standard table, and where it stands.
			if _, err := parse.Metrics().With([]parse.Metric{m}); err != nil {
				c.fault(node, "%v", err)
			}
		}
	}
	return all
}

// entries returns the entries of a mapping.
func (c *checker) entries(node ast.Node, shape string) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	c.fault(node, "not a mapping: %s", shape)
	return nil
}

// metric reads one metric.
func (c *checker) metric(node ast.Node) parse.Metric {
	m := parse.Metric{Custom: true}
	at := map[string]ast.Node{}
	for _, entry := range c.entries(node, "write keys such as name: and label:") {
		key := entry.Key.String()
		if !slices.Contains(keys, key) {
			c.fault(entry.Key, "unknown key %q: a metric has %s", key, strings.Join(keys, ", "))
			continue
		}
		at[key] = entry.Value
		c.set(&m, key, entry.Value)
	}
	if at["name"] == nil {
		c.fault(node, "a metric without a name")
	}
	if at["direction"] == nil {
		c.fault(node, "no direction: write smaller, larger or neutral, as what is better")
	}
	hasLabel := at["label"] != nil || at["labels"] != nil
	switch {
	case hasLabel && at["regex"] != nil:
		c.fault(at["regex"], "a label and a regex: one of them finds the metric")
	case !hasLabel && at["regex"] == nil:
		c.fault(node, "neither a label nor a regex: nothing finds the metric")
	case hasLabel && at["aggregate"] != nil:
		c.fault(at["aggregate"], "aggregate goes with a regex: of a label's rows the block's first counts")
	case hasLabel && m.Place != "" && m.Place != parse.InBlock:
		c.fault(at["place"], "a label stands in the block: write a regex for another place")
	case m.Expr != nil && m.Expr.NumSubexp() == 0 && m.Aggregate != parse.HitCount:
		c.fault(at["regex"], "no group: put the number into (…), or write aggregate: count")
	}
	if m.Aggregate == parse.HitCount && at["field"] == nil {
		m.Kind = parse.Count
	}
	return m
}

// set sets what a key says.
func (c *checker) set(m *parse.Metric, key string, value ast.Node) {
	if key == "labels" {
		list, ok := value.(*ast.SequenceNode)
		if !ok {
			c.fault(value, "labels must be a list")
			return
		}
		for _, v := range list.Values {
			if text, ok := c.text(key, v); ok {
				m.Labels = append(m.Labels, c.label(v, text))
			}
		}
		return
	}
	text, ok := c.text(key, value)
	if !ok {
		return
	}
	oneOf := func(words ...string) {
		if !slices.Contains(words, text) {
			c.fault(value, "%s %q: write %s", key, text, strings.Join(words, ", "))
		}
	}
	matches := func(form *regexp.Regexp, what string) {
		if !form.MatchString(text) {
			c.fault(value, "%s %q must be %s", key, text, what)
		}
	}
	switch key {
	case "name":
		m.Name = text
	case "label":
		m.Labels = append([]string{c.label(value, text)}, m.Labels...)
	case "regex":
		expr, err := regexp.Compile(text)
		if err != nil {
			c.fault(value, "%v", err)
			return
		}
		m.Expr = expr
	case "unit":
		m.Unit = text
	case "direction":
		oneOf(string(parse.SmallerBetter), string(parse.LargerBetter), string(parse.Neutral))
		m.Direction = parse.Direction(text)
	case "aggregate":
		oneOf(string(parse.First), string(parse.Last), string(parse.Mean), string(parse.Max), string(parse.HitCount))
		m.Aggregate = parse.Aggregate(text)
	case "place":
		oneOf(string(parse.InBlock), string(parse.InLog), string(parse.InServerLog))
		m.Place = parse.Place(text)
	case "column":
		matches(columnName, "letters, digits and underscores")
		m.Guide, m.Full = text, text
	case "metric_type":
		matches(typeName, "capital letters, digits and underscores")
		m.MetricType = text
	case "field":
		matches(fieldName, "d_ (a number) or l_ (a whole number) and lower-case letters, digits and underscores")
		m.Document = text
		if strings.HasPrefix(text, "l_") {
			m.Kind = parse.Count
		}
	}
}

// label checks that a label can be found as it is printed.
func (c *checker) label(at ast.Node, text string) string {
	if trimmed := strings.TrimSuffix(text, ":"); text != strings.Join(strings.Fields(trimmed), " ") {
		c.fault(at, "label %q: write it without the colon and with single blanks", text)
	}
	return text
}

// text returns a value that is a single text.
func (c *checker) text(key string, value ast.Node) (string, bool) {
	switch v := value.(type) {
	case *ast.StringNode:
		if v.Value != "" || key == "unit" {
			return v.Value, true
		}
	case *ast.LiteralNode:
		return strings.TrimRight(v.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return value.String(), true
	}
	c.fault(value, "%s must be a text", key)
	return "", false
}

// Slow names the metrics whose expressions hold no text of four letters or more that every hit must contain, so that each line of every
// log must be tried.
func Slow(metrics []parse.Metric) []string {
	const shortest = 4
	var names []string
	for _, m := range metrics {
		if m.Expr != nil && len(Literal(m.Expr.String())) < shortest {
			names = append(names, m.Name)
		}
	}
	return names
}
