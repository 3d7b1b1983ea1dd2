package opensearch

import (
	"context"
	"net/http"
	"sync"

	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/document"
)

// repeat says when to ask which documents need not be sent, since they are there as they would be sent. An update that changes nothing costs a server
// as much as any other; to find hashes costs it next to nothing.
type repeat struct {
	mutex sync.Mutex
	// likely: of the last documents most were there already.
	likely bool
	// fresh: a search finds what was written before the store was opened, and nothing that was deleted before.
	fresh bool
	// mute: the server does not say what it has.
	mute bool
}

// sent notes how many of the documents of a body were there already.
func (r *repeat) sent(present, of int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	// Where few were, they may be those that alone were left to be sent.
	r.likely = r.likely || 2*present > of
}

// asked notes how many of a batch were found.
func (r *repeat) asked(found, of int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.likely = 2*found > of
}

// failed notes that a search was not answered.
func (r *repeat) failed() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.mute = true
}

// spared tells which of items the index has as they would be sent, where most are likely to be there; nil is none. An item that the target has had from
// this outbox is sent in any case: it is owed once more for a reason.
//
// No answer is no failure: what is not known to be there is sent.
func (s *Store) spared(ctx context.Context, items []upload.Item) []bool {
	if !s.maySearch(ctx) {
		return nil
	}
	const none = -1
	hashes, asked := make([]int64, len(items)), make([]int64, 0, len(items))
	var room []byte
	for i, item := range items {
		hashes[i] = none
		if item.Delivered {
			continue
		}
		hash, text, err := s.encoder.Hash(room[:0], item)
		if err != nil {
			continue // it is told of when it is to be sent
		}
		hashes[i], asked, room = hash, append(asked, hash), text
	}
	// Nearly always it has all, so that the number says everything.
	total, there, ok := s.search(ctx, asked, 0)
	all := ok && total == len(asked)
	if ok && !all && 2*total > len(items) {
		_, there, ok = s.search(ctx, asked, len(asked))
	}
	if !ok {
		s.repeat.failed()
		return nil
	}
	s.repeat.asked(total, len(items))
	spared := make([]bool, len(items))
	for i, hash := range hashes {
		spared[i] = hash != none && (all || there[hash])
	}
	return spared
}

// search returns how many documents have one of the hashes, and the hashes of at most some of them.
func (s *Store) search(ctx context.Context, hashes []int64, most int) (total int, there map[int64]bool, ok bool) {
	var reply struct {
		Hits struct {
			Total struct {
				Value int `json:"value"`
			} `json:"total"`
			Hits []struct {
				Fields struct {
					Hash []int64 `json:"l_document_hash"`
				} `json:"fields"`
			} `json:"hits"`
		} `json:"hits"`
	}
	_, failed := s.ask(ctx, http.MethodPost, "/"+s.index+"/_search?request_cache=false&filter_path=hits.total.value,hits.hits.fields", map[string]any{
		"query": map[string]any{"terms": map[string]any{document.Hash: hashes}}, "size": most, "track_total_hits": true,
		"sort": []string{"_doc"}, "_source": false, "stored_fields": "_none_", "docvalue_fields": []string{document.Hash},
	}, &reply)
	there = make(map[int64]bool, len(reply.Hits.Hits))
	for _, hit := range reply.Hits.Hits {
		for _, hash := range hit.Fields.Hash {
			there[hash] = true
		}
	}
	return reply.Hits.Total.Value, there, failed == nil
}

// maySearch reports whether to ask what is there, and sees that the answer is of the index as it is.
func (s *Store) maySearch(ctx context.Context) bool {
	r := &s.repeat
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if !r.likely || r.mute {
		return false
	}
	if !r.fresh {
		// A document that was deleted a moment ago would still be found.
		_, _, failed := s.do(ctx, http.MethodPost, "/"+s.index+"/_refresh", "", nil)
		r.fresh, r.mute = failed == nil, failed != nil
	}
	return r.fresh
}
