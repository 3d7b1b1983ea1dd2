package slurm

import "strings"

// Phase is what a state means for somebody who waits.
type Phase int

const (
	// Unknown: a state that this table does not hold. It is waited on, within limits, and never taken for an end.
	Unknown Phase = iota
	// Waiting: the job has not started, or is to start again.
	Waiting
	// Running: it has nodes.
	Running
	// Ending: its processes are being ended; how it ended may not be said yet.
	Ending
	// Ended: it is over.
	Ended
)

// Meaning is a state's row in the table.
type Meaning struct {
	// Name and Compact are how Slurm's programs print it. States that came after Slurm 22.05 have no Compact.
	Name, Compact string
	Phase         Phase
	// Words says it to a person.
	Words string
}

// table holds every state of a job, after the job state codes of squeue's and sacct's manual pages.
var table = []Meaning{
	{"PENDING", "PD", Waiting, "waits"},
	{"REQUEUED", "RQ", Waiting, "is queued again"},
	{"REQUEUE_FED", "RF", Waiting, "is queued again by its federation"},
	{"REQUEUE_HOLD", "RH", Waiting, "is queued again and held"},
	{"RESV_DEL_HOLD", "RD", Waiting, "is held, since its reservation was deleted"},
	{"SPECIAL_EXIT", "SE", Waiting, "is queued again and held, since it ended with a special exit code"},
	{"EXPEDITING", "", Waiting, "is queued again before all others"},

	{"CONFIGURING", "CF", Running, "has nodes, which get ready"},
	{"POWER_UP_NODE", "", Running, "has nodes, which are switched on"},
	{"RUNNING", "R", Running, "runs"},
	{"RESIZING", "RS", Running, "changes its size"},
	{"SIGNALING", "SI", Running, "is sent a signal"},
	{"STOPPED", "ST", Running, "is stopped by SIGSTOP and keeps its nodes"},
	{"SUSPENDED", "S", Running, "is suspended"},

	{"COMPLETING", "CG", Ending, "is ending"},
	{"STAGE_OUT", "SO", Ending, "has ended and its files are being copied"},
	{"LAUNCH_FAILED", "", Ending, "could not be started on its nodes"},
	{"RECONFIG_FAIL", "", Ending, "got nodes that could not be configured"},
	{"UPDATE_DB", "", Ending, "has ended and is being accounted for"},

	{"COMPLETED", "CD", Ended, "ran to its end"},
	{"FAILED", "F", Ended, "failed"},
	{"CANCELLED", "CA", Ended, "was cancelled"},
	{"TIMEOUT", "TO", Ended, "hit its time limit"},
	{"NODE_FAIL", "NF", Ended, "lost a node"},
	{"OUT_OF_MEMORY", "OOM", Ended, "ran out of memory"},
	{"BOOT_FAIL", "BF", Ended, "got nodes that did not start"},
	{"DEADLINE", "DL", Ended, "passed its deadline"},
	{"PREEMPTED", "PR", Ended, "was put out for another job"},
	{"REVOKED", "RV", Ended, "was revoked, since another cluster of the federation runs it"},
}

// Mean looks a state up as any of Slurm's programs prints it: long, compact, cut ("CANCELLED+"), with who did it ("CANCELLED by 123").
// A state that is not in the table comes back as it is, with [Unknown].
func Mean(state string) Meaning {
	first, _, _ := strings.Cut(strings.TrimSpace(state), " ")
	whole := strings.ToUpper(strings.TrimSuffix(first, "+"))
	for _, m := range table {
		if whole != "" && (whole == m.Name || whole == m.Compact) {
			return m
		}
	}
	// sacct cuts a state to the width of its column and marks that with a "+".
	if whole != "" && strings.HasSuffix(first, "+") {
		for _, m := range table {
			if strings.HasPrefix(m.Name, whole) {
				return m
			}
		}
	}
	return Meaning{Name: whole, Phase: Unknown, Words: "is in a state that this trtperf does not know"}
}

// By is who cancelled, of "CANCELLED by 123"; empty where it is not said.
func By(state string) string {
	_, by, _ := strings.Cut(state, " by ")
	return strings.TrimSpace(by)
}
