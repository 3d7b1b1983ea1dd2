package parse

import (
	"fmt"
	"maps"
	"slices"
)

// Outcome is what became of one Result's delivery to one target.
type Outcome string

const (
	Stored   Outcome = "stored"   // written, or changed in the store
	Present  Outcome = "present"  // there already, unchanged
	Refused  Outcome = "refused"  // the store will not take it; the reason says why
	Owed     Outcome = "owed"     // kept to be sent later
	Withheld Outcome = "withheld" // not sent, because its test id or its status says so
)

// Delivery is the outcome for one Result and one target.
type Delivery struct {
	Target  string  `json:"target"`
	ID      string  `json:"id"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
}

// Tally counts deliveries to one target.
type Tally struct {
	Stored   int `json:"stored"`
	Present  int `json:"present"`
	Refused  int `json:"refused"`
	Owed     int `json:"owed"`
	Withheld int `json:"withheld"`
}

// Total returns the number of deliveries counted.
func (t Tally) Total() int { return t.Stored + t.Present + t.Refused + t.Owed + t.Withheld }

// Add counts one outcome.
func (t *Tally) Add(o Outcome) {
	switch o {
	case Stored:
		t.Stored++
	case Present:
		t.Present++
	case Refused:
		t.Refused++
	case Owed:
		t.Owed++
	case Withheld:
		t.Withheld++
	}
}

// InputCount counts inputs by what became of them.
type InputCount struct {
	Read    int `json:"read"`
	Skipped int `json:"skipped"`
	Failed  int `json:"failed"`
	// Unchanged is how many of these were not read again, since an earlier command with the same store has read them as they are.
	Unchanged int `json:"unchanged,omitempty"`
	// OtherShards counts the inputs that other shares of the same reading take.
	OtherShards int `json:"other_shards,omitempty"`
}

// Total returns the number of inputs counted.
func (c InputCount) Total() int { return c.Read + c.Skipped + c.Failed + c.OtherShards }

// ResultCount counts the blocks that were read by what became of them.
type ResultCount struct {
	// Blocks is the number of blocks in all inputs, the sum of the next four.
	Blocks int `json:"blocks"`
	Valid  int `json:"valid"`
	Failed int `json:"failed"`
	// Duplicate counts the further places of Results that Valid or Failed count already.
	Duplicate int `json:"duplicate"`
	// Stray counts blocks that belong to no Result; a diagnostic tells of each.
	Stray int `json:"stray"`
	// Known is how many of the valid and failed ones the local store knew from another place.
	Known int `json:"known"`
}

// TestCount counts tests that failed, whether or not they have Results.
type TestCount struct {
	Failed int `json:"failed"`
}

// Ledger counts every input and every Result through every step.
type Ledger struct {
	Inputs  InputCount       `json:"inputs"`
	Results ResultCount      `json:"results"`
	Tests   TestCount        `json:"tests"`
	Targets map[string]Tally `json:"targets,omitempty"`
	// Conditions are all exit codes that hold, in ascending order, and Exit the one that the program ends with.
	Conditions []int `json:"conditions"`
	Exit       int   `json:"exit"`
}

// Balance returns an error if the counts do not add up: found is the number of inputs that were found, and owing the number of
// Results that each target was to be asked about. A ledger that does not balance is a fault of trtperf.
func (l *Ledger) Balance(found int, owing map[string]int) error {
	if n := l.Inputs.Total(); n != found {
		return fmt.Errorf("the ledger does not balance: %d inputs found, %d accounted for", found, n)
	}
	if n := l.Results.Valid + l.Results.Failed + l.Results.Duplicate + l.Results.Stray; n != l.Results.Blocks {
		return fmt.Errorf("the ledger does not balance: %d blocks read, %d accounted for", l.Results.Blocks, n)
	}
	for _, target := range slices.Sorted(maps.Keys(l.Targets)) {
		if n := l.Targets[target].Total(); n != owing[target] {
			return fmt.Errorf("the ledger does not balance: %d results for %s, %d accounted for", owing[target], target, n)
		}
	}
	return nil
}
