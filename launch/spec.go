package launch

import (
	"github.com/trtperf/trtperf/launch/tree"
	"github.com/trtperf/trtperf/parse"
)

// Spec is everything that a plan depends on: what was asked for, and what was found out about the checkout and the configuration. It is
// part of plan.json, so that a plan can be made again for another workspace or another machine.
type Spec struct {
	RunID     string `json:"run_id"`
	Workspace string `json:"workspace"` // absolute
	Tree      string `json:"tree"`      // absolute

	// Module is the test file relative to the tree's tests/integration/defs where InDefs, else to the tree.
	Module string `json:"module"`
	InDefs bool   `json:"in_defs,omitempty"`
	// Selected is what stands behind "<module>::" in the node id.
	Selected string     `json:"selected"`
	Mode     parse.Mode `json:"mode,omitempty"`
	SubMode  string     `json:"sub_mode,omitempty"`
	// ModeReason says what the mode was inferred from.
	ModeReason string `json:"mode_reason,omitempty"`

	// Way is how the roles are started, WayReason why so.
	Way       Way    `json:"way"`
	WayReason string `json:"way_reason,omitempty"`
	// Launcher is the checkout's own launcher; nil where it has none that is known.
	Launcher *tree.Launcher `json:"launcher,omitempty"`
	// Python runs submit.py.
	Python string `json:"python,omitempty"`

	// Nodes and GPUsPerNode are the user's, for tests without a configuration.
	Nodes       int `json:"nodes,omitempty"`
	GPUsPerNode int `json:"gpus_per_node,omitempty"`

	// Config is the YAML configuration; nil for tests that have none.
	Config *ConfigSpec `json:"config,omitempty"`

	On On `json:"on"`

	// Pytest is how pytest is called, such as ["pytest"] or ["python3", "-m", "pytest"].
	Pytest []string `json:"pytest"`
	// OwnOptions are the pytest options that the tree's conftest files declare, such as "--output-dir".
	OwnOptions []string `json:"own_options,omitempty"`
	// PytestArgs are further arguments for pytest.
	PytestArgs []string `json:"pytest_args,omitempty"`
	// MPILauncher is the program that makes one pytest of several MPI ranks, relative to the tree where it is the checkout's own; empty
	// for none.
	MPILauncher string `json:"mpi_launcher,omitempty"`
	// Environment is for every process of the run, as NAME=VALUE.
	Environment []string `json:"environment,omitempty"`
	// TestTimeout is pytest's own limit for the test, 0 for none.
	TestTimeout Duration      `json:"test_timeout,omitempty"`
	Slurm       SlurmSettings `json:"slurm"`
	Waits       Waits         `json:"waits"`
	// Build is the CI build that starts the run, as JSON for trtperf-job.json; empty outside of one.
	Build string `json:"build,omitempty"`
	// Remarks are what was noticed while the facts were gathered.
	Remarks []string `json:"remarks,omitempty"`
}

// ConfigSpec is what a plan needs of a YAML configuration.
type ConfigSpec struct {
	// Path is relative to the tree with slashes where it lies in it, else absolute; then Folder is its directory.
	Path        string `json:"path"`
	Folder      string `json:"folder,omitempty"`
	Stem        string `json:"stem"`
	GPUsPerNode int    `json:"gpus_per_node"`
	// Mode is a disaggregated configuration's benchmark.mode.
	Mode string `json:"mode,omitempty"`
	// Context, Generation and Aggregated are the servers to start; counts of zero are left out.
	Context    *ServerSpec `json:"context,omitempty"`
	Generation *ServerSpec `json:"generation,omitempty"`
	Aggregated *ServerSpec `json:"aggregated,omitempty"`
	// RouterEnv and ClientEnv are the words of the environment texts of router and client.
	RouterEnv []string `json:"router_env,omitempty"`
	ClientEnv []string `json:"client_env,omitempty"`
	// NoContext: generation runs without context servers. QueueSize is what generation alone waits for before it starts; 0 for none.
	NoContext bool `json:"no_context,omitempty"`
	QueueSize int  `json:"queue_size,omitempty"`
	// Text is the file's content, for the run's directory.
	Text string `json:"text,omitempty"`
}

// ServerSpec is a kind of server in a configuration.
type ServerSpec struct {
	Count int `json:"count"`
	// World is the number of GPUs of each.
	World int `json:"world"`
	// Env are the words of its environment text.
	Env []string `json:"env,omitempty"`
}

// SlurmSettings are the settings of a job.
type SlurmSettings struct {
	Partition string   `json:"partition,omitempty"`
	Account   string   `json:"account,omitempty"`
	TimeLimit Duration `json:"time_limit,omitempty"`
	// GPURequest is gpus-per-node, gres or none.
	GPURequest string   `json:"gpu_request,omitempty"`
	Segment    int      `json:"segment,omitempty"`
	MPI        string   `json:"mpi,omitempty"`
	Image      string   `json:"image,omitempty"`
	Mounts     []string `json:"mounts,omitempty"`
	// Data is the directory of models and data sets.
	Data       string   `json:"data,omitempty"`
	SbatchArgs []string `json:"sbatch_args,omitempty"`
	SrunArgs   []string `json:"srun_args,omitempty"`
}
