// Package launch starts performance tests and waits for them.
//
// A [Plan] is computed first and is pure: the node ids, the files with their content, the argument list, the environment. It can be
// printed; then it is carried out. What runs is always an argument list and never a shell's text.
//
// # Targets
//
// A target is a pytest node id, which is run as it stands; the name of a configuration, of which the node id is built; or a
// test-list file with a node id a line. Node ids are built as TensorRT-LLM's own scripts do:
//
//	disagg               <module>::<function>[<prefix>-<config>]
//	single-agg, multi-agg <module>::<function>[aggr_upload-<config>[-<server>]]
//
// Module, function and prefix come from PERF_TEST_MODULE, PERF_TEST_FUNCTION and PERF_TEST_PREFIX; empty means the default.
package launch

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/trtperf/trtperf/parse"
)

// Defaults of TensorRT-LLM's scripts.
const (
	DefaultModule       = "perf/test_perf_sanity.py"
	DefaultPrefix       = "disagg_upload"
	aggregatedPrefix    = "aggr_upload"
	defsDirectory       = "tests/integration/defs"
	disaggTestListName  = "test_list_disagg.txt"
	regularTestListName = "test_list.txt"
	resultsName         = "results.xml"
)

// Request is what the user asks for.
type Request struct {
	// Target is a node id, a configuration's name, or a test list's path.
	Target string
	// List is the content of the test list where Target names one; nil otherwise.
	List []byte
	// Module, Function and Prefix are PERF_TEST_MODULE, PERF_TEST_FUNCTION and PERF_TEST_PREFIX.
	Module, Function, Prefix string
	// Mode is needed where Target is a configuration's name.
	Mode parse.Mode
	// Tree is the TensorRT-LLM checkout.
	Tree string
	// Workspace is the run's own directory.
	Workspace string
}

// File is a file that a plan writes into the workspace.
type File struct {
	Name, Content string
}

// Plan is what a launch does.
type Plan struct {
	NodeIDs []string
	Mode    parse.Mode // empty where the targets do not tell it
	// Dir is the directory that pytest runs in.
	Dir       string
	Workspace string
	Argv      []string
	Files     []File
	// Results is the path of the results.xml that pytest writes.
	Results string
	// Remarks are what a person should know before it runs.
	Remarks []string
}

// NewPlan computes a plan. InDefs reports whether a module lies below the checkout's tests/integration/defs, which is then the
// directory that pytest runs in.
func NewPlan(r Request, inDefs func(module string) bool) (*Plan, error) {
	p := &Plan{Mode: r.Mode, Workspace: r.Workspace, Dir: r.Tree, Results: filepath.Join(r.Workspace, resultsName)}
	switch {
	case r.List != nil:
		ids, err := readList(r.Target, r.List)
		if err != nil {
			return nil, err
		}
		p.NodeIDs = ids
	case strings.Contains(r.Target, "::"):
		p.NodeIDs = []string{r.Target}
	default:
		id, err := nodeID(r)
		if err != nil {
			return nil, err
		}
		p.NodeIDs = []string{id}
	}
	for _, node := range p.NodeIDs {
		id, err := parse.ParseTestID(node)
		if err != nil {
			return nil, err
		}
		module, function, _ := strings.Cut(node, "::")
		if !strings.HasSuffix(module, ".py") || function == "" {
			return nil, fmt.Errorf("%q is no node id: write <module>.py::<function>[<id>]", node)
		}
		if p.Mode == "" {
			p.Mode = id.Mode()
		}
		if id.Suite == parse.PerfSanity && id.Upload == parse.UploadNo {
			p.Remarks = append(p.Remarks, fmt.Sprintf("the prefix %q does not contain \"upload\", so the test's own upload is off", id.Prefix))
		}
		if inDefs(module) {
			p.Dir = filepath.Join(r.Tree, filepath.FromSlash(defsDirectory))
		}
	}
	list := regularTestListName
	if p.Mode == parse.Disagg {
		list = disaggTestListName
	}
	p.Files = []File{{list, strings.Join(p.NodeIDs, "\n") + "\n"}}
	p.Argv = append([]string{"pytest"}, p.NodeIDs...)
	p.Argv = append(p.Argv, "-vv", "-o", "junit_logging=out-err", "--junit-xml="+p.Results)
	return p, nil
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
		return "", errors.New("a configuration's name does not tell the mode: give --mode single-agg, multi-agg or disagg, or a whole node id")
	case parse.Disagg:
		prefix = cmp.Or(r.Prefix, DefaultPrefix)
	}
	return fmt.Sprintf("%s::%s[%s-%s]", module, function, prefix, config), nil
}

// readList reads a test list: a node id a line; blank lines and lines that begin with "#" do not count.
func readList(path string, text []byte) ([]string, error) {
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

// Announcement is what TensorRT-LLM's scripts print before a launch, word for word, since others read it.
func (p *Plan) Announcement() string {
	id, err := parse.ParseTestID(p.NodeIDs[0])
	if err != nil || id.Suite != parse.PerfSanity {
		return ""
	}
	if p.Mode != parse.Disagg {
		return fmt.Sprintf("测试模块: %s\n测试函数: %s\n", id.Module, id.Function)
	}
	return fmt.Sprintf("[步骤 0] 测试模块配置:\n  测试模块: %s\n  测试函数: %s\n  测试前缀: %s\n✓ 生成 test list: %s\n", id.Module, id.Function, id.Prefix,
		filepath.Join(p.Workspace, disaggTestListName))
}
