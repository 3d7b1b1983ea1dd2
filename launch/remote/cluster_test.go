package remote_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/launch/remote"
)

func TestReadConf(t *testing.T) {
	const text = `# clusters
[gb200]
CLUSTER_NAME=gb200
CLUSTER_HOST="login.example"
CLUSTER_USER=perf
CLUSTER_TYPE=ssh
CLUSTER_WORKDIR=/home/perf/jenkins_trtllm_perf
CLUSTER_PARTITION=batch
CLUSTER_ACCOUNT=acct
CLUSTER_STORAGE=/x
CLUSTER_LLM_DATA=/lustre/data
DOCKER_IMAGE='image:tag'
MPI_TYPE=pmix
EXTRA_SRUN_PARAMS=--gres=gpu:4

[gb300]
CLUSTER_TYPE=local
CLUSTER_HOST=not.used
CLUSTER_PARTITION=gb300
EXTRA_SRUN_PARAMS=
COLOUR=green
`
	all, err := remote.ReadConf("clusters.conf", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := all["gb200"]
	want := map[string]string{"CLUSTER_PARTITION": "batch", "CLUSTER_ACCOUNT": "acct", "CLUSTER_LLM_DATA": "/lustre/data", "DOCKER_IMAGE": "image:tag",
		"MPI_TYPE": "pmix", "EXTRA_SRUN_PARAMS": "--gres=gpu:4"}
	if c.Host != "login.example" || c.User != "perf" || c.WorkDir != "/home/perf/jenkins_trtllm_perf" || c.Local() || !maps.Equal(c.Settings, want) {
		t.Errorf("gb200 is %+v", c)
	}
	if len(c.Remarks) != 1 || !strings.Contains(c.Remarks[0], "CLUSTER_STORAGE") {
		t.Errorf("remarks %q", c.Remarks)
	}
	c = all["gb300"]
	if !c.Local() || !maps.Equal(c.Settings, map[string]string{"CLUSTER_PARTITION": "gb300"}) || len(c.Remarks) != 1 || c.Remarks[0] != "clusters.conf:21: the key COLOUR is unknown and was not used" {
		t.Errorf("gb300 is %+v", c)
	}
}

func TestClusterMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"[a]\nCLUSTER_TYPE=ssh\n":                                  "clusters.conf:1: cluster a: a cluster that is reached by ssh needs a host",
		"[a]\nCLUSTER_TYPE=ssh\nCLUSTER_HOST=h\n":                  "needs a work directory",
		"[a]\nCLUSTER_HOST=h\nCLUSTER_WORKDIR=home/x\n":            "clusters.conf:3: CLUSTER_WORKDIR: must be an absolute path",
		"[a]\nCLUSTER_USER=$USER\n":                                "variables are not replaced",
		"[a]\nCLUSTER_HOST=-oProxyCommand=x\nCLUSTER_WORKDIR=/x\n": "cannot be given to ssh",
		"[a]\nCLUSTER_TYPE=telnet\n":                               "unknown type",
		"[a]\n[b]\n[a]\n":                                          "clusters.conf:3: the cluster a stands here a second time",
		"X=1\n":                                                    "clusters.conf:1: \"X=1\" stands before the first section",
		"[a]\nnonsense\n":                                          "clusters.conf:2:",
		"[a\n":                                                     "is no section",
	} {
		if _, err := remote.ReadConf("clusters.conf", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"clusters:\n  a:\n    hots: x\n":   `cluster a: unknown key "hots": the keys are type, ssh-options, account`,
		"clusters:\n  a:\n    type: ssh\n": "needs a host",
		"clusters: [1\n":                   "trtperf.yaml",
	} {
		if _, err := remote.ReadYAML("trtperf.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestReadYAML(t *testing.T) {
	all, err := remote.ReadYAML("trtperf.yaml", []byte("quiet: true\nclusters:\n  gb200:\n    host: login\n    port: 2222\n    workdir: /w\n    ssh-options: [-J, jump]\n    partition: batch\n    mpi:\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := all["gb200"]
	if c.Host != "login" || c.Port != "2222" || c.WorkDir != "/w" || strings.Join(c.SSHOptions, " ") != "-J jump" || !maps.Equal(c.Settings, map[string]string{"CLUSTER_PARTITION": "batch"}) {
		t.Errorf("got %+v", c)
	}
}
