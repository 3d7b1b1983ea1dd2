package sqlite

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/trtperf/trtperf/parse"
)

// decoder reads documents as encoding/json wrote them: no blanks, and an object's keys in the order of the struct's fields. That takes a tenth of
// encoding/json's time, which is what delivery would spend most on. Whatever it does not expect it leaves to encoding/json.
type decoder struct {
	text  string
	at    int
	plain bool // no text in it has an escape
	// ids are the test ids met so far: many Results have the same, and reading one is not cheap.
	ids map[string]parse.TestID
	// longest is the length of the last long list, and metrics the number of the last metrics: the next ones are often alike.
	longest, metrics int
	// room is a Result that nobody needs any more, for the next one, or nil; values is its metrics' room.
	room   *parse.Result
	values parse.Values
}

// decode reads one document.
func (d *decoder) decode(document string) (*parse.Result, error) {
	r := d.room
	if r == nil {
		r = &parse.Result{}
	} else {
		d.values, d.room = r.Metrics[:0], nil
		*r = parse.Result{}
	}
	if d.read(document, reflect.ValueOf(r).Elem(), resultReader) {
		return r, nil
	}
	r = &parse.Result{}
	if err := json.Unmarshal([]byte(document), r); err != nil {
		return nil, fmt.Errorf("the stored document is damaged: %w", err)
	}
	return r, nil
}

// whole reads a document and the rows of its block.
func (d *decoder) whole(document, rows string) (*parse.Result, error) {
	r, err := d.decode(document)
	if err != nil || rows == "" {
		return r, err
	}
	if d.read(rows, reflect.ValueOf(&r.Rows).Elem(), rowsReader) {
		return r, nil
	}
	r.Rows = nil
	if err := json.Unmarshal([]byte(rows), &r.Rows); err != nil {
		return nil, fmt.Errorf("the stored rows are damaged: %w", err)
	}
	return r, nil
}

// read reads a text as a value, whose texts are parts of it. It reports whether that went well.
func (d *decoder) read(text string, v reflect.Value, reader func(*decoder, reflect.Value) bool) bool {
	// encoding/json replaces what is no text.
	d.text, d.at, d.plain = text, 0, strings.IndexByte(text, '\\') < 0
	return utf8.ValidString(text) && reader(d, v) && d.at == len(text)
}

// split cuts the rows, which are half of it and are asked for by few, out of a document as encoding/json wrote it.
//
// What is looked for stands in no text, since a quote there has a backslash in front.
func split(whole string) (document, rows string) {
	const begin, end = `,"rows":[{`, `],"source":{`
	start := strings.Index(whole, begin)
	if start < 0 {
		return whole, ""
	}
	n := strings.Index(whole[start:], end)
	if n < 0 {
		return whole, ""
	}
	return whole[:start] + whole[start+n+1:], whole[start+len(begin)-2 : start+n+1]
}

// plan is what a struct's fields are called and how their values are read.
type plan []planned

type planned struct {
	key   string // with quotes and colon
	index int
	read  func(d *decoder, v reflect.Value) bool
}

var (
	resultReader = readerOf(reflect.TypeFor[parse.Result]())
	rowsReader   = readerOf(reflect.TypeFor[[]parse.Row]())
)

// planOf makes the plan of a struct from its tags. A field of a type that it does not know gets none, so that encoding/json reads the documents that have it.
func planOf(t reflect.Type) plan {
	var p plan
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if read := readerOf(t.Field(i).Type); name != "" && name != "-" && read != nil {
			p = append(p, planned{`"` + name + `":`, i, read})
		}
	}
	return p
}

func readerOf(t reflect.Type) func(d *decoder, v reflect.Value) bool {
	switch t {
	case reflect.TypeFor[parse.TestID]():
		return func(d *decoder, v reflect.Value) bool { return d.testID(v.Addr().Interface().(*parse.TestID)) }
	case reflect.TypeFor[time.Time]():
		return func(d *decoder, v reflect.Value) bool {
			text, ok := d.string()
			return ok && v.Addr().Interface().(*time.Time).UnmarshalText([]byte(text)) == nil
		}
	case reflect.TypeFor[parse.Values]():
		return func(d *decoder, v reflect.Value) bool {
			metrics, ok := d.metricsOf()
			*v.Addr().Interface().(*parse.Values) = metrics
			return ok
		}
	}
	switch t.Kind() {
	case reflect.String:
		return func(d *decoder, v reflect.Value) bool {
			text, ok := d.string()
			v.SetString(text)
			return ok
		}
	case reflect.Int, reflect.Int64:
		return func(d *decoder, v reflect.Value) bool {
			n, ok := d.integer()
			v.SetInt(n)
			return ok
		}
	case reflect.Float64:
		return func(d *decoder, v reflect.Value) bool {
			f, ok := d.float()
			v.SetFloat(f)
			return ok
		}
	case reflect.Bool:
		return func(d *decoder, v reflect.Value) bool {
			word := d.word()
			v.SetBool(word == "true")
			return word == "true" || word == "false"
		}
	case reflect.Pointer:
		read := readerOf(t.Elem())
		if read == nil {
			return nil
		}
		return func(d *decoder, v reflect.Value) bool {
			v.Set(reflect.New(t.Elem()))
			return read(d, v.Elem())
		}
	case reflect.Struct:
		p := planOf(t)
		return func(d *decoder, v reflect.Value) bool { return d.object(v, p) }
	case reflect.Slice:
		read := readerOf(t.Elem())
		if read == nil {
			return nil
		}
		return func(d *decoder, v reflect.Value) bool {
			if !d.skip('[') || d.skip(']') { // encoding/json leaves empty ones out
				return false
			}
			const long = 8
			v.Grow(2)
			for n := 0; ; n++ {
				if n == long && d.longest > n {
					v.Grow(d.longest - n)
				} else if n == v.Cap() {
					v.Grow(1)
				}
				v.SetLen(n + 1)
				if !read(d, v.Index(n)) {
					return false
				}
				if !d.skip(',') {
					if n >= long {
						d.longest = n + 1
					}
					return d.skip(']')
				}
			}
		}
	}
	return nil
}

// skip skips one byte.
func (d *decoder) skip(c byte) bool {
	if d.at < len(d.text) && d.text[d.at] == c {
		d.at++
		return true
	}
	return false
}

// object reads an object's members into a struct.
func (d *decoder) object(v reflect.Value, p plan) bool {
	if !d.skip('{') {
		return false
	}
	if d.skip('}') {
		return true
	}
	for i := 0; ; i++ {
		for ; i < len(p) && !strings.HasPrefix(d.text[d.at:], p[i].key); i++ {
		}
		if i == len(p) {
			return false
		}
		d.at += len(p[i].key)
		if !p[i].read(d, v.Field(p[i].index)) {
			return false
		}
		if !d.skip(',') {
			return d.skip('}')
		}
	}
}

// metricsOf reads a Result's metrics. It has dozens of them, so that they are read without the detours of the other fields.
func (d *decoder) metricsOf() (parse.Values, bool) {
	metrics := d.values
	if d.values = nil; cap(metrics) < d.metrics {
		metrics = make(parse.Values, 0, d.metrics)
	}
	if !d.skip('{') || d.skip('}') { // encoding/json leaves empty ones out
		return nil, false
	}
	for before := ""; ; {
		name, ok := d.string()
		if !ok || !d.skip(':') || name <= before {
			return nil, false
		}
		metrics = append(metrics, parse.NamedValue{Name: name})
		if !d.value(&metrics[len(metrics)-1].Value) {
			return nil, false
		}
		if !d.skip(',') {
			d.metrics = len(metrics)
			return metrics, d.skip('}')
		}
		before = name
	}
}

// value reads a metric's value.
func (d *decoder) value(v *parse.Value) (ok bool) {
	if !d.key(`{"value":`) {
		return false
	}
	if v.Value, ok = d.float(); ok && d.key(`,"text":`) {
		v.Text, ok = d.string()
	}
	if ok && d.key(`,"unit":`) {
		v.Unit, ok = d.string()
	}
	if ok && d.key(`,"line":`) {
		var line int64
		line, ok = d.integer()
		v.Line = int(line)
	}
	v.Computed = ok && d.key(`,"computed":true`)
	return ok && d.skip('}')
}

// key skips a text that stands next.
func (d *decoder) key(text string) bool {
	if strings.HasPrefix(d.text[d.at:], text) {
		d.at += len(text)
		return true
	}
	return false
}

// integer reads a whole number of at most 18 digits.
func (d *decoder) integer() (n int64, ok bool) {
	const most = 18
	negative := d.skip('-')
	start := d.at
	for ; d.at < len(d.text) && d.text[d.at] >= '0' && d.text[d.at] <= '9' && d.at < start+most; d.at++ {
		n = n*10 + int64(d.text[d.at]-'0')
	}
	if negative {
		n = -n
	}
	return n, d.at > start // a digit too many is not what stands behind a number
}

// float reads a number.
func (d *decoder) float() (float64, bool) {
	negative := d.skip('-')
	word := d.word()
	f, ok := parse.PlainNumber(word)
	if !ok {
		var err error
		f, err = strconv.ParseFloat(word, 64)
		ok = err == nil && word[0] >= '0' && word[0] <= '9'
	}
	if negative {
		f = -f
	}
	return f, ok
}

// string reads a text.
func (d *decoder) string() (string, bool) {
	if !d.skip('"') {
		return "", false
	}
	n := strings.IndexByte(d.text[d.at:], '"')
	if n < 0 {
		return "", false
	}
	text := d.text[d.at : d.at+n]
	if d.plain || strings.IndexByte(text, '\\') < 0 {
		d.at += n + 1
		return text, true
	}
	for end := d.at; ; end++ {
		switch {
		case end >= len(d.text):
			return "", false
		case d.text[end] == '\\':
			end++
		case d.text[end] == '"':
			var unquoted string
			err := json.Unmarshal([]byte(d.text[d.at-1:end+1]), &unquoted)
			d.at = end + 1
			return unquoted, err == nil
		}
	}
}

// word reads a number or a name.
func (d *decoder) word() string {
	start := d.at
	for d.at < len(d.text) && d.text[d.at] != ',' && d.text[d.at] != '}' && d.text[d.at] != ']' {
		d.at++
	}
	return d.text[start:d.at]
}

func (d *decoder) testID(id *parse.TestID) bool {
	text, ok := d.string()
	if !ok {
		return false
	}
	known, ok := d.ids[text]
	if !ok {
		if known.UnmarshalText([]byte(text)) != nil {
			return false
		}
		if d.ids == nil {
			d.ids = map[string]parse.TestID{}
		}
		if len(d.ids) < 1000 {
			d.ids[text] = known
		}
	}
	*id = known
	return true
}

// Decoder reads Results from the documents that encoding/json makes of them, in a tenth of its time. It remembers the test ids that it has met.
type Decoder struct{ decoder }

// Decode reads one document.
func (d *Decoder) Decode(document []byte) (*parse.Result, error) { return d.decode(string(document)) }
