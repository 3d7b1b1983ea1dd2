package opensearch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"path/filepath"
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
}

// The queries of TensorRT-LLM's own tools (stores.md 2.2, 2.1), as they send them, find what was delivered: GET with a body over df-<project>-*.
func TestUpstreamQueries(t *testing.T) {
	t.Parallel()
	url, name := services.OpenSearch(t), project()
	now := time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC)
	s := open(t, opensearch.Config{Addresses: []string{url}, Project: name, Now: func() time.Time { return now }})
	result := func(n int) *parse.Result {
		r := storetest.Result(n)
		r.Server.Name, r.Client.Name, r.System.GPU = "dsr1", "con8_iter10_isl1024_osl1024", "NVIDIA GB200"
		r.Labels.GPUs, r.Labels.GPUsPerNode = new(4), new(4)
		return r
	}
	local, merged, failed, old := result(1), result(2), result(3), result(4)
	merged.Job.Link = "https://ci.example/job/LLM/job/main/job/L0_PostMerge/7/"
	failed.Job.Link = merged.Job.Link
	failed.Fail(parse.JUnitFailure, "the test failed")
	old.Job.Link, old.EndedAt = merged.Job.Link, now.AddDate(0, 0, -91)
	put(t, s, upload.Item{Result: local}, upload.Item{Result: merged}, upload.Item{Result: failed}, upload.Item{Result: old})
	count(t, url, name)
	// floor_to_UTC_day(now - 90 d), in milliseconds.
	since := now.AddDate(0, 0, -90).Truncate(24 * time.Hour).UnixMilli()
	always := fmt.Sprintf(`{"term":{"b_is_valid":true}},{"term":{"b_is_baseline":false}},{"range":{"ts_created":{"gte":%d}}}`, since)
	same := `{"term":{"s_test_case_name":"dsr1-con8_iter10_isl1024_osl1024"}},{"term":{"s_gpu_type":"gb200"}},{"term":{"s_runtime":"aggr_server"}}`
	for query, want := range map[string][]*parse.Result{
		`{"term":{"b_is_post_merge":true}},` + always + `,` + same + `,{"term":{"s_branch":"main"}}`: {merged},
		`{"term":{"b_is_post_merge":false}},` + always + `,` + same + `,{"term":{"s_branch":""}}`:    {local},
		`{"term":{"b_is_regression":false}},` + always:                                               {local, merged},
		// The newest form of a "b_" key that is false.
		`{"bool":{"should":[{"term":{"b_is_post_merge":false}},{"bool":{"must_not":{"exists":{"field":"b_is_post_merge"}}}}],"minimum_should_match":1}},` + always: {local},
		`{"term":{"b_is_valid":true}},{"term":{"s_branch":"main"}}`:                    {merged, old},
		always + `,{"term":{"l_gpus":4}},{"term":{"s_test_case_name":"another"}}`:      {},
		`{"term":{"b_is_valid":false}},{"term":{"s_failure_reasons":"junit-failure"}}`: {failed},
	} {
		var found struct {
			Hits struct {
				Hits []struct {
					ID     string         `json:"_id"`
					Source map[string]any `json:"_source"`
				}
			}
		}
		ask(t, "GET", fmt.Sprintf("%s/df-%s-*/_search", url, name), `{"query":{"bool":{"must":[`+query+`]}},"size":5000}`, &found)
		var ids, wanted []string
		for _, hit := range found.Hits.Hits {
			ids = append(ids, hit.ID)
			if stamp, ok := hit.Source["@timestamp"].(string); !ok || !strings.HasSuffix(stamp, "Z") {
				t.Errorf("@timestamp is %v", hit.Source["@timestamp"])
			}
		}
		for _, r := range want {
			wanted = append(wanted, r.ID)
		}
		slices.Sort(ids)
		slices.Sort(wanted)
		if !slices.Equal(ids, wanted) {
			t.Errorf("%s finds %d, want %d", query, len(ids), len(wanted))
		}
	}
}

// An older index is brought up to date, a later one is left as it is, and either is told of.
func TestMappingVersions(t *testing.T) {
	t.Parallel()
	url := services.NewNode(t, "--heap", "256m").Start(t) // the index template is the whole server's
	meta := func(project string) float64 {
		var answer map[string]struct {
			Mappings struct {
				Meta map[string]map[string]float64 `json:"_meta"`
			}
		}
		ask(t, "GET", fmt.Sprintf("%s/df-%s-trtperf/_mapping", url, project), "", &answer)
		return answer["df-"+project+"-trtperf"].Mappings.Meta["trtperf"]["mapping"]
	}
	const current = 2
	put(t, open(t, opensearch.Config{Addresses: []string{url}, Project: project()}), upload.Item{Result: storetest.Result(1)}) // makes the template
	for name, c := range map[string]struct {
		index   string // body of the index that is there; empty: none
		want    float64
		note    string
		created []string // what upload init says
	}{
		"none":           {"", current, "", []string{"index df-", "made"}},
		"without":        {`{"mappings":{"dynamic_templates":[{"s":{"match":"s_*","mapping":{"type":"text"}}}]}}`, current, "", []string{"mapping brought from version 0 to 2"}},
		"as it is":       {`{"mappings":{"_meta":{"trtperf":{"mapping":2}}}}`, current, "", nil},
		"later":          {`{"mappings":{"_meta":{"trtperf":{"mapping":99}}}}`, 99, "left as it is", nil},
		"does not agree": {`{"mappings":{"_meta":{},"properties":{"@timestamp":{"type":"keyword"}}}}`, 0, "does not agree", nil},
	} {
		t.Run(name, func(t *testing.T) {
			project := project()
			if c.index != "" {
				// The template's _meta would stand in it, too.
				ask(t, "PUT", fmt.Sprintf("%s/df-%s-trtperf", url, project), strings.Replace(c.index, `"mappings":{"dynamic`, `"mappings":{"_meta":{"trtperf":{"mapping":0}},"dynamic`, 1), nil)
				if c.want == 0 {
					ask(t, "PUT", fmt.Sprintf("%s/df-%s-trtperf/_mapping", url, project), `{"_meta":{"trtperf":{"mapping":0}}}`, nil)
				}
			}
			var notes []string
			kind, target := opensearch.Kind(), "opensearch+"+url+"/"+project
			settings := upload.Settings{Getenv: func(string) string { return "" }, Table: parse.Metrics(), Note: func(text string) { notes = append(notes, text) }}
			done, err := kind.Init(context.Background(), target, settings, false)
			for _, word := range c.created {
				if err != nil || !strings.Contains(strings.Join(done, "\n"), word) {
					t.Errorf("done: %q, %v, want %q", done, err, word)
				}
			}
			if len(c.created) == 0 && len(done) > 0 || strings.Join(notes, "") == "" != (c.note == "") || !strings.Contains(strings.Join(notes, ""), c.note) {
				t.Errorf("done %q, notes %q, want %q", done, notes, c.note)
			}
			if got := meta(project); got != c.want {
				t.Errorf("mapping version %v, want %v", got, c.want)
			}
			if again, err := kind.Init(context.Background(), target, settings, false); err != nil || len(again) > 0 {
				t.Errorf("again: %q, %v", again, err)
			}
		})
	}
	// The index template, which is the server's and not a project's: a later one stays.
	set := func(version int) {
		if status := ask(t, "PUT", url+"/_index_template/trtperf", fmt.Sprintf(`{"index_patterns":["df-*-trtperf"],"priority":200,"version":%d}`, version), nil); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	get := func() int {
		var answer struct {
			Templates []struct {
				Template struct{ Version int } `json:"index_template"`
			} `json:"index_templates"`
		}
		ask(t, "GET", url+"/_index_template/trtperf", "", &answer)
		return answer.Templates[0].Template.Version
	}
	for before, want := range map[int]int{1: current, current: current, 99: 99} {
		set(before)
		put(t, open(t, opensearch.Config{Addresses: []string{url}, Project: project()}), upload.Item{Result: storetest.Result(1)})
		if got := get(); got != want {
			t.Errorf("template %d became %d, want %d", before, got, want)
		}
	}
}

func TestInventory(t *testing.T) {
	t.Parallel()
	url, name := services.OpenSearch(t), project()
	s := open(t, opensearch.Config{Addresses: []string{url}, Project: name})
	held := func() map[string]upload.Held {
		all := map[string]upload.Held{}
		if err := s.Held(context.Background(), func(h upload.Held) error {
			if _, twice := all[h.ID]; twice {
				t.Errorf("%s is told of twice", h.ID)
			}
			all[h.ID] = h
			return nil
		}); err != nil {
			t.Error(err)
		}
		return all
	}
	if all := held(); len(all) != 0 {
		t.Errorf("%d in an index that is not there", len(all))
	}
	var items []upload.Item
	for n := range 2500 { // more than two pages
		items = append(items, upload.Item{Result: storetest.Result(n)})
	}
	items[9].Result.Fail(parse.JUnitFailure, "the test failed")
	put(t, s, items...)
	all := held()
	if len(all) != len(items) {
		t.Errorf("%d are told of, %d are there", len(all), len(items))
	}
	for i, item := range items {
		h := all[item.Result.ID]
		if h.Valid == nil || *h.Valid != (i != 9) || len(h.Metrics) != len(item.Result.Metrics) || h.Metrics["seq_throughput"] != item.Result.Metrics.Get("seq_throughput").Value {
			t.Fatalf("item %d: %+v", i, h)
		}
	}
}

func TestTarget(t *testing.T) {
	kind := opensearch.Kind()
	for text, want := range map[string]string{
		"opensearch+https://os:9200/perf":               "opensearch+https://os:9200/perf",
		"opensearch+http://a:1,b:2/pre/fix/my-perf_1.x": "opensearch+http://a:1,b:2/pre/fix/my-perf_1.x",
		"opensearch+http://[::1]:9200/p/":               "opensearch+http://[::1]:9200/p",
	} {
		if got, err := kind.Canonical(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"opensearch+https://os:9200":            "needs a host and a project",
		"opensearch+https:///p":                 "needs a host",
		"opensearch+https://os:9200/Perf":       "lower-case",
		"opensearch+https://u:s3cr3t@os:9200/p": "TRTPERF_OPENSEARCH_USER",
		"opensearch+https://os:9200/p?x=1":      "no options",
		"opensearch+https://a b/p":              "no HOST:PORT",
		"opensearch+ftp://a/p":                  "is written",
		"mysql://db:3306/TRT_perf":              "is written",
	} {
		if _, err := kind.Canonical(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
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
	there := `{"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"there"}}}`
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
		"two writers":         {200, "", bulk(ok + `,{"update":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"other"}}}`), []parse.Outcome{parse.Stored, parse.Owed}, "409"},
		"always there":        {200, "", bulk(there + "," + there), []parse.Outcome{parse.Owed, parse.Owed}, "as if"},
		"item forbidden":      {200, "", bulk(ok + `,{"update":{"status":403,"error":{"type":"security_exception","reason":"no"}}}`), []parse.Outcome{parse.Stored, parse.Owed}, "TRTPERF_OPENSEARCH_USER"},
		"index deleted":       {404, "", `{"error":{"type":"index_not_found_exception"}}`, []parse.Outcome{parse.Owed, parse.Owed}, "was deleted"},
		"cluster blocked":     {403, "", `{"error":{"type":"cluster_block_exception","reason":"blocked"}}`, []parse.Outcome{parse.Owed, parse.Owed}, "blocked"},
		"bad request":         {400, "", `{"error":{"type":"x","reason":"y"}}`, []parse.Outcome{parse.Refused, parse.Refused}, "x: y"},
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

// What is there already, as it would be sent, is asked for and not sent again. What is not certain to be there is sent.
func TestRepeat(t *testing.T) {
	t.Parallel()
	url, name := services.OpenSearch(t), project()
	target, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	var bodies, searches atomic.Int64
	var forbidden atomic.Bool
	proxy := httputil.NewSingleHostReverseProxy(target)
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/_bulk"):
			bodies.Add(1)
		case strings.HasSuffix(r.URL.Path, "/_search"):
			searches.Add(1)
			if forbidden.Load() {
				w.WriteHeader(http.StatusForbidden)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	defer gate.Close()
	var items []upload.Item
	for n := range 20 {
		items = append(items, upload.Item{Result: storetest.Result(n)})
	}
	// again opens a store, as another command would, which finds out that all is there; then it puts items once more. It returns the outcomes of that,
	// and how many requests it took.
	again := func(items ...upload.Item) (outcomes []parse.Outcome, sent, asked int64) {
		t.Helper()
		s := open(t, opensearch.Config{Addresses: []string{gate.URL}, Project: name})
		for _, a := range put(t, s, items[1:]...) {
			if a.Outcome != parse.Present {
				t.Errorf("at first: %+v", a)
			}
		}
		bodies.Store(0)
		searches.Store(0)
		for _, a := range put(t, s, items...) {
			outcomes = append(outcomes, a.Outcome)
		}
		return outcomes, bodies.Load(), searches.Load()
	}
	for _, a := range put(t, open(t, opensearch.Config{Addresses: []string{gate.URL}, Project: name}), items...) {
		if a.Outcome != parse.Stored {
			t.Fatalf("new: %+v", a)
		}
	}
	if searches.Load() > 0 {
		t.Error("documents that are new were asked for")
	}
	// A search finds what was there when it was last told to look.
	ask(t, "PUT", fmt.Sprintf("%s/df-%s-trtperf/_settings", url, name), `{"index":{"refresh_interval":"-1"}}`, nil)
	check := func(what string, first parse.Outcome, wantSent bool, wantAsked int64) {
		t.Helper()
		outcomes, sent, asked := again(items...)
		if outcomes[0] != first || slices.ContainsFunc(outcomes[1:], func(o parse.Outcome) bool { return o != parse.Present }) || sent > 0 != wantSent || asked != wantAsked {
			t.Errorf("%s: %v with %d bodies and %d searches, want %s with any: %t, and %d", what, outcomes, sent, asked, first, wantSent, wantAsked)
		}
	}
	check("all there", parse.Present, false, 1)

	document := fmt.Sprintf("%s/df-%s-trtperf/_doc/%s", url, name, items[0].Result.ID)
	ask(t, "DELETE", document, "", nil)
	check("one deleted", parse.Stored, true, 1)

	items[0].Result.Metrics.Set("seq_throughput", parse.Value{Value: 77})
	check("one changed", parse.Stored, true, 1)
	if got := source(t, url, name, items[0].Result.ID)["d_seq_throughput"]; got != 77.0 {
		t.Errorf("the changed value is %v", got)
	}
	items[0].Result.Fail(parse.JUnitFailure, "the test failed")
	check("one failed", parse.Stored, true, 1)
	check("one failed, again", parse.Present, false, 1)
	passed := storetest.Result(0)
	passed.Metrics.Set("seq_throughput", parse.Value{Value: 77})
	passed.Checked = []parse.Context{parse.InJUnit}
	items[0].Result = passed
	check("one passed after all", parse.Stored, true, 1)
	check("one passed, again", parse.Present, false, 1)

	// What this outbox has delivered is owed once more for a reason, as that the document is not what it was.
	ask(t, "POST", strings.Replace(document, "/_doc/", "/_update/", 1), `{"doc":{"d_seq_throughput":1.0}}`, nil)
	items[0].Delivered = true
	check("one delivered before", parse.Stored, true, 1)
	if got := source(t, url, name, items[0].Result.ID)["d_seq_throughput"]; got != 77.0 {
		t.Errorf("the value is %v", got)
	}
	items[0].Delivered = false

	forbidden.Store(true)
	check("not told", parse.Present, true, 1)
	s := open(t, opensearch.Config{Addresses: []string{gate.URL}, Project: name})
	searches.Store(0)
	for range 3 {
		put(t, s, items...)
	}
	if n := searches.Load(); n != 1 {
		t.Errorf("a server that does not tell was asked %d times", n)
	}
}
