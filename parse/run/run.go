// Package run walks the inputs of a command, knows the layouts of TensorRT-LLM's performance runs, joins the readers of logs,
// results.xml and YAML configurations, and yields the Results of each run.
//
// # What a run is
//
// A directory that holds files under the names of the test harness (trtllm-benchmark.0.0.log, trtllm-serve.…, gen_server_0.log …)
// is a test's own directory; its name is the test's id. The results.xml, the Slurm log, the system files and the YAML files in
// the directories above it belong to it too. Every other log is a run of its own, of no known role.
//
// # What is read
//
// Only aggregated runs and the BENCHMARK node of a disaggregated one measure; files of other roles are skipped with that reason.
// The client's log comes first. Where a test has none, the blocks in its system-out of results.xml count, and where that holds
// none either, those in the job's Slurm log. A block that stands in two of them is one Result with two sources.
//
// # What fails
//
// The block itself may speak against its numbers (parse.Judge). Around it, a failure or an error in results.xml, a run
// that ended early, fewer results than the configuration has clients, or more blocks in one client's log than one, make all
// Results of the test failed; a missing metric that its kind of run must have makes the Result failed.
package run

import (
	"context"
	"io"
	"iter"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/archive"
	"github.com/trtperf/trtperf/parse/benchlog"
)

// Options are the settings of a reading.
type Options struct {
	// Table is the metric table.
	Table *parse.Table
	// Mode decides where neither the test id nor the run's layout tells the mode.
	Mode parse.Mode
	// ConfigDir is where YAML configurations are looked for; empty means beside the run.
	ConfigDir string
	// System and Job override what is found; their zero fields do not.
	System parse.System
	Job    parse.Job
	// Started and Ended bound every run where they are set.
	Started, Ended time.Time
	// Stdin is read for the path "-".
	Stdin io.Reader
	// Filter says which of the inputs are taken.
	Filter Filter
	// Limits bound what compressed files and archives may unpack to.
	Limits archive.Limits
	// Bytes counts what is read of the files, as they lie on the disk; it may be nil.
	Bytes *atomic.Int64
	// Memory remembers what was read before; nil reads everything. Version is the reader's own version: what another one has read is
	// not recalled.
	Memory  Memory
	Version string

	settings string                // hash of these
	exprs    *benchlog.Expressions // the table's
}

// Run is what was found in one run.
type Run struct {
	// Results are the distinct measurements, ordered by test, server, client and block.
	Results []*parse.Result
	// FailedTests are the tests that failed, with or without Results.
	FailedTests []FailedTest
	Skipped     []parse.Skipped
	Diagnostics []parse.Diagnostic
	// Inputs counts the run's files, Found says how many there are; the two agree.
	Inputs parse.InputCount
	Found  int
	// Blocks is the number of blocks in all inputs. Each is the source of a Result, one of its further places, or stray.
	Blocks int
	// Stray counts the blocks that belong to no Result; a diagnostic tells of each.
	Stray int
	// Recalled is how many of the inputs were not read again, since they have not changed; Reading is what is to be remembered of
	// them, or nil.
	Recalled int            `json:"-"`
	Reading  *parse.Reading `json:"-"`

	// more reads on where the run's file holds more than should be held at once; nil at its end.
	more func() *Run
	// alone says that the run is one log, each of whose blocks was made into one Result.
	alone bool
}

// Recycle gives the memory of the Run's Results to those of Runs that are still to be read, where that is much. The Results must not be used
// afterwards, and neither must copies that have their rows or metrics.
func (r *Run) Recycle() {
	if !r.alone {
		return // the same rows may be in two Results
	}
	for _, x := range r.Results {
		x.Recycle()
	}
	r.Results = nil
}

// FailedTest is a test that failed.
type FailedTest struct {
	TestID parse.TestID
	// Place is the run's directory or the results.xml.
	Place   string
	Reasons []parse.Reason
}

// Read yields the runs of the given paths in the order of the paths. Runs are read at the same time, and a run is
// yielded as soon as those before it are done. It ends early when ctx does.
func Read(ctx context.Context, paths []string, opt Options) iter.Seq[*Run] {
	ctx, cancel := context.WithCancel(ctx)
	opt.exprs = benchlog.Compile(opt.Table)
	if opt.Memory != nil {
		opt.settings = settingsOf(&opt)
	}
	jobs := func(yield func(func() *Run) bool) {
		w := walker{ctx: ctx, opt: &opt, problem: func(path string, err error) {
			yield(func() *Run {
				broken := &Run{}
				broken.unreadable(path, err)
				return broken
			})
		}}
		w.yield = func(files []located) bool {
			groups := groupFiles(files)
			shareConfigs(groups, files)
			for _, g := range groups {
				if !yield(func() *Run { return readGroup(ctx, g, &opt) }) {
					return false
				}
			}
			return true
		}
		w.walk(paths)
	}
	return func(yield func(*Run) bool) {
		defer cancel()
		for r := range inOrder(ctx, runtime.GOMAXPROCS(0), jobs) {
			for r != nil {
				if r.more == nil {
					if !yield(r) || ctx.Err() != nil {
						return
					}
					break
				}
				// The next part of a file is read while this one is taken.
				next, more := make(chan *Run, 1), r.more
				go func() { next <- more() }()
				if !yield(r) || ctx.Err() != nil {
					cancel()
					<-next
					return
				}
				r = <-next
			}
		}
	}
}

// readGroup reads a group, if it is of this share.
func readGroup(ctx context.Context, g *group, opt *Options) *Run {
	if !opt.Filter.shares(g) {
		left := &Run{}
		for range g.all() {
			left.Found++
			left.Inputs.OtherShards++
		}
		return left
	}
	known, place, mark := recalled(ctx, g, opt)
	if known != nil {
		return known
	}
	r := newReader(ctx, g, opt)
	r.read()
	remember(g, r.Run, place, mark, r.beside)
	return r.Run
}

// inOrder runs jobs on some workers and yields their answers in the order of the jobs. Only a few answers wait for those before them.
func inOrder[T any](ctx context.Context, workers int, jobs iter.Seq[func() T]) iter.Seq[T] {
	type task struct {
		job    func() T
		answer chan T
	}
	return func(yield func(T) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		const ahead = 16
		// Both have room, so that a small file is no reason to wait for one another.
		tasks, pending := make(chan task, ahead*workers+1), make(chan chan T, ahead*workers)
		for range workers {
			go func() {
				for t := range tasks {
					if ctx.Err() == nil {
						t.answer <- t.job()
					}
					close(t.answer)
				}
			}()
		}
		go func() {
			defer close(pending)
			defer close(tasks)
			for job := range jobs {
				t := task{job, make(chan T, 1)}
				select {
				case pending <- t.answer:
				case <-ctx.Done():
					return
				}
				tasks <- t
			}
		}()
		for answer := range pending {
			v, done := <-answer
			if !done || ctx.Err() != nil || !yield(v) {
				return
			}
		}
	}
}

func (r *Run) skip(path string, role parse.Role, reason string) {
	r.Found++
	r.Inputs.Skipped++
	r.Skipped = append(r.Skipped, parse.Skipped{Path: path, Role: role, Reason: reason})
}

func (r *Run) note(severity parse.Severity, code, file string, line int, message string) {
	r.Diagnostics = append(r.Diagnostics, parse.Diagnostic{Severity: severity, Code: code, File: file, Line: line, Message: message})
}

// count counts a file that was read.
func (r *Run) count() {
	r.Found++
	r.Inputs.Read++
}

// unreadable counts a file that could not be read.
func (r *Run) unreadable(path string, err error) {
	r.Found++
	r.Inputs.Failed++
	r.note(parse.Error, Unreadable, path, 0, pathless(path, err)+": make the file readable and run again; everything else was read")
}
