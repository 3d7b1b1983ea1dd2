package run

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/input"
)

// policy is what a server's log says of how it loads its checkpoint. Servers print it while they start.
type policy struct {
	requested, selected, effective string
	activated                      bool
}

const (
	policyStart = "Checkpoint I/O policy: "
	// policiesWithin is how much of a server's log is searched for it.
	policiesWithin = 16 << 20
	// longestPolicy is the greatest length of a line with it.
	longestPolicy = 64 << 10
)

// policyLine is the line, as TensorRT-LLM's harness of July 2026 reads it.
var policyLine = regexp.MustCompile(policyStart + `requested=([^,]+), selected=([^,]+), activated=(True|False), effective=([^,]+), fallback_reason=.*\.`)

// policyWatch finds the policies in the text that is written to it.
type policyWatch struct {
	found []policy
	line  []byte // the unfinished one
	seen  int
}

func (w *policyWatch) Write(p []byte) (int, error) {
	if w.seen < policiesWithin {
		w.seen += len(p)
		w.line = append(w.line, p...)
		end := bytes.LastIndexByte(w.line, '\n') + 1
		w.search(w.line[:end])
		w.line = append(w.line[:0], w.line[max(end, len(w.line)-longestPolicy):]...)
	}
	return len(p), nil
}

// close returns what was found when the text has ended.
func (w *policyWatch) close() []policy {
	w.search(w.line)
	return w.found
}

func (w *policyWatch) search(text []byte) {
	for {
		i := bytes.Index(text, []byte(policyStart))
		if i < 0 {
			return
		}
		line, rest, _ := bytes.Cut(text[i:], []byte{'\n'})
		if m := policyLine.FindSubmatch(line); m != nil {
			word := func(i int) string { return strings.ToValidUTF8(string(m[i]), "\ufffd") }
			w.found = append(w.found, policy{requested: word(1), selected: word(2), activated: word(3) == "True", effective: word(4)})
		}
		text = rest
	}
}

// policiesOf returns the policies in a server's log, of which no more is read than they need.
func (r *reader) policiesOf(f *located) []policy {
	if f.content != nil {
		return f.content.policies
	}
	stream, err := input.Opener{Limits: r.opt.Limits, Bytes: r.opt.Bytes}.Open(f.File)
	if err != nil {
		return nil // it is skipped, as it is without them
	}
	defer stream.Close()
	var w policyWatch
	if _, err := io.Copy(&w, io.LimitReader(contextReader{r.ctx, stream}, policiesWithin)); err != nil {
		return nil
	}
	return w.close()
}

// addCheckpoints adds to a test's Results how its servers loaded their checkpoints.
func (r *reader) addCheckpoints(t *test, results []*parse.Result) {
	for _, f := range t.files {
		if f.kind != serverLog && f.kind != generatorLog || f.reason == stderrReason || f.role == parse.Benchmark || f.role == parse.DisaggServer {
			continue
		}
		policies := r.policiesOf(f)
		if len(policies) == 0 {
			continue
		}
		if !f.taken {
			f.taken = true
			r.count()
		}
		role, _, _ := strings.Cut(strings.ToLower(string(f.role)), "_")
		for _, x := range results {
			if f.server == nil || x.Server.Index == nil || *f.server == *x.Server.Index {
				x.Checkpoints = withPolicies(x.Checkpoints, role, policies)
			}
		}
	}
}

// withPolicies adds the policies of one log of a role.
func withPolicies(all []parse.CheckpointIO, role string, policies []policy) []parse.CheckpointIO {
	i, found := slices.BinarySearchFunc(all, role, func(c parse.CheckpointIO, role string) int { return strings.Compare(c.Role, role) })
	if !found {
		all = slices.Insert(all, i, parse.CheckpointIO{Role: role})
	}
	c := &all[i]
	add := func(words *[]string, word string) {
		if at, found := slices.BinarySearch(*words, word); !found {
			*words = slices.Insert(*words, at, word)
		}
	}
	for _, p := range policies {
		c.Statuses++
		if p.activated {
			c.Activated++
		}
		add(&c.Requested, p.requested)
		add(&c.Selected, p.selected)
		add(&c.Effective, p.effective)
	}
	return all
}
