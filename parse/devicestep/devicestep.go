// Package devicestep computes device step times from the log of a generation worker, gen_server_<i>.log, as TensorRT-LLM's test harness
// does for generation-only runs.
//
// # The line
//
//	[TRT-LLM] [I] [_torch][RANK 0] iter = 5, global_rank = 0, rank = 0, num_scheduled_requests = 1, …,
//	prev_device_step_time = 7.3ms, timestamp = …, states = {…, 'num_generation_tokens': 256}
//
// on one line. From a line with the word prev_device_step_time four things are taken, each by its first place in the line:
//
//	iteration and value    iter\s*=\s*(\d+),.*?prev_device_step_time\s*=\s*([\d.]+)\s*ms
//	tokens                 'num_generation_tokens':\s*(\d+)
//	scheduled requests     iter\s*=\s*(\d+),.*?num_scheduled_requests\s*=\s*(\d+)
//	rank                   global_rank\s*=\s*(\d+)
//
// A value that is "N/A" or has another unit does not match, and the line is no row. A line ends in LF, CRLF or CR.
//
// # The rule
//
//  1. For each rank, which may be unknown, the iteration and the scheduled requests of its last line are remembered, whatever becomes of
//     that line; a line without them makes them unknown.
//  2. Iterations below 5 are no rows. Neither is a line whose rank had no request scheduled in the line before, if that one's iteration
//     is the one before: its time is that of waiting.
//  3. The first 500,000 rows of a file count.
//  4. Of the rows those with the most frequent number of tokens count, of two such numbers the larger; rows without one count only where
//     no row has any.
//
// Of their values the mean, the sample standard deviation (0 for one value) and the percentiles 50, 75 and 99 (linear interpolation
// between ranks) are taken, and of several files' the mean of each. Source: the harness of July 2026 and later.
//
// # Where it differs
//
// In the harness \d and \s are those of Unicode, here those of ASCII. A row whose value is a number for no float64 ("1.2.3ms" ends the
// harness) is left out, and a note says so. Of a line longer than 1 MiB only the beginning is looked at; a note says so where the word is
// anywhere in the line. Whole numbers above 2^63-1 count as that one, and ranks from 65,535 on as one rank.
package devicestep

import (
	"math"
	"slices"
	"strconv"

	"github.com/trtperf/trtperf/parse"
)

// Codes of Notes.
const (
	// NotANumber: a value that looks like a number is none.
	NotANumber = parse.NotANumber
	// LongLine: only the beginning of a line was looked at.
	LongLine = "long-line"
)

// Note is something that a person should know about the log.
type Note struct {
	// Line counts line feeds from 1, as editors do; a lone CR, which ends a line for the rule, does not count.
	Line    int
	Code    string
	Message string
}

// Sample is what one worker's log holds.
type Sample struct {
	// Rows is the number of rows that the statistics are of; 0 where the log has no usable one.
	Rows int
	// Tokens is the number of generation tokens of these rows; nil where no row has one.
	Tokens *int64
	// Beyond is the number of rows that do not count because 500,000 came before them.
	Beyond int
	Stats  Stats
	// Notes are in order of their lines; 100 at most, and for each code one more that tells the number of those that are not listed.
	Notes []Note
}

// Stats are statistics of device step times, in milliseconds.
type Stats struct{ Mean, Median, Std, P75, P99 float64 }

// Rows returns the statistics as the harness appends them to a client's log. The rows have no line.
func (s Stats) Rows() []parse.Row {
	row := func(stat string, value float64, digits int) parse.Row {
		return parse.Row{Label: stat + " Per Iter Device Step Time (ms)", Text: strconv.FormatFloat(value, 'f', digits, 64)}
	}
	return []parse.Row{row("Average", s.Mean, 2), row("Median", s.Median, 4), row("Stdev", s.Std, 4), row("P75", s.P75, 4), row("P99", s.P99, 4)}
}

// Combine returns the unweighted mean of the statistics of the samples that have rows; ok is false where none has.
func Combine(samples []*Sample) (mean Stats, ok bool) {
	n := 0.0
	for _, s := range samples {
		if s.Rows == 0 {
			continue
		}
		n++
		mean.Mean += s.Stats.Mean
		mean.Median += s.Stats.Median
		mean.Std += s.Stats.Std
		mean.P75 += s.Stats.P75
		mean.P99 += s.Stats.P99
	}
	if n == 0 {
		return Stats{}, false
	}
	return Stats{mean.Mean / n, mean.Median / n, mean.Std / n, mean.P75 / n, mean.P99 / n}, true
}

// statsOf takes the statistics of values, of which there is at least one, and sorts them.
func statsOf(values []float64) Stats {
	n := float64(len(values))
	// The sums are taken in the log's order, as the last digits of a sum depend on it.
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
	}
	mean, std := sum/n, 0.0
	if len(values) > 1 {
		for _, v := range values {
			squares += (v - mean) * (v - mean)
		}
		std = math.Sqrt(squares / (n - 1))
	}
	slices.Sort(values)
	return Stats{Mean: mean, Median: percentile(values, 50), Std: std, P75: percentile(values, 75), P99: percentile(values, 99)}
}

// percentile interpolates between the ranks of sorted values.
func percentile(values []float64, p float64) float64 {
	rank := p / 100 * float64(len(values)-1)
	low := int(rank)
	if low+1 >= len(values) {
		return values[len(values)-1]
	}
	return values[low] + (values[low+1]-values[low])*(rank-float64(low))
}
