package upload

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/trtperf/trtperf/parse"
)

// Order says that a Result is to go to a target.
type Order struct {
	ID string
	// Withhold is why it is not sent after all; empty means that it is. A Result that the target has already is sent in any
	// case, so that it is kept up to date.
	Withhold string
}

// Outbox keeps what is owed to targets. Several goroutines may use it.
type Outbox interface {
	// Owed returns at most n Items that a target is owed, in an order of its own, behind a given one. Without rows the Results have no Rows.
	// With a maker the Items have what it makes of them in place of Results, each of which is only there until then.
	Owed(ctx context.Context, target, behind string, n int, rows bool, maker func(Item) any) ([]Item, error)
	// Settle notes what a store answered, all or nothing.
	Settle(ctx context.Context, target string, receipts []Receipt) error
}

// Receipt is what a store answered to a state of a Result, which is the Item's.
type Receipt struct {
	State string
	Answer
}

// Policy says how long and how often a store is asked.
type Policy struct {
	// Deadline bounds the time that is spent on a batch that makes no headway.
	Deadline time.Duration
	// FirstPause is the pause before the second try; later ones grow to LongestPause, each with jitter.
	FirstPause, LongestPause time.Duration
	// Batch is the number of Results that are read from the outbox at once.
	Batch int
}

// DefaultPolicy is that of the command line.
func DefaultPolicy() Policy {
	return Policy{Deadline: 30 * time.Second, FirstPause: 250 * time.Millisecond, LongestPause: 5 * time.Second, Batch: 1000}
}

// Concurrent is a Store that takes several batches at once.
type Concurrent interface {
	// Batches is how many are worth while.
	Batches() int
}

// Rowless is a Store that writes nothing of a Result's Rows. They are half of a Result, and are not read for it.
type Rowless interface {
	Rowless()
}

// Maker is a Store that makes of a Result what it sends as soon as the Result is read, whose memory is the next one's then: to keep thousands of
// Results until they are sent, and to come back to them, takes longer than to make it. Results are read, and made something of, one at a time.
type Maker interface {
	// Maker returns a function that makes an Item's Made. It is called for one Item at a time, and keeps nothing of its Result.
	Maker() func(Item) any
}

// Deliver sends a store all that a target is owed, tells of each Result what became of it, in the outbox's order, and counts. What
// the store does not take by the deadline stays owed. The error is one of ctx or of the outbox.
func Deliver(ctx context.Context, box Outbox, target string, store Store, policy Policy, tell func(parse.Delivery)) (parse.Tally, error) {
	_, rowless := store.(Rowless)
	batches := 1
	if c, ok := store.(Concurrent); ok {
		batches = c.Batches()
	}
	var maker func(Item) any
	if m, ok := store.(Maker); ok {
		maker = m.Maker()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d := delivery{box: box, target: target, store: store, rows: !rowless, maker: maker, policy: policy, tell: tell, cancel: cancel,
		notes: make(chan note, batches), waiting: map[int][]parse.Delivery{}}
	var working, noting sync.WaitGroup
	noting.Go(func() { d.keepReceipts(ctx) })
	for range batches {
		working.Go(func() {
			for {
				more, err := d.next(ctx)
				if err != nil {
					cancel(err) // the first error is the one that the others come from
				}
				if !more || err != nil {
					return
				}
			}
		})
	}
	working.Wait()
	close(d.notes)
	noting.Wait()
	return d.tally, context.Cause(ctx)
}

// delivery is the delivery to one target. Several batches of it may be on their way at once.
type delivery struct {
	box    Outbox
	target string
	store  Store
	rows   bool // the store wants them
	maker  func(Item) any
	policy Policy
	cancel context.CancelCauseFunc

	reading sync.Mutex
	behind  string // the last Result that was read from the outbox
	batches int    // how many batches were read

	gaveUp atomic.Bool

	notes chan note // answers that are to be noted

	// These are keepReceipts' alone.
	tell    func(parse.Delivery)
	tally   parse.Tally
	told    int                      // how many batches were told of
	waiting map[int][]parse.Delivery // what is to be told of later batches
}

// batch is some Items that were read from the outbox together.
type batch struct {
	number   int
	outcomes []parse.Delivery // in the order of the Items; one without an ID is not known
}

// note is what a store answered to some of a batch in one try.
type note struct {
	batch    *batch
	receipts []Receipt
	// outcomes are to be told when the receipts are written, and places are where they stand in the batch.
	outcomes []parse.Delivery
	places   []int
	last     bool // nothing of the batch comes behind it
}

// next reads one batch and sends it. It is false where nothing is left.
func (d *delivery) next(ctx context.Context) (bool, error) {
	maker := d.maker
	if d.gaveUp.Load() {
		maker = func(Item) any { return nil } // nothing is sent
	}
	d.reading.Lock()
	items, err := d.box.Owed(ctx, d.target, d.behind, d.policy.Batch, d.rows, maker)
	b := &batch{number: d.batches, outcomes: make([]parse.Delivery, len(items))}
	if len(items) > 0 {
		d.behind = items[len(items)-1].ID
		d.batches++
	}
	d.reading.Unlock()
	if err != nil || len(items) == 0 {
		return false, err
	}
	var last note
	if d.gaveUp.Load() {
		// A store that took nothing of a batch will take nothing of the others now: they stay owed, without another wait.
		for i, item := range items {
			b.outcomes[i] = parse.Delivery{Target: d.target, ID: item.ID, Outcome: parse.Owed, Reason: "not tried, since the target took nothing before"}
		}
	} else {
		last, err = d.deliver(ctx, b, items)
	}
	last.batch, last.last = b, true
	d.notes <- last
	return true, err
}

// deliver sends one batch until every item has an answer or the time is over. It returns the note of the last try.
func (d *delivery) deliver(ctx context.Context, b *batch, items []Item) (note, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = d.policy.FirstPause, d.policy.LongestPause
	deadline := time.Now().Add(d.policy.Deadline)
	tookNothing := true
	places := make([]int, len(items))
	for i := range places {
		places[i] = i
	}
	for {
		answers, err := d.store.Put(ctx, items)
		if err != nil {
			return note{}, err
		}
		if len(answers) != len(items) {
			return note{}, fmt.Errorf("%s: %d answers for %d results: this is a fault of trtperf", d.target, len(answers), len(items))
		}
		answered := note{batch: b, receipts: make([]Receipt, len(items)), outcomes: make([]parse.Delivery, 0, len(items)), places: make([]int, 0, len(items))}
		var again []int // of items
		pause := time.Duration(0)
		tell := func(i int) {
			answered.places = append(answered.places, places[i])
			answered.outcomes = append(answered.outcomes, parse.Delivery{Target: d.target, ID: items[i].ID, Outcome: answers[i].Outcome, Reason: answers[i].Reason})
		}
		for i, a := range answers {
			answered.receipts[i] = Receipt{items[i].State, a}
			if a.Outcome == parse.Owed && !a.Mend {
				again = append(again, i)
				pause = max(pause, a.RetryAfter)
				continue
			}
			tookNothing = tookNothing && a.Outcome == parse.Owed
			tell(i)
		}
		if len(again) < len(items) { // headway
			pauses.Reset()
			deadline = time.Now().Add(d.policy.Deadline)
		}
		pause = max(pause, pauses.NextBackOff())
		over := time.Now().Add(pause).After(deadline)
		if over {
			for _, i := range again {
				tell(i)
			}
		}
		if over || len(again) == 0 {
			if tookNothing {
				d.gaveUp.Store(true)
			}
			return answered, nil
		}
		d.notes <- answered
		itemsLeft, placesLeft := make([]Item, len(again)), make([]int, len(again))
		for n, i := range again {
			itemsLeft[n], placesLeft[n] = items[i], places[i]
		}
		items, places = itemsLeft, placesLeft
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return note{}, ctx.Err()
		}
	}
}

// keepReceipts writes receipts and tells what became of each batch once they are written, in the order of the batches. Each transaction of an
// outbox has its price, while the batches go on: so it waits a little for the answers to several.
func (d *delivery) keepReceipts(ctx context.Context) {
	const little, several = 500 * time.Millisecond, 8
	// What was answered is noted, though the command is to end.
	ctx = context.WithoutCancel(ctx)
	var failed error
	for first := range d.notes {
		group, over := []note{first}, time.After(little)
	waiting:
		for len(group) < several {
			select {
			case n, more := <-d.notes:
				if !more {
					break waiting
				}
				group = append(group, n)
			case <-over:
				break waiting
			}
		}
		var receipts []Receipt
		for _, n := range group {
			receipts = append(receipts, n.receipts...)
		}
		if failed == nil && len(receipts) > 0 {
			if failed = d.box.Settle(ctx, d.target, receipts); failed != nil {
				d.cancel(failed)
			}
		}
		for _, n := range group {
			d.settled(n, failed == nil)
		}
	}
	// Those behind a batch that was not finished.
	for _, number := range slices.Sorted(maps.Keys(d.waiting)) {
		d.count(d.waiting[number])
	}
}

// settled tells of a batch when its last note is written and its turn has come.
func (d *delivery) settled(n note, written bool) {
	for i, place := range n.places {
		if written {
			n.batch.outcomes[place] = n.outcomes[i]
		}
	}
	if !n.last {
		return
	}
	d.waiting[n.batch.number] = n.batch.outcomes
	for {
		next, ready := d.waiting[d.told]
		if !ready {
			return
		}
		d.count(next)
		delete(d.waiting, d.told)
		d.told++
	}
}

func (d *delivery) count(outcomes []parse.Delivery) {
	for _, one := range outcomes {
		if one.ID != "" {
			d.tally.Add(one.Outcome)
			d.tell(one)
		}
	}
}
