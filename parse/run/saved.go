package run

import (
	"fmt"

	"github.com/trtperf/trtperf/parse"
)

// readSaved adds to the group's Results what their clients have saved as JSON: all digits. A file belongs to the Result whose printed
// numbers are its own, rounded.
func (r *reader) readSaved() {
	for f := range r.group.all() {
		if f.kind != clientJSON || len(r.Results) == 0 || r.more != nil {
			continue
		}
		c, ok := r.open(f)
		if !ok {
			continue
		}
		var same []*parse.Result
		differs := ""
		for _, x := range r.Results {
			if d := difference(x, c.saved); d == "" {
				same = append(same, x)
			} else {
				differs = d
			}
		}
		switch {
		case len(same) == 1:
			r.Blocks++
			addSaved(same[0], c.saved, parse.Source{File: f.Path})
		case len(same) > 1:
			r.note(parse.Warning, SavedDisagrees, f.Path, 0, fmt.Sprintf("%d results beside it have its numbers, so nothing tells whose it is", len(same)))
		case len(r.Results) == 1:
			r.note(parse.Warning, SavedDisagrees, f.Path, 0, "the result beside it has other numbers: "+differs)
		default:
			r.note(parse.Warning, SavedDisagrees, f.Path, 0, "no result beside it has its numbers")
		}
	}
}

// difference says in what a Result's printed numbers are not the saved ones; it is empty if they are.
func difference(x *parse.Result, saved parse.Values) string {
	compared := 0
	for name, exact := range saved.All() {
		printed, ok := x.Metrics.Lookup(name)
		if !ok {
			continue
		}
		if !printed.Rounds(exact.Value) {
			return fmt.Sprintf("%s is %s there and %s here", name, printed.Text, exact.Text)
		}
		compared++
	}
	const least = 3
	if compared < least {
		return "it has other metrics"
	}
	return ""
}

// addSaved adds saved numbers to a Result: digits to those it has, and others.
func addSaved(x *parse.Result, saved parse.Values, at parse.Source) {
	for name, v := range saved.All() {
		v.Line = x.Metrics.Get(name).Line
		x.Metrics.Set(name, v)
	}
	x.AlsoIn = append(x.AlsoIn, at)
}
