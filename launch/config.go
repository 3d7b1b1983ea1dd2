package launch

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trtperf/trtperf/launch/tree"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/config"
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_]\w*$`)
	secretName   = regexp.MustCompile(`(?i)(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|AUTH_KEY|CREDENTIAL)`)
	// secretLine is the one secret that a configuration may hold.
	secretLine = regexp.MustCompile(`(?m)^([ \t]*)internal_request_auth_key[ \t]*:.*$`)
)

// readConfig reads the configuration of a test.
func (r Request) readConfig(spec *Spec, at string, id parse.TestID, stem string, disagg bool) (*ConfigSpec, error) {
	text, err := os.ReadFile(at)
	if err != nil {
		return nil, err
	}
	c, err := config.Load(bytes.NewReader(text), at)
	if err != nil {
		return nil, err
	}
	if c.Disagg != disagg {
		kind := map[bool]string{true: "disaggregated", false: "aggregated"}
		return nil, fmt.Errorf("%s is %s, and test %s wants an %s configuration", at, kind[c.Disagg], id.ID, kind[disagg])
	}
	s := &ConfigSpec{Path: spec.inTree(at), Stem: stem, Mode: c.Mode, GPUsPerNode: r.GPUsPerNode, Text: secretLine.ReplaceAllString(string(text), "$1# a secret was left out here")}
	if s.Path == at {
		s.Folder = filepath.Dir(at)
	}
	if c.GPUsPerNode != nil {
		s.GPUsPerNode = *c.GPUsPerNode
		if r.GPUsPerNode > 0 && r.GPUsPerNode != s.GPUsPerNode {
			return nil, fmt.Errorf("--gpus-per-node %d, but %s says hardware.gpus_per_node: %d", r.GPUsPerNode, at, s.GPUsPerNode)
		}
	}
	switch {
	case c.Disagg && id.SubMode == "ctx_only":
		s.Aggregated = &ServerSpec{Count: 1, World: world(c.Context)}
	case c.Disagg:
		spec.disaggregated(s, c, id)
	default:
		return s, s.aggregated(c, id)
	}
	return s, nil
}

// world is the number of ranks of a worker: submit.py counts no explicit gpus, and nobody counts expert parallelism.
func world(s config.Server) int { return s.TP * s.PP * s.CP }

// aggregated sets the server of an aggregated test; of several, which run one after another, the largest.
func (s *ConfigSpec) aggregated(c *config.Config, id parse.TestID) error {
	s.Aggregated = &ServerSpec{Count: 1}
	var names []string
	wanted := id.Servers
	if !id.Aggregated() { // a prefix of the user's own: the grammar is the aggregated one all the same
		wanted = nil
		if _, servers, ok := strings.Cut(id.ID[len(id.Prefix)+1:], "-"); ok {
			for name := range strings.SplitSeq(servers, ",") {
				wanted = append(wanted, strings.TrimSpace(name))
			}
		}
	}
	for _, server := range c.Servers {
		names = append(names, server.Name)
		if len(wanted) > 0 && !slices.Contains(wanted, server.Name) {
			continue
		}
		gpus := server.GPUs
		if server.WorldSize > 0 {
			gpus = server.WorldSize
		}
		s.Aggregated.World = max(s.Aggregated.World, gpus)
	}
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s has no server %q, which test %s selects; it has %s", s.Path, name, id.ID, strings.Join(names, ", "))
		}
	}
	return nil
}

// disaggregated sets the workers of a disaggregated test.
func (spec *Spec) disaggregated(s *ConfigSpec, c *config.Config, id parse.TestID) {
	count := func(n *int) int {
		if n == nil {
			return 0
		}
		return *n
	}
	mode := id.SubMode
	if mode == "" {
		mode = c.Mode
	}
	s.Context = &ServerSpec{Count: count(c.ContextServers), World: world(c.Context), Env: words(c.Environment.Context)}
	s.Generation = &ServerSpec{Count: count(c.GenerationServers), World: world(c.Generation), Env: words(c.Environment.Generation)}
	s.RouterEnv, s.ClientEnv = words(c.Environment.Router), words(c.Environment.Client)
	if strings.Contains(mode, "gen_only") {
		noContext := strings.Contains(c.Mode, "gen_only_no_context") || strings.Contains(mode, "gen_only_no_context")
		if noContext {
			mode = "gen_only_no_context"
		}
		// The first era's tests leave the context servers out of every generation-only run.
		oldRule := id.SubMode == "" && spec.Launcher != nil && !spec.Launcher.NoContextOnly
		if noContext || oldRule {
			s.Context.Count, s.NoContext = 0, true
		} else {
			s.QueueSize = min(c.Concurrencies[0], c.Generation.MaxBatchSize)
		}
	}
	spec.SubMode = mode
}

// words splits an environment text. Words without "=" say nothing, as for the test harness.
func words(text string) []string {
	var all []string
	for word := range strings.FieldsSeq(text) {
		if name, _, ok := strings.Cut(word, "="); ok && variableName.MatchString(name) {
			all = append(all, word)
		}
	}
	return all
}

// acceptedByTree reports why the checkout's launcher would not take the test, or would make something else of it.
func (s *Spec) acceptedByTree(f found) error {
	l := s.Launcher
	kind, err := l.ParseID(f.id.ID)
	if err != nil {
		return err
	}
	switch {
	case !s.InDefs:
		return fmt.Errorf("the checkout's run script starts pytest in %s, and %s lies elsewhere", defsDirectory, s.Module)
	case s.Config == nil:
		return f.why
	case l.Version == tree.V3 && !slices.Contains(s.OwnOptions, "--output-dir"):
		return errors.New("submit.py of era v3 puts the logs below --output-dir, and the checkout's conftest.py declares no such option")
	case s.Config.Folder != "" || filepath.ToSlash(filepath.Dir(s.Config.Path)) != l.Folders(kind.Disagg):
		return fmt.Errorf("submit.py of era %s looks for configurations in %s alone, and this one is %s", l.Version, l.Folders(kind.Disagg), f.path)
	case l.Version == tree.V1 && !s.Config.fills():
		return errors.New("the draft of era v1 starts a task for each GPU of a node, so that a server of fewer GPUs would get ranks that it has no place for")
	case kind.Stem != s.Config.Stem:
		return fmt.Errorf("submit.py of era %s takes %q for the configuration's name, and it is %q", l.Version, kind.Stem, s.Config.Stem)
	}
	if err := l.CheckConfig(f.path, kind); err != nil {
		return err
	}
	for what, word := range map[string]string{"the id": s.Module + "::" + s.Selected, "the workspace": s.Workspace, "the checkout's path": s.Tree,
		"the data directory": s.Slurm.Data} {
		if word != "" {
			if err := tree.CheckWord(what, word); err != nil {
				return err
			}
		}
	}
	for _, e := range s.Environment {
		if err := tree.CheckWord("the variable", e); err != nil {
			return err
		}
	}
	for _, a := range slices.Concat(s.PytestArgs, s.Pytest) {
		if err := tree.CheckWord("pytest's argument", a); err != nil {
			return err
		}
	}
	// The run script evaluates the command unquoted, so that the id's brackets are a pattern for files.
	if names, err := filepath.Glob(filepath.Join(globEscape(s.dir()), filepath.FromSlash(s.Module+"::"+s.Selected))); err == nil && len(names) > 0 {
		return fmt.Errorf("the run script would take %s for the id, since its brackets fit that name", strconv.Quote(names[0]))
	}
	return nil
}

// fills reports whether every server takes all GPUs of its nodes.
func (c *ConfigSpec) fills() bool {
	for _, s := range []*ServerSpec{c.Context, c.Generation, c.Aggregated} {
		if s != nil && s.Count > 0 && c.GPUsPerNode > 0 && s.World%c.GPUsPerNode != 0 {
			return false
		}
	}
	return true
}

// globEscape makes a path mean itself in a pattern.
func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
