package opensearch

import (
	"context"
	"net/http"
	"sync"

	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/document"
)

// repeat says when to ask which documents need not be sent, since they are there as they would be sent. An update that changes nothing costs a server
// as much as any other; to find hashes costs it little.
type repeat struct {
	mutex sync.Mutex
	// likely: of the last documents most were there already.
	likely bool
	search searchState
}

// searchState is whether a search tells what is there.
type searchState int

const (
	stale      searchState = iota // it may find what was deleted before the store was opened
	refreshing                    // this is being mended
	fresh
	mute // the server does not tell
)

// sent notes how many of the documents of a body were there already.
func (r *repeat) sent(there, of int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	// Where few were, they may be those that alone were left to be sent.
	r.likely = r.likely || 2*there > of
}

// asked notes how many documents were found of those that were asked for.
func (r *repeat) asked(found, of int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.likely = 2*found > of
}

// isLikely reports whether most documents are likely to be there.
func (r *repeat) isLikely() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.likely
}

// spared tells which of items the index has as they would be sent, where most are likely to be there; nil is none. An item that the target has had from
// this outbox is sent in any case: it is owed once more for a reason.
//
// No answer is no failure: what is not known to be there is sent.
func (s *Store) spared(ctx context.Context, items []upload.Item, documents []*document.Made) []bool {
	if !s.maySearch(ctx) {
		return nil
	}
	askable := func(i int) bool { return !items[i].Delivered && documents[i].Err == nil }
	asked := make([]int64, 0, len(items))
	for i, made := range documents {
		if askable(i) {
			asked = append(asked, made.Hash)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	there, ok := s.find(ctx, asked)
	if !ok {
		s.repeat.turn(mute)
		return nil
	}
	s.repeat.asked(len(there), len(asked))
	spared := make([]bool, len(items))
	for i, made := range documents {
		has, ok := there[made.Hash]
		spared[i] = ok && askable(i) && (!made.WritesStatus || has == status{made.Valid, made.Reasons})
	}
	return spared
}

// status is what a document says of a Result's.
type status struct {
	valid   bool
	reasons string
}

// find returns which of the hashes documents of the index have, and these documents' status. They are listed and not counted, since a document may be
// there twice: an alias may lead to two indexes. Such ones are left out.
func (s *Store) find(ctx context.Context, hashes []int64) (there map[int64]status, ok bool) {
	var reply struct {
		Hits struct {
			Hits []struct {
				Fields struct {
					Hash    []int64  `json:"l_document_hash"`
					Valid   []bool   `json:"b_is_valid"`
					Reasons []string `json:"s_failure_reasons"`
				} `json:"fields"`
			} `json:"hits"`
		} `json:"hits"`
	}
	// The primary shards know of each write first.
	_, failed := s.ask(ctx, http.MethodPost, "/"+s.index+"/_search?preference=_primary&filter_path=hits.hits.fields", map[string]any{
		"query": map[string]any{"terms": map[string]any{document.Hash: hashes}}, "size": len(hashes), "track_total_hits": false,
		"sort": []string{"_doc"}, "_source": false, "stored_fields": "_none_", "docvalue_fields": []string{document.Hash, "b_is_valid", "s_failure_reasons"},
	}, &reply)
	there = make(map[int64]status, len(reply.Hits.Hits))
	var twice []int64
	for _, hit := range reply.Hits.Hits {
		f := hit.Fields
		if len(f.Hash) != 1 || len(f.Valid) != 1 || len(f.Reasons) != 1 {
			continue
		}
		if _, known := there[f.Hash[0]]; known {
			twice = append(twice, f.Hash[0])
		}
		there[f.Hash[0]] = status{f.Valid[0], f.Reasons[0]}
	}
	for _, hash := range twice {
		delete(there, hash)
	}
	return there, failed == nil
}

// maySearch reports whether to ask what is there, and sees that the answer is of the index as it is: a document that was deleted a moment ago would still
// be found.
func (s *Store) maySearch(ctx context.Context) bool {
	r := &s.repeat
	r.mutex.Lock()
	likely, state := r.likely, r.search
	if likely && state == stale {
		r.search = refreshing // by one, while the others send
	}
	r.mutex.Unlock()
	if !likely || state != stale {
		return likely && state == fresh
	}
	var reply struct {
		Shards struct {
			Failed int `json:"failed"`
		} `json:"_shards"`
	}
	if _, failed := s.ask(ctx, http.MethodPost, "/"+s.index+"/_refresh", nil, &reply); failed != nil || reply.Shards.Failed > 0 {
		r.turn(mute)
		return false
	}
	r.turn(fresh)
	return true
}

// turn notes what searches are good for.
func (r *repeat) turn(state searchState) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.search = state
}
