package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
)

// Owe notes for each Result that it is to be delivered to a target, or withheld with a reason. An entry that was withheld or refused
// before is decided anew. It returns the deliveries that are withheld.
func (db *DB) Owe(ctx context.Context, target string, orders []upload.Order) ([]parse.Delivery, error) {
	var withheld []parse.Delivery
	err := db.outbox(ctx, func(tx *sql.Tx) error {
		w := db.newWriter(tx)
		defer w.close()
		result, err := w.statement("SELECT number FROM results WHERE id = ?")
		if err != nil {
			return err
		}
		entry, err := w.statement("SELECT state FROM outbox WHERE target = ? AND result = ?")
		if err != nil {
			return err
		}
		to, err := w.target(target)
		if err != nil {
			return err
		}
		for _, o := range orders {
			var number int64
			if err := result.QueryRow(o.ID).Scan(&number); err != nil {
				return err
			}
			if err := w.owe(to, number, o.Withhold); err != nil {
				return err
			}
			var state parse.Outcome
			if err := entry.QueryRow(to, number).Scan(&state); err != nil {
				return err
			}
			if state == parse.Withheld {
				withheld = append(withheld, parse.Delivery{Target: target, ID: o.ID, Outcome: parse.Withheld, Reason: o.Withhold})
			}
		}
		return nil
	})
	return withheld, err
}

// owe notes that a Result is owed to a target, or withheld for a reason. What a target has is kept up to date, whatever would withhold it now.
func (w *writer) owe(target, number int64, withhold string) error {
	_, err := w.exec(`
		INSERT INTO outbox (target, result, state, reason, updated, owed_since)
		VALUES (?1, ?2, iif(?3 = '', 'owed', 'withheld'), ?3, ?4, iif(?3 = '', ?4, ''))
		ON CONFLICT (target, result) DO UPDATE SET updated = excluded.updated,
			state = iif(sent IS NULL, excluded.state, 'owed'), reason = iif(sent IS NULL, excluded.reason, ''),
			owed_since = CASE WHEN sent IS NULL AND excluded.state = 'withheld' THEN '' WHEN state = 'owed' THEN owed_since ELSE excluded.updated END`,
		target, number, withhold, w.now)
	return err
}

// numberOf is the number of a target in a statement.
const numberOf = "(SELECT number FROM targets WHERE target = ?)"

func (db *DB) outbox(ctx context.Context, f func(*sql.Tx) error) error {
	if err := db.write(ctx, f); err != nil {
		return fmt.Errorf("outbox of %s: %w", db.path, advise(err))
	}
	return nil
}

// Owed returns at most n Items that a target is owed, in the order in which they came, behind a given one. Without rows the Results have no Rows.
// With a maker the Items have what it makes of them in place of Results, each of which is made in the memory of the one before.
func (db *DB) Owed(ctx context.Context, target, behind string, n int, withRows bool, maker func(upload.Item) any) ([]upload.Item, error) {
	wanted := "''"
	if withRows {
		wanted = "r.rows"
	}
	rows, err := db.sql.QueryContext(ctx, `
		SELECT r.number, o.revision, o.sent IS NOT NULL, r.document, `+wanted+` FROM outbox o JOIN results r ON r.number = o.result
		WHERE o.target = `+numberOf+` AND o.state = 'owed' AND o.result > coalesce((SELECT number FROM results WHERE id = ?), 0)
		ORDER BY o.result LIMIT ?`, target, behind, n)
	if err != nil {
		return nil, fmt.Errorf("outbox of %s: %w", db.path, advise(err))
	}
	defer rows.Close()
	items := make([]upload.Item, 0, n)
	var decoder decoder
	for rows.Next() {
		var s state
		var document, itsRows string
		var item upload.Item
		if err := rows.Scan(&s.number, &s.revision, &item.Delivered, &document, &itsRows); err != nil {
			return nil, fmt.Errorf("outbox of %s: %w", db.path, advise(err))
		}
		item.State = s.String()
		item.Result, err = decoder.whole(document, itsRows)
		if err != nil {
			return nil, fmt.Errorf("outbox of %s: %w", db.path, advise(err))
		}
		item.ID = strings.Clone(item.Result.ID) // it is a piece of the document
		if maker != nil {
			item.Made = maker(item)
			decoder.room, item.Result = item.Result, nil
		}
		items = append(items, item)
	}
	return items, db.wrong(rows.Err())
}

// state names a state of a Result: its number and how often it has changed.
type state struct{ number, revision int64 }

func (s state) String() string {
	return string(strconv.AppendInt(append(strconv.AppendInt(nil, s.number, 10), ' '), s.revision, 10))
}

func parseState(text string) (s state, err error) {
	number, revision, _ := strings.Cut(text, " ")
	if s.number, err = strconv.ParseInt(number, 10, 64); err == nil {
		s.revision, err = strconv.ParseInt(revision, 10, 64)
	}
	return s, err
}

// OwedCount returns how many Results a target is owed.
func (db *DB) OwedCount(ctx context.Context, target string) (int, error) {
	return db.count(ctx, target, "state = 'owed'") // as the indexes have it
}

// RefusedCount returns how many Results a target has refused.
func (db *DB) RefusedCount(ctx context.Context, target string) (int, error) {
	return db.count(ctx, target, "state = 'refused'")
}

func (db *DB) count(ctx context.Context, target, condition string) (n int, err error) {
	if err := db.sql.QueryRowContext(ctx, "SELECT count(*) FROM outbox WHERE target = "+numberOf+" AND "+condition, target).Scan(&n); err != nil {
		return 0, fmt.Errorf("outbox of %s: %w", db.path, advise(err))
	}
	return n, nil
}

// Targets returns the names of all targets that the outbox knows, in their order.
func (db *DB) Targets(ctx context.Context) ([]string, error) {
	rows, err := db.sql.QueryContext(ctx, "SELECT target FROM targets ORDER BY target")
	if err != nil {
		return nil, fmt.Errorf("outbox of %s: %w", db.path, advise(err))
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var target string
		if err := rows.Scan(&target); err != nil {
			return nil, err
		}
		all = append(all, target)
	}
	return all, db.wrong(rows.Err())
}

// Version changes when another process, or another DB, writes to the file. Only equality tells anything.
func (db *DB) Version(ctx context.Context) (int, error) {
	var n int
	if err := db.sql.QueryRowContext(ctx, "PRAGMA data_version").Scan(&n); err != nil {
		return 0, fmt.Errorf("outbox of %s: %w", db.path, advise(err))
	}
	return n, nil
}

// Settle notes a store's answers.
func (db *DB) Settle(ctx context.Context, target string, receipts []upload.Receipt) error {
	all := make([]settlement, len(receipts))
	for i, r := range receipts {
		s, err := parseState(r.State)
		if err != nil {
			return fmt.Errorf("outbox of %s: no state of a result: %w", db.path, err)
		}
		all[i] = settlement{s, r.Outcome, r.Reason}
		if r.Outcome == parse.Present {
			all[i].outcome = parse.Stored
		}
	}
	// Of several answers to one Result the last counts.
	slices.SortStableFunc(all, func(a, b settlement) int { return cmp.Compare(a.number, b.number) })
	return db.outbox(ctx, func(tx *sql.Tx) error {
		w := db.newWriter(tx)
		defer w.close()
		to, err := w.target(target)
		if err != nil {
			return err
		}
		for first := 0; first < len(all); {
			// Most are like the one before, of the next Result, and are noted together.
			r, n := all[first], 1
			for ; first+n < len(all) && all[first+n] == r.behind(n); n++ {
			}
			if err := w.settle(to, r, r.number+int64(n)-1); err != nil {
				return err
			}
			first += n
		}
		return nil
	})
}

// settle notes what became of the Results from one to the last.
func (w *writer) settle(target int64, r settlement, last int64) (err error) {
	if r.outcome == parse.Stored {
		// Where the Result has changed since it was sent, the newer state stays owed.
		_, err = w.exec(`UPDATE outbox SET attempts = attempts + 1, reason = ?1, updated = ?2, sent = ?3, state = iif(revision = ?3, 'stored', 'owed')
			WHERE target = ?4 AND result BETWEEN ?5 AND ?6`, r.reason, w.now, r.revision, target, r.number, last)
	} else {
		_, err = w.exec(`UPDATE outbox SET attempts = attempts + 1, reason = ?1, updated = ?2, state = ?3
			WHERE target = ?4 AND result BETWEEN ?5 AND ?6`, r.reason, w.now, string(r.outcome), target, r.number, last)
	}
	return err
}

// settlement is what became of a state of a Result.
type settlement struct {
	state
	outcome parse.Outcome
	reason  string
}

// behind is the same, of the n-th Result behind it.
func (r settlement) behind(n int) settlement {
	r.number += int64(n)
	return r
}

// Retry makes what a target refused owed again, and returns how many Results that are.
func (db *DB) Retry(ctx context.Context, target string) (int, error) {
	changed, err := db.sql.ExecContext(ctx, "UPDATE outbox SET state = 'owed', owed_since = ?1, updated = ?1 WHERE state = 'refused' AND target = "+numberOf, db.timestamp(), target)
	if err != nil {
		return 0, fmt.Errorf("outbox of %s: %w", db.path, advise(err))
	}
	n, err := changed.RowsAffected()
	return int(n), err
}

// TargetStatus is what the outbox knows of one target.
type TargetStatus struct {
	Target                          string
	Stored, Owed, Refused, Withheld int
	// Attempts is the most that one owed or refused Result was tried.
	Attempts int
	// OwedSince is when the oldest owed Result came to be owed; zero where none is.
	OwedSince time.Time
	// LastReason is the reason of the latest delivery that is owed or refused.
	LastReason string
}

// Status returns the state of every target, ordered by name.
func (db *DB) Status(ctx context.Context) ([]TargetStatus, error) {
	rows, err := db.sql.QueryContext(ctx, `
		SELECT t.target, sum(state = 'stored'), sum(state = 'owed'), sum(state = 'refused'), sum(state = 'withheld'),
			coalesce(max(attempts) FILTER (WHERE state IN ('owed', 'refused')), 0),
			coalesce(min(owed_since) FILTER (WHERE state = 'owed' AND owed_since <> ''), ''),
			coalesce((SELECT reason FROM outbox l WHERE l.target = o.target AND l.state IN ('owed', 'refused') AND l.reason <> ''
				ORDER BY l.updated DESC LIMIT 1), '')
		FROM outbox o JOIN targets t ON t.number = o.target GROUP BY o.target ORDER BY t.target`)
	if err != nil {
		return nil, fmt.Errorf("outbox of %s: %w", db.path, advise(err))
	}
	defer rows.Close()
	var all []TargetStatus
	for rows.Next() {
		var s TargetStatus
		var since string
		if err := rows.Scan(&s.Target, &s.Stored, &s.Owed, &s.Refused, &s.Withheld, &s.Attempts, &since, &s.LastReason); err != nil {
			return nil, err
		}
		s.OwedSince, _ = time.Parse(time.RFC3339Nano, since)
		all = append(all, s)
	}
	return all, db.wrong(rows.Err())
}

// Receipt is what the outbox knows of one Result's delivery to one target.
type Receipt struct {
	ID    string
	State parse.Outcome
	// Current: what the target was sent is what the store holds now.
	Current  bool
	Attempts int
	Reason   string
}

// Receipts calls yield for the entries of a target in one of the states, in the order of the Results.
func (db *DB) Receipts(ctx context.Context, target string, state parse.Outcome, yield func(Receipt) error) error {
	behind := ""
	for {
		page, err := db.receipts(ctx, target, state, behind)
		if err != nil {
			return fmt.Errorf("outbox of %s: %w", db.path, advise(err))
		}
		for _, r := range page {
			if err := yield(r); err != nil {
				return err
			}
			behind = r.ID
		}
		if len(page) == 0 {
			return nil
		}
	}
}

// receipts reads some entries, so that the store can be asked of other things between two pages.
func (db *DB) receipts(ctx context.Context, target string, state parse.Outcome, behind string) ([]Receipt, error) {
	rows, err := db.sql.QueryContext(ctx, `
		SELECT r.id, o.sent IS o.revision, o.attempts, o.reason FROM outbox o JOIN results r ON r.number = o.result
		WHERE o.target = `+numberOf+` AND o.state = ? AND o.result > coalesce((SELECT number FROM results WHERE id = ?), 0) ORDER BY o.result LIMIT 1000`, target, string(state), behind)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []Receipt
	for rows.Next() {
		r := Receipt{State: state}
		if err := rows.Scan(&r.ID, &r.Current, &r.Attempts, &r.Reason); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

// OweAgain makes Results that a target is noted to have owed again, as when it has lost them.
func (db *DB) OweAgain(ctx context.Context, target string, ids []string) error {
	return db.outbox(ctx, func(tx *sql.Tx) error {
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, "UPDATE outbox SET state = 'owed', owed_since = ?1, updated = ?1 WHERE result = (SELECT number FROM results WHERE id = ?2) AND target = "+numberOf,
				db.timestamp(), id, target); err != nil {
				return err
			}
		}
		return nil
	})
}

// Put makes the file a target: it merges Results as Commit does.
func (db *DB) Put(ctx context.Context, items []upload.Item) ([]upload.Answer, error) {
	results := make([]*parse.Result, len(items))
	for i, item := range items {
		results[i] = item.Result
	}
	answers := make([]upload.Answer, len(items))
	committed, err := db.Commit(ctx, results)
	for i := range answers {
		switch {
		case err != nil:
			answers[i] = upload.Answer{Outcome: parse.Owed, Reason: err.Error()}
		case committed[i].New || committed[i].Changed:
			answers[i].Outcome = parse.Stored
		default:
			answers[i].Outcome = parse.Present
		}
	}
	return answers, ctx.Err()
}

var (
	_ upload.Store  = (*DB)(nil)
	_ upload.Outbox = (*DB)(nil)
)
