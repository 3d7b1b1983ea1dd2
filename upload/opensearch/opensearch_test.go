package opensearch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
	"github.com/trtperf/trtperf/upload/opensearch"
	"github.com/trtperf/trtperf/upload/storetest"
)

var projects atomic.Int64

// project returns a name that no other test has.
func project() string { return fmt.Sprintf("test-%d-%d", os.Getpid(), projects.Add(1)) }

func open(t *testing.T, c opensearch.Config) *opensearch.Store {
	t.Helper()
	c.Table = parse.Metrics()
	s, err := opensearch.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// ask makes a request to a server and decodes its answer; the status is returned.
func ask(t *testing.T, method, url, body string, answer any) int {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer != nil {
		if err := json.Unmarshal(text, answer); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return response.StatusCode
}

// source returns a document, nil where there is none.
func source(t *testing.T, url, project, id string) map[string]any {
	var doc struct {
		Source map[string]any `json:"_source"`
	}
	ask(t, "GET", fmt.Sprintf("%s/df-%s-trtperf/_doc/%s", url, project, id), "", &doc)
	return doc.Source
}

func count(t *testing.T, url, project string) int {
	index := fmt.Sprintf("%s/df-%s-trtperf", url, project)
	if ask(t, "POST", index+"/_refresh", "", nil) == http.StatusNotFound {
		return 0
	}
	var answer struct{ Count int }
	ask(t, "GET", index+"/_count", "", &answer)
	return answer.Count
}

func TestStore(t *testing.T) {
	t.Parallel()
	url := services.OpenSearch(t)
	names := map[string]string{"valid": "b_is_valid", "model": "s_model_name", "gpu": "s_gpu_name"}
	storetest.Run(t, func(t *testing.T) storetest.Opened {
		name := project()
		return storetest.Opened{
			Store: open(t, opensearch.Config{Addresses: []string{url}, Project: name}),
			Count: func(t *testing.T) int { return count(t, url, name) },
			Field: func(t *testing.T, id, field string) string {
				if known, ok := names[field]; ok {
					field = known
				} else {
					field = parse.Metrics().ByName(field).Document
				}
				switch v := source(t, url, name, id)[field].(type) {
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

func put(t *testing.T, s upload.Store, items ...upload.Item) []upload.Answer {
	t.Helper()
	answers, err := s.Put(context.Background(), items)
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

func TestDocument(t *testing.T) {
	url, name := services.OpenSearch(t), project()
	s := open(t, opensearch.Config{Addresses: []string{url}, Project: name, Now: func() time.Time { return time.Unix(1, 0) }})
	r := storetest.Result(3)
	gpus, yes := 8, true
	r.Labels.GPUs, r.Labels.GPUsPerNode, r.Labels.SpecDecoding = &gpus, new(4), &yes
	r.Server.Name, r.Client.Name, r.Client.Concurrency = "s", "con8", new(8)
	put(t, s, upload.Item{Result: r})
	doc := source(t, url, name, r.ID)
	want := map[string]any{
		"s_trtperf_id": r.ID, "s_test_list": "aggr_upload-k-s3", "s_test_case_name": "s-con8", "s_runtime": "multi_node_aggr_server",
		"l_concurrency": 8.0, "l_gpus": 8.0, "b_eos": true, "b_is_valid": true, "b_is_baseline": false, "d_seq_throughput": 4.25,
		"l_successful_requests": 40.0, "d_benchmark_duration": 12.35,
		"ts_created": float64(r.EndedAt.UnixMilli()), "@timestamp": "2026-11-23T12:00:00.000Z",
	}
	for field, v := range want {
		if doc[field] != v {
			t.Errorf("%s is %v, want %v", field, doc[field], v)
		}
	}
	for _, field := range []string{"s_gpu_type", "d_p99_ttft", "s_model_name", "l_isl"} {
		if v, ok := doc[field]; ok {
			t.Errorf("%s was not measured and is %v", field, v)
		}
	}
	// The time of making stays, whatever is read later.
	later := storetest.Result(3)
	later.EndedAt = later.EndedAt.Add(time.Hour)
	later.Labels.Model = "M"
	put(t, s, upload.Item{Result: later})
	if doc := source(t, url, name, r.ID); doc["ts_created"] != want["ts_created"] || doc["s_model_name"] != "m" || doc["l_gpus"] != 8.0 {
		t.Errorf("after a second reading: %v", doc)
	}
	var mapping map[string]struct {
		Mappings struct {
			Properties map[string]struct{ Type string }
		}
	}
	ask(t, "GET", fmt.Sprintf("%s/df-%s-trtperf/_mapping", url, name), "", &mapping)
	for field, kind := range map[string]string{"s_test_list": "keyword", "l_gpus": "long", "d_seq_throughput": "double", "b_is_valid": "boolean", "ts_created": "date", "@timestamp": "date"} {
		if got := mapping["df-"+name+"-trtperf"].Mappings.Properties[field].Type; got != kind {
			t.Errorf("%s is mapped as %s, want %s", field, got, kind)
		}
	}
	// Upstream's history query: a range in milliseconds over df-<project>-*.
	var hits struct {
		Hits struct{ Total struct{ Value int } }
	}
	count(t, url, name)
	ask(t, "GET", fmt.Sprintf("%s/df-%s-*/_search", url, name),
		fmt.Sprintf(`{"query":{"bool":{"must":[{"term":{"b_is_valid":true}},{"range":{"ts_created":{"gte":%d}}},{"term":{"s_test_case_name":"s-con8"}}]}}}`,
			r.EndedAt.Add(-time.Hour).UnixMilli()), &hits)
	if hits.Hits.Total.Value != 1 {
		t.Errorf("the history query finds %d", hits.Hits.Total.Value)
	}
}

// One bad document must not take the others with it, and the reason names its field.
func TestRefused(t *testing.T) {
	url, name := services.OpenSearch(t), project()
	ask(t, "PUT", fmt.Sprintf("%s/df-%s-trtperf", url, name), `{"mappings":{"properties":{"s_model_name":{"type":"long"}}}}`, nil)
	s := open(t, opensearch.Config{Addresses: []string{url}, Project: name})
	bad := storetest.Result(1)
	bad.Labels.Model = "no number"
	answers := put(t, s, upload.Item{Result: bad}, upload.Item{Result: storetest.Result(2)})
	if answers[0].Outcome != parse.Refused || !strings.Contains(answers[0].Reason, "s_model_name") || answers[1].Outcome != parse.Stored {
		t.Errorf("got %+v", answers)
	}
	if n := count(t, url, name); n != 1 {
		t.Errorf("%d documents", n)
	}
}

const secret = "s3cr3t-pass"

func TestTLSAndCredentials(t *testing.T) {
	url, caFile := services.TLSProxy(t, services.OpenSearch(t), "perf", secret)
	credentials := func(env map[string]string) endpoint.Access {
		t.Helper()
		a, err := opensearch.Credentials(func(name string) string { return env[name] })
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", a, a, a), secret) {
			t.Error("the credentials show themselves")
		}
		return a
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	right := credentials(map[string]string{"TRTPERF_OPENSEARCH_USER": "perf", "TRTPERF_OPENSEARCH_PASSWORD_FILE": file})
	incumbent := credentials(map[string]string{"OPEN_SEARCH_DB_CREDENTIALS_USR": "perf", "OPEN_SEARCH_DB_CREDENTIALS_PSW": secret})
	wrong := credentials(map[string]string{"TRTPERF_OPENSEARCH_USER": "perf", "TRTPERF_OPENSEARCH_PASSWORD": secret + "x"})
	for name, c := range map[string]struct {
		config opensearch.Config
		want   parse.Outcome
		reason string
	}{
		"right":          {opensearch.Config{CAFile: caFile, Access: right}, parse.Stored, ""},
		"incumbent":      {opensearch.Config{CAFile: caFile, Access: incumbent}, parse.Stored, ""},
		"wrong":          {opensearch.Config{CAFile: caFile, Access: wrong}, parse.Owed, "TRTPERF_OPENSEARCH_USER"},
		"none":           {opensearch.Config{CAFile: caFile}, parse.Owed, "credentials"},
		"unknown issuer": {opensearch.Config{Access: right}, parse.Owed, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Addresses, c.config.Project = []string{url}, project()
			a := put(t, open(t, c.config), upload.Item{Result: storetest.Result(1)})[0]
			if a.Outcome != c.want || !strings.Contains(a.Reason, c.reason) || strings.Contains(a.Reason, secret) {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func TestCredentialsRefused(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"no password":  {"TRTPERF_OPENSEARCH_USER": "u"},
		"both":         {"TRTPERF_OPENSEARCH_USER": "u", "TRTPERF_OPENSEARCH_PASSWORD": secret, "TRTPERF_OPENSEARCH_API_KEY": secret},
		"no such file": {"TRTPERF_OPENSEARCH_USER": "u", "TRTPERF_OPENSEARCH_PASSWORD_FILE": "/does/not/exist"},
		"line feed":    {"TRTPERF_OPENSEARCH_API_KEY": secret + "\nx: y"},
	} {
		if _, err := opensearch.Credentials(func(n string) string { return env[n] }); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	access, err := opensearch.Credentials(func(n string) string { return map[string]string{"TRTPERF_OPENSEARCH_API_KEY": secret}[n] })
	if err != nil {
		t.Fatal(err)
	}
	_, err = opensearch.New(opensearch.Config{Addresses: []string{"http://search.example:9200"}, Project: "p", Access: access, Table: parse.Metrics()})
	if err == nil || !strings.Contains(err.Error(), "without encryption") || strings.Contains(err.Error(), secret) {
		t.Errorf("error %v", err)
	}
	if _, err := opensearch.New(opensearch.Config{Addresses: []string{"https://x"}, Project: "p", CAFile: "/does/not/exist", Table: parse.Metrics()}); err == nil {
		t.Error("an absent CA file is accepted")
	}
}

// Faults that a real server cannot be made to show.
func TestFaults(t *testing.T) {
	bulk := func(items string) string { return `{"items":[` + items + `]}` }
	ok := `{"update":{"_id":"x","status":201,"result":"created"}}`
	for name, c := range map[string]struct {
		status int
		header string
		body   string
		want   []parse.Outcome
		reason string
	}{
		"too many requests":   {429, "7", `{"error":{"type":"busy","reason":"queue full"}}`, []parse.Outcome{parse.Owed, parse.Owed}, "queue full"},
		"unavailable":         {503, "", "down", []parse.Outcome{parse.Owed, parse.Owed}, "503"},
		"too large":           {413, "", "", []parse.Outcome{parse.Refused, parse.Refused}, "413"},
		"truncated reply":     {200, "", `{"items":[{"upd`, []parse.Outcome{parse.Owed, parse.Owed}, "0 of 2"},
		"one item":            {200, "", bulk(ok), []parse.Outcome{parse.Owed, parse.Owed}, "1 of 2"},
		"empty":               {200, "", "", []parse.Outcome{parse.Owed, parse.Owed}, "0 of 2"},
		"item busy":           {200, "", bulk(ok + `,{"update":{"status":429,"error":{"type":"rejected","reason":"queue"}}}`), []parse.Outcome{parse.Stored, parse.Owed}, "rejected"},
		"item unavailable":    {200, "", bulk(ok + `,{"update":{"status":503}}`), []parse.Outcome{parse.Stored, parse.Owed}, "503"},
		"item of other kind":  {200, "", bulk(ok + `,{"index":{"status":201,"result":"created"}}`), []parse.Outcome{parse.Stored, parse.Owed}, "no answer"},
		"item without result": {200, "", bulk(ok + `,{"update":{"status":200}}`), []parse.Outcome{parse.Stored, parse.Owed}, "answers"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/_bulk") {
					fmt.Fprint(w, `{}`)
					return
				}
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))
			defer server.Close()
			s := open(t, opensearch.Config{Addresses: []string{server.URL + "/pre"}, Project: "p"})
			answers := put(t, s, upload.Item{Result: storetest.Result(1)}, upload.Item{Result: storetest.Result(2)})
			for i, a := range answers {
				if a.Outcome != c.want[i] {
					t.Errorf("item %d: %+v, want %s", i, a, c.want[i])
				}
			}
			if !strings.Contains(answers[1].Reason, c.reason) {
				t.Errorf("reason %q", answers[1].Reason)
			}
			if c.header != "" && answers[0].RetryAfter != 7*time.Second {
				t.Errorf("pause %v", answers[0].RetryAfter)
			}
		})
	}
}

// Bodies stay small, however much is put at once.
func TestBodySize(t *testing.T) {
	var mutex sync.Mutex
	largest := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasSuffix(r.URL.Path, "/_bulk") {
			mutex.Lock()
			largest = max(largest, len(body))
			mutex.Unlock()
			n := bytes.Count(body, []byte("\n")) / 2
			fmt.Fprint(w, `{"items":[`+strings.TrimSuffix(strings.Repeat(`{"update":{"status":201,"result":"created"}},`, n), ",")+`]}`)
			return
		}
		fmt.Fprint(w, `{}`)
	}))
	defer server.Close()
	var items []upload.Item
	for n := range 3000 {
		r := storetest.Result(n)
		r.Job.Notes = strings.Repeat("n", 4000)
		items = append(items, upload.Item{Result: r})
	}
	for i, a := range put(t, open(t, opensearch.Config{Addresses: []string{server.URL}, Project: "p"}), items...) {
		if a.Outcome != parse.Stored {
			t.Fatalf("item %d: %+v", i, a)
		}
	}
	if largest > 5<<20 || largest < 1<<20 {
		t.Errorf("the largest body has %d bytes", largest)
	}
}

func TestDown(t *testing.T) {
	s := open(t, opensearch.Config{Addresses: []string{"http://127.0.0.1:1"}, Project: "p"})
	if a := put(t, s, upload.Item{Result: storetest.Result(1)})[0]; a.Outcome != parse.Owed || !strings.Contains(a.Reason, "refused") {
		t.Errorf("got %+v", a)
	}
}
