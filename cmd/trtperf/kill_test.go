package main

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// What a killed process has in its local store it owes there too: --resume alone delivers just that to both servers, without the inputs.
func TestKilledThenResumed(t *testing.T) {
	n, rounds := 300, 6
	if soak() {
		n, rounds = 2000, 60
	}
	s, logs := newServers(t), exampleLogs(t, n, 0)
	process := func(b *bothTargets, out string) []string {
		return append([]string{"process", "-q", "-o", out, logs}, b.targets()...)
	}
	whole, started := s.newTargets(t, "resume_none"), time.Now()
	whole.trtperf(t, exitOK, process(whole, t.TempDir())...)
	took := time.Since(started)
	random := rand.New(rand.NewPCG(5, 9))
	looked := 0
	for round := range rounds {
		b, out := s.newTargets(t, "resume_"+strconv.Itoa(round)), t.TempDir()
		db := filepath.Join(out, "trtperf.db")
		c := b.command(io.Discard, process(b, out)...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// No condition to wait for: the moment is the point.
		time.Sleep(time.Duration(random.Int64N(int64(took))))
		_ = c.Process.Kill() // it may have ended
		_ = c.Wait()
		if guide := filepath.Join(out, "perf_script_test_results.csv"); exists(guide) && csvRows(t, guide) != n {
			t.Errorf("a CSV of %d rows is left", csvRows(t, guide))
		}
		kept := 0
		if exists(db) && ask(t, db, "SELECT count(*) FROM sqlite_schema WHERE name = 'results'") == "1" {
			kept, _ = strconv.Atoi(ask(t, db, "SELECT count(*) FROM results"))
		}
		if kept > 0 {
			looked++
			b.trtperf(t, exitOK, "upload", "--resume", "-q", "--db", db)
			if got := b.held(t); got.documents != kept || got.results != kept || got.identities != kept || got.cases != kept {
				t.Errorf("%d results were kept, after --resume there are %+v", kept, got)
			}
			settled(t, db, kept, 2)
		}
		b.drop()
	}
	t.Logf("%d of %d rounds left results", looked, rounds)
	if looked == 0 {
		t.Error("no round left results")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Five that begin at once with tables that are empty, each with results of its own for the same cases: no case is made twice.
func TestSameCasesAtOnce(t *testing.T) {
	const cases, processes = 52, 5
	b := newServers(t).newTargets(t, "same_cases")
	var all sync.WaitGroup
	for set := range processes {
		out, logs := t.TempDir(), exampleLogs(t, cases, set)
		all.Go(func() { b.trtperf(t, exitOK, append([]string{"process", "-q", "-o", out, logs}, b.targets()...)...) })
	}
	all.Wait()
	if got := b.held(t); got.documents != processes*cases || got.results != processes*cases || got.identities != processes*cases || got.cases != cases {
		t.Errorf("%+v, want %d results of %d cases", got, processes*cases, cases)
	}
}
