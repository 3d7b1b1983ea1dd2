package devicestep

import (
	"bytes"
	"strconv"
)

// after returns the digits behind the first place where they follow a name and "=", or the sign that is given; nil without one.
func after(line []byte, name, sign string) []byte {
	for {
		i := bytes.Index(line, []byte(name))
		if i < 0 {
			return nil
		}
		line = line[i+len(name):]
		rest := line
		if sign == "" {
			rest = skipEquals(rest)
		} else if rest = trimPrefix(rest, sign); rest != nil {
			rest = skipBlanks(rest)
		}
		if d := digits(rest); d != nil {
			return d
		}
	}
}

// iterationAnd returns the first iteration behind which a name stands with a value, and the first such value; nil without one. Value
// takes the value from a text's beginning.
func iterationAnd(line []byte, name string, value func([]byte) []byte) (iteration, found []byte) {
	for {
		i := bytes.Index(line, []byte("iter"))
		if i < 0 {
			return nil, nil
		}
		line = line[i+len("iter"):]
		d := digits(skipEquals(line))
		if d == nil {
			continue
		}
		rest := skipEquals(line)[len(d):]
		if len(rest) == 0 || rest[0] != ',' {
			continue
		}
		for rest = rest[1:]; ; {
			n := bytes.Index(rest, []byte(name))
			if n < 0 {
				// No later iteration can have one either.
				return nil, nil
			}
			rest = rest[n+len(name):]
			if v := value(skipEquals(rest)); v != nil {
				return trimZeros(d), v
			}
		}
	}
}

// milliseconds returns the digits and points at a text's beginning, if "ms" follows.
func milliseconds(text []byte) []byte {
	n := 0
	for n < len(text) && (text[n] >= '0' && text[n] <= '9' || text[n] == '.') {
		n++
	}
	if n == 0 || !bytes.HasPrefix(skipBlanks(text[n:]), []byte("ms")) {
		return nil
	}
	return text[:n]
}

// digits returns the digits at a text's beginning; nil where there is none.
func digits(text []byte) []byte {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	if n == 0 {
		return nil
	}
	return text[:n]
}

// skipEquals returns what follows an equals sign with blanks around it; nil where there is none.
func skipEquals(text []byte) []byte {
	text = trimPrefix(skipBlanks(text), "=")
	if text == nil {
		return nil
	}
	return skipBlanks(text)
}

func trimPrefix(text []byte, prefix string) []byte {
	if rest, ok := bytes.CutPrefix(text, []byte(prefix)); ok {
		return rest
	}
	return nil
}

func skipBlanks(text []byte) []byte { return bytes.TrimLeft(text, " \t\n\r\f\v") }

// trimZeros drops leading zeros, so that numbers of any length compare as texts.
func trimZeros(digits []byte) []byte {
	if digits == nil {
		return nil
	}
	trimmed := bytes.TrimLeft(digits, "0")
	if len(trimmed) == 0 {
		return digits[:1]
	}
	return trimmed
}

// less reports whether a number without leading zeros is below a small one.
func less(number []byte, than int) bool {
	n, err := strconv.Atoi(string(number))
	return err == nil && n < than
}

// follows reports whether b is a plus 1, both without leading zeros.
func follows(a, b string) bool {
	n, err := strconv.ParseUint(a, 10, 63)
	return err == nil && strconv.FormatUint(n+1, 10) == b
}
