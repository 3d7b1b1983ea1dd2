package parse

import (
	"fmt"
	"regexp"
)

// Mode is how a test runs its servers.
type Mode string

const (
	SingleAgg Mode = "single-agg" // one aggregated server on one node
	MultiAgg  Mode = "multi-agg"  // one aggregated server over several nodes
	Disagg    Mode = "disagg"     // context and generation servers behind a router
)

// ParseMode reads a mode's name.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case SingleAgg, MultiAgg, Disagg:
		return m, nil
	}
	return "", fmt.Errorf("unknown mode %q: write %s, %s or %s", s, SingleAgg, MultiAgg, Disagg)
}

// Role is the part that a process played in a run: CTX_<i>, GEN_<i>, DISAGG_SERVER or BENCHMARK, as in the environment
// variable DISAGG_SERVING_TYPE; empty where it is unknown. Aggregated runs count as BENCHMARK.
type Role string

const (
	Benchmark    Role = "BENCHMARK"
	DisaggServer Role = "DISAGG_SERVER"
)

var roleName = regexp.MustCompile(`^(CTX|GEN)_(0|[1-9][0-9]*)$`)

// ParseRole reads a role's name. It does not accept the empty text.
func ParseRole(s string) (Role, error) {
	if r := Role(s); r == Benchmark || r == DisaggServer || roleName.MatchString(s) {
		return r, nil
	}
	return "", fmt.Errorf("unknown role %q: want CTX_<i>, GEN_<i>, %s or %s", s, DisaggServer, Benchmark)
}

// Measures reports whether the role's output can hold Results: the BENCHMARK node's, or that of an unknown role.
func (r Role) Measures() bool { return r == "" || r == Benchmark }
