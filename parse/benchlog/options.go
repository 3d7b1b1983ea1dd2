package benchlog

import (
	"bytes"
	"unicode/utf8"
)

// Options are what a client prints of its options in a Namespace(…), as far as they say what it measured. What is absent or None is empty.
type Options struct {
	Model string
	// Concurrency is the greatest number of requests in flight; InputLen and OutputLen are the lengths of random prompts and answers.
	Concurrency, InputLen, OutputLen string
}

// optionNames are the options that are read, in the order of Options' fields; optionEnds are the last letters of their names.
var (
	optionNames = [...]string{"model=", "max_concurrency=", "random_input_len=", "random_output_len="}
	optionEnds  = func() (set [256]bool) {
		for _, name := range optionNames {
			set[name[len(name)-2]] = true
		}
		return set
	}()
)

// optionsOf reads the text behind "Namespace(". Of an option that stands there twice the first counts. Keep makes a copy of a value.
func optionsOf(namespace []byte, keep func(value []byte) string) Options {
	var o Options
	to := [len(optionNames)]*string{&o.Model, &o.Concurrency, &o.InputLen, &o.OutputLen} // nil for what has been read
	left := len(to)
	for at := 0; left > 0; {
		i := bytes.IndexByte(namespace[at:], '=')
		if i < 0 {
			break
		}
		at += i + 1
		if at < 2 || !optionEnds[namespace[at-2]] {
			continue
		}
		for n, name := range optionNames {
			if to[n] == nil || !endsIn(namespace[:at], name) {
				continue
			}
			if value := optionValue(namespace[at:]); value != nil {
				if !utf8.Valid(value) {
					value = bytes.ToValidUTF8(value, []byte("\ufffd"))
				}
				*to[n] = keep(value)
			}
			to[n] = nil
			left--
		}
	}
	return o
}

// endsIn reports whether a text ends in an option's whole name.
func endsIn(text []byte, name string) bool {
	begin := len(text) - len(name)
	return begin >= 0 && string(text[begin:]) == name && (begin == 0 || text[begin-1] == ' ' || text[begin-1] == '(')
}

// optionValue returns the value with which a text begins, without its quotes; nil for None, and for one that is cut off.
func optionValue(text []byte) []byte {
	end := 0
	if len(text) > 0 && (text[0] == '\'' || text[0] == '"') {
		end = bytes.IndexByte(text[1:], text[0])
		text = text[1:]
	} else {
		end = bytes.IndexAny(text, ",() ")
	}
	if end < 0 || string(text[:end]) == "None" {
		return nil
	}
	return text[:end]
}
