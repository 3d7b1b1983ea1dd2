package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
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
	all := make([]Committed, len(results))
	err := db.write(ctx, func(tx *sql.Tx) error {
		w := db.newWriter(tx)
		defer w.close()
		for i, r := range results {
			c, err := w.commit(ctx, r)
			if err != nil {
				return fmt.Errorf("result %s from %s: %w", r.ID, r.Source.File, err)
			}
			all[i] = c
			for _, target := range owing.Targets {
				if _, err := w.owe(ctx, target, upload.Order{ID: c.Result.ID, Withhold: owing.Withhold(c.Result)}); err != nil {
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

func (w *writer) commit(ctx context.Context, r *parse.Result) (Committed, error) {
	old, err := w.load(ctx, r.ID)
	if err != nil {
		return Committed{}, err
	}
	if old == nil {
		if err := w.save(ctx, r, true); err != nil {
			return Committed{}, err
		}
		return Committed{Result: r, New: true}, w.addPlaces(ctx, r.ID, places(r))
	}
	known, err := knownPlaces(ctx, w.tx, r.ID)
	if err != nil {
		return Committed{}, err
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
		return c, w.addPlaces(ctx, r.ID, unknown)
	}
	read := *r
	read.Source, read.AlsoIn = old.Source, unknown
	c.Result = parse.Merge(old, &read)
	c.Changed = content(old) != content(c.Result)
	if c.Changed || len(unknown) > 0 {
		if err := w.save(ctx, c.Result, false); err != nil {
			return c, err
		}
	}
	return c, w.addPlaces(ctx, r.ID, unknown)
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

func knownPlaces(ctx context.Context, tx *sql.Tx, id string) (map[string]bool, error) {
	rows, err := tx.QueryContext(ctx, "SELECT place FROM sources WHERE result = ?", id)
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

func (w *writer) addPlaces(ctx context.Context, id string, places []parse.Source) error {
	for _, s := range places {
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if _, err := w.exec(ctx, "INSERT OR IGNORE INTO sources (result, place, source) VALUES (?, ?, ?)", id, place(s), text); err != nil {
			return err
		}
	}
	return nil
}

// load returns a stored Result, or nil.
func (w *writer) load(ctx context.Context, id string) (*parse.Result, error) {
	var document []byte
	err := w.queryRow(ctx, "SELECT document FROM results WHERE id = ?", id).Scan(&document)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return new(decoder).decode(document)
}

// content is a hash over what targets are told of a Result: all but the further places where it was found.
func content(r *parse.Result) string {
	told := *r
	told.AlsoIn = nil
	text, err := json.Marshal(&told)
	if err != nil {
		panic(err) // a Result holds nothing that JSON has no form for
	}
	return hashOf(text)
}

// contentOf is content of a Result whose document is made already.
func contentOf(r *parse.Result, document []byte) string {
	if len(r.AlsoIn) > 0 {
		return content(r)
	}
	return hashOf(document)
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// save writes a Result. What targets had of an earlier state of it they are owed again.
func (w *writer) save(ctx context.Context, r *parse.Result, isNew bool) error {
	document, err := json.Marshal(r)
	if err != nil {
		return err
	}
	now, hash := w.db.timestamp(), contentOf(r, document)
	if _, err := w.exec(ctx, `
		INSERT INTO results (id, test_id, mode, network, server, client, concurrency, status, document, content, first_seen, updated)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET test_id = excluded.test_id, mode = excluded.mode, network = excluded.network,
			server = excluded.server, client = excluded.client, concurrency = excluded.concurrency, status = excluded.status,
			document = excluded.document, content = excluded.content, updated = excluded.updated`,
		r.ID, r.TestID.String(), string(r.Mode), r.Labels.Network, r.Server.Name, r.Client.Name, r.Client.Concurrency, string(r.Status),
		document, hash, now, now); err != nil {
		return err
	}
	if !isNew {
		if _, err := w.exec(ctx, "DELETE FROM metrics WHERE result = ?", r.ID); err != nil {
			return err
		}
		if _, err := w.exec(ctx, "UPDATE outbox SET state = 'owed', updated = ? WHERE result = ? AND state = 'stored' AND sent <> ?",
			now, r.ID, hash); err != nil {
			return err
		}
	}
	if len(r.Metrics) == 0 {
		return nil
	}
	// One statement for all: a Result has some thirty metrics, and each statement has its price.
	values := strings.TrimSuffix(strings.Repeat("(?,?,?,?,?),", len(r.Metrics)), ",")
	args := make([]any, 0, 5*len(r.Metrics))
	for name, v := range r.Metrics {
		args = append(args, r.ID, name, v.Value, v.Text, v.Unit)
	}
	_, err = w.exec(ctx, "INSERT INTO metrics (result, name, value, text, unit) VALUES "+values, args...)
	return err
}

// timestamp is the time in a form that sorts as time does: RFC 3339 with all nine digits.
func (db *DB) timestamp() string { return db.now().UTC().Format("2006-01-02T15:04:05.000000000Z07:00") }
