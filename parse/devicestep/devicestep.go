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
// \d and \s are ASCII. A value that is "N/A" or has another unit does not match, and the line is no row. A line ends in LF, CRLF or CR.
//
// # The rule
//
//  1. For each rank, which may be unknown, the iteration and the scheduled requests of its last line are remembered, whatever becomes of
//     that line; a line without them makes them unknown.
//  2. Iterations below 5 are no rows. Neither is a line whose rank had no request scheduled in the line before, if that one's iteration
//     is the one before: its time is that of waiting.
//  3. The first 500,000 rows of a file count.
//  4. Of the rows those with the most frequent number of tokens count, of two such numbers the larger; rows without one count only where no row
//     has any.
//
// Of their values the mean, the sample standard deviation (0 for one value) and the percentiles 50, 75 and 99 (linear interpolation
// between ranks) are taken, and of several files' the mean of each. Source: the harness of July 2026 and later. Where it would end
// (on a value such as "1.2.3ms"), the row is left out and a note says so.
package devicestep

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/trtperf/trtperf/parse"
)

const (
	// warmUp is the first iteration that counts.
	warmUp = 5
	// mostRows is the number of rows of a file that count.
	mostRows = 500_000
	// longest is the most of a line that is looked at.
	longest = 1 << 20
	chunk   = 128 << 10
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
	Stats  Stats
	Notes  []Note
}

// Stats are statistics of device step times, in milliseconds.
type Stats struct{ Mean, Median, Std, P75, P99 float64 }

// Rows returns the statistics as the harness appends them to a client's log.
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

// Read reads a worker's log. The error is the reader's.
func Read(in io.Reader) (*Sample, error) {
	s := &sampler{ranks: map[string]before{}, buckets: map[int64][]float64{}}
	err := s.read(in)
	return s.finish(), err
}

// before is the last line of a rank.
type before struct {
	known               bool
	iteration, requests string // digits without leading zeros
}

type sampler struct {
	ranks   map[string]before
	buckets map[int64][]float64
	loose   []float64 // of rows without a number of tokens
	rows    int
	notes   []Note
}

// word is in every line that matters.
var word = []byte("prev_device_step_time")

// read finds the lines that matter.
func (s *sampler) read(in io.Reader) error {
	buf := make([]byte, 0, chunk)
	number := 1  // of the line that begins at buf's beginning
	cut := false // buf begins inside a line whose beginning has been looked at
	for {
		if len(buf) > cap(buf)/2 {
			buf = slices.Grow(buf, cap(buf)) // a long line
		}
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		end := errors.Is(err, io.EOF)
		done := 0
		for {
			text := buf[done:]
			at := bytes.Index(text, word)
			if at < 0 {
				break
			}
			begin := lineBegin(text[:at])
			length := bytes.IndexAny(text[at:], "\r\n")
			if length < 0 && !end && len(text)-begin < longest {
				break
			}
			number += bytes.Count(text[:begin], []byte{'\n'})
			line := text[begin:]
			if length >= 0 {
				line = text[begin : at+length]
			}
			if cut && begin == 0 {
				cut = false // the rest of a line that was too long
			} else {
				if length < 0 && !end {
					s.notes = append(s.notes, Note{number, LongLine, "only the first MiB of a line was looked at"})
					cut = true
				}
				s.line(line, number)
			}
			done += begin + len(line)
		}
		// What may be the beginning of a line that matters is kept.
		keep := lineBegin(buf[done:]) + done
		if len(buf)-keep >= longest {
			keep = len(buf) - len(word)
		}
		number += bytes.Count(buf[done:keep], []byte{'\n'})
		buf = append(buf[:0], buf[keep:]...)
		if end {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// lineBegin returns where the last line of a text begins.
func lineBegin(text []byte) int {
	return max(bytes.LastIndexByte(text, '\n'), bytes.LastIndexByte(text, '\r')) + 1
}

// line takes a line that has the word.
func (s *sampler) line(line []byte, number int) {
	rank := string(trimZeros(after(line, "global_rank", "")))
	last := s.ranks[rank]
	iteration, requests := iterationAnd(line, "num_scheduled_requests", digits)
	s.ranks[rank] = before{requests != nil, string(iteration), string(trimZeros(requests))}

	iteration, value := iterationAnd(line, string(word), milliseconds)
	if value == nil || less(iteration, warmUp) {
		return
	}
	if last.known && last.requests == "0" && follows(last.iteration, string(iteration)) {
		return
	}
	if s.rows == mostRows {
		return
	}
	v, err := strconv.ParseFloat(string(value), 64)
	if err != nil && !math.IsInf(v, 0) {
		s.notes = append(s.notes, Note{number, NotANumber, fmt.Sprintf("prev_device_step_time = %.40s is no number; the harness would end here", value)})
		return
	}
	s.rows++
	tokens, err := strconv.ParseInt(string(after(line, "'num_generation_tokens'", ":")), 10, 64)
	if err != nil {
		s.loose = append(s.loose, v)
		return
	}
	s.buckets[tokens] = append(s.buckets[tokens], v)
}

// finish takes the statistics.
func (s *sampler) finish() *Sample {
	sample := &Sample{Notes: s.notes}
	values := s.loose
	for tokens, bucket := range s.buckets {
		if sample.Tokens == nil || len(bucket) > len(values) || len(bucket) == len(values) && tokens > *sample.Tokens {
			sample.Tokens, values = &tokens, bucket
		}
	}
	if sample.Rows = len(values); sample.Rows > 0 {
		sample.Stats = statsOf(values)
	}
	return sample
}

func statsOf(values []float64) Stats {
	slices.Sort(values)
	n := float64(len(values))
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	s := Stats{Mean: sum / n, Median: percentile(values, 50), P75: percentile(values, 75), P99: percentile(values, 99)}
	if len(values) > 1 {
		squares := 0.0
		for _, v := range values {
			squares += (v - s.Mean) * (v - s.Mean)
		}
		s.Std = math.Sqrt(squares / (n - 1))
	}
	return s
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
