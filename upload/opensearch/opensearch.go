// Package opensearch delivers Results to OpenSearch.
//
// # Index and documents
//
// A project has one index, df-<project>-trtperf, which the queries over df-<project>-* of TensorRT-LLM's own tools find; no date is in
// its name, so that a Result that is sent again meets its own document. A document's _id is the Result's identity. It is made by "create"; one that
// is there already is written by "update" with "doc" and "upsert": fields are added and changed, never removed. Package document says what the fields are. An index template and
// the index's mapping give them their types by prefix; both have a version, so that older ones are brought up to date and later ones left alone.
//
// b_is_valid is written over an older value only by a reading that knows better: one that found a failure, one that had the test's
// results.xml, or one whose outbox has delivered the Result before.
//
// # Requests
//
// Several bodies of a bounded size are on their way at once, over kept connections, to the nodes in turn; one that cannot be reached is passed over. A
// body that the server finds too large is halved. Bodies are compressed unless the server is this machine, where that costs more than it saves.
// Where most documents were there already, the index is asked which hashes it has of those that come next, and those are not sent.
//
// # Answers
//
// The outcome of each item decides, never the status of the whole reply: 429, 5xx, conflicts and blocked indexes are tried again, other 4xx are
// refused with the server's reason. opensearch-go carries the requests; its BulkIndexer is not used, since it drops and miscounts.
package opensearch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	opensearchgo "github.com/opensearch-project/opensearch-go/v2"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/document"
	"github.com/trtperf/trtperf/upload/endpoint"
)

const (
	// maxBody bounds the body of one bulk request, before compression. The first ones are small, so that a way of 1 KB/s is found out before the time for
	// an answer is over; on this machine there is none.
	maxBody, firstBody, firstHere, leastBody = 5 << 20, 16 << 10, 64 << 10, 4 << 10
	// connections is how many bulk requests are on their way at once.
	connections = 4
)

// Config says where and how to write.
type Config struct {
	// Addresses are the base URLs of the servers.
	Addresses []string
	// Project names the index.
	Project string
	Access  endpoint.Access
	// CAFile holds certificates to trust, besides the system's.
	CAFile string
	Table  *parse.Table
	// Note is told what the user should know though nothing fails by it; nil drops it.
	Note func(text string)
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// Limits bound how long requests stand still; zero is what the command line has.
	Limits endpoint.Limits
	// Compress sends compressed bodies to this machine, too.
	Compress bool
}

// Store writes to one project. Several goroutines may use it.
type Store struct {
	client    *opensearchgo.Client
	transport *endpoint.Transport
	nodes     int
	index     string
	encoder   *document.Encoder
	now       func() time.Time
	note      func(string)

	preparing sync.Mutex
	prepared  bool // the index is there with its mapping

	// bodies are the buffers of requests: as many as may be on their way at once.
	bodies   chan *body
	pace     pace
	repeat   repeat
	compress atomic.Bool
}

// New returns a Store. It makes no connection.
func New(c Config) (*Store, error) {
	if err := c.Access.Check(c.Addresses, "write opensearch+https://"); err != nil {
		return nil, err
	}
	transport, err := endpoint.New(endpoint.Config{Access: c.Access, CAFile: c.CAFile, Limits: c.Limits, Connections: connections})
	if err != nil {
		return nil, err
	}
	client, err := opensearchgo.NewClient(opensearchgo.Config{
		Addresses: c.Addresses,
		Transport: transport,
		// Tries are upload.Deliver's, which knows the outbox, the deadline and Retry-After.
		DisableRetry: true,
	})
	if err != nil {
		return nil, err
	}
	far := slices.ContainsFunc(c.Addresses, func(a string) bool { return !endpoint.Loopback(a) })
	first := firstBody
	if !far {
		first = firstHere
	}
	s := &Store{
		client: client, transport: transport, nodes: len(c.Addresses), index: "df-" + c.Project + "-trtperf",
		encoder: document.NewEncoder(c.Table, c.Now), now: c.Now, note: c.Note, bodies: make(chan *body, connections),
		pace: pace{size: first, most: maxBody},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.note == nil {
		s.note = func(string) {}
	}
	for range connections {
		s.bodies <- &body{}
	}
	s.compress.Store(c.Compress || far)
	return s, nil
}

// Close closes idle connections.
func (s *Store) Close() error { return s.transport.Close() }

// body is a bulk request in the making.
type body struct {
	text  []byte
	ends  []int // where each item's two lines end
	items []int // which items of the batch they are
	zip   *gzip.Writer
	small bytes.Buffer
}

// pace is how large bodies are: they grow as long as the answers come soon, and shrink where they do not.
type pace struct {
	mutex      sync.Mutex
	size, most int // bytes
}

func (p *pace) now() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.size
}

// answered notes how long a body took.
func (p *pace) answered(bytes int, took time.Duration) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	const soon, late = time.Second, 10 * time.Second
	switch {
	case took < soon && 2*bytes > p.size:
		p.size = min(4*p.size, p.most)
	case took > late:
		p.shrink(bytes)
	}
}

// lost notes that a body got no answer.
func (p *pace) lost(bytes int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.shrink(bytes)
}

func (p *pace) shrink(bytes int) { p.size = min(p.size, max(bytes/2, leastBody)) }

// tooLarge notes that the server does not take a body of that size.
func (p *pace) tooLarge(bytes int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.most = min(p.most, max(bytes/2, 1))
	p.size = min(p.size, p.most)
}

// Put makes one attempt to write items.
func (s *Store) Put(ctx context.Context, items []upload.Item) ([]upload.Answer, error) {
	answers := make([]upload.Answer, len(items))
	if len(items) == 0 {
		return answers, ctx.Err()
	}
	if _, failed := s.prepare(ctx); failed != nil {
		for i := range answers {
			answers[i] = *failed
		}
		return answers, ctx.Err()
	}
	// What is new is made, which is half of an update. What turns out to be there is updated in its turn.
	isNew := !s.repeat.isLikely()
	documents := make([]*document.Made, len(items))
	for i, item := range items {
		documents[i] = s.made(item)
	}
	spared := s.spared(ctx, items, documents)
	var created, updated []int
	for i, item := range items {
		switch {
		case spared != nil && spared[i]:
			answers[i].Outcome = parse.Present
		case isNew && !item.Delivered:
			created = append(created, i)
		default:
			updated = append(updated, i)
		}
	}
	var broken atomic.Pointer[upload.Answer]
	s.sendAll(ctx, create, documents, created, answers, &broken)
	for _, i := range created {
		if answers[i].Outcome == exists {
			updated = append(updated, i)
		}
	}
	s.sendAll(ctx, update, documents, updated, answers, &broken)
	for _, i := range updated {
		if answers[i].Outcome == exists {
			answers[i] = upload.Answer{Outcome: parse.Owed, Reason: "the server answers an update as if it had been asked to make the document"}
		}
	}
	return answers, ctx.Err()
}

// action is what a bulk request does with a document.
type action struct {
	line   string // its first line, up to the identity
	append func(*document.Made, []byte) []byte
}

var (
	create = action{`{"create":{"_id":"`, (*document.Made).AppendNew}
	update = action{`{"update":{"_id":"`, (*document.Made).AppendUpdate}
)

// exists is the answer to an item that was to be made and is there already. It never leaves the package.
const exists parse.Outcome = "exists"

// sendAll sends some of the documents in bodies and fills in their answers. Where nothing of a body is taken, broken gets the answer, and what was not sent
// gets it too.
func (s *Store) sendAll(ctx context.Context, do action, documents []*document.Made, which []int, answers []upload.Answer, broken *atomic.Pointer[upload.Answer]) {
	var sending sync.WaitGroup
	var b *body
	send := func() {
		if b == nil {
			return
		}
		full := b
		b = nil
		sending.Go(func() {
			s.send(ctx, full, part{full.text, full.ends, full.items}, 0, answers, broken)
			full.text, full.ends, full.items = full.text[:0], full.ends[:0], full.items[:0]
			s.bodies <- full
		})
	}
	for _, i := range which {
		if failed := broken.Load(); failed != nil {
			// What one request met the next would meet, each after its time: the rest is for another try.
			answers[i] = *failed
			continue
		}
		if err := documents[i].Err; err != nil {
			answers[i] = upload.Answer{Outcome: parse.Refused, Reason: fmt.Sprintf("document %s: %v", documents[i].ID, err)}
			continue
		}
		if b == nil {
			b = <-s.bodies
		}
		before := len(b.text)
		text := do.appendTo(b.text, documents[i])
		if before > 0 && len(text) > s.pace.now() {
			// It begins the next body.
			mine := slices.Clone(text[before:])
			b.text = text[:before]
			send()
			b = <-s.bodies
			text = append(b.text, mine...)
		}
		b.text, b.ends, b.items = text, append(b.ends, len(text)), append(b.items, i)
	}
	send()
	sending.Wait()
}

// appendTo appends a document's two lines to a bulk body.
func (a action) appendTo(b []byte, made *document.Made) []byte {
	b = append(append(append(b, a.line...), made.ID...), "\"}}\n"...)
	return append(a.append(made, b), '\n')
}

// part is some of a body's items. The ends count from the beginning of the body.
type part struct {
	text  []byte // the whole body
	ends  []int
	items []int
}

// of returns the items from one to another.
func (p part) of(from, to int) part { return part{p.text, p.ends[from:to], p.items[from:to]} }

// lines is the text of the part, which begins where the item before it ends.
func (p part) lines(start int) []byte { return p.text[start:p.ends[len(p.ends)-1]] }

// send sends a part of a body and fills in the answers of its items. Start is where the part begins in the body. Where nothing of it is taken, broken
// gets the answer.
func (s *Store) send(ctx context.Context, b *body, p part, start int, answers []upload.Answer, broken *atomic.Pointer[upload.Answer]) {
	text, began := p.lines(start), time.Now()
	status, reply, failed := s.do(ctx, http.MethodPost, "/"+s.index+"/_bulk?"+replyFilter, "application/x-ndjson", s.smaller(b, text),
		http.StatusRequestEntityTooLarge, http.StatusNotFound)
	switch {
	case status == http.StatusRequestEntityTooLarge && len(p.items) > 1:
		s.pace.tooLarge(len(text))
		half := len(p.items) / 2
		s.send(ctx, b, p.of(0, half), start, answers, broken)
		s.send(ctx, b, p.of(half, len(p.items)), p.ends[half-1], answers, broken)
		return
	case status == http.StatusRequestEntityTooLarge:
		failed = &upload.Answer{Outcome: parse.Refused, Reason: fmt.Sprintf("the document has %d bytes, more than the server takes in one request (status 413): "+
			"raise http.max_content_length of OpenSearch, or the limit of the proxy before it", len(text))}
	case status == http.StatusNotFound:
		failed = s.gone(reply)
	case failed != nil && s.compress.Load() && (status == http.StatusBadRequest || status == http.StatusUnsupportedMediaType):
		// Something on the way may not know compressed bodies.
		s.compress.Store(false)
		s.send(ctx, b, p, start, answers, broken)
		return
	}
	if failed != nil {
		if status == 0 {
			s.pace.lost(len(text))
		}
		if failed.Outcome == parse.Owed {
			broken.Store(failed)
		}
		for _, i := range p.items {
			answers[i] = *failed
		}
		return
	}
	s.pace.answered(len(text), time.Since(began))
	s.read(reply, p.items, answers)
	there := 0
	for _, i := range p.items {
		if answers[i].Outcome == parse.Present || answers[i].Outcome == exists {
			there++
		}
	}
	s.repeat.sent(there, len(p.items))
}

// gone is the answer where the index is not there, or nothing is.
func (s *Store) gone(reply []byte) *upload.Answer {
	if bytes.Contains(reply, []byte("index_not_found_exception")) {
		s.preparing.Lock()
		s.prepared = false // it is made anew
		s.preparing.Unlock()
		return &upload.Answer{Outcome: parse.Owed, Reason: "the index " + s.index + " was deleted"}
	}
	return &upload.Answer{Outcome: parse.Owed, Mend: true, Reason: "status 404: no bulk requests are taken there: look at host, port and prefix in --to"}
}

// smaller compresses a body where that pays.
func (s *Store) smaller(b *body, text []byte) []byte {
	if !s.compress.Load() {
		return text
	}
	b.small.Reset()
	if b.zip == nil {
		b.zip, _ = gzip.NewWriterLevel(&b.small, gzip.BestSpeed)
	} else {
		b.zip.Reset(&b.small)
	}
	if _, err := b.zip.Write(text); err != nil || b.zip.Close() != nil {
		panic(fmt.Sprint("compressing into memory: ", err)) // it cannot fail
	}
	return b.small.Bytes()
}

// replyFilter leaves out of a reply what is not read.
const replyFilter = "filter_path=items.*.status,items.*.result,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"

// bulkReply is what is read of a bulk reply.
type bulkReply struct {
	Items []struct {
		Create *bulkItem `json:"create"`
		Update *bulkItem `json:"update"`
	} `json:"items"`
}

type bulkItem struct {
	Status int    `json:"status"`
	Result string `json:"result"`
	Error  *struct {
		Type     string `json:"type"`
		Reason   string `json:"reason"`
		CausedBy *struct {
			Reason string `json:"reason"`
		} `json:"caused_by"`
	} `json:"error"`
}

// plainItem is the text of an item and what it says.
type plainItem struct {
	text    []byte
	outcome parse.Outcome
}

// plain are the items of a reply that nearly all items have, as OpenSearch writes them.
var plain = []plainItem{
	{[]byte(`{"create":{"result":"created","status":201}}`), parse.Stored},
	{[]byte(`{"update":{"result":"created","status":201}}`), parse.Stored},
	{[]byte(`{"update":{"result":"noop","status":200}}`), parse.Present},
	{[]byte(`{"update":{"result":"updated","status":200}}`), parse.Stored},
}

// readPlain is read for replies that have no other items. It reports whether this is one; if not, the answers mean nothing.
func readPlain(text []byte, items []int, answers []upload.Answer) bool {
	text, ok := bytes.CutPrefix(text, []byte(`{"items":[`))
	for n, i := range items {
		if n > 0 {
			ok = ok && len(text) > 0 && text[0] == ','
			text = text[min(1, len(text)):]
		}
		known := slices.IndexFunc(plain, func(p plainItem) bool { return bytes.HasPrefix(text, p.text) })
		if !ok || known < 0 {
			return false
		}
		answers[i] = upload.Answer{Outcome: plain[known].outcome}
		text = text[len(plain[known].text):]
	}
	return ok && string(bytes.TrimSpace(text)) == "]}"
}

// read fills in the answers of the items that a bulk reply is for.
func (s *Store) read(text []byte, items []int, answers []upload.Answer) {
	if readPlain(text, items, answers) {
		return
	}
	var reply bulkReply
	if err := json.Unmarshal(text, &reply); err != nil || len(reply.Items) != len(items) {
		again := upload.Answer{Outcome: parse.Owed, Reason: fmt.Sprintf("the reply has %d of %d items (%v)", len(reply.Items), len(items), err)}
		for _, i := range items {
			answers[i] = again
		}
		return
	}
	for n, i := range items {
		if made := reply.Items[n].Create; made != nil && made.Status == http.StatusConflict {
			answers[i].Outcome = exists
			continue
		}
		answers[i] = s.answer(cmp.Or(reply.Items[n].Create, reply.Items[n].Update))
	}
}

// passing are errors of a document's index and not of the document.
var passing = map[string]bool{"cluster_block_exception": true, "index_closed_exception": true, "index_not_found_exception": true}

// answer is what one item of a reply says.
func (s *Store) answer(item *bulkItem) upload.Answer {
	switch {
	case item == nil:
		return upload.Answer{Outcome: parse.Owed, Reason: "the reply has no answer for this item"}
	case item.Error != nil || item.Status >= 300:
		a := upload.Answer{Outcome: parse.Refused, Reason: fmt.Sprintf("status %d", item.Status)}
		kind := ""
		if item.Error != nil {
			kind = item.Error.Type
			a.Reason = fmt.Sprintf("status %d, %s: %s", item.Status, kind, item.Error.Reason)
			if item.Error.CausedBy != nil {
				a.Reason += " (" + item.Error.CausedBy.Reason + ")"
			}
		}
		switch code := item.Status; {
		case code == http.StatusTooManyRequests, code == http.StatusConflict, code >= 500, passing[kind]:
			a.Outcome = parse.Owed
		case code == http.StatusUnauthorized, code == http.StatusForbidden:
			a.Outcome, a.Mend = parse.Owed, true
			a.Reason += ": look at " + Variables
		}
		return a
	case item.Result == "noop":
		return upload.Answer{Outcome: parse.Present}
	case item.Result == "created", item.Result == "updated":
		return upload.Answer{Outcome: parse.Stored}
	}
	return upload.Answer{Outcome: parse.Owed, Reason: fmt.Sprintf("the server answers %q", item.Result)}
}

// do makes a request and returns the answer's status and body, or the answer for everything in the request. A status of those that are allowed is
// no failure. A node that cannot be reached is passed over.
func (s *Store) do(ctx context.Context, method, path, kind string, text []byte, allowed ...int) (int, []byte, *upload.Answer) {
	zipped := len(text) > 2 && text[0] == 0x1f && text[1] == 0x8b
	for node := 1; ; node++ {
		request, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(text))
		if err != nil {
			return 0, nil, &upload.Answer{Outcome: parse.Refused, Reason: err.Error()}
		}
		if len(text) > 0 {
			request.Header.Set("Content-Type", kind)
		} else {
			request.Body = nil
		}
		if zipped {
			request.Header.Set("Content-Encoding", "gzip")
		}
		response, err := s.client.Perform(request)
		if err != nil {
			if unreached, ok := errors.AsType[*net.OpError](err); ok && unreached.Op == "dial" && node < s.nodes && ctx.Err() == nil {
				continue
			}
			failed := words.Failed(err)
			return 0, nil, &failed
		}
		reply, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			failed := words.Failed(err)
			return 0, nil, &failed
		}
		if slices.Contains(allowed, response.StatusCode) {
			return response.StatusCode, reply, nil
		}
		return response.StatusCode, reply, words.Rejected(response, reply, s.now(), s.transport.Access())
	}
}
