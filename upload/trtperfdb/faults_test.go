package trtperfdb_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2/toxics"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/testdata/services"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/trtperfdb"
)

// many are n Results of n cases in one run, from a first one on.
func many(first, n int) []upload.Item {
	var items []upload.Item
	for i := range n {
		r := whole(first + i)
		r.TestID, _ = parse.ParseTestID(fmt.Sprintf("aggr_upload-k-s%d", i))
		items = append(items, item(r))
	}
	return items
}

func all(outcome string, n int) []string {
	want := make([]string, n)
	for i := range want {
		want[i] = outcome
	}
	return want
}

// waitFor waits until a query's answer is what is wanted.
func (d *database) waitFor(t testing.TB, want, query string, args ...any) {
	t.Helper()
	for range 600 {
		if d.text(t, query, args...) == want {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s is never %s", query, want)
}

// hold lets nobody else write a table until the function that it returns is called.
func (d *database) hold(t testing.TB, table string) (release func()) {
	t.Helper()
	conn, err := d.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "LOCK TABLES "+table+" READ"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(context.Background(), "UNLOCK TABLES"); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
}

const waiting = "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND state LIKE 'Waiting for table metadata lock'"

func TestKilledInTransaction(t *testing.T) {
	t.Parallel()
	server := services.NewMariaDB(t)
	d := newDatabase(t, server.Start(t), documented...)
	s := open(t, d.target())
	wantAnswers(t, put(t, s, many(0, 5)...), all("stored", 5)...)
	d.hold(t, "perf_result")
	answers := make(chan []upload.Answer)
	go func() {
		a, _ := s.Put(context.Background(), many(0, 50))
		answers <- a
	}()
	// The run's cases are written, its results are not.
	d.waitFor(t, "1", waiting)
	server.Kill(t)
	wantAnswers(t, <-answers, all("owed", 50)...)
	wantAnswers(t, put(t, s, many(0, 50)...), all("owed", 50)...)
	server.Start(t)
	d.wantCounts(t, "1 5 5")
	wantAnswers(t, put(t, s, many(0, 50)...), append(all("present", 5), all("stored", 45)...)...)
	d.wantCounts(t, "1 50 50")
}

func TestLockWait(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, services.MariaDB(t), documented...)
	s := open(t, d.target())
	release := d.hold(t, "perf_result")
	wantAnswers(t, put(t, s, many(0, 3)...), all("owed:error 1205", 3)...)
	release()
	d.waitFor(t, "0 0 0", "SELECT concat((SELECT count(*) FROM runs), ' ', (SELECT count(*) FROM cases), ' ', (SELECT count(*) FROM perf_result))")
	wantAnswers(t, put(t, s, many(0, 3)...), all("stored", 3)...)
	d.wantCounts(t, "1 3 3")
}

// A row that another transaction holds, and an advisory lock that another writer does not give back.
func TestBusy(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, services.MariaDB(t), documented...)
	s := open(t, d.target())
	put(t, s, many(0, 3)...)
	tx, err := d.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("UPDATE perf_result SET log = 'x'"); err != nil {
		t.Fatal(err)
	}
	changed := whole(0)
	changed.TestID, _ = parse.ParseTestID("aggr_upload-k-s0")
	changed.Metrics.Set("mean_tpot", parse.Value{Value: 1, Text: "1"})
	wantAnswers(t, put(t, s, item(changed)), "owed:error 1205")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	wantAnswers(t, put(t, s, item(changed)), "stored")
	// Every way out has given the lock back.
	if got := d.text(t, "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND state LIKE 'User lock'"); got != "0" {
		t.Errorf("%s wait for the lock", got)
	}
	slow := open(t, d.target())
	release := d.hold(t, "perf_result")
	done := make(chan []upload.Answer)
	go func() {
		a, _ := slow.Put(context.Background(), many(10, 3))
		done <- a
	}()
	d.waitFor(t, "1", waiting)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := s.Put(ctx, many(20, 3)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait: %v", err)
	}
	release()
	wantAnswers(t, <-done, all("stored", 3)...)
	wantAnswers(t, put(t, s, many(20, 3)...), all("stored", 3)...)
	d.wantCounts(t, "3 3 9")
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	server := services.NewMariaDB(t, "max_connections=10") // the least that there can be
	d := newDatabase(t, server.Start(t), documented...)
	d.do(t, "CREATE USER trt@localhost IDENTIFIED BY 'pa55word'", "GRANT SELECT, INSERT, UPDATE, DELETE ON "+d.name+".* TO trt@localhost")
	crowd, err := sql.Open("mysql", fmt.Sprintf("trt:pa55word@tcp(%s)/%s", d.server, d.name))
	if err != nil {
		t.Fatal(err)
	}
	defer crowd.Close()
	var conns []*sql.Conn
	for len(conns) < 20 {
		c, err := crowd.Conn(t.Context())
		if err != nil {
			break
		}
		conns = append(conns, c)
	}
	s, err := trtperfdb.Open(d.target(), upload.Settings{Getenv: environment("DB_USER", "trt", "DB_PASSWORD", "pa55word"), Table: parse.Metrics()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantAnswers(t, put(t, s, many(0, 2)...), all("owed:Too many connections", 2)...)
	for _, c := range conns {
		c.Close()
	}
	crowd.Close()
	d.waitFor(t, "0", "SELECT count(*) FROM information_schema.processlist WHERE user = 'trt'")
	wantAnswers(t, put(t, s, many(0, 2)...), all("stored", 2)...)
}

// Tables that change while they are written to.
func TestAltered(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, services.MariaDB(t), documented...)
	s := open(t, d.target())
	wantAnswers(t, put(t, s, many(0, 1)...), "stored")
	d.do(t, "ALTER TABLE perf_result DROP COLUMN perf_data, DROP COLUMN total_time")
	wantAnswers(t, put(t, s, many(0, 2)...), "owed:perf_data", "owed:perf_data")
	wantAnswers(t, put(t, s, many(0, 2)...), "owed:no column perf_data", "owed:no column perf_data")
	d.do(t, "ALTER TABLE perf_result ADD COLUMN perf_data json")
	wantAnswers(t, put(t, s, many(0, 2)...), "stored", "stored")
	d.wantCounts(t, "1 2 2")
}

func TestServerDown(t *testing.T) {
	t.Parallel()
	server := services.NewMariaDB(t)
	address := server.Start(t)
	d := newDatabase(t, address, documented...)
	s := open(t, d.target())
	put(t, s, many(0, 1)...)
	server.Stop(t)
	for range 2 {
		if a := put(t, s, many(0, 2)...)[0]; a.Outcome != parse.Owed || a.Mend || a.Reason == "" {
			t.Errorf("%+v", a)
		}
	}
	server.Start(t)
	wantAnswers(t, put(t, s, many(0, 2)...), "present", "stored")
}

func TestFiveWriters(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, services.MariaDB(t), documented...)
	const cases = 52
	var writers sync.WaitGroup
	for w := range 5 {
		writers.Go(func() {
			s := open(t, d.target())
			// Each has results of its own for the same cases, and all have one run in common.
			items := append(many(1000*(w+1), cases), many(0, cases)...)
			for i := range items[:cases] {
				items[i].Result.Job.Link = fmt.Sprint("http://ci/of-writer/", w)
			}
			for len(items) > 0 {
				n := min(len(items), 40)
				for i, a := range put(t, s, items[:n]...) {
					if a.Outcome != parse.Stored && a.Outcome != parse.Present {
						t.Errorf("writer %d, result %d: %+v", w, i, a)
					}
				}
				items = items[n:]
			}
		})
	}
	writers.Wait()
	d.wantCounts(t, "6 52 312") // a run for each writer, and the one in common
	if n := d.text(t, "SELECT count(DISTINCT UUID) FROM perf_result"); n != "312" {
		t.Errorf("%s identities", n)
	}
}

// committed says that a COMMIT went to the server, in the one test that wants to know.
var committed atomic.Bool

// watchCommit is a toxic that passes everything and looks for a COMMIT; loseAnswer one that passes answers until then, and takes the next one
// away with the connection.
type (
	watchCommit struct{}
	loseAnswer  struct{}
)

func (watchCommit) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			if bytes.HasSuffix(c.Data, []byte("\x03COMMIT")) {
				committed.Store(true)
			}
			stub.Output <- c
		}
	}
}

func (loseAnswer) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil || committed.Load() {
				stub.Close()
				return
			}
			stub.Output <- c
		}
	}
}

func TestAnswerToCommitLost(t *testing.T) {
	toxics.Register("watch_commit", new(watchCommit))
	toxics.Register("lose_answer", new(loseAnswer))
	d := newDatabase(t, services.MariaDB(t), documented...)
	proxy := services.NewToxiproxy(t, d.server)
	proxy.Add(t, "watch_commit", "upstream", "")
	proxy.Add(t, "lose_answer", "downstream", "")
	s := open(t, "mysql://"+proxy.Listen+"/"+d.name)
	wantAnswers(t, put(t, s, many(0, 20)...), all("owed", 20)...)
	if !committed.Load() {
		t.Fatal("there was no COMMIT")
	}
	d.waitFor(t, "1 20 20", "SELECT concat((SELECT count(*) FROM runs), ' ', (SELECT count(*) FROM cases), ' ', (SELECT count(*) FROM perf_result))")
	proxy.Heal(t)
	wantAnswers(t, put(t, s, many(0, 20)...), all("present", 20)...)
	d.wantCounts(t, "1 20 20")
}

// The connection is cut after any number of bytes, in either direction: nothing is lost, nothing stands twice, no case or run is left over.
func TestCutAnywhere(t *testing.T) {
	server := services.MariaDB(t)
	steps := 24
	if os.Getenv("TRTPERF_SOAK") == "1" {
		steps = 400
	}
	for direction, total := range map[string]int{"upstream": 30_000, "downstream": 16_000} {
		t.Run(direction, func(t *testing.T) {
			d := newDatabase(t, server, documented...)
			owed := 0
			for step := range steps {
				d.do(t, "DELETE FROM perf_result", "DELETE FROM runs", "DELETE FROM cases")
				proxy := services.NewToxiproxy(t, server)
				proxy.Add(t, "limit_data", direction, fmt.Sprintf(`"bytes": %d`, 80+total*step/steps))
				s := open(t, "mysql://"+proxy.Listen+"/"+d.name)
				first := put(t, s, many(0, 20)...)
				if first[0].Outcome == parse.Owed {
					owed++
				}
				// What it left is all or nothing, once the server has noticed.
				d.waitFor(t, "0", "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND command <> 'Query' AND id <> CONNECTION_ID() AND info IS NOT NULL")
				for i, a := range put(t, open(t, d.target()), many(0, 20)...) {
					if a.Outcome != parse.Stored && a.Outcome != parse.Present {
						t.Errorf("step %d, result %d: %+v", step, i, a)
					}
				}
				d.wantCounts(t, "1 20 20")
				s.Close()
				proxy.Stop()
			}
			if owed < steps/4 || owed == steps {
				t.Errorf("%d of %d cuts hit", owed, steps)
			}
		})
	}
}

// A connection that says nothing any more does not outlast its context.
func TestHalfOpen(t *testing.T) {
	d := newDatabase(t, services.MariaDB(t), documented...)
	proxy := services.NewToxiproxy(t, d.server)
	s := open(t, "mysql://"+proxy.Listen+"/"+d.name)
	put(t, s, many(0, 1)...)
	proxy.Add(t, "timeout", "downstream", `"timeout": 0`)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	started := time.Now()
	if _, err := s.Put(ctx, many(0, 5)); !errors.Is(err, context.DeadlineExceeded) || time.Since(started) > 10*time.Second {
		t.Errorf("error %v after %s", err, time.Since(started))
	}
	proxy.Heal(t)
	d.wantCounts(t, "1 1 1")
	wantAnswers(t, put(t, s, many(0, 5)...), append([]string{"present"}, all("stored", 4)...)...)
}

// 1 KB/s is slow, and no fault.
func TestSlow(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, services.MariaDB(t), documented...)
	proxy := services.NewToxiproxy(t, d.server)
	proxy.Add(t, "bandwidth", "upstream", `"rate": 1`)
	wantAnswers(t, put(t, open(t, "mysql://"+proxy.Listen+"/"+d.name), many(0, 4)...), all("stored", 4)...)
	d.wantCounts(t, "1 4 4")
}

func TestCredentials(t *testing.T) {
	d := newDatabase(t, services.MariaDB(t), documented...)
	user := "trt_" + d.name[len(d.name)-8:]
	d.do(t, "CREATE USER "+user+"@localhost IDENTIFIED BY 'pa55word'")
	t.Cleanup(func() { _, _ = d.Exec("DROP USER " + user + "@localhost") })
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("pa55word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(env ...string) upload.Answer {
		s, err := trtperfdb.Open(d.target(), upload.Settings{Getenv: environment(env...), Table: parse.Metrics()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return put(t, s, many(0, 1)...)[0]
	}
	right := []string{"TRTPERF_MYSQL_USER", user, "TRTPERF_MYSQL_PASSWORD_FILE", secret, "DB_USER", "other", "DB_PASSWORD", "other"}
	for _, step := range []struct {
		grant, want string
		env         []string
	}{
		{"", "TRTPERF_MYSQL_USER", []string{"DB_USER", user, "DB_PASSWORD", "s3cret"}},
		{"", "TRTPERF_MYSQL_USER", []string{"TRTPERF_MYSQL_USER", "s3cret-user"}},
		{"", "no right to the schema", right},
		{"SELECT", "INSERT command denied", right},
		{"SELECT, INSERT, UPDATE, DELETE", "", right},
		{"SELECT, INSERT, UPDATE, DELETE", "", []string{"DB_USER", user, "DB_PASSWORD", "pa55word"}},
	} {
		if step.grant != "" {
			d.do(t, "GRANT "+step.grant+" ON "+d.name+".* TO "+user+"@localhost")
		}
		a := ask(step.env...)
		if step.want != "" && (a.Outcome != parse.Owed || !a.Mend || !strings.Contains(a.Reason, step.want)) || step.want == "" && a.Outcome == parse.Owed {
			t.Errorf("granted %q: %+v, want %q", step.grant, a, step.want)
		}
		if strings.Contains(a.Reason, "s3cret") || strings.Contains(a.Reason, "pa55word") {
			t.Errorf("a secret in %q", a.Reason)
		}
	}
	for want, env := range map[string][]string{
		"no user":                     nil,
		"DB_PASSWORD is set":          {"DB_PASSWORD", "x"},
		"no such file":                {"TRTPERF_MYSQL_USER", "x", "TRTPERF_MYSQL_PASSWORD_FILE", filepath.Join(dir, "absent")},
		"TRTPERF_MYSQL_USER is not":   {"TRTPERF_MYSQL_PASSWORD", "x", "DB_USER", "y"},
		"TRTPERF_MYSQL_PASSWORD_FILE": {"TRTPERF_MYSQL_USER", "x", "TRTPERF_MYSQL_PASSWORD_FILE", dir},
	} {
		if err := trtperfdb.Kind().Check(d.target(), upload.Settings{Getenv: environment(env...)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", env, err, want)
		}
	}
}
