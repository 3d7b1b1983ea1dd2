package parse

import (
	"reflect"
	"slices"
)

// Merge returns what is known of a measurement after a second reading of it: old is what was known, read the new reading. What the
// new reading knows replaces the old; what it does not know stays, so metadata is added and never erased. The source stays the
// first one, and other places are listed in AlsoIn. A reason that rests on evidence which only the old reading had (its entry
// in a results.xml, its run) stays too; see [Context].
func Merge(old, read *Result) *Result {
	m := *old
	fill(reflect.ValueOf(&m).Elem(), reflect.ValueOf(read).Elem())
	m.Source = old.Source
	m.Metrics = map[string]Value{}
	for _, of := range []*Result{old, read} {
		for name, v := range of.Metrics {
			m.Metrics[name] = v
		}
	}
	m.AlsoIn = slices.Clone(old.AlsoIn)
	for _, s := range append([]Source{read.Source}, read.AlsoIn...) {
		if s != old.Source && !slices.Contains(m.AlsoIn, s) {
			m.AlsoIn = append(m.AlsoIn, s)
		}
	}
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
