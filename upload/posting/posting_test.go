package posting_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/testdata/services"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/endpoint"
	"github.com/trtperf/trtperf/upload/posting"
	"github.com/trtperf/trtperf/upload/storetest"
)

const (
	user   = "perf"
	secret = "s3cr3t-pass"
)

// gateway enforces the rules of stores.md 1.2 and 1.3 before a real OpenSearch node. It is no more than what is known of the real one, which cannot
// be had.
type gateway struct {
	*httptest.Server
	node     string // without one nothing is stored
	projects []string
	largest  int // bytes of a posting; 0: any

	mutex    sync.Mutex
	postings int
	largestN int // documents of a posting
	// before and after may answer in place of the gateway, before it has taken a posting and after.
	before, after func(n int, w http.ResponseWriter, r *http.Request) bool
}

func newGateway(t *testing.T, node string, projects ...string) *gateway {
	g := &gateway{node: node, projects: projects}
	g.Server = httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/pre")
	if project, ok := strings.CutPrefix(path, "/dataflow2/"); ok && r.Method == http.MethodPost {
		if project, ok := strings.CutSuffix(project, "/posting"); ok {
			g.post(w, r, project)
			return
		}
	}
	if search, ok := strings.CutPrefix(path, "/opensearch/"); ok && r.Method == http.MethodGet && g.node != "" {
		body, _ := io.ReadAll(r.Body)
		status, text := send("GET", g.node+"/"+search, string(body))
		w.WriteHeader(status)
		w.Write(text)
		return
	}
	http.Error(w, "no such path: "+r.URL.Path, http.StatusNotFound)
}

func (g *gateway) post(w http.ResponseWriter, r *http.Request, project string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	g.mutex.Lock()
	g.postings++
	n := g.postings
	before, after := g.before, g.after
	g.mutex.Unlock()
	if before != nil && before(n, w, r) {
		return
	}
	refuse := func(status int, format string, args ...any) { http.Error(w, fmt.Sprintf(format, args...), status) }
	if !strings.Contains(project, "sandbox") {
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+secret))
		if r.Header.Get("Proxy-Authorization") != want || r.Header.Get("Authorization") != "" {
			// It repeats what it was sent, as a careless one may.
			refuse(http.StatusProxyAuthRequired, "bad credentials %s", r.Header.Get("Proxy-Authorization"))
			return
		}
		if !slices.Contains(g.projects, project) {
			refuse(http.StatusForbidden, "project %s is not writable", project)
			return
		}
	} else if r.Header.Get("Proxy-Authorization") != "" {
		refuse(http.StatusBadRequest, "a sandbox wants no credentials")
		return
	}
	if r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Accept-Charset") != "UTF-8" {
		refuse(http.StatusUnsupportedMediaType, "headers")
		return
	}
	if g.largest > 0 && len(body) > g.largest {
		refuse(http.StatusRequestEntityTooLarge, "too large")
		return
	}
	var documents []map[string]json.RawMessage
	if err := json.Unmarshal(body, &documents); err != nil || len(documents) == 0 {
		refuse(http.StatusBadRequest, "no array of documents: %v", err)
		return
	}
	var bulk strings.Builder
	for i, d := range documents {
		for key, value := range d {
			if !typed(key, string(value)) {
				refuse(http.StatusBadRequest, "document %d: type of %s: %s", i, key, value)
				return
			}
		}
		if string(d["s_notes"]) == `"poison"` { // what the real one may have against a document is not known
			refuse(http.StatusUnprocessableEntity, "document %d: cannot be processed", i)
			return
		}
		fmt.Fprintf(&bulk, `{"index":{"_id":%s}}`+"\n", d["_id"])
		delete(d, "_id")
		text, _ := json.Marshal(d)
		bulk.Write(append(text, '\n'))
	}
	g.mutex.Lock()
	g.largestN = max(g.largestN, len(documents))
	g.mutex.Unlock()
	if g.node != "" {
		if status, text := send("POST", g.node+"/df-"+project+"-gw/_bulk?refresh=true", bulk.String()); status != 200 || strings.Contains(string(text), `"errors":true`) {
			refuse(http.StatusInternalServerError, "%s", text)
			return
		}
	}
	if after != nil && after(n, w, r) {
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// typed is the type check of 1.3.
func typed(key, value string) bool {
	number := value[0] == '-' || value[0] >= '0' && value[0] <= '9'
	decimal := number && strings.ContainsAny(value, ".eE")
	truth := value == "true" || value == "false"
	switch prefix, _, _ := strings.Cut(key, "_"); prefix {
	case "l", "ts":
		return number && !decimal || truth
	case "d":
		return decimal
	case "s":
		return value[0] == '"'
	case "b":
		return truth
	}
	return key == "@timestamp" || key == "_id"
}

func send(method, url, body string) (int, []byte) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return http.StatusBadGateway, []byte(err.Error())
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, text
}

var projects atomic.Int64

// project returns a name that no other test has, with an index of the gateway's on the node, whose texts are keywords.
func project(t *testing.T, node string) string {
	name := fmt.Sprintf("gw-%d-%d", os.Getpid(), projects.Add(1))
	if node == "" {
		return name
	}
	status, text := send("PUT", node+"/df-"+name+"-gw",
		`{"mappings":{"dynamic_templates":[{"s":{"match_mapping_type":"string","mapping":{"type":"keyword"}}}],"properties":{"@timestamp":{"type":"date"}}}}`)
	if status != 200 {
		t.Fatalf("%s", text)
	}
	return name
}

func access(t *testing.T, user, password string) endpoint.Access {
	t.Helper()
	a, err := endpoint.Basic("Proxy-Authorization", user, password)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func open(t *testing.T, g *gateway, project string, a endpoint.Access) *posting.Store {
	t.Helper()
	s, err := posting.New(posting.Config{Base: g.URL + "/pre", Project: project, Access: a, Table: parse.Metrics(),
		Limits: endpoint.Limits{Dial: time.Second, Stall: 5 * time.Second, Reply: 5 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func count(t *testing.T, node, project string) int {
	t.Helper()
	var answer struct{ Count int }
	_, text := send("GET", node+"/df-"+project+"-*/_count", "")
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return answer.Count
}

func put(t *testing.T, s upload.Store, items ...upload.Item) []upload.Answer {
	t.Helper()
	answers, err := s.Put(context.Background(), items)
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

func item(n int) upload.Item { return upload.Item{Result: storetest.Result(n)} }

func TestStore(t *testing.T) {
	node := services.OpenSearch(t)
	names := map[string]string{"valid": "b_is_valid", "model": "s_model_name", "gpu": "s_gpu_name"}
	storetest.Run(t, func(t *testing.T) storetest.Opened {
		name := project(t, node)
		s, err := posting.New(posting.Config{Base: newGateway(t, node, name).URL, Project: name, Access: access(t, user, secret), Table: parse.Metrics()})
		if err != nil {
			t.Fatal(err)
		}
		return storetest.Opened{
			Store: s, Replaces: true,
			Count: func(t *testing.T) int { return count(t, node, name) },
			Field: func(t *testing.T, id, field string) string {
				if known, ok := names[field]; ok {
					field = known
				} else {
					field = parse.Metrics().ByName(field).Document
				}
				var doc struct {
					Source map[string]any `json:"_source"`
				}
				_, text := send("GET", node+"/df-"+name+"-gw/_doc/"+id, "")
				if err := json.Unmarshal(text, &doc); err != nil {
					t.Fatal(err)
				}
				switch v := doc.Source[field].(type) {
				case nil:
					return ""
				case float64:
					return strconv.FormatFloat(v, 'f', -1, 64)
				default:
					return fmt.Sprint(v)
				}
			},
		}
	})
}

// One bad document never takes the others with it: what the rules refuse is not sent, and what the gateway has against one is found.
func TestOneBad(t *testing.T) {
	node := services.OpenSearch(t)
	name := project(t, node)
	g := newGateway(t, node, name)
	var items []upload.Item
	for n := range 20 {
		items = append(items, item(n))
	}
	items[3].Result.Metrics.Set("mean_ttft", parse.Value{Value: math.NaN()})
	items[5].Result.Metrics.Set("total_requests", parse.Value{Value: 0.5})
	items[12].Result.Job.Notes = "poison"
	for i, a := range put(t, open(t, g, name, access(t, user, secret)), items...) {
		want, reason := parse.Stored, ""
		switch i {
		case 3:
			want, reason = parse.Refused, "d_mean_ttft"
		case 5:
			want, reason = parse.Refused, "l_total_requests"
		case 12:
			want, reason = parse.Refused, "cannot be processed"
		}
		if a.Outcome != want || !strings.Contains(a.Reason, reason) || i == 3 && !strings.Contains(a.Reason, items[3].Result.ID) {
			t.Errorf("item %d: %+v", i, a)
		}
	}
	if n := count(t, node, name); n != 17 {
		t.Errorf("%d documents", n)
	}
}

func TestBounded(t *testing.T) {
	name := project(t, "")
	g := newGateway(t, "", name)
	g.largest = 20_000
	var items []upload.Item
	for n := range 1200 {
		items = append(items, item(n))
	}
	items[7].Result.Job.Notes = strings.Repeat("n", 30_000)
	for i, a := range put(t, open(t, g, name, access(t, user, secret)), items...) {
		if (a.Outcome == parse.Stored) == (i == 7) {
			t.Fatalf("item %d: %+v", i, a)
		}
	}
	if g.largestN > 500 || g.largestN < 2 {
		t.Errorf("a posting has up to %d documents", g.largestN)
	}
}

// What became of a posting whose answer was lost is not known, so it is sent again, with the same ids.
func TestFaults(t *testing.T) {
	node := services.OpenSearch(t)
	hang := func(n int, _ http.ResponseWriter, r *http.Request) bool {
		if n == 1 {
			<-r.Context().Done()
		}
		return false
	}
	cut := func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n == 1 {
			connection, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				connection.Close()
			}
		}
		return n == 1
	}
	status := func(code int, header, body string) func(int, http.ResponseWriter, *http.Request) bool {
		return func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n > 1 {
				return false
			}
			if name, value, ok := strings.Cut(header, ": "); ok {
				w.Header().Set(name, value)
			}
			w.WriteHeader(code)
			io.WriteString(w, body)
			return true
		}
	}
	for name, c := range map[string]struct {
		before, after func(int, http.ResponseWriter, *http.Request) bool
		reason        string
		mend          bool
		pause         time.Duration
	}{
		"cut before it was taken":      {before: cut, reason: "EOF"},
		"cut after it was taken":       {after: cut, reason: "EOF"},
		"no answer after it was taken": {after: hang, reason: "no answer in time"},
		"busy":                         {before: status(429, "Retry-After: 7", ""), reason: "429", pause: 7 * time.Second},
		"asks for an hour":             {before: status(503, "Retry-After: 3600", "down"), reason: "503: down", pause: 30 * time.Second},
		"no content":                   {before: status(204, "", ""), reason: "204"},
		"page":                         {before: status(200, "Content-Type: text/html", "<html><title>Log in &amp; go</title>"), reason: `titled "Log in & go"`, mend: true},
		"bad gateway":                  {before: status(502, "", "<html><title>502 Bad Gateway</title>"), reason: `a page titled "502 Bad Gateway"`},
		"redirect":                     {before: status(302, "Location: https://u:s3cr3t-pass@login.example/x?s3cr3t-pass", ""), reason: "https://login.example/x", mend: true},
		"not found":                    {before: status(404, "", "nothing"), reason: "--to", mend: true},
	} {
		t.Run(name, func(t *testing.T) {
			project := project(t, node)
			g := newGateway(t, node, project)
			g.before, g.after = c.before, c.after
			s := open(t, g, project, access(t, user, secret))
			for i, a := range put(t, s, item(1), item(2)) {
				if a.Outcome != parse.Owed || !strings.Contains(a.Reason, c.reason) || a.Mend != c.mend || a.RetryAfter != c.pause || strings.Contains(a.Reason, secret) {
					t.Errorf("item %d: %+v", i, a)
				}
			}
			for i, a := range put(t, s, item(1), item(2)) {
				if a.Outcome != parse.Stored {
					t.Errorf("sent again, item %d: %+v", i, a)
				}
			}
			if n := count(t, node, project); n != 2 {
				t.Errorf("%d documents", n)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	g := newGateway(t, "", "right", "sandbox-x")
	for name, c := range map[string]struct {
		project string
		access  endpoint.Access
		want    parse.Outcome
		reason  string
	}{
		"right":         {"right", access(t, user, secret), parse.Stored, ""},
		"wrong":         {"right", access(t, user, secret+"x"), parse.Owed, "TRTPERF_OPENSEARCH_USER"},
		"none":          {"right", endpoint.Access{}, parse.Owed, "none are set"},
		"other project": {"other", access(t, user, secret), parse.Owed, "not writable"},
		"sandbox":       {"sandbox-x", endpoint.Access{}, parse.Stored, ""},
	} {
		a := put(t, open(t, g, c.project, c.access), item(1))[0]
		if a.Outcome != c.want || !strings.Contains(a.Reason, c.reason) || a.Mend != (c.want == parse.Owed) || strings.Contains(a.Reason, secret) ||
			strings.Contains(a.Reason, base64.StdEncoding.EncodeToString([]byte(user + ":" + secret))[:12]) {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestInventory(t *testing.T) {
	node := services.OpenSearch(t)
	name := project(t, node)
	s := open(t, newGateway(t, node, name), name, access(t, user, secret))
	put(t, s, item(1), item(2), item(3))
	var held []upload.Held
	if err := s.Held(context.Background(), func(h upload.Held) error { held = append(held, h); return nil }); err != nil || len(held) != 3 {
		t.Fatalf("%d held, %v", len(held), err)
	}
	for _, h := range held {
		if h.Valid == nil || !*h.Valid || h.Metrics["benchmark_duration"] != 12.35 {
			t.Errorf("held: %+v", h)
		}
	}
	stop := errors.New("stop")
	if err := s.Held(context.Background(), func(upload.Held) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}

func TestTarget(t *testing.T) {
	kind := posting.Kind()
	settings := func(env map[string]string) upload.Settings {
		return upload.Settings{Getenv: func(n string) string { return env[n] }, Table: parse.Metrics()}
	}
	with := map[string]string{"OPEN_SEARCH_DB_CREDENTIALS_USR": "u", "OPEN_SEARCH_DB_CREDENTIALS_PSW": secret}
	for text, want := range map[string]string{
		"posting+https://gw/p":              "posting+https://gw/p",
		"posting+https://gw:8443/a/b/p.x_1": "posting+https://gw:8443/a/b/p.x_1",
		"posting+https:///p/":               "posting+https:///p",
		"posting+http://127.0.0.1:1/p":      "posting+http://127.0.0.1:1/p",
	} {
		if got, err := kind.Canonical(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"posting+https://gw":            "no project",
		"posting+https://u:s3cr3t@gw/p": "no credentials",
		"posting+https://gw/p?x":        "no options",
		"posting+https://a b/p":         "no HOST",
		"posting+https:///pre/p":        "prefix",
		"posting+https://gw/P":          "no project",
		"posting+ftp://gw/p":            "posting+https",
		"opensearch+https://gw/p":       "posting+https",
		"posting+https:gw/p":            "posting+https",
		"posting+https://gw,gw2:9200/p": "no HOST",
	} {
		if got, err := kind.Canonical(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %s, error %v, want %q", text, got, err, want)
		}
	}
	base := func(url string) map[string]string {
		return map[string]string{"OPEN_SEARCH_DB_BASE_URL": url, "OPEN_SEARCH_DB_CREDENTIALS_USR": "u", "OPEN_SEARCH_DB_CREDENTIALS_PSW": secret}
	}
	for name, c := range map[string]struct {
		target string
		env    map[string]string
		want   string // empty: it opens
	}{
		"given":                      {"posting+https://gw/p", with, ""},
		"no credentials":             {"posting+https://gw/p", nil, "TRTPERF_OPENSEARCH_USER"},
		"half of them":               {"posting+https://gw/p", map[string]string{"TRTPERF_OPENSEARCH_USER": "u"}, "TRTPERF_OPENSEARCH_USER"},
		"sandbox":                    {"posting+https://gw/sandbox-p", nil, ""},
		"host from the environment":  {"posting+https:///p", base("https://gw/pre/"), ""},
		"no host anywhere":           {"posting+https:///p", with, "OPEN_SEARCH_DB_BASE_URL is not set"},
		"other scheme there":         {"posting+https:///p", base("http://gw"), "begins with http://"},
		"credentials there":          {"posting+https:///p", base("https://u:" + secret + "@gw"), "holds more"},
		"plain to another host":      {"posting+http://gw/sandbox-p", nil, "posting+https"},
		"plain to this machine":      {"posting+http://localhost:1/p", with, ""},
		"given host beats the other": {"posting+https://gw/p", base("nonsense"), ""},
	} {
		err := kind.Check(c.target, settings(c.env))
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}
