package benchlog

import "bytes"

// kind says what a landmark may be part of.
type kind uint8

const (
	header    kind = iota // a block's header
	asked                 // a number of prompts asked for
	namespace             // a client's options
	trailer               // rows that the harness appends
	summary               // another tool's result
	tool                  // another tool, by name
	death                 // something died
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

	trtllmBench = "trtllm-bench summary: trtperf does not read these yet, only serving-benchmark blocks"
	trtllmTool  = "trtllm-bench was run, and the log holds neither its summary nor a serving-benchmark block"
	aiPerf      = "AIPerf results: trtperf does not read these, only serving-benchmark blocks"
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

	{"= PERFORMANCE OVERVIEW", summary, trtllmBench},
	{"= THROUGHPUT OVERVIEW", summary, trtllmBench},
	{"= STATISTICS", summary, trtllmBench},
	{"Request Throughput (req/sec):", summary, trtllmBench},
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

// finder searches for all landmarks in one pass. It looks at two bytes at a time and skips as far as no landmark's first bytes can
// end in them (Wu and Manber's method), so that it reads only a part of the text.
type finder struct {
	width int // of the words' beginnings that are searched for
	// shift is, for two bytes, how far the next place is where a beginning can end; 0 where one may end here.
	shift [1 << 16]uint8
	// ending lists, for two bytes that end a beginning, the landmarks.
	ending map[uint16][]int
}

func newFinder(words []landmark) *finder {
	f := &finder{width: len(words[0].word), ending: map[uint16][]int{}}
	for _, l := range words {
		f.width = min(f.width, len(l.word))
	}
	for i := range f.shift {
		f.shift[i] = uint8(f.width - 1)
	}
	for n, l := range words {
		for i := 0; i+1 < f.width; i++ {
			pair := uint16(l.word[i]) | uint16(l.word[i+1])<<8
			f.shift[pair] = min(f.shift[pair], uint8(f.width-2-i))
			if i+2 == f.width {
				f.ending[pair] = append(f.ending[pair], n)
			}
		}
	}
	return f
}

// find returns the place of the first landmark in text that begins at from or later and lies wholly in it, or -1.
func (f *finder) find(text []byte, from int) int {
	i := from + f.width - 2
	for i+1 < len(text) {
		pair := uint16(text[i]) | uint16(text[i+1])<<8
		if s := f.shift[pair]; s > 0 {
			i += int(s)
			continue
		}
		start := i + 2 - f.width
		for _, n := range f.ending[pair] {
			w := landmarks[n].word
			if len(text)-start >= len(w) && string(text[start:start+len(w)]) == w {
				return start
			}
		}
		i++
	}
	return -1
}

// landmarksIn returns the landmarks that a piece of text holds.
func landmarksIn(text []byte) []landmark {
	var found []landmark
	for _, l := range landmarks {
		if bytes.Contains(text, []byte(l.word)) {
			found = append(found, l)
		}
	}
	return found
}
