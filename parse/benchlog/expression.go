package benchlog

import (
	"bytes"
	"io"
	"iter"
	"slices"
	"strings"

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
	exprs []expression
	// finder finds first so many landmarks, and then the literals of the expressions that have one; nil where it would find nothing.
	finder    *finder
	landmarks int
	byWord    []int // the expressions of those literals
	// always are the expressions that must be tried on every line, since a text that each hit contains is unknown or too short.
	always []int
}

// everyLine reports whether every line must be looked at. A nil search asks for none.
func (s *search) everyLine() bool { return s != nil && len(s.always) > 0 }

// expression is a metric that is found by an expression.
type expression struct {
	metric *parse.Metric
	// Instead of the expression, where it has one of two common forms; else nil.
	number *numberMatcher
	fixed  *fixedMatcher
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
	s.landmarks = len(words)
	for m := range table.All() {
		if m.Expr == nil || !slices.Contains(places, m.Place) {
			continue
		}
		text := m.Expr.String()
		literal := custom.Literal(text)
		if strings.ContainsAny(literal, "\n\x00") {
			continue // no line has these
		}
		if n := len(s.exprs); len(literal) < keyLen {
			s.always = append(s.always, n)
		} else {
			s.byWord = append(s.byWord, n)
			words = append(words, landmark{word: literal, kind: wanted})
		}
		s.exprs = append(s.exprs, expression{m, compileNumber(text), compileFixed(text)})
	}
	if len(s.exprs) > 0 && len(words) > 0 {
		s.finder = newFinder(words)
	}
}

// candidates yields the expressions that may hit a line in which the finder has found landmarks, both in the order of their tables.
func (s *search) candidates(found []int) iter.Seq[*expression] {
	return func(yield func(*expression) bool) {
		always := s.always
		for _, n := range found {
			if n < s.landmarks {
				continue
			}
			n = s.byWord[n-s.landmarks]
			for len(always) > 0 && always[0] < n {
				if !yield(&s.exprs[always[0]]) {
					return
				}
				always = always[1:]
			}
			if !yield(&s.exprs[n]) {
				return
			}
		}
		for _, n := range always {
			if !yield(&s.exprs[n]) {
				return
			}
		}
	}
}

// match tries the expression on a line and adds what its first group has found, or all of it where it has none.
func (e *expression) match(line []byte, number int, list *[]parse.Hits) {
	var hits *parse.Hits
	if e.metric.Aggregate == "" || e.metric.Aggregate == parse.First {
		if hits = parse.HitsOf(list, e.metric.Name); hits.Has() {
			return
		}
	}
	var found string
	switch {
	case e.fixed != nil:
		if !bytes.Contains(line, e.fixed.whole) {
			return
		}
		found = e.fixed.group
	case e.number != nil:
		number, ok := e.number.match(line)
		if !ok {
			return
		}
		found = string(number)
	default:
		m := e.metric.Expr.FindSubmatch(line)
		if m == nil {
			return
		}
		found = text(m[min(1, len(m)-1)])
	}
	if hits == nil {
		hits = parse.HitsOf(list, e.metric.Name)
	}
	hits.Add(found, number)
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
	var look looker
	for {
		l, ok := lines.next(e.server.everyLine())
		if !ok {
			return hits, lines.err
		}
		for piece := range bytes.SplitSeq(l.text, []byte{'\r'}) {
			piece = clean(piece)
			for e := range e.server.candidates(look.in(e.server.finder, piece)) {
				e.match(piece, l.number, &hits)
			}
		}
	}
}
