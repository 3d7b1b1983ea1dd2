package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
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
				return query(t, path, "SELECT value FROM metrics WHERE result = ? AND name = ?", id, field)
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
	if n := query(t, path, "SELECT count(*) FROM sources"); n != "3" {
		t.Errorf("%s sources", n)
	}
	var back []*parse.Result
	err := db.Results(context.Background(), sqlite.Filter{Test: "s1", Status: parse.Valid, ID: copied.ID[:8]}, func(r *parse.Result) error {
		back = append(back, r)
		return nil
	})
	if err != nil || len(back) != 1 || back[0].Metrics["mean_ttft"].Text != "55.50" || back[0].TestID.Config != "k" {
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

// shop is a store for tests of delivery: it answers as it is told.
type shop struct {
	answer func(try int, r *parse.Result) upload.Answer
	tries  map[string]int
	failed []bool // of each Put
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
	policy := upload.Policy{Deadline: 50 * time.Millisecond, FirstPause: time.Millisecond, LongestPause: 2 * time.Millisecond, Batch: 3}
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

func TestOutbox(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
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
	down := &shop{tries: map[string]int{}, answer: func(int, *parse.Result) upload.Answer {
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
