package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/testdata/services"
)

// The guide's own example.
const guideConfig = "deepseek-r1-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX"

// job is a Jenkins job whose builds run on a site: its workspace, and what its configuration says.
type job struct {
	site            *siteCluster
	repository      string
	workspace, home string
	environment     []string
	credentials     []string
}

// newJob makes a job. Its workspace holds the settings file with the site's cluster as gb300, and a test list.
func newJob(t *testing.T, s *siteCluster, repository string, environment ...string) *job {
	t.Helper()
	j := &job{site: s, repository: repository, workspace: t.TempDir(), home: t.TempDir()}
	text, err := os.ReadFile(filepath.Join(s.dir, "trtperf.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	list := "aggr_upload-toy_fp4_blackwell-tp4_1k1k\ndisagg_upload-e2e-" + disaggConfig + "\naggr_upload-toy_nvfp4_2_nodes-dep8_mtp1 SKIP (bug 1)\n" +
		"aggr_upload-toy_nvfp4_2_nodes-dep8_mtp1\n"
	for name, text := range map[string]string{"trtperf.yaml": strings.Replace(string(text), "  site:", "  gb300:", 1), "testlists/debug_cases.txt": list} {
		path := filepath.Join(j.workspace, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	j.environment = append([]string{"TRTPERF_COMMAND=" + s.program, "HOME=" + j.home, "TRTPERF_PYTEST=/usr/bin/python3 -m pytest", "TRTPERF_NO_COLLECT=true", "TRTPERF_POLL=1s",
		"TRTPERF_SSH_CREDENTIALS=cluster-key", "JOB_NAME=perf", "BUILD_URL=https://ci.example/job/perf/7/"}, environment...)
	j.credentials = []string{"--credential", "cluster-key=" + s.ssh.User + ":" + s.ssh.KeyFile}
	return j
}

// settings adds lines to the job's settings file.
func (j *job) settings(t *testing.T, lines string) {
	t.Helper()
	path := filepath.Join(j.workspace, "trtperf.yaml")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(text, lines...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// build runs a build of the job and wants a result.
func (j *job) build(t *testing.T, number int, result string, parameters map[string]string, args ...string) *jenkinsBuild {
	t.Helper()
	all := map[string]string{"TESTLIST": "manual", "TRTLLM_REPO": j.repository}
	for name, value := range parameters {
		all[name] = value
	}
	args = append(args, "--build", fmt.Sprint(number))
	for name, value := range all {
		args = append(args, "--param", name+"="+value)
	}
	b := runJenkins(t, j.workspace, "Perf_Test.groovy", j.environment, append(args, j.credentials...)...)
	if b.last().Result != result {
		t.Fatalf("result %s, want %s:\n%s", b.last().Result, result, b.last().Log)
	}
	return b
}

// says wants texts in the build's log.
func (b *jenkinsBuild) says(t *testing.T, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(b.last().Log, want) {
			t.Errorf("the log does not say %q:\n%s", want, b.last().Log)
		}
	}
}

// archived wants files to be among those that the build keeps.
func (b *jenkinsBuild) archived(t *testing.T, all ...string) {
	t.Helper()
	a := b.find("archiveArtifacts", "")
	if a == nil || !a.Fingerprint {
		t.Fatalf("archived %+v", a)
	}
	for _, want := range all {
		if !slices.Contains(a.Files, want) {
			t.Errorf("%s is not archived: %q", want, a.Files)
		}
	}
}

// checkoutRepository makes a Git repository of the test tree, with the guide's configuration in it. It returns its address and the commit.
func checkoutRepository(t *testing.T) (address, commit string) {
	t.Helper()
	dir := t.TempDir()
	const script = `cp -RL ../../testdata/tree/. "$1"
cd "$1"
cp "tests/scripts/perf-sanity/disaggregated/$2.yaml" "tests/scripts/perf-sanity/disaggregated/$3.yaml"
git init -q -b main .
git add .
git -c user.name=t -c user.email=t@example.com commit -qm tree
git rev-parse HEAD`
	out, err := exec.Command("bash", "-euc", script, "bash", dir, disaggConfig, guideConfig).Output()
	if err != nil {
		t.Fatal(err)
	}
	return "file://" + dir, strings.TrimSpace(string(out))
}

// TestPipeline: builds of jenkins/Perf_Test.groovy, whose shell steps are all carried out, on a cluster behind a real sshd.
func TestPipeline(t *testing.T) {
	s := newSite(t)
	repository, commit := checkoutRepository(t)
	const single = "toy_fp4_blackwell-tp4_1k1k"

	t.Run("single-agg", func(t *testing.T) {
		t.Parallel()
		j := newJob(t, s, repository)
		b := j.build(t, 7, "SUCCESS", map[string]string{"CONFIG_FILE": single})
		b.says(t, "测试模块: perf/test_perf_sanity.py\n测试函数: test_e2e\n", "every hash as sent")
		b.archived(t, "output_7/perf_script_test_results.csv", "output_7/perf_script_test_results.metrics.csv", "output_7/perf_results_full.csv", "output_7/summary.md",
			"output_7/logs.tar.zst", "output_7/run/results.xml", "output_7/run/plan.json")
		if !strings.HasPrefix(b.last().Description, "**done**: 2 valid, 0 failed results") {
			t.Errorf("description %q", b.last().Description)
		}
		if results := b.find("junit", ""); results == nil || results.Failures != 0 || len(results.Files) == 0 {
			t.Errorf("junit %+v", results)
		}
		csv, err := os.ReadFile(filepath.Join(j.workspace, "output_7", "perf_results_full.csv"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{commit, "https://ci.example/job/perf/7/", ",main,"} {
			if !bytes.Contains(csv, []byte(want)) {
				t.Errorf("the CSV has no %s:\n%s", want, csv)
			}
		}
	})
	t.Run("multi-agg without upload, and old builds", func(t *testing.T) {
		t.Parallel()
		j := newJob(t, s, repository)
		for old := range 7 {
			if err := os.Mkdir(filepath.Join(j.workspace, fmt.Sprintf("output_%d", old)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		// A settings file that names a target, which must not be touched.
		j.settings(t, "to: sqlite:owed.db\n")
		b := j.build(t, 8, "SUCCESS", map[string]string{"CONFIG_FILE": "toy_nvfp4_2_nodes-dep8_mtp1", "MANUAL_TEST_MODE": "multi-agg", "UPLOAD_TO_TRTPERF": "false"})
		b.archived(t, "output_8/perf_script_test_results.csv")
		if _, err := os.Stat(filepath.Join(j.workspace, "owed.db")); err == nil {
			t.Error("a build without upload has delivered")
		}
		left, err := filepath.Glob(filepath.Join(j.workspace, "output_*"))
		if err != nil || len(left) != 5 || !slices.Contains(left, filepath.Join(j.workspace, "output_8")) {
			t.Errorf("left: %q, %v", left, err)
		}
	})
	t.Run("the guide's Jenkins check", func(t *testing.T) {
		t.Parallel()
		j := newJob(t, s, repository)
		b := j.build(t, 3, "SUCCESS", map[string]string{"PERF_TEST_MODULE": "perf/test_perf_enhanced.py", "PERF_TEST_FUNCTION": "test_e2e", "PERF_TEST_PREFIX": "custom_test",
			"TESTLIST": "manual", "CONFIG_FILE": guideConfig, "MANUAL_TEST_MODE": "disagg"})
		b.says(t, "[步骤 0] 测试模块配置:\n  测试模块: perf/test_perf_enhanced.py\n  测试函数: test_e2e\n  测试前缀: custom_test\n✓ 生成 test list: "+s.workdir()+"/runs/",
			"/test_list_disagg.txt\n")
		b.archived(t, "output_3/perf_script_test_results.csv", "output_3/run/results.xml")
		guideFiles(t, filepath.Join(j.workspace, "output_3", "run"), "perf/test_perf_enhanced.py::test_e2e[custom_test-"+guideConfig+"]")
	})
	t.Run("dry run of a list", func(t *testing.T) {
		t.Parallel()
		j := newJob(t, s, repository)
		b := j.build(t, 1, "SUCCESS", map[string]string{"TESTLIST": "debug_cases", "FILTER_MODE": "disagg", "DRY_RUN": "true"})
		b.says(t, "1 tests, 3 left out", "#SBATCH --nodes=3", "export pytestCommand=")
		if left, err := filepath.Glob(filepath.Join(j.workspace, "output_*")); err != nil || len(left) != 0 || b.find("archiveArtifacts", "") != nil {
			t.Errorf("a dry run left %q, %v", left, err)
		}
	})
	t.Run("a test that fails", func(t *testing.T) {
		t.Parallel()
		j := newJob(t, s, repository, "TRTPERF_ENV=TREE_FAULTS", "TREE_FAULTS=assert:bad")
		b := j.build(t, 4, "UNSTABLE", map[string]string{"CONFIG_FILE": single})
		b.says(t, "a test or a result failed")
		b.archived(t, "output_4/perf_results_full.csv", "output_4/summary.md", "output_4/logs.tar.zst", "output_4/run/results.xml")
		if results := b.find("junit", ""); results == nil || results.Failures != 1 {
			t.Errorf("junit %+v", results)
		}
		if !strings.HasPrefix(b.last().Description, "**a test failed**: ") {
			t.Errorf("description %q", b.last().Description)
		}
	})
	t.Run("a launch that fails", func(t *testing.T) {
		t.Parallel()
		j := newJob(t, s, repository)
		b := j.build(t, 4, "FAILURE", map[string]string{"CONFIG_FILE": "no_such_configuration"})
		b.says(t, "exit code 2", "no_such_configuration")
	})
	t.Run("an abort", func(t *testing.T) {
		t.Parallel()
		j := newJob(t, s, repository, "TRTPERF_ENV=TREE_FAULTS", "TREE_FAULTS=client-hangs")
		b := j.build(t, 5, "ABORTED", map[string]string{"CONFIG_FILE": single}, "--abort-when", "RUNNING: runs")
		b.says(t, "has been cancelled")
		b.archived(t, "output_5/logs.tar.zst")
		var record struct {
			JobID string `json:"job_id"`
		}
		text, err := os.ReadFile(filepath.Join(j.workspace, "output_5", "run", "slurm_job.json"))
		if err == nil {
			err = json.Unmarshal(text, &record)
		}
		if err != nil || record.JobID == "" {
			t.Fatalf("%s, %v", text, err)
		}
		sacct := exec.Command("sacct", "-nXPo", "State", "-j", record.JobID)
		sacct.Env = append(os.Environ(), "SLURM_CONF="+s.slurm.Conf())
		if out, err := sacct.Output(); err != nil || !strings.HasPrefix(string(out), "CANCELLED") {
			t.Errorf("the job is %s, %v", out, err)
		}
	})
	t.Run("a target that is down, and up again for the next build", func(t *testing.T) {
		t.Parallel()
		server := services.OpenSearch(t)
		proxy := services.NewToxiproxy(t, strings.TrimPrefix(server, "http://"))
		project := fmt.Sprintf("pipeline-%x", os.Getpid())
		j := newJob(t, s, repository, "TRTPERF_TO=opensearch+http://"+proxy.Listen+"/"+project, "TRTPERF_OPENSEARCH_CREDENTIALS=store", "TRTPERF_DEADLINE=1s")
		j.credentials = append(j.credentials, "--credential", "store=perf:pAssw0rd")
		proxy.Stop()
		b := j.build(t, 1, "UNSTABLE", map[string]string{"CONFIG_FILE": single})
		b.says(t, "a delivery is still owed; it is kept, and the next build sends it")
		b.archived(t, "output_1/perf_script_test_results.csv")
		if err := proxy.Start(); err != nil {
			t.Fatal(err)
		}
		// Nothing but the local store is left of the build before.
		if err := os.RemoveAll(filepath.Join(j.workspace, "output_1")); err != nil {
			t.Fatal(err)
		}
		b = j.build(t, 2, "SUCCESS", map[string]string{"CONFIG_FILE": single, "UPLOAD_TO_TRTPERF": "true"})
		b.says(t, "2 stored")
		if count, err := countDocuments(server+"/df-"+project+"-trtperf", "s_build_id:*"); err != nil || count != 4 {
			t.Errorf("the server has %d documents, want 4 (%v)", count, err)
		}
		everything, err := json.Marshal(b.steps)
		if err != nil || bytes.Contains(everything, []byte("pAssw0rd")) {
			t.Errorf("a secret shows, or %v:\n%s", err, everything)
		}
	})
	t.Run("a list", func(t *testing.T) {
		t.Parallel()
		j := newJob(t, s, repository)
		b := j.build(t, 6, "SUCCESS", map[string]string{"TESTLIST": "debug_cases", "PYTEST_K": "toy and not gen_only"})
		b.says(t, "3 passed, 1 left out")
		b.archived(t, "output_6/perf_script_test_results.csv", "output_6/run/trtperf-set.json")
		if results := b.find("junit", ""); results == nil || !slices.Equal(results.Files, []string{"output_6/run/trtperf-set.xml"}) {
			t.Errorf("junit %+v", results)
		}
	})
}

// guideFiles checks the files that the guide promises of a disaggregated test, in a run's directory.
func guideFiles(t *testing.T, run, nodeID string) {
	t.Helper()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(run, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	id, err := parse.ParseTestID(nodeID)
	if err != nil {
		t.Fatal(err)
	}
	if got := read("test_list_disagg.txt"); got != nodeID+"\n" {
		t.Errorf("test_list_disagg.txt is %q", got)
	}
	// The run's place, and that of the sources, stand in the plan.
	var plan struct{ Workspace, Tree string }
	if err := json.Unmarshal([]byte(read("plan.json")), &plan); err != nil {
		t.Fatal(err)
	}
	want := []string{"#!/bin/bash", "#SBATCH --output=" + plan.Workspace + "/slurm_%j.log", "#SBATCH --nodes=3", "#SBATCH --ntasks=12", "#SBATCH --ntasks-per-node=4",
		"#SBATCH --gpus-per-node=4", "#SBATCH --partition=batch", "#SBATCH --job-name=disagg_perf_test", "#SBATCH --time=04:00:00", "", "set -xEeuo pipefail",
		`export pytestCommand="pytest ` + nodeID + ` -vv --junit-xml=` + plan.Workspace + `/results.xml"`, "export jobWorkspace=" + plan.Workspace + "/disagg_workspace",
		"export llmSrcNode=" + plan.Tree, `export stageName="disagg_perf_test_` + id.Config + `"`, "export perfMode=true", "export resourcePathNode=" + plan.Tree,
		"export coverageConfigFile=" + plan.Workspace + "/coverage_config.json"}
	got := slices.DeleteFunc(strings.Split(strings.TrimSuffix(read("slurm_launch_prefix.sh"), "\n"), "\n"),
		func(line string) bool { return strings.HasPrefix(line, "#SBATCH --account=") })
	if !slices.Equal(got, want) {
		t.Errorf("slurm_launch_prefix.sh is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	read("results.xml")
}
