package config

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/trtperf/trtperf/parse"
)

// extensions are those of configuration files; the harness itself knows the first alone.
var extensions = []string{".yaml", ".yml"}

// folders are the places below a directory where configurations lie: in a folder of their own, and in a TensorRT-LLM checkout as
// its eras had them, the newest first.
var folders = []struct {
	path   string
	disagg bool
}{
	{"aggregated", false},
	{"disaggregated", true},
	{"tests/scripts/perf-sanity/aggregated", false},
	{"tests/scripts/perf-sanity/disaggregated", true},
	{"tests/scripts/perf-sanity", false},
	{"tests/integration/defs/perf/disagg/test_configs/disagg/perf-sanity", true},
	{"tests/integration/defs/perf/disagg/test_configs/disagg/perf", true},
}

// Candidates lists the paths, relative to a directory and with slashes, where the configuration of an id may lie; the best first.
// A file that lies in the directory itself comes before the folders, and the folders of the id's kind before the others. An id with
// a prefix of the user's own counts as disaggregated, the only kind for which test harnesses offer such prefixes. There are none
// if the id names no configuration.
func Candidates(id parse.TestID) []string {
	if id.Suite != parse.PerfSanity || id.Config == "" || strings.ContainsAny(id.Config, `/\`) || id.Config[0] == '.' {
		return nil
	}
	disagg := !id.Aggregated() || id.SubMode == ctxOnly
	ordered := []string{"."}
	for _, own := range []bool{true, false} {
		for _, f := range folders {
			if (f.disagg == disagg) == own {
				ordered = append(ordered, f.path)
			}
		}
	}
	var all []string
	for _, folder := range ordered {
		for _, ext := range extensions {
			all = append(all, path.Join(folder, id.Config+ext))
		}
	}
	return all
}

// Find returns the path of the configuration of an id: the first of its [Candidates] that is a file, in the first of the
// directories that has one. A file that may not be looked at counts as found, so that opening it tells why.
func Find(dirs []string, id parse.TestID) (string, bool) {
	candidates := Candidates(id)
	for _, dir := range dirs {
		for _, c := range candidates {
			p := filepath.Join(dir, filepath.FromSlash(c))
			if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() || errors.Is(err, fs.ErrPermission) {
				return p, true
			}
		}
	}
	return "", false
}
