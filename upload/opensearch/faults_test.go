package opensearch_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/testdata/services"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/endpoint"
	"github.com/trtperf/trtperf/upload/opensearch"
	"github.com/trtperf/trtperf/upload/sqlite"
	"github.com/trtperf/trtperf/upload/storetest"
)

// seen is a store whose answers a test looks at, and meddles with what happens meanwhile.
type seen struct {
	*opensearch.Store
	mutex sync.Mutex
	puts  int
	// before is called before each Put with its number, from 1; after with its answers.
	before func(n int)
	after  func(answers []upload.Answer)
}

func (s *seen) Put(ctx context.Context, items []upload.Item) ([]upload.Answer, error) {
	s.mutex.Lock()
	s.puts++
	n := s.puts
	s.mutex.Unlock()
	if s.before != nil {
		s.before(n)
	}
	answers, err := s.Store.Put(ctx, items)
	if s.after != nil {
		s.mutex.Lock()
		s.after(answers)
		s.mutex.Unlock()
	}
	return answers, err
}

// reasons collects the reasons of what stays owed.
func reasons(into *strings.Builder) func([]upload.Answer) {
	return func(answers []upload.Answer) {
		for _, a := range answers {
			if a.Outcome == parse.Owed && into.Len() < 1<<20 {
				into.WriteString(a.Reason + "\n")
			}
		}
	}
}

// deliver sends n Results from a local store of their own, in batches, and demands that each is told of as stored or present, once.
func deliver(t *testing.T, s upload.Store, n, batch int) {
	t.Helper()
	ctx := context.Background()
	db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "local.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var results []*parse.Result
	var orders []upload.Order
	for i := range n {
		r := storetest.Result(i)
		results, orders = append(results, r), append(orders, upload.Order{ID: r.ID})
	}
	if _, err := db.Commit(ctx, results); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Owe(ctx, "t", orders); err != nil {
		t.Fatal(err)
	}
	var mutex sync.Mutex
	told := map[string]int{}
	policy := upload.DefaultPolicy()
	policy.Deadline, policy.FirstPause, policy.LongestPause, policy.Batch = time.Minute, 20*time.Millisecond, 500*time.Millisecond, batch
	tally, err := upload.Deliver(ctx, db, "t", s, policy, func(d parse.Delivery) {
		mutex.Lock()
		defer mutex.Unlock()
		told[d.ID]++
		if (d.Outcome == parse.Refused || d.Outcome == parse.Owed) && !t.Failed() {
			t.Errorf("%s is %s: %s", d.ID, d.Outcome, d.Reason)
		}
	})
	if err != nil || tally.Stored+tally.Present != n || len(told) != n {
		t.Errorf("%+v of %d, %d told of, error %v", tally, n, len(told), err)
	}
	if owed, err := db.OwedCount(ctx, "t"); err != nil || owed != 0 {
		t.Errorf("%d are owed, error %v", owed, err)
	}
}

// A node that is overrun refuses items, and then it dies and comes again: nothing is lost, nothing twice.
func TestOverrunAndKilled(t *testing.T) {
	t.Parallel()
	node := services.NewNode(t, "--setting", "thread_pool.write.size=1", "--setting", "thread_pool.write.queue_size=1")
	url := node.Start(t)
	t.Run("overrun", func(t *testing.T) {
		name := project()
		ask(t, "PUT", fmt.Sprintf("%s/df-%s-trtperf", url, name), `{"settings":{"number_of_shards":5}}`, nil)
		var why strings.Builder
		s := &seen{Store: open(t, opensearch.Config{Addresses: []string{url}, Project: name}), after: reasons(&why)}
		deliver(t, s, 3000, 3000)
		if got := count(t, url, name); got != 3000 {
			t.Errorf("%d documents", got)
		}
		if !strings.Contains(why.String(), "status 429") {
			t.Errorf("the node was not overrun: %q", why.String())
		}
	})
	t.Run("killed", func(t *testing.T) {
		name := project()
		var restarted sync.WaitGroup
		var why strings.Builder
		s := &seen{Store: open(t, opensearch.Config{Addresses: []string{url}, Project: name}), after: reasons(&why)}
		s.before = func(n int) {
			if n == 3 {
				restarted.Go(func() {
					time.Sleep(5 * time.Millisecond) // into the middle of the third batch
					node.Kill(t)
					node.Start(t)
				})
			}
		}
		deliver(t, s, 2000, 400)
		restarted.Wait()
		if got := count(t, url, name); got != 2000 {
			t.Errorf("%d documents", got)
		}
		if why.Len() == 0 {
			t.Error("the node did not die while it was written to")
		}
	})
}

// A node of two dies with its shard; the other one has the replica.
func TestNodeDies(t *testing.T) {
	t.Parallel()
	manager, data := services.NewCluster(t)
	var urls [2]string
	var starting sync.WaitGroup
	for i, n := range []*services.Node{manager, data} {
		starting.Go(func() { urls[i] = n.Start(t) })
	}
	starting.Wait()
	name := project()
	if status := ask(t, "PUT", fmt.Sprintf("%s/df-%s-trtperf?wait_for_active_shards=2&timeout=30s", urls[0], name),
		`{"settings":{"number_of_shards":2,"number_of_replicas":1}}`, nil); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	var killed sync.WaitGroup
	s := &seen{Store: open(t, opensearch.Config{Addresses: urls[:], Project: name})}
	s.before = func(n int) {
		if n == 3 {
			killed.Go(func() { data.Kill(t) })
		}
	}
	deliver(t, s, 2000, 400)
	killed.Wait()
	if got := count(t, urls[0], name); got != 2000 {
		t.Errorf("%d documents", got)
	}
}

// An index that takes nothing for a while costs a wait.
func TestBlocked(t *testing.T) {
	t.Parallel()
	url := services.OpenSearch(t)
	for _, block := range []string{"read_only", "write", "read_only_allow_delete"} {
		name := project()
		index := fmt.Sprintf("%s/df-%s-trtperf", url, name)
		store := open(t, opensearch.Config{Addresses: []string{url}, Project: name})
		put(t, store, upload.Item{Result: storetest.Result(0)})
		set := func(on string) {
			if status := ask(t, "PUT", index+"/_settings", fmt.Sprintf(`{"index.blocks.%s":%s}`, block, on), nil); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		}
		set("true")
		var why strings.Builder
		note, healed := reasons(&why), false
		deliver(t, &seen{Store: store, after: func(a []upload.Answer) {
			if note(a); why.Len() > 0 && !healed {
				healed = true
				set("null")
			}
		}}, 50, 50)
		if got := count(t, url, name); got != 50 || !strings.Contains(why.String(), "cluster_block_exception") {
			t.Errorf("%s: %d documents, %q", block, got, why.String())
		}
	}
}

// A way that breaks in every manner: what was sent and not answered is sent again, and meets itself.
func TestBrokenWay(t *testing.T) {
	t.Parallel()
	url := services.OpenSearch(t)
	short := endpoint.Limits{Dial: 2 * time.Second, Stall: 1500 * time.Millisecond, Reply: 1500 * time.Millisecond}
	// For what gets through, on a machine that does other things too.
	patient := endpoint.Limits{Dial: 10 * time.Second, Stall: 10 * time.Second, Reply: 10 * time.Second}
	for name, c := range map[string]struct {
		kind, stream, attributes string
		limits                   endpoint.Limits
		results                  int
		reason                   string // empty: it gets through
	}{
		"reset in mid-body":             {"limit_data", "upstream", `"bytes": 9000`, short, 500, "EOF|reset|broken"},
		"reset before the answer":       {"limit_data", "downstream", `"bytes": 20`, short, 500, "EOF|reset|broken"},
		"reset at once":                 {"reset_peer", "downstream", `"timeout": 0`, short, 500, "EOF|reset|broken"},
		"latency past the time-out":     {"latency", "downstream", `"latency": 5000`, short, 500, "no answer in time"},
		"half-open":                     {"timeout", "upstream", `"timeout": 0`, short, 500, "no answer in time"},
		"half-open behind the answer":   {"timeout", "downstream", `"timeout": 0`, short, 500, "no answer in time"},
		"1 KB/s":                        {"bandwidth", "upstream", `"rate": 1`, endpoint.Limits{Dial: time.Second, Stall: time.Second, Reply: 30 * time.Second}, 5, ""},
		"answers that come in crumbs":   {"slicer", "downstream", `"average_size": 40, "size_variation": 20, "delay": 1000`, patient, 100, ""},
		"an answer that comes for ever": {"bandwidth", "downstream", `"rate": 1`, patient, 60, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			project := project()
			way := services.NewToxiproxy(t, strings.TrimPrefix(url, "http://"))
			store := open(t, opensearch.Config{Addresses: []string{"http://" + way.Listen}, Project: project, Limits: c.limits})
			// What breaks is to be a delivery, not the making of the index, which takes its time beside other tests.
			for ready := time.Now().Add(time.Minute); ; {
				answer := put(t, store, upload.Item{Result: storetest.Result(0)})[0]
				if answer.Outcome == parse.Stored || answer.Outcome == parse.Present {
					break
				}
				if time.Now().After(ready) {
					t.Fatalf("before anything broke: %+v", answer)
				}
				time.Sleep(50 * time.Millisecond)
			}
			way.Add(t, c.kind, c.stream, c.attributes)
			var why strings.Builder
			note := reasons(&why)
			healed := false
			deliver(t, &seen{Store: store, after: func(a []upload.Answer) {
				if note(a); why.Len() > 0 && !healed {
					healed = true
					way.Stop() // or toxics that hold back what is on its way are waited for
					way.Heal(t)
					if err := way.Start(); err != nil {
						t.Error(err)
					}
				}
			}}, c.results, 250)
			if got := count(t, url, project); got != c.results {
				t.Errorf("%d documents of %d", got, c.results)
			}
			found := c.reason == "" && why.Len() == 0
			for word := range strings.SplitSeq(c.reason, "|") {
				found = found || word != "" && strings.Contains(why.String(), word)
			}
			if !found {
				t.Errorf("reasons %q, want %q", why.String(), c.reason)
			}
		})
	}
}

// A server that takes no more of a large body, or breaks off in the middle of its answer, is given up when nothing has moved for a while.
func TestStall(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			defer connection.Close() // and never reads
		}
	}()
	limits := endpoint.Limits{Dial: time.Second, Stall: 300 * time.Millisecond, Reply: time.Minute}
	transport, err := endpoint.New(endpoint.Config{Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	request, _ := http.NewRequest("POST", "http://"+listener.Addr().String(), strings.NewReader(strings.Repeat("x", 64<<20)))
	_, err = transport.RoundTrip(request)
	if err == nil || !strings.Contains((endpoint.Words{}).Failed(err).Reason, "nothing was sent or received any more") {
		t.Errorf("a body that nobody reads: %v", err)
	}
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "the beginning")
		w.(http.Flusher).Flush()
		<-done
	}))
	defer server.Close()
	defer close(done)
	request, _ = http.NewRequest("GET", server.URL, nil)
	_, err = transport.RoundTrip(request)
	if err == nil || !strings.Contains((endpoint.Words{}).Failed(err).Reason, "breaks off: nothing was sent") {
		t.Errorf("an answer without an end: %v", err)
	}
}

// A body that is too large for a proxy is halved, and a document that is too large on its own is refused with the reason.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	url := services.OpenSearch(t)
	proxy, caFile := services.TLSProxy(t, url, "", "", "--largest-body", "8k")
	name := project()
	s := open(t, opensearch.Config{Addresses: []string{proxy}, Project: name, CAFile: caFile})
	var items []upload.Item
	for n := range 60 {
		items = append(items, upload.Item{Result: storetest.Result(n)})
	}
	items[7].Result.Job.Notes = strings.Repeat("n", 9000)
	for i, a := range put(t, s, items...) {
		if i == 7 && (a.Outcome != parse.Refused || !strings.Contains(a.Reason, "http.max_content_length")) || i != 7 && a.Outcome != parse.Stored {
			t.Errorf("item %d: %+v", i, a)
		}
	}
	if got := count(t, url, name); got != 59 {
		t.Errorf("%d documents", got)
	}
}

// Compressed bodies are understood; where something on the way does not know them, plain ones are sent.
func TestCompressed(t *testing.T) {
	t.Parallel()
	url, name := services.OpenSearch(t), project()
	deliver(t, open(t, opensearch.Config{Addresses: []string{url}, Project: name, Compress: true}), 300, 300)
	if got := count(t, url, name); got != 300 {
		t.Errorf("%d documents", got)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasSuffix(r.URL.Path, "/_bulk"):
			fmt.Fprint(w, `{}`)
		case r.Header.Get("Content-Encoding") != "":
			w.WriteHeader(http.StatusUnsupportedMediaType)
		default:
			fmt.Fprint(w, `{"items":[{"update":{"status":201,"result":"created"}}]}`)
		}
	}))
	defer server.Close()
	if a := put(t, open(t, opensearch.Config{Addresses: []string{server.URL}, Project: "p", Compress: true}), upload.Item{Result: storetest.Result(1)})[0]; a.Outcome != parse.Stored {
		t.Errorf("%+v", a)
	}
}

// A node that cannot be reached is passed over at once; the others are used in turn.
func TestDeadNode(t *testing.T) {
	t.Parallel()
	url, name := services.OpenSearch(t), project()
	s := open(t, opensearch.Config{Addresses: []string{"http://127.0.0.1:1", url, "http://127.0.0.1:2"}, Project: name})
	for n := range 5 {
		if a := put(t, s, upload.Item{Result: storetest.Result(n)})[0]; a.Outcome != parse.Stored {
			t.Errorf("%+v", a)
		}
	}
	if got := count(t, url, name); got != 5 {
		t.Errorf("%d documents", got)
	}
}

// certificate makes a certificate of its own issuer, and returns the files of certificate and key.
func certificate(t *testing.T, name string, from, until time.Time) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: text}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// What is wrong with an address, a certificate or what answers there is said in one line, which names the setting to look at.
func TestOneLine(t *testing.T) {
	t.Parallel()
	url := services.OpenSearch(t)
	day, now := 24*time.Hour, time.Now()
	expired, expiredKey := certificate(t, "127.0.0.1", now.Add(-3*day), now.Add(-day))
	other, otherKey := certificate(t, "other.example", now.Add(-day), now.Add(day))
	expiredURL, _ := services.TLSProxy(t, url, "", "", "--certificate", expired, "--key", expiredKey)
	otherURL, _ := services.TLSProxy(t, url, "", "", "--certificate", other, "--key", otherKey)
	unknownURL, _ := services.TLSProxy(t, url, "", "")
	page := func(status int, header, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name, value, ok := strings.Cut(header, ": "); ok {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	for name, c := range map[string]struct {
		address, caFile string
		want            []string
		again           bool // it may pass by itself
	}{
		"expired":        {expiredURL, expired, []string{"out of date", now.Add(-day).UTC().Format(time.DateOnly)}, false},
		"other name":     {otherURL, other, []string{"other.example", "--to"}, false},
		"unknown issuer": {unknownURL, "", []string{"--ca-file"}, false},
		"no TLS there":   {strings.Replace(url, "http:", "https:", 1), "", []string{"no TLS", "+http://"}, false},
		"TLS there":      {strings.Replace(unknownURL, "https:", "http:", 1), "", []string{"page", "--to"}, false},
		"no such host":   {"http://no-such-host.invalid", "", []string{"no-such-host.invalid", "--to"}, false},
		"login page":     {page(200, "Content-Type: text/html", "<html><title>Log in</title>"), "", []string{`"Log in"`, "--to", "HTTPS_PROXY"}, false},
		"proxy's page":   {page(404, "", "<html><title>404 Not Found</title>"), "", []string{"404 Not Found", "prefix"}, false},
		"redirect":       {page(301, "Location: https://user:s3cr3t-pass@elsewhere/x?s3cr3t-pass", ""), "", []string{"https://elsewhere/x", "--to"}, false},
		"forbidden":      {page(403, "", `{"error":{"type":"security_exception","reason":"no permissions"}}`), "", []string{"TRTPERF_OPENSEARCH_USER"}, false},
		"bad gateway":    {page(502, "", "<html><title>502 Bad Gateway</title>"), "", []string{"502 Bad Gateway"}, true},
		"not OpenSearch": {page(200, "", "hello"), "", []string{"none of OpenSearch's", "--to"}, false},
	} {
		a := put(t, open(t, opensearch.Config{Addresses: []string{c.address}, CAFile: c.caFile, Project: "p"}), upload.Item{Result: storetest.Result(1)})[0]
		for _, word := range c.want {
			if a.Outcome != parse.Owed || !strings.Contains(a.Reason, word) || a.Mend == c.again || strings.ContainsAny(a.Reason, "\r\n") || strings.Contains(a.Reason, secret) {
				t.Errorf("%s: %+v, want %q", name, a, word)
			}
		}
	}
}
