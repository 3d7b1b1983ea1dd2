package parse

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Codes of the diagnostics that Measure gives.
const (
	NotANumber   = "not-a-number"  // a known metric's value is no number
	NotMeasured  = "not-measured"  // the client prints a number that stands for "not measured"
	UnknownLabel = "unknown-label" // no row of the metric table knows the label
	Repeated     = "repeated"      // a block prints one label with two values
)

// notStreaming is what TensorRT-LLM's client prints for TTFT where the answer was not streamed.
const notStreaming = -1000

// Measure fills in the Result's metrics and request counts from its rows and from behind, the rows that the harness appended
// behind the block; it also sets the rows' Metric. Of two rows for one metric the first counts, as upstream's does. It returns what
// could not be taken, without the file; of an unknown label nothing if told says that its file's reader knows. Told may be nil.
//
// Some numbers stand for "not measured" and become diagnostics: without streaming TensorRT-LLM's client prints a TTFT of
// -1000.00 (and an ITL and a TPOT that mean nothing), and with one output token per request TPOT and ITL of 0.00.
func (t *Table) Measure(r *Result, behind []Row, told func(label string) bool) []Diagnostic {
	var found []Diagnostic
	// What has been taken for rows of the table, and for other metrics. The rows of most blocks and the standard table, with some of a user's
	// own, need no allocation.
	type measured struct {
		row   *Row
		value float64
	}
	var fewTaken [usualValues]measured
	var fewPlaces [usualMetrics]uint16
	var fewSets [usualMetrics / 64]uint64
	// Places are those in taken of the table's rows in the order of their names, from 1; sets has a bit for each that is there.
	taken, places, sets := fewTaken[:0], fewPlaces[:], fewSets[:]
	if len(t.rows) > len(fewPlaces) {
		places, sets = make([]uint16, len(t.rows)), make([]uint64, len(t.rows)/64+1)
	}
	var others Values
	take := func(row *Row, place Place) {
		// Its label's place in the table, if it is there.
		var i int
		var known bool
		if k := row.label(); k != nil && k.row >= 0 && k.row < len(t.rows) {
			i, known = k.row, true
		} else {
			i, known = t.byLabel[row.Label]
		}
		var m *brief
		if known {
			m = &t.brief[i]
		} else if other := t.ByLabel(row.Label); other != nil {
			m = new(other.brief())
		}
		if m == nil || m.place != place {
			if !IsSetting(row.Label) && (told == nil || !told(row.Label)) {
				found = append(found, Diagnostic{Severity: Info, Code: UnknownLabel, Line: row.Line, Label: row.Label,
					Message: fmt.Sprintf("the metric table does not know the label %q (value %s)", row.Label, shown(row.Text))})
			}
			return
		}
		row.Metric = m.name
		value, ok := row.value()
		if !ok {
			why := "is no number"
			if row.Cut {
				why = "may be cut off: the log ends there without a line end"
			}
			found = append(found, Diagnostic{Severity: Warning, Code: NotANumber, Line: row.Line,
				Message: fmt.Sprintf("%s: %s %s", row.Label, shown(row.Text), why)})
			return
		}
		if !known {
			if _, ok := others.Lookup(m.name); !ok {
				others.Set(m.name, m.value(row, value))
			}
		} else if place := m.order; places[place] == 0 {
			taken = append(taken, measured{row, value})
			places[place] = uint16(len(taken))
			sets[place/64] |= 1 << (place % 64)
		} else if first := &taken[places[place]-1]; first.row.Label == row.Label && first.value != value {
			found = append(found, Diagnostic{Severity: Warning, Code: Repeated, Line: row.Line,
				Message: fmt.Sprintf("%s: %s here and %s in line %d, in one block: the lines of several clients may be mixed", row.Label, row.Text,
					first.row.Text, first.row.Line)})
		}
	}
	for i := range r.Rows {
		take(&r.Rows[i], InBlock)
	}
	for i := range behind {
		take(&behind[i], BehindBlock)
	}
	values := newValues(len(taken) + len(others))[:len(taken)]
	n := 0
	for i, set := range sets {
		for ; set != 0; set &= set - 1 {
			place := 64*i + bits.TrailingZeros64(set)
			m, first := &t.brief[t.inOrder[place]], &taken[places[place]-1]
			// One by one: a processor waits where what was written in parts is read as a whole, as for a copy.
			v := &values[n]
			v.Name = m.name
			v.Value.Value, v.Value.Text, v.Value.Unit = first.value, first.row.Text, m.unit
			v.Value.Line, v.Value.Computed = first.row.Line, false
			n++
		}
	}
	r.Metrics = values
	for name, v := range others.All() {
		if _, ok := r.Metrics.Lookup(name); !ok {
			r.Metrics.Set(name, v)
		}
	}
	r.Requests.Total = r.Metrics.count("total_requests")
	r.Requests.Successful = r.Metrics.count("successful_requests")
	r.Requests.Failed = r.Metrics.count("failed_requests")
	return append(found, dropNotMeasured(r)...)
}

// usualMetrics is how many rows a metric table has at most, unless many of the user's own are in it.
const usualMetrics = 128

// value is the metric's value in a row.
func (m *brief) value(row *Row, number float64) Value {
	return Value{Value: number, Text: row.Text, Unit: m.unit, Line: row.Line}
}

// dropNotMeasured removes the metrics whose numbers stand for "not measured".
func dropNotMeasured(r *Result) []Diagnostic {
	var found []Diagnostic
	drop := func(why string, families ...string) {
		for _, row := range r.Rows {
			_, family, _ := strings.Cut(row.Metric, "_")
			if _, taken := r.Metrics.Lookup(row.Metric); taken && slices.Contains(families, family) {
				r.Metrics.Delete(row.Metric)
				found = append(found, Diagnostic{Severity: Warning, Code: NotMeasured, Line: row.Line,
					Message: fmt.Sprintf("%s: %s is not a measurement: %s", row.Label, row.Text, why)})
			}
		}
	}
	if v, ok := r.Metrics.Lookup("mean_ttft"); ok && v.Value == notStreaming {
		drop("the client did not stream", "ttft", "itl", "tpot")
	}
	generated, ok := r.Metrics.Lookup("total_generated_tokens")
	if ok && r.Requests.Successful != nil && *r.Requests.Successful > 0 && generated.Value == float64(*r.Requests.Successful) {
		for _, family := range []string{"tpot", "itl"} {
			if v, ok := r.Metrics.Lookup("mean_" + family); ok && v.Value == 0 {
				drop("each request generated one token", family)
			}
		}
	}
	return found
}

// count returns a metric's value that is a whole number not below zero, else nil.
func (v Values) count(name string) *int64 {
	i, ok := v.find(name)
	if !ok {
		return nil
	}
	n, err := strconv.ParseInt(v[i].Value.Text, 10, 64)
	if err != nil || n < 0 {
		return nil
	}
	return &n
}

// shown quotes a value for a message, cut to a readable length.
func shown(text string) string {
	const most = 60
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}

// ConcurrencySetting returns the greatest number of requests in flight as the block repeats it, or nil.
func (r *Result) ConcurrencySetting() *int {
	for i := range r.Rows {
		row := &r.Rows[i]
		if k := row.label(); k != nil && k.concurrency {
			if _, rest := digits(row.Text); rest != "" {
				continue // "None" or "inf", mostly, and to make an error of it costs more than all the rest
			}
			if n, err := strconv.Atoi(row.Text); err == nil && n > 0 {
				return &n
			}
		}
	}
	return nil
}

// Judge adds the reasons that the block itself gives against its numbers. It is called after Measure. Banner says that the
// client's failure banner stands in the block, truncated that the log ends in it.
func Judge(t *Table, r *Result, banner, truncated bool) {
	r.Status = Valid
	q := r.Requests
	if q.Failed != nil && *q.Failed > 0 {
		r.Fail(FailedRequests, fmt.Sprintf("%d requests failed", *q.Failed))
	} else if banner {
		r.Fail(FailedRequests, "the client printed its failure banner")
	}
	if asked := q.asked(); asked != nil && q.Successful != nil {
		lost := *asked - *q.Successful
		if q.Failed != nil {
			lost -= *q.Failed
		}
		if lost > 0 {
			r.Fail(LostRequests, fmt.Sprintf("%d prompts were asked for, %d requests succeeded", *asked, *q.Successful))
		}
	}
	if truncated {
		r.Fail(Truncated, "the log ends before the block's closing rule")
	}
	measured, nonZero := false, false
	for name, v := range r.Metrics.All() {
		if measured && nonZero {
			break
		}
		m := t.ByName(name)
		if m.Kind == Throughput || m.Kind == Latency || m.Custom {
			measured = true
			nonZero = nonZero || v.Value != 0
		}
	}
	switch {
	case !measured:
		r.Fail(NoMetrics, "the block holds no throughput and no latency that is a number")
	case !nonZero:
		r.Fail(AllZero, "every throughput and latency is zero")
	}
	for _, name := range []string{"total_generated_tokens", "total_retokenized_tokens"} {
		if v, ok := r.Metrics.Lookup(name); ok && v.Value == 0 {
			r.Fail(NothingGenerated, fmt.Sprintf("the servers returned no tokens (%s is 0)", t.ByName(name).Labels[0]))
		}
	}
}

// asked returns the number of prompts asked for: what the client was told, else the block's own total.
func (q Requests) asked() *int64 {
	if q.Asked != nil {
		return q.Asked
	}
	return q.Total
}
