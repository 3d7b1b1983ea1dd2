// Package trtperfdb delivers Results to the TRT_perf schema of MySQL and MariaDB, which TensorRT-LLM's trt_perf_parser.py fills: the tables
// runs, cases and perf_result.
//
// # Rows
//
// A Result is a row of perf_result; its UUID is the Result's identity. A case is what was run: format (the framework), network, batch size (the
// client's concurrency), precision and command. A run is all that shares driver, GPU, versions, clocks, notes, commit and link; where there is no
// link, results that are more than twelve hours apart are of different runs, and a run never has two results of one case. A run's row is made
// with its first result.
//
// What was not measured is NULL where the column allows it. Where it demands a text, the empty one stands there; where it demands a number, the
// Result is refused. A text that is longer than its column is refused, but for a case's network and command, which are cut and end in a hash of
// the whole.
//
// # Many writers
//
// The schema has no unique keys. Writers of this package take an advisory lock that is bound to the schema's name, look up what is there, and write
// all that is new in one transaction: runs, cases and results, or nothing. The lock goes with the connection, however that ends.
//
// # Answers
//
// What time or an operator can mend is owed: a server that is down or full, locks, deadlocks, credentials, tables that do not fit. What a Result
// itself is the cause of is refused, and those beside it are stored.
package trtperfdb

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
)

const (
	// lockTime bounds the wait for other writers.
	lockTime = 10 * time.Second
	// unlockTime bounds giving the lock back, after which the connection is given up, and the lock with it.
	unlockTime = 5 * time.Second
	// longestStatement bounds a statement's bytes.
	longestStatement = 1 << 20
)

// Store writes to one schema. It makes one connection.
type Store struct {
	db    *sql.DB
	table *parse.Table
	lock  string // the advisory lock's name
	// schema is what stands in the database; nil until it is looked up, and after the tables turned out to be others.
	schema *schema
	// room is the length of a statement.
	room int
	note func(string)
}

// Open returns a Store. It makes no connection.
func Open(target string, settings upload.Settings) (*Store, error) {
	c, err := config(target, settings)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	sum := sha256.Sum256([]byte(c.DBName))
	table := settings.Table
	if table == nil {
		table = parse.Metrics()
	}
	// The lock is the whole server's, so it is named after the schema. MySQL allows 64 characters.
	return &Store{db: db, table: table, lock: "trtperf " + hex.EncodeToString(sum[:16]), note: settings.Note}, nil
}

// Close closes the connection.
func (s *Store) Close() error { return s.db.Close() }

// Put makes one attempt to write items.
func (s *Store) Put(ctx context.Context, items []upload.Item) ([]upload.Answer, error) {
	answers := make([]upload.Answer, len(items))
	if len(items) == 0 || ctx.Err() != nil {
		return answers, ctx.Err()
	}
	fail := func(err error) ([]upload.Answer, error) {
		for i := range answers {
			answers[i] = s.answer(err)
		}
		return answers, ctx.Err()
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fail(err)
	}
	defer conn.Close()
	if err := s.prepare(ctx, conn); err != nil {
		return fail(err)
	}
	var records []*record
	first := map[string]int{} // item of an identity
	for i, item := range items {
		if _, again := first[item.Result.ID]; again {
			continue
		}
		first[item.Result.ID] = i
		rec := &record{result: item.Result}
		if item.Result.Valid() {
			if rec, err = newRecord(s.schema, s.table, item.Result); err != nil {
				answers[i] = upload.Answer{Outcome: parse.Refused, Reason: err.Error()}
				continue
			}
		}
		rec.index, rec.delivered = i, item.Delivered
		records = append(records, rec)
	}
	if len(records) > 0 {
		if err := s.locked(ctx, conn, func() error { return s.divide(ctx, conn, records, answers) }); err != nil {
			for _, rec := range records {
				if answers[rec.index].Outcome == "" {
					answers[rec.index] = s.answer(err)
				}
			}
		}
	}
	for i, item := range items {
		if f := first[item.Result.ID]; f != i {
			answers[i] = answers[f]
			if answers[i].Outcome == parse.Stored {
				answers[i].Outcome = parse.Present
			}
		}
	}
	return answers, ctx.Err()
}

// prepare looks up the tables, once.
func (s *Store) prepare(ctx context.Context, q querier) error {
	if s.schema != nil {
		return nil
	}
	found, err := lookUp(ctx, q)
	if err != nil {
		return err
	}
	if err := found.check(); err != nil {
		return err
	}
	if s.note != nil && found.rows > manyRows {
		if err := found.lookUpIndexes(ctx, q); err != nil {
			return err
		}
		for _, i := range indexes {
			if !found.isIndexed(i.table, i.column) {
				s.note(fmt.Sprintf("%s.%s has no index, so each batch reads the whole table: trtperf upload init --index makes one", i.table, i.column))
			}
		}
	}
	var packet int
	if err := each(ctx, q, func(scan func(...any) error) error { return scan(&packet) }, "SELECT @@max_allowed_packet"); err != nil {
		return err
	}
	s.schema, s.room = found, min(longestStatement, packet/2)
	return nil
}

// locked runs f under the advisory lock.
func (s *Store) locked(ctx context.Context, conn *sql.Conn, f func() error) error {
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", s.lock, int(lockTime/time.Second)).Scan(&got); err != nil {
		return err
	}
	if got.Int64 != 1 {
		return fmt.Errorf("another writer has held the lock of this schema for %s", lockTime)
	}
	failed := f()
	unlock, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTime)
	defer cancel()
	if _, err := conn.ExecContext(unlock, "DO RELEASE_LOCK(?)", s.lock); err != nil {
		// The lock ends with the connection, which must not be used again.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return failed
}

// divide writes records. Where the server refuses something of them, the halves are written by themselves, down to the Result that it is
// about; that one is refused with the server's reason.
func (s *Store) divide(ctx context.Context, conn *sql.Conn, records []*record, answers []upload.Answer) error {
	given, err := s.write(ctx, conn, records)
	if err == nil {
		for rec, a := range given {
			answers[rec.index] = a
		}
		return nil
	}
	if s.answer(err).Outcome != parse.Refused {
		return err
	}
	if len(records) == 1 {
		answers[records[0].index] = s.answer(err)
		return nil
	}
	for _, half := range [][]*record{records[:len(records)/2], records[len(records)/2:]} {
		for i, rec := range half {
			// What a try has merged is not to be merged again.
			again := &record{result: rec.result}
			if rec.result.Valid() {
				if again, err = newRecord(s.schema, s.table, rec.result); err != nil {
					return err
				}
			}
			again.index, again.delivered = rec.index, rec.delivered
			half[i] = again
		}
		if err := s.divide(ctx, conn, half, answers); err != nil {
			return err
		}
	}
	return nil
}

// faults are the server's errors that say what to do; the others are owed with the server's words. Numbers: those of MySQL and MariaDB.
var faults = map[uint16]struct {
	outcome parse.Outcome
	// advice stands instead of the server's message, or behind it where that is kept.
	advice string
	keep   bool
	// mend: asking again is no use before that.
	mend bool
	// schema: the tables are to be looked up again.
	schema bool
}{
	1044: {outcome: parse.Owed, mend: true, advice: "the user has no right to the schema: grant it SELECT, INSERT, UPDATE and DELETE"},
	1045: {outcome: parse.Owed, mend: true, advice: "the server does not accept the credentials: set " + Variables +
		"; a MariaDB that demands TLS says the same, for which write mysqls:// instead of mysql://"},
	1698: {outcome: parse.Owed, mend: true, advice: "the server does not accept the credentials: set " + Variables},
	1049: {outcome: parse.Owed, mend: true, advice: "the server has no such schema: create it, then trtperf upload init makes the tables"},
	1142: {outcome: parse.Owed, mend: true, advice: "grant the user SELECT, INSERT, UPDATE and DELETE", keep: true},
	1143: {outcome: parse.Owed, mend: true, advice: "grant the user SELECT, INSERT, UPDATE and DELETE", keep: true},
	1251: {outcome: parse.Owed, mend: true, advice: "the server wants a way of authentication that this client has not got", keep: true},
	3159: {outcome: parse.Owed, mend: true, advice: "the server demands TLS: write mysqls:// instead of mysql://"},
	1054: {outcome: parse.Owed, keep: true, schema: true}, // unknown column
	1146: {outcome: parse.Owed, keep: true, schema: true}, // no such table
	1364: {outcome: parse.Owed, keep: true, schema: true}, // no default
	1136: {outcome: parse.Owed, keep: true, schema: true}, // number of columns
	// What is wrong with a row.
	1048: {outcome: parse.Refused, keep: true}, // NULL where none may be
	1062: {outcome: parse.Refused, keep: true}, // a key that is there
	1153: {outcome: parse.Refused, keep: true}, // larger than a packet
	1264: {outcome: parse.Refused, keep: true}, // out of range
	1265: {outcome: parse.Refused, keep: true}, // truncated
	1292: {outcome: parse.Refused, keep: true}, // no such date
	1366: {outcome: parse.Refused, keep: true}, // not in the character set
	1406: {outcome: parse.Refused, keep: true}, // too long
	1451: {outcome: parse.Refused, keep: true}, // referred to
	1452: {outcome: parse.Refused, keep: true}, // refers to nothing
	1644: {outcome: parse.Refused, keep: true}, // a trigger's own
	3140: {outcome: parse.Refused, keep: true}, // no JSON
	3819: {outcome: parse.Refused, keep: true}, // a check
	4025: {outcome: parse.Refused, keep: true}, // a check, MariaDB's
}

// answer is what an error means for everything that it is about. It holds no secret.
func (s *Store) answer(err error) upload.Answer {
	var server *mysql.MySQLError
	var wrong misfit
	var refused refusal
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refused):
		return upload.Answer{Outcome: parse.Refused, Reason: refused.why}
	case errors.As(err, &wrong):
		s.schema = nil
		return upload.Answer{Outcome: parse.Owed, Reason: wrong.why, Mend: true}
	case errors.As(err, &server):
		f, ok := faults[server.Number]
		if !ok {
			f.outcome, f.keep = parse.Owed, true
		}
		if f.schema {
			s.schema = nil
		}
		reason := f.advice
		if f.keep {
			reason = server.Message
			if f.advice != "" {
				reason += ": " + f.advice
			}
		}
		return upload.Answer{Outcome: f.outcome, Reason: fmt.Sprintf("error %d: %s", server.Number, reason), Mend: f.mend}
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn):
		return upload.Answer{Outcome: parse.Owed, Reason: "the connection to the database broke off"}
	case errors.Is(err, mysql.ErrNoTLS):
		return upload.Answer{Outcome: parse.Owed, Reason: "the server has no TLS: write mysql:// instead of mysqls://", Mend: true}
	case errors.Is(err, mysql.ErrPktTooLarge):
		return upload.Answer{Outcome: parse.Refused, Reason: "the result is larger than the server's max_allowed_packet"}
	case errors.As(err, &certificate):
		return upload.Answer{Outcome: parse.Owed, Reason: fmt.Sprintf("TLS: %v: --ca-file names the certificate to trust", err), Mend: true}
	}
	return upload.Answer{Outcome: parse.Owed, Reason: err.Error()}
}

// Init makes the tables in a schema without them and, where index is set, the indexes that are missing on tables that were there.
func Init(ctx context.Context, target string, settings upload.Settings, index bool) (done []string, err error) {
	s, err := Open(target, settings)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, errors.New(s.answer(err).Reason)
	}
	defer conn.Close()
	err = s.locked(ctx, conn, func() error {
		done, err = create(ctx, conn, index)
		return err
	})
	if err != nil {
		err = errors.New(s.answer(err).Reason)
	}
	return done, err
}

// manyRows is the number of results from which a missing index is worth a word.
const manyRows = 100_000

// page is the number of rows that are listed at once.
const page = 1000

// Held lists what the schema holds of trtperf's: the rows with an identity.
func (s *Store) Held(ctx context.Context, yield func(upload.Held) error) error {
	names := map[string]string{}
	for m := range s.table.All() {
		names[m.PerfField] = m.Name
	}
	last := int64(0)
	for {
		var rows []upload.Held
		more := false
		err := each(ctx, s.db, func(scan func(...any) error) error {
			var uuid, data sql.NullString
			if err := scan(&last, &uuid, &data); err != nil {
				return err
			}
			more = true
			if !parse.IsIdentity(uuid.String) {
				return nil
			}
			held := upload.Held{ID: uuid.String, Metrics: map[string]float64{}}
			for field, text := range decode(data.String) {
				if v, _, ok := parse.ParseNumber(text); ok {
					if name, ok := names[field]; ok {
						field = name
					}
					held.Metrics[field] = v
				}
			}
			rows = append(rows, held)
			return nil
		}, fmt.Sprintf("SELECT id, UUID, perf_data FROM perf_result WHERE id > ? ORDER BY id LIMIT %d", page), last)
		if err != nil {
			return errors.New(s.answer(err).Reason)
		}
		if !more {
			return nil
		}
		for _, held := range rows {
			if err := yield(held); err != nil {
				return err
			}
		}
	}
}

// Rowless says that the tables have nothing of a Result's Rows.
func (s *Store) Rowless() {}

// Preview returns the rows of an Item as one object with a member for each table. Without a connection the tables are taken to be as
// Init makes them.
func (s *Store) Preview(item upload.Item) ([]byte, error) {
	known := s.schema
	if known == nil {
		known = newSchema()
		for _, d := range documented {
			known.add(made(d.table, d.column, d.ddl))
		}
	}
	rec, err := newRecord(known, s.table, item.Result)
	if err != nil {
		return nil, err
	}
	if rec.lacks != "" {
		return nil, refusal{rec.lacks}
	}
	run := map[string]any{"start_time": present(moment(rec.start)), "end_time": present(moment(rec.end))}
	for i, f := range runFields {
		run[f.column] = rec.meta[i]
		if c := known.column(runsTable, f.column); c != nil && c.nullable {
			run[f.column] = present(rec.meta[i])
		}
	}
	result := map[string]any{"UUID": item.Result.ID, "perf_data": json.RawMessage(encode(rec.data))}
	for i, f := range numbers {
		result[f.column] = rec.numbers[i]
	}
	return json.Marshal(struct {
		Run    any `json:"runs"`
		Case   any `json:"cases"`
		Result any `json:"perf_result"`
	}{run, map[string]any{"format": rec.of.format, "network": rec.of.network, "batchsize": rec.of.batchsize, "precision": rec.of.precision,
		"cmd": rec.of.cmd}, result})
}

func present(text string) any {
	if text == "" {
		return nil
	}
	return text
}

var (
	_ upload.Store     = (*Store)(nil)
	_ upload.Inventory = (*Store)(nil)
	_ upload.Previewer = (*Store)(nil)
	_ upload.Rowless   = (*Store)(nil)
)
