package upload

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Kinds are the kinds of stores that targets may name.
type Kinds []StoreKind

// Target is where Results are delivered to.
type Target struct {
	kind *StoreKind
	text string
}

// Parse reads a target. Credentials do not stand in it, and an error repeats none that was written there.
func (k Kinds) Parse(text string) (Target, error) {
	scheme, _, _ := strings.Cut(text, ":")
	for i := range k {
		if slices.Contains(k[i].Schemes, scheme) {
			canonical, err := k[i].Canonical(text)
			return Target{&k[i], canonical}, err
		}
	}
	return Target{}, fmt.Errorf("unknown target: write %s", k.Forms())
}

// Forms says how targets are written.
func (k Kinds) Forms() string {
	var forms []string
	for _, kind := range k {
		forms = append(forms, kind.Form)
	}
	return strings.Join(forms, ", or ")
}

// String returns the target in the one form under which the outbox knows it.
func (t Target) String() string { return t.text }

// Check says what is wrong with the target's settings, as far as that shows without a connection.
func (t Target) Check(s Settings) error {
	if t.kind.Check == nil {
		return nil
	}
	return t.kind.Check(t.text, s)
}

// Open makes the target's store.
func (t Target) Open(ctx context.Context, s Settings) (Store, error) {
	return t.kind.Open(ctx, t.text, s)
}

// CanInit reports whether the target's kind has anything to make.
func (t Target) CanInit() bool { return t.kind.Init != nil }

// Init makes in an empty place what the target's store needs; see StoreKind.
func (t Target) Init(ctx context.Context, s Settings, index bool) ([]string, error) {
	return t.kind.Init(ctx, t.text, s, index)
}
