package trtperfdb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/go-sql-driver/mysql" // to look into the server

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/testdata/services"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/storetest"
	"github.com/trtperf/trtperf/upload/trtperfdb"
)

// documented are the tables as trt_perf_parser.py's documentation has them.
var documented = []string{
	`CREATE TABLE runs (id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, start_time datetime, end_time datetime, driver varchar(150) NOT NULL,
		cuda varchar(150) NOT NULL, cudnn varchar(150) NOT NULL, tensorrt varchar(150) NOT NULL, gpu varchar(150) NOT NULL,
		graphic_freq varchar(150) NOT NULL, memory_freq varchar(150) NOT NULL, cpu varchar(150), cl varchar(150), os varchar(150) NOT NULL,
		notes varchar(2000), cublas varchar(150), link varchar(2000), vbios varchar(150), trtllm varchar(150))`,
	`CREATE TABLE cases (id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, cmd varchar(2000) NOT NULL, batchsize int unsigned NOT NULL,
		format varchar(150) NOT NULL, network varchar(150) NOT NULL, ` + "`precision`" + ` varchar(50) NOT NULL)`,
	`CREATE TABLE perf_result (id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, UUID varchar(1500), case_id int unsigned NOT NULL,
		run_id int unsigned NOT NULL, gpu_time float(16,6) NOT NULL, total_time float(16,6), fp16_vs_fp32 float(16,6), int8_vs_fp16 float(16,6),
		int8_vs_fp32 float(16,6), build_time float(16,6), perf_data json, perf_baseline json, throughput float(16,6), log longtext,
		KEY (case_id), KEY (run_id))`,
}

var schemas atomic.Int64

// database is a schema of a test.
type database struct {
	*sql.DB
	server, name string
}

// newDatabase makes a schema with the statements in it.
func newDatabase(t testing.TB, server string, statements ...string) *database {
	t.Helper()
	name := fmt.Sprintf("trt_perf_%d_%d", os.Getpid(), schemas.Add(1))
	root, err := sql.Open("mysql", fmt.Sprintf("root@tcp(%s)/", server))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	// A collation that most servers have: letter case and blanks at the end do not count.
	if _, err := root.Exec("CREATE DATABASE " + name + " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", fmt.Sprintf("root@tcp(%s)/%s", server, name))
	if err != nil {
		t.Fatal(err)
	}
	d := &database{db, server, name}
	t.Cleanup(func() {
		_, _ = d.Exec("DROP DATABASE " + name) // the server may be down
		d.Close()
	})
	d.do(t, statements...)
	return d
}

func (d *database) do(t testing.TB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := d.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// text asks for one value; NULL and nothing are "".
func (d *database) text(t testing.TB, query string, args ...any) string {
	t.Helper()
	var answer sql.NullString
	if err := d.QueryRow(query, args...).Scan(&answer); err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("%s: %v", query, err)
	}
	return answer.String
}

// counts are the rows of runs, cases and perf_result.
func (d *database) counts(t testing.TB) string {
	t.Helper()
	return d.text(t, "SELECT concat((SELECT count(*) FROM runs), ' ', (SELECT count(*) FROM cases), ' ', (SELECT count(*) FROM perf_result))")
}

func (d *database) wantCounts(t testing.TB, want string) {
	t.Helper()
	if got := d.counts(t); got != want {
		t.Errorf("%s runs, cases and results, want %s", got, want)
	}
}

func (d *database) target() string { return "mysql://" + d.server + "/" + d.name }

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func open(t testing.TB, target string) *trtperfdb.Store {
	t.Helper()
	s, err := trtperfdb.Open(target, upload.Settings{Getenv: environment("TRTPERF_MYSQL_USER", "root"), Table: parse.Metrics()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s upload.Store, items ...upload.Item) []upload.Answer {
	t.Helper()
	answers, err := s.Put(context.Background(), items)
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

// wantAnswers compares outcomes; each reason must hold the text behind the outcome's colon.
func wantAnswers(t testing.TB, got []upload.Answer, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d answers, want %d", len(got), len(want))
	}
	for i, a := range got {
		outcome, reason, _ := strings.Cut(want[i], ":")
		if string(a.Outcome) != outcome || !strings.Contains(a.Reason, reason) {
			t.Errorf("answer %d is %s %q, want %s", i, a.Outcome, a.Reason, want[i])
		}
	}
}

func item(r *parse.Result) upload.Item { return upload.Item{Result: r} }

func TestStore(t *testing.T) {
	server := services.MariaDB(t)
	for _, tables := range []struct {
		name string
		make func(t *testing.T) *database
	}{
		{"as documented", func(t *testing.T) *database { return newDatabase(t, server, documented...) }},
		{"made by init", func(t *testing.T) *database {
			d := newDatabase(t, server)
			if _, err := trtperfdb.Init(t.Context(), d.target(), upload.Settings{Getenv: environment("TRTPERF_MYSQL_USER", "root")}, false); err != nil {
				t.Fatal(err)
			}
			return d
		}},
	} {
		t.Run(tables.name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Opened {
				d := tables.make(t)
				return storetest.Opened{
					Store:     open(t, d.target()),
					ValidOnly: true,
					Count: func(t *testing.T) int {
						var n int
						fmt.Sscan(d.text(t, "SELECT count(*) FROM perf_result"), &n)
						return n
					},
					Field: func(t *testing.T, id, field string) string {
						const from = " FROM perf_result p JOIN cases c ON c.id = p.case_id JOIN runs r ON r.id = p.run_id WHERE p.UUID = ?"
						switch field {
						case "valid":
							return d.text(t, "SELECT 'true'"+from, id)
						case "model":
							_, model, _ := strings.Cut(d.text(t, "SELECT c.cmd"+from, id), "--model=")
							model, _, _ = strings.Cut(model, " ")
							return model
						case "gpu":
							return d.text(t, "SELECT r.gpu"+from, id)
						}
						text := d.text(t, "SELECT JSON_VALUE(p.perf_data, ?)"+from, "$."+parse.Metrics().ByName(field).PerfField, id)
						if _, plain, ok := parse.ParseNumber(text); ok {
							return plain
						}
						return text
					},
				}
			})
		})
	}
}
