package devicestep_test

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trtperf/trtperf/parse/devicestep"
)

// This is the harness's rule step by step with its own expressions, on a whole text in memory. It shares nothing with the package. \s is
// that of ASCII with VT, which Go's lacks.
var (
	valueForm    = regexp.MustCompile(`iter[\s\v]*=[\s\v]*(\d+),.*?prev_device_step_time[\s\v]*=[\s\v]*([\d.]+)[\s\v]*ms`)
	tokensForm   = regexp.MustCompile(`'num_generation_tokens':[\s\v]*(\d+)`)
	requestsForm = regexp.MustCompile(`iter[\s\v]*=[\s\v]*(\d+),.*?num_scheduled_requests[\s\v]*=[\s\v]*(\d+)`)
	rankForm     = regexp.MustCompile(`global_rank[\s\v]*=[\s\v]*(\d+)`)
	lineEnd      = regexp.MustCompile(`\r\n|\r|\n`)
)

// verdict is what the rule makes of a log.
type verdict struct {
	tokens *int64
	values []float64
	stats  devicestep.Stats
	raised int // conversions that would end the harness
	met    map[string]int
}

type step struct {
	tokens *int64
	value  float64
}

func harness(text string) verdict {
	met := map[string]int{}
	raised := 0
	type pair struct{ iteration, requests int64 }
	previous := map[string]*pair{} // nil is unknown
	var rows []step
	for _, line := range lineEnd.Split(text, -1) {
		// 1
		if !strings.Contains(line, "prev_device_step_time") {
			continue
		}
		// 2
		rank := "none"
		if m := rankForm.FindStringSubmatch(line); m != nil {
			rank = strconv.FormatInt(atoi(m[1]), 10)
		}
		met["rank "+rank]++
		before := previous[rank]
		previous[rank] = nil
		if m := requestsForm.FindStringSubmatch(line); m != nil {
			previous[rank] = &pair{atoi(m[1]), atoi(m[2])}
		}
		// 3
		m := valueForm.FindStringSubmatch(line)
		if m == nil {
			met["no value"]++
			continue
		}
		iteration := atoi(m[1])
		if iteration < 5 {
			met["warm-up"]++
			continue
		}
		// 4
		switch {
		case before == nil:
			met["unknown before"]++
		case before.requests != 0:
		case before.iteration == iteration-1:
			met["behind an idle one"]++
			continue
		case before.iteration < iteration:
			met["gap"]++
		default:
			met["restart"]++
		}
		// 5
		if len(rows) >= 500_000 {
			continue
		}
		value, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			raised++
			met["raised"]++
			continue
		}
		row := step{value: value}
		if m := tokensForm.FindStringSubmatch(line); m != nil {
			n := atoi(m[1])
			row.tokens = &n
		}
		rows = append(rows, row)
	}
	// 6
	count := map[int64]int{}
	for _, r := range rows {
		if r.tokens != nil {
			count[*r.tokens]++
		}
	}
	v := verdict{raised: raised, met: met}
	most := 0
	for _, n := range count {
		most = max(most, n)
	}
	for tokens, n := range count {
		if n == most && (v.tokens == nil || tokens > *v.tokens) {
			if v.tokens != nil {
				met["tie"]++
			}
			v.tokens = &tokens
		}
	}
	for _, r := range rows {
		if v.tokens == nil || r.tokens != nil && *r.tokens == *v.tokens {
			v.values = append(v.values, r.value)
		}
	}
	switch {
	case len(rows) == 0:
		met["nothing"]++
	case v.tokens == nil:
		met["no tokens"]++
	case *v.tokens == 0:
		met["zero tokens"]++
	}
	// 7
	n := len(v.values)
	if n == 0 {
		return v
	}
	sum := 0.0
	for _, x := range v.values {
		sum += x
	}
	v.stats.Mean = sum / float64(n)
	if n >= 2 {
		squares := 0.0
		for _, x := range v.values {
			squares += (x - v.stats.Mean) * (x - v.stats.Mean)
		}
		v.stats.Std = math.Sqrt(squares / float64(n-1))
	}
	sorted := slices.Sorted(slices.Values(v.values))
	interpolate := func(p float64) float64 {
		at := p / 100 * float64(n-1)
		low, high := math.Floor(at), math.Ceil(at)
		if low == high {
			return sorted[int(low)]
		}
		return sorted[int(low)]*(high-at) + sorted[int(high)]*(at-low)
	}
	v.stats.Median, v.stats.P75, v.stats.P99 = interpolate(50), interpolate(75), interpolate(99)
	return v
}

func atoi(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err) // callers keep numbers shorter
	}
	return n
}
