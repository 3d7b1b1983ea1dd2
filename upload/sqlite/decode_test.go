package sqlite

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trtperf/trtperf/parse"
)

// fill sets every exported field of a value to something that is not zero.
func fill(v reflect.Value, n *int) {
	*n++
	if t, ok := v.Addr().Interface().(*time.Time); ok {
		*t = time.Date(2026, 11, 23, 12, 0, 0, *n*1000, time.UTC)
		return
	}
	if id, ok := v.Addr().Interface().(*parse.TestID); ok {
		*id, _ = parse.ParseTestID(fmt.Sprintf("perf/test_perf_sanity.py::test_e2e[aggr_upload-k-s%d]", *n))
		return
	}
	if metrics, ok := v.Addr().Interface().(*parse.Values); ok {
		for i := range 40 {
			var one parse.Value
			fill(reflect.ValueOf(&one).Elem(), n)
			metrics.Set(fmt.Sprintf("metric_%d", i), one)
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d \"\\ <é>\n", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(-*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() { // no document has the others
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 11, 11))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	default:
		panic(v.Type())
	}
}

// Every field comes back without encoding/json's help, and so does each alone.
func TestDecode(t *testing.T) {
	n := 0
	var full parse.Result
	fill(reflect.ValueOf(&full).Elem(), &n)
	results := []*parse.Result{{}, &full, {ID: "x", Metrics: parse.Values{{Name: "a", Value: parse.Value{Value: math.MaxFloat64, Text: "1"}}}}}
	for i := range reflect.TypeFor[parse.Result]().NumField() {
		var one parse.Result
		fill(reflect.ValueOf(&one).Elem().Field(i), &n)
		results = append(results, &one)
	}
	var d decoder
	for _, want := range results {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var fast decoder
		var got parse.Result
		if !fast.read(string(text), reflect.ValueOf(&got).Elem(), resultReader) {
			t.Errorf("left to encoding/json from %.40q on: %s", text[fast.at:], text)
		}
		again, err := d.decode(string(text))
		if err != nil || !reflect.DeepEqual(&got, want) || !reflect.DeepEqual(again, want) {
			t.Errorf("got %+v, want %+v, error %v", got, want, err)
		}
	}
}

// Every number is read as strconv reads it, to the last bit.
func TestDecodeNumber(t *testing.T) {
	texts := []string{"0", "-0", "0.0", "-0.5", "0.1", "123456789012345", "1234567890123456", "12345678901234.5", "0.00000000000001", "0.000000000000012345", "999999999999999",
		"9007199254740993", "1e-7", "1.5e300", "-1E5", "1.", ".5", "-.5", "-", "--1", "1.2.3", "", "nan", "-nan", "-inf", "0x10", "+1"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		n := random.Int64N(1 << random.IntN(62))
		texts = append(texts, fmt.Sprintf("%d.%0*d", n>>random.IntN(30), 1+random.IntN(6), random.IntN(1000)), fmt.Sprint(float64(n)/float64(int64(1)<<random.IntN(40))))
	}
	for _, text := range texts {
		want, err := strconv.ParseFloat(text, 64)
		sound := err == nil && strings.Trim(text, "0123456789.eE+-") == "" && text[0] != '+'
		for _, end := range []string{",", "}", ""} {
			d := decoder{text: text + end}
			got, ok := d.float()
			if ok && (!sound || math.Float64bits(got) != math.Float64bits(want) || d.at != len(text)) {
				t.Errorf("%q is read as %v up to %d, want %v, %v", text, got, d.at, want, err)
			}
			if sound && !ok && text[0] != '.' && !strings.HasPrefix(text, "-.") {
				t.Errorf("%q is not read", text)
			}
		}
	}
}

// A Result that is split comes back whole, whatever stands in texts before, in and behind its rows.
func TestSplit(t *testing.T) {
	n := 0
	var full parse.Result
	fill(reflect.ValueOf(&full).Elem(), &n)
	const begin, end = `,"rows":[{`, `],"source":{`
	nasty := full
	nasty.Module, nasty.Function = begin, "x],"
	nasty.Metrics = parse.Values{{Name: begin, Value: parse.Value{Text: begin}}, {Name: end, Value: parse.Value{Text: end}}, {Name: "rows", Value: parse.Value{Unit: ","}}}
	nasty.Rows = []parse.Row{{Label: end, Text: "],"}, {Label: "]", Text: begin}}
	nasty.Source = parse.Source{File: begin + end, Member: end}
	none := full
	none.Rows = nil
	none.Source.File = begin + end
	var d decoder
	for _, want := range []*parse.Result{{}, &full, &nasty, &none, &full} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		document, rows := split(string(text))
		if got, err := d.whole(document, rows); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v, error %v", got, want, err)
		}
		without := *want
		without.Rows = nil
		if got, err := d.decode(document); err != nil || !reflect.DeepEqual(got, &without) {
			t.Errorf("got %+v, want %+v, error %v", got, &without, err)
		}
	}
}

// What the fast way takes is what encoding/json makes of it, whatever the text is.
func FuzzDecode(f *testing.F) {
	n := 0
	var full parse.Result
	fill(reflect.ValueOf(&full).Elem(), &n)
	text, _ := json.Marshal(&full)
	for _, seed := range []string{string(text), `{"id":"a","status":"valid","source":{"file":"f"}}`, `{"id":"a","id":"b"}`, `{"status":"valid","id":"b"}`, `{"id":null}`,
		`{"id":"a","metrics":{"m":{"value":1e5,"text":"\u00e9"}}}`, `{"id":"a","metrics":{"m":{"value":1,"text":"1"},"a":{"value":2,"text":"2"},"m":{"value":3,"text":"3"}}}`, `{"id":"a","client":{"index":01}}`, `{"id":"a" ,"test_seconds":nan}`, `{"id":"a","rows":[]}`, `{"id":"a`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var fast decoder
		var got, want parse.Result
		if !fast.read(text, reflect.ValueOf(&got).Elem(), resultReader) {
			return
		}
		// It need not refuse all that encoding/json does: encoding/json wrote what it reads.
		if err := json.Unmarshal([]byte(text), &want); err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	})
}
