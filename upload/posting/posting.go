// Package posting delivers Results through the gateway that stands before OpenSearch at TensorRT-LLM's makers.
//
// The gateway takes POST <base>/dataflow2/<project>/posting with one JSON array of documents, and answers for the whole of it: 200, 201 or 202, or a
// status that refuses all of it for the fault of one. It wants Proxy-Authorization, but for projects whose name contains "sandbox". So each document
// is checked against its rules before it is sent, batches are small, and one that is refused all the same is halved until the document at fault
// stands alone. A document has the Result's identity as its _id; one whose answer was lost is sent again with the same.
//
// No gateway can be had outside; what this package does rests on what its clients do, and its tests run against a server of their own that enforces
// the same rules.
package posting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/document"
	"github.com/trtperf/trtperf/upload/endpoint"
	"github.com/trtperf/trtperf/upload/opensearch"
)

const (
	// maxBody bounds one posting: no client that is known sends more than a test's documents, some ten.
	maxBody = 1 << 20
	// maxDocuments bounds the documents of one posting.
	maxDocuments = 500
	// connections is how many postings are on their way at once.
	connections = 2
)

// Config says where and how to write.
type Config struct {
	// Base is the gateway's URL, without the path of a project.
	Base    string
	Project string
	Access  endpoint.Access
	// CAFile holds certificates to trust, besides the system's.
	CAFile string
	Table  *parse.Table
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// Limits bound how long requests stand still; zero is what the command line has.
	Limits endpoint.Limits
}

// Store writes to one project. Several goroutines may use it.
type Store struct {
	transport   *endpoint.Transport
	post, query string
	encoder     *document.Encoder
	now         func() time.Time
	slots       chan struct{}
}

// New returns a Store. It makes no connection.
func New(c Config) (*Store, error) {
	if err := c.Access.Check([]string{c.Base}, "write posting+https://"); err != nil {
		return nil, err
	}
	transport, err := endpoint.New(endpoint.Config{Access: c.Access, CAFile: c.CAFile, Limits: c.Limits, Connections: connections})
	if err != nil {
		return nil, err
	}
	s := &Store{
		transport: transport, encoder: document.NewEncoder(c.Table, c.Now), now: c.Now, slots: make(chan struct{}, connections),
		post:  c.Base + "/dataflow2/" + c.Project + "/posting",
		query: c.Base + "/opensearch/df-" + c.Project + "-*/_search",
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// Close closes idle connections.
func (s *Store) Close() error { return s.transport.Close() }

// batch is the documents of one posting.
type batch struct {
	documents [][]byte
	items     []int // which items they are
	size      int
}

func (b *batch) add(document []byte, item int) {
	b.documents, b.items, b.size = append(b.documents, document), append(b.items, item), b.size+len(document)+1
}

// body is the JSON array.
func (b *batch) body() []byte {
	text := make([]byte, 0, b.size+1)
	text = append(text, '[')
	text = append(text, bytes.Join(b.documents, []byte{','})...)
	return append(text, ']')
}

// answer gives all items the same answer.
func (b *batch) answer(a upload.Answer, answers []upload.Answer) {
	for _, i := range b.items {
		answers[i] = a
	}
}

// halves splits a batch.
func (b *batch) halves() (*batch, *batch) {
	var first, second batch
	for i, d := range b.documents {
		if i < len(b.documents)/2 {
			first.add(d, b.items[i])
		} else {
			second.add(d, b.items[i])
		}
	}
	return &first, &second
}

// Put makes one attempt to write items.
func (s *Store) Put(ctx context.Context, items []upload.Item) ([]upload.Answer, error) {
	answers := make([]upload.Answer, len(items))
	var sending sync.WaitGroup
	var broken atomic.Pointer[upload.Answer]
	b := &batch{}
	send := func() {
		if len(b.items) == 0 {
			return
		}
		full := b
		b = &batch{}
		s.slots <- struct{}{}
		sending.Go(func() {
			s.send(ctx, full, answers, &broken)
			<-s.slots
		})
	}
	for i, item := range items {
		text, err := s.Preview(item)
		if err != nil {
			answers[i] = upload.Answer{Outcome: parse.Refused, Reason: err.Error()}
			continue
		}
		if b.size+len(text) > maxBody {
			send()
		}
		b.add(text, i)
		if len(b.items) == maxDocuments {
			send()
		}
	}
	send()
	sending.Wait()
	return answers, ctx.Err()
}

// Rowless says that documents have nothing of a Result's Rows.
func (s *Store) Rowless() {}

// Preview returns the document that would be posted.
func (s *Store) Preview(item upload.Item) ([]byte, error) {
	text, err := s.encoder.AppendWhole(nil, item.Result)
	if err == nil {
		err = check(text)
	}
	if err != nil {
		return nil, fmt.Errorf("document %s: %w", item.Result.ID, err)
	}
	return text, nil
}

// send posts a batch and fills in the answers of its items.
func (s *Store) send(ctx context.Context, b *batch, answers []upload.Answer, broken *atomic.Pointer[upload.Answer]) {
	if a := broken.Load(); a != nil {
		b.answer(*a, answers)
		return
	}
	status, _, failed := s.do(ctx, http.MethodPost, s.post, b.body())
	switch {
	case failed == nil && status != http.StatusOK && status != http.StatusCreated && status != http.StatusAccepted:
		failed = &upload.Answer{Outcome: parse.Owed, Reason: fmt.Sprintf("status %d, which says neither yes nor no", status)}
	case failed != nil && failed.Outcome == parse.Refused && len(b.items) > 1:
		// One document is at fault, or the batch is too large.
		first, second := b.halves()
		s.send(ctx, first, answers, broken)
		s.send(ctx, second, answers, broken)
		return
	}
	if failed == nil {
		failed = &upload.Answer{Outcome: parse.Stored}
	} else if failed.Outcome == parse.Owed {
		// What one posting met the next would meet, each after its time: the rest is for another try.
		broken.Store(failed)
	}
	b.answer(*failed, answers)
}

// words are what messages say.
var words = endpoint.Words{Server: "the gateway", Credentials: Variables}

// do makes a request and returns the answer's status and body, or the answer for everything in the request.
func (s *Store) do(ctx context.Context, method, url string, body []byte) (int, []byte, *upload.Answer) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, &upload.Answer{Outcome: parse.Refused, Reason: err.Error()}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept-Charset", "UTF-8")
	response, err := s.transport.RoundTrip(request)
	if err != nil {
		failed := words.Failed(err)
		return 0, nil, &failed
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	if err != nil {
		failed := words.Failed(err)
		return 0, nil, &failed
	}
	return response.StatusCode, reply, words.Rejected(response, reply, s.now(), s.transport.Access())
}

// Held calls yield for each Result that the gateway's way of reading finds: GET <base>/opensearch/df-<project>-*/_search with a body.
func (s *Store) Held(ctx context.Context, yield func(upload.Held) error) error {
	return opensearch.Walk(ctx, func(ctx context.Context, query []byte) ([]byte, error) {
		_, reply, failed := s.do(ctx, http.MethodGet, s.query, query)
		if failed != nil {
			return nil, errors.New(failed.Reason)
		}
		return reply, nil
	}, s.encoder, yield)
}

var (
	_ upload.Store     = (*Store)(nil)
	_ upload.Inventory = (*Store)(nil)
	_ upload.Previewer = (*Store)(nil)
	_ upload.Rowless   = (*Store)(nil)
)
