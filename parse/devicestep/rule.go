package devicestep

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

const (
	// warmUp is the first iteration that counts.
	warmUp = 5
	// mostRows is the number of rows of a file that count.
	mostRows = 500_000
	// otherRanks is where the ranks end that are told apart.
	otherRanks = 1<<16 - 1
	mostNotes  = 100
)

// sampler applies the rule to the lines of a log.
type sampler struct {
	ranks    map[int64]before // -1 is the unknown rank
	buckets  map[int64][]float64
	loose    []float64 // of rows without a number of tokens
	rows     int
	beyond   int
	notes    []Note
	unlisted map[string]*unlisted // by code
}

// before is the last line of a rank, as far as it matters for the next one.
type before struct{ iteration, requests int64 }

// unlisted is what is known of notes that are too many.
type unlisted struct{ line, notes int }

// line takes a line that has the word.
func (s *sampler) line(line []byte, number int) {
	rank := int64(-1)
	if digits := rankOf(line); digits != nil {
		rank = min(integer(digits), otherRanks)
	}
	last, known := s.ranks[rank]
	if iteration, requests := requestsOf(line); requests == nil {
		delete(s.ranks, rank)
	} else {
		if s.ranks == nil {
			s.ranks = map[int64]before{}
		}
		s.ranks[rank] = before{integer(iteration), integer(requests)}
	}

	digits, value := valueOf(line)
	iteration := integer(digits)
	if value == nil || iteration < warmUp {
		return
	}
	if known && last.requests == 0 && last.iteration == iteration-1 {
		return
	}
	if s.rows == mostRows {
		s.beyond++
		return
	}
	v, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		s.note(number, NotANumber, fmt.Sprintf("prev_device_step_time = %.40sms is no number that can be held: the row is left out", value))
		return
	}
	s.rows++
	tokens := tokensOf(line)
	if tokens == nil {
		s.loose = append(s.loose, v)
		return
	}
	if s.buckets == nil {
		s.buckets = map[int64][]float64{}
	}
	s.buckets[integer(tokens)] = append(s.buckets[integer(tokens)], v)
}

func (s *sampler) note(line int, code, message string) {
	if len(s.notes) < mostNotes {
		s.notes = append(s.notes, Note{line, code, message})
		return
	}
	if s.unlisted == nil {
		s.unlisted = map[string]*unlisted{}
	}
	if s.unlisted[code] == nil {
		s.unlisted[code] = &unlisted{line: line}
	}
	s.unlisted[code].notes++
}

// finish takes the statistics.
func (s *sampler) finish() *Sample {
	sample := &Sample{Beyond: s.beyond, Notes: s.notes}
	values := s.loose
	for tokens, bucket := range s.buckets {
		if sample.Tokens == nil || len(bucket) > len(values) || len(bucket) == len(values) && tokens > *sample.Tokens {
			sample.Tokens, values = &tokens, bucket
		}
	}
	if sample.Rows = len(values); sample.Rows > 0 {
		sample.Stats = statsOf(values)
	}
	for code, u := range s.unlisted {
		sample.Notes = append(sample.Notes, Note{u.line, code, fmt.Sprintf("from here on %d more notes of this kind", u.notes)})
	}
	slices.SortStableFunc(sample.Notes, func(a, b Note) int { return cmp.Compare(a.Line, b.Line) })
	return sample
}

// integer reads digits; the largest int64 stands for all that are larger.
func integer(digits []byte) int64 {
	n, _ := strconv.ParseInt(string(digits), 10, 64)
	return n
}
