package launch_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/launch/tree"
	"github.com/trtperf/trtperf/launch/treetest"
	"github.com/trtperf/trtperf/parse"
)

const (
	newest = "toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX"
	v1     = "toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v1"
)

// eras are the overlays, with a configuration that each takes.
var eras = []struct {
	overlay, id string
	version     tree.Version
	nodes       int
}{
	{"v1", "disagg_upload-" + v1, tree.V1, 3},
	{"v2-566e0e05", "disagg_upload-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v2", tree.V2, 3},
	{"v2", "disagg_upload-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v2", tree.V2, 3},
	{"v3-1a43c7d6", "disagg_upload-e2e-" + newest, tree.V3, 3},
	{"v3", "disagg_upload-e2e-" + newest, tree.V3, 3},
	{"v3", "disagg_upload-gen_only-toy-fp4_8k1k_ctx1_gen1_dep4_bs8_eplb0_mtp0_ccb-UCX", tree.V3, 2},
	{"v3", "disagg_upload-gen_only-toy-fp4_1k1k_ctx0_gen1_dep4_noctx", tree.V3, 1},
}

// TestTree has each era's own submit.py make the job's script, and reads the script back.
func TestTree(t *testing.T) {
	python := filepath.Join(treetest.Python(t), "python3")
	for _, c := range eras {
		t.Run(c.overlay+" "+c.id, func(t *testing.T) {
			t.Parallel()
			checkout := treetest.Checkout(t, c.overlay)
			p, err := plan(t, checkout, launch.Request{Target: sanity + "::test_e2e[" + c.id + "]", On: launch.Slurm, Python: python, Workspace: filepath.Join(t.TempDir(), "ws"),
				Slurm: launch.SlurmSettings{Partition: "batch", Account: "perf", MPI: "pmix", Image: "registry/image:tag", Data: "/data"}})
			if err != nil {
				t.Fatal(err)
			}
			if p.Way != launch.Tree || p.Spec.Launcher.Version != c.version || p.Hardware.Nodes != c.nodes {
				t.Fatalf("%s (%s), era %s, %d nodes", p.Way, p.WayReason, p.Spec.Launcher.Version, p.Hardware.Nodes)
			}
			if err := p.Write(); err != nil {
				t.Fatal(err)
			}
			if err := p.Prepare(t.Context(), treetest.Environ(filepath.Dir(python))); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(p.Path(p.Job.Script))
			if err != nil {
				t.Fatal(err)
			}
			// One wrong word, a lost one, a lost quote, and another count.
			for what, broken := range map[string]string{
				"the id is lost":    strings.ReplaceAll(string(text), " "+p.Test.NodeID+`"`, `"`),
				"another id":        strings.ReplaceAll(string(text), c.id, c.id+"x"),
				"nothing runs":      strings.ReplaceAll(string(text), " pytest ", " true "),
				"the quote is lost": strings.Replace(string(text), p.Test.NodeID+`"`, p.Test.NodeID, 1),
				"another count":     strings.ReplaceAll(string(text), "export totalNodes=", "export totalNodes=1"),
			} {
				if err := os.WriteFile(p.Path(p.Job.Script), []byte(broken), 0o666); err != nil {
					t.Fatal(err)
				}
				again := *p
				again.Preparation = nil
				if err := again.Prepare(t.Context(), nil); err == nil {
					t.Errorf("%s, and the script passes", what)
				}
			}
		})
	}
}

// TestTreeRefuses has what an era cannot do: refused before a file is written where the tree's way is demanded, and done natively otherwise.
func TestTreeRefuses(t *testing.T) {
	trees := map[string]string{"none": treetest.Checkout(t)}
	for _, c := range eras {
		if trees[c.overlay] == "" {
			trees[c.overlay] = treetest.Checkout(t, c.overlay)
		}
	}
	disaggOf := map[string]string{"v1": firstDir, "v2": secondDir, "v3": disaggDir}
	for era, dir := range disaggOf {
		good := disaggConfig(4, 4, 1, 8, 1, "e2e")
		write(t, trees[era], map[string]string{
			dir + "good.yaml":      good,
			dir + "small.yaml":     disaggConfig(4, 2, 1, 8, 1, "e2e"),
			dir + "textlist.yaml":  strings.Replace(good, "concurrency_list: 16", `concurrency_list: "1 2 4"`, 1),
			dir + "list.yaml":      strings.Replace(good, "concurrency_list: 16", `concurrency_list: [16, 32]`, 1),
			dir + "genlist.yaml":   strings.NewReplacer("concurrency_list: 16", `concurrency_list: [16, 32]`, "mode: e2e", "mode: gen_only").Replace(good),
			dir + "textgpus.yaml":  strings.Replace(good, "gpus_per_node: 4", `gpus_per_node: "4"`, 1),
			dir + "noenv.yaml":     strings.Replace(good, "environment: {worker_env_var: A=1, gen_worker_env_var: B=2, server_env_var: C=3, client_env_var: D=4}", "environment:", 1),
			dir + "quote.yaml":     strings.Replace(good, "worker_env_var: A=1", `worker_env_var: 'A="1"'`, 1),
			dir + "a b.yaml":       good,
			dir + "x--csv.yaml":    good,
			dir + "glob.yaml":      good,
			defs + "perf/x":        "",
			"my/elsewhere.yaml":    good,
			"my/disaggregated/y":   "",
			defs + "custom/new.py": "",
		})
		write(t, trees[era], map[string]string{defs + "perf/test_perf_sanity.py::test_e2e" + "d": ""})
	}
	for _, c := range []struct {
		era, id string
		err     string // "" where the tree takes it
		change  func(*launch.Request)
	}{
		{"none", "disagg_upload-e2e-" + newest, "has neither", nil},
		{"v1", "disagg_upload-good", "", nil}, {"v1", "disagg_custom-good", "", nil}, {"v1", "x_disagg-good", "", nil},
		{"v2", "disagg_upload-good", "", nil}, {"v2", "disagg_upload-list", "", nil}, {"v3", "disagg_upload-e2e-list", "", nil},
		{"v3", "disagg-e2e-good", "", nil}, {"v3", "disagg_custom-e2e-good", "", nil}, {"v3", "disagg_upload-e2e-genlist", "", nil},
		{"v3", "disagg_upload-e2e-small", "", nil}, {"v2", "disagg_upload-small", "", nil},
		{"v1", "disagg_upload-small", "would get ranks", nil},
		{"v1", "disagg-e2e-good", `takes "e2e-good" for the configuration's name`, nil},
		{"v2", "disagg_custom-e2e-good", `takes "e2e-good"`, nil},
		{"v3", "disagg_upload-good", "wants disagg_upload-e2e-<configuration>", nil},
		{"v3", "disagg_custom-good", "wants disagg_custom-e2e", nil}, {"v3", "x_disagg-good", "wants x_disagg-e2e", nil},
		{"v1", "custom_test-good", `does not contain "disagg"`, nil}, {"v3", "custom_test-good", `contains neither`, nil},
		{"v3", "Disagg-e2e-good", `contains neither`, nil},
		{"v1", "disagg_upload-textlist", "must be one number or a list", nil}, {"v3", "disagg_upload-e2e-textlist", "must be one number or a list", nil},
		{"v2", "disagg_upload-genlist", "is a list in a generation-only test", nil}, {"v3", "disagg_upload-gen_only-list", "is a list in a generation-only test", nil},
		{"v1", "disagg_upload-textgpus", "must be a plain number", nil}, {"v3", "disagg_upload-e2e-textgpus", "must be a plain number", nil},
		{"v1", "disagg_upload-noenv", "environment has no content", nil}, {"v3", "disagg_upload-e2e-noenv", "", nil},
		{"v2", "disagg_upload-quote", "its export would end there", nil},
		{"v1", "disagg_upload-a b", "splits its texts at blanks", nil}, {"v3", "disagg_upload-e2e-x--csv", `removes or renames words that contain "--csv"`, nil},
		{"v1", "disagg_upload-glob", "would take", nil},
		{"v2", "disagg_upload-elsewhere", "looks for configurations in", func(r *launch.Request) { r.ConfigDir = filepath.Join(trees["v2"], "my") }},
		{"v1", "disagg_upload-good", "the workspace", func(r *launch.Request) { r.Workspace = "/a b" }},
		{"v1", "disagg_upload-good", "the workspace", func(r *launch.Request) { r.Workspace = "/pytestCommand" }},
		{"v2", "disagg_upload-good", "the variable", func(r *launch.Request) { r.Env = []string{"A=$B"} }},
		{"v2", "disagg_upload-good", "pytest's argument", func(r *launch.Request) { r.PytestArgs = []string{"--periodic-junit"} }},
		{"v2", "disagg_upload-good", "this run is local", func(r *launch.Request) { r.On = launch.Local }},
	} {
		request := launch.Request{Target: sanity + "::test_e2e[" + c.id + "]", On: launch.Slurm, Submit: launch.SubmitTree, Mode: parse.Disagg}
		if c.change != nil {
			c.change(&request)
		}
		if strings.HasSuffix(c.id, "-glob") {
			// The brackets as a pattern for one letter.
			write(t, trees[c.era], map[string]string{defs + "perf/test_perf_sanity.py::test_e2eg": ""})
		} else {
			for _, l := range []string{"g", "d"} {
				_ = os.Remove(filepath.Join(trees[c.era], defs+"perf/test_perf_sanity.py::test_e2e"+l))
			}
		}
		_, err := plan(t, trees[c.era], request)
		switch {
		case c.err == "" && err != nil:
			t.Errorf("%s %s: %v", c.era, c.id, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s %s: error %v, want %q", c.era, c.id, err, c.err)
		}
		request.Submit = launch.SubmitAuto
		if p, err := plan(t, trees[c.era], request); err != nil || (p.Way == launch.Tree) != (c.err == "") || c.err != "" && !strings.Contains(p.WayReason, c.err) {
			t.Errorf("%s %s: auto: %v, %+v", c.era, c.id, err, p)
		}
	}
}
