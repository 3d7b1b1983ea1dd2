package set_test

import (
	"context"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trtperf/trtperf/launch/set"
)

func TestRun(t *testing.T) {
	tests := []set.Test{{NodeID: "a", State: set.Waiting}, {NodeID: "skipped", State: set.LeftOut, Message: "<why>"}, {NodeID: "b", State: set.Waiting},
		{NodeID: "c", State: set.Waiting}, {NodeID: "d", State: set.Waiting},
		{NodeID: "b", State: set.LeftOut, Message: "again"}}
	dir := filepath.Join(t.TempDir(), "set")
	var running, most atomic.Int32
	err := set.Run(context.Background(), tests, set.Options{Dir: dir, Jobs: 2, Tell: func(set.Test, []set.Test) {}, Carry: func(_ context.Context, x set.Test) set.End {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		if x.NodeID == "b" {
			return set.End{State: set.Failed, Message: "bad", Outcome: set.Outcome{Job: "7", JobState: "FAILED", Exit: new(1)}}
		}
		return set.End{State: set.Passed}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if most.Load() > 2 {
		t.Errorf("%d at once", most.Load())
	}
	kept, err := set.Read(dir)
	if err != nil || len(kept) != 6 || kept[2].State != set.Failed || kept[2].Job != "7" || kept[2].JobState != "FAILED" || kept[2].Exit == nil || *kept[2].Exit != 1 || kept[0].Exit != nil || kept[1].State != set.LeftOut || kept[4].State != set.Passed {
		t.Errorf("ledger %+v, %v", kept, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, set.JUnitFile))
	if err != nil {
		t.Fatal(err)
	}
	var any struct{}
	if err := xml.Unmarshal(text, &any); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`tests="5" failures="1" errors="0" skipped="1"`, `<failure message="bad">`, `<skipped message="&lt;why&gt;">`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
}

func TestStopOnError(t *testing.T) {
	var tests []set.Test
	for range 5 {
		tests = append(tests, set.Test{State: set.Waiting})
	}
	err := set.Run(context.Background(), tests, set.Options{Dir: t.TempDir(), Jobs: 1, StopOnError: true, Tell: func(set.Test, []set.Test) {}, Carry: func(context.Context, set.Test) set.End {
		return set.End{State: set.Failed}
	}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, x := range tests {
		if x.State == set.NotStarted {
			n++
		}
	}
	// The second may have been handed over before the first failed.
	if n < 3 {
		t.Errorf("%d not started: %+v", n, tests)
	}
}

// What a set ends beside the test that has not passed was not interrupted by anybody; what the user ends was.
func TestStopped(t *testing.T) {
	for name, c := range map[string]struct {
		interrupt bool
		want      set.State
	}{"by the set": {false, set.Stopped}, "by the user": {true, set.Interrupted}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			tests := []set.Test{{NodeID: "fails", State: set.Waiting}, {NodeID: "runs", State: set.Waiting}, {NodeID: "waits", State: set.Waiting}}
			begun := make(chan struct{})
			err := set.Run(ctx, tests, set.Options{Dir: t.TempDir(), Jobs: 2, StopOnError: true, Tell: func(set.Test, []set.Test) {}, Carry: func(ctx context.Context, x set.Test) set.End {
				if x.NodeID == "fails" {
					<-begun
					if c.interrupt {
						cancel()
					}
					return set.End{State: set.Failed}
				}
				close(begun)
				<-ctx.Done()
				return set.End{State: set.Interrupted}
			}})
			if err != nil || tests[1].State != c.want || tests[2].State != set.NotStarted {
				t.Errorf("%v: %+v", err, tests)
			}
		})
	}
}
