package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtperf/trtperf/launch/remote"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/archive"
	"github.com/trtperf/trtperf/parse/build"
	"github.com/trtperf/trtperf/parse/custom"
	runs "github.com/trtperf/trtperf/parse/run"
	"github.com/trtperf/trtperf/parse/spelling"
	"github.com/trtperf/trtperf/upload/sqlite"
)

// settings are the values of all flags. A flag means the same on every command.
type settings struct {
	config  string
	json    bool
	quiet   bool
	verbose bool
	noColor bool

	mode      string
	configDir string
	metrics   string
	system    parse.System
	gpuCount  int
	smClock   float64
	memClock  float64
	job       parse.Job
	buildEnv  bool
	startTime timeFlag
	endTime   timeFlag

	filter runs.Filter
	since  sinceFlag
	shard  shardFlag
	limits archive.Limits
	window sizeFlag
	unpack sizeFlag

	outputDir     string
	layout        string
	perTest       bool
	summary       string
	includeFailed bool

	db        string
	dbWait    time.Duration
	reread    bool
	to        []string
	uploadAll bool
	caFile    string
	deadline  time.Duration
	from      string

	clusterName  string
	clustersConf string
	// cluster is what the cluster table says of clusterName.
	cluster *remote.Cluster

	// origin says where each flag's value came from, where that is not the default.
	origin map[string]string
}

// timeFlag is a point in time: "2006-01-02 15:04:05" in UTC, as trt_perf_parser.py takes it, or RFC 3339.
type timeFlag struct{ time.Time }

func (t *timeFlag) Set(text string) error {
	for _, layout := range []string{time.RFC3339, time.DateTime} {
		if at, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			t.Time = at.UTC()
			return nil
		}
	}
	return errors.New(`write "2026-11-23 14:00:00" (UTC) or "2026-11-23T14:00:00+01:00"`)
}

func (t *timeFlag) String() string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateTime)
}

func (t *timeFlag) Type() string { return "time" }

// sinceFlag is a point in time as timeFlag reads it, a day, or so long ago ("36h").
type sinceFlag struct{ time.Time }

func (t *sinceFlag) Set(text string) error {
	if ago, err := time.ParseDuration(text); err == nil {
		t.Time = time.Now().Add(-ago)
		return nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, time.UTC); err == nil {
		t.Time = day
		return nil
	}
	var at timeFlag
	if err := at.Set(text); err != nil {
		return fmt.Errorf("%w, a day, or how long ago, as 36h", err)
	}
	t.Time = at.Time
	return nil
}

func (t *sinceFlag) String() string { return (&timeFlag{t.Time}).String() }
func (t *sinceFlag) Type() string   { return "time" }

// shardFlag is a share, "I/N".
type shardFlag struct{ i, n int }

func (s *shardFlag) Set(text string) error {
	var rest string
	if n, _ := fmt.Sscanf(text+" .", "%d/%d %s", &s.i, &s.n, &rest); n != 3 || rest != "." || s.i < 1 || s.i > s.n {
		return errors.New("write I/N with I from 1 to N")
	}
	return nil
}

func (s *shardFlag) String() string {
	if s.n == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.i, s.n)
}

func (s *shardFlag) Type() string { return "I/N" }

// sizeFlag is a number of bytes, "256MiB".
type sizeFlag struct{ bytes int64 }

func (s *sizeFlag) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > math.MaxInt64 {
		return errors.New("write a size such as 256MiB")
	}
	s.bytes = int64(n)
	return nil
}

func (s *sizeFlag) String() string {
	if s.bytes == 0 {
		return ""
	}
	return humanize.IBytes(uint64(s.bytes))
}

func (s *sizeFlag) Type() string { return "size" }

func (s *settings) addCommon(f *pflag.FlagSet) {
	f.StringVar(&s.config, "config", "", "settings file (default ./trtperf.yaml, else $XDG_CONFIG_HOME/trtperf/trtperf.yaml)")
	f.BoolVar(&s.json, "json", false, "print events, one JSON object a line, on standard output; people's text goes to standard error")
	f.BoolVarP(&s.quiet, "quiet", "q", false, "print errors only")
	f.BoolVarP(&s.verbose, "verbose", "v", false, "also print notes, and where each setting came from")
	f.BoolVar(&s.noColor, "no-color", false, "no colours, also where the terminal has them")
}

func (s *settings) addReading(f *pflag.FlagSet) {
	s.addMode(f)
	s.addConfigDir(f)
	s.addMetrics(f)
	f.StringArrayVar(&s.filter.Include, "include", nil, "take only files below a given directory that match a pattern, such as '*.log' or 'night/**'; repeatable")
	f.StringArrayVar(&s.filter.Exclude, "exclude", nil, "leave out files that match a pattern; repeatable")
	f.Var(&s.since, "since", "leave out runs of which no file was changed since a time, a day, or so long ago (36h)")
	f.Var(&s.shard, "shard", "take one of N stable shares of the runs, as I/N, so that several machines can read one tree")
	f.IntVar(&s.limits.Ratio, "max-ratio", archive.DefaultRatio, "most that a compressed stream may grow, behind its first 64 MiB")
	f.Var(&s.unpack, "max-unpacked", "most that one archive may unpack to (default 1 TiB)")
	f.Var(&s.window, "max-window", "most memory that a compressed stream may ask for (default 128 MiB)")
	f.IntVar(&s.limits.Depth, "max-nesting", archive.DefaultDepth, "most archives in one another")
	f.StringVar(&s.system.GPU, "gpu", "", "GPU product name")
	f.IntVar(&s.gpuCount, "gpu-count", 0, "number of GPUs of the machine")
	f.StringVar(&s.system.Driver, "driver", "", "GPU driver version")
	f.StringVar(&s.system.CUDA, "cuda", "", "CUDA version")
	f.Float64Var(&s.smClock, "sm-clock", 0, "SM clock in MHz")
	f.Float64Var(&s.memClock, "mem-clock", 0, "memory clock in MHz")
	f.StringVar(&s.system.CPU, "cpu-name", "", "CPU name")
	f.StringVar(&s.system.OS, "os", "", "operating system")
	f.StringVar(&s.system.Host, "hostname", "", "host that ran the benchmark")
	f.StringVar(&s.job.TensorRTLLM, "trtllm", "", "TensorRT-LLM version")
	f.StringVar(&s.job.TensorRT, "tensorrt", "", "TensorRT version")
	f.StringVar(&s.job.Commit, "commit", "", "commit that was tested")
	f.StringVar(&s.job.Link, "link", "", "link to the job")
	f.StringVar(&s.job.Notes, "notes", "", "free text")
	f.BoolVar(&s.buildEnv, "build-env", false, "take commit, branch, build and trigger from the CI system's environment: this build ran the tests")
	f.Var(&s.startTime, "start-time", "start of the run, in UTC")
	f.Var(&s.endTime, "end-time", "end of the run, in UTC")
}

func (s *settings) addOutput(f *pflag.FlagSet) {
	s.addOutputDir(f)
	f.StringVar(&s.layout, "layout", "guide,metric-rows", "CSV layouts: guide, metric-rows, full")
	f.StringVar(&s.summary, "summary", "", "Markdown page of what was found, for a build's description")
	f.BoolVar(&s.perTest, "per-test", false, "CSVs per test, in <output-dir>/<test id>/")
}

func (s *settings) addMode(f *pflag.FlagSet) {
	f.StringVar(&s.mode, "mode", "", "single-agg, multi-agg or disagg, where neither test id nor run tells it")
}

func (s *settings) addConfigDir(f *pflag.FlagSet) {
	f.StringVar(&s.configDir, "config-dir", "", "directory of the tests' YAML configurations (default beside the run, for launch in the checkout)")
}

func (s *settings) addFrom(f *pflag.FlagSet) {
	f.StringVar(&s.from, "from", "", "in place of arguments: for export a local store, for launch a plan.json, which is carried out again in a new workspace")
}

func (s *settings) addMetrics(f *pflag.FlagSet) {
	f.StringVar(&s.metrics, "metrics", "", "YAML file with metrics of your own")
}

func (s *settings) addOutputDir(f *pflag.FlagSet) {
	f.StringVarP(&s.outputDir, "output-dir", "o", ".", "directory of the CSVs and of the local store")
}

func (s *settings) addFailed(f *pflag.FlagSet) {
	f.BoolVar(&s.includeFailed, "include-failed", false, "failed results also in metric-rows and to targets, there as not valid")
}

func (s *settings) addReread(f *pflag.FlagSet) {
	f.BoolVar(&s.reread, "reread", false, "read inputs again that an earlier command with the same store has read and that have not changed")
}

func (s *settings) addStore(f *pflag.FlagSet) {
	f.StringVar(&s.db, "db", "", "local store (default trtperf.db in the output directory)")
	f.DurationVar(&s.dbWait, "db-wait", sqlite.DefaultWait, "how long to wait for another program that holds the local store")
}

func (s *settings) addCluster(f *pflag.FlagSet) {
	f.StringVar(&s.clusterName, "cluster", "", "cluster of the cluster table to run on, by ssh where it is another machine")
	f.StringVar(&s.clustersConf, "clusters-conf", "", "clusters.conf with further clusters (default ./clusters.conf)")
}

func (s *settings) addTargets(f *pflag.FlagSet) {
	f.StringArrayVar(&s.to, "to", nil, "target, repeatable: sqlite:PATH, opensearch+https://HOST:PORT/PROJECT, posting+https://HOST/PROJECT, mysql://HOST:PORT/SCHEMA")
	f.BoolVar(&s.uploadAll, "upload-all", false, "deliver also tests whose id does not ask for it")
	f.StringVar(&s.caFile, "ca-file", "", "certificates to trust for TLS, a PEM file")
	f.DurationVar(&s.deadline, "deadline", defaultDeadline, "how long to ask a target that takes nothing; what it does not take stays owed")
}

// resolve fills in flags that the command line does not set: from the environment variable TRTPERF_<NAME>, else from
// trtperf.yaml.
func (s *settings) resolve(cmd *cobra.Command, getenv func(string) string) error {
	s.origin = map[string]string{}
	flags := cmd.Flags()
	flags.Visit(func(f *pflag.Flag) { s.origin[f.Name] = "the command line" })
	if f := flags.Lookup("config"); !f.Changed {
		s.config = getenv(variable("config"))
	}
	file, path, err := readSettings(s.config, getenv)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, c := range append(cmd.Root().Commands(), cmd.Root()) {
		c.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
		c.PersistentFlags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
	}
	for name := range file {
		if !known[name] {
			return usagef("%s: unknown setting %q%s", path, name, didYouMean(name, "", known))
		}
	}
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || failed != nil || f.Name == "help" || f.Name == "config" {
			return
		}
		values, origin := file[f.Name], path
		for _, name := range append([]string{variable(f.Name)}, f.Annotations[incumbent]...) {
			if text := getenv(name); text != "" {
				values, origin = []string{text}, "$"+name
				if f.Value.Type() == "stringArray" {
					values = strings.Fields(text)
				}
				break
			}
		}
		for _, v := range values {
			if err := flags.Set(f.Name, v); err != nil {
				failed = usagef("%s from %s: %w", f.Name, origin, err)
				return
			}
			s.origin[f.Name] = origin
		}
	})
	if failed != nil || flags.Lookup("cluster") == nil || s.clusterName == "" {
		return failed
	}
	return s.useCluster(flags, path)
}

// useCluster looks the cluster up, in the settings file and in clusters.conf, and lets its table fill in what nothing else has set.
func (s *settings) useCluster(flags *pflag.FlagSet, file string) error {
	all := map[string]*remote.Cluster{}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return usagef("settings file: %w", err)
		}
		if all, err = remote.ReadYAML(file, text); err != nil {
			return usagef("%w", err)
		}
	}
	conf := s.clustersConf
	f, err := os.Open(cmp.Or(conf, "clusters.conf"))
	switch {
	case err == nil:
		defer f.Close()
		incumbents, err := remote.ReadConf(f.Name(), f)
		if err != nil {
			return usagef("%w", err)
		}
		for name, c := range incumbents {
			if all[name] == nil {
				all[name] = c
			}
		}
	case conf != "" || !errors.Is(err, fs.ErrNotExist):
		return usagef("--clusters-conf: %w", err)
	}
	known := map[string]bool{}
	for name := range all {
		known[name] = true
	}
	if s.cluster = all[s.clusterName]; s.cluster == nil {
		return usagef("--cluster: no cluster %q%s among %s: put it under clusters: into trtperf.yaml, or name a clusters.conf with --clusters-conf",
			s.clusterName, didYouMean(s.clusterName, "", known), cmp.Or(strings.Join(slices.Sorted(maps.Keys(all)), ", "), "none"))
	}
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		for _, name := range f.Annotations[incumbent] {
			value := s.cluster.Settings[name]
			if value == "" || s.origin[f.Name] != "" || failed != nil {
				continue
			}
			values := []string{value}
			if f.Value.Type() == "stringArray" {
				values = strings.Fields(value)
			}
			for _, v := range values {
				if err := flags.Set(f.Name, v); err != nil {
					failed = usagef("%s of cluster %s: %w", name, s.clusterName, err)
				}
			}
			s.origin[f.Name] = "cluster " + s.clusterName
		}
	})
	return failed
}

// incumbent annotates flags with the variables that other tools have for the same setting.
const incumbent = "incumbent"

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "TRTPERF_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// readSettings reads the settings file: the given one, which must be there, else the first of the default ones that is.
func readSettings(given string, getenv func(string) string) (map[string][]string, string, error) {
	paths := []string{given}
	if given == "" {
		paths = []string{"trtperf.yaml"}
		if home := getenv("XDG_CONFIG_HOME"); home != "" {
			paths = append(paths, filepath.Join(home, "trtperf", "trtperf.yaml"))
		} else if home := getenv("HOME"); home != "" {
			paths = append(paths, filepath.Join(home, ".config", "trtperf", "trtperf.yaml"))
		}
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && given == "" {
			continue
		}
		if err != nil {
			return nil, path, usagef("settings file: %w", err)
		}
		var raw map[string]any
		if err := yaml.Unmarshal(text, &raw); err != nil {
			return nil, path, usagef("%s: %w", path, err)
		}
		values := map[string][]string{}
		for name, v := range raw {
			switch v := v.(type) {
			case []any:
				for _, x := range v {
					values[name] = append(values[name], fmt.Sprint(x))
				}
			case map[string]any:
				if name == "clusters" {
					continue // a table of its own
				}
				return nil, path, usagef("%s: setting %q must be a value or a list", path, name)
			case nil:
			default:
				values[name] = []string{fmt.Sprint(v)}
			}
		}
		return values, path, nil
	}
	return nil, "", nil
}

// reading returns the options of package run.
func (s *settings) reading(std stdio) (runs.Options, error) {
	o := runs.Options{Table: parse.Metrics(), ConfigDir: s.configDir, System: s.system, Job: s.job, Started: s.startTime.Time,
		Ended: s.endTime.Time, Stdin: std.in}
	if s.mode != "" {
		mode, err := parse.ParseMode(s.mode)
		if err != nil {
			return o, usagef("--mode: %w", err)
		}
		o.Mode = mode
	}
	o.Filter, o.Limits = s.filter, s.limits
	o.Filter.Since, o.Filter.Shard, o.Filter.Shards = s.since.Time, s.shard.i, s.shard.n
	o.Limits.Unpacked, o.Limits.Window = s.unpack.bytes, s.window.bytes
	if err := o.Filter.Check(); err != nil {
		return o, usagef("%w", err)
	}
	if s.metrics != "" {
		file, err := os.Open(s.metrics)
		if err != nil {
			return o, usagef("--metrics: %w", err)
		}
		own, err := custom.Read(file, s.metrics)
		file.Close()
		if err != nil {
			return o, usagef("--metrics: %w", err)
		}
		if o.Table, err = o.Table.With(own); err != nil {
			return o, usagef("--metrics %s: %w", s.metrics, err)
		}
	}
	if s.buildEnv {
		of := build.FromEnvironment(std.getenv)
		o.Job.Build, o.Job.Commit, o.Job.Link = of.Build, cmp.Or(o.Job.Commit, of.Commit), cmp.Or(o.Job.Link, of.Link)
	}
	if s.gpuCount > 0 {
		o.System.GPUCount = &s.gpuCount
	}
	if s.smClock > 0 {
		o.System.SMClockMHz = &s.smClock
	}
	if s.memClock > 0 {
		o.System.MemClockMHz = &s.memClock
	}
	return o, nil
}

// database is the local store's path.
func (s *settings) database() string {
	if s.db != "" {
		return s.db
	}
	return filepath.Join(s.outputDir, "trtperf.db")
}

// didYouMean proposes the nearest of the known words, if one is near. Dashes stand before it.
func didYouMean(word, dashes string, known map[string]bool) string {
	best, least := "", 3
	for k := range known {
		if d := spelling.Distance(word, k); d < least || d == least && best != "" && k < best {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s%s?)", dashes, best)
}
