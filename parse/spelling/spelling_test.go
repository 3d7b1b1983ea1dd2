package spelling_test

import (
	"testing"

	"github.com/trtperf/trtperf/parse/spelling"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"site", "sitr", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 2}} {
		if got := spelling.Distance(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
