package upload_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/upload"
)

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]upload.Target{
		"opensearch+https://os:9200/perf":               {Kind: upload.OpenSearch, Addresses: []string{"https://os:9200"}, Project: "perf"},
		"opensearch+http://a:1,b:2/pre/fix/my-perf_1.x": {Kind: upload.OpenSearch, Addresses: []string{"http://a:1/pre/fix", "http://b:2/pre/fix"}, Project: "my-perf_1.x"},
		"opensearch+http://[::1]:9200/p/":               {Kind: upload.OpenSearch, Addresses: []string{"http://[::1]:9200"}, Project: "p"},
	} {
		got, err := upload.ParseTarget(text)
		if err != nil || got.Kind != want.Kind || !slices.Equal(got.Addresses, want.Addresses) || got.Project != want.Project {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
		if back := got.String(); back != strings.TrimSuffix(text, "/") {
			t.Errorf("%s prints as %s", text, back)
		}
	}
	got, err := upload.ParseTarget("sqlite:x/y.db")
	if err != nil || got.Kind != upload.SQLite || !filepath.IsAbs(got.Path) || !strings.HasSuffix(got.String(), "x/y.db") {
		t.Errorf("got %+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"":                                      "write sqlite:PATH",
		"sqlite:":                               "names no file",
		"ftp://x":                               "write sqlite:PATH",
		"opensearch+https://os:9200":            "needs a host and a project",
		"opensearch+https:///p":                 "needs a host",
		"opensearch+https://os:9200/Perf":       "lower-case",
		"opensearch+https://u:secret@os:9200/p": "TRTPERF_OPENSEARCH_USER",
		"opensearch+https://os:9200/p?x=1":      "no options",
		"opensearch+https://a b/p":              "no HOST:PORT",
		"mysql://db:3306/TRT_perf":              "not available",
	} {
		_, err := upload.ParseTarget(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error repeats a secret: %v", err)
		}
	}
}
