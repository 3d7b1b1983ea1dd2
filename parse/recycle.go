package parse

import "sync"

// usualRows and usualValues are how many rows and metrics nearly all blocks have at most.
const (
	usualRows   = 32
	usualValues = 40
)

// What is left of Results that nobody needs any more. A log of many blocks makes a Result every few microseconds: the memory that a new one is
// made in costs more than to fill it in, since the processor has not seen it before and the collector must be run for it.
var (
	resultRooms = sync.Pool{New: func() any { return new(Result) }}
	rowRooms    = sync.Pool{New: func() any { return new([usualRows]Row) }}
	valueRooms  = sync.Pool{New: func() any { return new([usualValues]NamedValue) }}
)

// NewResult returns an empty Result.
func NewResult() *Result {
	r := resultRooms.Get().(*Result)
	*r = Result{}
	return r
}

// NewRows returns an empty list with room for some rows.
func NewRows(n int) []Row {
	if n > usualRows {
		return make([]Row, 0, n)
	}
	return rowRooms.Get().(*[usualRows]Row)[:0]
}

// newValues returns an empty list with room for some metrics.
func newValues(n int) Values {
	if n > usualValues {
		return make(Values, 0, n)
	}
	return valueRooms.Get().(*[usualValues]NamedValue)[:0]
}

// Recycle gives the memory of a Result, its rows and its metrics to Results that are made from now on. Neither the Result nor a copy of it that
// has its rows or metrics may be used afterwards; what else a copy has stays.
func (r *Result) Recycle() {
	if cap(r.Rows) >= usualRows {
		rowRooms.Put((*[usualRows]Row)(r.Rows[:usualRows]))
	}
	if cap(r.Metrics) >= usualValues {
		valueRooms.Put((*[usualValues]NamedValue)(r.Metrics[:usualValues]))
	}
	resultRooms.Put(r)
}
