package parse

import (
	"math"
	"reflect"
	"slices"
	"strings"
)

// Merge returns what is known of a measurement after a second reading of it: old is what was known, read the new reading. What the
// new reading knows replaces the old; what it does not know stays, so metadata is added and never erased. The source stays the
// first one, and other places are listed in AlsoIn. A reason that rests on evidence which only the old reading had (its entry
// in a results.xml, its run) stays too; see [Context].
//
// A reading without the block's rows, as from a CSV, knows less: it only adds what was not known, and nothing to the status.
//
// The metrics may be those of one of the two; see [Values].
func Merge(old, read *Result) *Result {
	if len(read.Rows) == 0 && len(old.Rows) > 0 {
		m := *read
		fill(reflect.ValueOf(&m).Elem(), reflect.ValueOf(old).Elem())
		m.Status, m.Reasons, m.Checked = old.Status, old.Reasons, old.Checked
		m.Metrics = joined(read.Metrics, old.Metrics)
		m.AlsoIn = places(old, read)
		return &m
	}
	m := *old
	fill(reflect.ValueOf(&m).Elem(), reflect.ValueOf(read).Elem())
	m.Source = old.Source
	m.Metrics = joined(old.Metrics, read.Metrics)
	m.AlsoIn = places(old, read)
	m.Status, m.Reasons = Valid, nil
	for _, reason := range read.Reasons {
		m.Fail(reason.Code, reason.Message)
	}
	for _, reason := range old.Reasons {
		if c := reason.Code.context(); c != "" && !slices.Contains(read.Checked, c) {
			m.Fail(reason.Code, reason.Message)
		}
	}
	m.Checked = nil
	for _, c := range []Context{InJUnit, InRun} {
		if slices.Contains(old.Checked, c) || slices.Contains(read.Checked, c) {
			m.Checked = append(m.Checked, c)
		}
	}
	return &m
}

// joined returns the metrics of both. Those of the second count, unless the first has the same number with more digits, as a client's JSON
// does.
func joined(first, second Values) Values {
	if len(first) == 0 {
		return second
	}
	all := slices.Clone(second)
	for name, v := range first.All() {
		if other, ok := second.Lookup(name); !ok || len(v.Text) > len(other.Text) && other.Rounds(v.Value) {
			all.Set(name, v)
		}
	}
	return all
}

// Rounds reports whether the printed number is another one, rounded.
func (v Value) Rounds(exact float64) bool {
	_, decimals, _ := strings.Cut(v.Text, ".")
	// Half of the last digit, and what a float64 may be off.
	return math.Abs(v.Value-exact) <= 0.5*math.Pow10(-len(decimals))*(1+1e-6)
}

// places returns the further places of two readings.
func places(old, read *Result) []Source {
	all := slices.Clone(old.AlsoIn)
	for _, s := range append([]Source{read.Source}, read.AlsoIn...) {
		if s != old.Source && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// fill sets the fields of dst that src knows, struct by struct.
func fill(dst, src reflect.Value) {
	for i := range dst.NumField() {
		d, s := dst.Field(i), src.Field(i)
		switch {
		case !d.CanSet() || s.IsZero():
		case d.Kind() == reflect.Struct && d.Type().PkgPath() == reflect.TypeFor[Result]().PkgPath() && d.Type() != reflect.TypeFor[TestID]():
			fill(d, s)
		default:
			d.Set(s)
		}
	}
}
