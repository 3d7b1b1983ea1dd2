package custom

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// Literal returns a long text of ASCII characters that every match of an expression contains, or the empty text if none is known. A log is
// searched for it before the expression is tried on a line.
func Literal(expr string) string {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return ""
	}
	best, _ := literals(tree.Simplify())
	longest := ""
	for run := range strings.FieldsFuncSeq(best, func(r rune) bool { return r >= utf8.RuneSelf }) {
		if len(run) > len(longest) {
			longest = run
		}
	}
	return longest
}

// literals returns the longest text that every match of a tree contains, and the whole text where it matches no other.
func literals(tree *syntax.Regexp) (best, whole string) {
	switch tree.Op {
	case syntax.OpLiteral:
		// A byte that is no UTF-8 matches the replacement character, and is not its bytes.
		if tree.Flags&syntax.FoldCase == 0 && !slices.Contains(tree.Rune, utf8.RuneError) {
			whole = string(tree.Rune)
		}
		return whole, whole
	case syntax.OpCapture, syntax.OpPlus:
		best, whole = literals(tree.Sub[0])
		if tree.Op == syntax.OpPlus {
			whole = ""
		}
		return best, whole
	case syntax.OpRepeat:
		if tree.Min > 0 {
			best, _ = literals(tree.Sub[0])
		}
	case syntax.OpConcat:
		run := ""
		for _, sub := range tree.Sub {
			b, w := literals(sub)
			if len(b) > len(best) {
				best = b
			}
			if w == "" {
				if sub.Op != syntax.OpEmptyMatch && !zeroWidth(sub.Op) {
					run = ""
				}
				continue
			}
			if run += w; len(run) > len(best) {
				best = run
			}
		}
	}
	return best, ""
}

// zeroWidth reports whether an operation takes no text.
func zeroWidth(op syntax.Op) bool {
	switch op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return false
}
