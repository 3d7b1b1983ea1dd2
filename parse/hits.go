package parse

import (
	"fmt"
	"slices"
	"strconv"
)

// Hits are what one expression of the user's own has found, put together as it comes, so that they take the same room however many there
// are.
type Hits struct {
	// Metric is the metric's name.
	Metric string
	// Count is the number of hits, with and without a number.
	Count            int
	numbers          int
	first, last, max Value
	sum              float64
	odd              []Row // the first hits that are no numbers
	oddCount         int
}

// mostOdd is the number of hits without a number that are named.
const mostOdd = 3

// Add adds a hit in a line; 0 is a line of another file than the Result's.
func (h *Hits) Add(text string, line int) {
	h.Count++
	number, _, ok := ParseNumber(text)
	if !ok {
		if h.oddCount++; len(h.odd) < mostOdd {
			h.odd = append(h.odd, Row{Text: text, Line: line})
		}
		return
	}
	h.take(Value{Value: number, Text: text, Line: line})
	h.sum += number
	h.numbers++
}

// take takes a number for the first, the last and the greatest.
func (h *Hits) take(v Value) {
	if h.numbers == 0 {
		h.first, h.max = v, v
	}
	if v.Value > h.max.Value {
		h.max = v
	}
	h.last = v
}

// Join adds the hits of a later place behind these.
func (h *Hits) Join(other Hits) {
	if other.numbers > 0 {
		h.take(other.first)
		h.take(other.max)
		h.last = other.last
	}
	h.Count, h.numbers, h.sum, h.oddCount = h.Count+other.Count, h.numbers+other.numbers, h.sum+other.sum, h.oddCount+other.oddCount
	h.odd = append(h.odd, other.odd[:min(len(other.odd), mostOdd-len(h.odd))]...)
}

// Elsewhere returns the hits without their lines, for those of another file than the Result's.
func (h Hits) Elsewhere() Hits {
	for _, v := range []*Value{&h.first, &h.last, &h.max} {
		v.Line = 0
	}
	h.odd = slices.Clone(h.odd)
	for i := range h.odd {
		h.odd[i].Line = 0
	}
	return h
}

// Has reports whether a number was found.
func (h *Hits) Has() bool { return h.numbers > 0 }

// HitsOf returns the hits of a metric in a list, which may be new there.
func HitsOf(list *[]Hits, metric string) *Hits {
	i := slices.IndexFunc(*list, func(h Hits) bool { return h.Metric == metric })
	if i < 0 {
		i = len(*list)
		*list = append(*list, Hits{Metric: metric})
	}
	return &(*list)[i]
}

// Aggregate adds the metrics that expressions of the user's own have found; each says which number several hits make. It returns what
// could not be taken, without the file.
func (t *Table) Aggregate(r *Result, all []Hits) []Diagnostic {
	var found []Diagnostic
	for _, h := range all {
		m := t.ByName(h.Metric)
		if m == nil {
			continue
		}
		v := h.first
		switch m.Aggregate {
		case HitCount:
			v = Value{Value: float64(h.Count), Text: strconv.Itoa(h.Count), Computed: true}
		case Last:
			v = h.last
		case Max:
			v = h.max
		case Mean:
			mean := h.sum / float64(h.numbers)
			v = Value{Value: mean, Text: strconv.FormatFloat(mean, 'f', -1, 64), Computed: true}
		}
		if h.numbers > 0 || m.Aggregate == HitCount {
			v.Unit = m.Unit
			r.Metrics.Set(m.Name, v)
		}
		if m.Aggregate == HitCount || h.oddCount == 0 {
			continue
		}
		for _, odd := range h.odd {
			found = append(found, Diagnostic{Severity: Warning, Code: NotANumber, Line: odd.Line,
				Message: fmt.Sprintf("metric %s: %s is no number", m.Name, shown(odd.Text))})
		}
		if more := h.oddCount - len(h.odd); more > 0 {
			found = append(found, Diagnostic{Severity: Warning, Code: NotANumber,
				Message: fmt.Sprintf("metric %s: %d further hits are no numbers", m.Name, more)})
		}
	}
	return found
}
