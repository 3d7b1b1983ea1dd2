// Package clientjson reads the JSON that a benchmark client writes with --save-result, beside the block that it prints: the same
// measurement with all digits.
//
// The file is one object. Of its members those count whose key the metric table knows (duration, completed, request_throughput,
// mean_ttft_ms …); the lists of single requests, which can be long, are passed over without being held. A number that JSON does not
// have (NaN, Infinity) makes the metric absent.
package clientjson

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/trtperf/trtperf/parse"
)

// name is how clients call the file: {backend}-{rate}qps[-concurrency{N}]-{model}-{YYYYmmdd-HHMMSS}.json.
const name = `.+qps(-concurrency\d+)?-.+-\d{8}-\d{6}\.json`

// NamePattern returns a regular expression for the whole name of such a file.
func NamePattern() string { return name }

// ErrNotClient says that a file is no client's.
var ErrNotClient = errors.New("a JSON file that no benchmark client has written")

// notNumbers are what Python writes for numbers that JSON does not have.
var notNumbers = regexp.MustCompile(`((?:^|[:\[])\s*)(-?Infinity|NaN)\b`)

// Read returns the metrics of a file, with the numbers as they are written.
func Read(r io.Reader, t *parse.Table) (parse.Values, error) {
	d := json.NewDecoder(&cleaner{in: bufio.NewReader(r)})
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, ErrNotClient
	}
	var found parse.Values
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
		}
		value, err := scalar(d)
		if err != nil {
			return nil, fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
		}
		text, isKey := key.(string)
		m := t.ByJSON(strings.TrimSuffix(text, ":")) // the goodput's key ends in a colon
		number, isNumber := value.(json.Number)
		if !isKey || m == nil || !isNumber {
			continue
		}
		if v, _, ok := parse.ParseNumber(number.String()); ok {
			found.Set(m.Name, parse.Value{Value: v, Text: number.String(), Unit: m.Unit})
		}
	}
	const least = 3
	if len(found) < least {
		return nil, ErrNotClient
	}
	return found, nil
}

// scalar reads a value, and passes over one that is a list or an object.
func scalar(d *json.Decoder) (json.Token, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	if _, ok := token.(json.Delim); !ok {
		return token, nil
	}
	for depth := 1; depth > 0; {
		switch token, err = d.Token(); {
		case err != nil:
			return nil, err
		case token == json.Delim('{') || token == json.Delim('['):
			depth++
		case token == json.Delim('}') || token == json.Delim(']'):
			depth--
		}
	}
	return nil, nil
}

// cleaner writes null for numbers that JSON does not have.
type cleaner struct {
	in   *bufio.Reader
	rest []byte
	err  error
}

func (c *cleaner) Read(p []byte) (int, error) {
	for len(c.rest) == 0 && c.err == nil {
		// Up to the end of a member, so that no word is cut; a text may be long, and is given on in pieces.
		c.rest, c.err = c.in.ReadSlice(',')
		if errors.Is(c.err, bufio.ErrBufferFull) {
			c.err = nil
		}
		if bytes.Contains(c.rest, []byte("NaN")) || bytes.Contains(c.rest, []byte("Infinity")) {
			c.rest = notNumbers.ReplaceAll(c.rest, []byte("${1}null"))
		}
	}
	n := copy(p, c.rest)
	if c.rest = c.rest[n:]; n == 0 {
		return 0, c.err
	}
	return n, nil
}
