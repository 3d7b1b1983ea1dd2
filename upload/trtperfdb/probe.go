package trtperfdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/trtperf/trtperf/upload"
)

// Probe looks at the tables, and whether the user has the rights that a delivery needs: each statement is one of a delivery's kind that finds no row.
func (s *Store) Probe(ctx context.Context) ([]string, error) {
	var remarks []string
	note := s.note
	s.note = func(text string) { remarks = append(remarks, text) }
	defer func() { s.note = note }()
	if err := s.prepare(ctx, s.db); err != nil {
		return remarks, errors.New(s.answer(err).Reason)
	}
	for _, table := range []string{"runs", "cases", "perf_result"} {
		for _, statement := range []string{"INSERT INTO %[1]s SELECT * FROM %[1]s WHERE FALSE", "UPDATE %s SET id = id WHERE FALSE", "DELETE FROM %s WHERE FALSE"} {
			if _, err := s.db.ExecContext(ctx, fmt.Sprintf(statement, table)); err != nil {
				return remarks, errors.New(s.answer(err).Reason)
			}
		}
	}
	return remarks, nil
}

var _ upload.Prober = (*Store)(nil)
