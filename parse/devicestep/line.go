package devicestep

import "bytes"

// These take the line's four things. Each is the expression of the package's doc comment written out, as expressions are slow; nil is no
// match. The results are of the line.

// rankOf returns the digits of the rank.
func rankOf(line []byte) []byte { return first(line, "global_rank", equals(digits)) }

// tokensOf returns the digits of the number of tokens.
func tokensOf(line []byte) []byte {
	return first(line, "'num_generation_tokens':", func(text []byte) []byte { return digits(skipBlanks(text)) })
}

// requestsOf returns the digits of the iteration and of the scheduled requests.
func requestsOf(line []byte) (iteration, requests []byte) {
	return behindIteration(line, "num_scheduled_requests", equals(digits))
}

// valueOf returns the digits of the iteration and the value, digits and points.
func valueOf(line []byte) (iteration, value []byte) {
	return behindIteration(line, string(word), equals(milliseconds))
}

// taker takes something from a text's beginning; nil where it is not there.
type taker func(text []byte) []byte

// first returns what is taken behind the first place of a name where it can be.
func first(text []byte, name string, take taker) []byte {
	for {
		_, rest, ok := bytes.Cut(text, []byte(name))
		if !ok {
			return nil
		}
		if found := take(rest); found != nil {
			return found
		}
		text = rest
	}
}

// behindIteration returns the first iteration in a line and what is taken behind the first place of a name behind it.
func behindIteration(line []byte, name string, take taker) (iteration, found []byte) {
	var rest []byte
	iteration = first(line, "iter", equals(func(text []byte) []byte {
		d := digits(text)
		if d == nil || !bytes.HasPrefix(text[len(d):], []byte(",")) {
			return nil
		}
		rest = text[len(d):]
		return d
	}))
	// What is not behind the first iteration is behind no other.
	if found = first(rest, name, take); found == nil {
		return nil, nil
	}
	return iteration, found
}

// equals takes behind an equals sign with blanks around it.
func equals(take taker) taker {
	return func(text []byte) []byte {
		rest, ok := bytes.CutPrefix(skipBlanks(text), []byte("="))
		if !ok {
			return nil
		}
		return take(skipBlanks(rest))
	}
}

// milliseconds takes digits and points that "ms" follows.
func milliseconds(text []byte) []byte {
	rest := bytes.TrimLeft(text, "0123456789.")
	n := len(text) - len(rest)
	if n == 0 || !bytes.HasPrefix(skipBlanks(rest), []byte("ms")) {
		return nil
	}
	return text[:n]
}

func digits(text []byte) []byte {
	n := len(text) - len(bytes.TrimLeft(text, "0123456789"))
	if n == 0 {
		return nil
	}
	return text[:n]
}

func skipBlanks(text []byte) []byte { return bytes.TrimLeft(text, " \t\n\r\f\v") }
