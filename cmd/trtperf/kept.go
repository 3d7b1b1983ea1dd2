package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"slices"

	"github.com/trtperf/trtperf/export"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload/sqlite"
)

// processSoftLimit is softLimit for process, which has the local store open besides.
const processSoftLimit = 40 << 20

// keptInMemory is how many Results of a command with a store of its own are held in memory: some MiB of them.
const keptInMemory = 256

// kept are the Results of a command, merged, in the order in which they were found. Those beyond some are in a temporary file, which nobody else
// sees and which ends with the command; where it cannot be written, they are in memory too.
type kept struct {
	most  int // in memory
	held  int // the same, as it is now
	set   export.Set
	place map[identity]int
	all   []keptResult

	file *os.File
	// written is what the file holds, and pending the text behind it, which is in memory.
	written int64
	pending []byte
	noFile  bool // nothing more can be written

	text   []byte // what was read last
	reader sqlite.Decoder
	read   int
}

// keptResult is a Result, or where in the file it is.
type keptResult struct {
	result *parse.Result
	at     int64
	size   int
}

func newKept(most int) *kept { return &kept{most: most, place: map[identity]int{}} }

// put keeps a Result. Of two readings the last one counts.
func (k *kept) put(r *parse.Result) {
	key := identityOf(r.ID)
	i, known := k.place[key]
	if !known {
		i = len(k.all)
		k.place[key] = i
		k.all = append(k.all, keptResult{})
	}
	k.set.Put(i, r)
	const some = 4096
	if !known && len(k.all)%some == 0 && k.most < math.MaxInt {
		k.limitMemory(processSoftLimit)
	}
	switch {
	case k.all[i].result != nil:
		k.all[i].result = r
	case k.held < k.most || !k.spill(&k.all[i], r):
		k.held++
		k.all[i].result = r
	}
}

// limitMemory sets where memory is collected sooner. What is known of each Result takes some room besides, which is no reason to collect all the
// time.
func (k *kept) limitMemory(soft int64) {
	const each = 1 << 10
	debug.SetMemoryLimit(soft + int64(len(k.all))*each)
}

// spill writes a Result into the file. It is false where that cannot be done.
func (k *kept) spill(to *keptResult, r *parse.Result) bool {
	if k.noFile {
		return false
	}
	document, err := json.Marshal(r)
	if err == nil && k.file == nil {
		err = k.create()
	}
	if err != nil {
		k.noFile = true
		return false
	}
	to.at, to.size = k.written+int64(len(k.pending)), len(document)
	k.pending = append(k.pending, document...)
	const enough = 64 << 10
	if len(k.pending) < enough {
		return true
	}
	if _, err := k.file.WriteAt(k.pending, k.written); err != nil {
		k.noFile = true // what is pending stays so
		return true
	}
	k.written, k.pending = k.written+int64(len(k.pending)), k.pending[:0]
	return true
}

// create makes the file. It has no name any more when it is used.
func (k *kept) create() (err error) {
	if k.file, err = os.CreateTemp("", "trtperf-*"); err != nil {
		return err
	}
	return os.Remove(k.file.Name())
}

// get returns the Result of a place.
func (k *kept) get(i int) (*parse.Result, error) {
	at := k.all[i]
	switch {
	case at.result != nil:
		return at.result, nil
	case at.at >= k.written:
		k.text = append(k.text[:0], k.pending[at.at-k.written:][:at.size]...)
	default:
		k.text = slices.Grow(k.text[:0], at.size)[:at.size]
		if _, err := k.file.ReadAt(k.text, at.at); err != nil {
			return nil, fmt.Errorf("the results that a temporary file holds cannot be read: %w", err)
		}
	}
	const ids = 1000 // that a reader may remember
	if k.read++; k.read%ids == 0 {
		k.reader = sqlite.Decoder{}
	}
	return k.reader.Decode(k.text)
}

// each calls yield for the Results in their order.
func (k *kept) each(yield func(*parse.Result) error) error {
	for i := range k.all {
		r, err := k.get(i)
		if err == nil {
			err = yield(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// close gives the file back, which has no name any more.
func (k *kept) close() {
	if k.file != nil {
		k.file.Close()
	}
}
