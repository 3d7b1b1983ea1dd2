package upload_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/upload"
)

func TestKinds(t *testing.T) {
	kinds := upload.Kinds{
		{Schemes: []string{"a", "as"}, Form: "a:X (as:X)", Canonical: func(s string) (string, error) { return strings.ToLower(s), nil },
			Open: func(context.Context, string, upload.Settings) (upload.Store, error) { return nil, errors.New("closed") }},
		{Schemes: []string{"b"}, Form: "b:Y", Canonical: func(string) (string, error) { return "", errors.New("no b") },
			Check: func(string, upload.Settings) error { return errors.New("bad") }},
	}
	got, err := kinds.Parse("as:Thing")
	if err != nil || got.String() != "as:thing" || got.CanInit() || got.Check(upload.Settings{}) != nil {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := got.Open(t.Context(), upload.Settings{}); err == nil || err.Error() != "closed" {
		t.Error(err)
	}
	if _, err := kinds.Parse("b:x"); err == nil || err.Error() != "no b" {
		t.Error(err)
	}
	for _, text := range []string{"", "c:secret", "A:x", "secret"} {
		if _, err := kinds.Parse(text); err == nil || err.Error() != "unknown target: write a:X (as:X), or b:Y" {
			t.Errorf("%s: %v", text, err)
		}
	}
}
