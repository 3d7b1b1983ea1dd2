package testlist

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Fact is something about the machine or the occasion of a launch that conditions ask for.
type Fact struct {
	// Key is its name in conditions, Flag the option that tells it.
	Key, Flag string
	// Number: it is a whole number.
	Number bool
	// What it is, for people.
	What string
}

// Facts are those of TensorRT-LLM's test databases. A condition may ask for others, which --match KEY=VALUE tells.
var Facts = []Fact{
	{Key: "gpu", Flag: "match-gpu", What: "kind of GPU, such as b200"},
	{Key: "system_gpu_count", Flag: "match-gpus", Number: true, What: "number of GPUs of the system"},
	{Key: "nodes", Flag: "match-nodes", Number: true, What: "number of nodes"},
	{Key: "cpu", Flag: "match-cpu", What: "processor, such as x86_64"},
	{Key: "linux_distribution_name", Flag: "match-linux", What: "Linux distribution, such as ubuntu"},
	{Key: "stage", Flag: "match-stage", What: "pre_merge or post_merge"},
	{Key: "backend", Flag: "match-backend", What: "pytorch, tensorrt …"},
	{Key: "orchestrator", Flag: "match-orchestrator", What: "mpi or ray"},
	{Key: "auto_trigger", Flag: "match-auto-trigger", What: "deepseek, gpt_oss, others"},
}

// nodesKey is a condition that is a statement about the tests too: how many nodes they run on.
const nodesKey = "nodes"

// flagOf is what to write to tell a fact.
func flagOf(key string) string {
	for _, f := range Facts {
		if f.Key == key {
			return "--" + f.Flag
		}
	}
	return "--match " + key + "=VALUE"
}

// CheckFact says what is wrong with a fact that a user gives.
func CheckFact(key, value string) error {
	i := slices.IndexFunc(Facts, func(f Fact) bool { return f.Key == key })
	if i >= 0 && Facts[i].Number {
		if n, err := strconv.Atoi(value); err != nil || n < 1 {
			return fmt.Errorf("%s: want a whole number from 1 on, have %q", flagOf(key), value)
		}
	}
	return nil
}

// comparison is how a requirement compares.
type comparison string

const (
	is      comparison = "is"
	atLeast comparison = "is at least"
	atMost  comparison = "is at most"
	like    comparison = "is like"
	// unknown stands for a condition of a kind that is not known here, which nothing can decide.
	unknown comparison = "is of a kind that is not known here:"
)

// Requirement is a part of a condition: a fact and what it must be.
type Requirement struct {
	Place
	Key    string
	Is     comparison
	Values []string // of which one must fit
}

func (r Requirement) String() string {
	return fmt.Sprintf("%s %s %s", r.Key, r.Is, strings.Join(r.Values, " or "))
}

// decide reports whether the requirement holds; known is false where the facts do not tell.
func (r Requirement) decide(facts map[string]string) (holds, known bool) {
	fact, given := facts[r.Key]
	switch {
	case r.Is == unknown:
		return false, false
	case !given && r.Key == nodesKey:
		return true, true // a statement about the tests
	case !given:
		return false, false
	}
	return slices.ContainsFunc(r.Values, func(want string) bool {
		switch r.Is {
		case like:
			fits, _ := path.Match(pattern(want), strings.ToLower(fact))
			return fits
		case atLeast, atMost:
			have, err := strconv.Atoi(fact)
			bound, err2 := strconv.Atoi(want)
			return cmp.Or(err, err2) == nil && (r.Is == atLeast && have >= bound || r.Is == atMost && have <= bound)
		}
		return fact == want
	}), true
}

// pattern is a shell pattern in the form that path.Match reads, in lower case.
func pattern(glob string) string {
	return strings.ReplaceAll(strings.ToLower(glob), "[!", "[^")
}
