// Package tree knows the contract of a TensorRT-LLM checkout's own launcher: submit.py, which turns a prefix, a list of srun arguments and
// a draft into a job script. There are three eras of it, and each refuses, or silently breaks, other ids, configurations and words.
package tree

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Version is an era's number.
type Version string

const (
	V1 Version = "v1" // January 2026: perf/disaggregated/submit.py, configurations in disagg/perf
	V2 Version = "v2" // February 2026: the same place, configurations in disagg/perf-sanity
	V3 Version = "v3" // later: perf/submit.py, aggregated tests too, configurations in tests/scripts/perf-sanity
)

// Launcher is a checkout's launcher.
type Launcher struct {
	Version Version `json:"version"`
	// Submit, Drafts, Run and Install are paths relative to the checkout. Drafts are those of disaggregated and of aggregated tests.
	Submit          string `json:"submit"`
	Draft           string `json:"draft"`
	AggregatedDraft string `json:"aggregated_draft,omitempty"`
	Run             string `json:"run"`
	Install         string `json:"install"`
	// NoContextOnly: context servers are left out for gen_only_no_context alone, and not for every gen_only.
	NoContextOnly bool `json:"no_context_only,omitempty"`
	// Gate: submit.py asks for the cache-transceiver precheck's gate beside the draft.
	Gate bool `json:"gate,omitempty"`
	// Needs is what the run and install scripts ask of the job.
	Needs Needs `json:"needs"`
}

// Needs is what the checkout's slurm_run.sh and slurm_install.sh ask of a job, as their texts show it.
type Needs struct {
	// Placeholder: the wheel path's placeholder must stand in the command.
	Placeholder bool `json:"placeholder,omitempty"`
	// DisaggStage: every role installs anew unless the stage's name contains "Disagg".
	DisaggStage bool `json:"disagg_stage,omitempty"`
	// SourceBelow: the sources are looked for in TensorRT-LLM/src below resourcePathNode.
	SourceBelow bool `json:"source_below,omitempty"`
	// PerfCheck: with perfMode=true a CSV is checked that this test never writes.
	PerfCheck bool `json:"perf_check,omitempty"`
	// Tar: the install script unpacks a build that tarName and llmTarfile name.
	Tar bool `json:"tar,omitempty"`
}

// Folders are where submit.py and the test look for configurations, relative to the checkout.
func (l *Launcher) Folders(disagg bool) string {
	switch l.Version {
	case V1:
		return "tests/integration/defs/perf/disagg/test_configs/disagg/perf"
	case V2:
		return "tests/integration/defs/perf/disagg/test_configs/disagg/perf-sanity"
	}
	if disagg {
		return "tests/scripts/perf-sanity/disaggregated"
	}
	return "tests/scripts/perf-sanity/aggregated"
}

const (
	submitV3   = "jenkins/scripts/perf/submit.py"
	submitV1V2 = "jenkins/scripts/perf/disaggregated/submit.py"
	draft      = "jenkins/scripts/perf/disaggregated/slurm_launch_draft.sh"
	aggDraft   = "jenkins/scripts/perf/aggregated/slurm_launch_draft.sh"
	gate       = "jenkins/scripts/perf/disaggregated/slurm_ct_precheck_gate.sh"
	runScript  = "jenkins/scripts/slurm_run.sh"
	install    = "jenkins/scripts/slurm_install.sh"
)

// options that each era's submit.py takes. All must stand in its text.
var options = map[Version][]string{
	V1: {"--run-ci", "--draft-launch-sh", "--launch-sh", "--run-sh", "--install-sh", "--llm-src", "--test-list", "--script-prefix", "--srun-args"},
	V3: {"--draft-launch-sh", "--launch-sh", "--run-sh", "--install-sh", "--llm-src", "--test-list", "--script-prefix", "--srun-args", "--stage-name"},
}

// Detect looks for a checkout's launcher and tells its era from its texts. The error says why there is none that can be used.
func Detect(dir string) (*Launcher, error) {
	read := func(name string) (string, error) {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		return string(text), err
	}
	l := &Launcher{Version: V3, Submit: submitV3, Draft: draft, Run: runScript, Install: install}
	text, err := read(submitV3)
	if err != nil {
		l.Submit = submitV1V2
		if text, err = read(submitV1V2); err != nil {
			return nil, fmt.Errorf("the checkout has neither %s nor %s", submitV3, submitV1V2)
		}
		l.Version = V1
		if strings.Contains(text, "perf-sanity") {
			l.Version = V2
		}
	}
	want := options[V1]
	if l.Version == V3 {
		want = options[V3]
		l.AggregatedDraft = aggDraft
		l.Gate = strings.Contains(text, "slurm_ct_precheck_gate")
	}
	for _, o := range want {
		if !strings.Contains(text, o) {
			return nil, fmt.Errorf("%s is of no era that is known: it has no %s", l.Submit, o)
		}
	}
	l.NoContextOnly = l.Version == V3 || l.Version == V2 && strings.Contains(text, "gen_only_no_context")
	drafted, err := read(l.Draft)
	if err != nil {
		return nil, fmt.Errorf("%s has no draft beside it: %w", l.Submit, err)
	}
	if v := draftVersion(drafted); v != l.Version {
		return nil, fmt.Errorf("%s is of era %s and %s of era %s: take both from one commit", l.Submit, l.Version, l.Draft, v)
	}
	if l.Gate {
		if _, err := read(gate); err != nil {
			return nil, fmt.Errorf("%s asks for its gate: %w", l.Submit, err)
		}
	}
	run, err := read(l.Run)
	if err != nil {
		return nil, fmt.Errorf("the job has nothing to run: %w", err)
	}
	setup, err := read(l.Install)
	if err != nil {
		return nil, fmt.Errorf("the job has nothing to install with: %w", err)
	}
	l.Needs = Needs{
		Placeholder: strings.Contains(run, "__PLACEHOLDER_TRTLLM_WHL_PATH__"),
		DisaggStage: disaggStage.MatchString(run),
		SourceBelow: strings.Contains(run, "TensorRT-LLM/src"),
		PerfCheck:   strings.Contains(run, "sanity_perf_check"),
		Tar:         strings.Contains(setup, "tarName"),
	}
	return l, nil
}

var disaggStage = regexp.MustCompile(`stageName.*Disagg`)

// draftVersion tells a draft's era from the variables that it needs.
func draftVersion(text string) Version {
	switch {
	case strings.Contains(text, "gpusPerfNodePerf"):
		return V2
	case strings.Contains(text, "gpusPerNodePer"):
		return V3
	}
	return V1
}

// Argv is submit.py's command. Paths are absolute.
func (l *Launcher) Argv(python, dir, list, prefix, srunArgs, out, installScript, stage string, aggregated bool) []string {
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	argv := []string{python, at(l.Submit)}
	if l.Version != V3 {
		argv = append(argv, "--run-ci")
	}
	d := l.Draft
	if aggregated {
		d = l.AggregatedDraft
	}
	if installScript == "" {
		installScript = at(l.Install)
	}
	argv = append(argv, "--llm-src", dir, "--test-list", list, "--draft-launch-sh", at(d), "--launch-sh", out, "--run-sh", at(l.Run),
		"--install-sh", installScript, "--script-prefix", prefix, "--srun-args", srunArgs)
	if l.Version == V3 {
		argv = append(argv, "--stage-name", stage)
	}
	return argv
}
