// Package launch says what a launch of one performance test does.
//
// A [Plan] is computed first, by [New] from a [Spec], and is pure: the node id, the argument lists, the environment, the files with their
// content, nodes, GPUs and tasks, all limits. It can be printed, stored as plan.json and carried out on another machine. Packages
// launch/local and launch/slurm carry it out and return an [Outcome]; [Plan.Verdict] says what that means.
//
// # Targets
//
// A target is a pytest node id, which is run as it stands, or the name of a configuration, of which the node id is built as
// TensorRT-LLM's own scripts do:
//
//	disagg                <module>::<function>[<prefix>-<config>]
//	single-agg, multi-agg <module>::<function>[aggr_upload-<config>[-<server>]]
package launch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/trtperf/trtperf/parse"
)

// PlanVersion is the version of plan.json. A plan of another version is refused.
const PlanVersion = 1

// PlanFile is the name of the plan in its workspace.
const PlanFile = "plan.json"

// Way is how the roles of a test are started.
type Way string

const (
	// Native: trtperf writes the job script itself.
	Native Way = "native"
	// Tree: the checkout's own submit.py and draft make the job script.
	Tree Way = "tree"
)

// On says where a plan is carried out.
type On string

const (
	// Local: processes on this machine.
	Local On = "local"
	// Slurm: one job.
	Slurm On = "slurm"
)

// Test is the selected pytest node.
type Test struct {
	NodeID   string `json:"node_id"` // <module>::<function>[<id>], the module relative to the plan's Dir
	Module   string `json:"module"`
	Function string `json:"function,omitempty"`
	Prefix   string `json:"prefix,omitempty"`
	ID       string `json:"id,omitempty"` // what stands between the brackets
	Config   string `json:"config,omitempty"`
}

// Hardware is what the test occupies. A server has whole nodes for itself (the rule of TensorRT-LLM's submit.py); expert parallelism does
// not count. Zero means that no configuration tells it.
type Hardware struct {
	GPUsPerNode int `json:"gpus_per_node,omitempty"`
	Nodes       int `json:"nodes,omitempty"`
	// Tasks is the job's --ntasks, TasksPerNode its --ntasks-per-node.
	Tasks        int `json:"tasks,omitempty"`
	TasksPerNode int `json:"tasks_per_node,omitempty"`
	// RequestPerNode is the number of GPUs to ask for on each node.
	RequestPerNode int `json:"request_per_node,omitempty"`
	// GPUs is what the job holds in all.
	GPUs int `json:"gpus,omitempty"`
	// Context and Generation are the workers of a disaggregated test, Aggregated the server of an aggregated one.
	Context    *Servers `json:"context,omitempty"`
	Generation *Servers `json:"generation,omitempty"`
	Aggregated *Servers `json:"aggregated,omitempty"`
}

// Servers are servers of one kind.
type Servers struct {
	Count int `json:"count"`
	// World is the number of GPUs, and so of ranks, of each.
	World int `json:"world"`
	// Nodes is the number of nodes of each, PerNode the number of its GPUs on each of them.
	Nodes   int `json:"nodes"`
	PerNode int `json:"per_node"`
}

// File is a file that a plan writes into the workspace.
type File struct {
	// Path is relative to the workspace, with slashes.
	Path    string `json:"path"`
	Mode    uint32 `json:"mode"` // permission bits
	Content string `json:"content,omitempty"`
	// Link makes it a symbolic link to that path.
	Link string `json:"link,omitempty"`
}

// Command is a program to run to its end, without a shell.
type Command struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"`
	// Env is added to the environment, as NAME=VALUE.
	Env []string `json:"env,omitempty"`
	Dir string   `json:"dir"`
	// Log is where its output goes, relative to the workspace.
	Log string `json:"log,omitempty"`
	// Makes is the file that it must make, relative to the workspace.
	Makes string `json:"makes,omitempty"`
}

// Step is one role of the test: a srun step of a job, or a process on this machine.
type Step struct {
	Role parse.Role `json:"role"`
	// Nodes, Tasks and TasksPerNode are the srun step's. A local execution starts one process.
	Nodes        int `json:"nodes,omitempty"`
	Tasks        int `json:"tasks,omitempty"`
	TasksPerNode int `json:"tasks_per_node,omitempty"`
	// FirstNode is the index of its first node among the job's.
	FirstNode int `json:"first_node,omitempty"`
	// Overlap: it shares its node with another step.
	Overlap bool `json:"overlap,omitempty"`
	// MPI is the value of srun's --mpi; empty for steps that must have none.
	MPI string `json:"mpi,omitempty"`
	// Argv is what each task runs, Unset and Env what is taken from and added to its environment (NAME=VALUE), Dir its directory.
	Argv  []string `json:"argv"`
	Unset []string `json:"unset,omitempty"`
	Env   []string `json:"env,omitempty"`
	Dir   string   `json:"dir"`
	// Log is where its output goes, JUnit the results.xml that it writes, Exit the file in which a job's script leaves its exit code;
	// all relative to the workspace. Without a Log it is the job's own output.
	Log   string `json:"log,omitempty"`
	JUnit string `json:"junit,omitempty"`
	Exit  string `json:"exit,omitempty"`
	// Done is an empty file that says that it has ended, as BENCHMARK waits for of generation servers; relative to the workspace.
	Done string `json:"done,omitempty"`
	// Foreground: the run ends with this step.
	Foreground bool `json:"foreground,omitempty"`
}

// Job is the Slurm job of a plan.
type Job struct {
	Name      string   `json:"name"`
	Partition string   `json:"partition,omitempty"`
	Account   string   `json:"account,omitempty"`
	TimeLimit Duration `json:"time_limit"`
	// Directives are the script's #SBATCH options in their order.
	Directives []string `json:"directives"`
	// Args are further options for sbatch's command line.
	Args []string `json:"args,omitempty"`
	// Segment is sbatch's --segment, for its command line, where this Slurm knows the option; 0 for none.
	Segment int `json:"segment,omitempty"`
	// SrunArgs are the arguments of every step.
	SrunArgs []string `json:"srun_args,omitempty"`
	// Script is what to submit, Output the job's own log with %j for the job id; both relative to the workspace.
	Script string `json:"script"`
	Output string `json:"output"`
}

// Duration is a time.Duration that is written as text, "1h30m0s".
type Duration time.Duration

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Waits are the limits of everything that is waited for.
type Waits struct {
	// Queue is how long the job may wait to start.
	Queue Duration `json:"queue"`
	// Run is how long the test may run, from its start to its end. A job's own time limit is the same or less.
	Run Duration `json:"run"`
	// Finish is how long other roles may take to end once BENCHMARK has ended.
	Finish Duration `json:"finish"`
	// Grace is how long an interrupted process, or a cancelled job, may take to end.
	Grace Duration `json:"grace"`
	// Results is how long result files may take to appear after the end, as on a file system of several machines.
	Results Duration `json:"results"`
	// Poll is the time between two looks at a job, Silence how long Slurm may give no answer before the job counts as lost.
	Poll    Duration `json:"poll"`
	Silence Duration `json:"silence"`
}

// Expected is a file that a run must or may leave.
type Expected struct {
	// Path is relative to the workspace.
	Path string     `json:"path"`
	Role parse.Role `json:"role,omitempty"`
	What string     `json:"what"`
	// Required: its absence is an error.
	Required bool `json:"required,omitempty"`
	// As is the name that it is given at the end, where that is another.
	As string `json:"as,omitempty"`
}

// Plan is what a launch of one test does. It holds no secret.
type Plan struct {
	Version int `json:"version"`
	// Spec is what the plan was computed from. [New] of it is this plan.
	Spec  Spec   `json:"spec"`
	RunID string `json:"run_id"`
	Test  Test   `json:"test"`
	// Mode is empty for tests of another grammar than perf-sanity's.
	Mode parse.Mode `json:"mode,omitempty"`
	// SubMode is e2e, gen_only, gen_only_no_context, ctx_only …; empty for plain aggregated tests.
	SubMode string `json:"sub_mode,omitempty"`
	Way     Way    `json:"way"`
	// WayReason says why that way was taken.
	WayReason string `json:"way_reason,omitempty"`
	On        On     `json:"on"`
	// Tree is the checkout, Dir the directory that pytest runs in, RootDir pytest's root directory; all absolute.
	Tree    string `json:"tree"`
	Dir     string `json:"dir"`
	RootDir string `json:"root_dir"`
	// Workspace is the run's own directory, absolute. Paths of files, logs and results are relative to it.
	Workspace string   `json:"workspace"`
	Hardware  Hardware `json:"hardware"`
	// Environment is what every process of the run gets beside what it inherits, as NAME=VALUE.
	Environment []string `json:"environment,omitempty"`
	Files       []File   `json:"files"`
	// System writes trtperf-system.<ROLE>.json; nil where the job's script does it.
	System *Command `json:"system,omitempty"`
	// Preparation runs on the launching machine after the files are written and before the start.
	Preparation []Command `json:"preparation,omitempty"`
	// Steps are in the order of their start.
	Steps   []Step     `json:"steps"`
	Job     *Job       `json:"job,omitempty"`
	Waits   Waits      `json:"waits"`
	Results []Expected `json:"results"`
	// Announcement is what TensorRT-LLM's scripts print before a launch, word for word, since others read it.
	Announcement string `json:"announcement,omitempty"`
	// Remarks are what a person should know before it runs.
	Remarks []string `json:"remarks,omitempty"`
}

// Path returns the absolute path of a file of the workspace.
func (p *Plan) Path(relative string) string {
	return filepath.Join(p.Workspace, filepath.FromSlash(relative))
}

// Benchmark returns the step that measures.
func (p *Plan) Benchmark() *Step {
	for i := range p.Steps {
		if p.Steps[i].Foreground {
			return &p.Steps[i]
		}
	}
	return &p.Steps[len(p.Steps)-1]
}

// JSON returns the content of plan.json.
func (p *Plan) JSON() ([]byte, error) {
	return encode(p)
}

// ReadPlan reads a plan.json.
func ReadPlan(path string) (*Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var p Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("%s: no plan: %w", path, err)
	}
	if p.Version != PlanVersion {
		return nil, fmt.Errorf("%s: a plan of version %d, and this trtperf knows version %d: plan anew with the same trtperf", path, p.Version, PlanVersion)
	}
	if len(p.Steps) == 0 || p.Workspace == "" {
		return nil, fmt.Errorf("%s: no plan: it has no steps or no workspace", path)
	}
	return &p, nil
}

// Again reads a plan.json and makes its plan anew for another workspace and, unless that is empty, another tree with the same content. A plan
// that does not follow from its own spec is refused: it was edited, or another trtperf made it, and this one would do something else.
func Again(path, workspace, tree, runID string) (*Plan, error) {
	stored, err := ReadPlan(path)
	if err != nil {
		return nil, err
	}
	same, err := New(stored.Spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	was, err := stored.JSON()
	if err != nil {
		return nil, err
	}
	if is, err := same.JSON(); err != nil || !bytes.Equal(was, is) {
		return nil, fmt.Errorf("%s does not follow from its own spec: it was edited, or another version of trtperf made it; change the spec, not what follows from it, or plan anew", path)
	}
	spec := stored.Spec
	if spec.Workspace, err = filepath.Abs(workspace); err != nil {
		return nil, err
	}
	if tree != "" {
		if spec.Tree, err = filepath.Abs(tree); err != nil {
			return nil, err
		}
	}
	spec.RunID = runID
	return New(spec)
}
