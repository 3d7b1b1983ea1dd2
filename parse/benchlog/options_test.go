package benchlog

import "testing"

func TestOptions(t *testing.T) {
	for text, want := range map[string]Options{
		"": {}, "=": {}, "model=": {},
		"model='a b, c', max_concurrency=8, random_input_len=1024, random_output_len=512)": {"a b, c", "8", "1024", "512"},
		`backend="x", tokenizer_model='no', served_model_name=None, model="yes")`:          {Model: "yes"},
		"model=None, model='later', max_concurrency=None)":                                 {},
		"model='cut off":                        {},
		"max_concurrency=12":                    {},
		"args=Namespace2(model=bare)":           {Model: "bare"},
		"max_concurrency=1, max_concurrency=2)": {Concurrency: "1"},
		"model='\xff')":                         {Model: "\ufffd"},
	} {
		if got := optionsOf([]byte(text), func(value []byte) string { return string(value) }); got != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
