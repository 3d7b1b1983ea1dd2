package upload_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
)

// box is an outbox in memory.
type box struct {
	items   []upload.Item
	failing error // of Settle, for the 25th Result
	settled sync.Map
}

func newBox(n int) *box {
	b := &box{}
	for i := range n {
		id := fmt.Sprintf("%04d", i)
		b.items = append(b.items, upload.Item{ID: id, Result: &parse.Result{ID: id}, State: id})
	}
	return b
}

func (b *box) Owed(_ context.Context, _, behind string, n int, _ bool, maker func(upload.Item) any) ([]upload.Item, error) {
	at, _ := slices.BinarySearchFunc(b.items, behind+"\x00", func(i upload.Item, id string) int { return slices.Compare([]byte(i.ID), []byte(id)) })
	items := slices.Clone(b.items[at:min(len(b.items), at+n)])
	for i := range items {
		items[i].Made, items[i].Result = maker(items[i]), nil
	}
	return items, nil
}

func (b *box) Settle(_ context.Context, _ string, receipts []upload.Receipt) error {
	// All or nothing, as in a transaction.
	if b.failing != nil && slices.ContainsFunc(receipts, func(r upload.Receipt) bool { return r.State == "0025" }) {
		return b.failing
	}
	time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) // several batches may be answered meanwhile
	for _, r := range receipts {
		b.settled.Store(r.State, r.Outcome)
	}
	return nil
}

// late is a store of four batches at once that answers the earlier the later a batch is, and some Results only when they are asked again.
type late struct {
	asked sync.Map
}

func (*late) Batches() int { return 4 }

func (*late) Maker() func(upload.Item) any {
	return func(item upload.Item) any { return "made of " + item.Result.ID }
}

func (*late) Close() error { return nil }

func (l *late) Put(ctx context.Context, items []upload.Item) ([]upload.Answer, error) {
	var first int
	fmt.Sscan(items[0].ID, &first)
	time.Sleep(time.Duration(4-first/10%4) * time.Millisecond)
	answers := make([]upload.Answer, len(items))
	for i, item := range items {
		answers[i].Outcome = parse.Stored
		if item.Made != "made of "+item.ID || item.Result != nil {
			answers[i] = upload.Answer{Outcome: parse.Refused, Reason: fmt.Sprintf("%+v", item)}
		}
		if _, again := l.asked.LoadOrStore(item.ID, true); !again && i%3 == 0 {
			answers[i] = upload.Answer{Outcome: parse.Owed, Reason: "busy"}
		}
	}
	return answers, ctx.Err()
}

var quick = upload.Policy{Deadline: time.Second, FirstPause: time.Millisecond, LongestPause: 2 * time.Millisecond, Batch: 10}

// What is told of one target is in the order of the Results, whatever order they are answered in.
func TestDeliverTellsInOrder(t *testing.T) {
	var told []string
	b := newBox(203)
	tally, err := upload.Deliver(context.Background(), b, "t", &late{}, quick, func(d parse.Delivery) { told = append(told, d.ID) })
	if err != nil || tally != (parse.Tally{Stored: 203}) || len(told) != 203 || !slices.IsSorted(told) {
		t.Errorf("%+v, %v, told %v", tally, err, told)
	}
	for _, i := range b.items {
		if outcome, _ := b.settled.Load(i.ID); outcome != parse.Stored {
			t.Errorf("%s is told and its receipt is %v", i.ID, outcome)
		}
	}
}

// Where the outbox fails, what was settled before is told all the same.
func TestDeliverTellsBehindAnError(t *testing.T) {
	b, full := newBox(40), errors.New("the disk is full")
	b.failing = full
	told := map[string]bool{}
	tally, err := upload.Deliver(context.Background(), b, "t", &late{}, quick, func(d parse.Delivery) { told[d.ID] = true })
	if !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	b.settled.Range(func(id, outcome any) bool {
		if outcome == parse.Stored && !told[id.(string)] && id.(string)[:3] != "002" {
			t.Errorf("%s was settled and not told", id)
		}
		return true
	})
	if tally.Stored != len(told) {
		t.Errorf("counted %+v, told %d", tally, len(told))
	}
}
