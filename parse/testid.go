package parse

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Suite is the family of tests whose grammar a TestID follows.
type Suite string

const (
	// PerfSanity: <prefix>[-<sub-mode>]-<config>[-<servers>], also with prefixes of the user's own.
	PerfSanity Suite = "perf-sanity"
	// DisaggQA: disagg_perf_file:<config>…, a concurrency behind the bracket.
	DisaggQA Suite = "disagg-qa"
	// PerfMetric: test_perf.py, one id per metric.
	PerfMetric Suite = "test-perf"
	// OtherSuite: no known grammar.
	OtherSuite Suite = "other"
)

// Upload says whether a test id asks for its results to be uploaded.
type Upload string

const (
	// UploadUnsaid: the id's grammar does not speak of uploading; such results are delivered.
	UploadUnsaid Upload = ""
	UploadYes    Upload = "yes"
	UploadNo     Upload = "no"
)

// DefaultFunction is the pytest function of a perf-sanity test whose id came without one, as where a run's directory is
// named after the id.
const DefaultFunction = "test_e2e"

// TestID is the parsed form of a test's id. The zero value is "no test known".
//
// The perf-sanity grammar, all versions (source: TensorRT-LLM tests/integration/defs/perf/test_perf_sanity.py):
//
//	aggr[_upload]-<config>[-<server>{,<server>}]
//	aggr[_upload]-ctx_only-<config>
//	disagg[_upload][-<sub-mode>[-time_breakdown]]-<config>
//	<prefix of the user's own>[-<sub-mode>]-<config>
//
// An aggregated config holds no dash; a disaggregated one may. A prefix that contains "upload" asks for uploading.
type TestID struct {
	text string // as given

	// Stage is what stands before the test file: a platform, a stage or a test prefix, without the slash.
	Stage string
	// Module is the test file as given, for example "perf/test_perf_sanity.py".
	Module   string
	Function string
	// ID is the text between the brackets.
	ID string
	// Suffix is what stands behind the bracket, for example "_con:1075".
	Suffix string

	Suite  Suite
	Prefix string
	// SubMode is "e2e", "gen_only", "ctx_only", "e2e_time_breakdown" …; empty where the id has none.
	SubMode string
	// Config is the YAML's stem.
	Config string
	// Servers are the selected server names of an aggregated config; empty means all.
	Servers []string
	Upload  Upload
	// Concurrency is the client's where the id carries it.
	Concurrency *int
}

// subModes are the words that may stand between prefix and config.
var subModes = map[string]bool{
	"e2e": true, "gen_only": true, "e2e_time_breakdown": true, "gen_only_no_context": true,
}

var (
	nodeID = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?s)^(?:(.+?)::)?(?:[A-Za-z_]\w*::)?([A-Za-z_]\w*)\[(.*)\](.*)$`)
	})
	suffixLoad = regexp.MustCompile(`^(?:_con:|-con-)([0-9]{1,9})$`)
	// A test file's directories are Python packages in lower case; a stage or a platform before them is not.
	testFile = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:^|/)((?:[a-z_][a-z0-9_]*/)*test_[\w.-]*\.py)$`)
	})
)

// ParseTestID reads a test id: a pytest node id ("[stage/]module.py::function[id]"), a test name ("function[id]") or the
// bare id as it names a run's directory. A text of no known grammar is a TestID of OtherSuite; an error means that the text
// follows a known grammar and breaks it.
func ParseTestID(text string) (TestID, error) {
	t := TestID{text: text, ID: text, Suite: OtherSuite}
	if text == "" {
		return TestID{}, fmt.Errorf("empty test id")
	}
	if m := nodeID().FindStringSubmatch(text); m != nil {
		t.Module, t.Function, t.ID, t.Suffix = m[1], m[2], m[3], m[4]
		if d := testFile().FindStringSubmatchIndex(t.Module); d != nil && d[2] > 0 {
			t.Stage, t.Module = strings.TrimSuffix(t.Module[:d[2]], "/"), t.Module[d[2]:]
		}
	}
	switch {
	case strings.HasPrefix(t.ID, "disagg_perf_file:") || strings.HasPrefix(t.ID, "wideep_perf_file:"):
		t.Suite = DisaggQA
		if m := suffixLoad.FindStringSubmatch(t.Suffix); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil {
				t.Concurrency = &n
			}
		}
		t.Config = t.ID[strings.Index(t.ID, ":")+1:]
		return t, nil
	case strings.HasPrefix(t.Function, "test_perf_metric") || t.Function == "test_perf":
		t.Suite = PerfMetric
		return t, nil
	case strings.ContainsAny(t.ID, ":[]/\t\r\n"):
		return t, nil // perf-sanity ids are file-name stems
	}
	return t, t.perfSanity()
}

// perfSanity fills in the parts of the perf-sanity grammar.
func (t *TestID) perfSanity() error {
	prefix, rest, dashed := strings.Cut(t.ID, "-")
	kind := strings.Contains(prefix, "aggr") || strings.Contains(prefix, "disagg")
	if !dashed || rest == "" {
		if kind && dashed {
			return fmt.Errorf("test id %q: no configuration behind %q", t.ID, prefix)
		}
		return nil
	}
	if prefix == "" || !kind && t.Function == "" {
		// A bare text with a dash in it, such as a directory's name, is no id of a user's own.
		return nil
	}
	t.Suite, t.Prefix = PerfSanity, prefix
	t.Upload = UploadNo
	if strings.Contains(prefix, "upload") {
		t.Upload = UploadYes
	}
	labels := strings.Split(rest, "-")
	if !strings.Contains(prefix, "disagg") && labels[0] == "ctx_only" && len(labels) > 1 {
		t.SubMode, t.Config = "ctx_only", strings.Join(labels[1:], "-")
		return t.stem()
	}
	if !strings.Contains(prefix, "disagg") && strings.Contains(prefix, "aggr") {
		t.Config = labels[0]
		if len(labels) > 1 {
			for name := range strings.SplitSeq(strings.Join(labels[1:], "-"), ",") {
				if name = strings.TrimSpace(name); name != "" {
					t.Servers = append(t.Servers, name)
				}
			}
		}
		return t.stem()
	}
	if subModes[labels[0]] && len(labels) > 1 {
		t.SubMode, labels = labels[0], labels[1:]
		if labels[0] == "time_breakdown" && len(labels) > 1 {
			t.SubMode, labels = t.SubMode+"_time_breakdown", labels[1:]
		}
	}
	t.Config = strings.Join(labels, "-")
	return t.stem()
}

func (t *TestID) stem() error {
	t.Config = strings.TrimSuffix(t.Config, ".yaml")
	if t.Config == "" {
		return fmt.Errorf("test id %q: empty configuration name", t.ID)
	}
	return nil
}

// Selecting reads the id of a prefix of the user's own by the grammar of aggregated tests: a configuration without a dash, then server
// names. Which grammar such an id follows only its configuration tells. It reports false where the id tells its kind, or selects no server.
func (t TestID) Selecting() (TestID, bool) {
	first, names, dashed := strings.Cut(t.Config, "-")
	if t.Suite != PerfSanity || t.Aggregated() || t.Mode() != "" || t.SubMode != "" || !dashed || first == "" {
		return t, false
	}
	t.Config, t.Servers = first, nil
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); name != "" {
			t.Servers = append(t.Servers, name)
		}
	}
	return t, len(t.Servers) > 0
}

// String returns the text that was parsed.
func (t TestID) String() string { return t.text }

// IsZero reports whether no test is known.
func (t TestID) IsZero() bool { return t.text == "" }

// Aggregated reports whether the id names an aggregated run, which is SingleAgg or MultiAgg.
func (t TestID) Aggregated() bool {
	return t.Suite == PerfSanity && !strings.Contains(t.Prefix, "disagg") && strings.Contains(t.Prefix, "aggr")
}

// Mode returns the mode where the id tells it. An aggregated id does not say over how many nodes its server runs.
func (t TestID) Mode() Mode {
	if t.Suite == DisaggQA || t.Suite == PerfSanity && strings.Contains(t.Prefix, "disagg") {
		return Disagg
	}
	return ""
}

// SameTest reports whether two ids name one test: the texts between the brackets are equal, and so are the functions where
// both are known.
func (t TestID) SameTest(u TestID) bool {
	return t.ID == u.ID && t.Suffix == u.Suffix && (t.Function == "" || u.Function == "" || t.Function == u.Function)
}

// MarshalText returns the id as it was given.
func (t TestID) MarshalText() ([]byte, error) { return []byte(t.text), nil }

// UnmarshalText parses an id. It never fails, so that a stored Result can always be read: a text that breaks its grammar
// keeps the parts found before the fault.
func (t *TestID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*t = TestID{}
		return nil
	}
	*t, _ = ParseTestID(string(text))
	return nil
}
