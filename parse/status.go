package parse

import "slices"

// Status says whether a Result's numbers count.
type Status string

const (
	Valid  Status = "valid"
	Failed Status = "failed"
)

// Code names a reason for a failed Result or test. The list is closed; docs/json.md explains each for users.
type Code string

const (
	// FailedRequests: the client reports failed requests, or prints its failure banner.
	FailedRequests Code = "failed-requests"
	// LostRequests: fewer requests succeeded than prompts were asked for.
	LostRequests Code = "lost-requests"
	// NoMetrics: the block holds no number that the metric table knows as a measurement.
	NoMetrics Code = "no-metrics"
	// AllZero: every throughput and latency is zero.
	AllZero Code = "all-zero"
	// NothingGenerated: the servers returned no tokens.
	NothingGenerated Code = "nothing-generated"
	// Truncated: the log ends inside the block.
	Truncated Code = "truncated"
	// Ambiguous: one client of a run has more blocks than its configuration asks for.
	Ambiguous Code = "ambiguous"
	// MissingResults: the run holds fewer results than its configuration has clients.
	MissingResults Code = "missing-results"
	// JUnitFailure: results.xml says that the test failed or had an error.
	JUnitFailure Code = "junit-failure"
	// RunDied: the run ended before its test did.
	RunDied Code = "run-died"
	// MissingMetric: a metric that this kind of run must have is absent.
	MissingMetric Code = "missing-metric"
	// NoBenchmark: a disaggregated run has no BENCHMARK node.
	NoBenchmark Code = "no-benchmark"
	// MarkedInvalid: the file that holds the numbers says itself that they do not count.
	MarkedInvalid Code = "marked-invalid"
)

// Reason is one cause of a failure, with a sentence for people.
type Reason struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Context is a body of evidence that one reading of a Result had, besides its block: a later reading that lacks it does not
// take back what an earlier one found there.
type Context string

const (
	// InJUnit: the test's own entry in a results.xml was read.
	InJUnit Context = "junit"
	// InRun: the run's directory and configuration were read, so counts of clients and required metrics were checked.
	InRun Context = "run"
)

// context returns the evidence that a reason rests on; empty for the block itself.
func (c Code) context() Context {
	switch c {
	case JUnitFailure:
		return InJUnit
	case Ambiguous, MissingResults, RunDied, MissingMetric, NoBenchmark:
		return InRun
	}
	return ""
}

// Fail adds a reason and makes the Result failed. A reason whose code is there already is not added again.
func (r *Result) Fail(code Code, message string) {
	r.Status = Failed
	if slices.ContainsFunc(r.Reasons, func(x Reason) bool { return x.Code == code }) {
		return
	}
	r.Reasons = append(r.Reasons, Reason{code, message})
}
