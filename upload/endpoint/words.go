package endpoint

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
)

// longestPause bounds what a server may ask for with Retry-After.
const longestPause = 30 * time.Second

// Words are what messages say of a store.
type Words struct {
	// Server is what should answer, for example "OpenSearch".
	Server string
	// Credentials are the settings that hold them.
	Credentials string
}

// Failed is the answer for everything in a request that got none.
func (w Words) Failed(err error) upload.Answer {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	a := upload.Answer{Outcome: parse.Owed, Reason: err.Error()}
	mend := func(format string, args ...any) {
		a.Mend, a.Reason = true, fmt.Sprintf(format, args...)
	}
	const again = "write another address in --to if that is wrong"
	var (
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		plain    tls.RecordHeaderError
		noSuch   *net.DNSError
		dial     *net.OpError
		timeouts net.Error
	)
	switch {
	case errors.As(err, &unknown):
		mend("TLS: the certificate is of an issuer that this machine does not trust: name the issuer's certificate with --ca-file")
	case errors.As(err, &name):
		names := slices.Clone(name.Certificate.DNSNames)
		for _, ip := range name.Certificate.IPAddresses {
			names = append(names, ip.String())
		}
		mend("TLS: the certificate is for %s and not for %s: write a name in --to that it has", oneLine(strings.Join(names, ", ")), name.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		mend("TLS: the server's certificate is out of date (it is valid from %s to %s), or this machine's clock is wrong: have it renewed",
			invalid.Cert.NotBefore.UTC().Format(time.DateOnly), invalid.Cert.NotAfter.UTC().Format(time.DateOnly))
	case errors.As(err, &invalid):
		mend("TLS: the server's certificate does not count: %v", invalid)
	case errors.As(err, &plain), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		mend("the server speaks no TLS: write +http:// in --to in place of +https://, or the port that speaks it")
	case strings.Contains(err.Error(), `malformed HTTP response "\x15`):
		mend("the server speaks TLS: write +https:// in --to in place of +http://")
	case errors.As(err, &noSuch) && noSuch.IsNotFound:
		mend("no host has the name %s: %s", noSuch.Name, again)
	case errors.As(err, &dial) && dial.Op == "proxyconnect":
		a.Reason = fmt.Sprintf("the proxy does not answer (%v): look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY", dial.Err)
	case strings.HasSuffix(err.Error(), http.StatusText(http.StatusProxyAuthRequired)):
		mend("the proxy wants credentials: look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
	case errors.Is(err, errStalled):
		a.Reason = errStalled.Error()
		if _, ok := errors.AsType[*brokenReply](err); ok {
			a.Reason = "the reply breaks off: " + a.Reason
		}
	case errors.Is(err, context.Canceled):
		a.Reason = "interrupted"
	case errors.As(err, &dial) && dial.Op == "dial" && !dial.Timeout():
		a.Reason = fmt.Sprintf("%v: is %s up? %s", dial, w.Server, again)
	case errors.As(err, &timeouts) && timeouts.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		a.Reason = fmt.Sprintf("no answer in time (%v)", err)
	}
	return a
}

// Rejected is the answer for everything in a request that was answered with something else than success, nil where that was not so. What a
// refused request held is Refused: that may be for one part of it.
func (w Words) Rejected(response *http.Response, text []byte, now time.Time, access Access) *upload.Answer {
	code := response.StatusCode
	page := isPage(response.Header, text)
	if code < 300 && !page {
		return nil
	}
	a := &upload.Answer{Outcome: parse.Owed, Reason: access.Hide(fmt.Sprintf("status %d: %s", code, summary(text, page)))}
	mend := func(format string, args ...any) {
		a.Mend, a.Reason = true, access.Hide(fmt.Sprintf("status %d: ", code)+fmt.Sprintf(format, args...))
	}
	switch {
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		a.RetryAfter = retryAfter(response.Header, now)
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusProxyAuthRequired:
		switch {
		case isBlock(text):
			return a // no word about who may do what: nobody may write just now
		case access.IsZero():
			mend("%s wants credentials, and none are set: set %s", w.Server, w.Credentials)
		default:
			mend("%s does not accept the credentials, or they may not write there: look at %s (%s)", w.Server, w.Credentials, summary(text, page))
		}
	case code >= 300 && code < 400:
		to := "somewhere else"
		if u, err := response.Location(); err == nil {
			to = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
		}
		mend("a redirect to %s, which is not followed since it would get the credentials: if it is right, write that address in --to", to)
	case page:
		mend("not %s answers but a page%s: look at host, port and prefix in --to, and at HTTPS_PROXY and NO_PROXY", w.Server, title(text))
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
		mend("%s does not answer at this address: look at host, port and prefix in --to (%s)", w.Server, summary(text, page))
	default:
		a.Outcome = parse.Refused
	}
	return a
}

// isPage reports whether an answer is a page for people.
func isPage(h http.Header, text []byte) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "text/html") || bytes.HasPrefix(bytes.TrimSpace(text), []byte("<"))
}

var titleOf = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// title is a page's title with a word before it.
func title(text []byte) string {
	if m := titleOf.FindSubmatch(text); m != nil {
		if t := oneLine(html.UnescapeString(string(m[1]))); t != "" {
			return fmt.Sprintf(" titled %q", t)
		}
	}
	return ""
}

// isBlock reports whether an error of OpenSearch says that a whole index or cluster takes nothing just now.
func isBlock(text []byte) bool { return bytes.Contains(text, []byte(`"cluster_block_exception"`)) }

// summary is the beginning of an answer, on one line.
func summary(text []byte, page bool) string {
	if page {
		return "a page" + title(text)
	}
	var reply struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(text, &reply) == nil && len(reply.Error) > 0 {
		var e struct{ Type, Reason string }
		if json.Unmarshal(reply.Error, &e) == nil && e.Reason != "" {
			return oneLine(e.Type + ": " + e.Reason)
		}
		text = reply.Error
	}
	if len(text) == 0 {
		return "without a word"
	}
	return oneLine(string(text))
}

// oneLine cuts a text to what fits into a message.
func oneLine(text string) string {
	const most = 300
	s := strings.Join(strings.Fields(strings.ToValidUTF8(text, "\ufffd")), " ")
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
		pause = time.Duration(min(seconds, int(longestPause/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		pause = at.Sub(now)
	}
	return min(max(pause, 0), longestPause)
}
