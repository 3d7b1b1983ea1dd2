// Package upload delivers Results from the local store to targets.
//
// A Result is committed to the local store first. From there it is delivered to each target: the store is asked again, with growing
// pauses, until it answers for every Result or the deadline has passed; what has no answer by then stays owed and is delivered by a
// later command. An answer is believed item by item, never by the HTTP status of a whole request.
package upload

import (
	"context"
	"time"

	"github.com/trtperf/trtperf/parse"
)

// Item is a Result on its way to a store.
type Item struct {
	// ID is the Result's identity, as the outbox gives it; stores do not need it.
	ID string
	// Result is nil where the store's Maker made Made of it.
	Result *parse.Result
	Made   any
	// Delivered says that the store had an earlier state of the Result from this outbox, so that the status, which that state may
	// have had otherwise, is known to be newer.
	Delivered bool
	// State names the state of the Result for the outbox that gave it; stores do not look at it.
	State string
}

// Answer is what a store says of one Item.
type Answer struct {
	// Outcome is Stored, Present, Refused, or Owed where the store should be asked again.
	Outcome parse.Outcome
	// Reason says why, for Refused and Owed.
	Reason string
	// RetryAfter is the pause that the store asks for before the next try; zero where it asks for none.
	RetryAfter time.Duration
	// Mend says, of an Owed Result, that asking again is no use before somebody has mended what Reason names: credentials, an address, a
	// certificate. It stays owed and is not tried again by this command.
	Mend bool
}

// Store takes batches of Results.
type Store interface {
	// Put makes one attempt to write items, and gives one Answer for each in their order. The error is only that of ctx: everything
	// that a store or the way to it can do wrong is an Answer.
	Put(ctx context.Context, items []Item) ([]Answer, error)
	Close() error
}
