package tree

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Kind is what submit.py makes of an id.
type Kind struct {
	// Stem is the configuration's, Disagg says in which folder it lies.
	Stem   string
	Disagg bool
	// Aggregated: one server, the context worker's where Disagg, too.
	Aggregated bool
	// Server is the one server that is selected of an aggregated configuration.
	Server string
	// Mode is the part of the id that v3 goes by, "" in v1 and v2.
	Mode string
}

// ParseID reads a test's id as submit.py does, and refuses what it does. The reasons are its own, in words.
func (l *Launcher) ParseID(id string) (Kind, error) {
	if strings.ContainsAny(id, "[]") {
		return Kind{}, fmt.Errorf("submit.py takes the last bracket of a line for the id, and %q has some of its own", id)
	}
	prefix, rest, dashed := strings.Cut(id, "-")
	if l.Version != V3 {
		if !dashed || !strings.Contains(prefix, "disagg") {
			return Kind{}, fmt.Errorf("submit.py of era %s refuses an id whose part before the first \"-\" does not contain \"disagg\": %q", l.Version, id)
		}
		return Kind{Stem: rest, Disagg: true}, nil
	}
	labels := strings.Split(id, "-")
	switch {
	case strings.Contains(prefix, "disagg"):
		if len(labels) < 3 || labels[1] != "e2e" && labels[1] != "gen_only" {
			return Kind{}, fmt.Errorf("submit.py of era v3 wants %s-e2e-<configuration> or %s-gen_only-<configuration>, and %q is neither", prefix, prefix, id)
		}
		return Kind{Stem: strings.Join(labels[2:], "-"), Disagg: true, Mode: labels[1]}, nil
	case strings.Contains(prefix, "aggr"):
		if len(labels) > 2 && labels[1] == "ctx_only" {
			return Kind{Stem: strings.Join(labels[2:], "-"), Disagg: true, Aggregated: true, Mode: "ctx_only"}, nil
		}
		if len(labels) < 3 || strings.Contains(id, ",") {
			return Kind{}, fmt.Errorf("submit.py of era v3 wants exactly one server's name in an aggregated id, %s-<configuration>-<server>, and %q has not", prefix, id)
		}
		return Kind{Stem: labels[1], Aggregated: true, Server: strings.Join(labels[2:], "-")}, nil
	}
	return Kind{}, fmt.Errorf("submit.py of era v3 refuses an id whose part before the first \"-\" contains neither \"disagg\" nor \"aggr\": %q", id)
}

// CheckConfig reads a configuration as submit.py does and says on what it would fail, or write a job that does something else.
func (l *Launcher) CheckConfig(path string, k Kind) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("submit.py looks for the configuration in one place: %w", err)
	}
	var root map[string]any
	if err := yaml.Unmarshal(text, &root); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s: submit.py of era %s fails on it", path, fmt.Sprintf(format, args...), l.Version)
	}
	if len(root) == 0 {
		return fault("empty")
	}
	section := func(m map[string]any, key string) map[string]any {
		s, _ := m[key].(map[string]any)
		return s
	}
	number := func(m map[string]any, where, key string, needed bool) error {
		v, ok := m[key]
		if !ok {
			if needed {
				return fault("%s.%s is missing", where, key)
			}
			return nil
		}
		n, ok := whole(v)
		if !ok || n < 0 || n == 0 && needed {
			return fault("%s.%s is %#v, and must be a plain number above 0", where, key, v)
		}
		return nil
	}
	hardware := section(root, "hardware")
	if err := number(hardware, "hardware", "gpus_per_node", true); err != nil {
		return err
	}
	if k.Aggregated && !k.Disagg {
		return nil
	}
	for _, key := range []string{"num_ctx_servers", "num_gen_servers"} {
		if err := number(hardware, "hardware", key, false); err != nil {
			return err
		}
	}
	workers := section(root, "worker_config")
	for _, kind := range []string{"ctx", "gen"} {
		for _, key := range []string{"tensor_parallel_size", "pipeline_parallel_size", "context_parallel_size"} {
			if err := number(section(workers, kind), "worker_config."+kind, key, false); err != nil {
				return err
			}
		}
	}
	if v, there := root["environment"]; there && v == nil && l.Version != V3 {
		return fault("environment has no content")
	}
	for key, v := range section(root, "environment") {
		if s, ok := v.(string); ok && strings.HasSuffix(key, "_env_var") && strings.ContainsAny(s, "\"`\\\n") {
			return fault("environment.%s holds a quote, a backtick, a backslash or a line's end, and its export would end there", key)
		}
	}
	benchmark := section(root, "benchmark")
	mode, _ := benchmark["mode"].(string)
	genOnly := strings.Contains(mode, "gen_only")
	if l.Version == V3 {
		genOnly = k.Mode == "gen_only"
	}
	switch v := benchmark["concurrency_list"].(type) {
	case nil:
	case string:
		if _, err := strconv.Atoi(strings.TrimSpace(v)); err != nil {
			return fault("benchmark.concurrency_list is the text %q, and must be one number or a list", v)
		}
	case []any:
		if genOnly {
			return fault("benchmark.concurrency_list is a list in a generation-only test, and must be one number")
		}
	default:
		if _, ok := whole(v); !ok {
			return fault("benchmark.concurrency_list is %#v, and must be one number or a list", v)
		}
	}
	return nil
}

func whole(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(n), n < 1<<31
	}
	return 0, false
}

// safeWord is a word that comes through submit.py's tokenizer, the exports and the unquoted eval of the run script as it is. Brackets are
// for node ids.
var safeWord = regexp.MustCompile(`^[\w@%+=:,./\[\]-]+$`)

// lost are texts that submit.py removes or renames wherever they stand in a word.
var lost = []string{"--csv", "--cov", "--periodic", "pytestCommand", "trtllm-llmapi-launch"}

// CheckWord refuses a word that submit.py, or the shells behind it, would turn into something else.
func CheckWord(what, word string) error {
	if !safeWord.MatchString(word) {
		return fmt.Errorf("%s %q: submit.py splits its texts at blanks and writes them unquoted, so only letters, digits and @%%+=:,./[]_- come through", what, word)
	}
	for _, l := range lost {
		if strings.Contains(word, l) {
			return fmt.Errorf("%s %q: submit.py removes or renames words that contain %q", what, word, l)
		}
	}
	return nil
}
