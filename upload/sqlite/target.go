package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
)

const scheme = "sqlite:"

// Kind is an SQLite file as a kind of store.
func Kind() upload.StoreKind {
	return upload.StoreKind{
		Schemes: []string{strings.TrimSuffix(scheme, ":")},
		Form:    scheme + "PATH",
		Canonical: func(target string) (string, error) {
			path := strings.TrimPrefix(target, scheme)
			if path == "" {
				return "", errors.New("the target names no file: write sqlite:PATH")
			}
			path, err := filepath.Abs(path)
			return scheme + path, err
		},
		Open: func(ctx context.Context, target string, s upload.Settings) (upload.Store, error) {
			if s.Preview {
				return preview{}, nil
			}
			return Open(ctx, strings.TrimPrefix(target, scheme))
		},
	}
}

// preview shows what a file would be given, without making one.
type preview struct{}

func (preview) Put(context.Context, []upload.Item) ([]upload.Answer, error) {
	return nil, errors.New("a store that was opened for previews takes nothing")
}

func (preview) Close() error { return nil }

// Preview returns the document that the store would keep.
func (preview) Preview(item upload.Item) ([]byte, error) { return json.Marshal(item.Result) }

// Held calls yield for each Result of the store.
func (db *DB) Held(ctx context.Context, yield func(upload.Held) error) error {
	return db.Results(ctx, Filter{}, func(r *parse.Result) error {
		valid := r.Valid()
		h := upload.Held{ID: r.ID, Valid: &valid, Metrics: map[string]float64{}}
		for name, v := range r.Metrics.All() {
			h.Metrics[name] = v.Value
		}
		return yield(h)
	})
}

var (
	_ upload.Inventory = (*DB)(nil)
	_ upload.Previewer = preview{}
)
