package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trtperf/trtperf/parse"
)

// Filter chooses stored Results; its zero fields choose all.
type Filter struct {
	// Test is a part of the test id.
	Test   string
	Status parse.Status
	// ID is the beginning of an identity.
	ID string
	// Labels are values that a Result must have, by the names of Labels.
	Labels map[string]string
	// After and Before bound the end of the measurement, else its start, else when the store first had the Result.
	After, Before time.Time
}

// labels are the names of what a Result can be chosen by, and where its document has it.
var labels = map[string]string{
	"network": "labels.network", "model": "labels.model", "precision": "labels.precision", "framework": "labels.framework", "command": "labels.command",
	"gpus": "labels.gpus", "tp": "labels.tp", "ep": "labels.ep", "pp": "labels.pp", "cp": "labels.cp",
	"mode": "mode", "server": "server.name", "client": "client.name", "concurrency": "client.concurrency", "isl": "client.isl", "osl": "client.osl",
	"gpu": "system.gpu", "driver": "system.driver", "cuda": "system.cuda", "host": "system.host",
	"trtllm": "job.trtllm", "tensorrt": "job.tensorrt", "commit": "job.commit",
}

// Labels are the names of what a Result can be chosen by.
func Labels() []string { return slices.Sorted(maps.Keys(labels)) }

// where is the filter as a condition, with its arguments.
func (f Filter) where() (string, []any, error) {
	var all []string
	var args []any
	add := func(condition string, values ...any) {
		all, args = append(all, condition), append(args, values...)
	}
	if f.Test != "" {
		add("instr(test_id, ?) > 0", f.Test)
	}
	if f.Status != "" {
		add("status = ?", string(f.Status))
	}
	if f.ID != "" {
		add("substr(id, 1, length(?)) = ?", f.ID, f.ID)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Labels)) {
		path, known := labels[name]
		if !known {
			return "", nil, fmt.Errorf("unknown label %q: write one of %s", name, strings.Join(Labels(), ", "))
		}
		add("CAST(document ->> ? AS TEXT) = ? COLLATE NOCASE", "$."+path, f.Labels[name])
	}
	const measured = "unixepoch(coalesce(document ->> '$.ended_at', document ->> '$.started_at', first_seen), 'subsec')"
	if !f.After.IsZero() {
		add(measured+" >= ?", seconds(f.After))
	}
	if !f.Before.IsZero() {
		add(measured+" < ?", seconds(f.Before))
	}
	if len(all) == 0 {
		return "1", nil, nil
	}
	return strings.Join(all, " AND "), args, nil
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// page is how many Results are read at once. Between two pages the file is free for whoever wants to write to it.
const page = 256

// Results calls yield for the stored Results, ordered by test, server, concurrency, client and identity.
func (db *DB) Results(ctx context.Context, f Filter, yield func(*parse.Result) error) error {
	rows, err := db.find(ctx, f)
	if err != nil {
		return err
	}
	var decoder decoder
	for some := range slices.Chunk(rows, page) {
		results, err := db.read(ctx, some, &decoder)
		if err != nil {
			return db.wrong(err)
		}
		for _, r := range results {
			if err := yield(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// find returns the numbers of the Results that a filter chooses, in order.
func (db *DB) find(ctx context.Context, f Filter) ([]int64, error) {
	where, args, err := f.where()
	if err != nil {
		return nil, err
	}
	rows, err := db.sql.QueryContext(ctx, "SELECT number FROM results WHERE "+where+" ORDER BY test_id, server, concurrency, client, id", args...)
	if err != nil {
		return nil, db.wrong(err)
	}
	defer rows.Close()
	var all []int64
	for rows.Next() {
		var row int64
		if err := rows.Scan(&row); err != nil {
			return nil, db.wrong(err)
		}
		all = append(all, row)
	}
	return all, db.wrong(rows.Err())
}

// read reads Results by their numbers.
func (db *DB) read(ctx context.Context, rows []int64, decoder *decoder) ([]*parse.Result, error) {
	args := make([]any, len(rows))
	for i, row := range rows {
		args[i] = row
	}
	found, err := db.sql.QueryContext(ctx, "SELECT number, document, rows FROM results WHERE number IN (?"+strings.Repeat(",?", len(rows)-1)+")", args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	byRow := map[int64]*parse.Result{}
	for found.Next() {
		var row int64
		var document, rows string
		if err := found.Scan(&row, &document, &rows); err != nil {
			return nil, err
		}
		if byRow[row], err = decoder.whole(document, rows); err != nil {
			return nil, err
		}
	}
	var results []*parse.Result
	for _, row := range rows {
		if r := byRow[row]; r != nil {
			results = append(results, r)
		}
	}
	return results, found.Err()
}

// Result returns one stored Result; nil where the store has none of that identity.
func (db *DB) Result(ctx context.Context, id string) (*parse.Result, error) {
	var document, rows string
	err := db.sql.QueryRowContext(ctx, "SELECT document, rows FROM results WHERE id = ?", id).Scan(&document, &rows)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, db.wrong(err)
	}
	r, err := new(decoder).whole(document, rows)
	return r, db.wrong(err)
}

// wrong says of an error in which file it came up; nil stays nil.
func (db *DB) wrong(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("local store %s: %w", db.path, advise(err))
}
