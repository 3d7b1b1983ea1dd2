package benchlog

import (
	"bytes"
	"io"
	"slices"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/custom"
)

// Expressions are the metrics of a table that are found by expressions of the user's own, made ready for searching. The nil pointer
// has none.
type Expressions struct {
	client, server search
}

// search is a set of expressions and how their candidates are found.
type search struct {
	exprs  []expression
	finder *finder
	// everyLine says that every line must be looked at, since a text that each hit contains is unknown or too short.
	everyLine bool
}

// expression is a metric that is found by an expression.
type expression struct {
	metric *parse.Metric
	// literal is a text that every hit contains; empty if there is none.
	literal []byte
	number  *numberMatcher // instead of the expression, or nil
}

// Compile makes a table's expressions ready for searching; it returns nil where the table has none.
func Compile(table *parse.Table) *Expressions {
	e := &Expressions{}
	e.client.add(table, landmarks, parse.InBlock, parse.InLog)
	e.server.add(table, nil, parse.InServerLog)
	if len(e.client.exprs)+len(e.server.exprs) == 0 {
		return nil
	}
	return e
}

// add takes the table's expressions with one of the places. Words are those that are looked for in any case.
func (s *search) add(table *parse.Table, words []landmark, places ...parse.Place) {
	words = slices.Clone(words)
	for m := range table.All() {
		if m.Expr == nil || !slices.Contains(places, m.Place) {
			continue
		}
		literal := custom.Literal(m.Expr.String())
		s.exprs = append(s.exprs, expression{m, []byte(literal), compileNumber(m.Expr.String())})
		s.everyLine = s.everyLine || len(literal) < keyLen
		words = append(words, landmark{word: literal, kind: wanted})
	}
	if len(s.exprs) > 0 && !s.everyLine {
		s.finder = newFinder(words)
	}
}

// match tries the expression on a line and adds what its first group has found, or all of it where it has none.
func (e *expression) match(line []byte, number int, list *[]parse.Hits) {
	if !bytes.Contains(line, e.literal) {
		return
	}
	hits := parse.HitsOf(list, e.metric.Name)
	if hits.Has() && (e.metric.Aggregate == "" || e.metric.Aggregate == parse.First) {
		return
	}
	if e.number != nil {
		if found, ok := e.number.match(line); ok {
			hits.Add(text(found), number)
		}
		return
	}
	if m := e.metric.Expr.FindSubmatch(line); m != nil {
		hits.Add(text(m[min(1, len(m)-1)]), number)
	}
}

// ForServers reports whether there are expressions for servers' logs.
func (e *Expressions) ForServers() bool { return e != nil && len(e.server.exprs) > 0 }

// ServerHits returns what the expressions whose place is parse.InServerLog find in the log of a server.
func (e *Expressions) ServerHits(r io.Reader) ([]parse.Hits, error) {
	if !e.ForServers() {
		return nil, nil
	}
	var hits []parse.Hits
	lines := newLines(r, &e.server)
	defer lines.release()
	for {
		l, ok := lines.next(e.server.everyLine)
		if !ok {
			return hits, lines.err
		}
		for piece := range bytes.SplitSeq(l.text, []byte{'\r'}) {
			piece = clean(piece)
			for i := range e.server.exprs {
				e.server.exprs[i].match(piece, l.number, &hits)
			}
		}
	}
}
