package upload

import (
	"cmp"
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
	Owed(ctx context.Context, target, behind string, n int, rows bool) ([]Item, error)
	// Settle notes a store's answers to items.
	Settle(ctx context.Context, target string, items []Item, answers []Answer) error
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

// Deliver sends a store all that a target is owed, tells of each Result what became of it, in the outbox's order, and counts. What
// the store does not take by the deadline stays owed. The error is one of ctx or of the outbox.
func Deliver(ctx context.Context, box Outbox, target string, store Store, policy Policy, tell func(parse.Delivery)) (parse.Tally, error) {
	d := delivery{box: box, target: target, store: store, policy: policy, tell: tell, waiting: map[int][]parse.Delivery{}}
	_, rowless := store.(Rowless)
	d.rows = !rowless
	batches := 1
	if c, ok := store.(Concurrent); ok {
		batches = c.Batches()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var working sync.WaitGroup
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
	d.tellRest()
	return d.tally, context.Cause(ctx)
}

// delivery is the delivery to one target. Several batches of it may be on their way at once.
type delivery struct {
	box    Outbox
	target string
	store  Store
	rows   bool // the store wants them
	policy Policy
	tell   func(parse.Delivery)

	reading sync.Mutex
	behind  string // the last Result that was read from the outbox
	batches int    // how many batches were read

	gaveUp atomic.Bool

	noting sync.Mutex
	notes  []*note // receipts that are to be written
	// writing is held by the one that writes receipts.
	writing sync.Mutex

	telling sync.Mutex
	tally   parse.Tally
	told    int                      // how many batches were told of
	waiting map[int][]parse.Delivery // what is to be told of later batches
}

// finished tells what became of a batch, when it is its turn.
func (d *delivery) finished(batch int, items []Item, outcomes []parse.Delivery) {
	// Those that were sent again have come later.
	place := make(map[string]int, len(items))
	for i, item := range items {
		place[item.Result.ID] = i
	}
	slices.SortStableFunc(outcomes, func(a, b parse.Delivery) int { return cmp.Compare(place[a.ID], place[b.ID]) })
	d.telling.Lock()
	defer d.telling.Unlock()
	d.waiting[batch] = outcomes
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

// tellRest tells of the batches behind one that an error ended.
func (d *delivery) tellRest() {
	for _, batch := range slices.Sorted(maps.Keys(d.waiting)) {
		d.count(d.waiting[batch])
	}
}

func (d *delivery) count(outcomes []parse.Delivery) {
	for _, one := range outcomes {
		d.tally.Add(one.Outcome)
		d.tell(one)
	}
}

// next reads one batch and sends it. It reports whether there was one.
func (d *delivery) next(ctx context.Context) (bool, error) {
	d.reading.Lock()
	items, err := d.box.Owed(ctx, d.target, d.behind, d.policy.Batch, d.rows)
	batch := d.batches
	if len(items) > 0 {
		d.behind = items[len(items)-1].Result.ID
		d.batches++
	}
	d.reading.Unlock()
	if err != nil || len(items) == 0 {
		return false, err
	}
	outcomes := make([]parse.Delivery, 0, len(items))
	if d.gaveUp.Load() {
		// A store that took nothing of a batch will take nothing of the others now: they stay owed, without another wait.
		for _, item := range items {
			outcomes = append(outcomes, parse.Delivery{Target: d.target, ID: item.Result.ID, Outcome: parse.Owed, Reason: "not tried, since the target took nothing before"})
		}
		d.finished(batch, items, outcomes)
		return true, nil
	}
	tookNothing, err := d.deliver(ctx, items, func(one parse.Delivery) { outcomes = append(outcomes, one) })
	d.finished(batch, items, outcomes)
	if tookNothing {
		d.gaveUp.Store(true)
	}
	return true, err
}

// note is what a store answered to some Items.
type note struct {
	items   []Item
	answers []Answer
	// While writing is held, these say whether the receipts are written, and with which error.
	written bool
	err     error
}

// settle notes a store's answers in the outbox and returns when they are there. Each transaction of the outbox has its price, and batches that are
// answered while another one's receipts are written share the next one.
func (d *delivery) settle(ctx context.Context, items []Item, answers []Answer) error {
	mine := &note{items: items, answers: answers}
	d.noting.Lock()
	d.notes = append(d.notes, mine)
	d.noting.Unlock()
	d.writing.Lock()
	defer d.writing.Unlock()
	if mine.written { // by another one
		return mine.err
	}
	d.noting.Lock()
	waiting := d.notes // mine among them
	d.notes = nil
	d.noting.Unlock()
	if len(waiting) > 1 {
		items, answers = nil, nil
		for _, n := range waiting {
			items, answers = append(items, n.items...), append(answers, n.answers...)
		}
	}
	err := d.box.Settle(ctx, d.target, items, answers)
	for _, n := range waiting {
		n.written, n.err = true, err
	}
	return err
}

// deliver sends one batch until every item has an answer or the time is over. It reports whether the store took nothing of it.
func (d *delivery) deliver(ctx context.Context, items []Item, tell func(parse.Delivery)) (bool, error) {
	target, policy := d.target, d.policy
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = policy.FirstPause, policy.LongestPause
	deadline := time.Now().Add(policy.Deadline)
	tookNothing := true
	for {
		answers, err := d.store.Put(ctx, items)
		if err != nil {
			return false, err
		}
		if len(answers) != len(items) {
			return false, fmt.Errorf("%s: %d answers for %d results: this is a fault of trtperf", target, len(answers), len(items))
		}
		if err := d.settle(ctx, items, answers); err != nil {
			return false, err
		}
		var again []Item
		var why []Answer
		pause := time.Duration(0)
		for i, a := range answers {
			if a.Outcome == parse.Owed && !a.Mend {
				again, why = append(again, items[i]), append(why, a)
				pause = max(pause, a.RetryAfter)
				continue
			}
			tookNothing = tookNothing && a.Outcome == parse.Owed
			tell(parse.Delivery{Target: target, ID: items[i].Result.ID, Outcome: a.Outcome, Reason: a.Reason})
		}
		if len(again) == 0 {
			return tookNothing, nil
		}
		if len(again) < len(items) { // headway
			pauses.Reset()
			deadline = time.Now().Add(policy.Deadline)
		}
		pause = max(pause, pauses.NextBackOff())
		if time.Now().Add(pause).After(deadline) {
			for i, item := range again {
				tell(parse.Delivery{Target: target, ID: item.Result.ID, Outcome: parse.Owed, Reason: why[i].Reason})
			}
			return tookNothing, nil
		}
		items = again
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}
