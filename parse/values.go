package parse

import (
	"bytes"
	"encoding/json"
	"iter"
	"math"
	"slices"
	"strconv"
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

// find returns the place of a metric, or the one where it belongs. It is asked so often for each Result that slices.BinarySearchFunc, which
// copies the value that it compares, takes much of the time.
func (v Values) find(name string) (int, bool) {
	low, high := 0, len(v)
	for low < high {
		middle := (low + high) / 2
		switch c := strings.Compare(v[middle].Name, name); {
		case c == 0:
			return middle, true
		case c < 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return low, false
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

// MarshalJSON writes an object, as encoding/json writes a map. Every Result that is stored goes through it, so that what encoding/json would
// write as it is does without it.
func (v Values) MarshalJSON() ([]byte, error) {
	const usual = 100 // bytes of a metric
	b := append(make([]byte, 0, usual*(len(v)+1)), '{')
	var err error
	for i := range v {
		one := &v[i].Value
		if !isPlainJSON(v[i].Name) || !isPlainJSON(one.Text) || !isPlainJSON(one.Unit) {
			if b, err = appendJSON(b, v[i].Name, ':'); err == nil {
				b, err = appendJSON(b, one, ',')
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		b = append(append(append(b, '"'), v[i].Name...), `":{"value":`...)
		if size := math.Abs(one.Value); size == 0 || size >= 1e-6 && size < 1e21 {
			b = strconv.AppendFloat(b, one.Value, 'f', -1, 64)
		} else if b, err = appendJSON(b, one.Value, ' '); err != nil {
			return nil, err
		}
		b = append(append(append(b, `,"text":"`...), one.Text...), '"')
		if one.Unit != "" {
			b = append(append(append(b, `,"unit":"`...), one.Unit...), '"')
		}
		if one.Line != 0 {
			b = strconv.AppendInt(append(b, `,"line":`...), int64(one.Line), 10)
		}
		if one.Computed {
			b = append(b, `,"computed":true`...)
		}
		b = append(b, "},"...)
	}
	return append(bytes.TrimSuffix(b, []byte{','}), '}'), nil
}

// isPlainJSON reports whether a text is the same in JSON. The signs of HTML are for the caller of MarshalJSON to escape.
func isPlainJSON(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendJSON appends what encoding/json makes of a value, and a sign behind it.
func appendJSON(b []byte, value any, behind byte) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return append(append(b, bytes.TrimSpace(text.Bytes())...), behind), err
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
