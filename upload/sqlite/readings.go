package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/trtperf/trtperf/parse"
)

// Recall returns what is remembered of a run. A store that cannot be asked remembers nothing, and the run is read.
func (db *DB) Recall(ctx context.Context, place string) (known parse.Reading, ok bool) {
	var beside string
	err := db.sql.QueryRowContext(ctx, "SELECT beside, mark, run FROM readings WHERE place = ?", place).Scan(&beside, &known.Mark, &known.Run)
	if err != nil || json.Unmarshal([]byte(beside), &known.Beside) != nil {
		return parse.Reading{}, false
	}
	known.Place = place
	return known, true
}

// remember keeps readings in place of earlier ones of the same runs.
func remember(ctx context.Context, tx *sql.Tx, readings []parse.Reading) error {
	for _, r := range readings {
		beside, err := json.Marshal(r.Beside)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO readings (place, beside, mark, run) VALUES (?, ?, ?, ?)", r.Place, string(beside), r.Mark, r.Run)
		if err != nil {
			return err
		}
	}
	return nil
}
