package parse

import (
	"bytes"
	"encoding/json"
	"iter"
	"slices"
	"strings"
)

// Values are metrics in the order of their names. In JSON they are an object. Like a map they are shared by the copies of a Result, of which
// only one may change them.
type Values []NamedValue

// NamedValue is a metric's value with the metric's name.
type NamedValue struct {
	Name  string
	Value Value
}

// find returns the place of a metric, or the one where it belongs.
func (v Values) find(name string) (int, bool) {
	return slices.BinarySearchFunc(v, name, func(one NamedValue, name string) int { return strings.Compare(one.Name, name) })
}

// Lookup returns the value of a metric, if there is one.
func (v Values) Lookup(name string) (Value, bool) {
	if i, ok := v.find(name); ok {
		return v[i].Value, true
	}
	return Value{}, false
}

// Get returns the value of a metric, or one without a text.
func (v Values) Get(name string) Value {
	value, _ := v.Lookup(name)
	return value
}

// Set sets the value of a metric.
func (v *Values) Set(name string, value Value) {
	i, ok := v.find(name)
	if !ok {
		*v = slices.Insert(*v, i, NamedValue{Name: name})
	}
	(*v)[i].Value = value
}

// Delete removes a metric, if it is there.
func (v *Values) Delete(name string) {
	if i, ok := v.find(name); ok {
		*v = slices.Delete(*v, i, i+1)
	}
}

// All yields the metrics in the order of their names.
func (v Values) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for i := range v {
			if !yield(v[i].Name, v[i].Value) {
				return
			}
		}
	}
}

// MarshalJSON writes an object.
func (v Values) MarshalJSON() ([]byte, error) {
	var text bytes.Buffer
	text.WriteByte('{')
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // that is for the caller to say
	for i := range v {
		if i > 0 {
			text.WriteByte(',')
		}
		if err := e.Encode(v[i].Name); err != nil {
			return nil, err
		}
		text.WriteByte(':')
		if err := e.Encode(&v[i].Value); err != nil {
			return nil, err
		}
	}
	text.WriteByte('}')
	return text.Bytes(), nil
}

// UnmarshalJSON reads an object, whatever the order of its members.
func (v *Values) UnmarshalJSON(text []byte) error {
	var all map[string]Value
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	*v = make(Values, 0, len(all))
	for name, value := range all {
		*v = append(*v, NamedValue{name, value})
	}
	slices.SortFunc(*v, func(a, b NamedValue) int { return strings.Compare(a.Name, b.Name) })
	return nil
}
