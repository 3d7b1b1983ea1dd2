package launch_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/launch/treetest"
	"github.com/trtperf/trtperf/testdata/services"
)

// submit carries out a plan's job on a real Slurm by sbatch --wait alone, and says what it left.
func submit(t testing.TB, conf, python string, p *launch.Plan, env ...string) launch.Outcome {
	t.Helper()
	if err := p.Write(); err != nil {
		t.Fatal(err)
	}
	environ := treetest.Environ(python, append(env, "SLURM_CONF="+conf, "TREE_DRAFT_SLEEP=0", "TREE_DRAFT_SETTLE=0", "TREE_DRAFT_MPI=none", "TREE_RUN_SLEEP=1")...)
	if err := p.Prepare(t.Context(), environ); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("sbatch", append(append([]string{"--parsable", "--wait"}, p.Job.Args...), p.Path(p.Job.Script))...)
	command.Env, command.Dir = environ, p.Workspace
	out, err := command.Output()
	var o launch.Outcome
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		t.Fatal(err)
	}
	o.JobID, o.State = strings.TrimSpace(string(out)), "COMPLETED"
	if failed {
		o.State = "FAILED"
		if o.JobID == "" {
			t.Fatalf("sbatch: %s", exit.Stderr)
		}
	}
	p.ReadExits(&o)
	return o
}

// jobLog is what the job printed.
func jobLog(t testing.TB, p *launch.Plan, o launch.Outcome) string {
	var all strings.Builder
	logs, _ := filepath.Glob(filepath.Join(p.Workspace, "*.log"))
	more, _ := filepath.Glob(filepath.Join(p.Workspace, "*", "*.log"))
	for _, name := range append(logs, more...) {
		text, err := os.ReadFile(name)
		fmt.Fprintf(&all, "== %s %v\n%s", name, err, text[max(0, len(text)-3000):])
	}
	return all.String()
}

// TestJobs runs the scripts of every mode and way on a real Slurm. What testdata/script/launch_slurm.txtar runs too waits for TRTPERF_SOAK=1.
func TestJobs(t *testing.T) {
	conf := services.Slurm(t).Conf()
	python := treetest.Python(t)
	for _, c := range []struct {
		name, overlay, id string
		request           launch.Request
		way               launch.Way
		err               string
		soak              bool // with TRTPERF_SOAK=1 alone
	}{
		{"single-agg", "", "aggr_upload-toy_fp4_blackwell-tp4_1k1k", launch.Request{}, launch.Native, "", true},
		{"multi-agg", "", "aggr_upload-toy_nvfp4_2_nodes-dep8_mtp1", launch.Request{}, launch.Native, "", true},
		{"native", "", "disagg_upload-e2e-" + newest, launch.Request{}, launch.Native, "", true},
		{"native gen_only", "", "disagg_upload-gen_only-toy-fp4_1k1k_ctx0_gen1_dep4_noctx", launch.Request{Slurm: launch.SlurmSettings{GPURequest: launch.GRES}}, launch.Native, "", true},
		{"native, container options", "", "disagg_upload-e2e-toy-fp4_1k1k_ctx2_gen2_tp2_mtp2",
			launch.Request{Workspace: "a b'$HOME;c", Slurm: launch.SlurmSettings{Image: "reg/image:tag", MPI: "none"}}, launch.Native, "", false},
		{"native, a dead role", "", "disagg_upload-e2e-" + newest, launch.Request{Env: []string{"TREE_FAULTS=dies:CTX_0"}}, launch.Native, "CTX_0 ended with exit code 7 before", true},
		{"native, a failed test", "", "aggr_upload-toy_fp4_blackwell-tp4_1k1k", launch.Request{Env: []string{"TREE_FAULTS=assert:no good"}}, launch.Native, "a test failed: pytest ended with exit code 1", true},
		{"native, several ranks, a failed test", "", "aggr_upload-toy_nvfp4_2_nodes-dep8_mtp1", launch.Request{Env: []string{"TREE_FAULTS=assert:no good"}}, launch.Native, "a test failed: pytest ended with exit code 1", false},
		{"tree v3, several ranks, a failed test", "v3", "aggr_upload-toy_nvfp4_2_nodes-dep8_mtp1", launch.Request{Submit: launch.SubmitTree, Env: []string{"TREE_FAULTS=assert:bad"}}, launch.Tree, "a test failed: ", false},
		{"tree v1", "v1", eras[0].id, launch.Request{}, launch.Tree, "", true},
		{"tree v2", "v2", eras[2].id, launch.Request{Slurm: launch.SlurmSettings{MPI: "none"}}, launch.Tree, "", true},
		{"tree v3", "v3", eras[4].id, launch.Request{}, launch.Tree, "", true},
		{"tree v2, a failed test", "v2", eras[2].id, launch.Request{Env: []string{"TREE_FAULTS=assert:bad"}}, launch.Tree, "a test failed: pytest ended with exit code 1", true},
		{"tree v3, single-agg", "v3", "aggr_upload-toy_fp4_blackwell-tp4_1k1k", launch.Request{Submit: launch.SubmitTree}, launch.Tree, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.soak && os.Getenv("TRTPERF_SOAK") != "1" {
				t.Skip("one of its kind runs; TRTPERF_SOAK=1 runs all")
			}
			var overlays []string
			if c.overlay != "" {
				overlays = []string{c.overlay}
			}
			r := c.request
			r.Target, r.On, r.Python = sanity+"::test_e2e["+c.id+"]", launch.Slurm, filepath.Join(python, "python3")
			r.Workspace = filepath.Join(t.TempDir(), cmp.Or(r.Workspace, "ws"))
			p, err := plan(t, treetest.Checkout(t, overlays...), r)
			if err != nil {
				t.Fatal(err)
			}
			if p.Way != c.way {
				t.Fatalf("goes the %s way: %s", p.Way, p.WayReason)
			}
			o := submit(t, conf, python, p)
			err = p.Verdict(t.Context(), o)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("job %s: %v, want %q\n%s", o.JobID, err, c.err, jobLog(t, p, o))
			}
			if _, err := os.Stat(p.Path("trtperf-system.BENCHMARK.json")); err != nil {
				t.Error(err)
			}
		})
	}
}
