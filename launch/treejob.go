package launch

import (
	"slices"
	"strings"

	"github.com/trtperf/trtperf/launch/script"
	"github.com/trtperf/trtperf/launch/tree"
	"github.com/trtperf/trtperf/parse"
)

// Names of what the tree's way needs beside the guide's files.
const (
	resourcesDirectory = "resources"
	noInstallName      = "slurm_install_nothing.sh"
	readBackResults    = `results.${DISAGG_SERVING_TYPE:-BENCHMARK}.xml`
	roleResults        = `results.\${DISAGG_SERVING_TYPE:-BENCHMARK}.xml`
)

// treeJob writes the files that the checkout's submit.py makes the job's script of, and its command.
func (p *Plan) treeJob(list string) error {
	l := p.Spec.Launcher
	kind, err := l.ParseID(p.Test.ID)
	if err != nil {
		return err
	}
	command := p.treeCommand()
	stage, perfMode, resources := p.Job.Name+"_"+p.stem(), "true", p.Tree
	if l.Needs.DisaggStage {
		// Without the word, in that spelling, every role would install anew.
		stage = "Disagg" + strings.TrimPrefix(stage, "disagg")
	}
	if l.Needs.PerfCheck {
		perfMode = "false" // the check wants a CSV that this test never writes
	}
	if l.Needs.SourceBelow {
		resources = p.Path(resourcesDirectory)
		p.Files = append(p.Files, File{Path: resourcesDirectory + "/TensorRT-LLM/src", Link: p.Tree})
	}
	exports := []string{"export perfMode=" + perfMode, "export resourcePathNode=" + resources, "export coverageConfigFile=" + p.Path(coverageName)}
	if l.Needs.Placeholder {
		command = append([]string{"TRTLLM_WHL_PATH=__PLACEHOLDER_TRTLLM_WHL_PATH__"}, command...)
	}
	installer := ""
	switch tar := p.Spec.variable("tarName") != "" && p.Spec.variable("llmTarfile") != ""; {
	case l.Needs.Tar && tar:
		exports = append(exports, "export tarName="+p.Spec.variable("tarName"), "export llmTarfile="+p.Spec.variable("llmTarfile"))
	case l.Needs.Tar:
		installer = p.Path(noInstallName)
		p.file(noInstallName, 0o755, "#!/bin/bash\n# Nothing is installed: TensorRT-LLM is where the job runs.\nexit 0\n")
		p.remark("nothing is installed by the job: %s wants a build that --env tarName=… and --env llmTarfile=… name", l.Install)
	}
	exports = append(exports, p.srunFunction(kind.Aggregated)...)
	system := []string{"sh", p.Path(systemName), p.Workspace}
	for _, s := range p.Steps {
		system = append(system, string(s.Role)+"@"+itoa(s.FirstNode))
	}
	exports = append(exports, "command srun --job-name=system --nodes="+itoa(p.Hardware.Nodes)+" --ntasks="+itoa(p.Hardware.Nodes)+" --ntasks-per-node=1 "+strings.Join(system, " ")+" || true")
	for what, word := range map[string]string{"the image": p.Spec.Slurm.Image, "the MPI type": p.Spec.Slurm.MPI, "the stage's name": stage} {
		if word != "" {
			if err := tree.CheckWord(what, word); err != nil {
				return err
			}
		}
	}
	prefix, err := p.prefix(`"`+strings.Join(command, " ")+`"`, stage, exports...)
	if err != nil {
		return err
	}
	for _, a := range p.Job.SrunArgs {
		if err := tree.CheckWord("the srun argument", strings.ReplaceAll(a, jobID, "")); err != nil {
			return err
		}
	}
	p.file(prefixName, 0o755, prefix)
	p.file(srunArgsName, 0o644, lines(p.Job.SrunArgs))
	p.file(systemName, 0o755, script.System)
	p.file(coverageName, 0o644, "[run]\n")
	p.Preparation = append(p.Preparation, Command{Name: "submit.py", Dir: p.Workspace, Env: p.Spec.Environment, Log: "submit.log", Makes: generatedName,
		Argv: l.Argv(p.Spec.Python, p.Tree, p.Path(list), p.Path(prefixName), p.Path(srunArgsName), p.Path(generatedName), installer, stage, kind.Aggregated)})
	// One command serves every role, so that BENCHMARK's file is named after its role as well.
	for i := range p.Results {
		if p.Results[i].Path == resultsName {
			p.Results[i].Path, p.Results[i].As = "results."+string(parse.Benchmark)+".xml", resultsName
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		s.JUnit = "results." + string(s.Role) + ".xml"
		s.Argv, s.Exit = p.treeArgv(s.Role, p.Path(s.JUnit)), exitPath(s.Role)
	}
	return nil
}

// srunFunction stands for srun in the job's script: it names the step after its role, keeps the role's exit code, and gives --mpi to workers
// alone, since the drafts of v1 and v2 give every step the same arguments. The draft of v3 has its own --mpi, which comes later and wins.
func (p *Plan) srunFunction(aggregated bool) []string {
	role := "${DISAGG_SERVING_TYPE:-}"
	if aggregated {
		role = string(parse.Benchmark)
	}
	lines := []string{
		"mkdir -p " + p.Path(exitsDirectory),
		"srun() {",
		"local code=0 role=" + role,
		`local options=(--job-name="${role:-install}")`,
	}
	if mpi := p.Spec.Slurm.MPI; mpi != "" && p.Spec.Launcher.Version != tree.V3 {
		lines = append(lines, `case $role in CTX_* | GEN_*) options+=(--mpi=`+mpi+`) ;; esac`)
	}
	if !aggregated {
		// The client's machine is described before: it is to be the job's first.
		lines = append(lines, `if [ "$role" = BENCHMARK ]; then`, `local hosts; hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")`,
			`options+=(--nodelist="${hosts%%$'\n'*}")`, "fi")
	}
	return append(lines,
		`command srun "${options[@]}" "$@" || code=$?`,
		`[ -z "$role" ] || echo "$code" >`+p.Path(exitsDirectory)+`/"$role"`,
		`return "$code"`,
		"}")
}

// treeCommand is pytestCommand in words that submit.py's tokenizer leaves whole: variables first, then the launcher, pytest, options with
// their values behind "=", and the node id last.
func (p *Plan) treeCommand() []string {
	return append(slices.Clone(p.Environment), p.treeArgv("", p.Path(roleResults))...)
}

// treeArgv is what a role is to run in the tree's way; for the empty role all of it.
func (p *Plan) treeArgv(role parse.Role, junit string) []string {
	var argv []string
	if p.Spec.MPILauncher != "" && (p.Hardware.Nodes > 1 || p.Hardware.GPUsPerNode > 1) && role != parse.DisaggServer && (role != parse.Benchmark || p.Mode != parse.Disagg) {
		argv = append(argv, p.mpiLauncher())
	}
	argv = append(argv, p.Spec.Pytest...)
	argv = append(argv, "-vv", "--rootdir="+p.RootDir, "--override-ini=junit_logging=out-err", "--junit-xml="+junit)
	return append(append(argv, p.pytestOptions()...), p.Test.NodeID)
}
