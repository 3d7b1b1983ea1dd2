package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
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
	all, ahead := make([]Committed, len(results)), encodeAhead(results)
	defer ahead.stop()
	err := db.write(ctx, func(tx *sql.Tx) error {
		w := db.newWriter(tx)
		defer w.close()
		for i, r := range results {
			if err := ctx.Err(); err != nil {
				return err
			}
			number, c, err := w.commit(r, ahead.at(i))
			if err != nil {
				return fmt.Errorf("result %s from %s: %w", r.ID, r.Source.File, err)
			}
			all[i] = c
			for _, name := range owing.Targets {
				target, err := w.target(name)
				if err != nil {
					return err
				}
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
		return number, Committed{Result: r, New: true}, w.addPlaces(number, r.AlsoIn)
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
	known[was.place] = true
	for _, s := range append([]parse.Source{r.Source}, r.AlsoIn...) {
		if !known[place(s)] {
			unknown = append(unknown, s)
		}
	}
	c := Committed{Result: old}
	if place(r.Source) != was.place {
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
		if err := w.changed(number); err != nil {
			return number, c, err
		}
	}
	return number, c, w.addPlaces(number, unknown)
}

// place names a place so that the same one has the same name whatever directory a command ran in.
func place(s parse.Source) string {
	file := s.File
	if abs, err := filepath.Abs(file); err == nil && file != "-" {
		file = abs
	}
	return fmt.Sprintf("%s\x1f%s\x1f%s\x1f%d", file, s.Member, s.Testcase, s.Block)
}

// knownPlaces returns the further places of a Result.
func (w *writer) knownPlaces(number int64) (map[string]bool, error) {
	s, err := w.statement("SELECT place FROM places WHERE result = ?")
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
		if _, err := w.exec("INSERT OR IGNORE INTO places (result, place) VALUES (?, ?)", number, place(s)); err != nil {
			return err
		}
	}
	return nil
}

// stored is a Result as the file has it.
type stored struct {
	*parse.Result
	number         int64
	content, place string
}

// load returns a stored Result.
func (w *writer) load(id string) (stored, error) {
	s, err := w.statement("SELECT number, content, place, document, rows FROM results WHERE id = ?")
	if err != nil {
		return stored{}, err
	}
	var was stored
	var document, rows string
	if err := s.QueryRow(id).Scan(&was.number, &was.content, &was.place, &document, &rows); err != nil {
		return stored{}, err
	}
	was.Result, err = w.decoder.whole(document, rows)
	return was, err
}

// encoded is a Result as the file keeps it.
type encoded struct {
	document, rows string
	// content is a hash over what targets are told of the Result, which is all but the further places where it was found.
	content string
}

func encode(r *parse.Result) encoded {
	whole, err := json.Marshal(r)
	told := whole
	if err == nil && len(r.AlsoIn) > 0 {
		alone := *r
		alone.AlsoIn = nil
		told, err = json.Marshal(&alone)
	}
	if err != nil {
		panic(err) // a Result holds nothing that JSON has no form for
	}
	sum := sha256.Sum256(told)
	e := encoded{content: hex.EncodeToString(sum[:])}
	e.document, e.rows = split(string(whole))
	return e
}

// encoder encodes Results on all processors, while SQLite, which has only one of them, writes those that are ready.
type encoder struct {
	results []*parse.Result
	encoded []encoded
	ready   []chan struct{} // closed when some of them are encoded
	next    atomic.Int64
	working sync.WaitGroup
}

// together is how many Results are encoded before the writer hears of it.
const together = 64

func encodeAhead(results []*parse.Result) *encoder {
	e := &encoder{results: results, encoded: make([]encoded, len(results))}
	for range slices.Chunk(results, together) {
		e.ready = append(e.ready, make(chan struct{}))
	}
	for range min(runtime.GOMAXPROCS(0), len(e.ready)) {
		e.working.Go(func() {
			for n := int(e.next.Add(1)) - 1; n < len(e.ready); n = int(e.next.Add(1)) - 1 {
				for i := n * together; i < min((n+1)*together, len(results)); i++ {
					e.encoded[i] = encode(results[i])
				}
				close(e.ready[n])
			}
		})
	}
	return e
}

// at waits for the i-th Result.
func (e *encoder) at(i int) encoded {
	<-e.ready[i/together]
	return e.encoded[i]
}

// stop returns when no Result is read any more.
func (e *encoder) stop() {
	e.next.Store(int64(len(e.ready)))
	e.working.Wait()
}

// insert writes a Result, if it is new, and returns its number.
func (w *writer) insert(r *parse.Result, e encoded) (number int64, isNew bool, err error) {
	inserted, err := w.exec(`
		INSERT INTO results (id, test_id, mode, network, server, client, concurrency, status, content, place, first_seen, updated, document, rows)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?11, ?11, ?, ?) ON CONFLICT (id) DO NOTHING`,
		r.ID, r.TestID.String(), string(r.Mode), r.Labels.Network, r.Server.Name, r.Client.Name, r.Client.Concurrency, string(r.Status),
		e.content, place(r.Source), w.now, e.document, e.rows)
	if err != nil {
		return 0, false, err
	}
	if n, err := inserted.RowsAffected(); n == 0 || err != nil {
		return 0, false, err
	}
	number, err = inserted.LastInsertId()
	return number, true, err
}

// changed owes a Result again to the targets that had an earlier state of it, and tells deliveries that are on their way that theirs is one.
func (w *writer) changed(number int64) error {
	// Targets are few and entries many: each target's one is looked up.
	_, err := w.exec(`
		UPDATE outbox SET revision = revision + 1, owed_since = iif(state = 'stored', ?1, owed_since), updated = iif(state = 'stored', ?1, updated),
			state = iif(state = 'stored', 'owed', state)
		WHERE target IN (SELECT number FROM targets) AND result = ?2`, w.now, number)
	return err
}

// update writes a Result over what is there.
func (w *writer) update(number int64, r *parse.Result, e encoded) error {
	_, err := w.exec(`
		UPDATE results SET test_id = ?, mode = ?, network = ?, server = ?, client = ?, concurrency = ?, status = ?, content = ?, updated = ?,
			document = ?, rows = ? WHERE number = ?`,
		r.TestID.String(), string(r.Mode), r.Labels.Network, r.Server.Name, r.Client.Name, r.Client.Concurrency, string(r.Status), e.content, w.now,
		e.document, e.rows, number)
	return err
}

// timestamp is the time in a form that sorts as time does: RFC 3339 with all nine digits.
func (db *DB) timestamp() string { return db.now().UTC().Format("2006-01-02T15:04:05.000000000Z07:00") }
