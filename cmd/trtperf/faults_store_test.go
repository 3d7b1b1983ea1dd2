package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/trtperf/trtperf/parse"
	runs "github.com/trtperf/trtperf/parse/run"
	"github.com/trtperf/trtperf/upload/sqlite"
	"github.com/trtperf/trtperf/upload/storetest"
)

// exampleLogs writes logs of one Result each, of which no two are alike, nor like those of another set. Each set has the same n concurrencies.
func exampleLogs(t testing.TB, n, set int) string {
	t.Helper()
	example, err := os.ReadFile("../../testdata/logs/example.log")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i := range n {
		text := strings.NewReplacer("3317.94", fmt.Sprintf("%d.94", 3000+i), "83.25", fmt.Sprintf("%d.25", 80+set),
			"max_concurrency=4,", fmt.Sprintf("max_concurrency=%d,", i+1)).Replace(string(example))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.log", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// rows returns the number of a CSV's rows.
func csvRows(t testing.TB, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return bytes.Count(text, []byte("\n")) - 1
}

// wantUnstored runs process over logs and wants what a store that fails leaves: the CSVs, nothing delivered, a message, exit code 2.
func wantUnstored(t *testing.T, db, logs string, n int, message ...string) {
	t.Helper()
	out := t.TempDir()
	target := filepath.Join(out, "target.db")
	var text bytes.Buffer
	code := run(context.Background(), []string{"process", "-o", out, "--db", db, "--db-wait", "100ms", "--to", "sqlite:" + target, logs},
		stdio{nil, &text, &text, func(string) string { return "" }})
	if code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	for _, m := range append(message, db, "the CSVs are written all the same", "nothing was delivered", fmt.Sprintf("results  %d valid", n)) {
		if !strings.Contains(text.String(), m) {
			t.Errorf("no %q in\n%s", m, text.String())
		}
	}
	if strings.Contains(text.String(), "stored   ") {
		t.Errorf("said to be stored:\n%s", text.String())
	}
	if got := csvRows(t, filepath.Join(out, "perf_script_test_results.csv")); got != n {
		t.Errorf("%d rows in the CSV, want %d", got, n)
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("something was delivered")
	}
}

func TestStoreFails(t *testing.T) {
	logs := exampleLogs(t, 100, 0)
	filled := func(t *testing.T) string {
		db := filepath.Join(t.TempDir(), "x.db")
		trtperf(t, 0, "process", "-o", t.TempDir(), "--db", db, logs)
		return db
	}
	t.Run("not a database", func(t *testing.T) {
		db := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(db, bytes.Repeat([]byte("no database "), 100), 0o644); err != nil {
			t.Fatal(err)
		}
		wantUnstored(t, db, logs, 100, "not a database", "move it away")
	})
	t.Run("damaged", func(t *testing.T) {
		db := filled(t)
		text, err := os.ReadFile(db)
		if err != nil {
			t.Fatal(err)
		}
		// The first page, with the schema, stays: the file can be opened.
		for i := 4096; i < len(text); i++ {
			text[i] ^= 0xa5
		}
		if err := os.WriteFile(db, text, 0o644); err != nil {
			t.Fatal(err)
		}
		wantUnstored(t, db, logs, 100, "malformed", "move it away")
	})
	t.Run("of a later version", func(t *testing.T) {
		db := filled(t)
		file, err := sql.Open("sqlite", db)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Exec("PRAGMA user_version = 99"); err != nil {
			t.Fatal(err)
		}
		file.Close()
		wantUnstored(t, db, logs, 100, "written by a later trtperf (schema 99, this one knows")
		for _, args := range [][]string{{"list", "--db", db}, {"export", "--from", db}, {"upload", "--status", "--db", db}} {
			var text bytes.Buffer
			if code := run(context.Background(), args, stdio{nil, &text, &text, func(string) string { return "" }}); code != exitUsage || !strings.Contains(text.String(), "later trtperf") {
				t.Errorf("%v: exit code %d\n%s", args, code, text.String())
			}
		}
	})
	t.Run("locked", func(t *testing.T) {
		db := filled(t)
		holder, err := sql.Open("sqlite", "file:"+db+"?_txlock=exclusive")
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Close()
		tx, err := holder.Begin()
		if err != nil {
			t.Fatal(err)
		}
		wantUnstored(t, db, logs, 100, "locked", "another program has held the file", "--db-wait")
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		again := trtperf(t, 0, "process", "-o", t.TempDir(), "--db", db, logs)
		if again.ledger.Results.Valid != 100 {
			t.Errorf("%+v", again.ledger)
		}
	})
}

// The disk is full when the receipts are to be noted: the Results have arrived, and are sent again when there is room.
func TestNoRoomForReceipts(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, 0) })
	db, target := filepath.Join(disk, "x.db"), filepath.Join(t.TempDir(), "target.db")
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.WriteFile(closed, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	// A file is in the way of the target's directory, so that all is owed.
	trtperf(t, exitOwed, "process", "-o", t.TempDir(), "--db", db, "--to", "sqlite:"+closed+"/target.db", exampleLogs(t, 20, 0))
	if err := os.Remove(closed); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(target), closed); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 8<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	var text bytes.Buffer
	code := run(context.Background(), []string{"upload", "--resume", "--db", db}, stdio{nil, &text, &text, func(string) string { return "" }})
	if code != exitUsage || !strings.Contains(text.String(), db) || !strings.Contains(text.String(), "is full") || !strings.Contains(text.String(), "make room") {
		t.Errorf("exit code %d\n%s", code, text.String())
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	again := trtperf(t, exitOK, "upload", "--resume", "--db", db)
	for name, tally := range again.ledger.Targets {
		if tally != (parse.Tally{Present: 20}) {
			t.Errorf("%s: %+v", name, tally)
		}
	}
	if n := ask(t, target, "SELECT count(*) FROM results"); n != "20" || len(again.ledger.Targets) != 1 {
		t.Errorf("%s results arrived at %d targets", n, len(again.ledger.Targets))
	}
}

// A Result that turned out to be failed stays so where the store fails between its two readings.
func TestWithoutStoreKeepsStatus(t *testing.T) {
	db, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	s := &settings{quiet: true}
	std := stdio{nil, &bytes.Buffer{}, &bytes.Buffer{}, func(string) string { return "" }}
	p := &pipeline{settings: s, std: std, report: newReporter(s, std), kept: newKept(0), seen: map[identity]bool{}}
	p.store = localStore{db, p}
	first, second := runOf(t, true), runOf(t, false)
	if err := p.take(context.Background(), first); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.take(context.Background(), second); err != nil {
		t.Fatal(err)
	}
	kept, err := p.kept.get(0)
	if err != nil || !p.storeFailed || p.kept.set.Len() != 1 || kept.Valid() {
		t.Errorf("the store failed: %v, results %+v, %v", p.storeFailed, kept, err)
	}
}

// runOf is a run of the same one Result, which its results.xml calls failed or which has none.
func runOf(t *testing.T, failed bool) []*runs.Run {
	t.Helper()
	r := storetest.Result(1)
	if failed {
		r.Checked = []parse.Context{parse.InJUnit}
		r.Fail(parse.JUnitFailure, "failed")
	}
	return []*runs.Run{{Results: []*parse.Result{r}, Blocks: 1}}
}
