package document_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/document"
	"github.com/trtperf/trtperf/upload/storetest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func encoder() *document.Encoder {
	return document.NewEncoder(parse.Metrics(), func() time.Time { return noon })
}

// update returns the body of an item's update.
func update(e *document.Encoder, item upload.Item) ([]byte, error) {
	made := e.Maker().Make(item)
	if made.Err != nil {
		return nil, made.Err
	}
	return made.AppendUpdate(nil), nil
}

// halves returns the two parts of an update.
func halves(t *testing.T, item upload.Item) (doc, upsert map[string]any) {
	t.Helper()
	text, err := update(encoder(), item)
	if err != nil {
		t.Fatal(err)
	}
	var update struct{ Doc, Upsert map[string]any }
	if err := json.Unmarshal(text, &update); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return update.Doc, update.Upsert
}

func TestFields(t *testing.T) {
	r := storetest.Result(3)
	r.Mode, r.Labels.Network, r.Server.Name, r.Client.Name = parse.Disagg, "e2e-cfg", "other", "con8"
	r.Labels.Model, r.Labels.SpecDecoding, r.Server.Index, r.Client.ISL = "DeepSeek-R1", new(true), new(0), new(1024)
	r.System.GPU, r.System.SMClockMHz = "NVIDIA GB200", new(1965.0)
	r.Job.Link = "https://ci.example/job/LLM/job/release/job/L0_PostMerge/7/"
	r.Job.Notes = "a \"quoted\" \\ <&> \x00 \xff é\u2028\n"
	r.Metrics.Set("my_own", parse.Value{Value: 3})
	r.Metrics.Set("tiny", parse.Value{Value: 1e-9})
	doc, upsert := halves(t, upload.Item{Result: r})
	for name, want := range map[string]any{
		"s_trtperf_id": r.ID, "s_test_case_name": "e2e-cfg-con8", "s_runtime": "multi_node_disagg_server", "s_model_name": "deepseek-r1",
		"b_eos": true, "l_server_index": 0.0, "l_isl": 1024.0, "s_gpu_type": "gb200", "s_gpu_name": "NVIDIA GB200", "d_sm_clock_mhz": 1965.0,
		"b_is_post_merge": true, "b_is_pr_job": false, "s_branch": "release", "s_job_url": r.Job.Link, "d_my_own": 3.0, "d_tiny": 1e-9,
		"l_successful_requests": 40.0, "d_seq_throughput": 4.25, "ts_ended": float64(r.EndedAt.UnixMilli()),
		"s_notes": "a \"quoted\" \\ <&> \x00 \ufffd é\u2028\n",
	} {
		if doc[name] != want || upsert[name] != want {
			t.Errorf("%s is %v and %v, want %v", name, doc[name], upsert[name], want)
		}
	}
	for name, want := range map[string]any{"b_is_valid": true, "s_failure_reasons": "", "b_is_baseline": false, "b_is_regression": false,
		"ts_created": float64(r.EndedAt.UnixMilli()), "@timestamp": "2026-11-23T12:00:00.000Z"} {
		if v, ok := doc[name]; ok || upsert[name] != want {
			t.Errorf("%s is %v and %v, want it in a new document alone, as %v", name, v, upsert[name], want)
		}
	}
	for name := range upsert {
		if strings.HasPrefix(name, "l_") && strings.HasSuffix(name, "_osl") || name == "s_precision" {
			t.Errorf("%s is not known and is %v", name, upsert[name])
		}
	}
}

// What the job's environment told counts before what its link shows.
func TestBuild(t *testing.T) {
	r := storetest.Result(1)
	r.Job.Link = "https://ci.example/job/LLM/job/main/job/L0_PostMerge/7/"
	r.Job.Build = parse.Build{ID: "7", URL: "u", JobName: "n", JobID: "8", JobURL: "https://ci.example/8", Branch: "github-pr-5", Stage: "s", Host: "h",
		PostMerge: new(false), PullRequest: new(false), TriggerUser: "tu", TriggerLink: "tl", TriggerID: "5", TriggerCommit: "tc"}
	r.System.Host = "gpu-1"
	doc, upsert := halves(t, upload.Item{Result: r})
	for name, want := range map[string]any{
		"s_build_id": "7", "s_build_url": "u", "s_job_name": "n", "s_job_id": "8", "s_job_url": "https://ci.example/8", "s_branch": "github-pr-5", "s_stage_name": "s",
		"s_host_node_name": "h", "s_host": "gpu-1", "b_is_post_merge": false, "b_is_pr_job": false,
		"s_trigger_mr_user": "tu", "s_trigger_mr_link": "tl", "s_trigger_mr_id": "5", "s_trigger_mr_commit": "tc",
	} {
		if doc[name] != want || upsert[name] != want {
			t.Errorf("%s is %v and %v, want %v", name, doc[name], upsert[name], want)
		}
	}
}

// What nothing tells is asked for by upstream's queries all the same, and never written over what a better reading told.
func TestUnlinked(t *testing.T) {
	r := storetest.Result(1)
	r.EndedAt, r.StartedAt = time.Time{}, time.Time{}
	doc, upsert := halves(t, upload.Item{Result: r})
	for name, want := range map[string]any{"b_is_post_merge": false, "b_is_pr_job": true, "s_branch": "", "ts_created": float64(noon.UnixMilli())} {
		if v, ok := doc[name]; ok || upsert[name] != want {
			t.Errorf("%s is %v and %v", name, v, upsert[name])
		}
	}
	whole, err := encoder().AppendWhole(nil, r)
	if err != nil || strings.Contains(string(whole), "ts_created") || strings.Contains(string(whole), "@timestamp") {
		t.Errorf("a whole document has a time that nobody knows: %s, %v", whole, err)
	}
}

func TestStatus(t *testing.T) {
	failed := storetest.Result(1)
	failed.Fail(parse.JUnitFailure, "the test failed")
	seen := storetest.Result(1)
	seen.Checked = []parse.Context{parse.InJUnit}
	for name, c := range map[string]struct {
		item upload.Item
		want any
	}{
		"nothing better known": {upload.Item{Result: storetest.Result(1)}, nil},
		"delivered before":     {upload.Item{Result: storetest.Result(1), Delivered: true}, true},
		"with results.xml":     {upload.Item{Result: seen}, true},
		"failed":               {upload.Item{Result: failed}, false},
	} {
		if doc, _ := halves(t, c.item); doc["b_is_valid"] != c.want {
			t.Errorf("%s: %v, want %v", name, doc["b_is_valid"], c.want)
		}
	}
}

// A number under d_ is written as one that is no whole number, which is what tells the two apart where types are checked.
func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{40: "40.0", 0: "0.0", -3: "-3.0", 55.5: "55.5", 1e21: "1e+21", 1e20: "100000000000000000000.0", 1e-7: "1e-07", 0.1: "0.1",
		math.MaxFloat64: "1.7976931348623157e+308"} {
		r := storetest.Result(1)
		r.Metrics.Set("mean_ttft", parse.Value{Value: v})
		text, err := update(encoder(), upload.Item{Result: r})
		if err != nil || !strings.Contains(string(text), `"d_mean_ttft":`+want+`,`) {
			t.Errorf("%v: want %s in %s (%v)", v, want, text, err)
		}
	}
}

// A number's text is the shortest one that is read as it, whether few places were printed of it or many.
func TestShortest(t *testing.T) {
	e, r := encoder(), storetest.Result(1)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 30_000 {
		v := float64(random.Int64N(1e15)>>random.IntN(50)) / []float64{1, 10, 100, 1000}[i%4]
		switch i % 3 {
		case 1:
			v = -v
		case 2:
			v = math.Nextafter(v, 1)
		}
		if a := math.Abs(v); a < 1e-6 || a >= 1e21 { // those have an exponent
			continue
		}
		want := strconv.FormatFloat(v, 'f', -1, 64)
		if !strings.Contains(want, ".") {
			want += ".0"
		}
		r.Metrics.Set("mean_ttft", parse.Value{Value: v})
		text, err := e.AppendWhole(nil, r)
		if err != nil || !strings.Contains(string(text), `"d_mean_ttft":`+want+`,`) {
			t.Fatalf("%v: want %s in %s (%v)", v, want, text, err)
		}
	}
}

func TestRefused(t *testing.T) {
	table, err := parse.Metrics().With([]parse.Metric{
		{Name: "taken", Labels: []string{"Taken"}, Unit: "s", Direction: parse.SmallerBetter, Document: "d_test_seconds"},
		{Name: "clash", Labels: []string{"Clash"}, Unit: "s", Direction: parse.SmallerBetter, Document: "d_mean_ttft"},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := document.NewEncoder(table, nil)
	for metric, c := range map[string]struct {
		value float64
		want  string
	}{
		"mean_itl":            {math.NaN(), "d_mean_itl"},
		"mean_tpot":           {math.Inf(1), "d_mean_tpot"},
		"successful_requests": {1.5, "l_successful_requests"},
		"total_requests":      {1e300, "l_total_requests"},
		"taken":               {1, "d_test_seconds"},
		"clash":               {1, "d_mean_ttft"},
		"Not a name":          {1, "Not a name"},
	} {
		r := storetest.Result(1)
		r.Metrics.Set(metric, parse.Value{Value: c.value})
		if _, err := update(e, upload.Item{Result: r}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", metric, err, c.want)
		}
	}
}

// Read back, a document holds the metrics under the names that they had.
func TestHeld(t *testing.T) {
	r := storetest.Result(5)
	r.Metrics.Set("my_own", parse.Value{Value: 3})
	r.Metrics.Set("ctx_total_model_loading_seconds", parse.Value{Value: 7.5})
	r.System.SMClockMHz, r.TestSeconds = new(1.0), new(2.0)
	whole, err := encoder().AppendWhole(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	held, err := encoder().Held(whole)
	if err != nil || held.ID != r.ID || held.Valid == nil || !*held.Valid || len(held.Metrics) != len(r.Metrics) {
		t.Fatalf("got %+v, %v", held, err)
	}
	for name, v := range r.Metrics.All() {
		if held.Metrics[name] != v.Value {
			t.Errorf("%s is %v, want %v", name, held.Metrics[name], v.Value)
		}
	}
}

// Any text and number is valid JSON, and comes back.
func FuzzDocument(f *testing.F) {
	f.Add("plain", 1.5, int64(3))
	f.Add("\x00\xff\u2028 \"\\", math.Copysign(0, -1), int64(-1))
	f.Fuzz(func(t *testing.T, text string, number float64, count int64) {
		r := storetest.Result(1)
		r.Job.Notes, r.Requests.Asked = text, &count
		r.Metrics.Set("mean_ttft", parse.Value{Value: number})
		b, err := encoder().AppendWhole(nil, r)
		if math.IsNaN(number) || math.IsInf(number, 0) {
			if err == nil {
				t.Errorf("%v is taken", number)
			}
			return
		}
		var doc struct {
			Notes string      `json:"s_notes"`
			TTFT  json.Number `json:"d_mean_ttft"`
			Asked int64       `json:"l_requests_asked"`
		}
		if err != nil || json.Unmarshal(b, &doc) != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if v, err := doc.TTFT.Float64(); err != nil || v != number || !strings.ContainsAny(doc.TTFT.String(), ".e") || doc.Asked != count ||
			doc.Notes != strings.ToValidUTF8(text, "\ufffd") && !strings.Contains(doc.Notes, "\ufffd") {
			t.Errorf("%+v of %q, %v, %d", doc, text, number, count)
		}
	})
}

func BenchmarkDocument(b *testing.B) {
	e, item := encoder(), upload.Item{Result: storetest.Result(1)}
	var text []byte
	for maker := e.Maker(); b.Loop(); {
		text = maker.Make(item).AppendUpdate(text[:0])
	}
}

// A document is the same whether it is made or an update makes it, and its hash tells what an update would write but for the status.
func TestNew(t *testing.T) {
	plain, failed, checked := storetest.Result(1), storetest.Result(1), storetest.Result(1)
	failed.Fail(parse.JUnitFailure, "the test failed")
	checked.Checked = []parse.Context{parse.InJUnit}
	seen := map[any]int{}
	for i, item := range []upload.Item{{Result: plain}, {Result: failed}, {Result: checked}, {Result: plain, Delivered: true}, {Result: storetest.Result(2)}} {
		doc, upsert := halves(t, item)
		made := encoder().Maker().Make(item)
		var whole map[string]any
		if err := json.Unmarshal(made.AppendNew(nil), &whole); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(whole, upsert) {
			t.Errorf("item %d: made is\n%v\nand by an update\n%v", i, whole, upsert)
		}
		if made.Err != nil || doc[document.Hash] != float64(made.Hash) || whole[document.Hash] != float64(made.Hash) || made.Hash < 0 {
			t.Errorf("item %d: hash %d, %v; %v and %v", i, made.Hash, made.Err, doc[document.Hash], whole[document.Hash])
		}
		if made.ID != item.Result.ID || made.Valid != whole["b_is_valid"] || made.Reasons != whole["s_failure_reasons"] {
			t.Errorf("item %d: %+v", i, made)
		}
		seen[made.Hash] = i
	}
	if len(seen) != 2 { // whatever the status
		t.Errorf("%d hashes", len(seen))
	}
}

// The date has milliseconds, whatever the time's zone and places.
func TestTimestamp(t *testing.T) {
	for _, ended := range []time.Time{noon.Add(7 * time.Millisecond), noon.Add(89_999_999), noon.Add(999 * time.Millisecond).In(time.FixedZone("", -5*3600)), time.UnixMilli(1)} {
		r := storetest.Result(1)
		r.EndedAt = ended
		_, upsert := halves(t, upload.Item{Result: r})
		if want := ended.UTC().Format("2006-01-02T15:04:05.000Z"); upsert["@timestamp"] != want {
			t.Errorf("%v is written as %v, want %s", ended, upsert["@timestamp"], want)
		}
	}
}

// Documents that one Maker makes are those that each would be by itself, whatever their sizes and what cannot be made between them. They take little more
// memory than their text.
func TestMaker(t *testing.T) {
	var items []upload.Item
	for i, notes := range []int{0, 3 << 10, 100 << 10, 12 << 10, 0, 300 << 10, 5 << 10} {
		for n := range 40 {
			r := storetest.Result(40*i + n)
			r.Job.Notes = strings.Repeat("n", notes)
			switch n % 10 {
			case 3:
				r.Metrics.Set("total_requests", parse.Value{Value: 1.5, Text: "1.5"}) // no document has that
			case 7:
				r.Fail(parse.JUnitFailure, "failed")
			}
			items = append(items, upload.Item{ID: r.ID, Result: r, Delivered: n%4 == 0})
		}
	}
	e := encoder()
	e.Maker().Make(items[0])
	var before, behind runtime.MemStats
	runtime.ReadMemStats(&before)
	var all []*document.Made
	maker := e.Maker()
	for _, item := range items {
		all = append(all, maker.Make(item))
	}
	runtime.ReadMemStats(&behind)
	size := 0
	for i, made := range all {
		alone := e.Maker().Make(items[i])
		if (made.Err != nil) != (i%10 == 3) || (alone.Err != nil) != (made.Err != nil) {
			t.Fatalf("document %d: %v and %v", i, made.Err, alone.Err)
		}
		if made.Err != nil {
			continue
		}
		text := made.AppendUpdate(nil)
		if size += len(made.AppendNew(nil)); !bytes.Equal(text, alone.AppendUpdate(nil)) || !bytes.Equal(made.AppendNew(nil), alone.AppendNew(nil)) {
			t.Errorf("document %d is %.100s…, and by itself %.100s…", i, text, alone.AppendUpdate(nil))
		}
	}
	const room = 2 << 20 // for the largest one while it is made, and what is left of chunks
	if took := behind.TotalAlloc - before.TotalAlloc; took > uint64(size+size/2+room) {
		t.Errorf("%d bytes of documents took %d", size, took)
	}
}
