package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/trtperf/trtperf/launch/remote"
	"github.com/trtperf/trtperf/launch/tree"
	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/sqlite"
)

// finding is a line of doctor.
type finding struct {
	Kind string `json:"kind"`
	// Level is ok, warning or error.
	Level string `json:"level"`
	// What was looked at, and Message what was found and what to do.
	What    string `json:"what"`
	Message string `json:"message"`
}

// doctor looks at what a launch or a delivery needs.
type doctor struct {
	settings *settings
	std      stdio
	report   *reporter
	keyFile  string
	tree     string
	pytest   string
	errors   int
}

func doctorCommand(s *settings, std stdio) *cobra.Command {
	d := &doctor{settings: s, std: std}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look at settings, targets, cluster and checkout, and say what to mend",
		Long: "Look at the settings and where each came from, at every --to, at the local store, at Slurm, at the --cluster, at Python and the\n" +
			"checkout, and at the room on the disk. Nothing is changed. A line for each, with what to do; exit code 2 if one is an error.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.report = newReporter(s, std)
			d.run(cmd.Context())
			var err error
			ledger := parse.Ledger{Conditions: []int{}}
			if d.errors > 0 {
				err = &codeError{exitUsage, fmt.Errorf("doctor: %d errors", d.errors)}
				ledger.Exit, ledger.Conditions = exitUsage, append(ledger.Conditions, exitUsage)
			}
			d.report.event(ledgerEvent{"ledger", &ledger})
			return errors.Join(err, d.report.err)
		},
	}
	s.addStore(c.Flags())
	s.addOutputDir(c.Flags())
	s.addTargets(c.Flags())
	s.addCluster(c.Flags())
	c.Flags().StringVar(&d.keyFile, "ssh-key", "", sshKeyUsage)
	c.Flags().StringVar(&d.tree, "tree", ".", treeUsage)
	c.Flags().StringVar(&d.pytest, "pytest", "pytest", pytestUsage)
	return c
}

// Flags that doctor and launch have in common.
const (
	sshKeyUsage = "private key for ssh, besides those that it finds itself"
	treeUsage   = "TensorRT-LLM checkout"
	pytestUsage = "how to call pytest, words with blanks between"
)

func (d *doctor) say(level, what, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if level == "error" {
		d.errors++
	}
	d.report.event(finding{"finding", level, what, message})
	d.report.print(fmt.Sprintf("%-8s %-10s %s\n", level, what, message))
}

// doctorPatience is how long doctor waits for an answer of anything outside.
const doctorPatience = 20 * time.Second

func (d *doctor) run(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(d.settings.origin)) {
		d.say("ok", "setting", "--%s from %s", name, d.settings.origin[name])
	}
	d.targets(ctx)
	d.store(ctx)
	d.room()
	d.slurm(ctx)
	d.cluster(ctx)
	d.checkout(ctx)
}

// targets looks whether each target could be delivered to.
func (d *doctor) targets(ctx context.Context) {
	if len(d.settings.to) == 0 {
		d.say("warning", "targets", "none: results stay in the CSVs and the local store; --to names one")
	}
	for _, text := range d.settings.to {
		remarks, err := d.target(ctx, text)
		for _, remark := range remarks {
			d.say("warning", "target", "%s: %s", text, remark)
		}
		if err != nil {
			d.say("error", "target", "%s: %v", text, err)
		} else {
			d.say("ok", "target", "%s can be used", text)
		}
	}
}

// target looks at one target.
func (d *doctor) target(ctx context.Context, text string) ([]string, error) {
	ctx, stop := context.WithTimeout(ctx, doctorPatience)
	defer stop()
	t, err := kinds().Parse(text)
	if err != nil {
		return nil, err
	}
	s := upload.Settings{Getenv: d.std.getenv, CAFile: d.settings.caFile, Table: parse.Metrics()}
	if err := t.Check(s); err != nil {
		return nil, err
	}
	// A file would be made by opening it.
	if path, ok := strings.CutPrefix(t.String(), "sqlite:"); ok {
		return nil, d.file(ctx, path)
	}
	store, err := t.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	prober, ok := store.(upload.Prober)
	if !ok {
		return []string{"it cannot be asked without a delivery; the settings are whole"}, nil
	}
	return prober.Probe(ctx)
}

// file looks at a local store, or at where it would be made.
func (d *doctor) file(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		if unix.Access(filepath.Dir(path), unix.W_OK) != nil {
			return fmt.Errorf("its directory %s is not there or cannot be written", filepath.Dir(path))
		}
		return nil
	}
	if unix.Access(path, unix.W_OK) != nil {
		return fmt.Errorf("%s cannot be written", path)
	}
	db, err := sqlite.OpenToRead(ctx, path)
	if err != nil {
		return err
	}
	return db.Close()
}

func (d *doctor) store(ctx context.Context) {
	path := d.settings.database()
	if _, err := os.Stat(path); err != nil {
		d.say("ok", "store", "%s is not there yet; the first command makes it", path)
		return
	}
	db, err := sqlite.OpenExisting(ctx, path)
	if err != nil {
		d.say("error", "store", "%v", err)
		return
	}
	defer db.Close()
	status, err := db.Status(ctx)
	if err != nil {
		d.say("error", "store", "%v", err)
		return
	}
	d.say("ok", "store", "%s", path)
	for _, st := range status {
		if st.Owed+st.Refused > 0 {
			d.say("warning", "store", "%d results are owed to %s and %d refused: trtperf upload --resume, or --status for the reasons", st.Owed, st.Target, st.Refused)
		}
	}
}

// little is the room on a disk below which a warning is due.
const little = 1 << 30

func (d *doctor) room() {
	dir := d.settings.outputDir
	for {
		var fs unix.Statfs_t
		err := unix.Statfs(dir, &fs)
		if errors.Is(err, os.ErrNotExist) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			d.say("error", "room", "%s: %v", dir, err)
			return
		}
		free := fs.Bavail * uint64(fs.Bsize)
		level, more := "ok", ""
		if free < little {
			level, more = "warning", ": make room, or choose another --output-dir"
		}
		d.say(level, "room", "%s free for %s%s", humanize.IBytes(free), d.settings.outputDir, more)
		if unix.Access(dir, unix.W_OK) != nil {
			d.say("error", "room", "%s cannot be written: choose another --output-dir", dir)
		}
		return
	}
}

// output runs a program and returns the first line that it prints.
func output(ctx context.Context, argv ...string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, doctorPatience)
	defer stop()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	return firstLine(strings.TrimSpace(string(out))), err
}

func (d *doctor) slurm(ctx context.Context) {
	if c := d.settings.cluster; c != nil && !c.Local() {
		return // it is the far side's that counts
	}
	for _, program := range []string{"sbatch", "squeue", "scancel"} {
		if _, err := exec.LookPath(program); err != nil {
			d.say("warning", "slurm", "no %s: --on slurm does not work here; --cluster reaches one elsewhere", program)
			return
		}
	}
	said, err := output(ctx, "sinfo", "--noheader", "--format=%P %a %D")
	if err != nil {
		d.say("warning", "slurm", "the controller does not answer, so --on slurm does not work here: %s", said)
		return
	}
	d.say("ok", "slurm", "partition, state, nodes: %s", said)
	if said, err := output(ctx, "sacct", "--noheader", "--parsable2", "--format=JobID", "--starttime=now"); err != nil {
		d.say("warning", "slurm", "no accounting (%s): a job's end is known for a few minutes only", said)
	}
}

func (d *doctor) cluster(ctx context.Context) {
	c := d.settings.cluster
	if c == nil || c.Local() {
		return
	}
	key := d.keyFile
	if key == "" {
		key = d.std.getenv("TRTPERF_SSH_KEY")
	}
	session, err := remote.Dial(ctx, c, remote.Options{KeyFile: key, Patience: doctorPatience})
	if err != nil {
		d.say("error", "cluster", "%v", err)
		return
	}
	defer session.Close()
	arch, err := session.Architecture(ctx)
	if err != nil {
		d.say("error", "cluster", "%v", err)
		return
	}
	d.say("ok", "cluster", "%s answers, linux/%s", c.Name, arch)
	own, err := os.Executable()
	if err == nil {
		_, err = remote.Program(own, runtime.GOARCH, arch)
	}
	if err != nil {
		d.say("error", "cluster", "%v", err)
	}
	// A directory that is not there yet is made by the first launch, where the one above it can be written to.
	const look = `d=$1; while [ ! -e "$d" ]; do d=$(dirname "$d"); done; set -- "$d"; [ -d "$1" ] && [ -w "$1" ] && df -Pk "$1" | tail -n 1 | awk '{print $4}'`
	said, err := session.Output(ctx, "sh", "-c", look, "trtperf-doctor", c.WorkDir)
	if err != nil {
		d.say("error", "cluster", "the work directory %s cannot be used: %v", c.WorkDir, err)
	} else {
		d.say("ok", "cluster", "%s KiB free in %s", said, c.WorkDir)
	}
	if said, err := session.Output(ctx, "sinfo", "--noheader", "--format=%P %a %D"); err != nil {
		d.say("error", "cluster", "its Slurm does not answer: %v", err)
	} else {
		d.say("ok", "cluster", "partition, state, nodes: %s", firstLine(said))
	}
	if _, err := session.Output(ctx, "sh", "-c", "command -v rsync"); err != nil {
		d.say("warning", "cluster", "no rsync there: sources go as a tar stream of what has changed")
	}
}

func (d *doctor) checkout(ctx context.Context) {
	words := strings.Fields(d.pytest)
	if said, err := output(ctx, append(words, "--version")...); err != nil {
		d.say("warning", "pytest", "%s --version: %v: ids are not checked before a launch, and --on local does not work (--pytest names another)", d.pytest, err)
	} else {
		d.say("ok", "pytest", "%s", said)
	}
	if _, err := os.Stat(filepath.Join(d.tree, "tests", "integration", "defs")); err != nil {
		d.say("warning", "checkout", "%s is no TensorRT-LLM checkout (no tests/integration/defs): --tree names one", d.tree)
		return
	}
	if launcher, err := tree.Detect(d.tree); err != nil {
		d.say("ok", "checkout", "%s: jobs are made natively, since %v", d.tree, err)
	} else {
		d.say("ok", "checkout", "%s, with a submit.py of era %s", d.tree, launcher.Version)
	}
}
