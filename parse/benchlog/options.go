package benchlog

import "strings"

// Namespace is what a client prints of its options: the text behind "Namespace(".
type Namespace string

// Get returns the value of an option without its quotes. Ok is false where it is absent or None.
func (n Namespace) Get(option string) (value string, ok bool) {
	for rest := string(n); ; {
		before, behind, found := strings.Cut(rest, option+"=")
		if !found {
			return "", false
		}
		rest = behind
		if before != "" && before[len(before)-1] != ' ' && before[len(before)-1] != '(' || before == "" && len(rest)+len(option)+1 != len(n) {
			continue // the end of a longer option's name
		}
		if behind != "" && (behind[0] == '\'' || behind[0] == '"') {
			value, _, ok = strings.Cut(behind[1:], behind[:1])
		} else if end := strings.IndexAny(behind, ",() "); end >= 0 {
			value, ok = behind[:end], true
		}
		return strings.ToValidUTF8(value, "\ufffd"), ok && value != "None"
	}
}
