package parse

import "time"

// Row is one "label: value" line of a block, as the client printed it.
type Row struct {
	// Label is the text before the colon, its words separated by single blanks, for example "Mean TTFT (ms)".
	Label string `json:"label"`
	// Text is the value as printed, blanks around it and a note behind it (two or more blanks away) cut off.
	Text string `json:"text"`
	// Line is the line of the file, from 1.
	Line int `json:"line,omitempty"`
	// Metric is the canonical name of the metric table's row that knows the label; empty where no row does.
	Metric string `json:"metric,omitempty"`
	// Cut says that the line ended with the file and not with a line end, so that the value may be incomplete. It counts as no
	// number.
	Cut bool `json:"cut,omitempty"`

	known *knownLabel // what is known of the label, if anybody has looked it up
}

// RowOf returns a row with a label that is looked up once: copies of it are measured and identified faster.
func RowOf(label string) Row {
	known := knownLabels[label]
	if known == nil {
		known = &knownLabel{text: label, row: -1, identity: identityLabelOf(label)}
	}
	return Row{Label: label, known: known}
}

// label returns what is known of the row's label, or nil.
func (r *Row) label() *knownLabel {
	if r.known != nil && r.known.text == r.Label {
		return r.known
	}
	return knownLabels[r.Label]
}

// Value is one metric's measurement.
type Value struct {
	Value float64 `json:"value"`
	// Text is the printed form of Value.
	Text string `json:"text"`
	// Unit is the metric table's unit, for example "ms"; empty for pure numbers.
	Unit string `json:"unit,omitempty"`
	Line int    `json:"line,omitempty"`
	// Computed marks a value that was derived from other files of the run and not printed by the client.
	Computed bool `json:"computed,omitempty"`
}

// Requests counts a client's requests. A count that was not printed is nil.
type Requests struct {
	Total      *int64 `json:"total,omitempty"`
	Successful *int64 `json:"successful,omitempty"`
	Failed     *int64 `json:"failed,omitempty"`
	// Asked is the number of prompts that the client was told to send.
	Asked *int64 `json:"asked,omitempty"`
}

// Server is the server that was measured.
type Server struct {
	// Index is its position among the servers that the test id selects, from 0; always 0 in disaggregated runs.
	Index *int   `json:"index,omitempty"`
	Name  string `json:"name,omitempty"`
}

// Client is the client that measured.
type Client struct {
	// Index is its position among the server's clients, from 0.
	Index *int   `json:"index,omitempty"`
	Name  string `json:"name,omitempty"`
	// Concurrency is the greatest number of requests in flight.
	Concurrency *int `json:"concurrency,omitempty"`
	// ISL and OSL are the input and output sequence lengths in tokens.
	ISL *int `json:"isl,omitempty"`
	OSL *int `json:"osl,omitempty"`
	// Iterations is the number of prompts divided by the concurrency.
	Iterations *int `json:"iterations,omitempty"`
}

// Labels say what was measured, for people and stores. Each is absent where neither the YAML configuration, nor the test id, nor
// the log tells it.
type Labels struct {
	// Network is the disaggregated configuration's name with its mode ("e2e-<yaml>") or the aggregated server's name.
	Network string `json:"network,omitempty"`
	// Model is the model's name as the YAML or the log's Namespace gives it.
	Model string `json:"model,omitempty"`
	// Precision is the weights' type, for example "fp4"; never the KV cache's.
	Precision string `json:"precision,omitempty"`
	// Framework is "TensorRT-LLM", "vLLM", "SGLang" …
	Framework string `json:"framework,omitempty"`
	// Command is "disagg_<ctx name>_<gen name>" or "aggr_<server name>_<client name>".
	Command string `json:"command,omitempty"`
	// GPUs is the number of GPUs of the aggregated server, or of all context and generation servers together.
	GPUs        *int `json:"gpus,omitempty"`
	GPUsPerNode *int `json:"gpus_per_node,omitempty"`
	// TP, EP, PP and CP are the aggregated server's tensor, expert, pipeline and context parallel sizes; in a disaggregated run
	// they are the generation server's.
	TP *int `json:"tp,omitempty"`
	EP *int `json:"ep,omitempty"`
	PP *int `json:"pp,omitempty"`
	CP *int `json:"cp,omitempty"`
	// ContextServers and GenerationServers count a disaggregated run's workers.
	ContextServers    *int `json:"context_servers,omitempty"`
	GenerationServers *int `json:"generation_servers,omitempty"`
	// SpecDecoding says whether the servers use speculative decoding.
	SpecDecoding *bool `json:"spec_decoding,omitempty"`
}

// System describes the machine that ran the benchmark, never the one that parses.
type System struct {
	// GPU is the product name without "NVIDIA".
	GPU      string `json:"gpu,omitempty"`
	GPUCount *int   `json:"gpu_count,omitempty"`
	Driver   string `json:"driver,omitempty"`
	CUDA     string `json:"cuda,omitempty"`
	// SMClockMHz and MemClockMHz are the locked or most frequent clocks.
	SMClockMHz  *float64 `json:"sm_clock_mhz,omitempty"`
	MemClockMHz *float64 `json:"mem_clock_mhz,omitempty"`
	CPU         string   `json:"cpu,omitempty"`
	OS          string   `json:"os,omitempty"`
	Host        string   `json:"host,omitempty"`
}

// Job describes the run that the benchmark belonged to. All of it comes from flags, from the file that a launch leaves, or from the
// environment.
type Job struct {
	TensorRTLLM string `json:"trtllm,omitempty"`
	TensorRT    string `json:"tensorrt,omitempty"`
	Commit      string `json:"commit,omitempty"`
	Link        string `json:"link,omitempty"`
	Notes       string `json:"notes,omitempty"`
	Build       Build  `json:"build,omitzero"`
}

// Build is the build of a CI system that ran the test; see package build for where it comes from.
type Build struct {
	ID      string `json:"id,omitempty"`
	URL     string `json:"url,omitempty"`
	JobName string `json:"job_name,omitempty"`
	// JobID and JobURL are those of the job above, which started this build.
	JobID  string `json:"job_id,omitempty"`
	JobURL string `json:"job_url,omitempty"`
	Branch string `json:"branch,omitempty"`
	Stage  string `json:"stage,omitempty"`
	// Host is the machine that the build ran on, which need not be the one that measured.
	Host string `json:"host,omitempty"`
	// PostMerge and PullRequest say what kind of build it is; both false is one that a person started.
	PostMerge   *bool `json:"post_merge,omitempty"`
	PullRequest *bool `json:"pull_request,omitempty"`
	// Trigger… say who or what started it.
	TriggerUser   string `json:"trigger_user,omitempty"`
	TriggerLink   string `json:"trigger_link,omitempty"`
	TriggerID     string `json:"trigger_id,omitempty"`
	TriggerCommit string `json:"trigger_commit,omitempty"`
}

// Source is the place a Result was read from.
type Source struct {
	// File is the path as it was given or found below a given path.
	File string `json:"file"`
	// Member is the entry's path inside File where that is an archive.
	Member string `json:"member,omitempty"`
	// Testcase is the test case's name where File is a results.xml.
	Testcase string `json:"testcase,omitempty"`
	// Block counts from 1 within one file.
	Block int `json:"block,omitempty"`
	// Line and EndLine are the block's first and last line.
	Line    int `json:"line,omitempty"`
	EndLine int `json:"end_line,omitempty"`
}

// CheckpointIO is how the servers of a role loaded their checkpoints, as their logs say.
type CheckpointIO struct {
	// Role is "ctx" or "gen" for workers, and empty for a server that does both.
	Role string `json:"role,omitempty"`
	// Requested, Selected and Effective are the policies' names, each once and in order.
	Requested []string `json:"requested"`
	Selected  []string `json:"selected"`
	Effective []string `json:"effective"`
	// Statuses is the number of lines that say so, Activated that of those whose policy was activated.
	Statuses  int `json:"statuses"`
	Activated int `json:"activated"`
}

// Result is one client's measurement against one server in one test.
type Result struct {
	// ID is the identity: 64 hex digits, see [Identify].
	ID     string `json:"id"`
	TestID TestID `json:"test_id,omitzero"`
	// Module and Function are the pytest file and function of the test; absent where no test is known.
	Module   string    `json:"module,omitempty"`
	Function string    `json:"function,omitempty"`
	Mode     Mode      `json:"mode,omitempty"`
	Role     Role      `json:"role,omitempty"`
	Server   Server    `json:"server,omitzero"`
	Client   Client    `json:"client,omitzero"`
	Labels   Labels    `json:"labels,omitzero"`
	Status   Status    `json:"status"`
	Reasons  []Reason  `json:"reasons,omitempty"`
	Checked  []Context `json:"checked,omitempty"`
	Requests Requests  `json:"requests,omitzero"`
	Metrics  Values    `json:"metrics,omitempty"`
	Rows     []Row     `json:"rows,omitempty"`
	Source   Source    `json:"source"`
	AlsoIn   []Source  `json:"also_in,omitempty"`
	System   System    `json:"system,omitzero"`
	Job      Job       `json:"job,omitzero"`
	// Checkpoints are by role; empty where no server's log says anything.
	Checkpoints []CheckpointIO `json:"checkpoint_io,omitempty"`
	// StartedAt and EndedAt bound the measurement, in UTC; zero where unknown.
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// TestSeconds is the test case's own time from results.xml, in seconds.
	TestSeconds *float64 `json:"test_seconds,omitempty"`
}

// Valid reports whether the measurement counts.
func (r *Result) Valid() bool { return r.Status == Valid }
