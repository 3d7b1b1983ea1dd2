// Package script writes shell text: the one place where words are quoted and where scripts are checked.
package script

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// plain words mean themselves wherever they stand: options with their values, paths, names.
var plain = regexp.MustCompile(`^(?:[\w@%+:./-]+|-[\w@%+=:./-]+)$`)

// Quote returns a word as Bash reads it back. Only a zero byte cannot be quoted.
func Quote(word string) (string, error) {
	if plain.MatchString(word) {
		return word, nil
	}
	quoted, err := syntax.Quote(word, syntax.LangBash)
	if err != nil {
		return "", fmt.Errorf("%q cannot be written into a script: %w", word, err)
	}
	return quoted, nil
}

// Words quotes an argument list.
func Words(words []string) (string, error) {
	quoted := make([]string, len(words))
	for i, w := range words {
		q, err := Quote(w)
		if err != nil {
			return "", err
		}
		quoted[i] = q
	}
	return strings.Join(quoted, " "), nil
}

// ForAnyShell quotes an argument list for a shell that may be any descendant of Bourne's, as the login shell of another machine.
func ForAnyShell(words []string) (string, error) {
	quoted := make([]string, len(words))
	for i, w := range words {
		switch {
		case strings.ContainsRune(w, 0):
			return "", fmt.Errorf("%q holds a NUL, which no argument can", w)
		case plain.MatchString(w):
			quoted[i] = w
		default:
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " "), nil
}

// harmless words mean themselves in every shell as long as no file's name matches their brackets.
var harmless = regexp.MustCompile(`^[\w@%+=:,./\[\]-]+$`)

// Shown is a command for people and for texts that others parse: words are quoted only where they would fall apart, so that a node id
// stands as it is. It must not be evaluated where brackets are expanded.
func Shown(words []string) (string, error) {
	shown := make([]string, len(words))
	for i, w := range words {
		shown[i] = w
		if !harmless.MatchString(w) {
			q, err := Quote(w)
			if err != nil {
				return "", err
			}
			shown[i] = q
		}
	}
	return strings.Join(shown, " "), nil
}

// special are the characters that mean something between double quotes.
var special = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`")

// DoubleQuoted returns a text between double quotes, in which nothing is expanded.
func DoubleQuoted(text string) string { return `"` + special.Replace(text) + `"` }

// Check parses a script and returns the first fault with its line. A POSIX script is one whose first line names sh.
func Check(name, text string) error {
	lang := syntax.LangBash
	if first, _, _ := strings.Cut(text, "\n"); strings.HasSuffix(first, "/sh") {
		lang = syntax.LangPOSIX
	}
	if _, err := syntax.NewParser(syntax.Variant(lang)).Parse(strings.NewReader(text), name); err != nil {
		return fmt.Errorf("the script is not written, since no shell would read it: %w", err)
	}
	return nil
}

// System is a POSIX script that describes the machine that it runs on, as trtperf-system.<ROLE>.json.
//
//go:embed system.sh
var System string
