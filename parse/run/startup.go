package run

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/trtperf/trtperf/parse"
)

// observation is what one server has told of its start, an entry of startup_metrics.<server>.json.
type observation struct {
	Role    string         `json:"role"`
	Metrics map[string]any `json:"metrics"`
}

// readStartup parses the times that servers took to start: by metric, with "ctx_" or "gen_" before those of workers, the longest of several
// servers. Names that the metric table does not know are left out.
func readStartup(text []byte, t *parse.Table) (parse.Values, error) {
	var servers []observation
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&servers); err != nil {
		return nil, err
	}
	var longest parse.Values
	for _, s := range servers {
		prefix := ""
		for word, p := range map[string]string{"ctx": "ctx_", "gen": "gen_"} {
			if strings.HasPrefix(strings.ToLower(s.Role), word) {
				prefix = p
			}
		}
		for name, v := range s.Metrics {
			m := t.ByName(prefix + name)
			seconds, _, ok := parse.ParseNumber(fmt.Sprint(v))
			if m == nil || !m.Startup() || !ok {
				continue
			}
			if known, ok := longest.Lookup(m.Name); !ok || seconds > known.Value {
				longest.Set(m.Name, parse.Value{Value: seconds, Text: fmt.Sprint(v), Unit: m.Unit, Computed: true})
			}
		}
	}
	return longest, nil
}

// addStartup adds the start-up times of a test's servers to its Results.
func (r *reader) addStartup(t *test, results []*parse.Result) {
	for _, f := range t.files {
		if f.kind != startupFile {
			continue
		}
		c, ok := r.open(f)
		if !ok {
			continue
		}
		for _, x := range results {
			if f.server == nil || x.Server.Index == nil || *f.server == *x.Server.Index {
				for name, v := range c.startup.All() {
					x.Metrics.Set(name, v)
				}
			}
		}
	}
}
