package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/trtperf/trtperf/parse"
)

// Committed is what became of one Result.
type Committed struct {
	// Result is the merged one: all that the store knows of the measurement.
	Result *parse.Result
	New    bool
	// Changed says that the merged Result differs from what the store had.
	Changed bool
	// Known is the place that the store has the Result from, where this reading's is another one; nil otherwise.
	Known *parse.Source
	// Disagrees is the test that the store has for the Result, where this reading names another one; the reading is then not
	// merged.
	Disagrees parse.TestID
}

// Commit adds Results, in one transaction, and merges them with what is known. The readings that they come from are remembered with
// them. Nothing of it is in the file if it fails.
func (db *DB) Commit(ctx context.Context, results []*parse.Result, readings ...parse.Reading) ([]Committed, error) {
	return db.CommitOwing(ctx, Owing{}, results, readings...)
}

// Owing says to which targets the Results of a commit are owed.
type Owing struct {
	Targets []string
	// Withhold says why a Result is not delivered; empty means that it is.
	Withhold func(*parse.Result) string
}

// CommitOwing is Commit, and in the same transaction owes the merged Results to targets: whatever happens afterwards, no Result is in the file
// without being owed.
func (db *DB) CommitOwing(ctx context.Context, owing Owing, results []*parse.Result, readings ...parse.Reading) ([]Committed, error) {
	all, encoded := make([]Committed, len(results)), encodeAll(results)
	err := db.write(ctx, func(tx *sql.Tx) error {
		w := db.newWriter(tx)
		defer w.close()
		for i, r := range results {
			if err := ctx.Err(); err != nil {
				return err
			}
			number, c, err := w.commit(r, encoded[i])
			if err != nil {
				return fmt.Errorf("result %s from %s: %w", r.ID, r.Source.File, err)
			}
			all[i] = c
			for _, target := range owing.Targets {
				if err := w.owe(target, number, owing.Withhold(c.Result)); err != nil {
					return err
				}
			}
		}
		return remember(ctx, tx, readings)
	})
	if err != nil {
		return nil, fmt.Errorf("local store %s: nothing of this run was stored: %w", db.path, advise(err))
	}
	return all, nil
}

// commit writes one Result and returns its number.
func (w *writer) commit(r *parse.Result, e encoded) (int64, Committed, error) {
	// Most are new.
	number, isNew, err := w.insert(r, e)
	if err != nil {
		return 0, Committed{}, err
	}
	if isNew {
		return number, Committed{Result: r, New: true}, w.addPlaces(number, places(r))
	}
	was, err := w.load(r.ID)
	if err != nil {
		return 0, Committed{}, err
	}
	number = was.number
	old := was.Result
	known, err := w.knownPlaces(number)
	if err != nil {
		return number, Committed{}, err
	}
	var unknown []parse.Source
	for _, s := range places(r) {
		if !known[place(s)] {
			unknown = append(unknown, s)
		}
	}
	c := Committed{Result: old}
	if place(r.Source) != place(old.Source) {
		c.Known = &old.Source
	}
	if !old.TestID.IsZero() && !r.TestID.IsZero() && !old.TestID.SameTest(r.TestID) {
		c.Disagrees = old.TestID
		return number, c, w.addPlaces(number, unknown)
	}
	read := *r
	read.Source, read.AlsoIn = old.Source, unknown
	c.Result = parse.Merge(old, &read)
	merged := encode(c.Result)
	c.Changed = merged.content != was.content
	if c.Changed || len(unknown) > 0 {
		if err := w.update(number, c.Result, merged); err != nil {
			return number, c, err
		}
	}
	if c.Changed {
		if err := w.changed(number, merged.content); err != nil {
			return number, c, err
		}
	}
	return number, c, w.addPlaces(number, unknown)
}

// places are all places that a Result was read from.
func places(r *parse.Result) []parse.Source {
	return append([]parse.Source{r.Source}, r.AlsoIn...)
}

// place names a place so that the same one has the same name whatever directory a command ran in.
func place(s parse.Source) string {
	file := s.File
	if abs, err := filepath.Abs(file); err == nil && file != "-" {
		file = abs
	}
	return fmt.Sprintf("%s\x1f%s\x1f%s\x1f%d", file, s.Member, s.Testcase, s.Block)
}

func (w *writer) knownPlaces(number int64) (map[string]bool, error) {
	s, err := w.statement("SELECT place FROM sources WHERE result = ?")
	if err != nil {
		return nil, err
	}
	rows, err := s.Query(number)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[string]bool{}
	for rows.Next() {
		var at string
		if err := rows.Scan(&at); err != nil {
			return nil, err
		}
		known[at] = true
	}
	return known, rows.Err()
}

func (w *writer) addPlaces(number int64, places []parse.Source) error {
	for _, s := range places {
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if _, err := w.exec("INSERT OR IGNORE INTO sources (result, place, source) VALUES (?, ?, ?)", number, place(s), text); err != nil {
			return err
		}
	}
	return nil
}

// stored is a Result as the file has it.
type stored struct {
	*parse.Result
	number  int64
	content string
}

// load returns a stored Result.
func (w *writer) load(id string) (stored, error) {
	s, err := w.statement("SELECT number, content, document FROM results WHERE id = ?")
	if err != nil {
		return stored{}, err
	}
	var was stored
	var document []byte
	if err := s.QueryRow(id).Scan(&was.number, &was.content, &document); err != nil {
		return stored{}, err
	}
	was.Result, err = w.decoder.decode(document)
	return was, err
}

// encoded is a Result as the file keeps it.
type encoded struct {
	document []byte
	// content is a hash over what targets are told of the Result, which is all but the further places where it was found.
	content string
}

func encode(r *parse.Result) encoded {
	document, err := json.Marshal(r)
	told := document
	if err == nil && len(r.AlsoIn) > 0 {
		alone := *r
		alone.AlsoIn = nil
		told, err = json.Marshal(&alone)
	}
	if err != nil {
		panic(err) // a Result holds nothing that JSON has no form for
	}
	sum := sha256.Sum256(told)
	return encoded{document, hex.EncodeToString(sum[:])}
}

// encodeAll encodes Results on all processors: SQLite has only one of them.
func encodeAll(results []*parse.Result) []encoded {
	all := make([]encoded, len(results))
	const few = 16
	if len(results) < few {
		for i, r := range results {
			all[i] = encode(r)
		}
		return all
	}
	var next atomic.Int64
	var working sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(results); i = int(next.Add(1)) - 1 {
				all[i] = encode(results[i])
			}
		})
	}
	working.Wait()
	return all
}

// insert writes a Result, if it is new, and returns its number.
func (w *writer) insert(r *parse.Result, e encoded) (number int64, isNew bool, err error) {
	inserted, err := w.exec(`
		INSERT INTO results (id, test_id, mode, network, server, client, concurrency, status, document, content, first_seen, updated)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?11, ?11) ON CONFLICT (id) DO NOTHING`,
		r.ID, r.TestID.String(), string(r.Mode), r.Labels.Network, r.Server.Name, r.Client.Name, r.Client.Concurrency, string(r.Status),
		e.document, e.content, w.now)
	if err != nil {
		return 0, false, err
	}
	if n, err := inserted.RowsAffected(); n == 0 || err != nil {
		return 0, false, err
	}
	if number, err = inserted.LastInsertId(); err != nil {
		return 0, false, err
	}
	return number, true, w.addMetrics(number, r)
}

// changed owes a Result again to the targets that had an earlier state of it, and tells deliveries that are on their way that theirs is one.
func (w *writer) changed(number int64, content string) error {
	// Targets are few and entries many: each target's one is looked up.
	_, err := w.exec(`
		WITH RECURSIVE targets (target) AS (
			SELECT min(target) FROM outbox UNION ALL
			SELECT (SELECT min(o.target) FROM outbox o WHERE o.target > t.target) FROM targets t WHERE t.target IS NOT NULL)
		UPDATE outbox SET revision = revision + 1,
			owed_since = iif(state = 'stored' AND sent <> ?3, ?1, owed_since), updated = iif(state = 'stored' AND sent <> ?3, ?1, updated),
			state = iif(state = 'stored' AND sent <> ?3, 'owed', state)
		WHERE target IN (SELECT target FROM targets) AND result = ?2`, w.now, number, content)
	return err
}

// update writes a Result over what is there.
func (w *writer) update(number int64, r *parse.Result, e encoded) error {
	for _, s := range []struct {
		text string
		args []any
	}{
		{`UPDATE results SET test_id = ?, mode = ?, network = ?, server = ?, client = ?, concurrency = ?, status = ?, document = ?, content = ?, updated = ?
			WHERE number = ?`, []any{r.TestID.String(), string(r.Mode), r.Labels.Network, r.Server.Name, r.Client.Name, r.Client.Concurrency,
			string(r.Status), e.document, e.content, w.now, number}},
		{"DELETE FROM metrics WHERE result = ?", []any{number}},
	} {
		if _, err := w.exec(s.text, s.args...); err != nil {
			return err
		}
	}
	return w.addMetrics(number, r)
}

func (w *writer) addMetrics(number int64, r *parse.Result) error {
	n := len(r.Metrics)
	if n == 0 {
		return nil
	}
	// One statement for all: a Result has some thirty metrics, and each statement has its price.
	args := append(make([]any, 0, 1+4*n), number)
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		v := r.Metrics[name]
		args = append(args, name, v.Value, v.Text, v.Unit)
	}
	_, err := w.exec("INSERT INTO metrics (result, name, value, text, unit) VALUES (?1,?,?,?,?)"+strings.Repeat(",(?1,?,?,?,?)", n-1), args...)
	return err
}

// timestamp is the time in a form that sorts as time does: RFC 3339 with all nine digits.
func (db *DB) timestamp() string { return db.now().UTC().Format("2006-01-02T15:04:05.000000000Z07:00") }
