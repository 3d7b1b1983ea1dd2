// Package endpoint reaches servers over HTTP for the stores, and says in one line what went wrong and which setting to look at.
//
// A request has no time limit of its own while something moves: a slow way is not a broken one. It ends when nothing has been sent or received for
// a while. Redirects are not followed, since credentials would go along.
package endpoint

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/trtperf/trtperf/upload"
)

// Limits bound how long a request may stand still.
type Limits struct {
	// Dial bounds making a connection, TLS included.
	Dial time.Duration
	// Stall bounds the time in which nothing is sent of a request, or nothing received of an answer that has begun; up to twice of it may pass until
	// it is found out.
	Stall time.Duration
	// Reply bounds the wait for the answer to begin after the request is sent.
	Reply time.Duration
}

// DefaultLimits are those of the command line.
func DefaultLimits() Limits {
	return Limits{Dial: 10 * time.Second, Stall: 30 * time.Second, Reply: 60 * time.Second}
}

// maxReply bounds what is read of an answer.
const maxReply = 64 << 20

// Config says how servers are reached.
type Config struct {
	Access Access
	// CAFile holds certificates to trust, besides the system's; empty is none.
	CAFile string
	// Limits are DefaultLimits where they are zero.
	Limits Limits
	// Connections is how many connections to one server are kept.
	Connections int
}

// Transport makes requests, with credentials, and reads answers whole.
type Transport struct {
	access Access
	limits Limits
	http   *http.Transport
}

// New returns a Transport. It makes no connection.
func New(c Config) (*Transport, error) {
	roots, err := upload.Trusted(c.CAFile)
	if err != nil {
		return nil, err
	}
	if c.Limits == (Limits{}) {
		c.Limits = DefaultLimits()
	}
	dialer := &net.Dialer{Timeout: c.Limits.Dial}
	return &Transport{access: c.Access, limits: c.Limits, http: &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connection, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &moving{Conn: connection, stall: c.Limits.Stall}, nil
		},
		TLSHandshakeTimeout:   c.Limits.Dial,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout: c.Limits.Reply,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   c.Connections,
		DisableCompression:    true,
		ReadBufferSize:        64 << 10,
	}}, nil
}

// Close closes idle connections.
func (t *Transport) Close() error {
	t.http.CloseIdleConnections()
	return nil
}

// Access is what the transport shows to servers.
func (t *Transport) Access() Access { return t.access }

// errStalled ends a request in which nothing moves.
var errStalled = errors.New("nothing was sent or received any more")

// RoundTrip makes a request and reads the answer. The answer's body is all there, or there is an error. The request's body is not read any more
// when it returns, so that its buffer may be used again.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	r = r.Clone(ctx)
	if !t.access.IsZero() {
		r.Header.Set(t.access.header, t.access.value)
	}
	if r.Body != nil {
		body := &released{ReadCloser: r.Body, done: make(chan struct{})}
		r.Body = body
		defer func() { <-body.done }()
	}
	response, err := t.http.RoundTrip(r)
	if err != nil {
		// opensearch-go sends a request once more where the error is io.EOF itself, and without its body.
		return nil, fmt.Errorf("%w", err)
	}
	defer response.Body.Close()
	watch := time.AfterFunc(t.limits.Stall, func() { cancel(errStalled) })
	defer watch.Stop()
	var text bytes.Buffer
	if n := response.ContentLength; n > 0 && n <= maxReply {
		text.Grow(int(n) + bytes.MinRead)
	}
	_, err = text.ReadFrom(io.LimitReader(&watched{response.Body, watch, t.limits.Stall}, maxReply+1))
	switch {
	case errors.Is(context.Cause(ctx), errStalled):
		err = errStalled
	case err == nil && text.Len() > maxReply:
		err = fmt.Errorf("it has more than %d bytes", maxReply)
	}
	if err != nil {
		return nil, &brokenReply{err}
	}
	response.Body = io.NopCloser(&text)
	return response, nil
}

// released is a request's body that tells when it is let go. net/http may do that after it has given an answer.
type released struct {
	io.ReadCloser
	once sync.Once
	done chan struct{}
}

func (b *released) Close() error {
	defer b.once.Do(func() { close(b.done) })
	return b.ReadCloser.Close()
}

// brokenReply is an answer that began and did not end.
type brokenReply struct{ err error }

func (e *brokenReply) Error() string { return "the reply breaks off: " + e.err.Error() }
func (e *brokenReply) Unwrap() error { return e.err }

// watched puts a timer off with each read.
type watched struct {
	io.Reader
	watch *time.Timer
	stall time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.watch.Reset(w.stall)
	return n, err
}

// moving is a connection that ends a write in which nothing moves.
type moving struct {
	net.Conn
	stall  time.Duration
	buffer []byte // of ReadFrom
}

func (c *moving) Write(p []byte) (written int, err error) {
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		switch late := errors.Is(err, os.ErrDeadlineExceeded); {
		case late && n == 0:
			return written, errStalled
		case !late:
			return written, err
		}
	}
}

// ReadFrom is what net/http sends a request's body by, in pieces as large as may be.
func (c *moving) ReadFrom(r io.Reader) (int64, error) {
	if c.buffer == nil {
		c.buffer = make([]byte, 256<<10)
	}
	return io.CopyBuffer(struct{ io.Writer }{c}, r, c.buffer)
}
