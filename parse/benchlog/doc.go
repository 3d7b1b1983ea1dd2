// Package benchlog reads the "Serving Benchmark Result" blocks that serving-benchmark clients (TensorRT-LLM, vLLM, SGLang and their
// forks) print, and the reports of trtllm-bench, out of logs of any size and layout.
//
// # The block
//
//	============ Serving Benchmark Result ============
//	Successful requests:                     40
//	Request throughput (req/s):              3.24
//	---------------Time to First Token----------------
//	Mean TTFT (ms):                          55.50
//	==================================================
//
// A header is the words "Serving Benchmark Result" between two runs of at least three "=", 50 columns wide in most clients and 60
// in some. It may stand anywhere in a line. A block ends at its closing rule (a line of "=" alone, at most 12 columns wider or
// narrower than the header), at the next header, or where the log ends. The failure banner of TensorRT-LLM's client
// ("====!FAILED REQUESTS!====") stands inside a block and does not end it; neither do other lines with "=" and words.
//
// Where the closing rule is missing, rows are taken until something shows that the block is over: the end of a Markdown code block,
// the next run's Namespace, or 200 lines without a row or a section's title. Such a block ends as one with which the log ends.
//
// # trtllm-bench
//
//	===========================================================
//	= PERFORMANCE OVERVIEW
//	===========================================================
//	Request Throughput (req/sec):                     86.5373
//	[TTFT] P99    : 232.4339
//	===========================================================
//
// The report of trtllm-bench is a block too. It begins with the title "= PERFORMANCE OVERVIEW" ("= STATISTICS" in version 0.12, "= GENERAL
// OVERVIEW" for its low-latency client) with a rule below, and ends as other blocks do. Rows of its sections before (the
// backend, the world, the requests) are the block's details. The same rows without a title are no block: other tools imitate them.
//
// # The row
//
// A row is "label: value". The words of the label are separated by single blanks, and it ends at the first colon that a blank or the
// end of the line follows; blanks before that colon do not count. The value goes up to the end of the line, or up to two or more
// blanks (or a tab), behind which stands somebody's note. A label without a value is no row, and neither is a line of a table
// (columns of a label are two or more blanks apart, or the line starts with "|"), a progress bar, or the record of a logger.
//
// # Lines
//
// Lines are counted by line feeds alone. A carriage return separates pieces within a line, as progress bars are redrawn. Colour
// codes and NUL bytes are dropped, bytes that are no UTF-8 are replaced.
//
// Whatever stands before the header (a time stamp, "(APIServer pid=158) ", "> ", "  | ") may stand before each row too, with other
// digits. Two prefixes say which task of a job printed a line: "0: " of srun --label and "[1,0]<stdout>:" of mpirun. Blocks of
// several tasks may interleave and are told apart by them. srun --label cuts a line into pieces of 1024 bytes; they are joined.
//
// A text whose line ends were replaced by "⏎" or the like, or by blanks, is one line with many rows. Behind a header in such a line
// the rows are told apart by those signs, or else by the labels that the metric table knows.
//
// # Speed
//
// Outside of blocks the text is only searched for a handful of words ([landmarks]), all in one pass; lines are looked at where such a
// word stands. A line of more than 1 MiB is looked at in parts, so memory stays flat whatever the log holds. A reader that is [Mapped] is
// looked at where its text lies, and gives the same.
package benchlog

import "github.com/trtperf/trtperf/parse"

// End says how a block ends.
type End string

const (
	// Rule: with its closing rule.
	Rule End = "rule"
	// NextHeader: the next block begins before a closing rule.
	NextHeader End = "next header"
	// EndOfLog: the log, or what of it can belong to the block, ends before a closing rule.
	EndOfLog End = "end of log"
)

// Block is one "Serving Benchmark Result" block, or one report of trtllm-bench, with what the log says around it.
type Block struct {
	// Number counts the headers of the log from 1.
	Number int
	// Line is the header's line, EndLine that of the closing rule or else of the last row or title.
	Line, EndLine int
	End           End
	// Rows are the block's rows in order. Their Metric is empty.
	Rows []parse.Row
	// Banner says that the client's failure banner stands in the block.
	Banner bool
	// Asked is the number of prompts asked for, by the nearest line before the block and behind the one before it that says so: a
	// Namespace's num_prompts=, a command's --num-prompts or a wrapper's num_prompt=. It is nil where no line does.
	Asked     *int64
	AskedLine int
	// Options are those of the last Namespace(…) with num_prompts= in the same place; empty without one.
	Options Options
	// Details are the rows of the sections that trtllm-bench prints before a report's figures: model, parallel sizes, requests.
	Details []parse.Row
	// Trailer are the rows that the test harness appends behind a block: device step times and time breakdowns.
	Trailer []parse.Row
	// Hits are what the user's own expressions have found in the block and since the block before it; those behind the last block are
	// its too.
	Hits []parse.Hits
	// Framework is "TensorRT-LLM", "vLLM" or "SGLang" as the block's rows show, else empty.
	Framework string
}

// Codes of Notes.
const (
	// LongLine: a line was looked at in parts.
	LongLine = "long-line"
	// Interleaved: a block begins before another one has ended.
	Interleaved = "interleaved"
	// BrokenRule: a block's header has something between its signs.
	BrokenRule = "broken-rule"
)

// Note is something that a person should know about the log's text.
type Note struct {
	Line    int
	Code    string
	Message string
}

// Summary is what is known of a log when it has been read.
type Summary struct {
	Lines  int
	Bytes  int64
	Blocks int
	// Skip says why the log holds no block. It is empty if it holds one, or if nothing in the log gives a reason.
	Skip string
	// Death is the first line behind the last header that says that something died, and DeathLine its number; empty if there is none.
	Death     string
	DeathLine int
}
