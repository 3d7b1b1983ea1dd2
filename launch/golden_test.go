package launch_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/launch/script"
	"github.com/trtperf/trtperf/launch/treetest"
	"github.com/trtperf/trtperf/parse"
)

// TestGolden holds plan.json and all scripts of each mode, era and way, byte for byte, as if the checkout were /tree and the workspace
// /runs/1. TRTPERF_UPDATE=1 writes them anew. Every script of ours passes bash -n and shellcheck.
func TestGolden(t *testing.T) {
	python := treetest.Python(t)
	settings := launch.SlurmSettings{Partition: "batch", Account: "perf", MPI: "pmix", Image: "registry/image:tag", Data: "/data"}
	bare := launch.SlurmSettings{GPURequest: launch.GRES, Segment: 2, SbatchArgs: []string{"--exclusive"}, SrunArgs: []string{"--gres=gpu:4", "--comment=a b'c"}}
	guide := launch.Request{Target: newest, Mode: parse.Disagg, Module: "perf/test_perf_enhanced.py", Prefix: "custom_test", On: launch.Slurm,
		Slurm: launch.SlurmSettings{Partition: "batch", Account: "perf"}}
	for name, c := range map[string]struct {
		overlay string
		request launch.Request
	}{
		"local-single-agg":   {"", launch.Request{Target: "toy_fp4_blackwell-tp4_1k1k", On: launch.Local}},
		"local-disagg":       {"", launch.Request{Target: "e2e-" + newest, On: launch.Local}},
		"single-agg":         {"", launch.Request{Target: "toy_fp4_blackwell-tp4_1k1k", Slurm: settings}},
		"multi-agg":          {"", launch.Request{Target: "toy_nvfp4_2_nodes-dep8_mtp1", Slurm: bare}},
		"ctx_only":           {"", launch.Request{Target: "ctx_only-" + newest, Slurm: settings}},
		"native-e2e":         {"", launch.Request{Target: "e2e-" + newest, Slurm: settings}},
		"native-gen_only":    {"", launch.Request{Target: "gen_only-toy-fp4_8k1k_ctx1_gen1_dep4_bs8_eplb0_mtp0_ccb-UCX", Slurm: bare}},
		"native-no_context":  {"", launch.Request{Target: "gen_only-toy-fp4_1k1k_ctx0_gen1_dep4_noctx", Slurm: settings}},
		"native-custom_test": {"", guide},
		"tree-v1":            {"v1", launch.Request{Target: v1, Slurm: settings}},
		"tree-v2-566e0e05":   {"v2-566e0e05", launch.Request{Target: "toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v2", Slurm: settings}},
		"tree-v2":            {"v2", launch.Request{Target: "toy-fp4_1k1k_ctx1_gen1_dep8_bs768_v2", Slurm: settings}},
		"tree-v3-1a43c7d6":   {"v3-1a43c7d6", launch.Request{Target: "e2e-" + newest, Slurm: settings}},
		"tree-v3":            {"v3", launch.Request{Target: "e2e-" + newest, Prefix: "disagg_custom", Slurm: settings}},
		"tree-v3-gen_only":   {"v3", launch.Request{Target: "gen_only-toy-fp4_8k1k_ctx1_gen1_dep4_bs8_eplb0_mtp0_ccb-UCX", Slurm: settings}},
		"tree-v3-single-agg": {"v3", launch.Request{Target: "toy_fp4_blackwell-tp4_1k1k", Slurm: settings, Submit: launch.SubmitTree}},
		"native-in-v3":       {"v3", launch.Request{Target: "e2e-" + newest, Slurm: settings, Submit: launch.SubmitNative}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var overlays []string
			if c.overlay != "" {
				overlays = []string{c.overlay}
			}
			tree, workspace := treetest.Checkout(t, overlays...), filepath.Join(t.TempDir(), "ws")
			write(t, tree, map[string]string{defs + "perf/test_perf_enhanced.py": ""})
			r := c.request
			r.Workspace, r.Python = workspace, filepath.Join(python, "python3")
			if r.On == "" {
				r.On = launch.Slurm
			}
			p, err := plan(t, tree, r)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(name, "tree-") != (p.Way == launch.Tree) {
				t.Fatalf("goes the %s way: %s", p.Way, p.WayReason)
			}
			if err := p.Write(); err != nil {
				t.Fatal(err)
			}
			if err := p.Prepare(t.Context(), treetest.Environ(python)); err != nil {
				t.Fatal(err)
			}
			fixed := strings.NewReplacer(tree, "/tree", workspace, "/runs/1", r.Python, "python3")
			archive := &txtar.Archive{}
			var checked []string
			add := func(name string) {
				text, err := os.ReadFile(p.Path(name))
				if err != nil {
					t.Fatal(err)
				}
				archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(fixed.Replace(string(text)))})
				if strings.HasSuffix(name, ".sh") {
					checked = append(checked, p.Path(name))
				}
			}
			add(launch.PlanFile)
			for _, f := range p.Files {
				if f.Content != script.System && !strings.HasSuffix(f.Path, ".yaml") && f.Link == "" {
					add(f.Path)
				}
			}
			for _, s := range checked {
				if out, err := exec.Command("bash", "-n", s).CombinedOutput(); err != nil {
					t.Errorf("bash -n: %s", out)
				}
			}
			// That exports are not used in the file itself, and that submit.py's variables come from elsewhere, are no faults here.
			if len(checked) > 0 {
				if _, err := exec.LookPath("shellcheck"); err != nil && os.Getenv("TRTPERF_REQUIRE_SERVICES") != "1" {
					t.Log("no shellcheck here")
				} else if out, err := exec.Command("shellcheck", append([]string{"-S", "style"}, checked...)...).CombinedOutput(); err != nil {
					t.Errorf("shellcheck: %s", out)
				}
			}
			for _, x := range p.Preparation {
				add(x.Makes)
			}
			got := txtar.Format(archive)
			golden := filepath.Join("testdata", "golden", name+".txtar")
			if os.Getenv("TRTPERF_UPDATE") != "" {
				if err := os.WriteFile(golden, got, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || string(got) != string(want) {
				t.Errorf("%s differs from %s: %v; TRTPERF_UPDATE=1 writes it anew:\n%s", name, golden, err, firstDifference(string(got), string(want)))
			}
			// The plan is complete in itself: from its own file, in another place, follows the same.
			again, err := launch.Again(p.Path(launch.PlanFile), workspace, "", "run")
			if err != nil {
				t.Fatal(err)
			}
			a, _ := json.Marshal(again)
			b, _ := json.Marshal(p)
			if string(a) != string(b) {
				t.Error("the plan made again from its file is another")
			}
			// Elsewhere nothing speaks of this place any more.
			moved, err := launch.Again(p.Path(launch.PlanFile), "/far/ws", "/far/tree", "run")
			if err != nil {
				t.Fatal(err)
			}
			if text, _ := moved.JSON(); strings.Contains(string(text), tree) || strings.Contains(string(text), workspace) {
				t.Errorf("the moved plan still names this place:\n%s", text)
			}
		})
	}
}

func firstDifference(got, want string) string {
	w := strings.Split(want, "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(w) || line != w[i] {
			return "+ " + line + "\n- " + strings.Join(w[min(i, len(w)):min(i+1, len(w))], "")
		}
	}
	return ""
}
