package launch

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/config"
)

// Defaults of TensorRT-LLM's scripts.
const (
	DefaultModule    = "perf/test_perf_sanity.py"
	DefaultPrefix    = "disagg_upload"
	aggregatedPrefix = "aggr_upload"
)

// Request is what the user asks for: one test.
type Request struct {
	// Target is a node id, or a configuration's name.
	Target string
	// Module, Function and Prefix are PERF_TEST_MODULE, PERF_TEST_FUNCTION and PERF_TEST_PREFIX; empty means the default.
	Module, Function, Prefix string
	// Mode may be empty where id and configuration tell it.
	Mode parse.Mode
	// Tree is the TensorRT-LLM checkout, Workspace the run's own directory.
	Tree, Workspace, RunID string
	// ConfigDir is searched for configurations before the tree is.
	ConfigDir string
	// GPUsPerNode is for configurations that do not tell it; 0 for none.
	GPUsPerNode int
	On          On
	Pytest      []string
	PytestArgs  []string
	Slurm       SlurmSettings
	Waits       Waits
	// Getenv is the environment.
	Getenv func(string) string
}

// Resolve finds out what a request means: it looks at the checkout and reads the test's configuration.
func (r Request) Resolve() (Spec, error) {
	spec := Spec{RunID: r.RunID, On: cmp.Or(r.On, Local), Mode: r.Mode, Pytest: r.Pytest, PytestArgs: r.PytestArgs, Slurm: r.Slurm, Waits: r.Waits}
	if len(spec.Pytest) == 0 {
		spec.Pytest = []string{"pytest"}
	}
	if spec.Waits == (Waits{}) {
		spec.Waits = DefaultWaits()
	}
	var err error
	if spec.Tree, err = filepath.Abs(r.Tree); err != nil {
		return spec, err
	}
	if spec.Workspace, err = filepath.Abs(r.Workspace); err != nil {
		return spec, err
	}
	node := r.Target
	if !strings.Contains(node, "::") {
		if node, err = nodeID(r); err != nil {
			return spec, err
		}
	}
	if err := checkNodeID(node); err != nil {
		return spec, err
	}
	spec.Module, spec.Selected, _ = strings.Cut(node, "::")
	_, err = os.Stat(filepath.Join(spec.Tree, filepath.FromSlash(defsDirectory), filepath.FromSlash(spec.Module)))
	spec.InDefs = err == nil
	id, err := parse.ParseTestID(node)
	if err != nil {
		return spec, err
	}
	if spec.Mode == "" {
		spec.Mode = id.Mode()
	}
	spec.SubMode = id.SubMode
	var dirs []string
	if r.ConfigDir != "" {
		dirs = append(dirs, r.ConfigDir)
	}
	if path, ok := config.Find(append(dirs, spec.Tree), id); ok {
		if spec.Config, err = readConfig(path, id, r.GPUsPerNode); err != nil {
			return spec, err
		}
	}
	return spec, nil
}

func readConfig(path string, id parse.TestID, gpusPerNode int) (*ConfigSpec, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := config.Load(f, path)
	if err != nil {
		return nil, err
	}
	spec := &ConfigSpec{Path: path, Stem: c.Name, Mode: c.Mode, GPUsPerNode: gpusPerNode}
	if c.GPUsPerNode != nil {
		spec.GPUsPerNode = *c.GPUsPerNode
	}
	if c.Disagg {
		count := func(n *int) int { return *cmp.Or(n, new(int)) }
		spec.Context = &ServerSpec{Count: count(c.ContextServers), World: c.Context.TP * c.Context.PP * c.Context.CP}
		spec.Generation = &ServerSpec{Count: count(c.GenerationServers), World: c.Generation.TP * c.Generation.PP * c.Generation.CP}
		return spec, nil
	}
	spec.Aggregated = &ServerSpec{Count: 1}
	for _, s := range c.Servers {
		if len(id.Servers) == 0 || id.Servers[0] == s.Name {
			spec.Aggregated.World = max(spec.Aggregated.World, s.GPUs)
		}
	}
	return spec, nil
}

// nodeID builds the node id of a configuration.
func nodeID(r Request) (string, error) {
	module := cmp.Or(r.Module, DefaultModule)
	function := cmp.Or(r.Function, parse.DefaultFunction)
	config := strings.TrimSuffix(filepath.Base(r.Target), ".yaml")
	if config == "" || strings.ContainsAny(config, "[]") {
		return "", fmt.Errorf("%q is no configuration's name", r.Target)
	}
	prefix := aggregatedPrefix
	switch r.Mode {
	case "":
		return "", errNoMode
	case parse.Disagg:
		prefix = cmp.Or(r.Prefix, DefaultPrefix)
	}
	return fmt.Sprintf("%s::%s[%s-%s]", module, function, prefix, config), nil
}

// ReadList reads a test list: a node id a line; blank lines and lines that begin with "#" do not count.
func ReadList(path string, text []byte) ([]string, error) {
	var ids []string
	seen := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !strings.Contains(line, "::") {
			return nil, fmt.Errorf("%s:%d: %q is no node id: write <module>::<function>[<id>]", path, n, line)
		}
		if first := seen[line]; first > 0 {
			return nil, fmt.Errorf("%s:%d: the test of line %d stands here again", path, n, first)
		}
		seen[line] = n
		ids = append(ids, line)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%s holds no node id", path)
	}
	return ids, nil
}
