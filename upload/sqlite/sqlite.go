// Package sqlite keeps Results in an SQLite file. Such a file is the local store of every command, with the outbox from which
// targets are served, and it can be a target itself.
//
// # Tables
//
// "results" has a row for each identity, with the columns that people filter by and the Result as JSON, in the form of its event; the rows of
// its block, which few ask for, are the last column. Its numbers are what the other tables know a Result by. "places" has the further places that
// a Result was read from. "targets" has the targets, and "outbox", for each target and Result, what became of the delivery. "readings" has what runs
// held when they were read, so that unchanged ones need not be read again.
//
// "metrics" is a view of the documents, so that the two cannot differ. NULL stands nowhere, since a metric that was not measured has no row.
//
// # Safety
//
// The Results of a run are committed in one transaction, with the file synced, before anything is delivered. The rollback journal is
// used and not the write-ahead log, since that needs shared memory and so breaks on network file systems. Several processes
// may use one file: a writer waits for the others.
package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// schemaVersion is the version of the tables, which the file keeps as its user_version.
var schemaVersion = len(migrations)

// migrations make the tables of each version out of those of the one before. Once a version has been released its step stays as it is:
// what it lacked is made good by a later one.
var migrations = []string{`
CREATE TABLE results (
  id          TEXT PRIMARY KEY,           -- the identity, 64 hex digits
  test_id     TEXT NOT NULL,              -- '' where no test is known
  mode        TEXT NOT NULL,
  network     TEXT NOT NULL,
  server      TEXT NOT NULL,
  client      TEXT NOT NULL,
  concurrency INTEGER,
  status      TEXT NOT NULL,
  document    TEXT NOT NULL,              -- the Result as JSON
  content     TEXT NOT NULL,              -- SHA-256 of the document without its further places
  first_seen  TEXT NOT NULL,
  updated     TEXT NOT NULL
);
CREATE INDEX results_test ON results (test_id);
CREATE TABLE metrics (
  result TEXT NOT NULL REFERENCES results (id),
  name   TEXT NOT NULL,
  value  REAL NOT NULL,
  text   TEXT NOT NULL,                   -- as printed
  unit   TEXT NOT NULL,
  PRIMARY KEY (result, name)
) WITHOUT ROWID;
CREATE TABLE sources (
  result TEXT NOT NULL REFERENCES results (id),
  place  TEXT NOT NULL,                   -- absolute path, archive member, test case and block
  source TEXT NOT NULL,                   -- the same as JSON, as it was given
  PRIMARY KEY (result, place)
) WITHOUT ROWID;
CREATE TABLE outbox (
  target   TEXT NOT NULL,
  result   TEXT NOT NULL REFERENCES results (id),
  state    TEXT NOT NULL,                 -- owed, stored, refused, withheld
  attempts INTEGER NOT NULL DEFAULT 0,
  reason   TEXT NOT NULL DEFAULT '',
  sent     TEXT NOT NULL DEFAULT '',      -- the content that the target has
  updated  TEXT NOT NULL,
  PRIMARY KEY (target, result)
) WITHOUT ROWID;
CREATE INDEX outbox_state ON outbox (target, state);
`, `
CREATE TABLE readings (
  place  TEXT PRIMARY KEY,                -- a run's files and the settings with which they were read
  beside TEXT NOT NULL,                   -- JSON list of further files on which its results depend
  mark   TEXT NOT NULL,                   -- changes when one of the files does
  run    BLOB NOT NULL                    -- what the run held: JSON, zstd
) WITHOUT ROWID;
`, `
ALTER TABLE outbox ADD COLUMN owed_since TEXT NOT NULL DEFAULT ''; -- when it came to be owed, as it is now
UPDATE outbox SET owed_since = updated WHERE state = 'owed';
`, `
-- Results get numbers, by which the other tables know them. Identities are spread over all of a table, so that each of them touched pages
-- of its own; numbers come one behind the other.
DROP INDEX results_test;
DROP INDEX outbox_state;
ALTER TABLE results RENAME TO old_results;
ALTER TABLE metrics RENAME TO old_metrics;
ALTER TABLE sources RENAME TO old_sources;
ALTER TABLE outbox RENAME TO old_outbox;
CREATE TABLE results (
  number      INTEGER PRIMARY KEY,        -- in the order in which they came
  id          TEXT NOT NULL UNIQUE,       -- the identity, 64 hex digits
  test_id     TEXT NOT NULL,              -- '' where no test is known
  mode        TEXT NOT NULL,
  network     TEXT NOT NULL,
  server      TEXT NOT NULL,
  client      TEXT NOT NULL,
  concurrency INTEGER,
  status      TEXT NOT NULL,
  document    TEXT NOT NULL,              -- the Result as JSON
  content     TEXT NOT NULL,              -- SHA-256 of the document without its further places
  first_seen  TEXT NOT NULL,
  updated     TEXT NOT NULL
);
CREATE INDEX results_test ON results (test_id);
CREATE TABLE metrics (
  result INTEGER NOT NULL REFERENCES results (number),
  name   TEXT NOT NULL,
  value  REAL NOT NULL,
  text   TEXT NOT NULL,                   -- as printed
  unit   TEXT NOT NULL,
  PRIMARY KEY (result, name)
) WITHOUT ROWID;
CREATE TABLE sources (
  result INTEGER NOT NULL REFERENCES results (number),
  place  TEXT NOT NULL,                   -- absolute path, archive member, test case and block
  source TEXT NOT NULL,                   -- the same as JSON, as it was given
  PRIMARY KEY (result, place)
) WITHOUT ROWID;
CREATE TABLE outbox (
  target     TEXT NOT NULL,
  result     INTEGER NOT NULL REFERENCES results (number),
  state      TEXT NOT NULL,               -- owed, stored, refused, withheld
  attempts   INTEGER NOT NULL DEFAULT 0,
  reason     TEXT NOT NULL DEFAULT '',
  sent       TEXT NOT NULL DEFAULT '',    -- the content that the target has
  updated    TEXT NOT NULL,
  owed_since TEXT NOT NULL DEFAULT '',    -- when it came to be owed, as it is now
  PRIMARY KEY (target, result)
) WITHOUT ROWID;
CREATE INDEX outbox_owed ON outbox (target, result) WHERE state = 'owed';
INSERT INTO results (id, test_id, mode, network, server, client, concurrency, status, document, content, first_seen, updated)
  SELECT id, test_id, mode, network, server, client, concurrency, status, document, content, first_seen, updated FROM old_results ORDER BY first_seen, id;
INSERT INTO metrics SELECT r.number, m.name, m.value, m.text, m.unit FROM old_metrics m JOIN results r ON r.id = m.result;
INSERT INTO sources SELECT r.number, s.place, s.source FROM old_sources s JOIN results r ON r.id = s.result;
INSERT INTO outbox SELECT o.target, r.number, o.state, o.attempts, o.reason, o.sent, o.updated, o.owed_since FROM old_outbox o JOIN results r ON r.id = o.result;
DROP TABLE old_metrics;
DROP TABLE old_sources;
DROP TABLE old_outbox;
DROP TABLE old_results;
`, `
ALTER TABLE outbox ADD COLUMN revision INTEGER NOT NULL DEFAULT 0; -- counts how often the Result has changed
`, `
-- What stood twice stands once: metrics in the document alone, the first place beside it, a target's name in a table of its own, and what a
-- target has as a revision. Rows that stand in documents already stay there.
DROP INDEX results_test;
DROP INDEX outbox_owed;
DROP TABLE metrics;
ALTER TABLE results RENAME TO old_results;
ALTER TABLE sources RENAME TO old_sources;
ALTER TABLE outbox RENAME TO old_outbox;
CREATE TABLE results (
  number      INTEGER PRIMARY KEY,        -- in the order in which they came
  id          TEXT NOT NULL UNIQUE,       -- the identity, 64 hex digits
  test_id     TEXT NOT NULL,              -- '' where no test is known
  mode        TEXT NOT NULL,
  network     TEXT NOT NULL,
  server      TEXT NOT NULL,
  client      TEXT NOT NULL,
  concurrency INTEGER,
  status      TEXT NOT NULL,
  content     TEXT NOT NULL,              -- SHA-256 of the whole Result as JSON, without its further places
  place       TEXT NOT NULL,              -- where it was read from first: absolute path, archive member, test case and block
  first_seen  TEXT NOT NULL,
  updated     TEXT NOT NULL,
  document    TEXT NOT NULL,              -- the Result as JSON, without its rows
  rows        TEXT NOT NULL               -- the rows of its block as a JSON list; '' where there are none, or they stand in the document
);
CREATE TABLE places (
  result INTEGER NOT NULL REFERENCES results (number),
  place  TEXT NOT NULL,                   -- a further one
  PRIMARY KEY (result, place)
) WITHOUT ROWID;
CREATE TABLE targets (
  number INTEGER PRIMARY KEY,
  target TEXT NOT NULL UNIQUE
);
CREATE TABLE outbox (
  target     INTEGER NOT NULL REFERENCES targets (number),
  result     INTEGER NOT NULL REFERENCES results (number),
  state      TEXT NOT NULL,               -- owed, stored, refused, withheld
  attempts   INTEGER NOT NULL DEFAULT 0,
  reason     TEXT NOT NULL DEFAULT '',
  revision   INTEGER NOT NULL DEFAULT 0,  -- counts how often the Result has changed
  sent       INTEGER,                     -- the revision that the target has; NULL: none
  updated    TEXT NOT NULL,
  owed_since TEXT NOT NULL DEFAULT '',    -- when it came to be owed, as it is now
  PRIMARY KEY (target, result)
) WITHOUT ROWID;
CREATE INDEX outbox_owed ON outbox (target, result) WHERE state = 'owed';
INSERT INTO results SELECT number, id, test_id, mode, network, server, client, concurrency, status, content,
  coalesce((SELECT place FROM old_sources s WHERE s.result = r.number AND CAST(s.source AS TEXT) = CAST(r.document AS TEXT) -> '$.source'), ''),
  first_seen, updated, CAST(document AS TEXT), '' FROM old_results r;
INSERT INTO places SELECT s.result, s.place FROM old_sources s JOIN results r ON r.number = s.result WHERE s.place <> r.place;
INSERT INTO targets (target) SELECT DISTINCT target FROM old_outbox ORDER BY target;
INSERT INTO outbox SELECT t.number, o.result, o.state, o.attempts, o.reason, o.revision,
  CASE o.sent WHEN '' THEN NULL WHEN r.content THEN o.revision ELSE o.revision - 1 END, o.updated, o.owed_since
  FROM old_outbox o JOIN targets t ON t.target = o.target JOIN results r ON r.number = o.result;
DROP TABLE old_sources;
DROP TABLE old_outbox;
DROP TABLE old_results;
CREATE VIEW metrics AS SELECT r.number AS result, m.key AS name, CAST(m.value ->> '$.value' AS REAL) AS value, m.value ->> '$.text' AS text,
  coalesce(m.value ->> '$.unit', '') AS unit FROM results r, json_each(r.document, '$.metrics') m;
`, `
-- How many were refused is asked before each delivery, and nearly always there are none.
CREATE INDEX outbox_refused ON outbox (target, result) WHERE state = 'refused';
`}

// DB is an open store.
type DB struct {
	path string
	sql  *sql.DB
	// version is that of the file's tables.
	version int
	// now is the clock. What it says is for people: which state of a Result is the newer one is told by revisions, never by times.
	now func() time.Time
}

// DefaultWait is how long a store waits for other processes that use its file.
const DefaultWait = 30 * time.Second

// Option is something about how a store is opened.
type Option func(*options)

type options struct {
	wait time.Duration
	now  func() time.Time
}

// Wait sets how long the store waits for other processes that use its file.
func Wait(d time.Duration) Option { return func(o *options) { o.wait = d } }

// Open opens the store in a file and creates it, with the directory, where it is not there.
func Open(ctx context.Context, path string, options ...Option) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("local store: %w: choose another place with --db or -o", err)
	}
	return open(ctx, path, "rwc", options)
}

// OpenExisting opens a store that must be there, for reading alone where it cannot be written.
func OpenExisting(ctx context.Context, path string, options ...Option) (*DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("no store at %s: name one with --db, or make one with trtperf process: %w", path, err)
	}
	db, err := open(ctx, path, "rw", options)
	switch code(err) {
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return open(ctx, path, "ro", options)
	}
	return db, err
}

// OpenToRead opens a store that must be there and writes nothing to it, not even the tables of a newer version.
func OpenToRead(ctx context.Context, path string, options ...Option) (*DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("no store at %s: name one with --db: %w", path, err)
	}
	return open(ctx, path, "ro", options)
}

// Clock sets the clock; the system's else.
func Clock(now func() time.Time) Option { return func(o *options) { o.now = now } }

func open(ctx context.Context, path, mode string, set []Option) (*DB, error) {
	o := options{wait: DefaultWait, now: time.Now}
	for _, option := range set {
		option(&o)
	}
	pragmas := []string{fmt.Sprintf("busy_timeout(%d)", o.wait.Milliseconds()), "trusted_schema(OFF)"}
	if mode != "ro" {
		pragmas = append(pragmas, "journal_mode(DELETE)", "synchronous(FULL)", "foreign_keys(ON)", "cache_size(-4000)")
	}
	address := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"mode":    {mode},
		"_txlock": {"immediate"},
		"_pragma": pragmas,
	}.Encode()}
	handle, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, fmt.Errorf("local store %s: %w", path, err)
	}
	handle.SetMaxOpenConns(1)
	db := &DB{path: path, sql: handle, now: o.now}
	if err := db.prepare(ctx, mode == "ro"); err != nil {
		handle.Close()
		return nil, fmt.Errorf("local store %s: %w (--db names another file)", path, advise(err))
	}
	return db, nil
}

// prepare looks at the tables, without keeping others from writing, and makes those that lack. It refuses a file that a later trtperf
// wrote, or somebody else.
func (db *DB) prepare(ctx context.Context, readOnly bool) error {
	err := db.check(ctx, db.sql)
	switch {
	case err != nil || db.version == schemaVersion:
		return err
	case readOnly:
		return fmt.Errorf("written by an earlier trtperf (schema %d, this one has %d): any command that writes to it brings it up to date", db.version, schemaVersion)
	}
	// While tables are made anew, references to them need not hold.
	if _, err := db.sql.ExecContext(ctx, "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON"); err != nil {
		return err
	}
	err = db.write(ctx, func(tx *sql.Tx) error {
		// Another process may have been faster.
		if err := db.check(ctx, tx); err != nil {
			return err
		}
		for _, step := range migrations[db.version:] {
			if _, err := tx.ExecContext(ctx, step); err != nil {
				return err
			}
		}
		db.version = schemaVersion
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
		return err
	})
	if err == nil {
		_, err = db.sql.ExecContext(ctx, "PRAGMA foreign_keys = ON; PRAGMA legacy_alter_table = OFF")
	}
	return err
}

// check notes the version of the tables.
func (db *DB) check(ctx context.Context, ask interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) error {
	var tables int
	if err := ask.QueryRowContext(ctx, "SELECT user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_user_version").Scan(&db.version, &tables); err != nil {
		return err
	}
	switch {
	case db.version > schemaVersion:
		return fmt.Errorf("written by a later trtperf (schema %d, this one knows %d): use that one", db.version, schemaVersion)
	case db.version == 0 && tables > 0:
		return errors.New("an SQLite file of another program")
	}
	return nil
}

// write runs f in a transaction that holds the file's write lock from its start.
func (db *DB) write(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // SQLite has done so itself after many errors, and says so; err is what matters
		return cmp.Or(ctx.Err(), err)
	}
	return tx.Commit()
}

// advice says what to do about SQLite's errors, by primary result code.
var advice = map[int]string{
	sqlite3.SQLITE_FULL:     "make room, or choose another file with --db, and run again",
	sqlite3.SQLITE_IOERR:    "make room or mend the disk, or choose another file with --db, and run again",
	sqlite3.SQLITE_BUSY:     "another program has held the file for too long: wait for it or end it, or wait longer with --db-wait, and run again",
	sqlite3.SQLITE_READONLY: "make the file and its folder writable, or choose another file with --db",
	sqlite3.SQLITE_CANTOPEN: "make its folder writable, or choose another file with --db",
	sqlite3.SQLITE_PERM:     "make the file writable, or choose another file with --db",
	sqlite3.SQLITE_CORRUPT:  "the file is damaged: move it away and run again over the inputs; the sqlite3 shell's .recover saves what is left in it",
	sqlite3.SQLITE_NOTADB:   "the file is damaged, or no store at all: move it away and run again over the inputs",
}

// advise adds to an error of SQLite what to do about it.
func advise(err error) error {
	if text, ok := advice[code(err)]; ok {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// Failed reports whether an error is one of a store's file, of the disk below it or of who else holds it, and not of trtperf.
func Failed(err error) bool {
	_, known := advice[code(err)]
	return known
}

// code is SQLite's primary result code, without its detail; 0 for an error that is none of SQLite's.
func code(err error) int {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// Close closes the store.
func (db *DB) Close() error { return db.sql.Close() }
