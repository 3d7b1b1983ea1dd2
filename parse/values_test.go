package parse

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Values are what a map of them is, in order.
func TestValues(t *testing.T) {
	names := []string{"", "a", "b", "mean_itl", "mean_ttft", "z", "é", "\"<&>\\"}
	var got Values
	want := map[string]Value{}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		name := names[random.IntN(len(names))]
		if v := (Value{Value: random.Float64(), Text: "<" + name, Line: random.IntN(3), Computed: random.IntN(2) == 0}); random.IntN(3) > 0 {
			got.Set(name, v)
			want[name] = v
		} else {
			got.Delete(name)
			delete(want, name)
		}
		inOrder := slices.IsSortedFunc(got, func(a, b NamedValue) int { return strings.Compare(a.Name, b.Name) })
		if !maps.Equal(maps.Collect(got.All()), want) || !inOrder {
			t.Fatalf("got %v, want %v", got, want)
		}
		for _, name := range names {
			v, ok := got.Lookup(name)
			if other, has := want[name]; v != other || ok != has || got.Get(name) != other {
				t.Fatalf("%q is %v, want %v", name, v, other)
			}
		}
	}
}

// What is stored has the bytes that a map's has.
func TestValuesAsJSON(t *testing.T) {
	all := map[string]Value{
		"mean_ttft": {Value: 55.5, Text: "55.50", Unit: "ms", Line: 7}, "a<b>": {Value: 1e-7, Text: "<&>"}, "a\"": {Text: "<&>\u2028\xff\\"}, "m": {Unit: "\n"},
		"z": {Value: 1e21, Computed: true}, "n": {Value: math.Copysign(0, -1), Line: -1}, "o": {Value: -1e-6}, "p": {Value: math.MaxFloat64}, "q": {Value: 1e20 / 3},
	}
	var whole Value
	for i, v := 0, reflect.ValueOf(&whole).Elem(); i < v.NumField(); i++ { // a new field is written, too
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("text")
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int:
			f.SetInt(1)
		case reflect.Float64:
			f.SetFloat(1)
		default:
			t.Fatal(f.Type())
		}
	}
	all["whole"] = whole
	var values Values
	for name, v := range all {
		values.Set(name, v)
	}
	for _, escape := range []bool{true, false} {
		var got, want bytes.Buffer
		for to, v := range map[*bytes.Buffer]any{&got: &Result{Metrics: values}, &want: all} {
			e := json.NewEncoder(to)
			e.SetEscapeHTML(escape)
			if err := e.Encode(v); err != nil {
				t.Fatal(err)
			}
		}
		if metrics := `"metrics":` + strings.TrimSpace(want.String()) + ","; !strings.Contains(got.String(), metrics) {
			t.Errorf("got %s, want %s", &got, metrics)
		}
		var back Result
		if err := json.Unmarshal(got.Bytes(), &back); err != nil || len(back.Metrics) != len(all) || back.Metrics.Get("mean_ttft") != all["mean_ttft"] {
			t.Errorf("%v, error %v", back.Metrics, err)
		}
	}
	if _, err := json.Marshal(Values{{"a", Value{Value: math.NaN()}}}); err == nil {
		t.Error("what is no number is written")
	}
	if text, err := json.Marshal(&Result{Metrics: Values{}}); err != nil || bytes.Contains(text, []byte("metrics")) {
		t.Errorf("%s %v", text, err)
	}
	for text, want := range map[string]Values{
		`null`: nil, `{}`: {}, `{"b":{"value":1},"a":{"value":2},"b":{"text":"3"}}`: {{"a", Value{Value: 2}}, {"b", Value{Text: "3"}}},
	} {
		var got Values
		if err := json.Unmarshal([]byte(text), &got); err != nil || len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, error %v", text, got, err)
		}
	}
	for _, text := range []string{`[]`, `{"a":1}`, `{"a":{"value":"x"}}`} {
		if err := json.Unmarshal([]byte(text), new(Values)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
