package posting

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// kind is a type of JSON as the gateway tells them apart.
type kind string

const (
	text    kind = "a text"
	whole   kind = "a whole number"
	decimal kind = "a number with a point or an exponent"
	truth   kind = "true or false"
	object  kind = "an object"
	null    kind = "null"
	list    kind = "a list"
)

// rules are the types that a key's prefix allows. Source: the type check of TensorRT-LLM's open_search_db.py, which refuses a whole batch for one key.
var rules = []struct {
	prefix string
	kinds  []kind
}{
	{"l_", []kind{whole, truth}}, // Python's bool is an int
	{"d_", []kind{decimal}},
	{"s_", []kind{text}},
	{"b_", []kind{truth}},
	{"ts_", []kind{whole, truth}},
	{"flat_", []kind{object}},
	{"ni_", []kind{text, whole, decimal, truth}},
}

// bare are keys without a prefix that are allowed, with values of any type.
var bare = map[string]bool{
	"@timestamp": true, "_id": true, "_index": true, "_score": true, "_type": true, "_project": true, "_shard": true, "_version": true,
}

// check says which key of a document the gateway would refuse.
func check(document []byte) error {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("no object: %w", err)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		if err := checkKey(key, kindOf(value)); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind the document")
	}
	return nil
}

func checkKey(key string, have kind) error {
	if bare[key] {
		return nil
	}
	for _, r := range rules {
		if !strings.HasPrefix(key, r.prefix) {
			continue
		}
		for _, k := range r.kinds {
			if k == have {
				return nil
			}
		}
		return fmt.Errorf("key %q: it is %s, and %s wants %s", key, have, r.prefix, r.kinds[0])
	}
	return fmt.Errorf("key %q: the gateway takes no key without one of its prefixes", key)
}

func kindOf(value json.RawMessage) kind {
	switch value[0] {
	case '"':
		return text
	case 't', 'f':
		return truth
	case 'n':
		return null
	case '{':
		return object
	case '[':
		return list
	}
	if bytes.ContainsAny(value, ".eE") {
		return decimal
	}
	return whole
}
