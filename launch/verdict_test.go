package launch_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/trtperf/trtperf/launch"
)

// TestVerdict: what pytest says, what its file says and what the job says; the worse one counts.
func TestVerdict(t *testing.T) {
	const (
		passed  = `<testsuites><testsuite><testcase name="test_e2e[aggr_upload-one]"/></testsuite></testsuites>`
		failed  = `<testsuites><testsuite><testcase name="test_e2e[aggr_upload-one]"><failure message="no good&#10;more"/></testcase></testsuite></testsuites>`
		skipped = `<testsuites><testsuite><testcase name="test_e2e[aggr_upload-one]"><skipped message="no GPU"/></testcase></testsuite></testsuites>`
		other   = `<testsuites><testsuite><testcase name="test_e2e[aggr_upload-one-tp4]"/></testsuite></testsuites>`
		cut     = `<testsuites><testsuite><testcase name="test_e2e[aggr_upload-one]">`
	)
	exit := func(code int) []launch.StepOutcome { return []launch.StepOutcome{{Role: "BENCHMARK", Exit: &code}} }
	for name, c := range map[string]struct {
		xml     string // "" for none
		old     bool
		outcome launch.Outcome
		failed  bool   // a test failed
		err     string // "" for passed
	}{
		"passed":                              {passed, false, launch.Outcome{Steps: exit(0)}, false, ""},
		"passed as a job":                     {passed, false, launch.Outcome{State: "COMPLETED", Steps: exit(0)}, false, ""},
		"failed":                              {failed, false, launch.Outcome{Steps: exit(1)}, true, "pytest ended with exit code 1; /"},
		"failed, the draft cancels":           {failed, false, launch.Outcome{State: "CANCELLED", Reason: "by 0", Steps: exit(1)}, true, "the job ended as CANCELLED (by 0)"},
		"failed, though the code is lost":     {failed, false, launch.Outcome{State: "CANCELLED"}, true, "says failed: no good"},
		"failed, though the code is 0":        {failed, false, launch.Outcome{Steps: exit(0)}, true, "says failed: no good"},
		"a code of failure, and it passed":    {passed, false, launch.Outcome{Steps: exit(1)}, true, "exit code 1"},
		"nothing was run":                     {"", false, launch.Outcome{State: "COMPLETED", Steps: exit(0)}, false, "left no /"},
		"nothing is known":                    {"", false, launch.Outcome{State: "COMPLETED"}, false, "nobody knows how BENCHMARK ended"},
		"passed, the code is lost":            {passed, false, launch.Outcome{State: "COMPLETED"}, false, "nobody knows how BENCHMARK ended"},
		"another test's file":                 {other, false, launch.Outcome{Steps: exit(0)}, false, "does not speak of the test test_e2e[aggr_upload-one]"},
		"an older run's file":                 {passed, true, launch.Outcome{Steps: exit(0)}, false, "is older than this run"},
		"skipped":                             {skipped, false, launch.Outcome{Steps: exit(0)}, false, "pytest skipped the test"},
		"cut off":                             {cut, false, launch.Outcome{Steps: exit(0)}, false, "ends inside the test"},
		"no XML":                              {"x", false, launch.Outcome{Steps: exit(0)}, false, "not a JUnit file"},
		"usage error":                         {passed, false, launch.Outcome{Steps: exit(4)}, false, "exit code 4: the tests were not run to their end"},
		"time limit, though it passed":        {passed, false, launch.Outcome{State: "TIMEOUT", Steps: exit(0)}, false, "the job ended as TIMEOUT"},
		"node failure":                        {failed, false, launch.Outcome{State: "NODE_FAIL", Steps: exit(1)}, false, "the job ended as NODE_FAIL"},
		"cancelled, though it passed":         {passed, false, launch.Outcome{State: "CANCELLED", Reason: "by 7", Steps: exit(0)}, false, "CANCELLED (by 7), though its test passed"},
		"lost":                                {passed, false, launch.Outcome{Lost: true, Reason: "no answer"}, false, "no answer"},
		"killed":                              {"", false, launch.Outcome{Steps: []launch.StepOutcome{{Role: "BENCHMARK", Signal: 9}}}, false, "signal 9"},
		"a role of the run died, unknown how": {"", false, launch.Outcome{Died: "GEN_0", Steps: []launch.StepOutcome{{Role: "GEN_0"}}}, false, "GEN_0 ended in an unknown way before"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan(t, checkout(t), launch.Request{Target: "one", Workspace: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			p.Waits.Results = launch.Duration(time.Millisecond)
			if err := p.Write(); err != nil {
				t.Fatal(err)
			}
			if c.xml != "" {
				write(t, p.Workspace, map[string]string{"results.xml": c.xml})
			}
			if c.old {
				before := time.Now().Add(-time.Hour)
				if err := os.Chtimes(p.Path("results.xml"), before, before); err != nil {
					t.Fatal(err)
				}
			}
			err = p.Verdict(t.Context(), c.outcome)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("verdict %v, want %q", err, c.err)
			}
			if errors.Is(err, launch.ErrTestFailed) != c.failed {
				t.Errorf("verdict %v", err)
			}
		})
	}
	p, err := plan(t, checkout(t), launch.Request{Target: "one"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verdict(t.Context(), launch.Outcome{Interrupted: true}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
