package trtperfdb_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/testdata/services"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/storetest"
	"github.com/trtperf/trtperf/upload/trtperfdb"
)

// whole is a Result of which everything is known.
func whole(n int) *parse.Result {
	r := storetest.Result(n)
	r.Function = "test_e2e"
	r.Server.Name, r.Client.Name, r.Client.Concurrency = "s", "con8", new(8)
	r.Labels = parse.Labels{Network: "s", Model: "/models/M", Precision: "bfloat16", Framework: "TensorRT-LLM", Command: "aggr_s_con8"}
	r.System = parse.System{GPU: "NVIDIA B200", Driver: "580.1", CUDA: "13.0", SMClockMHz: new(1965.0), MemClockMHz: new(3996.5), CPU: "Grace", OS: "Ubuntu 24.04"}
	r.Job = parse.Job{TensorRTLLM: "1.2.0\nsecond line", TensorRT: "10.9", Commit: "abc", Link: "http://ci/1", Notes: "nightly"}
	r.StartedAt = time.Date(2026, 11, 23, 11, 0, 0, 5e8, time.UTC)
	return r
}

// row returns a row as JSON text of its columns, NULLs too.
func (d *database) row(t testing.TB, table, where string) map[string]string {
	t.Helper()
	rows, err := d.Query("SELECT * FROM " + table + " WHERE " + where)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, _ := rows.Columns()
	if !rows.Next() {
		t.Fatalf("no row of %s where %s: %v", table, where, rows.Err())
	}
	cells := make([]*string, len(names))
	into := make([]any, len(names))
	for i := range cells {
		into[i] = &cells[i]
	}
	if err := rows.Scan(into...); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for i, name := range names {
		all[name] = "NULL"
		if cells[i] != nil {
			all[name] = *cells[i]
		}
	}
	return all
}

func wantRow(t testing.TB, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if got[name] != want[name] {
			t.Errorf("%s is %q, want %q", name, got[name], want[name])
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("there is no column %s", name)
		}
	}
}

func TestRows(t *testing.T) {
	d := newDatabase(t, services.MariaDB(t), documented...)
	s := open(t, d.target())
	bare := storetest.Result(2)
	bare.TestID, bare.EndedAt, bare.Labels = parse.TestID{}, time.Time{}, parse.Labels{}
	wantAnswers(t, put(t, s, item(whole(1)), item(bare)), "stored", "stored")
	wantRow(t, d.row(t, "runs", "gpu <> ''"), map[string]string{"id": "1", "start_time": "2026-11-23 11:00:00", "end_time": "2026-11-23 12:00:00",
		"driver": "580.1", "cuda": "13.0", "cudnn": "", "tensorrt": "10.9", "gpu": "B200", "graphic_freq": "1965", "memory_freq": "3996.5", "cpu": "Grace",
		"cl": "abc", "os": "Ubuntu 24.04", "notes": "nightly", "cublas": "NULL", "link": "http://ci/1", "vbios": "NULL", "trtllm": "1.2.0"})
	wantRow(t, d.row(t, "cases", "id = 1"), map[string]string{"id": "1", "format": "TENSORRT-LLM", "network": "test_e2e[aggr_upload-k-s1]_con:8",
		"batchsize": "8", "precision": "BF16", "cmd": "benchmark_serving aggr_s_con8 --model=M --bf16 --concurrency=8"})
	wantRow(t, d.row(t, "perf_result", "case_id = 1"), map[string]string{"id": "1", "UUID": whole(1).ID, "case_id": "1", "run_id": "1",
		"gpu_time": "2345.67", "total_time": "12.35", "fp16_vs_fp32": "NULL", "int8_vs_fp16": "NULL", "int8_vs_fp32": "NULL", "build_time": "NULL",
		"perf_data": `{"benchmark_duration": 12.35, "mean_ttft__msec": 55.50, "seq_per__sec": 2.25, "server_median_e2el": 2345.67, ` +
			`"successful_requests": 40, "total_requests": 40}`,
		"perf_baseline": "NULL", "throughput": "NULL", "log": "NULL"})
	// What is not known of a run is empty where it must be something.
	wantRow(t, d.row(t, "runs", "gpu = ''"), map[string]string{"id": "2", "start_time": "NULL", "end_time": "NULL", "driver": "", "cuda": "", "cudnn": "",
		"tensorrt": "", "gpu": "", "graphic_freq": "", "memory_freq": "", "cpu": "NULL", "cl": "NULL", "os": "", "notes": "NULL", "cublas": "NULL",
		"link": "NULL", "vbios": "NULL", "trtllm": "NULL"})
	wantRow(t, d.row(t, "cases", "id = 2"), map[string]string{"id": "2", "format": "", "network": "2_con:8", "batchsize": "8", "precision": "",
		"cmd": "benchmark_serving --concurrency=8"})
	// Rows of other programs stay as they are.
	d.do(t, "INSERT INTO perf_result (case_id, run_id, gpu_time) VALUES (1, 1, 7)")
	wantAnswers(t, put(t, s, item(whole(1)), item(bare)), "present", "present")
	d.wantCounts(t, "2 2 3")
}

func TestRefused(t *testing.T) {
	d := newDatabase(t, services.MariaDB(t), documented...)
	d.do(t, "ALTER TABLE runs MODIFY trtllm varchar(150) CHARACTER SET latin1")
	s := open(t, d.target())
	change := func(n int, f func(*parse.Result)) upload.Item {
		r := whole(n)
		f(r)
		return item(r)
	}
	items := []upload.Item{
		change(0, func(r *parse.Result) { r.Client.Concurrency = nil }),
		change(1, func(r *parse.Result) { r.Metrics.Delete("median_e2el") }),
		change(2, func(r *parse.Result) { r.Job.Notes = strings.Repeat("ä", 2001) }),
		change(3, func(r *parse.Result) { r.Metrics.Set("token_throughput", parse.Value{Value: 1e10, Text: "1e10"}) }),
		change(4, func(r *parse.Result) { r.Labels.Precision = strings.Repeat("x", 51) }),
		change(5, func(r *parse.Result) { r.Job.TensorRTLLM = "1.2.0-語" }), // the server says so
		change(6, func(r *parse.Result) { r.Fail(parse.AllZero, "all are zero") }),
		change(7, func(r *parse.Result) { r.Client.Concurrency = new(1 << 32) }), // the server says so
		change(8, func(r *parse.Result) { r.Job.Notes = strings.Repeat("ä", 2000) }),
		change(9, func(r *parse.Result) {}),
	}
	wantAnswers(t, put(t, s, items...), "refused:cases.batchsize", "refused:perf_result.gpu_time", "refused:runs.notes", "refused:perf_result.throughput",
		"refused:cases.precision", "refused:trtllm", "refused:no column to say so", "refused:'batchsize'", "stored", "stored")
	d.wantCounts(t, "2 2 2")
}

func TestCases(t *testing.T) {
	d := newDatabase(t, services.MariaDB(t), documented...)
	s := open(t, d.target())
	command := func(n int, text string) upload.Item {
		r := whole(n)
		r.TestID, _ = parse.ParseTestID("aggr_upload-k-s")
		r.Labels.Command, r.Client.Name = text, ""
		return item(r)
	}
	long := strings.Repeat("o", 2000)
	// The collation of the tables holds the first two for one, and the last two fit no column.
	items := []upload.Item{command(1, "aggr_S_c"), command(2, "aggr_s_c"), command(3, long+"1"), command(4, long+"2")}
	wantAnswers(t, put(t, s, items...), "stored", "stored", "stored", "stored")
	d.wantCounts(t, "1 4 4")
	again := []upload.Item{command(11, "aggr_S_c"), command(12, "aggr_s_c"), command(13, long+"1"), command(14, long+"2")}
	wantAnswers(t, put(t, s, again...), "stored", "stored", "stored", "stored")
	d.wantCounts(t, "2 4 8")
	if n := d.text(t, "SELECT max(char_length(cmd)) FROM cases"); n != "2000" {
		t.Errorf("the longest command has %s characters", n)
	}
	// Two clients of one concurrency, which the command does not tell apart.
	var clients []upload.Item
	for i, name := range []string{"con8_1k1k", "con8_8k1k"} {
		r := whole(20 + i)
		r.TestID, _ = parse.ParseTestID("disagg_upload-e2e-k")
		r.Labels.Command, r.Client.Name, r.Job.Link = "disagg_k_k", name, "http://ci/clients"
		clients = append(clients, item(r))
	}
	wantAnswers(t, put(t, s, clients...), "stored", "stored")
	d.wantCounts(t, "3 6 10")
	// Doubled cases of other programs: the first counts.
	d.do(t, "INSERT INTO cases (cmd, batchsize, format, network, `precision`) SELECT cmd, batchsize, format, network, `precision` FROM cases")
	wantAnswers(t, put(t, s, command(31, "aggr_s_c")), "stored")
	if n := d.text(t, "SELECT max(case_id) FROM perf_result"); n != "6" {
		t.Errorf("a result has case %s", n)
	}
}

func TestRuns(t *testing.T) {
	d := newDatabase(t, services.MariaDB(t), documented...)
	s := open(t, d.target())
	at := func(n, test, hour int, link string) upload.Item {
		r := whole(n)
		r.TestID, _ = parse.ParseTestID(fmt.Sprintf("aggr_upload-k-s%d", test))
		r.Job.Link = link
		r.StartedAt, r.EndedAt = r.StartedAt.Add(time.Duration(hour)*time.Hour), r.EndedAt.Add(time.Duration(hour)*time.Hour)
		return item(r)
	}
	step := func(want string, items ...upload.Item) {
		t.Helper()
		for i, a := range put(t, s, items...) {
			if a.Outcome != parse.Stored {
				t.Errorf("answer %d: %+v", i, a)
			}
		}
		if got := d.counts(t); !strings.HasPrefix(got, want+" ") {
			t.Errorf("%s runs, cases and results, want %s runs", got, want)
		}
	}
	step("1", at(1, 1, 0, "http://ci/1"), at(2, 2, 1, "http://ci/1"))
	step("1", at(3, 3, 40, "http://ci/1")) // a later batch of the same build
	step("2", at(4, 4, 0, "http://ci/2"))  // another build
	step("3", at(5, 3, 41, "http://ci/1")) // a second result of a case is of another run
	step("4", at(6, 1, 0, ""), at(7, 2, 3, ""))
	step("4", at(8, 3, 12, "")) // near enough
	step("5", at(9, 4, 40, "")) // too far
	step("6", at(10, 1, 3, "")) // near, but the case is there
	if got := d.text(t, "SELECT concat(start_time, ' ', end_time) FROM runs WHERE id = 1"); got != "2026-11-23 11:00:00 2026-11-25 04:00:00" {
		t.Errorf("the first run lasts from %s", got)
	}
	if got := d.text(t, "SELECT group_concat(run_id ORDER BY id) FROM perf_result"); got != "1,1,1,2,3,4,4,4,5,6" {
		t.Errorf("the results are of the runs %s", got)
	}
	// All of it again, in another order, with what the server holds already.
	all := []upload.Item{at(8, 3, 12, ""), at(1, 1, 0, "http://ci/1"), at(9, 4, 40, ""), at(5, 3, 41, "http://ci/1"), at(7, 2, 3, "")}
	wantAnswers(t, put(t, s, all...), "present", "present", "present", "present", "present")
	// Results of trt_perf_parser.py are not joined, whatever its run says.
	d.do(t, "DELETE FROM perf_result", "INSERT INTO perf_result (case_id, run_id, gpu_time) VALUES (1, 2, 7)")
	step("7", at(4, 4, 0, "http://ci/2"))
	step("9", at(20, 1, 300, ""), at(21, 2, 330, "")) // too far apart, in one batch
}

func TestMerge(t *testing.T) {
	d := newDatabase(t, services.MariaDB(t), documented...)
	s := open(t, d.target())
	bare := func(n int) *parse.Result {
		r := storetest.Result(n)
		r.Job.Link = "http://ci/1"
		return r
	}
	all := func(n int) *parse.Result {
		r := whole(n)
		r.Metrics.Set("mean_tpot", parse.Value{Value: 5.25, Text: "5.25"})
		r.Metrics.Set("token_throughput", parse.Value{Value: 99, Text: "99"})
		return r
	}
	wantAnswers(t, put(t, s, item(bare(1)), item(bare(2))), "stored", "stored")
	d.wantCounts(t, "1 2 2")
	// What is known now of both results of a run is filled in; of one alone, it moves to another run.
	wantAnswers(t, put(t, s, item(all(1))), "stored")
	if got := d.text(t, "SELECT group_concat(run_id ORDER BY id) FROM perf_result"); got != "2,1" {
		t.Errorf("runs %s", got)
	}
	wantAnswers(t, put(t, s, item(all(1)), item(all(2))), "present", "stored")
	if got := d.text(t, "SELECT group_concat(concat(run_id, ' ', throughput) ORDER BY id) FROM perf_result"); got != "2 99.000000,1 99.000000" {
		t.Errorf("runs %s", got)
	}
	if got := d.text(t, "SELECT count(DISTINCT gpu) FROM runs WHERE gpu = 'B200'"); got != "1" {
		t.Error("the run was not filled in")
	}
	before := fmt.Sprint(d.row(t, "perf_result", "id = 1"), d.row(t, "runs", "id = 2"), d.row(t, "cases", "id = 3"))
	// A reading that knows less takes nothing away.
	wantAnswers(t, put(t, s, item(bare(1))), "present")
	less := bare(1)
	less.TestID, less.Client.Concurrency = parse.TestID{}, nil
	less.Metrics.Delete("median_e2el")
	wantAnswers(t, put(t, s, item(less)), "present")
	if after := fmt.Sprint(d.row(t, "perf_result", "id = 1"), d.row(t, "runs", "id = 2"), d.row(t, "cases", "id = 3")); after != before {
		t.Errorf("was %s\nis  %s", before, after)
	}
	// What other programs put into perf_data stays there.
	d.do(t, `UPDATE perf_result SET perf_data = JSON_SET(perf_data, '$.other', 'text') WHERE id = 1`)
	more := all(1)
	more.Metrics.Set("p99_tpot", parse.Value{Value: 6, Text: "6.00"})
	wantAnswers(t, put(t, s, item(more)), "stored")
	if got := d.text(t, `SELECT concat(JSON_VALUE(perf_data, '$.other'), JSON_VALUE(perf_data, '$.p99_tpot__msec')) FROM perf_result WHERE id = 1`); got != "text6.00" {
		t.Errorf("perf_data has %q", got)
	}
	// A result that is failed now is taken out, and a run that is empty then; cases stay.
	failed := all(1)
	failed.Fail(parse.JUnitFailure, "the test failed")
	wantAnswers(t, put(t, s, item(failed)), "stored")
	if got := d.text(t, "SELECT group_concat(id) FROM runs"); got != "1" {
		t.Errorf("the runs %s are left", got)
	}
	if got := d.text(t, "SELECT count(*) FROM perf_result"); got != "1" {
		t.Errorf("%s results are left", got)
	}
}

// Tables as they stand are served, or what keeps them from it is named.
func TestTables(t *testing.T) {
	server := services.MariaDB(t)
	for name, c := range map[string]struct{ alter, want string }{
		"commit_time":               {"ALTER TABLE runs ADD commit_time text NOT NULL", "stored"},
		"commit_time as a date":     {"ALTER TABLE runs ADD commit_time datetime", "stored"},
		"further columns":           {"ALTER TABLE perf_result ADD note varchar(9) NOT NULL, ADD level int NOT NULL DEFAULT 3", "stored"},
		"a further number":          {"ALTER TABLE cases ADD level int NOT NULL", "owed:cases.level"},
		"fewer columns":             {"ALTER TABLE perf_result DROP log, DROP total_time, DROP gpu_time, DROP build_time", "stored"},
		"a run with fewer columns":  {"ALTER TABLE runs DROP trtllm, DROP link, DROP start_time, DROP vbios", "stored"},
		"no UUID":                   {"ALTER TABLE perf_result DROP UUID", "owed:no column UUID"},
		"short UUID":                {"ALTER TABLE perf_result MODIFY UUID varchar(36)", "owed:perf_result.UUID"},
		"no perf_data":              {"ALTER TABLE perf_result DROP perf_data", "owed:no column perf_data"},
		"no table":                  {"DROP TABLE cases", "owed:no table cases"},
		"no transactions":           {"ALTER TABLE runs ENGINE=MyISAM", "owed:MyISAM"},
		"perf_data as text":         {"ALTER TABLE perf_result MODIFY perf_data text", "stored"},
		"numbers as numbers":        {"ALTER TABLE runs MODIFY graphic_freq int NOT NULL, MODIFY memory_freq double NOT NULL", "stored"},
		"times that must be":        {"ALTER TABLE runs MODIFY start_time datetime NOT NULL, MODIFY end_time timestamp NOT NULL", "stored"},
		"a binary collation":        {"ALTER TABLE cases CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "stored"},
		"latin1":                    {"ALTER TABLE cases CONVERT TO CHARACTER SET latin1", "stored"},
		"names in capitals":         {"ALTER TABLE cases CHANGE network Network varchar(150) NOT NULL, CHANGE cmd CMD varchar(2000) NOT NULL", "stored"},
		"a trigger that refuses":    {"CREATE TRIGGER x BEFORE INSERT ON perf_result FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not on Sundays'", "refused:not on Sundays"},
		"a deadlock":                {"CREATE TRIGGER x BEFORE INSERT ON perf_result FOR EACH ROW SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'", "owed:Deadlock"},
		"a check that is not known": {"ALTER TABLE perf_result ADD CHECK (gpu_time < 5)", "refused:CONSTRAINT"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t, server, documented...)
			d.do(t, c.alter)
			s := open(t, d.target())
			wantAnswers(t, put(t, s, item(whole(1))), c.want)
			if c.want == "stored" {
				wantAnswers(t, put(t, s, item(whole(1)), item(whole(2))), "present", "stored")
				d.wantCounts(t, "1 2 2")
			} else if !strings.Contains(c.alter, "DROP") {
				d.wantCounts(t, "0 0 0")
			}
		})
	}
}

func TestInit(t *testing.T) {
	server := services.MariaDB(t)
	settings := upload.Settings{Getenv: environment("TRTPERF_MYSQL_USER", "root")}
	d := newDatabase(t, server)
	for i, want := range []string{"created the table runs, created the table cases, created the table perf_result", ""} {
		done, err := trtperfdb.Init(t.Context(), d.target(), settings, true)
		if got := strings.Join(done, ", "); err != nil || got != want {
			t.Errorf("init %d: %s, %v", i, got, err)
		}
	}
	// In an own table a Result without gpu_time has a place, and numbers keep their digits.
	r := whole(1)
	r.Metrics.Delete("median_e2el")
	r.Metrics.Set("token_throughput", parse.Value{Value: 123456789.123456, Text: "123456789.123456"})
	wantAnswers(t, put(t, open(t, d.target()), item(r)), "stored")
	if got := d.text(t, "SELECT CAST(throughput AS CHAR) FROM perf_result WHERE gpu_time IS NULL"); got != "123456789.123456" {
		t.Errorf("throughput %s", got)
	}
	d = newDatabase(t, server, documented...)
	if done, err := trtperfdb.Init(t.Context(), d.target(), settings, false); err != nil || done != nil {
		t.Errorf("tables that are there: %v, %v", done, err)
	}
	done, err := trtperfdb.Init(t.Context(), d.target(), settings, true)
	if got := strings.Join(done, ", "); err != nil || got != "made an index on perf_result.UUID, made an index on cases.network" {
		t.Errorf("indexes: %s, %v", got, err)
	}
	wantAnswers(t, put(t, open(t, d.target()), item(whole(1))), "stored")
	d.do(t, "ALTER TABLE perf_result DROP COLUMN perf_data")
	if _, err := trtperfdb.Init(t.Context(), d.target(), settings, true); err == nil || !strings.Contains(err.Error(), "no column perf_data") {
		t.Errorf("a column is missing: %v", err)
	}
	if _, err := trtperfdb.Init(t.Context(), "mysql://"+server+"/absent", settings, true); err == nil || !strings.Contains(err.Error(), "no such schema") {
		t.Errorf("no schema: %v", err)
	}
}

func TestHeld(t *testing.T) {
	d := newDatabase(t, services.MariaDB(t), documented...)
	s := open(t, d.target())
	var items []upload.Item
	want := map[string]map[string]float64{}
	for n := range 1100 {
		r := storetest.Result(n)
		r.Metrics.Set("of_my_own", parse.Value{Value: float64(n), Text: fmt.Sprint(n)})
		items = append(items, item(r))
		want[r.ID] = map[string]float64{}
		for name, v := range r.Metrics.All() {
			want[r.ID][name] = v.Value
		}
	}
	put(t, s, items...)
	d.do(t, "INSERT INTO perf_result (case_id, run_id, gpu_time, UUID) VALUES (1, 1, 7, NULL), (1, 1, 7, 'of another program')")
	got := map[string]map[string]float64{}
	if err := s.Held(t.Context(), func(h upload.Held) error {
		if h.Valid != nil || got[h.ID] != nil {
			t.Errorf("%+v", h)
		}
		got[h.ID] = h.Metrics
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(got, want, maps.Equal) {
		t.Errorf("%d results, want %d, or their metrics differ", len(got), len(want))
	}
	if err := s.Held(t.Context(), func(upload.Held) error { return fmt.Errorf("enough") }); err == nil || err.Error() != "enough" {
		t.Errorf("error %v", err)
	}
}

func TestPreview(t *testing.T) {
	d := newDatabase(t, services.MariaDB(t), documented...)
	s := open(t, d.target())
	for _, connected := range []bool{false, true} {
		text, err := s.Preview(item(whole(1)))
		if err != nil {
			t.Fatal(err)
		}
		var tables map[string]map[string]any
		if err := json.Unmarshal(text, &tables); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		put(t, s, item(whole(1)))
		for table, row := range tables {
			there := d.row(t, table, "id = 1")
			for column, v := range row {
				switch stands := there[column]; {
				case v == nil && stands == "NULL", fmt.Sprint(v) == stands:
				case column == "perf_data":
				default:
					t.Errorf("connected %t: %s.%s is shown as %v and stands as %s", connected, table, column, v, stands)
				}
			}
		}
		if !strings.Contains(string(text), `"mean_ttft__msec":55.50`) {
			t.Errorf("%s", text)
		}
	}
	r := whole(2)
	r.Client.Concurrency = nil
	if _, err := s.Preview(item(r)); err == nil || !strings.Contains(err.Error(), "batchsize") {
		t.Errorf("error %v", err)
	}
}
