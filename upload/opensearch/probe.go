package opensearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/trtperf/trtperf/upload"
)

// Probe looks at the index and its mapping, and whether documents may be written to it: it updates one that is not there, which changes nothing.
func (s *Store) Probe(ctx context.Context) ([]string, error) {
	version, found, failed := s.mappingOf(ctx)
	switch {
	case failed != nil:
		return nil, errors.New(failed.Reason)
	case !found:
		return []string{"the index " + s.index + " is not there yet: the first delivery makes it, or trtperf upload init"}, nil
	}
	var remarks []string
	switch {
	case version > mappingVersion:
		remarks = append(remarks, fmt.Sprintf("the index %s was made by a later trtperf (mapping %d, this one knows %d)", s.index, version, mappingVersion))
	case version < mappingVersion:
		remarks = append(remarks, fmt.Sprintf("the index %s has mapping %d: the next delivery brings it to %d", s.index, version, mappingVersion))
	}
	if _, _, failed := s.do(ctx, http.MethodPost, "/"+s.index+"/_update/trtperf-probe", "application/json", []byte(`{"doc":{}}`), http.StatusNotFound); failed != nil {
		return remarks, fmt.Errorf("documents cannot be written: %s", failed.Reason)
	}
	return remarks, nil
}

var _ upload.Prober = (*Store)(nil)
