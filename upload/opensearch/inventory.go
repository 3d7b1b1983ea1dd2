package opensearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/document"
)

// page is how many documents are asked for at once.
const page = 1000

// Search asks for one page of documents. Its error is for people.
type Search func(ctx context.Context, query []byte) (reply []byte, err error)

// Walk calls yield for each document that trtperf has written to an index, in the order of identities, page by page: what is asked for next is what
// stands behind the last one, so that nothing is missed or told twice however many there are.
func Walk(ctx context.Context, search Search, encoder *document.Encoder, yield func(upload.Held) error) error {
	last := ""
	for {
		query := map[string]any{
			"size": page, "sort": []any{map[string]any{document.ID: "asc"}}, "track_total_hits": false,
			"query": map[string]any{"exists": map[string]any{"field": document.ID}},
		}
		if last != "" {
			query["search_after"] = []any{last}
		}
		text, err := json.Marshal(query)
		if err != nil {
			return err
		}
		reply, err := search(ctx, text)
		if err != nil {
			return err
		}
		var found struct {
			TimedOut bool `json:"timed_out"`
			Shards   struct {
				Failed int `json:"failed"`
			} `json:"_shards"`
			Hits struct {
				Hits []struct {
					Source json.RawMessage `json:"_source"`
				} `json:"hits"`
			} `json:"hits"`
		}
		switch err := json.Unmarshal(reply, &found); {
		case err != nil:
			return fmt.Errorf("the reply to a search cannot be read: %w", err)
		case found.TimedOut || found.Shards.Failed > 0:
			return errors.New("the server searched only a part of the documents: try again when its cluster is whole")
		}
		for _, hit := range found.Hits.Hits {
			held, err := encoder.Held(hit.Source)
			if err != nil {
				return err
			}
			if held.ID == last { // the same document in two indexes
				continue
			}
			last = held.ID
			if err := yield(held); err != nil {
				return err
			}
		}
		if len(found.Hits.Hits) < page {
			return nil
		}
	}
}

// Held calls yield for each Result of the index.
func (s *Store) Held(ctx context.Context, yield func(upload.Held) error) error {
	// What was just written is to be found. Where that is not allowed, the server does it in time.
	status, _, failed := s.do(ctx, http.MethodPost, "/"+s.index+"/_refresh", "", nil, http.StatusNotFound, http.StatusForbidden)
	switch {
	case failed != nil:
		return errors.New(failed.Reason)
	case status == http.StatusNotFound:
		return nil
	}
	return Walk(ctx, func(ctx context.Context, query []byte) ([]byte, error) {
		_, reply, failed := s.do(ctx, http.MethodPost, "/"+s.index+"/_search", "application/json", query)
		if failed != nil {
			return nil, errors.New(failed.Reason)
		}
		return reply, nil
	}, s.encoder, yield)
}

// Batches is how many batches are worth sending at once: while one is read and the receipts of others are written, further ones are on their way.
func (s *Store) Batches() int { return 5 }

// Maker makes documents.
func (s *Store) Maker() func(upload.Item) any {
	maker := s.encoder.Maker()
	return func(item upload.Item) any { return maker.Make(item) }
}

// made returns an item's document.
func (s *Store) made(item upload.Item) *document.Made {
	if made, ok := item.Made.(*document.Made); ok {
		return made
	}
	return s.encoder.Maker().Make(item)
}

// Rowless says that documents have nothing of a Result's Rows.
func (s *Store) Rowless() {}

// Preview returns the body of the update that would be sent; its upsert is what a new document is made of.
func (s *Store) Preview(item upload.Item) ([]byte, error) {
	made := s.made(item)
	if made.Err != nil {
		return nil, made.Err
	}
	return made.AppendUpdate(nil), nil
}

var (
	_ upload.Store      = (*Store)(nil)
	_ upload.Inventory  = (*Store)(nil)
	_ upload.Previewer  = (*Store)(nil)
	_ upload.Concurrent = (*Store)(nil)
	_ upload.Maker      = (*Store)(nil)
	_ upload.Rowless    = (*Store)(nil)
)
