package slurm

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/testdata/services"
)

func TestMean(t *testing.T) {
	for text, want := range map[string]struct {
		name  string
		phase Phase
		by    string
	}{
		"PENDING": {"PENDING", Waiting, ""}, "PD": {"PENDING", Waiting, ""}, "pending": {"PENDING", Waiting, ""},
		"REQUEUED": {"REQUEUED", Waiting, ""}, "SPECIAL_EXIT": {"SPECIAL_EXIT", Waiting, ""}, "SE": {"SPECIAL_EXIT", Waiting, ""},
		"RUNNING": {"RUNNING", Running, ""}, "S": {"SUSPENDED", Running, ""}, "RS": {"RESIZING", Running, ""}, "SIGNALING": {"SIGNALING", Running, ""},
		"CF": {"CONFIGURING", Running, ""}, "COMPLETING": {"COMPLETING", Ending, ""}, "CG": {"COMPLETING", Ending, ""}, "STAGE_OUT": {"STAGE_OUT", Ending, ""},
		"COMPLETED": {"COMPLETED", Ended, ""}, "CANCELLED by 123": {"CANCELLED", Ended, "123"}, "CANCELLED+": {"CANCELLED", Ended, ""}, "CA": {"CANCELLED", Ended, ""},
		"OUT_OF_ME+": {"OUT_OF_MEMORY", Ended, ""}, "NODE_FAIL": {"NODE_FAIL", Ended, ""}, "BF": {"BOOT_FAIL", Ended, ""}, "DL": {"DEADLINE", Ended, ""},
		"PR": {"PREEMPTED", Ended, ""}, "RV": {"REVOKED", Ended, ""}, "TO": {"TIMEOUT", Ended, ""}, " F ": {"FAILED", Ended, ""},
		"": {"", Unknown, ""}, "+": {"", Unknown, ""}, "LATER_WORD": {"LATER_WORD", Unknown, ""}, "COMPLETE": {"COMPLETE", Unknown, ""},
	} {
		if m := Mean(text); m.Name != want.name || m.Phase != want.phase || By(text) != want.by {
			t.Errorf("%q: %+v by %q, want %+v", text, m, By(text), want)
		}
	}
}

// TestStates compares the table with the states that squeue itself takes.
func TestStates(t *testing.T) {
	t.Parallel()
	cluster := services.Slurm(t)
	command := exec.Command("squeue", "--noheader", "--states=no_such_state")
	command.Env = append(command.Environ(), "SLURM_CONF="+cluster.Conf())
	out, err := command.CombinedOutput()
	_, list, ok := strings.Cut(string(out), "Valid job states include: ")
	if err == nil || !ok {
		t.Fatalf("squeue says no states: %v\n%s", err, out)
	}
	seen := map[string]bool{}
	for name := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		seen[name] = true
		if m := Mean(name); m.Phase == Unknown {
			t.Errorf("squeue knows %s, and the table does not", name)
		}
	}
	names := map[string]bool{}
	for _, m := range table {
		if names[m.Name] || m.Compact != "" && names[m.Compact] || m.Words == "" || m.Phase == Unknown {
			t.Errorf("%+v: twice, or incomplete", m)
		}
		names[m.Name], names[m.Compact] = true, true
		if m.Compact == "" {
			continue // of a later Slurm
		}
		if !seen[m.Name] {
			t.Errorf("the table knows %s, and squeue does not", m.Name)
		}
		slurm(t, cluster, "squeue", "--noheader", "--states="+m.Compact)
	}
}
