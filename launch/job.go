package launch

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trtperf/trtperf/launch/script"
	"github.com/trtperf/trtperf/parse"
)

// Names of a job's files. Those of TensorRT-LLM's scripts are theirs.
const (
	prefixName     = "slurm_launch_prefix.sh"
	srunArgsName   = "slurm_srun_args.txt"
	generatedName  = "slurm_launch_generated.sh"
	nodeInfoName   = "node_info.json"
	coverageName   = "coverage_config.json"
	jobOutputName  = "slurm_%j.log"
	systemName     = "trtperf-system.sh"
	rolesDirectory = "roles"
	exitsDirectory = "exit"
	diedPath       = "exit/died"
	jobDirectory   = "disagg_workspace"
)

// DefaultTimeLimit is the guide's.
const DefaultTimeLimit = Duration(4 * time.Hour)

// GPU requests: how a job asks for its GPUs.
const (
	GPUsPerNode = "gpus-per-node" // --gpus-per-node=N
	GRES        = "gres"          // --gres=gpu:N
	NoGPUs      = "none"          // not at all, as on clusters whose nodes are given whole
)

// job fills in the Slurm job and its #SBATCH lines.
func (p *Plan) job() error {
	s, h := p.Spec.Slurm, p.Hardware
	if h.Nodes == 0 {
		return fmt.Errorf("no configuration of %s was found, so nothing tells how many nodes and GPUs the job needs: give --config-dir, or --nodes and --gpus-per-node", p.Test.NodeID)
	}
	name := strings.ReplaceAll(string(cmp.Or(p.Mode, "pytest")), "-", "_") + "_perf_test"
	limit := s.TimeLimit
	if limit == 0 {
		limit = DefaultTimeLimit
	}
	j := &Job{Name: name, Partition: s.Partition, Account: s.Account, TimeLimit: limit, Args: s.SbatchArgs, Segment: s.Segment, Script: generatedName,
		Output: jobOutputName}
	directive := func(name, value string) {
		if value != "" {
			j.Directives = append(j.Directives, "--"+name+"="+value)
		}
	}
	// In an output's name "%" begins a field.
	directive("output", strings.ReplaceAll(p.Workspace, "%", "%%")+"/"+jobOutputName)
	directive("nodes", strconv.Itoa(h.Nodes))
	directive("ntasks", strconv.Itoa(h.Tasks))
	directive("ntasks-per-node", strconv.Itoa(h.TasksPerNode))
	request := s.GPURequest
	if h.RequestPerNode == 0 {
		request = NoGPUs
	}
	switch request {
	case "", GPUsPerNode:
		directive("gpus-per-node", strconv.Itoa(h.RequestPerNode))
	case GRES:
		directive("gres", "gpu:"+strconv.Itoa(h.RequestPerNode))
	case NoGPUs:
	default:
		return fmt.Errorf("GPU request %q: write %s, %s or %s", s.GPURequest, GPUsPerNode, GRES, NoGPUs)
	}
	directive("partition", s.Partition)
	directive("account", s.Account)
	directive("job-name", j.Name)
	directive("time", slurmTime(limit))
	if s.Image != "" {
		j.SrunArgs = append(j.SrunArgs, "--container-name="+containerName(p.Mode), "--container-image="+s.Image,
			"--container-workdir="+p.Workspace, "--container-mounts="+strings.Join(p.mounts(), ","))
	}
	j.SrunArgs = append(j.SrunArgs, s.SrunArgs...)
	p.Job = j
	return nil
}

// jobID is what Bash puts the job's id for.
const jobID = "${SLURM_JOB_ID}"

// containerName names the container after the job, so that the steps of one job share it and those of two do not.
func containerName(mode parse.Mode) string {
	kind := "agg"
	if mode == parse.Disagg {
		kind = "disagg"
	}
	return kind + "_test_" + jobID
}

// mounts are the container's: every path that the run names, at the same place inside as outside.
func (p *Plan) mounts() []string {
	mounts := []string{p.Workspace + ":" + p.Workspace}
	for _, dir := range []string{p.Tree, p.Spec.Slurm.Data} {
		if m := dir + ":" + dir; dir != "" && !slices.Contains(mounts, m) {
			mounts = append(mounts, m)
		}
	}
	return append(mounts, p.Spec.Slurm.Mounts...)
}

// slurmTime writes a limit as Slurm reads it, in whole minutes, which it rounds up to.
func slurmTime(d Duration) string {
	minutes := int64((time.Duration(d) + time.Minute - 1) / time.Minute)
	days, hours, minutes := minutes/(24*60), minutes/60%24, minutes%60
	if days > 0 {
		return fmt.Sprintf("%d-%02d:%02d:00", days, hours, minutes)
	}
	return fmt.Sprintf("%02d:%02d:00", hours, minutes)
}

// writer collects a script's lines. The first word that cannot be quoted is kept.
type writer struct {
	strings.Builder
	err error
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

func (w *writer) quote(word string) string {
	q, err := script.Quote(word)
	if err != nil && w.err == nil {
		w.err = err
	}
	return q
}

func (w *writer) words(words []string) string {
	q, err := script.Words(words)
	if err != nil && w.err == nil {
		w.err = err
	}
	return q
}

// prefix is slurm_launch_prefix.sh: the #SBATCH lines, and exports in the guide's words.
func (p *Plan) prefix(command, stage string, exports ...string) (string, error) {
	w := &writer{}
	w.line("#!/bin/bash")
	for _, d := range p.Job.Directives {
		w.line("#SBATCH %s", directive(d))
	}
	w.line("")
	w.line("set -xEeuo pipefail")
	w.line("export pytestCommand=%s", command)
	w.line("export jobWorkspace=%s", w.quote(p.Path(jobDirectory)))
	w.line("export llmSrcNode=%s", w.quote(p.Tree))
	w.line("export stageName=%s", script.DoubleQuoted(stage))
	for _, e := range exports {
		w.line("%s", e)
	}
	return w.String(), w.err
}

// directive writes an option for an #SBATCH line, which sbatch splits as a shell does, without expansions.
func directive(option string) string {
	if strings.ContainsAny(option, " \t#'\"\\") {
		name, value, _ := strings.Cut(option, "=")
		return name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	}
	return option
}

// nativeJob writes the files of a job that starts the roles itself.
func (p *Plan) nativeJob() error {
	shown, err := script.Shown([]string{"pytest", p.Test.NodeID, "-vv", "--junit-xml=" + p.Path(resultsName)})
	if err != nil {
		return err
	}
	prefix, err := p.prefix(script.DoubleQuoted(shown), p.Job.Name+"_"+p.stem(),
		"export perfMode=true",
		"export resourcePathNode="+must(script.Quote(p.Tree)),
		"export coverageConfigFile="+must(script.Quote(p.Path(coverageName))))
	if err != nil {
		return err
	}
	body, err := p.body()
	if err != nil {
		return err
	}
	p.file(prefixName, 0o755, prefix)
	p.file(srunArgsName, 0o644, lines(p.Job.SrunArgs))
	p.file(systemName, 0o755, script.System)
	for _, s := range p.Steps {
		text, err := p.roleScript(s)
		if err != nil {
			return err
		}
		p.file(rolePath(s.Role), 0o755, text)
	}
	p.file(generatedName, 0o755, prefix+body)
	return nil
}

// must is for a word that was quoted before.
func must(quoted string, _ error) string { return quoted }

func lines(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, "\n") + "\n"
}

func rolePath(role parse.Role) string { return path.Join(rolesDirectory, string(role)+".sh") }

func itoa(n int) string { return strconv.Itoa(n) }

func exitPath(role parse.Role) string { return path.Join(exitsDirectory, string(role)) }

// stem names the test in names.
func (p *Plan) stem() string {
	if p.Test.Config != "" {
		return p.Test.Config
	}
	return p.Test.Function
}

// roleScript is what each task of a step runs: one argument list.
func (p *Plan) roleScript(s Step) (string, error) {
	w := &writer{}
	w.line("#!/bin/bash")
	w.line("# Runs %s.", s.Role)
	w.line("set -eu")
	if s.Tasks <= 1 {
		w.line("# One process: what Slurm and MPI say of tasks would mislead it.")
		w.line(`for name in "${!PMI@}" "${!MPI@}" "${!OMPI@}" "${!SLURM@}"; do`)
		w.line("\tcase $name in")
		w.line("\tSLURM_JOB_ID | SLURM_NODEID | SLURM_PROCID) ;;")
		w.line("\t*) unset \"$name\" ;;")
		w.line("\tesac")
		w.line("done")
	}
	w.line("cd %s", w.quote(s.Dir))
	if len(s.Unset) > 0 {
		w.line("unset %s", w.words(s.Unset))
	}
	for _, e := range slices.Concat(p.Environment, s.Env) {
		name, value, _ := strings.Cut(e, "=")
		w.line("export %s=%s", name, w.quote(value))
	}
	if s.Tasks <= 1 {
		w.line("exec %s", w.words(s.Argv))
		return w.String(), w.err
	}
	w.line("# srun tells the highest code of all ranks, also of those that it ends itself. The first rank's is the test's.")
	w.line("code=0")
	w.line("%s || code=$?", w.words(s.Argv))
	w.line(`[ "${SLURM_PROCID:-0}" != 0 ] || echo "$code" >%s`, w.quote(p.Path(exitPath(s.Role))+".rank0"))
	w.line(`exit "$code"`)
	return w.String(), w.err
}

// body is what follows the prefix in a native job's script.
func (p *Plan) body() (string, error) {
	w := &writer{}
	w.line("{ set +x; } 2>/dev/null")
	w.line("")
	w.line("workspace=%s", w.quote(p.Workspace))
	w.line("srunArgs=(")
	for _, a := range p.Job.SrunArgs {
		before, after, ok := strings.Cut(a, jobID)
		if ok {
			w.line("\t%s\"%s\"%s", w.quote(before), jobID, strings.TrimPrefix(w.quote(after), "''"))
		} else {
			w.line("\t%s", w.quote(a))
		}
	}
	w.line(")")
	fmt.Fprintf(w, `nodes=()
while read -r node; do nodes+=("$node"); done < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
if [ ${#nodes[@]} -lt %[1]d ]; then
	echo "the job has ${#nodes[@]} nodes, and its roles need %[1]d" >&2
	exit 1
fi
# hosts FIRST COUNT: names of nodes, with commas between.
hosts() {
	local IFS=,
	echo "${nodes[*]:$1:$2}"
}
# role NAME LOG ARGUMENT...: runs a role's step and leaves its exit code in a file.
role() {
	local name=$1 log=$2 code=0
	shift 2
	srun ${srunArgs[@]+"${srunArgs[@]}"} --job-name="$name" --kill-on-bad-exit=1 "$@" bash "$workspace/roles/$name.sh" >>"$log" 2>&1 || code=$?
	if [ "$code" != 0 ] && [ -s "$workspace/exit/$name.rank0" ] && [ "$(cat "$workspace/exit/$name.rank0")" != 0 ]; then
		code=$(cat "$workspace/exit/$name.rank0")
	fi
	echo "$code" >"$workspace/exit/$name.tmp"
	mv "$workspace/exit/$name.tmp" "$workspace/exit/$name"
}

`, p.Hardware.Nodes)
	w.line(`cd "$workspace"`)
	w.line("mkdir -p -- %s %s %s", exitsDirectory, w.quote(p.testDir()), jobDirectory)
	var system []string
	for _, s := range p.Steps {
		system = append(system, string(s.Role)+"@"+strconv.Itoa(s.FirstNode))
	}
	w.line("# Each node says what it is. No test depends on it.")
	w.line(`srun --job-name=system --nodes=%d --ntasks=%[1]d --ntasks-per-node=1 sh "$workspace/%s" "$workspace" %s || true`, p.Hardware.Nodes, systemName, strings.Join(system, " "))
	for _, s := range p.Steps {
		w.line("%s", strings.TrimSuffix("# "+string(s.Role), "\n"))
		args := []string{fmt.Sprintf("--nodes=%d --ntasks=%d --ntasks-per-node=%d", s.Nodes, s.Tasks, s.TasksPerNode),
			fmt.Sprintf(`--nodelist="$(hosts %d %d)"`, s.FirstNode, s.Nodes)}
		if s.Overlap {
			args = append(args, "--overlap")
		}
		if s.MPI != "" {
			args = append(args, "--mpi="+w.quote(s.MPI))
		}
		log := "/dev/stdout"
		if s.Log != "" {
			log = w.quote(s.Log)
		}
		call := fmt.Sprintf("role %s %s %s", s.Role, log, strings.Join(args, " "))
		if s.Done != "" {
			w.line("{ %s; touch %s; } &", call, w.quote(s.Done))
		} else {
			w.line("%s &", call)
		}
	}
	fmt.Fprintf(w, `
# The job ends with %[1]s, or with the first other role that fails before.
until [ -e exit/%[1]s ]; do
	sleep 1
	for file in exit/*_*; do
		[ -e "$file" ] || continue
		case $file in
		*.tmp | *.rank0) continue ;;
		esac
		if [ "$(cat "$file")" != 0 ] && [ ! -e exit/%[1]s ]; then
			echo "${file#exit/} ended with exit code $(cat "$file") before the test was at its end" >&2
			echo "${file#exit/}" >exit/died
			exit 1
		fi
	done
done
`, parse.Benchmark)
	if len(p.Steps) > 1 {
		fmt.Fprintf(w, `# The others see the end and follow.
for ((second = 0; second < %d; second++)); do
	[ -n "$(jobs -r)" ] || break
	sleep 1
done
`, int(time.Duration(p.Waits.Finish).Seconds()))
	}
	w.line(`exit "$(cat exit/%s)"`, parse.Benchmark)
	return w.String(), w.err
}

// file adds a file of the workspace.
func (p *Plan) file(name string, mode uint32, content string) {
	p.Files = append(p.Files, File{Path: name, Mode: mode, Content: content})
}
