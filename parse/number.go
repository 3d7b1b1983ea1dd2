package parse

import (
	"math"
	"strconv"
	"strings"
)

// maxDigits bounds the digits of a canonical decimal, so that a hostile exponent cannot fill memory. A float64 needs at most
// 309 digits before its point and 1074 behind it.
const maxDigits = 1400

// ParseNumber reads a printed number by its whole text:
//
//	[+-] digits [. digits] [e [+-] digits]
//
// It returns the float64 and the canonical decimal: no sign on zero, no exponent, no leading or trailing zeros, so that "5.50",
// "5.5" and "55e-1" agree. Anything else ("nan", "xxx", "20/20", "---", "2,352", "2...") is no number, and neither is a
// number that no float64 can hold.
func ParseNumber(text string) (value float64, canonical string, ok bool) {
	if canonical, ok := plainDecimal(text); ok {
		if value, ok := PlainNumber(canonical); ok {
			return value, canonical, true
		}
		value, err := strconv.ParseFloat(text, 64)
		return value, canonical, err == nil
	}
	rest := text
	negative := strings.HasPrefix(rest, "-")
	if negative || strings.HasPrefix(rest, "+") {
		rest = rest[1:]
	}
	whole, rest := digits(rest)
	if whole == "" {
		return 0, "", false
	}
	var fraction string
	if strings.HasPrefix(rest, ".") {
		if fraction, rest = digits(rest[1:]); fraction == "" {
			return 0, "", false
		}
	}
	exponent := 0
	if rest != "" {
		if rest[0] != 'e' && rest[0] != 'E' {
			return 0, "", false
		}
		sign, power := 1, rest[1:]
		if strings.HasPrefix(power, "-") || strings.HasPrefix(power, "+") {
			if power[0] == '-' {
				sign = -1
			}
			power = power[1:]
		}
		number, tail := digits(power)
		if number == "" || tail != "" {
			return 0, "", false
		}
		n, err := strconv.Atoi(number)
		if err != nil || n > maxDigits {
			return 0, "", false
		}
		exponent = sign * n
	}
	if len(whole)+len(fraction) > maxDigits {
		return 0, "", false
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(value, 0) {
		return 0, "", false
	}
	canonical = canonicalDecimal(negative, whole, fraction, exponent)
	// What is canonical is a number too, so it may have no more digits than any.
	if len(strings.TrimPrefix(canonical, "-")) > maxDigits+len(".") {
		return 0, "", false
	}
	return value, canonical, true
}

// plainDecimal returns the canonical form of a number without sign and exponent, as clients print nearly all of theirs, for which no
// new text is needed.
func plainDecimal(text string) (canonical string, ok bool) {
	const most = 300
	whole, fraction := digits(text)
	if whole == "" || len(text) > most {
		return "", false
	}
	end := len(whole)
	if fraction != "" {
		decimals, rest := digits(fraction[1:])
		if fraction[0] != '.' || decimals == "" || rest != "" {
			return "", false
		}
		for end = len(text); text[end-1] == '0'; end-- {
		}
		if text[end-1] == '.' {
			end--
		}
	}
	begin := 0
	for begin < len(whole)-1 && text[begin] == '0' {
		begin++
	}
	return text[begin:end], true
}

// PlainNumber returns the value of a number of few digits without sign and exponent, as nearly all are. It is a whole number and a power of ten that a
// float64 holds exactly, so that their quotient is rounded once, as it must be: [ParseNumber] gives the same.
func PlainNumber(text string) (float64, bool) {
	const most = 15 // digits
	if len(text) == 0 || len(text) > most {
		return 0, false
	}
	whole, point := uint64(0), len(text)
	for i := range len(text) {
		if digit := text[i] - '0'; digit <= 9 {
			whole = whole*10 + uint64(digit)
		} else if text[i] == '.' && i > 0 && i < len(text)-1 && point == len(text) {
			point = i
		} else {
			return 0, false
		}
	}
	return float64(whole) / powersOfTen[max(0, len(text)-point-1)], true
}

var powersOfTen = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14}

// digits splits s behind its leading ASCII digits.
func digits(s string) (string, string) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}

func canonicalDecimal(negative bool, whole, fraction string, exponent int) string {
	all, point := whole+fraction, len(whole)+exponent
	if point < 0 {
		all, point = strings.Repeat("0", -point)+all, 0
	}
	if point > len(all) {
		all += strings.Repeat("0", point-len(all))
	}
	head, tail := strings.TrimLeft(all[:point], "0"), strings.TrimRight(all[point:], "0")
	if head == "" {
		head = "0"
	}
	if tail != "" {
		head += "." + tail
	}
	if negative && head != "0" {
		head = "-" + head
	}
	return head
}
