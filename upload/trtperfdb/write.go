package trtperfdb

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
)

// longestGap is the time between two results of one run, where nothing but the time tells runs apart.
const longestGap = 12 * time.Hour

// work is one transaction.
type work struct {
	tx     *sql.Tx
	schema *schema
	// room is the length of a statement.
	room int
	// made are the cases that this transaction made, so that nothing else has them.
	made map[int64]bool
}

// write puts records into the tables, in one transaction, and returns an answer for each. Nothing of it stands there if it fails.
func (s *Store) write(ctx context.Context, conn *sql.Conn, records []*record) (map[*record]upload.Answer, error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	w := &work{tx: tx, schema: s.schema, room: s.room, made: map[int64]bool{}}
	answers, err := w.do(ctx, records)
	if err != nil {
		// A transaction whose connection is gone has ended already.
		_ = tx.Rollback()
		return nil, err
	}
	return answers, tx.Commit()
}

func (w *work) do(ctx context.Context, records []*record) (map[*record]upload.Answer, error) {
	answers := map[*record]upload.Answer{}
	old, err := w.standing(ctx, records)
	if err != nil {
		return nil, err
	}
	var remove []*standing
	var fresh, known, changed []*record
	for _, rec := range records {
		there := old[rec.result.ID]
		answers[rec] = upload.Answer{Outcome: parse.Stored}
		switch {
		case !rec.result.Valid() && there != nil:
			remove = append(remove, there)
		case !rec.result.Valid() && rec.delivered:
			answers[rec] = upload.Answer{Outcome: parse.Present} // taken out by an earlier try
		case !rec.result.Valid():
			answers[rec] = upload.Answer{Outcome: parse.Refused, Reason: "the result is failed, and TRT_perf has no column to say so"}
		case there == nil && rec.lacks != "":
			answers[rec] = upload.Answer{Outcome: parse.Refused, Reason: rec.lacks}
		case there == nil:
			fresh = append(fresh, rec)
		default:
			known = append(known, rec)
			if rec.merge(there) {
				changed = append(changed, rec)
			} else {
				answers[rec] = upload.Answer{Outcome: parse.Present}
			}
		}
	}
	if err := w.remove(ctx, remove); err != nil {
		return nil, err
	}
	if err := w.resolveCases(ctx, slices.Concat(fresh, changed)); err != nil {
		return nil, err
	}
	for _, rec := range known {
		if rec.caseID == 0 {
			rec.caseID = rec.old.caseID
		}
	}
	moved, err := w.resolveRuns(ctx, fresh, known)
	if err != nil {
		return nil, err
	}
	for _, rec := range moved {
		if answers[rec].Outcome == parse.Present {
			answers[rec] = upload.Answer{Outcome: parse.Stored}
			if rec.runID != rec.old.runID {
				changed = append(changed, rec)
			}
		}
	}
	if err := w.insert(ctx, fresh); err != nil {
		return nil, err
	}
	return answers, w.update(ctx, changed)
}

// standing looks the records' identities up. Where an identity stands twice, the older row counts.
func (w *work) standing(ctx context.Context, records []*record) (map[string]*standing, error) {
	found := map[string]*standing{}
	ids := make([]any, len(records))
	for i, rec := range records {
		ids[i] = rec.result.ID
	}
	list := []string{"p.id", "p.run_id", "p.case_id", "p.UUID", "p.perf_data", "c.format", "c.network", "c.`precision`", "c.cmd", "c.batchsize"}
	list = append(list, w.list("r", runsTable, "start_time", "end_time")...)
	for _, f := range runFields {
		list = append(list, w.list("r", runsTable, f.column)...)
	}
	for _, f := range numbers {
		list = append(list, w.list("p", resultsTable, f.column)...)
	}
	query := "SELECT " + strings.Join(list, ", ") + " FROM perf_result p LEFT JOIN cases c ON c.id = p.case_id LEFT JOIN runs r ON r.id = p.run_id" +
		" WHERE p.UUID IN (?" + strings.Repeat(", ?", len(ids)-1) + ") ORDER BY p.id DESC"
	return found, each(ctx, w.tx, func(scan func(...any) error) error {
		var st standing
		var uuid string
		var data, format, network, precision, cmd, start, end sql.NullString
		var batchsize sql.NullInt64
		var texts [len(runFields)]sql.NullString
		var floats [len(numbers)]sql.NullFloat64
		into := []any{&st.id, &st.runID, &st.caseID, &uuid, &data, &format, &network, &precision, &cmd, &batchsize, &start, &end}
		for i := range texts {
			into = append(into, &texts[i])
		}
		for i := range floats {
			into = append(into, &floats[i])
		}
		if err := scan(into...); err != nil {
			return err
		}
		st.of = benchCase{format.String, network.String, precision.String, cmd.String, batchsize.Int64}
		st.data, st.start, st.end = decode(data.String), instant(start.String), instant(end.String)
		for i, t := range texts {
			st.meta[i] = t.String
		}
		for i, f := range floats {
			if f.Valid {
				st.numbers[i] = &f.Float64
			}
		}
		found[uuid] = &st
		return nil
	}, query, ids...)
}

// list returns the columns of a table for a SELECT, NULL for those that the table has not got.
func (w *work) list(alias, table string, names ...string) []string {
	var all []string
	for _, name := range names {
		if w.schema.column(table, name) == nil {
			all = append(all, "NULL")
		} else {
			all = append(all, alias+".`"+name+"`")
		}
	}
	return all
}

// instant reads a datetime; one that is none, as 0000-00-00, is unknown.
func instant(text string) time.Time {
	t, err := time.Parse(time.DateTime, text[:min(len(text), len(time.DateTime))])
	if err != nil {
		return time.Time{}
	}
	return t
}

// remove takes results out, and runs that are empty then.
func (w *work) remove(ctx context.Context, old []*standing) error {
	if len(old) == 0 {
		return nil
	}
	var ids []any
	runs := map[int64]bool{}
	for _, st := range old {
		ids = append(ids, st.id)
		runs[st.runID] = true
	}
	if _, err := w.tx.ExecContext(ctx, "DELETE FROM perf_result WHERE id IN "+marks(len(ids)), ids...); err != nil {
		return err
	}
	return w.removeEmpty(ctx, runs)
}

func (w *work) removeEmpty(ctx context.Context, runs map[int64]bool) error {
	var ids []any
	for id := range runs {
		ids = append(ids, id)
	}
	_, err := w.tx.ExecContext(ctx, "DELETE FROM runs WHERE id IN "+marks(len(ids))+
		" AND NOT EXISTS (SELECT 1 FROM perf_result p WHERE p.run_id = runs.id)", ids...)
	return err
}

func marks(n int) string { return "(?" + strings.Repeat(", ?", n-1) + ")" }

// resolveCases gives each record the id of its case, and makes the cases that are not there.
func (w *work) resolveCases(ctx context.Context, records []*record) error {
	wanted := map[benchCase]int64{}
	var order []benchCase
	for _, rec := range records {
		if _, ok := wanted[rec.of]; !ok {
			wanted[rec.of] = 0
			order = append(order, rec.of)
		}
	}
	if len(order) == 0 {
		return nil
	}
	if err := w.lookUpCases(ctx, order, wanted); err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(order), func(c benchCase) bool { return wanted[c] != 0 })
	if len(missing) > 0 {
		var last sql.NullInt64
		if err := each(ctx, w.tx, func(scan func(...any) error) error { return scan(&last) }, "SELECT MAX(id) FROM cases"); err != nil {
			return err
		}
		var rows [][]any
		for _, c := range missing {
			rows = append(rows, []any{c.format, c.network, c.batchsize, c.precision, c.cmd})
		}
		if _, err := w.insertRows(ctx, casesTable, []string{"format", "network", "batchsize", "precision", "cmd"}, rows, ""); err != nil {
			return err
		}
		// Ids of rows that were inserted together need not follow one another (clusters step), so they are asked for.
		if err := w.readCases(ctx, wanted, "id > ?", last.Int64); err != nil {
			return err
		}
		for _, c := range missing {
			w.made[wanted[c]] = true
		}
	}
	for _, rec := range records {
		if rec.caseID = wanted[rec.of]; rec.caseID == 0 {
			return fmt.Errorf("the case of %s was inserted and is not found", rec.result.ID)
		}
	}
	return nil
}

// lookUpCases looks cases up by their networks. Collations ignore letter case and blanks at the end, so what they find is compared here,
// byte by byte. Of equal cases the first counts.
func (w *work) lookUpCases(ctx context.Context, cases []benchCase, wanted map[benchCase]int64) error {
	names := map[string]bool{}
	for _, c := range cases {
		names[c.network] = true
	}
	networks := slices.Sorted(maps.Keys(names))
	for len(networks) > 0 {
		n, size := 0, 0
		for n < len(networks) && (n == 0 || size < w.room) {
			size += 2*len(networks[n]) + len("'', ")
			n++
		}
		some := networks[:n]
		if err := w.readCases(ctx, wanted, w.schema.column(casesTable, "network").compared("network", some...)+" IN "+marks(n), anys(some)...); err != nil {
			return err
		}
		networks = networks[n:]
	}
	return nil
}

// readCases notes the ids of wanted cases among the rows that a condition chooses.
func (w *work) readCases(ctx context.Context, wanted map[benchCase]int64, condition string, args ...any) error {
	return each(ctx, w.tx, func(scan func(...any) error) error {
		var id int64
		var c benchCase
		if err := scan(&id, &c.format, &c.network, &c.batchsize, &c.precision, &c.cmd); err != nil {
			return err
		}
		if known, ok := wanted[c]; ok && (known == 0 || id < known) {
			wanted[c] = id
		}
		return nil
	}, "SELECT id, format, network, batchsize, `precision`, cmd FROM cases WHERE "+condition, args...)
}

func anys(texts []string) []any {
	all := make([]any, len(texts))
	for i, t := range texts {
		all[i] = t
	}
	return all
}

// insertRows inserts rows in as few statements as their size allows. A further column that demands a text gets the empty one. behind is what
// stands behind the rows. It returns the id of the last statement's first row.
func (w *work) insertRows(ctx context.Context, table string, names []string, rows [][]any, behind string) (id int64, _ error) {
	names = slices.Clone(names)
	given := len(names)
	for _, c := range w.schema.columns[table] {
		if c.kind == textKind && !c.filled && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, c.name) }) {
			names = append(names, c.name)
		}
	}
	head := fmt.Sprintf("INSERT INTO `%s` (`%s`) VALUES ", table, strings.Join(names, "`, `"))
	row := "(?" + strings.Repeat(", ?", given-1) + strings.Repeat(", ''", len(names)-given) + ")"
	for len(rows) > 0 {
		n, size := 0, len(head)+len(behind)
		var args []any
		for n < len(rows) {
			for _, v := range rows[n] {
				size += 25 // the longest number, with its comma
				if text, ok := v.(string); ok {
					size += 2 * len(text) // as if every byte were escaped
				}
			}
			if n > 0 && size > w.room {
				break
			}
			args = append(args, rows[n]...)
			n++
		}
		done, err := w.tx.ExecContext(ctx, head+row+strings.Repeat(", "+row, n-1)+behind, args...)
		if err != nil {
			return 0, err
		}
		if id, err = done.LastInsertId(); err != nil {
			return 0, err
		}
		rows = rows[n:]
	}
	return id, nil
}

// resultColumns are the columns of perf_result that are written.
func (w *work) resultColumns() []string {
	names := []string{"UUID", "case_id", "run_id", "perf_data"}
	for _, f := range numbers {
		if w.schema.column(resultsTable, f.column) != nil {
			names = append(names, f.column)
		}
	}
	return names
}

func (w *work) resultRow(rec *record) []any {
	row := []any{rec.result.ID, rec.caseID, rec.runID, encode(rec.data)}
	for i, f := range numbers {
		if w.schema.column(resultsTable, f.column) == nil {
			continue
		}
		if v := rec.numbers[i]; v != nil {
			row = append(row, *v)
		} else {
			row = append(row, nil)
		}
	}
	return row
}

func (w *work) insert(ctx context.Context, records []*record) error {
	var rows [][]any
	for _, rec := range records {
		rows = append(rows, w.resultRow(rec))
	}
	_, err := w.insertRows(ctx, resultsTable, w.resultColumns(), rows, "")
	return err
}

// update writes known results anew, by their ids.
func (w *work) update(ctx context.Context, records []*record) error {
	if len(records) == 0 {
		return nil
	}
	var rows [][]any
	left := map[int64]bool{}
	for _, rec := range records {
		rows = append(rows, append([]any{rec.old.id}, w.resultRow(rec)...))
		if rec.runID != rec.old.runID {
			left[rec.old.runID] = true
		}
	}
	names := w.resultColumns()
	var set []string
	for _, name := range names {
		set = append(set, fmt.Sprintf("`%s` = VALUES(`%s`)", name, name))
	}
	behind := " ON DUPLICATE KEY UPDATE " + strings.Join(set, ", ")
	if _, err := w.insertRows(ctx, resultsTable, append([]string{"id"}, names...), rows, behind); err != nil {
		return err
	}
	if len(left) == 0 {
		return nil
	}
	return w.removeEmpty(ctx, left)
}

// group are records that share a run's row.
type group struct {
	meta       meta
	start, end time.Time
	records    []*record
	// id is the row, 0 where it is to be made.
	id int64
	// rowStart and rowEnd are what stands in the row.
	rowStart, rowEnd time.Time
}

// resolveRuns gives each record its run. A known result whose run's row lacks something that is known now has it filled in, if that holds for
// all results of the row; else it moves to another row. It returns the known ones whose run has changed.
func (w *work) resolveRuns(ctx context.Context, fresh, known []*record) ([]*record, error) {
	var changed, moving []*record
	byRun := map[int64][]*record{}
	differing := map[int64]bool{}
	for _, rec := range known {
		rec.runID = rec.old.runID
		byRun[rec.runID] = append(byRun[rec.runID], rec)
		if rec.meta != rec.old.meta {
			differing[rec.runID] = true
		}
	}
	members, err := w.count(ctx, differing)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(byRun)) {
		records := byRun[id]
		first := records[0]
		alike := !slices.ContainsFunc(records, func(r *record) bool { return r.meta != first.meta })
		g := &group{meta: first.meta, records: records, id: id, rowStart: first.old.start, rowEnd: first.old.end}
		if differing[id] && (!alike || members[id] != len(records)) {
			g.meta, g.records = first.old.meta, nil
			for _, rec := range records {
				if rec.meta != rec.old.meta {
					moving = append(moving, rec)
				} else {
					g.records = append(g.records, rec)
				}
			}
		}
		if len(g.records) == 0 {
			continue
		}
		touched, err := w.refresh(ctx, g, first.old.meta)
		if err != nil {
			return nil, err
		}
		if touched {
			changed = append(changed, g.records...)
		}
	}
	return append(changed, moving...), w.place(ctx, slices.Concat(fresh, moving))
}

// count returns how many results runs have.
func (w *work) count(ctx context.Context, runs map[int64]bool) (map[int64]int, error) {
	n := map[int64]int{}
	if len(runs) == 0 {
		return n, nil
	}
	var ids []any
	for id := range runs {
		ids = append(ids, id)
	}
	return n, each(ctx, w.tx, func(scan func(...any) error) error {
		var id int64
		var results int
		if err := scan(&id, &results); err != nil {
			return err
		}
		n[id] = results
		return nil
	}, "SELECT run_id, COUNT(*) FROM perf_result WHERE run_id IN "+marks(len(ids))+" GROUP BY run_id", ids...)
}

// refresh writes a group's row anew where it differs: what is known of the run, and the times, which only grow apart.
func (w *work) refresh(ctx context.Context, g *group, row meta) (bool, error) {
	g.start, g.end = g.rowStart, g.rowEnd
	for _, rec := range g.records {
		g.stretch(rec)
	}
	var set []string
	var args []any
	for i, f := range runFields {
		if g.meta[i] != row[i] {
			set, args = append(set, "`"+f.column+"` = ?"), append(args, g.meta[i])
		}
	}
	for _, t := range []struct {
		column   string
		new, old time.Time
	}{{"start_time", g.start, g.rowStart}, {"end_time", g.end, g.rowEnd}} {
		if w.schema.column(runsTable, t.column) != nil && !t.new.Equal(t.old) {
			set, args = append(set, t.column+" = ?"), append(args, t.new.Format(time.DateTime))
		}
	}
	if len(set) == 0 {
		return false, nil
	}
	_, err := w.tx.ExecContext(ctx, "UPDATE runs SET "+strings.Join(set, ", ")+" WHERE id = ?", append(args, g.id)...)
	return true, err
}

func (g *group) stretch(rec *record) {
	if g.start.IsZero() || !rec.start.IsZero() && rec.start.Before(g.start) {
		g.start = rec.start
	}
	if rec.end.After(g.end) {
		g.end = rec.end
	}
}

// place finds or makes runs for records. A run's results share all that is known of it; where no link tells, they are near in time; and none
// has the case of another one.
func (w *work) place(ctx context.Context, records []*record) error {
	if len(records) == 0 {
		return nil
	}
	groups := gather(records)
	candidates, err := w.candidates(ctx, groups)
	if err != nil {
		return err
	}
	for _, g := range groups {
		// The runs of a link are one build's, from the first on; those without one are more likely the latest.
		some := candidates[g.meta]
		if g.meta[linkField] == "" {
			slices.Reverse(some)
		}
		for _, c := range some {
			if c.fits(g) {
				g.id, g.rowStart, g.rowEnd = c.id, c.start, c.end
				if _, err := w.refresh(ctx, g, g.meta); err != nil {
					return err
				}
				c.start, c.end = g.start, g.end
				for _, rec := range g.records {
					c.cases[rec.caseID] = true
				}
				break
			}
		}
		if g.id == 0 {
			if err := w.makeRun(ctx, g); err != nil {
				return err
			}
		}
		for _, rec := range g.records {
			rec.runID = g.id
		}
	}
	return nil
}

// gather makes groups of records, in the order of their first ones.
func gather(records []*record) []*group {
	byMeta := map[meta][]*record{}
	var order []meta
	for _, rec := range records {
		if byMeta[rec.meta] == nil {
			order = append(order, rec.meta)
		}
		byMeta[rec.meta] = append(byMeta[rec.meta], rec)
	}
	var groups []*group
	for _, m := range order {
		sorted := byMeta[m]
		slices.SortStableFunc(sorted, func(a, b *record) int { return a.begin().Compare(b.begin()) })
		var open []*group
		seen := map[*group]map[int64]bool{}
		for _, rec := range sorted {
			i := slices.IndexFunc(open, func(g *group) bool { return g.near(rec) && !seen[g][rec.caseID] })
			if i < 0 {
				g := &group{meta: m, start: rec.start, end: rec.end}
				open, i = append(open, g), len(open)
				seen[g] = map[int64]bool{}
			}
			g := open[i]
			g.records = append(g.records, rec)
			g.stretch(rec)
			seen[g][rec.caseID] = true
		}
		groups = append(groups, open...)
	}
	return groups
}

// begin is when the measurement began, or ended where that is not known.
func (rec *record) begin() time.Time {
	if rec.start.IsZero() {
		return rec.end
	}
	return rec.start
}

// near reports whether a record may share the group's run as to time.
func (g *group) near(rec *record) bool {
	return g.meta[linkField] != "" || near(g.start, g.end, rec.start, rec.end)
}

// near reports whether two spans are at most longestGap apart. A span of which nothing is known is near another such one only.
func near(start, end, otherStart, otherEnd time.Time) bool {
	bounds := func(a, b time.Time) (time.Time, time.Time) {
		if a.IsZero() {
			a = b
		}
		if b.IsZero() {
			b = a
		}
		return a, b
	}
	start, end = bounds(start, end)
	otherStart, otherEnd = bounds(otherStart, otherEnd)
	if start.IsZero() || otherStart.IsZero() {
		return start.IsZero() && otherStart.IsZero()
	}
	return !otherStart.After(end.Add(longestGap)) && !start.After(otherEnd.Add(longestGap))
}

// candidate is a run's row of ours that results may join.
type candidate struct {
	id         int64
	start, end time.Time
	cases      map[int64]bool
}

func (c *candidate) fits(g *group) bool {
	if g.meta[linkField] == "" && !near(c.start, c.end, g.start, g.end) {
		return false
	}
	return !slices.ContainsFunc(g.records, func(rec *record) bool { return c.cases[rec.caseID] })
}

// maxCandidates bounds the rows that are looked at for one kind of run: the latest.
const maxCandidates = 200

// candidates looks up the runs with results of ours that equal groups in all but the times, in the order of their ids.
func (w *work) candidates(ctx context.Context, groups []*group) (map[meta][]*candidate, error) {
	found := map[meta][]*candidate{}
	wanted := map[meta]bool{}
	for _, g := range groups {
		wanted[g.meta] = true
	}
	list := append([]string{"r.id"}, w.list("r", runsTable, "start_time", "end_time")...)
	for _, f := range runFields {
		list = append(list, w.list("r", runsTable, f.column)...)
	}
	byID := map[int64]*candidate{}
	var ids []any
	for m := range wanted {
		var terms []string
		var args []any
		for i, f := range runFields {
			c := w.schema.column(runsTable, f.column)
			switch {
			case c == nil:
			case m[i] == "":
				terms = append(terms, fmt.Sprintf("(r.`%s` IS NULL OR r.`%s` = '')", f.column, f.column))
			default:
				terms, args = append(terms, c.compared("r.`"+f.column+"`", m[i])+" = ?"), append(args, m[i])
			}
		}
		terms = append(terms, "EXISTS (SELECT 1 FROM perf_result p WHERE p.run_id = r.id AND CHAR_LENGTH(p.UUID) = 64)")
		err := each(ctx, w.tx, func(scan func(...any) error) error {
			c := &candidate{cases: map[int64]bool{}}
			var start, end sql.NullString
			var texts [len(runFields)]sql.NullString
			into := []any{&c.id, &start, &end}
			for i := range texts {
				into = append(into, &texts[i])
			}
			if err := scan(into...); err != nil {
				return err
			}
			var row meta
			for i, t := range texts {
				row[i] = t.String
			}
			if row != m { // equal for the collation alone
				return nil
			}
			c.start, c.end = instant(start.String), instant(end.String)
			found[m] = append(found[m], c)
			byID[c.id], ids = c, append(ids, c.id)
			return nil
		}, fmt.Sprintf("SELECT %s FROM runs r WHERE %s ORDER BY r.id DESC LIMIT %d", strings.Join(list, ", "), strings.Join(terms, " AND "), maxCandidates), args...)
		if err != nil {
			return nil, err
		}
		slices.Reverse(found[m])
	}
	cases := map[int64]bool{}
	for _, g := range groups {
		for _, rec := range g.records {
			if !w.made[rec.caseID] {
				cases[rec.caseID] = true
			}
		}
	}
	if len(ids) == 0 || len(cases) == 0 {
		return found, nil
	}
	runs := len(ids)
	for id := range cases {
		ids = append(ids, id)
	}
	return found, each(ctx, w.tx, func(scan func(...any) error) error {
		var run, of int64
		if err := scan(&run, &of); err != nil {
			return err
		}
		byID[run].cases[of] = true
		return nil
	}, "SELECT run_id, case_id FROM perf_result WHERE run_id IN "+marks(runs)+" AND case_id IN "+marks(len(cases)), ids...)
}

// makeRun makes a group's row.
func (w *work) makeRun(ctx context.Context, g *group) error {
	var names []string
	var row []any
	for _, c := range w.schema.columns[runsTable] {
		text := ""
		switch i := slices.IndexFunc(runFields[:], func(f runField) bool { return strings.EqualFold(f.column, c.name) }); {
		case i >= 0:
			text = g.meta[i]
		case strings.EqualFold(c.name, "start_time"):
			text = moment(g.start)
		case strings.EqualFold(c.name, "end_time"):
			text = moment(g.end)
		default:
			continue // the server's value; what demands a text gets the empty one
		}
		names = append(names, c.name)
		if text == "" && c.nullable {
			row = append(row, nil)
		} else {
			row = append(row, text)
		}
	}
	if len(names) == 0 {
		return misfit{"the table runs has no column that trtperf knows"}
	}
	id, err := w.insertRows(ctx, runsTable, names, [][]any{row}, "")
	if err == nil && id == 0 {
		err = misfit{"the table runs gave the new row no id: runs.id must count by itself"}
	}
	g.id = id
	return err
}

// moment is a datetime's text; empty where it is not known.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateTime)
}
