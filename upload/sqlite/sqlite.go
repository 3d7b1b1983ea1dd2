// Package sqlite keeps Results in an SQLite file. Such a file is the local store of every command, with the outbox from which
// targets are served, and it can be a target itself.
//
// # Tables
//
// "results" has a row for each identity, with the columns that people filter by and the whole Result as JSON, in the form of its
// event. "metrics" has its numbers, NULL nowhere, since a metric that was not measured has no row. "sources" has every place that
// a Result was read from. "outbox" has, for each target and Result, what became of the delivery. "readings" has what runs held when they were
// read, so that unchanged ones need not be read again.
//
// # Safety
//
// The Results of a run are committed in one transaction, with the file synced, before anything is delivered. The rollback journal is
// used and not the write-ahead log, since that needs shared memory and so breaks on network file systems. Several processes
// may use one file: a writer waits for the others.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// schemaVersion is the version of the tables, which the file keeps as its user_version.
var schemaVersion = len(migrations)

// migrations make the tables of each version out of those of the one before.
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
`}

// DB is an open store.
type DB struct {
	path string
	sql  *sql.DB
}

// Open opens the store in a file and creates it, with the directory, where it is not there.
func Open(ctx context.Context, path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("local store: %w: choose another place with --db or -o", err)
	}
	return open(ctx, path, "rwc")
}

// OpenExisting opens a store that must be there.
func OpenExisting(ctx context.Context, path string) (*DB, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no store at %s: name one with --db, or make one with trtperf process: %w", path, err)
	}
	return open(ctx, path, "rw")
}

// OpenToRead opens a store that must be there and writes nothing to it, not even the tables of a newer version.
func OpenToRead(ctx context.Context, path string) (*DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("no store at %s: name one with --db: %w", path, err)
	}
	return open(ctx, path, "ro")
}

// longestWait is how long another process's lock is waited for.
const longestWait = 30 * time.Second

func open(ctx context.Context, path, mode string) (*DB, error) {
	return openWaiting(ctx, path, mode, longestWait)
}

func openWaiting(ctx context.Context, path, mode string, wait time.Duration) (*DB, error) {
	busy := fmt.Sprintf("busy_timeout(%d)", wait.Milliseconds())
	lock, pragmas := "immediate", []string{busy, "journal_mode(DELETE)", "synchronous(FULL)", "foreign_keys(ON)", "cache_size(-16000)", "trusted_schema(OFF)"}
	if mode == "ro" {
		lock, pragmas = "deferred", []string{busy, "trusted_schema(OFF)"}
	}
	address := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"mode":    {mode},
		"_txlock": {lock},
		"_pragma": pragmas,
	}.Encode()}
	handle, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, fmt.Errorf("local store %s: %w", path, err)
	}
	handle.SetMaxOpenConns(1)
	db := &DB{path: path, sql: handle}
	if err := db.migrate(ctx, mode == "ro"); err != nil {
		handle.Close()
		return nil, fmt.Errorf("local store %s: %w (--db names another file)", path, advise(err))
	}
	return db, nil
}

// migrate makes the tables in a new file and refuses a file that a later trtperf wrote, or somebody else.
func (db *DB) migrate(ctx context.Context, readOnly bool) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		var version, tables int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
			return err
		}
		switch {
		case version == schemaVersion:
			return nil
		case version > schemaVersion:
			return fmt.Errorf("written by a later trtperf (schema %d, this one knows %d): use that one", version, schemaVersion)
		case version == 0 && tables > 0:
			return errors.New("an SQLite file of another program")
		case readOnly:
			return fmt.Errorf("written by an earlier trtperf (schema %d, this one has %d): any command that writes to it brings it up to date", version, schemaVersion)
		}
		for _, step := range migrations[version:] {
			if _, err := tx.ExecContext(ctx, step); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
		return err
	})
}

// write runs f in a transaction that holds the file's write lock from its start.
func (db *DB) write(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

// advice says what to do about SQLite's errors.
var advice = []struct {
	code int
	text string
}{
	{codes.SQLITE_FULL, "make room, or choose another file with --db, and run again"},
	{codes.SQLITE_IOERR, "make room or mend the disk, or choose another file with --db, and run again"},
	{codes.SQLITE_BUSY, "another program has held the file for too long: wait for it or end it, and run again"},
	{codes.SQLITE_READONLY, "make the file and its folder writable, or choose another file with --db"},
	{codes.SQLITE_CANTOPEN, "make its folder writable, or choose another file with --db"},
	{codes.SQLITE_PERM, "make the file writable, or choose another file with --db"},
	{codes.SQLITE_CORRUPT, "the file is damaged: move it away and run again over the inputs; the sqlite3 shell's .recover saves what is left in it"},
	{codes.SQLITE_NOTADB, "the file is damaged, or no store at all: move it away and run again over the inputs"},
}

// advise adds to an error of SQLite what to do about it.
func advise(err error) error {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		for _, a := range advice {
			if e.Code()&0xff == a.code { // the rest of a code is detail
				return fmt.Errorf("%w: %s", err, a.text)
			}
		}
	}
	return err
}

// ignoreDone drops the error of a transaction that has ended already, as with its context.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// Close closes the store.
func (db *DB) Close() error { return db.sql.Close() }
