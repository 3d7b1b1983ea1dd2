package benchlog

import "slices"

// kind says what a landmark may be part of.
type kind uint8

const (
	header    kind = iota // a block's header
	section               // a title of trtllm-bench's report
	asked                 // a number of prompts asked for
	namespace             // a client's options
	trailer               // rows that the harness appends
	summary               // another tool's result
	tool                  // another tool, by name
	death                 // something died
	wanted                // part of what an expression of the user's own finds
)

// landmark is a word that makes the piece of text around it worth looking at.
type landmark struct {
	word string
	kind kind
	// what the word shows, for people; for summary, tool and death.
	means string
}

const (
	title         = "Serving Benchmark Result"
	deviceStep    = "Per Iter Device Step Time (ms):"
	timeBreakdown = "Time Breakdown "

	trtllmRows = "rows of a trtllm-bench report without the title above them: nothing tells where the report begins"
	trtllmTool = "trtllm-bench was run, and the log holds neither its report nor a serving-benchmark block"
	aiPerf     = "AIPerf results: trtperf does not read these, only the reports of serving benchmarks and trtllm-bench"
)

// landmarks are all the words that are searched for outside of blocks. None is shorter than ten bytes: the shorter the shortest, the
// slower the search.
var landmarks = []landmark{
	{title, header, ""},
	{"num_prompt", asked, ""},
	{"num-prompt", asked, ""},
	{"Namespace(", namespace, ""},
	{deviceStep, trailer, ""},
	{timeBreakdown, trailer, ""},

	{"= PERFORMANCE OVERVIEW", section, ""},
	{"= STATISTICS", section, ""},
	{"= GENERAL OVERVIEW", section, ""},
	{"= THROUGHPUT OVERVIEW", section, ""},
	{"= LATENCY OVERVIEW", section, ""},
	{"= PYTORCH BACKEND", section, ""},
	{"= ENGINE DETAILS", section, ""},
	{"= REQUEST DETAILS", section, ""},
	{"= WORLD + RUNTIME INFORMATION", section, ""},

	{"Request Throughput (req/sec):", summary, trtllmRows},
	{"AIPerf System", summary, aiPerf},
	{"NVIDIA AIPerf", summary, aiPerf},
	{"NVIDIA GenAI-Perf", summary, aiPerf},
	{"trtllm-bench", tool, trtllmTool},

	{"Caught signal ", death, ""},
	{"Segmentation fault", death, ""},
	{"Process received signal", death, ""},
	{"(core dumped)", death, ""},
	{"terminate called after throwing", death, ""},
	{"CUDA out of memory", death, ""},
	{"Out of memory: Killed process", death, ""},
	{"oom-kill event", death, ""},
	{"oom_kill event", death, ""},
	{"Engine core initialization failed", death, ""},
	{"Initial test run failed", death, ""},
	{"OCI runtime exec failed", death, ""},
	{"Error response from daemon", death, ""},
	{"Job step aborted", death, ""},
	{"srun: error: ", death, ""},
	{" CANCELLED AT ", death, ""},
}

// promptsLandmark is the place of "num_prompt" among the landmarks.
var promptsLandmark = slices.IndexFunc(landmarks, func(l landmark) bool { return l.word == "num_prompt" })

// looker looks for landmarks in lines.
type looker struct {
	found []int
	// last are the last places of those of the first landmarks that were found; for others they mean nothing.
	last   [4]int
	padded []byte
}

// in returns the landmarks of a finder that a piece of text holds, in the order of its table; valid until the next call. A nil
// finder finds none.
func (l *looker) in(f *finder, text []byte) []int {
	l.found = l.found[:0]
	visit := func(n, begin int) bool {
		if begin+f.lengths[n] > len(text) {
			return true
		}
		isNew := !slices.Contains(l.found, n)
		if isNew {
			l.found = append(l.found, n)
		}
		if n < len(l.last) && (isNew || begin > l.last[n]) {
			l.last[n] = begin
		}
		return true
	}
	const longest, behind = 4096, step + keyLen - 1
	switch {
	case f == nil:
	case hasTeddy && cap(text)-len(text) >= behind:
		// With something behind it, as in the middle of a log, the text can be looked at to its end in whole steps.
		f.eachCandidate(text[:len(text)+behind], visit)
	case hasTeddy && len(text) <= longest:
		l.padded = append(append(l.padded[:0], text...), make([]byte, behind)...)
		f.eachCandidate(l.padded, visit)
	default:
		f.each(text, visit)
	}
	slices.Sort(l.found)
	return l.found
}

// part says what a section of trtllm-bench's report is.
type part uint8

const (
	begins part = iota + 1 // the report's figures begin with it
	goesOn                 // the figures go on with it
	detail                 // what was measured, before the figures
)

// sections are the titles of trtllm-bench's report, as they stand between two rules. Source: the reports of versions 0.12 to 1.1.
var sections = map[string]part{
	"PERFORMANCE OVERVIEW":        begins,
	"STATISTICS":                  begins,
	"GENERAL OVERVIEW":            begins,
	"THROUGHPUT OVERVIEW":         goesOn,
	"LATENCY OVERVIEW":            goesOn,
	"PYTORCH BACKEND":             detail,
	"ENGINE DETAILS":              detail,
	"REQUEST DETAILS":             detail,
	"WORLD + RUNTIME INFORMATION": detail,
}
