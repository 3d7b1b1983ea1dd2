package sqlite

import (
	"context"
	"database/sql"
)

// writer is one transaction with the statements that were prepared in it: making one takes longer than carrying it out.
type writer struct {
	db       *DB
	tx       *sql.Tx
	prepared map[string]*sql.Stmt
}

func (db *DB) newWriter(tx *sql.Tx) *writer {
	return &writer{db: db, tx: tx, prepared: map[string]*sql.Stmt{}}
}

func (w *writer) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if s, ok := w.prepared[text]; ok {
		return s, nil
	}
	s, err := w.tx.PrepareContext(ctx, text)
	if err == nil {
		w.prepared[text] = s
	}
	return s, err
}

func (w *writer) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	s, err := w.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// row is an answer of one row, or why there is none.
type row struct {
	*sql.Row
	err error
}

// Scan reads the row's columns.
func (r row) Scan(into ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.Row.Scan(into...)
}

func (w *writer) queryRow(ctx context.Context, text string, args ...any) row {
	s, err := w.statement(ctx, text)
	if err != nil {
		return row{err: err}
	}
	return row{Row: s.QueryRowContext(ctx, args...)}
}

func (w *writer) close() {
	for _, s := range w.prepared {
		s.Close() //nolint:errcheck // the transaction's end tells of its errors
	}
}
