package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

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
		Open: func(ctx context.Context, target string, _ upload.Settings) (upload.Store, error) {
			return Open(ctx, strings.TrimPrefix(target, scheme))
		},
	}
}
