package trtperfdb

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The tables.
const (
	runsTable    = "runs"
	casesTable   = "cases"
	resultsTable = "perf_result"
)

// documented are the tables as trt_perf_parser.py's documentation has them, and how Init makes them. What differs from it: commit_time, which
// that script fills and the documentation lacks; an empty cudnn where that script gives none; DOUBLE for numbers instead of FLOAT(16,6), which
// keeps seven digits; and gpu_time may be absent. A column that is needed must be there in tables that are served.
var documented = []struct {
	table, column, ddl string
	needed             bool
}{
	{runsTable, "id", "int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY", true},
	{runsTable, "start_time", "datetime NULL", false},
	{runsTable, "end_time", "datetime NULL", false},
	{runsTable, "driver", "varchar(150) NOT NULL", false},
	{runsTable, "cuda", "varchar(150) NOT NULL", false},
	{runsTable, "cudnn", "varchar(150) NOT NULL DEFAULT ''", false},
	{runsTable, "tensorrt", "varchar(150) NOT NULL", false},
	{runsTable, "gpu", "varchar(150) NOT NULL", false},
	{runsTable, "graphic_freq", "varchar(150) NOT NULL", false},
	{runsTable, "memory_freq", "varchar(150) NOT NULL", false},
	{runsTable, "cpu", "varchar(150) NULL", false},
	{runsTable, "cl", "varchar(150) NULL", false},
	{runsTable, "os", "varchar(150) NOT NULL", false},
	{runsTable, "notes", "varchar(2000) NULL", false},
	{runsTable, "cublas", "varchar(150) NULL", false},
	{runsTable, "link", "varchar(2000) NULL", false},
	{runsTable, "vbios", "varchar(150) NULL", false},
	{runsTable, "trtllm", "varchar(150) NULL", false},
	{runsTable, "commit_time", "varchar(150) NULL", false},
	{casesTable, "id", "int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY", true},
	{casesTable, "cmd", "varchar(2000) NOT NULL", true},
	{casesTable, "batchsize", "int unsigned NOT NULL", true},
	{casesTable, "format", "varchar(150) NOT NULL", true},
	{casesTable, "network", "varchar(150) NOT NULL", true},
	{casesTable, "precision", "varchar(50) NOT NULL", true},
	{resultsTable, "id", "int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY", true},
	{resultsTable, "UUID", "varchar(1500) NULL", true},
	{resultsTable, "case_id", "int unsigned NOT NULL", true},
	{resultsTable, "run_id", "int unsigned NOT NULL", true},
	{resultsTable, "gpu_time", "double NULL", false},
	{resultsTable, "total_time", "double NULL", false},
	{resultsTable, "fp16_vs_fp32", "double NULL", false},
	{resultsTable, "int8_vs_fp16", "double NULL", false},
	{resultsTable, "int8_vs_fp32", "double NULL", false},
	{resultsTable, "build_time", "double NULL", false},
	{resultsTable, "perf_data", "json NULL", true},
	{resultsTable, "perf_baseline", "json NULL", false},
	{resultsTable, "throughput", "double NULL", false},
	{resultsTable, "log", "longtext NULL", false},
}

// indexes are those that the look-ups ask for. A prefix bounds those of long texts; an identity has 64 characters.
var indexes = []struct {
	table, column string
	prefix        int
}{
	{resultsTable, "UUID", 64}, {resultsTable, "run_id", 0}, {resultsTable, "case_id", 0}, {casesTable, "network", 150},
}

// kind is what a column holds, as far as that matters here.
type kind int

const (
	textKind kind = iota
	numberKind
	timeKind
)

// kinds are the types of information_schema.columns; any other is a text.
var kinds = map[string]kind{
	"tinyint": numberKind, "smallint": numberKind, "mediumint": numberKind, "int": numberKind, "bigint": numberKind, "float": numberKind,
	"double": numberKind, "decimal": numberKind, "date": timeKind, "datetime": timeKind, "timestamp": timeKind, "time": timeKind,
}

// column is a column of a table as it stands.
type column struct {
	table, name string
	kind        kind
	nullable    bool
	// filled: the server has a value for a row that gives none.
	filled bool
	// unicode: the column's character set has all characters.
	unicode bool
	// length is the most characters of a text; 0 is any.
	length int
	// below bounds the numbers of a type with a fixed number of digits: 1e10 for FLOAT(16,6). 0: no bound of that kind.
	below float64
}

func (c column) String() string { return c.table + "." + c.name }

// schema is what stands in the database, table by table in the order of the columns.
type schema struct {
	columns map[string][]column
	byName  map[[2]string]*column // table, and name in small letters
	indexed map[string]bool       // table.column, of each index's first column
	engines map[string]string
	// stable are the engines with transactions.
	stable map[string]bool
	// rows is about the number of rows of perf_result.
	rows int64
}

// column returns a table's column, or nil. Names of columns have no letter case.
func (s *schema) column(table, name string) *column {
	return s.byName[[2]string{table, strings.ToLower(name)}]
}

func (s *schema) add(c column) {
	s.columns[c.table] = append(s.columns[c.table], c)
	s.byName[[2]string{c.table, strings.ToLower(c.name)}] = &c
}

func newSchema() *schema {
	return &schema{columns: map[string][]column{}, byName: map[[2]string]*column{}, indexed: map[string]bool{}, engines: map[string]string{},
		stable: map[string]bool{}}
}

// compared is the expression of a column that is compared with texts. A text that the column's character set lacks would be an error there; the
// conversion keeps an index from being used, so it is made only for such texts.
func (c *column) compared(expression string, texts ...string) string {
	if c.unicode || !slices.ContainsFunc(texts, func(s string) bool { return strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) }) {
		return expression
	}
	return "CONVERT(" + expression + " USING utf8mb4)"
}

// querier is a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// each runs a query and calls f for each row.
func each(ctx context.Context, q querier, f func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// lookUp reads what stands in the connection's database.
func lookUp(ctx context.Context, q querier) (*schema, error) {
	s := newSchema()
	err := each(ctx, q, func(scan func(...any) error) error {
		var c column
		var dataType, nullable, extra string
		var standard, charset sql.NullString
		var length, precision, scale sql.NullFloat64
		if err := scan(&c.table, &c.name, &dataType, &nullable, &standard, &extra, &length, &precision, &scale, &charset); err != nil {
			return err
		}
		c.table = strings.ToLower(c.table)
		c.unicode = !charset.Valid || strings.HasPrefix(charset.String, "utf")
		dataType, extra = strings.ToLower(dataType), strings.ToLower(extra)
		c.kind, c.nullable = kinds[dataType], nullable == "YES"
		c.filled = c.nullable || standard.Valid || strings.Contains(extra, "auto_increment") || strings.Contains(extra, "generated")
		if length.Valid && length.Float64 < 1<<24 {
			c.length = int(length.Float64)
		}
		if c.kind == numberKind && scale.Valid && scale.Float64 > 0 {
			c.below = math.Pow10(int(precision.Float64 - scale.Float64))
		}
		s.add(c)
		return nil
	}, `SELECT table_name, column_name, data_type, is_nullable, column_default, extra, character_maximum_length, numeric_precision, numeric_scale,
			character_set_name
		FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN (?, ?, ?) ORDER BY table_name, ordinal_position`,
		runsTable, casesTable, resultsTable)
	if err != nil {
		return nil, err
	}
	err = each(ctx, q, func(scan func(...any) error) error {
		var table string
		var engine sql.NullString
		var stable bool
		var rows sql.NullInt64
		if err := scan(&table, &engine, &stable, &rows); err != nil {
			return err
		}
		if table = strings.ToLower(table); table == resultsTable {
			s.rows = rows.Int64
		}
		s.engines[table], s.stable[engine.String] = engine.String, stable
		return nil
	}, `SELECT t.table_name, t.engine, coalesce(e.transactions = 'YES', FALSE), t.table_rows FROM information_schema.tables t
		LEFT JOIN information_schema.engines e ON e.engine = t.engine
		WHERE t.table_schema = DATABASE() AND t.table_name IN (?, ?, ?)`, runsTable, casesTable, resultsTable)
	return s, err
}

// lookUpIndexes adds which columns are the first of an index.
func (s *schema) lookUpIndexes(ctx context.Context, q querier) error {
	return each(ctx, q, func(scan func(...any) error) error {
		var table, name string
		if err := scan(&table, &name); err != nil {
			return err
		}
		s.indexed[strings.ToLower(table+"."+name)] = true
		return nil
	}, `SELECT table_name, column_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND seq_in_index = 1 AND
		table_name IN (?, ?, ?)`, runsTable, casesTable, resultsTable)
}

func (s *schema) isIndexed(table, column string) bool {
	return s.indexed[strings.ToLower(table+"."+column)]
}

// misfit says why the tables cannot be served. Its errors name the column and what to do.
type misfit struct{ why string }

func (m misfit) Error() string { return m.why }

// check says what keeps the tables from being served.
func (s *schema) check() error {
	var wrong []string
	for _, table := range []string{runsTable, casesTable, resultsTable} {
		if len(s.columns[table]) == 0 {
			wrong = append(wrong, fmt.Sprintf("there is no table %s (trtperf upload init makes the tables)", table))
			continue
		}
		if engine := s.engines[table]; !s.stable[engine] {
			wrong = append(wrong, fmt.Sprintf("the table %s has the engine %s, which has no transactions", table, engine))
		}
		for _, d := range documented {
			if d.table == table && d.needed && s.column(table, d.column) == nil {
				wrong = append(wrong, fmt.Sprintf("the table %s has no column %s", table, d.column))
			}
		}
		for _, c := range s.columns[table] {
			if c.kind != textKind && !c.filled && !isDocumented(table, c.name) {
				wrong = append(wrong, fmt.Sprintf("the column %s demands a value that trtperf does not know: give it a default", c))
			}
		}
		for name, least := range map[string]int{"perf_result.UUID": 64, "cases.network": 32, "cases.cmd": 32} {
			short := s.column(table, strings.TrimPrefix(name, table+"."))
			if strings.HasPrefix(name, table+".") && short != nil && (short.kind != textKind || short.length > 0 && short.length < least) {
				wrong = append(wrong, fmt.Sprintf("the column %s does not hold texts of %d characters", short, least))
			}
		}
	}
	if wrong == nil {
		return nil
	}
	slices.Sort(wrong)
	return misfit{strings.Join(wrong, "; ")}
}

// made is a column as Init makes it.
func made(table, name, ddl string) column {
	dataType, rest, _ := strings.Cut(ddl, " ")
	dataType, digits, _ := strings.Cut(dataType, "(")
	c := column{table: table, name: name, kind: kinds[dataType], nullable: !strings.HasPrefix(strings.TrimPrefix(rest, "unsigned "), "NOT NULL")}
	c.filled = c.nullable || strings.Contains(rest, "DEFAULT") || strings.Contains(rest, "AUTO_INCREMENT")
	c.length, _ = strconv.Atoi(strings.TrimSuffix(digits, ")")) // no digits: no bound
	return c
}

func isDocumented(table, name string) bool {
	for _, d := range documented {
		if d.table == table && strings.EqualFold(d.column, name) {
			return true
		}
	}
	return false
}

// create makes the missing tables, and the missing indexes of those that were there where that is asked for. It returns a line for each.
func create(ctx context.Context, q querier, index bool) ([]string, error) {
	s, err := lookUp(ctx, q)
	if err != nil {
		return nil, err
	}
	var done []string
	for _, table := range []string{runsTable, casesTable, resultsTable} {
		if len(s.columns[table]) > 0 {
			continue
		}
		var parts []string
		for _, d := range documented {
			if d.table == table {
				parts = append(parts, "`"+d.column+"` "+d.ddl)
			}
		}
		for _, i := range indexes {
			if i.table == table {
				parts = append(parts, fmt.Sprintf("KEY trtperf_%s (%s)", i.column, key(i.column, i.prefix)))
			}
		}
		// A binary collation: cases that differ in letter case alone are two, also for programs that look them up by themselves.
		if _, err := q.ExecContext(ctx, fmt.Sprintf("CREATE TABLE `%s` (%s) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin", table,
			strings.Join(parts, ", "))); err != nil {
			return done, fmt.Errorf("table %s: %w", table, err)
		}
		done = append(done, "created the table "+table)
	}
	if s, err = lookUp(ctx, q); err != nil {
		return done, err
	}
	if err := s.check(); err != nil {
		return done, err
	}
	if !index {
		return done, nil
	}
	if err := s.lookUpIndexes(ctx, q); err != nil {
		return done, err
	}
	for _, i := range indexes {
		if s.isIndexed(i.table, i.column) {
			continue
		}
		prefix := i.prefix
		if c := s.column(i.table, i.column); c.length > 0 && c.length <= prefix {
			prefix = 0
		}
		if _, err := q.ExecContext(ctx, fmt.Sprintf("CREATE INDEX trtperf_%s ON `%s` (%s)", i.column, i.table, key(i.column, prefix))); err != nil {
			return done, fmt.Errorf("index on %s.%s: %w", i.table, i.column, err)
		}
		done = append(done, fmt.Sprintf("made an index on %s.%s", i.table, i.column))
	}
	return done, nil
}

func key(column string, prefix int) string {
	if prefix == 0 {
		return "`" + column + "`"
	}
	return fmt.Sprintf("`%s`(%d)", column, prefix)
}
