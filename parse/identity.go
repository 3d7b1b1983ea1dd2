package parse

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// identityTag is the version of the identity's rule. It changes only if the rule does, and then every stored identity does too.
const identityTag = "trtperf-identity-1"

// measureWords tell the labels of throughputs and latencies. The list is part of the identity's rule and therefore frozen: it is
// not the metric table, which grows.
var measureWords = []string{"throughput", "goodput", "latency", "ttft", "tpot", "itl", "e2el"}

// Identify returns a Result's identity: the hex SHA-256 over a version tag and, in the order of the block, every row whose
// value is a number, as
//
//	<label in lower case, words separated by single blanks> TAB <canonical decimal of the value> LF
//
// It covers nothing else: no path, test id, host, time, job or container, so a measurement has one identity wherever it is
// read from. Only a block without any non-zero throughput or latency, which every dead client prints alike, also covers the test
// id's text between the brackets, the server's and client's index and the number of the block.
func Identify(r *Result) string {
	text := make([]byte, 0, 2<<10)
	text = append(append(text, identityTag...), '\n')
	measured := false
	for i := range r.Rows {
		row := &r.Rows[i]
		value, canonical, ok := 1.0, "", false
		if row.Cut {
			continue
		}
		if canonical, ok = plainDecimal(row.Text); ok {
			if canonical == "0" {
				value = 0
			}
		} else if value, canonical, ok = row.Number(); !ok {
			continue
		}
		var label identityLabel
		if known := row.label(); known != nil {
			label = known.identity
		} else {
			label = identityLabelOf(row.Label)
		}
		text = append(append(text, label.text...), '\t')
		text = append(append(text, canonical...), '\n')
		measured = measured || value != 0 && label.measures
	}
	if !measured {
		text = fmt.Appendf(text, "test\t%s\nserver\t%s\nclient\t%s\nblock\t%d\n",
			r.TestID.ID+r.TestID.Suffix, indexText(r.Server.Index), indexText(r.Client.Index), r.Source.Block)
	}
	sum := sha256.Sum256(text)
	var id [2 * sha256.Size]byte
	hex.Encode(id[:], sum[:])
	return string(id[:])
}

// identityLabel is a label as the identity has it.
type identityLabel struct {
	text     string
	measures bool // it is that of a throughput or a latency
}

func identityLabelOf(label string) identityLabel {
	text := strings.Join(strings.Fields(strings.ToLower(label)), " ")
	return identityLabel{text, containsAny(text, measureWords)}
}

// knownLabel is what is known of a label, so that it need not be found out for each row.
type knownLabel struct {
	text     string
	row      int // its place in every metric table, -1 if it is none of the standard metric table's
	identity identityLabel
	// concurrency says that the setting is the greatest number of requests in flight.
	concurrency bool
}

// knownLabels are those that the standard metric table and the settings have.
var knownLabels = func() map[string]*knownLabel {
	all := map[string]*knownLabel{}
	for i, m := range standardTable().rows {
		for _, label := range m.Labels {
			all[label] = &knownLabel{text: label, row: i, identity: identityLabelOf(label)}
		}
	}
	for _, label := range settings {
		all[label] = &knownLabel{text: label, row: -1, identity: identityLabelOf(label), concurrency: slices.Contains(concurrencySettings, label)}
	}
	return all
}()

// IsIdentity reports whether s has the form of an identity.
func IsIdentity(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// Number reads the row's value; a value that may be cut off is no number.
func (r Row) Number() (value float64, canonical string, ok bool) {
	if r.Cut {
		return 0, "", false
	}
	return ParseNumber(r.Text)
}

// value reads the row's value as Number does, without its canonical form.
func (r *Row) value() (value float64, ok bool) {
	if r.Cut {
		return 0, false
	}
	if value, ok = PlainNumber(r.Text); !ok {
		value, _, ok = ParseNumber(r.Text)
	}
	return value, ok
}

func indexText(i *int) string {
	if i == nil {
		return "-"
	}
	return fmt.Sprint(*i)
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}
