package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/sqlite"
	"github.com/trtperf/trtperf/upload/storetest"
)

func open(t *testing.T, path string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// query asks the file itself.
func query(t *testing.T, path, text string, args ...any) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var answer sql.NullString
	if err := db.QueryRow(text, args...).Scan(&answer); err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	return answer.String
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opened {
		path := filepath.Join(t.TempDir(), "a b?c.db")
		return storetest.Opened{
			Store: open(t, path),
			Count: func(t *testing.T) int {
				var n int
				fmt.Sscan(query(t, path, "SELECT count(*) FROM results"), &n)
				return n
			},
			Field: func(t *testing.T, id, field string) string {
				switch field {
				case "valid":
					return query(t, path, "SELECT CASE status WHEN 'valid' THEN 'true' ELSE 'false' END FROM results WHERE id = ?", id)
				case "model":
					return query(t, path, "SELECT document ->> '$.labels.model' FROM results WHERE id = ?", id)
				case "gpu":
					return query(t, path, "SELECT document ->> '$.system.gpu' FROM results WHERE id = ?", id)
				}
				return query(t, path, "SELECT value FROM metrics WHERE result = (SELECT number FROM results WHERE id = ?) AND name = ?", id, field)
			},
		}
	})
}

func commit(t *testing.T, db *sqlite.DB, r *parse.Result) sqlite.Committed {
	t.Helper()
	c, err := db.Commit(context.Background(), []*parse.Result{r})
	if err != nil {
		t.Fatal(err)
	}
	return c[0]
}

func TestCommitKnowsCopies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	if c := commit(t, db, storetest.Result(1)); !c.New || c.Known != nil {
		t.Errorf("first: %+v", c)
	}
	if c := commit(t, db, storetest.Result(1)); c.New || c.Changed || c.Known != nil {
		t.Errorf("the same file again: %+v", c)
	}
	copied := storetest.Result(1)
	copied.Source.File = "/elsewhere/1.log"
	c := commit(t, db, copied)
	if c.New || c.Changed || c.Known == nil || c.Known.File != "/logs/1.log" || len(c.Result.AlsoIn) != 1 {
		t.Errorf("a copy: %+v", c)
	}
	if c := commit(t, db, copied); c.Known == nil || len(c.Result.AlsoIn) != 1 {
		t.Errorf("the copy again: %+v", c)
	}
	other := storetest.Result(1)
	other.Source.File = "/elsewhere/2.log"
	other.Labels.Model = "wrong"
	other.TestID, _ = parse.ParseTestID("aggr_upload-other")
	c = commit(t, db, other)
	if c.Disagrees.String() != "aggr_upload-k-s1" || c.Result.Labels.Model != "" {
		t.Errorf("a copy under another test: %+v", c)
	}
	if n := query(t, path, "SELECT (SELECT count(*) FROM results) + (SELECT count(*) FROM places)"); n != "3" {
		t.Errorf("%s sources", n)
	}
	var back []*parse.Result
	err := db.Results(context.Background(), sqlite.Filter{Test: "s1", Status: parse.Valid, ID: copied.ID[:8]}, func(r *parse.Result) error {
		back = append(back, r)
		return nil
	})
	if err != nil || len(back) != 1 || back[0].Metrics.Get("mean_ttft").Text != "55.50" || back[0].TestID.Config != "k" {
		t.Errorf("read back %+v, %v", back, err)
	}
}

func TestCommitIsOneTransaction(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := db.Commit(ctx, []*parse.Result{storetest.Result(1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := db.Results(context.Background(), sqlite.Filter{}, func(*parse.Result) error { return errors.New("stored") }); err != nil {
		t.Error(err)
	}
}

func TestTwoWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			db, err := sqlite.Open(context.Background(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			for n := range 20 {
				if _, err := db.Commit(context.Background(), []*parse.Result{storetest.Result(n), storetest.Result(100*w + n + 100)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := query(t, path, "SELECT count(*) FROM results"); n != "100" {
		t.Errorf("%s results", n)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	future := filepath.Join(dir, "future.db")
	open(t, future).Close()
	query(t, future, "PRAGMA user_version = 99")
	foreign := filepath.Join(dir, "foreign.db")
	query(t, foreign, "CREATE TABLE x (y)")
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{future: "later trtperf", foreign: "another program", text: "not a database"} {
		if _, err := sqlite.Open(context.Background(), path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := sqlite.OpenExisting(context.Background(), filepath.Join(dir, "absent.db")); err == nil {
		t.Error("an absent store is opened")
	}
}

// A Result that changes while an earlier state of it is on its way stays owed, whatever the target answers.
func TestChangedOnItsWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, other := open(t, path), open(t, path) // another process reads the results.xml meanwhile
	for _, outcome := range []parse.Outcome{parse.Stored, parse.Present} {
		r := commit(t, db, storetest.Result(len(outcome))).Result
		owe(t, db, "t", upload.Order{ID: r.ID})
		s := &shop{tries: map[string]int{}, answer: func(try int, _ *parse.Result) upload.Answer {
			if try == 1 {
				failed := storetest.Result(len(outcome))
				failed.Checked = []parse.Context{parse.InJUnit}
				failed.Fail(parse.JUnitFailure, "failed")
				commit(t, other, failed)
			}
			return upload.Answer{Outcome: outcome}
		}}
		deliver(t, db, "t", s)
		if n, err := db.OwedCount(context.Background(), "t"); n != 1 || err != nil {
			t.Errorf("%s: %d owed, %v", outcome, n, err)
		}
		deliver(t, db, "t", s)
		if n, err := db.OwedCount(context.Background(), "t"); n != 0 || err != nil || s.tries[r.ID] != 2 || !s.failed[1] {
			t.Errorf("%s: %d owed, %v, sent %d times, failed %v", outcome, n, err, s.tries[r.ID], s.failed)
		}
	}
}

// A store of the first version is brought up to date, by whoever comes first, and goes on where it was.
func TestFirstSchema(t *testing.T) {
	dump, err := os.ReadFile("testdata/schema1.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "old.db")
	old, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Exec(string(dump) + "PRAGMA user_version = 1;"); err != nil {
		t.Fatal(err)
	}
	old.Close()
	const metrics = "SELECT group_concat(id || name || value || text || unit) FROM (SELECT * FROM metrics m JOIN results r ON r.%s = m.result ORDER BY id, name)"
	wantMetrics, wantPlaces := query(t, path, fmt.Sprintf(metrics, "id")), query(t, path, "SELECT group_concat(place) FROM (SELECT place FROM sources ORDER BY place)")
	if _, err := sqlite.OpenToRead(context.Background(), path); err == nil || !strings.Contains(err.Error(), "earlier trtperf (schema 1") {
		t.Errorf("opened to read: %v", err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			db, err := sqlite.Open(context.Background(), path)
			if err != nil {
				t.Error(err)
				return
			}
			db.Close()
		})
	}
	all.Wait()
	fresh := filepath.Join(t.TempDir(), "new.db")
	open(t, fresh).Close()
	const shape = `SELECT group_concat(line, char(10)) FROM (SELECT t.name || ' ' || t.wr || ' ' || c.name || ' ' || c.type || ' ' || c."notnull" || ' ' || c.pk AS line
		FROM pragma_table_list t JOIN pragma_table_info(t.name) c WHERE t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid)`
	if got, want := query(t, path, shape), query(t, fresh, shape); got != want {
		t.Errorf("the tables are\n%s\nnew ones\n%s", got, want)
	}
	const indexes = "SELECT group_concat(name || ' ' || tbl_name, char(10)) FROM (SELECT * FROM sqlite_schema WHERE type = 'index' ORDER BY name)"
	if got, want := query(t, path, indexes), query(t, fresh, indexes); got != want {
		t.Errorf("the indexes are\n%s\nnew ones\n%s", got, want)
	}
	if got := query(t, path, fmt.Sprintf(metrics, "number")); got != wantMetrics || got == "" {
		t.Errorf("the metrics are\n%s\nwere\n%s", got, wantMetrics)
	}
	if got := query(t, path, "SELECT group_concat(place) FROM (SELECT place FROM results UNION ALL SELECT place FROM places ORDER BY place)"); got != wantPlaces || got == "" {
		t.Errorf("the places are\n%s\nwere\n%s", got, wantPlaces)
	}
	if bad := query(t, path, "SELECT count(*) FROM pragma_foreign_key_check") + query(t, path, "PRAGMA integrity_check"); bad != "0ok" {
		t.Error(bad)
	}
	db := open(t, path)
	var tests []string
	err = db.Results(context.Background(), sqlite.Filter{}, func(r *parse.Result) error {
		tests = append(tests, r.TestID.String()+" "+r.Client.Name)
		if r.ID != parse.Identify(r) || len(r.Metrics) < 16 {
			t.Errorf("%s is %s with %d metrics", r.ID, parse.Identify(r), len(r.Metrics))
		}
		return nil
	})
	if err != nil || len(tests) != 4 || !slices.IsSorted(tests[:1]) || !strings.HasPrefix(tests[0], "aggr-toy_fp4_blackwell") {
		t.Errorf("%q, %v", tests, err)
	}
	status, err := db.Status(context.Background())
	if err != nil || len(status) != 2 || status[0].Owed != 3 || status[0].Withheld != 1 || status[0].OwedSince.IsZero() || status[1].Stored != 3 || !status[1].OwedSince.IsZero() {
		t.Errorf("%+v, %v", status, err)
	}
	up := &shop{tries: map[string]int{}, answer: func(int, *parse.Result) upload.Answer { return upload.Answer{Outcome: parse.Stored} }}
	if got := deliver(t, db, status[0].Target, up); got != (parse.Tally{Stored: 3}) {
		t.Errorf("delivered %+v", got)
	}
	if got := deliver(t, db, status[1].Target, up); got != (parse.Tally{}) {
		t.Errorf("what was delivered is sent again: %+v", got)
	}
}

// hold keeps a lock of a store's file, as another process would, until released.
func hold(t *testing.T, path, kind string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ExecContext(context.Background(), "BEGIN "+kind); err != nil {
		t.Fatal(err)
	}
	if kind == "DEFERRED" { // the lock of a reader comes with the reading
		var n int
		if err := c.QueryRowContext(context.Background(), "SELECT count(*) FROM results").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		_, _ = c.ExecContext(context.Background(), "ROLLBACK")
		c.Close()
		db.Close()
	}
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	commit(t, open(t, path), storetest.Result(1))
	release := hold(t, path, "EXCLUSIVE")
	started := time.Now()
	_, err := sqlite.Open(context.Background(), path, sqlite.Wait(50*time.Millisecond))
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "another program has held the file") {
		t.Errorf("opened while another process writes: %v", err)
	}
	if waited := time.Since(started); waited > sqlite.DefaultWait/2 {
		t.Errorf("waited %v", waited)
	}
	release()
	// A writer that is not at its end yet keeps nobody from opening and reading; it keeps others from writing, for as long as they wait.
	release = hold(t, path, "IMMEDIATE")
	db, err := sqlite.Open(context.Background(), path, sqlite.Wait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	if err := db.Results(context.Background(), sqlite.Filter{}, func(*parse.Result) error { n++; return nil }); n != 1 || err != nil {
		t.Errorf("%d results while another process writes, %v", n, err)
	}
	_, err = db.Commit(context.Background(), []*parse.Result{storetest.Result(2)})
	if err == nil || !strings.Contains(err.Error(), "nothing of this run was stored") || !strings.Contains(err.Error(), path) {
		t.Errorf("committed while another process writes: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	patient := open(t, path)
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := patient.Commit(ctx, []*parse.Result{storetest.Result(2)}); !errors.Is(err, context.Canceled) {
		t.Errorf("the wait for a lock outlives its context: %v", err)
	}
	release()
	// A reader keeps a writer from its last step. What could not be written can be written later, over the same connection.
	release = hold(t, path, "DEFERRED")
	if _, err := db.Commit(context.Background(), []*parse.Result{storetest.Result(2)}); err == nil || !strings.Contains(err.Error(), "another program has held the file") {
		t.Errorf("committed while another process reads: %v", err)
	}
	release()
	if c := commit(t, db, storetest.Result(2)); !c.New {
		t.Errorf("%+v", c)
	}
}

// Somebody who reads a page for long keeps nobody from writing.
func TestSlowReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	var many []*parse.Result
	for n := range 600 {
		many = append(many, storetest.Result(n))
	}
	if _, err := db.Commit(context.Background(), many); err != nil {
		t.Fatal(err)
	}
	writer, err := sqlite.Open(context.Background(), path, sqlite.Wait(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	n, last := 0, ""
	err = db.Results(context.Background(), sqlite.Filter{}, func(r *parse.Result) error {
		if n++; n%100 == 1 {
			commit(t, writer, storetest.Result(1000+n))
		}
		if name := r.TestID.String(); name < last {
			t.Errorf("%s behind %s", name, last)
		} else {
			last = name
		}
		return nil
	})
	if n != 600 || err != nil {
		t.Errorf("%d results, %v", n, err)
	}
}

func TestFilter(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	for n := range 4 {
		r := storetest.Result(n)
		r.Labels.Precision, r.System.GPU = []string{"fp4", "fp8"}[n%2], "B200"
		con := 8 << n
		r.Client.Concurrency = &con
		r.EndedAt = time.Date(2026, 11, 20+n, 12, 0, 0, 0, time.UTC)
		if n == 3 {
			r.EndedAt = time.Time{} // the store has it from now
		}
		commit(t, db, r)
	}
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		filter sqlite.Filter
		want   string
	}{
		"all":         {sqlite.Filter{}, "s0 s1 s2 s3"},
		"test":        {sqlite.Filter{Test: "-s2"}, "s2"},
		"status":      {sqlite.Filter{Status: parse.Failed}, ""},
		"label":       {sqlite.Filter{Labels: map[string]string{"precision": "FP8"}}, "s1 s3"},
		"two labels":  {sqlite.Filter{Labels: map[string]string{"precision": "fp8", "concurrency": "16"}}, "s1"},
		"machine":     {sqlite.Filter{Labels: map[string]string{"gpu": "b200"}}, "s0 s1 s2 s3"},
		"other label": {sqlite.Filter{Labels: map[string]string{"model": ""}}, ""},
		"after":       {sqlite.Filter{After: day(22)}, "s2 s3"},
		"before":      {sqlite.Filter{Before: day(22)}, "s0 s1"},
		"between":     {sqlite.Filter{After: day(21), Before: day(22)}, "s1"},
		"all of it":   {sqlite.Filter{Test: "aggr", Status: parse.Valid, Labels: map[string]string{"precision": "fp4"}, After: day(1), Before: day(23)}, "s0 s2"},
		"half a text": {sqlite.Filter{Labels: map[string]string{"precision": "f"}}, ""},
		"quotes":      {sqlite.Filter{Test: "' OR 1 --", Labels: map[string]string{"gpu": "' OR 1 --"}}, ""},
	} {
		var got []string
		err := db.Results(context.Background(), c.filter, func(r *parse.Result) error {
			_, server, _ := strings.Cut(r.TestID.String(), "k-")
			got = append(got, server)
			return nil
		})
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q, %v", name, got, c.want, err)
		}
	}
	err := db.Results(context.Background(), sqlite.Filter{Labels: map[string]string{"colour": "red"}}, nil)
	if err == nil || !strings.Contains(err.Error(), `"colour"`) || !strings.Contains(err.Error(), "precision") {
		t.Errorf("an unknown label: %v", err)
	}
}

// A clock that steps back changes what times are shown, and nothing else.
func TestClockStepsBack(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	db, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "x.db"), sqlite.Clock(func() time.Time {
		now = now.Add(-24 * time.Hour)
		return now
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	outboxStory(t, db)
}

// shop is a store for tests of delivery: it answers as it is told.
type shop struct {
	answer func(try int, r *parse.Result) upload.Answer
	tries  map[string]int
	failed []bool // of each Put
	down   bool   // it is not waited for
}

func (s *shop) Put(ctx context.Context, items []upload.Item) ([]upload.Answer, error) {
	var answers []upload.Answer
	for _, i := range items {
		s.tries[i.Result.ID]++
		s.failed = append(s.failed, !i.Result.Valid())
		answers = append(answers, s.answer(s.tries[i.Result.ID], i.Result))
	}
	return answers, ctx.Err()
}

func (s *shop) Close() error { return nil }

func deliver(t *testing.T, db *sqlite.DB, target string, s *shop) parse.Tally {
	t.Helper()
	told := parse.Tally{}
	policy := upload.Policy{Deadline: time.Minute, FirstPause: time.Millisecond, LongestPause: 2 * time.Millisecond, Batch: 3}
	if s.down {
		policy.Deadline = 0
	}
	tally, err := upload.Deliver(context.Background(), db, target, s, policy, func(d parse.Delivery) { told.Add(d.Outcome) })
	if err != nil {
		t.Fatal(err)
	}
	if told != tally {
		t.Errorf("told %+v, counted %+v", told, tally)
	}
	return tally
}

func owe(t *testing.T, db *sqlite.DB, target string, orders ...upload.Order) int {
	t.Helper()
	withheld, err := db.Owe(context.Background(), target, orders)
	if err != nil {
		t.Fatal(err)
	}
	return len(withheld)
}

func TestOutbox(t *testing.T) { outboxStory(t, open(t, filepath.Join(t.TempDir(), "x.db"))) }

func outboxStory(t *testing.T, db *sqlite.DB) {
	var orders []upload.Order
	for n := range 10 {
		r := commit(t, db, storetest.Result(n)).Result
		o := upload.Order{ID: r.ID}
		if n == 9 {
			o.Withhold = "its id does not ask for uploading"
		}
		orders = append(orders, o)
	}
	if n := owe(t, db, "t", orders...); n != 1 {
		t.Errorf("%d withheld", n)
	}
	refused := orders[0].ID
	down := &shop{down: true, tries: map[string]int{}, answer: func(int, *parse.Result) upload.Answer {
		return upload.Answer{Outcome: parse.Owed, Reason: "connection refused"}
	}}
	if got := deliver(t, db, "t", down); got != (parse.Tally{Owed: 9}) || len(down.tries) != 3 {
		t.Errorf("down: %+v, %d results tried", got, len(down.tries))
	}
	status, err := db.Status(context.Background())
	if err != nil || len(status) != 1 || status[0].Owed != 9 || status[0].Withheld != 1 || status[0].LastReason != "connection refused" {
		t.Errorf("status %+v, %v", status, err)
	}
	flaky := &shop{tries: map[string]int{}, answer: func(try int, r *parse.Result) upload.Answer {
		switch {
		case r.ID == refused:
			return upload.Answer{Outcome: parse.Refused, Reason: "mapping"}
		case try < 3:
			return upload.Answer{Outcome: parse.Owed, Reason: "busy"}
		}
		return upload.Answer{Outcome: parse.Stored}
	}}
	if got := deliver(t, db, "t", flaky); got != (parse.Tally{Stored: 8, Refused: 1}) {
		t.Errorf("flaky: %+v", got)
	}
	for id, n := range flaky.tries {
		if id == refused && n != 1 || id != refused && n != 3 {
			t.Errorf("%s sent %d times", id, n)
		}
	}
	up := &shop{tries: map[string]int{}, answer: func(int, *parse.Result) upload.Answer { return upload.Answer{Outcome: parse.Present} }}
	if got := deliver(t, db, "t", up); got != (parse.Tally{}) {
		t.Errorf("nothing is owed: %+v", got)
	}
	if n, err := db.Retry(context.Background(), "t"); n != 1 || err != nil {
		t.Errorf("%d refused ones again, %v", n, err)
	}
	if got := deliver(t, db, "t", up); got != (parse.Tally{Present: 1}) {
		t.Errorf("retry: %+v", got)
	}
	// A delivered Result that is failed now is owed again, although a failed one would be withheld.
	failed := storetest.Result(1)
	failed.Checked = []parse.Context{parse.InJUnit}
	failed.Fail(parse.JUnitFailure, "failed")
	if c := commit(t, db, failed); !c.Changed {
		t.Errorf("%+v", c)
	}
	if n := owe(t, db, "t", upload.Order{ID: failed.ID, Withhold: "failed"}); n != 0 {
		t.Error("the correction is withheld")
	}
	up.failed = nil
	if got := deliver(t, db, "t", up); got != (parse.Tally{Present: 1}) || len(up.failed) != 1 || !up.failed[0] {
		t.Errorf("correction: %+v, %v", got, up.failed)
	}
}

// An answer is noted for its own Result, whatever the ones beside it in the file are owed and answered.
func TestSettleOneByOne(t *testing.T) {
	ctx := context.Background()
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	outcomes := []parse.Outcome{parse.Stored, parse.Present, parse.Withheld, parse.Stored, parse.Refused, parse.Refused, parse.Stored, parse.Owed, parse.Stored}
	var ids []string
	for n, outcome := range outcomes {
		r := commit(t, db, storetest.Result(n)).Result
		ids = append(ids, r.ID)
		o := upload.Order{ID: r.ID}
		if outcome == parse.Withheld {
			o.Withhold = "its id does not ask for uploading"
		}
		owe(t, db, "t", o)
		owe(t, db, "u", o)
	}
	items, err := db.Owed(ctx, "t", "", 100, false, nil)
	if err != nil || len(items) != len(outcomes)-1 {
		t.Fatalf("%d owed, %v", len(items), err)
	}
	var receipts []upload.Receipt
	for _, o := range outcomes {
		if o != parse.Withheld {
			receipts = append(receipts, upload.Receipt{State: items[len(receipts)].State, Answer: upload.Answer{Outcome: o}})
		}
	}
	slices.Reverse(receipts) // several batches' answers come in any order
	if err := db.Settle(ctx, "t", receipts); err != nil {
		t.Fatal(err)
	}
	found := map[string]parse.Outcome{}
	for _, state := range []parse.Outcome{parse.Stored, parse.Refused, parse.Withheld, parse.Owed} {
		if err := db.Receipts(ctx, "t", state, func(r sqlite.Receipt) error {
			found[r.ID] = state
			if want := state != parse.Withheld; (r.Attempts == 1) != want || r.Current != (state == parse.Stored) {
				t.Errorf("%+v", r)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for n, outcome := range outcomes {
		if outcome == parse.Present {
			outcome = parse.Stored
		}
		if found[ids[n]] != outcome {
			t.Errorf("result %d is %s, want %s", n, found[ids[n]], outcome)
		}
	}
	if n, err := db.OwedCount(ctx, "u"); n != len(outcomes)-1 || err != nil {
		t.Errorf("another target is owed %d, %v", n, err)
	}
}

// A maker sees each Result as it is without one, though one is made in the memory of the other.
func TestOwedToMaker(t *testing.T) {
	ctx := context.Background()
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	for n := range 12 {
		r := storetest.Result(n)
		switch n % 4 {
		case 1:
			r.Metrics = nil
		case 2:
			r.Metrics.Set("one_more", parse.Value{Value: float64(n), Text: strconv.Itoa(n)})
		case 3:
			r.Fail(parse.JUnitFailure, "failed")
		}
		commit(t, db, r)
		owe(t, db, "t", upload.Order{ID: r.ID})
	}
	for _, rows := range []bool{false, true} {
		want, err := db.Owed(ctx, "t", "", 100, rows, nil)
		if err != nil || len(want) != 12 {
			t.Fatalf("%d owed, %v", len(want), err)
		}
		whole := map[string]*parse.Result{}
		for i := range want {
			whole[want[i].ID] = want[i].Result
			want[i].Made, want[i].Result = want[i].ID, nil
		}
		compare := func(item upload.Item) any {
			if got, want := *item.Result, *whole[item.ID]; !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			return item.ID
		}
		behind := ""
		for _, n := range []int{3, 5, 2, 1, 4} { // the last finds fewer
			got, err := db.Owed(ctx, "t", behind, n, rows, compare)
			if err != nil || len(got) == 0 {
				t.Fatalf("%d owed, %v", len(got), err)
			}
			if !reflect.DeepEqual(got, want[:len(got)]) {
				t.Errorf("got %+v\nwant %+v", got, want[:len(got)])
			}
			want, behind = want[len(got):], got[len(got)-1].ID
		}
		if len(want) > 0 {
			t.Errorf("%d were not read", len(want))
		}
	}
}

// Answers to one Result in several tries may be noted together: each try counts, and the last one says what became of it.
func TestSettleSeveralTries(t *testing.T) {
	ctx := context.Background()
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	for n := range 3 {
		r := storetest.Result(n)
		commit(t, db, r)
		owe(t, db, "t", upload.Order{ID: r.ID})
	}
	items, err := db.Owed(ctx, "t", "", 10, false, nil)
	if err != nil || len(items) != 3 {
		t.Fatalf("%d owed, %v", len(items), err)
	}
	tries := []parse.Outcome{parse.Owed, parse.Owed, parse.Stored}
	var receipts []upload.Receipt
	for _, outcome := range tries {
		for _, item := range items {
			receipts = append(receipts, upload.Receipt{State: item.State, Answer: upload.Answer{Outcome: outcome}})
		}
	}
	if err := db.Settle(ctx, "t", receipts); err != nil {
		t.Fatal(err)
	}
	stored := 0
	if err := db.Receipts(ctx, "t", parse.Stored, func(r sqlite.Receipt) error {
		stored++
		if r.Attempts != len(tries) || !r.Current {
			t.Errorf("%+v", r)
		}
		return nil
	}); err != nil || stored != 3 {
		t.Errorf("%d stored, %v", stored, err)
	}
}

// A Result that changes while it is on its way to a target stays owed to it; one that is merely found at another place does not.
func TestChangesOnTheWay(t *testing.T) {
	ctx := context.Background()
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	copied, changed := storetest.Result(0), storetest.Result(1)
	for _, r := range []*parse.Result{copied, changed} {
		commit(t, db, r)
		owe(t, db, "t", upload.Order{ID: r.ID})
		owe(t, db, "u", upload.Order{ID: r.ID})
	}
	owed := func(target string, n int) []upload.Item {
		t.Helper()
		items, err := db.Owed(ctx, target, "", 10, true, nil)
		if err != nil || len(items) != n {
			t.Fatalf("%s is owed %d, want %d, error %v", target, len(items), n, err)
		}
		return items
	}
	settle := func(target string, items []upload.Item) {
		t.Helper()
		var receipts []upload.Receipt
		for _, item := range items {
			receipts = append(receipts, upload.Receipt{State: item.State, Answer: upload.Answer{Outcome: parse.Stored}})
		}
		if err := db.Settle(ctx, target, receipts); err != nil {
			t.Fatal(err)
		}
	}
	settle("u", owed("u", 2))
	way := owed("t", 2)
	again := storetest.Result(0)
	again.Source.File = "elsewhere.log"
	if c := commit(t, db, again); c.New || c.Changed {
		t.Errorf("%+v", c)
	}
	failed := storetest.Result(1)
	failed.Checked = []parse.Context{parse.InJUnit}
	failed.Fail(parse.JUnitFailure, "failed")
	if c := commit(t, db, failed); !c.Changed {
		t.Errorf("%+v", c)
	}
	settle("t", way)
	for _, target := range []string{"t", "u"} {
		items := owed(target, 1)
		if r := items[0].Result; r.ID != changed.ID || r.Valid() || !items[0].Delivered {
			t.Errorf("%s is owed %+v", target, items[0])
		}
		settle(target, items)
		owed(target, 0)
	}
}
