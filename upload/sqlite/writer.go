package sqlite

import "database/sql"

// writer is one transaction with the statements that were prepared in it: making one takes longer than carrying it out. The statements have
// no context of their own, which would cost each a goroutine: the transaction ends with its context anyway.
type writer struct {
	tx       *sql.Tx
	now      string
	prepared map[string]*sql.Stmt
	targets  map[string]int64 // their numbers
	decoder  decoder
}

func (db *DB) newWriter(tx *sql.Tx) *writer {
	return &writer{tx: tx, now: db.timestamp(), prepared: map[string]*sql.Stmt{}, targets: map[string]int64{}}
}

// statement prepares a statement, once; the writer closes it.
func (w *writer) statement(text string) (*sql.Stmt, error) {
	if s, ok := w.prepared[text]; ok {
		return s, nil
	}
	s, err := w.tx.Prepare(text)
	if err == nil {
		w.prepared[text] = s
	}
	return s, err
}

func (w *writer) exec(text string, args ...any) (sql.Result, error) {
	s, err := w.statement(text)
	if err != nil {
		return nil, err
	}
	return s.Exec(args...)
}

// target returns a target's number. A new target gets one.
func (w *writer) target(name string) (int64, error) {
	if number, ok := w.targets[name]; ok {
		return number, nil
	}
	if _, err := w.exec("INSERT INTO targets (target) VALUES (?) ON CONFLICT DO NOTHING", name); err != nil {
		return 0, err
	}
	s, err := w.statement("SELECT number FROM targets WHERE target = ?")
	if err != nil {
		return 0, err
	}
	var number int64
	err = s.QueryRow(name).Scan(&number)
	w.targets[name] = number
	return number, err
}

func (w *writer) close() {
	for _, s := range w.prepared {
		s.Close() //nolint:errcheck // the transaction's end tells of its errors
	}
}
