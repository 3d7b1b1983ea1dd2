package run

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/build"
	"github.com/trtperf/trtperf/parse/clientjson"
	"github.com/trtperf/trtperf/parse/config"
	"github.com/trtperf/trtperf/parse/custom"
)

// kind says what a file of a run is, judged by its name alone.
type kind int

const (
	unknownFile  kind = iota
	clientLog         // a client's output: holds the block
	serverLog         // a server's, a worker's or the router's output, or standard error
	generatorLog      // a generation server's output: may hold device-step lines
	jobLog            // what Slurm collected of the whole job
	junitFile         // results.xml and its like
	configFile        // YAML
	systemFile        // what is known of the machine
	monitorFile       // samples of the GPU's clocks
	unfinished        // tests that pytest had not finished
	noteFile          // a small file of the harness without numbers
	secretFile        // never read
	ownFile           // written by trtperf
	archiveFile       // holds files of its own
	clientJSON        // what a client has saved of its result
	startupFile       // how long servers took to start
)

// place is what a file's name tells.
type place struct {
	kind kind
	role parse.Role
	// server and client are the indices in the name, or nil.
	server, client *int
	// reason says why the file is skipped, for kinds that are.
	reason string
	// test says that the file's directory is a test's own.
	test bool
	// disagg says that only disaggregated runs have such a file.
	disagg bool
	// era is the first generation of the harness that has such a file, where that tells generations apart.
	era config.Era
	// folder is where an archive of the run has it; empty for the one of its kind.
	folder Folder
}

// rule is a row of the layout table.
type rule struct {
	name   string // a regular expression for the whole base name; groups: role, server, client, index
	kind   kind
	role   parse.Role // where the name's "role" group does not give it
	reason string
	test   bool
	disagg bool
	era    config.Era
	folder Folder
}

const (
	workerReason   = "output of a worker or the router: only the BENCHMARK node measures"
	stderrReason   = "standard error of a process: the block stands in its output"
	serverReason   = "a server's output: the block stands in the client's log"
	noteReason     = "a file of the test harness without results"
	launcherReason = "written by the launcher, no log"
)

// layout is every file name that the harness, its launchers and trtperf itself give. Source: TensorRT-LLM's test_perf_sanity.py from
// January to September 2026 and its Slurm launchers. The first rule that fits counts. Each has a text of its own in every name that it fits, so
// that few expressions need be tried on a name.
var layout = compile([]rule{
	{name: `internal_request_auth_key\.txt(\.lock)?`, kind: secretFile, reason: "a secret of the run: never read", test: true, era: config.EraF},
	{name: `trtllm-benchmark\.(?<server>\d+)\.(?<client>\d+)\.error\.log`, kind: serverLog, role: parse.Benchmark, reason: stderrReason,
		test: true, era: config.EraB, folder: BenchmarkLogs},
	{name: `trtllm-benchmark\.(?<server>\d+)\.(?<client>\d+)\.log`, kind: clientLog, role: parse.Benchmark, test: true},
	{name: `trtllm-serve\.((?<role>(CTX|GEN)_\d+|DISAGG_SERVER)\.)?.+\.error\.log`, kind: serverLog, reason: stderrReason, test: true,
		era: config.EraB},
	{name: `trtllm-serve\.(?<role>(CTX|GEN)_\d+|DISAGG_SERVER)\..+\.log`, kind: serverLog, reason: workerReason, test: true, disagg: true},
	{name: `trtllm-serve\..+\.(?<role>(CTX|GEN)_\d+|DISAGG_SERVER)\.log`, kind: serverLog, reason: workerReason, test: true, disagg: true,
		era: config.EraA},
	{name: `trtllm-serve\.(?<server>\d+)\.log`, kind: serverLog, reason: serverReason, test: true},
	{name: `trtllm-serve\..+\.log`, kind: serverLog, reason: serverReason, test: true},
	{name: `trtllm-serve\..+\.addr`, kind: noteFile, reason: noteReason, test: true, era: config.EraE},
	{name: `(output_)?gen_(server_)?(?<index>\d+)\.log`, kind: generatorLog, role: "GEN_", reason: workerReason, test: true, disagg: true},
	{name: `(output_)?ctx_(server_)?(?<index>\d+)\.log`, kind: serverLog, role: "CTX_", reason: workerReason, test: true, disagg: true, folder: ComponentLogs},
	{name: `(disagg|output)_server\.log`, kind: serverLog, role: parse.DisaggServer, reason: workerReason, test: true, disagg: true, folder: ComponentLogs},
	{name: `output_workers\.log`, kind: serverLog, reason: workerReason, disagg: true, folder: ComponentLogs},
	{name: `gen_server_\d+\.done`, kind: noteFile, reason: noteReason, test: true, disagg: true, era: config.EraE},
	{name: `CTX_\d+\.txt(\..*\.tmp)?`, kind: noteFile, reason: noteReason, disagg: true},
	{name: `GEN_\d+\.txt(\..*\.tmp)?`, kind: noteFile, reason: noteReason, disagg: true},
	{name: `DISAGG_SERVER\..*\.addr`, kind: noteFile, reason: noteReason, disagg: true},
	{name: `benchmark_status\..*\.txt`, kind: noteFile, reason: noteReason, test: true},
	{name: `pytest_done\..*\.txt`, kind: noteFile, reason: noteReason, test: true},
	{name: `server_config\..*\.ya?ml`, kind: noteFile, reason: noteReason, test: true, disagg: true, folder: ConfigFiles},
	{name: `extra-llm-api-config\..*\.ya?ml`, kind: noteFile, reason: noteReason, test: true, folder: ConfigFiles},
	{name: `startup_metrics\.(?<server>\d+)\.json`, kind: startupFile, reason: "start-up times beside no result", test: true, era: config.EraF},
	{name: `accuracy_eval_.*\.log`, kind: serverLog, role: parse.Benchmark, reason: "an accuracy evaluation, no performance test", test: true, folder: BenchmarkLogs},
	{name: `install\.log`, folder: ComponentLogs},
	{name: `.*\.launch`, folder: ComponentLogs},
	{name: `test_list(_disagg)?\.txt`, kind: noteFile, reason: launcherReason, folder: ScriptFiles},
	{name: `slurm_srun_args\.txt`, kind: noteFile, reason: launcherReason, folder: ScriptFiles},
	{name: `(plan|node_info)\.json`, kind: noteFile, reason: launcherReason, folder: ScriptFiles},
	{name: `(regression_data|regression|perf_data)\.yaml`, kind: noteFile, reason: "the harness's own verdict, not a measurement"},
	{name: `results\.(?<role>(CTX|GEN)_\d+|DISAGG_SERVER)\.xml`, kind: junitFile, reason: "results of a worker or the router: only the BENCHMARK node measures", disagg: true},
	{name: `trtperf-set\.(xml|json)`, kind: ownFile, reason: "the summary of a list: its tests' own results count"},
	{name: `.*\.xml`, kind: junitFile},
	{name: `slurm[-_].+\.(out|log)`, kind: jobLog},
	{name: `unfinished_test\.txt`, kind: unfinished},
	{name: `trtperf-system\.(?<role>BENCHMARK|(CTX|GEN)_\d+|DISAGG_SERVER)\.json`, kind: systemFile, reason: "the machine of another role than BENCHMARK"},
	{name: regexp.QuoteMeta(build.FileName), kind: systemFile},
	{name: `session_properties\.csv`, kind: systemFile},
	{name: `gpu_monitoring\.csv`, kind: monitorFile},
	{name: clientjson.NamePattern(), kind: clientJSON, reason: "a client's JSON beside no result"},
	{name: `.*\.t(ar|gz|bz2?|xz|zst)`, kind: archiveFile},
	{name: `.*\.zip`, kind: archiveFile},
	{name: `perf_script_test_results\.metrics\.csv|perf_results_full\.csv`, kind: ownFile, reason: "a CSV of results, not a source of them"},
	{name: `.*\.db(-journal|-wal|-shm)?`, kind: ownFile, reason: "a database, no log"},
	{name: `.*\.ya?ml`, kind: configFile, reason: "a YAML file that no test of this run names"},
})

type compiledRule struct {
	rule
	pattern func() *regexp.Regexp // compiled when a name may fit
	literal string                // in every name that the rule fits
}

func compile(rules []rule) []compiledRule {
	out := make([]compiledRule, len(rules))
	for i, r := range rules {
		pattern := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:` + r.name + `)$`) })
		out[i] = compiledRule{r, pattern, custom.Literal(r.name)}
	}
	return out
}

// placeOf looks a file's base name up in the layout table.
func placeOf(base string) place {
	for _, r := range layout {
		// Most names fit no rule, and the expressions are slow.
		if !strings.Contains(base, r.literal) {
			continue
		}
		m := r.pattern().FindStringSubmatch(base)
		if m == nil {
			continue
		}
		p := place{kind: r.kind, role: r.role, reason: r.reason, test: r.test, disagg: r.disagg, era: r.era, folder: r.folder}
		for i, group := range r.pattern().SubexpNames() {
			if m[i] == "" {
				continue
			}
			switch group {
			case "role":
				p.role = parse.Role(m[i])
			case "index":
				p.role += parse.Role(m[i])
			case "server":
				p.server = index(m[i])
			case "client":
				p.client = index(m[i])
			}
		}
		if p.kind == systemFile && p.role != "" && p.role != parse.Benchmark {
			p.kind = noteFile
		}
		return p
	}
	return place{}
}

func index(digits string) *int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return nil
	}
	return &n
}

// hostnames matches the directories in which workers publish their addresses; those with a job's id came in July 2026.
var hostnames = regexp.MustCompile(`^hostnames-(?:(\d+|local)-)?\d+$`)

// runParts are directories inside a test's own directory whose files belong to it and hold no results.
func runPart(dir string) bool {
	base := filepath.Base(dir)
	return hostnames.MatchString(base) || strings.HasPrefix(base, "accuracy_eval_") || base == "lm_eval_configs" || strings.HasPrefix(base, "agentx.")
}

// logExtensions are the names under which a file found in a directory is read as a log. A file that is given itself is read
// whatever its name.
var logExtensions = map[string]bool{"": true, ".log": true, ".out": true, ".err": true, ".txt": true, ".stdout": true, ".stderr": true, ".output": true,
	".csv": true, ".tar": true, ".tgz": true, ".tbz": true, ".tbz2": true, ".txz": true, ".tzst": true, ".zip": true}
