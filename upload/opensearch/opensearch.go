// Package opensearch delivers Results to OpenSearch.
//
// # Index and documents
//
// A project has one index, df-<project>-trtperf, which the queries over df-<project>-* of TensorRT-LLM's own tools find; no date is in
// its name, so that a Result that is sent again meets its own document. A document's _id is the Result's identity. It is written by
// "update" with "doc" and "upsert": fields are added and changed, never removed.
//
// Field names are those of TensorRT-LLM's perf-sanity documents: a prefix gives the type (s_ keyword, l_ integer, d_ float, b_ boolean, ts_ time in
// milliseconds), and an index template maps by prefix. Two fields are set once, when the document is made: ts_created, in
// milliseconds, and @timestamp, the same in ISO form: the end of the measurement, else its start, else now.
//
// b_is_valid is written over an older value only by a reading that knows better: one that found a failure, one that had the test's
// results.xml, or one whose outbox has delivered the Result before.
//
// # Answers
//
// The outcome of each item decides, never the status of the whole reply: 429 and 5xx are tried again, other 4xx are refused with
// the server's reason. opensearch-go carries the requests; its BulkIndexer is not used, since it drops and miscounts.
package opensearch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	opensearchgo "github.com/opensearch-project/opensearch-go/v2"
	"github.com/opensearch-project/opensearch-go/v2/opensearchapi"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
)

const (
	// maxBody bounds the body of one bulk request.
	maxBody = 5 << 20
	// maxReply bounds what is read of a reply.
	maxReply = 64 << 20
	// requestTime bounds one request.
	requestTime = 60 * time.Second
	// longestPause bounds what a server may ask for with Retry-After.
	longestPause = 30 * time.Second
)

// Config says where and how to write.
type Config struct {
	// Addresses are the base URLs of the servers.
	Addresses []string
	// Project names the index.
	Project string
	Access  Access
	// CAFile holds certificates to trust, besides the system's.
	CAFile string
	Table  *parse.Table
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Store writes to one project.
type Store struct {
	client   *opensearchgo.Client
	index    string
	table    *parse.Table
	now      func() time.Time
	prepared bool // the index template is there
	idle     func()
}

// New returns a Store. It makes no connection.
func New(c Config) (*Store, error) {
	if err := c.Access.check(c.Addresses); err != nil {
		return nil, err
	}
	roots, err := trusted(c.CAFile)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout: requestTime,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   2,
	}
	client, err := opensearchgo.NewClient(opensearchgo.Config{
		Addresses: c.Addresses,
		Transport: c.Access.wrap(transport),
		// Tries are upload.Deliver's, which knows the outbox, the deadline and Retry-After.
		DisableRetry: true,
	})
	if err != nil {
		return nil, err
	}
	s := &Store{client: client, index: "df-" + c.Project + "-trtperf", table: c.Table, now: c.Now, idle: transport.CloseIdleConnections}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// trusted returns the system's certificates with those of a file; nil, the system's alone, without one.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("CA file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("CA file %s holds no certificate in PEM form", file)
	}
	return roots, nil
}

// Close closes idle connections.
func (s *Store) Close() error {
	s.idle()
	return nil
}

// Put makes one attempt to write items.
func (s *Store) Put(ctx context.Context, items []upload.Item) ([]upload.Answer, error) {
	answers := make([]upload.Answer, len(items))
	if len(items) == 0 {
		return answers, ctx.Err()
	}
	if a := s.prepare(ctx); a != nil {
		for i := range answers {
			answers[i] = *a
		}
		return answers, ctx.Err()
	}
	var body bytes.Buffer
	var in []int // items in the body
	send := func() {
		if len(in) > 0 {
			s.bulk(ctx, body.Bytes(), in, answers)
		}
		body.Reset()
		in = in[:0]
	}
	for i, item := range items {
		text, err := s.action(item)
		if err != nil {
			answers[i] = upload.Answer{Outcome: parse.Refused, Reason: err.Error()}
			continue
		}
		if body.Len()+len(text) > maxBody {
			send()
		}
		body.Write(text)
		in = append(in, i)
	}
	send()
	return answers, ctx.Err()
}

// action is an item's two lines of a bulk body.
func (s *Store) action(item upload.Item) ([]byte, error) {
	doc, upsert := document(item, s.table, s.now())
	var b bytes.Buffer
	for _, line := range []any{
		map[string]any{"update": map[string]any{"_id": item.Result.ID}},
		map[string]any{"doc": doc, "upsert": upsert},
	} {
		text, err := json.Marshal(line)
		if err != nil {
			return nil, fmt.Errorf("document %s: %w", item.Result.ID, err)
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// bulkReply is what is read of a bulk reply.
type bulkReply struct {
	Items []map[string]struct {
		ID     string `json:"_id"`
		Status int    `json:"status"`
		Result string `json:"result"`
		Error  *struct {
			Type     string `json:"type"`
			Reason   string `json:"reason"`
			CausedBy *struct {
				Reason string `json:"reason"`
			} `json:"caused_by"`
		} `json:"error"`
	} `json:"items"`
}

// bulk sends one body and fills in the answers of its items.
func (s *Store) bulk(ctx context.Context, body []byte, in []int, answers []upload.Answer) {
	request := opensearchapi.BulkRequest{Index: s.index, Body: bytes.NewReader(body),
		FilterPath: []string{"items.*._id", "items.*.status", "items.*.result", "items.*.error.type", "items.*.error.reason", "items.*.error.caused_by.reason"}}
	text, failed := s.do(ctx, request)
	if failed != nil {
		for _, i := range in {
			answers[i] = *failed
		}
		return
	}
	var reply bulkReply
	if err := json.Unmarshal(text, &reply); err != nil || len(reply.Items) != len(in) {
		again := upload.Answer{Outcome: parse.Owed, Reason: fmt.Sprintf("the reply has %d of %d items (%v)", len(reply.Items), len(in), err)}
		for _, i := range in {
			answers[i] = again
		}
		return
	}
	for n, i := range in {
		item, ok := reply.Items[n]["update"]
		switch {
		case !ok:
			answers[i] = upload.Answer{Outcome: parse.Owed, Reason: "the reply has no answer for this item"}
		case item.Error != nil || item.Status >= 300:
			reason := fmt.Sprintf("status %d", item.Status)
			if item.Error != nil {
				reason = fmt.Sprintf("status %d, %s: %s", item.Status, item.Error.Type, item.Error.Reason)
				if item.Error.CausedBy != nil {
					reason += " (" + item.Error.CausedBy.Reason + ")"
				}
			}
			answers[i] = upload.Answer{Outcome: parse.Refused, Reason: reason}
			if item.Status == http.StatusTooManyRequests || item.Status >= 500 {
				answers[i].Outcome = parse.Owed
			}
		case item.Result == "noop":
			answers[i] = upload.Answer{Outcome: parse.Present}
		case item.Result == "created", item.Result == "updated":
			answers[i] = upload.Answer{Outcome: parse.Stored}
		default:
			answers[i] = upload.Answer{Outcome: parse.Owed, Reason: fmt.Sprintf("the server answers %q", item.Result)}
		}
	}
}

// do makes a request. It returns the reply's body, or the answer for everything in the request.
func (s *Store) do(ctx context.Context, request opensearchapi.Request) ([]byte, *upload.Answer) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	response, err := request.Do(ctx, s.client)
	if err != nil {
		return nil, &upload.Answer{Outcome: parse.Owed, Reason: reasonOf(err)}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return nil, &upload.Answer{Outcome: parse.Owed, Reason: "the reply breaks off: " + reasonOf(err)}
	}
	switch code := response.StatusCode; {
	case code < 300:
		return text, nil
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusProxyAuthRequired:
		return nil, &upload.Answer{Outcome: parse.Owed, Reason: fmt.Sprintf("status %d: the server does not accept the credentials: set %s", code, Variables)}
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		return nil, &upload.Answer{Outcome: parse.Owed, Reason: fmt.Sprintf("status %d: %s", code, summary(text)), RetryAfter: retryAfter(response.Header, s.now())}
	default:
		return nil, &upload.Answer{Outcome: parse.Refused, Reason: fmt.Sprintf("status %d: %s", code, summary(text))}
	}
}

// reasonOf is a transport error's text without what net/http puts in front of it.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return err.Error()
}

// summary is the beginning of a reply, on one line.
func summary(text []byte) string {
	var reply struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(text, &reply) == nil && len(reply.Error) > 0 {
		var e struct{ Type, Reason string }
		if json.Unmarshal(reply.Error, &e) == nil && e.Reason != "" {
			return e.Type + ": " + e.Reason
		}
		text = reply.Error
	}
	const most = 300
	s := strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "\ufffd")), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	var pause time.Duration
	if seconds, err := strconv.Atoi(text); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		pause = at.Sub(now)
	}
	return min(max(pause, 0), longestPause)
}
