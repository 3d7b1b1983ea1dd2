package opensearch

import (
	"cmp"
	"encoding/json"
	"slices"
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
)

// Replies of the plain form are read as they are by encoding/json, and no others are taken for such.
func TestPlainReplies(t *testing.T) {
	const created, noop, updated = `{"update":{"result":"created","status":201}}`, `{"update":{"result":"noop","status":200}}`, `{"update":{"result":"updated","status":200}}`
	for _, test := range []struct {
		text  string
		items int
		plain bool
	}{
		{`{"items":[` + created + `,` + noop + `,` + updated + `]}`, 3, true},
		{`{"items":[` + noop + "]}\n", 1, true},
		{`{"items":[{"create":{"result":"created","status":201}}]}`, 1, true},
		{`{"items":[{"create":{"status":409,"error":{"type":"version_conflict_engine_exception"}}}]}`, 1, false},
		{`{"items":[` + created + `,` + noop + `]}`, 1, false},
		{`{"items":[` + created + `]}`, 2, false},
		{`{"items":[` + created + noop + `]}`, 2, false},
		{`{"items":[` + created + `,`, 2, false},
		{`{"items":[` + created, 1, false},
		{`{"items":[{"update":{"result":"created","status":503}}]}`, 1, false},
		{`{"items":[` + created + `,{"update":{"status":429,"error":{"type":"rejected"}}}]}`, 2, false},
		{`{"errors":false,"items":[` + created + `]}`, 1, false},
		{`<html>`, 1, false},
		{``, 1, false},
	} {
		places := []int{4, 2, 0}[:test.items]
		got := make([]upload.Answer, 5)
		if plain := readPlain([]byte(test.text), places, got); plain != test.plain {
			t.Errorf("%q: plain is %t", test.text, plain)
		} else if !plain {
			continue
		}
		var reply bulkReply
		if err := json.Unmarshal([]byte(test.text), &reply); err != nil {
			t.Fatal(err)
		}
		want := make([]upload.Answer, 5)
		for n, i := range places {
			want[i] = new(Store).answer(cmp.Or(reply.Items[n].Create, reply.Items[n].Update))
		}
		if !slices.Equal(got, want) || got[4].Outcome != parse.Stored && got[4].Outcome != parse.Present {
			t.Errorf("%q: %v, want %v", test.text, got, want)
		}
	}
}
