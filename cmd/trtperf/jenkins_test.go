package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// jenkinsStep is a record of the harness.
type jenkinsStep struct {
	Step        string
	Name        string
	Label       string
	Script      string
	Status      int
	Env         map[string]string
	Output      string
	Message     string
	Files       []string
	Failures    int
	Fingerprint bool
	Choices     []string
	Default     any `json:"defaultValue"`
	Kind        string
	Result      string
	Description string
	Log         string
}

// jenkinsBuild is a build that the harness ran.
type jenkinsBuild struct {
	workspace string
	steps     []jenkinsStep
}

// last is the build's own record.
func (b *jenkinsBuild) last() jenkinsStep { return b.steps[len(b.steps)-1] }

func (b *jenkinsBuild) find(step, label string) *jenkinsStep {
	for i := range b.steps {
		if b.steps[i].Step == step && (label == "" || b.steps[i].Label == label) {
			return &b.steps[i]
		}
	}
	return nil
}

// runJenkins runs a pipeline or shared step under a real Groovy of the version that Jenkins has. Env is added to the environment.
func runJenkins(t *testing.T, workspace, file string, env []string, args ...string) *jenkinsBuild {
	t.Helper()
	record := filepath.Join(t.TempDir(), "record")
	command := exec.Command("../../testdata/jenkins/run.sh", append([]string{filepath.Join("../../jenkins", file), "--workspace", workspace, "--record", record}, args...)...)
	command.Env = append(os.Environ(), env...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	b := &jenkinsBuild{workspace: workspace}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var s jenkinsStep
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		b.steps = append(b.steps, s)
	}
	if len(b.steps) == 0 || b.last().Step != "build" {
		t.Fatalf("the record has no end:\n%s", text)
	}
	// No text of a shell step holds a value: they are the same whatever the parameters are.
	source, err := os.ReadFile(filepath.Join("../../jenkins", file))
	if err != nil {
		t.Fatal(err)
	}
	fixed := strings.ReplaceAll(string(source), `\\`, `\`)
	for _, s := range b.steps {
		if s.Step == "sh" && !strings.Contains(fixed, s.Script) {
			t.Errorf("a text of the shell is not one of the file's:\n%s", s.Script)
		}
	}
	return b
}

// TestPipelineParameters: what the pipeline declares, its first build, and what it refuses before anything is started.
func TestPipelineParameters(t *testing.T) {
	t.Run("first build", func(t *testing.T) {
		b := runJenkins(t, t.TempDir(), "Perf_Test.groovy", nil, "--build", "1")
		if b.last().Result != "FAILURE" || !strings.Contains(b.last().Log, "start the next one with parameters") || b.find("sh", "launch, process, collect") != nil {
			t.Errorf("result %s:\n%s", b.last().Result, b.last().Log)
		}
		want := map[string]any{"TESTLIST": "gb200_unified_suite", "FILTER_MODE": "all", "PYTEST_K": "", "CLUSTER": "gb300", "CONFIG_FILE": "", "MANUAL_TEST_MODE": "single-agg",
			"TRTLLM_REPO": "https://github.com/NVIDIA/TensorRT-LLM.git", "TRTLLM_BRANCH": "main", "DOCKER_IMAGE": "", "DRY_RUN": false, "PERF_TEST_MODULE": "",
			"PERF_TEST_FUNCTION": "", "PERF_TEST_PREFIX": "", "UPLOAD_TO_TRTPERF": true}
		got := map[string]any{}
		for _, s := range b.steps {
			if s.Step == "parameter" {
				got[s.Name] = s.Default
			}
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("parameter %s has the default %v, want %v", name, got[name], value)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d parameters, want %d", len(got), len(want))
		}
		var options []string
		for _, s := range b.steps {
			if s.Step == "option" {
				options = append(options, s.Name)
			}
		}
		for _, option := range []string{"timeout", "disableConcurrentBuilds", "buildDiscarder", "timestamps"} {
			if !slices.Contains(options, option) {
				t.Errorf("no option %s", option)
			}
		}
	})
	for name, c := range map[string]struct {
		params []string
		want   string
	}{
		"no configuration": {[]string{"TESTLIST=manual"}, "CONFIG_FILE: name a configuration"},
		"no such list":     {[]string{"TESTLIST=../../etc/passwd"}, "TESTLIST: choose one"},
		"shell text":       {[]string{"TESTLIST=manual", "CONFIG_FILE=x; touch /tmp/owned"}, "CONFIG_FILE: write the name"},
		"an option":        {[]string{"TESTLIST=manual", "CONFIG_FILE=x", "TRTLLM_REPO=--upload-pack=touch"}, "TRTLLM_REPO: write an https://"},
		"module":           {[]string{"TESTLIST=manual", "CONFIG_FILE=x", "PERF_TEST_MODULE=perf/x"}, "PERF_TEST_MODULE: write a Python file"},
		"prefix":           {[]string{"TESTLIST=manual", "CONFIG_FILE=x", "PERF_TEST_PREFIX=a-b"}, "PERF_TEST_PREFIX: write letters"},
		"branch":           {[]string{"TESTLIST=manual", "CONFIG_FILE=x", "TRTLLM_BRANCH=-x"}, "TRTLLM_BRANCH: write a branch"},
		"cluster":          {[]string{"TESTLIST=manual", "CONFIG_FILE=x", "CLUSTER=$(id)"}, "CLUSTER: write a name"},
		"mode":             {[]string{"TESTLIST=manual", "CONFIG_FILE=x", "MANUAL_TEST_MODE=both"}, "MANUAL_TEST_MODE: choose"},
		"filter":           {[]string{"TESTLIST=debug_cases", "FILTER_MODE=none"}, "FILTER_MODE: choose"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--build", "2"}
			for _, p := range c.params {
				args = append(args, "--param", p)
			}
			b := runJenkins(t, t.TempDir(), "Perf_Test.groovy", nil, args...)
			if b.last().Result != "FAILURE" || !strings.Contains(b.last().Log, c.want) || b.find("sh", "check out TensorRT-LLM") != nil {
				t.Errorf("result %s:\n%s", b.last().Result, b.last().Log)
			}
		})
	}
}

// TestProcessStep: the step for other pipelines, over real runs: the build's result, what is published, and that no secret shows.
func TestProcessStep(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "trtperf")
	goBuild(t, ".", program)
	for name, c := range map[string]struct {
		run, call, result string
		env               []string
		want              []string
	}{
		"passed": {run: "disagg-e2e", call: `{"dir":"run"}`, result: "SUCCESS", want: []string{`"build_url"`}},
		"failed": {run: "failed-requests", call: `{"dir":"run"}`, result: "UNSTABLE", want: []string{"a test or a result failed"}},
		"empty":  {run: "script", call: `{"dir":"run"}`, result: "FAILURE", want: []string{"exit code 3"}},
		"target down": {run: "single-agg", call: `{"dir":"run","to":"opensearch+http://127.0.0.1:1/perf","opensearchCredentials":"store"}`, result: "UNSTABLE",
			env: []string{"TRTPERF_DEADLINE=1ms"}, want: []string{"a delivery is still owed"}},
		"unknown argument": {run: "single-agg", call: `{"directory":"run"}`, result: "FAILURE", want: []string{"unknown directory; it takes dir,"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			workspace := t.TempDir()
			from := "../../testdata/runs/" + c.run
			if name == "empty" {
				from = "../../testdata/jenkins"
			}
			if out, err := exec.Command("cp", "-r", from, filepath.Join(workspace, "run")).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			b := runJenkins(t, workspace, "vars/trtperfProcess.groovy", append([]string{"TRTPERF_COMMAND=" + program, "HOME=" + t.TempDir(), "BUILD_URL=https://ci/9/"}, c.env...),
				"--build", "9", "--call", c.call, "--credential", "store=perf:pAssw0rd")
			last := b.last()
			if last.Result != c.result {
				t.Fatalf("result %s, want %s:\n%s", last.Result, c.result, last.Log)
			}
			all, err := json.Marshal(b.steps)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(all), "pAssw0rd") {
				t.Errorf("a secret shows:\n%s", all)
			}
			if name == "passed" {
				csv, err := os.ReadFile(filepath.Join(workspace, "trtperf", "perf_results_full.csv"))
				if err != nil || !strings.Contains(string(csv), "https://ci/9/") {
					t.Errorf("the CSV does not name the build (%v):\n%s", err, csv)
				}
				archived := b.find("archiveArtifacts", "")
				if archived == nil || !archived.Fingerprint || !slices.Contains(archived.Files, "trtperf/perf_script_test_results.csv") {
					t.Errorf("archived %+v", archived)
				}
				if !strings.HasPrefix(last.Description, "**done**: ") {
					t.Errorf("description %q", last.Description)
				}
				return
			}
			for _, want := range c.want {
				if !strings.Contains(last.Log, want) {
					t.Errorf("the log does not say %q:\n%s", want, last.Log)
				}
			}
		})
	}
}
