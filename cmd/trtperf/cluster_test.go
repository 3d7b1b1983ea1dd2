package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trtperf/trtperf/launch/remote"
	"github.com/trtperf/trtperf/launch/set"
	"github.com/trtperf/trtperf/testdata/services"
)

// siteCluster is a cluster as a user has one: a login machine that is reached by ssh, with a user and a HOME of its own, and a Slurm behind it.
type siteCluster struct {
	ssh     *services.SSHD
	slurm   *services.SlurmCluster
	program string
	// dir is where commands run on this side: trtperf.yaml and the checkout "tree" are there.
	dir string
}

// newSite starts one. The user must be able to reach the programs that jobs run.
func newSite(t *testing.T) *siteCluster {
	t.Helper()
	s := &siteCluster{slurm: services.Slurm(t), dir: t.TempDir()}
	s.program = filepath.Join(t.TempDir(), "trtperf")
	goBuild(t, ".", s.program)
	for at := filepath.Dir(s.slurm.Conf()); at != "/"; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil {
			err = os.Chmod(at, info.Mode().Perm()|0o011)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	venv, err := exec.Command("../../testdata/pytest/venv.sh").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(venv)), "../lib/python*/site-packages"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("%q: %v", packages, err)
	}
	// HOME is known only when the server runs; its packages are put there then.
	s.ssh = services.NewSSHD(t, "SLURM_CONF="+s.slurm.Conf(), "TREE_DRAFT_SLEEP=0", "TREE_DRAFT_SETTLE=0", "TREE_DRAFT_MPI=none", "TREE_RUN_SLEEP=1", "PYTHONDONTWRITEBYTECODE=1")
	site := filepath.Join(s.ssh.Home(), ".local", "lib", "python3.11", "site-packages")
	const bring = `mkdir -p "$2" && cp -R "$1"/. "$2" && chown -R "$3" "$4"`
	if out, err := exec.Command("sh", "-c", bring, "sh", packages[0], site, s.ssh.User, filepath.Join(s.ssh.Home(), ".local")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	settings := fmt.Sprintf("clusters:\n  site:\n    host: %s\n    port: %s\n    user: %s\n    workdir: %s\n    partition: batch\n    ssh-options: [-o, UserKnownHostsFile=%s]\n",
		s.ssh.Host, s.ssh.Port, s.ssh.User, s.workdir(), s.ssh.KnownHosts)
	if err := os.WriteFile(filepath.Join(s.dir, "trtperf.yaml"), []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	s.checkout(t, "tree")
	return s
}

func (s *siteCluster) workdir() string { return filepath.Join(s.ssh.Home(), "trtperf") }

// checkout copies the test tree and eras' launch scripts over it.
func (s *siteCluster) checkout(t *testing.T, name string, eras ...string) {
	t.Helper()
	from := []string{"tree"}
	for _, era := range eras {
		from = append(from, "tree-eras/"+era)
	}
	for _, source := range from {
		if out, err := exec.Command("cp", "-RL", "../../testdata/"+source+"/.", filepath.Join(s.dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// environment is that of commands on this side.
func (s *siteCluster) environment() []string {
	return append(os.Environ(), "HOME="+s.dir, "TRTPERF_CLUSTER=site", "TRTPERF_SSH_KEY="+s.ssh.KeyFile, "TRTPERF_PYTEST=/usr/bin/python3 -m pytest", "TRTPERF_NO_COLLECT=true",
		"TRTPERF_POLL=1s", "TRTPERF_TREE=tree")
}

// start starts a launch on this side.
func (s *siteCluster) start(t *testing.T, env []string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	command := exec.Command(s.program, append([]string{"launch"}, args...)...)
	command.Dir = s.dir
	command.Env = append(s.environment(), env...)
	out := &bytes.Buffer{}
	command.Stdout, command.Stderr = out, out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return command, out
}

// launch runs a launch and wants an exit code.
func (s *siteCluster) launch(t *testing.T, code int, env []string, args ...string) string {
	t.Helper()
	command, out := s.start(t, env, args...)
	err := command.Wait()
	if got := command.ProcessState.ExitCode(); got != code {
		t.Fatalf("exit code %d, want %d (%v)\n%s", got, code, err, out)
	}
	return out.String()
}

const disaggConfig = "toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX"

// TestCluster: tests on a cluster that is reached by ssh, from one command on this side to CSVs on this side.
func TestCluster(t *testing.T) {
	s := newSite(t)
	wants := func(t *testing.T, text string, all ...string) {
		t.Helper()
		for _, want := range all {
			if !strings.Contains(text, want) {
				t.Errorf("the output does not say %q:\n%s", want, text)
			}
		}
	}
	t.Run("dry run", func(t *testing.T) {
		before := s.ssh.Connections(t)
		wants(t, s.launch(t, 0, nil, "--dry-run", "--workspace", "dry", "toy_fp4_blackwell-tp4_1k1k"), "#SBATCH --partition=batch", s.workdir())
		if _, err := os.Stat(filepath.Join(s.dir, "dry")); err == nil || s.ssh.Connections(t) != before {
			t.Error("a dry run left a trace")
		}
	})
	t.Run("doctor", func(t *testing.T) {
		command := exec.Command(s.program, "doctor")
		command.Dir, command.Env = s.dir, s.environment()
		out, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		wants(t, string(out), "ok       cluster    site answers, linux/", " KiB free in "+s.workdir(), "partition, state, nodes: batch*")
		if _, err := os.Stat(s.workdir()); err == nil {
			t.Error("it made the work directory")
		}
	})
	t.Run("modes", func(t *testing.T) {
		for name, target := range map[string]string{"single": "toy_fp4_blackwell-tp4_1k1k", "multi": "toy_nvfp4_2_nodes-dep8_mtp1", "disagg": "e2e-" + disaggConfig} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				out := s.launch(t, 0, nil, "--workspace", name, "--process", "-o", "out-"+name, target)
				wants(t, out, "by rsync in", "every hash as sent", " 0 failed, 0 copies; 0 failed tests")
				for _, file := range []string{name + "/results.xml", name + "/plan.json", name + "/slurm_job.json", "out-" + name + "/perf_script_test_results.csv"} {
					if _, err := os.Stat(filepath.Join(s.dir, file)); err != nil {
						t.Error(err)
					}
				}
				// What the near side planned is what the far side carried out, to the byte.
				var place remote.Place
				text, err := os.ReadFile(filepath.Join(s.dir, name, remote.PlaceFile))
				if err == nil {
					err = json.Unmarshal(text, &place)
				}
				if err != nil {
					t.Fatal(err)
				}
				near, err1 := os.ReadFile(filepath.Join(s.dir, name, "plan.json"))
				far, err2 := os.ReadFile(filepath.Join(place.Workspace, "plan.json"))
				if err := errors.Join(err1, err2); err != nil || !bytes.Equal(near, far) {
					t.Errorf("the plans differ (%v)", err)
				}
			})
		}
	})
	t.Run("one connection a run", func(t *testing.T) {
		before := s.ssh.Connections(t)
		out := s.launch(t, 5, []string{"TREE_FAULTS=assert:bad"}, "--env", "TREE_FAULTS", "--workspace", "failed", "--process", "-o", "out-failed", "toy_fp4_blackwell-tp4_1k1k")
		wants(t, out, "a test failed")
		if n := s.ssh.Connections(t) - before; n != 1 {
			t.Errorf("%d connections", n)
		}
	})
	t.Run("list", func(t *testing.T) {
		text := "aggr_upload-toy_fp4_blackwell-tp4_1k1k\ndisagg_upload-e2e-" + disaggConfig + "\naggr_upload-toy_nvfp4_2_nodes-dep8_mtp1 SKIP (bug 1)\n" +
			"aggr_upload-toy_fp4_blackwell-tp4_1k1k\n"
		if err := os.WriteFile(filepath.Join(s.dir, "list.txt"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		before := s.ssh.Connections(t)
		out := s.launch(t, 0, nil, "--workspace", "list", "--jobs", "2", "--process", "-o", "out-list", "list.txt")
		wants(t, out, "list      2 passed, 2 left out", " 0 failed, 0 copies; 0 failed tests")
		if n := s.ssh.Connections(t) - before; n != 1 {
			t.Errorf("%d connections for a list, want 1", n)
		}
		tests, err := set.Read(filepath.Join(s.dir, "list"))
		if err != nil || len(tests) != 4 {
			t.Fatalf("%+v, %v", tests, err)
		}
		for _, x := range tests[:2] {
			if _, err := os.Stat(filepath.Join(s.dir, "list", x.Workspace, "results.xml")); err != nil || x.Job == "" || x.Exit == nil || *x.Exit != 0 {
				t.Errorf("%+v, %v", x, err)
			}
		}
	})
	t.Run("connection cut in mid-run", func(t *testing.T) {
		command, out := s.start(t, []string{"TREE_FAULTS=client-hangs", "TREE_HANG=6"}, "--env", "TREE_FAULTS", "--env", "TREE_HANG", "--workspace", "cut", "--process", "-o", "out-cut", "toy_fp4_blackwell-tp4_1k1k")
		s.awaitJob(t, "cut")
		s.ssh.Cut(t)
		if err := command.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		wants(t, out.String(), "connecting again", "connected again", "results  2 valid, 0 failed")
		if n := strings.Count(out.String(), "submitted: job"); n != 1 {
			t.Errorf("%d jobs:\n%s", n, out)
		}
	})
	t.Run("interrupted, and taken up again after this side is gone", func(t *testing.T) {
		command, _ := s.start(t, []string{"TREE_FAULTS=client-hangs", "TREE_HANG=5"}, "--env", "TREE_FAULTS", "--env", "TREE_HANG", "--workspace", "gone", "toy_fp4_blackwell-tp4_1k1k")
		s.awaitJob(t, "gone")
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = command.Wait()
		wants(t, s.launch(t, 0, nil, "--attach", "gone", "--process", "-o", "out-gone"), "results  2 valid, 0 failed")

		command, out := s.start(t, []string{"TREE_FAULTS=client-hangs", "TREE_HANG=60"}, "--env", "TREE_FAULTS", "--env", "TREE_HANG", "--workspace", "interrupted", "toy_fp4_blackwell-tp4_1k1k")
		s.awaitJob(t, "interrupted")
		if err := command.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_ = command.Wait()
		if code := command.ProcessState.ExitCode(); code != 130 {
			t.Errorf("exit code %d", code)
		}
		wants(t, out.String(), "has been cancelled")
	})
	t.Run("what the checkout's own submit.py makes", func(t *testing.T) {
		s.checkout(t, "v3", "v3")
		out := s.launch(t, 0, []string{"PERF_TEST_PREFIX=disagg_upload"}, "--tree", "v3", "--python", "/usr/bin/python3", "--workspace", "run-v3", "--process", "-o", "out-v3", "e2e-"+disaggConfig)
		wants(t, out, "the checkout's own submit.py, era v3", "results  2 valid, 0 failed")
	})
	t.Run("hostile names", func(t *testing.T) {
		name := "tree $HOME 'ä' \"q\""
		s.checkout(t, name)
		value := "a b\n$(id) 'q' \"ü\""
		out := s.launch(t, 0, []string{"ODD=" + value}, "--tree", name, "--workspace", "odd", "--env", "ODD", "--process", "-o", "out-odd", "toy_fp4_blackwell-tp4_1k1k")
		wants(t, out, "results  2 valid, 0 failed")
		plan, err := os.ReadFile(filepath.Join(s.dir, "odd", "plan.json"))
		quoted, _ := json.Marshal("ODD=" + value)
		if err != nil || !bytes.Contains(plan, quoted) {
			t.Errorf("the plan has no %s (%v)", quoted, err)
		}
	})
	t.Run("disk full over there", func(t *testing.T) {
		small := filepath.Join(s.ssh.Home(), "small")
		if err := os.Mkdir(small, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=2m,mode=777"); err != nil {
			t.Skipf("no tmpfs can be mounted here: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
		other := filepath.Join(t.TempDir(), "trtperf.yaml")
		text, err := os.ReadFile(filepath.Join(s.dir, "trtperf.yaml"))
		if err == nil {
			err = os.WriteFile(other, bytes.ReplaceAll(text, []byte(s.workdir()), []byte(small)), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		wants(t, s.launch(t, 8, nil, "--config", other, "--workspace", "full", "toy_fp4_blackwell-tp4_1k1k"), "o space left on device")
	})
	t.Run("an older program there", func(t *testing.T) {
		s.farFile(t, filepath.Join("trtperf", "bin", strings.Repeat("0", 64), "trtperf"), "#!/bin/sh\nexit 99\n")
		s.launch(t, 0, nil, "--workspace", "older", "toy_fp4_blackwell-tp4_1k1k")
	})
	t.Run("another architecture there", func(t *testing.T) {
		services.Arm64(t)
		other := filepath.Join(filepath.Dir(s.program), "trtperf-linux-arm64")
		goBuild(t, ".", other, "GOARCH=arm64")
		// The machine says what Grace says; the kernel runs its programs through the emulator.
		s.farFile(t, ".local/arm64/uname", "#!/bin/sh\necho Linux aarch64\n")
		s.farFile(t, ".bashrc", "PATH=$HOME/.local/arm64:$PATH\n")
		t.Cleanup(func() {
			if err := os.Remove(filepath.Join(s.ssh.Home(), ".bashrc")); err != nil {
				t.Error(err)
			}
		})
		out := s.launch(t, 0, nil, "--workspace", "arm64", "--process", "-o", "out-arm64", "toy_fp4_blackwell-tp4_1k1k")
		wants(t, out, "results  2 valid, 0 failed", "every hash as sent")
		program, err := os.ReadFile(other)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(s.workdir(), "bin", fmt.Sprintf("%x", sha256.Sum256(program)), "trtperf")); err != nil {
			t.Error(err)
		}
	})
	t.Run("clean-up keeps the newest", func(t *testing.T) {
		s.launch(t, 0, nil, "--workspace", "kept", "--keep-runs", "2", "toy_fp4_blackwell-tp4_1k1k")
		for _, room := range []string{"runs", "sources"} {
			left, err := os.ReadDir(filepath.Join(s.workdir(), room))
			if err != nil || len(left) > 3 {
				t.Errorf("%d %s left (%v)", len(left), room, err)
			}
		}
	})
	t.Run("mistakes", func(t *testing.T) {
		wants(t, s.launch(t, 2, nil, "--cluster", "sitr", "x"), `no cluster "sitr" (did you mean site?)`)
		wants(t, s.launch(t, 2, nil, "--on", "local", "x"), "leave --on local out")
		wants(t, s.launch(t, 2, []string{"TRTPERF_CLUSTER="}, "--cluster", "site", "--attach", "nothing"), "attach")
		s.ssh.Refuse(t)
		wants(t, s.launch(t, 8, nil, "--workspace", "refused", "toy_fp4_blackwell-tp4_1k1k"), "the key was refused")
	})
}

// farFile writes a file of the user's over there, which may be run.
func (s *siteCluster) farFile(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(s.ssh.Home(), name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// awaitJob waits until a run's job is known.
func (s *siteCluster) awaitJob(t *testing.T, workspace string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var place remote.Place
		text, err := os.ReadFile(filepath.Join(s.dir, workspace, remote.PlaceFile))
		if err == nil {
			err = json.Unmarshal(text, &place)
		}
		if err == nil {
			if record, err := os.ReadFile(filepath.Join(place.Workspace, "slurm_job.json")); err == nil && bytes.Contains(record, []byte(`"job_id"`)) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no job after a minute (%v)", err)
		}
	}
}
