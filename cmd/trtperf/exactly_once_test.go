package main

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // to look into the server

	"github.com/trtperf/trtperf/testdata/services"
)

// writeBlock writes the block of the i-th of many Results, no two of which are alike.
func writeBlock(w io.Writer, i int) {
	row := func(label string, value any) { fmt.Fprintf(w, "%-40s %-10v\n", label+":", value) }
	fmt.Fprintln(w, "============ Serving Benchmark Result ============")
	row("Total requests", 80)
	row("Successful requests", 80)
	row("Failed requests", 0)
	row("Benchmark duration (s)", fmt.Sprintf("%d.25", 80+i))
	row("Total input tokens", 81920)
	row("Total generated tokens", 81920+i)
	row("Request throughput (req/s)", fmt.Sprintf("%d.5", 100+i))
	row("Output token throughput (tok/s)", fmt.Sprintf("%d.25", 200+i))
	for _, name := range []string{"TTFT", "TPOT", "ITL", "E2EL"} {
		for s, stat := range []string{"Mean", "Median", "Std Dev", "P99"} {
			row(fmt.Sprintf("%s %s (ms)", stat, name), fmt.Sprintf("%d.%02d", 10*(s+1)+i, i%100))
		}
	}
	fmt.Fprintln(w, "==================================================")
}

// manyLogs writes logs of five blocks each, n Results in all and no two alike, and copies of some.
func manyLogs(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	const perLog = 5
	for first := 0; first < n; first += perLog {
		var b strings.Builder
		for i := first; i < min(n, first+perLog); i++ {
			fmt.Fprintf(&b, "Namespace(backend='openai', model='toy', num_prompts=80, max_concurrency=%d)\n", i%64+1)
			writeBlock(&b, i)
		}
		names := []string{fmt.Sprintf("%05d.log", first)}
		if first%50 == 0 {
			names = append(names, fmt.Sprintf("copy-%05d.log", first))
		}
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// servers are the real ones that Results are delivered to.
type servers struct {
	t          testing.TB
	opensearch string // URL
	mariadb    *sql.DB
	address    string // the HOST:PORT of mariadb
}

func newServers(t testing.TB) *servers {
	t.Helper()
	s := &servers{t: t, opensearch: services.OpenSearch(t), address: services.MariaDB(t)}
	var err error
	if s.mariadb, err = sql.Open("mysql", "root@tcp("+s.address+")/"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.mariadb.Close() })
	return s
}

// bothTargets are a place at both servers, for one story.
type bothTargets struct {
	*servers
	index, schema string
}

// newTargets makes a place of its own at both servers; the tables are there and empty.
func (s *servers) newTargets(t testing.TB, name string) *bothTargets {
	t.Helper()
	name = fmt.Sprintf("%s_%d", name, os.Getpid())
	b := &bothTargets{s, "df-" + name + "-trtperf", name}
	if _, err := s.mariadb.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.drop)
	b.trtperf(t, exitOK, "upload", "init", "--to", b.targets()[3])
	return b
}

func (b *bothTargets) drop() {
	_, _ = b.mariadb.Exec("DROP DATABASE IF EXISTS " + b.schema)
	if request, err := http.NewRequest(http.MethodDelete, b.opensearch+"/"+b.index, nil); err == nil {
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
		}
	}
}

// targets are the flags that name them.
func (b *bothTargets) targets() []string {
	return []string{"--to", "opensearch+" + b.opensearch + "/" + strings.TrimSuffix(strings.TrimPrefix(b.index, "df-"), "-trtperf"), "--to", "mysql://" + b.address + "/" + b.schema}
}

// command is trtperf as a process of its own.
func (b *bothTargets) command(out io.Writer, args ...string) *exec.Cmd {
	c := exec.Command("trtperf", args...)
	c.Env = append(os.Environ(), "TRTPERF_MYSQL_USER=root")
	c.Stdout, c.Stderr = out, out
	return c
}

// trtperf runs trtperf to its end.
func (b *bothTargets) trtperf(t testing.TB, wantExit int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	c := b.command(&out, args...)
	err := c.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	if code := c.ProcessState.ExitCode(); code != wantExit {
		t.Errorf("trtperf %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, wantExit, out.String())
	}
	return out.String()
}

// held is what both servers hold: documents; runs, cases, results and distinct identities.
type held struct{ documents, runs, cases, results, identities int }

func (b *bothTargets) held(t testing.TB) held {
	t.Helper()
	documents, err := countDocuments(b.opensearch+"/"+b.index, "*")
	if err != nil {
		t.Fatal(err)
	}
	h := held{documents: documents}
	err = b.mariadb.QueryRow(strings.ReplaceAll("SELECT (SELECT count(*) FROM S.runs), (SELECT count(*) FROM S.cases), count(*), count(DISTINCT UUID) FROM S.perf_result",
		"S.", b.schema+".")).Scan(&h.runs, &h.cases, &h.results, &h.identities)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// csvs are the contents of a directory's CSVs.
func csvs(t testing.TB, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	if err != nil || len(names) != 2 {
		t.Fatalf("%v, %v", names, err)
	}
	var all []byte
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return string(all)
}

// ask asks a local store's file itself.
func ask(t testing.TB, db, question string) string {
	t.Helper()
	file, err := sql.Open("sqlite", "file:"+db)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var answer string
	if err := file.QueryRow(question).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// settled wants a local store to be sound and to have n Results, all delivered.
func settled(t testing.TB, db string, n, targets int) {
	t.Helper()
	got := ask(t, db, `SELECT (SELECT count(*) FROM results) || ' ' || (SELECT count(*) FROM outbox WHERE state = 'stored') || ' ' || (SELECT count(*) FROM outbox)
		|| ' ' || (SELECT integrity_check FROM pragma_integrity_check) || ' ' || (SELECT count(*) FROM pragma_foreign_key_check)`)
	if want := fmt.Sprintf("%d %d %d ok 0", n, n*targets, n*targets); got != want {
		t.Errorf("the local store has %s, want %s", got, want)
	}
}

// Process is killed at random moments, wherever it is then; the same command again finds everything and doubles nothing.
func TestKilled(t *testing.T) {
	n, rounds := 300, 20
	if soak() {
		n, rounds = 2000, 200
	}
	s, logs := newServers(t), manyLogs(t, n)
	reference, whole := s.newTargets(t, "kill_none"), t.TempDir()
	process := func(b *bothTargets, out string) []string {
		return append([]string{"process", "-q", "-o", out, logs}, b.targets()...)
	}
	reference.trtperf(t, exitOK, process(reference, t.TempDir())...) // the servers are cold
	reference.drop()
	reference = s.newTargets(t, "kill_reference")
	started := time.Now()
	reference.trtperf(t, exitOK, process(reference, whole)...)
	took := time.Since(started)
	want, wantCSVs := reference.held(t), csvs(t, whole)
	if want.documents != n || want.results != n || want.identities != n || want.runs == 0 || want.cases == 0 {
		t.Fatalf("without a kill: %+v", want)
	}
	settled(t, filepath.Join(whole, "trtperf.db"), n, 2)
	random := rand.New(rand.NewPCG(1, 2))
	var left []string
	for round := range rounds {
		b, out := s.newTargets(t, fmt.Sprintf("kill_%d", round)), t.TempDir()
		c := b.command(io.Discard, process(b, out)...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		moment := time.Duration(random.Int64N(int64(took)))
		killer := time.AfterFunc(moment, func() { _ = c.Process.Kill() })
		killed := c.Wait() != nil
		killer.Stop()
		// What the kill left is looked at for the record only.
		kept := "-"
		if _, err := os.Stat(filepath.Join(out, "trtperf.db")); err == nil && killed {
			kept = leftBehind(filepath.Join(out, "trtperf.db"))
		}
		left = append(left, fmt.Sprintf("%v: %s", moment.Round(time.Millisecond), kept))
		b.trtperf(t, exitOK, process(b, out)...)
		if got := b.held(t); got != want {
			t.Errorf("killed after %v: %+v, want %+v", moment, got, want)
		}
		settled(t, filepath.Join(out, "trtperf.db"), n, 2)
		if csvs(t, out) != wantCSVs {
			t.Errorf("killed after %v: the CSVs differ", moment)
		}
		if round%5 == 0 {
			b.trtperf(t, exitOK, append([]string{"upload", "verify", "-q", "-o", out}, b.targets()...)...)
		}
		b.drop()
		if t.Failed() {
			break
		}
	}
	slices.Sort(left)
	t.Logf("one process takes %v; killed after, with results kept and deliveries noted then:\n%s", took, strings.Join(left, "\n"))
}

// leftBehind says how many Results and receipts a killed process left.
func leftBehind(db string) string {
	file, err := sql.Open("sqlite", "file:"+db)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	var results, stored int
	if err := file.QueryRow("SELECT (SELECT count(*) FROM results), (SELECT count(*) FROM outbox WHERE state = 'stored')").Scan(&results, &stored); err != nil {
		return "no tables"
	}
	return fmt.Sprintf("%d %d", results, stored)
}

// Several trtperf at once over the same logs and targets, with a local store each, or one for all of them.
func TestAtOnce(t *testing.T) {
	n, s := 300, newServers(t)
	logs := manyLogs(t, n)
	reference := s.newTargets(t, "once_reference")
	reference.trtperf(t, exitOK, append([]string{"process", "-q", "-o", t.TempDir(), logs}, reference.targets()...)...)
	want := reference.held(t)
	for name, c := range map[string]struct {
		processes int
		shared    bool
	}{
		"two": {2, false}, "two_shared": {2, true}, "five": {5, false},
	} {
		t.Run(name, func(t *testing.T) {
			b, store := s.newTargets(t, "once_"+name), t.TempDir()
			var all sync.WaitGroup
			var outs []string
			for i := range c.processes {
				out := t.TempDir()
				outs = append(outs, out)
				all.Go(func() {
					args := append([]string{"process", "-q", "-o", out, logs}, b.targets()...)
					if c.shared {
						args = append(args, "--db", filepath.Join(store, "shared.db"))
					}
					said := b.trtperf(t, exitOK, args...)
					if strings.Contains(said, "owed") {
						t.Errorf("process %d: %s", i, said)
					}
				})
			}
			all.Wait()
			if got := b.held(t); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			first := csvs(t, outs[0])
			for _, out := range outs {
				if csvs(t, out) != first {
					t.Error("the CSVs differ")
				}
				if !c.shared {
					settled(t, filepath.Join(out, "trtperf.db"), n, 2)
				}
			}
			if c.shared {
				settled(t, filepath.Join(store, "shared.db"), n, 2)
			}
		})
	}
}
