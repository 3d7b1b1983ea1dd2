package opensearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/document"
)

const (
	// templateName is the index template's.
	templateName = "trtperf"
	// mappingVersion counts the mappings. The index template has it as its version, and an index in its mapping's _meta.
	// 1 had no version written anywhere.
	mappingVersion = 2
)

// mapping maps fields by prefix.
func mapping() map[string]any {
	var dynamic []any
	for _, p := range document.Prefixes {
		m := map[string]any{"type": p.Type}
		switch p.Type {
		case "date":
			m["format"] = "epoch_millis"
		case "keyword":
			m["ignore_above"] = 8191
		}
		dynamic = append(dynamic, map[string]any{strings.TrimSuffix(p.Prefix, "_"): map[string]any{"match": p.Prefix + "*", "mapping": m}})
	}
	return map[string]any{
		"_meta":             map[string]any{"trtperf": map[string]any{"mapping": mappingVersion}},
		"dynamic":           true,
		"dynamic_templates": dynamic,
		"properties":        map[string]any{"@timestamp": map[string]any{"type": "date"}},
	}
}

// template makes new indexes with the mapping.
func template() map[string]any {
	return map[string]any{
		"index_patterns": []string{"df-*-trtperf"},
		"priority":       200,
		"version":        mappingVersion,
		"template":       map[string]any{"mappings": mapping()},
	}
}

// prepare sees that the index is there with a mapping that is not older than this one. It returns what it did, or the answer for all items where
// that fails.
func (s *Store) prepare(ctx context.Context) ([]string, *upload.Answer) {
	s.preparing.Lock()
	defer s.preparing.Unlock()
	if s.prepared {
		return nil, nil
	}
	done, failed := s.seeIndex(ctx)
	s.prepared = failed == nil
	return done, failed
}

// mappingOf returns the version of the index's mapping, 0 where another has made it, and whether there is an index.
func (s *Store) mappingOf(ctx context.Context) (version int, found bool, failed *upload.Answer) {
	var indexes map[string]struct {
		Mappings struct {
			Meta struct {
				TRTPerf struct {
					Mapping int `json:"mapping"`
				} `json:"trtperf"`
			} `json:"_meta"`
		} `json:"mappings"`
	}
	status, failed := s.ask(ctx, http.MethodGet, "/"+s.index+"/_mapping", nil, &indexes, http.StatusNotFound)
	if failed != nil || status == http.StatusNotFound {
		return 0, false, failed
	}
	for _, index := range indexes { // an alias may lead to several
		version = max(version, index.Mappings.Meta.TRTPerf.Mapping)
	}
	return version, true, nil
}

func (s *Store) seeIndex(ctx context.Context) (done []string, failed *upload.Answer) {
	version, found, failed := s.mappingOf(ctx)
	if failed != nil {
		return nil, failed
	}
	if !found {
		if done, failed = s.putTemplate(ctx); failed != nil {
			return done, failed
		}
		// Another process may have made it meanwhile.
		status, failed := s.ask(ctx, http.MethodPut, "/"+s.index, map[string]any{}, nil, http.StatusBadRequest)
		switch {
		case failed != nil:
			failed.Reason = "making the index " + s.index + ": " + failed.Reason
		case status < 300:
			done = append(done, "index "+s.index+": made")
		}
		return done, failed
	}
	switch {
	case version > mappingVersion:
		s.note(fmt.Sprintf("the index %s was made by a later trtperf (mapping %d, this one knows %d): it is left as it is", s.index, version, mappingVersion))
	case version < mappingVersion:
		if done, failed = s.putTemplate(ctx); failed != nil {
			return done, failed
		}
		status, failed := s.ask(ctx, http.MethodPut, "/"+s.index+"/_mapping", mapping(), nil, http.StatusBadRequest, http.StatusForbidden)
		switch {
		case failed != nil:
			failed.Reason = "mapping of the index " + s.index + ": " + failed.Reason
			return done, failed
		case status >= 300:
			s.note(fmt.Sprintf("the index %s has a mapping of its own that does not agree with trtperf's: it is left as it is", s.index))
		default:
			done = append(done, fmt.Sprintf("index %s: mapping brought from version %d to %d", s.index, version, mappingVersion))
		}
	}
	return done, nil
}

// putTemplate makes the index template, or brings an older one up to date.
func (s *Store) putTemplate(ctx context.Context) (done []string, failed *upload.Answer) {
	var there struct {
		Templates []struct {
			Template struct {
				Version int `json:"version"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	status, failed := s.ask(ctx, http.MethodGet, "/_index_template/"+templateName, nil, &there, http.StatusNotFound)
	if failed == nil {
		version := 0
		if len(there.Templates) > 0 {
			version = there.Templates[0].Template.Version
		}
		switch {
		case status == http.StatusNotFound:
			done = []string{"index template " + templateName + ": made"}
		case version == mappingVersion:
			return nil, nil
		case version > mappingVersion:
			s.note(fmt.Sprintf("the index template %s is of a later trtperf (version %d, this one knows %d): it is left as it is", templateName, version, mappingVersion))
			return nil, nil
		default:
			done = []string{fmt.Sprintf("index template %s: brought from version %d to %d", templateName, version, mappingVersion)}
		}
		_, failed = s.ask(ctx, http.MethodPut, "/_index_template/"+templateName, template(), nil)
	}
	if failed != nil {
		failed.Reason = "index template " + templateName + ": " + failed.Reason
		if failed.Outcome == parse.Refused {
			// It concerns all documents and none in particular.
			failed.Outcome, failed.Mend = parse.Owed, true
		}
		return nil, failed
	}
	return done, nil
}

// ask makes a request and decodes its answer. Statuses that are allowed besides success are returned without one.
func (s *Store) ask(ctx context.Context, method, path string, body, answer any, allowed ...int) (int, *upload.Answer) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return 0, &upload.Answer{Outcome: parse.Refused, Reason: err.Error()}
		}
	}
	status, reply, failed := s.do(ctx, method, path, "application/json", text, allowed...)
	if failed != nil || status >= 300 || answer == nil {
		return status, failed
	}
	if err := json.Unmarshal(reply, answer); err != nil {
		return status, &upload.Answer{Outcome: parse.Owed, Mend: true, Reason: fmt.Sprintf("%s %s: the reply is none of OpenSearch's: %v: look at the address in --to", method, path, err)}
	}
	return status, nil
}
