package run

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/input"
	"github.com/trtperf/trtperf/parse/manifest"
)

// Folder is the part of a collected run's archive that a file belongs to.
type Folder string

const (
	// ServerLogs: what trtllm-serve has written, and logs of no known origin.
	ServerLogs Folder = "server_logs"
	// ComponentLogs: what the launcher has collected of each role, and the job's own output.
	ComponentLogs Folder = "component_logs"
	// BenchmarkLogs: the clients' output.
	BenchmarkLogs Folder = "benchmark_logs"
	// ResultFiles: results.xml, CSVs, what is known of machine and run.
	ResultFiles Folder = "results"
	// ConfigFiles: YAML.
	ConfigFiles Folder = "configs"
	// ScriptFiles: what the launcher has written to start the run.
	ScriptFiles Folder = "scripts"
)

// folderOf is where the files of a kind go, unless their row of the layout says another.
var folderOf = map[kind]Folder{
	clientLog: BenchmarkLogs, serverLog: ServerLogs, generatorLog: ComponentLogs, jobLog: ComponentLogs, configFile: ConfigFiles,
}

// scriptEndings are those of programs.
var scriptEndings = map[string]bool{".sh": true, ".bash": true, ".sbatch": true, ".slurm": true, ".py": true, ".env": true}

// logEndings are those of logs, whoever wrote them.
var logEndings = map[string]bool{".log": true, ".out": true, ".err": true, ".stdout": true, ".stderr": true, ".output": true}

// ArchiveLeft says why an archive of a run has no archive in it.
const ArchiveLeft = "an archive, in which secrets cannot be masked: collect what is in it by itself"

// Known is what the layout table tells of a file of a run.
type Known struct {
	Folder Folder
	Role   parse.Role
	// Left says why an archive of the run leaves it out; empty for files that belong into it.
	Left string
	// Test says that its directory is a test's own.
	Test bool
	// Secret says that it is never read, copied or sent.
	Secret bool
	// JobLog says that it is a Slurm job's own output.
	JobLog bool
}

// KnownOf looks a file up in the layout table, by its path in the run.
func KnownOf(file string) Known {
	name := unpacked(path.Base(file))
	p := placeOf(name)
	k := Known{Role: p.role, Folder: p.folder, Test: p.test && !runPart(path.Dir(file)), JobLog: p.kind == jobLog, Secret: p.kind == secretFile}
	ending := strings.ToLower(path.Ext(name))
	switch {
	case k.Secret:
		k.Left = p.reason
	case p.kind == archiveFile:
		k.Left = ArchiveLeft
	case p.kind == ownFile && strings.Contains(p.reason, "database"):
		k.Left = "a database, of which a copy may be broken: export its results"
	case k.Folder != "":
	case folderOf[p.kind] != "":
		k.Folder = folderOf[p.kind]
	case p.kind == unknownFile && scriptEndings[ending]:
		k.Folder = ScriptFiles
	case p.kind == unknownFile && logEndings[ending]:
		k.Folder = ServerLogs
	default:
		k.Folder = ResultFiles
	}
	return k
}

// Unpacked is a file's name without the ending of a compression.
func Unpacked(name string) string { return unpacked(name) }

// collection is a directory, or a part of an archive, that holds a collected run.
type collection struct {
	// root is its directory, absolute.
	root string
	// dirs are the directories in the run of its files, by their path in the collection.
	dirs map[string]string
	left []manifest.Left
}

func newCollection(root string, m *manifest.Manifest) *collection {
	c := &collection{root: root, dirs: map[string]string{}, left: m.Left}
	for _, f := range m.Files {
		if filepath.IsLocal(filepath.FromSlash(f.Source)) {
			c.dirs[f.Path] = path.Dir(f.Source)
		}
	}
	return c
}

// place puts a file to where it lay in the run.
func (c *collection) place(f *located) {
	below, err := filepath.Rel(c.root, filepath.Join(f.abs, filepath.Base(f.Path)))
	if err != nil {
		return
	}
	below = filepath.ToSlash(below)
	dir, ok := c.dirs[below]
	if !ok {
		dir, ok = c.dirs[unpacked(below)] // compressed since
	}
	if ok {
		f.collected = c
		f.abs = filepath.Join(c.root, filepath.FromSlash(dir))
	}
}

// leftOut yields the files of the run that the collection does not hold, so that they are told of as in the run. Shown is the collection as
// messages name it, root the given path that it was found below. Problem is told of those that could not be read when the run was collected.
func (c *collection) leftOut(shown, root string, problem func(path string, err error)) iter.Seq[located] {
	return func(yield func(located) bool) {
		for _, l := range c.left {
			source := filepath.FromSlash(l.Source)
			if !filepath.IsLocal(source) {
				continue
			}
			if l.Failed {
				problem(filepath.Join(shown, source), fmt.Errorf("%s could not be read when the run was collected: %s", l.Source, l.Reason))
				continue
			}
			f := locate(input.File{Path: filepath.Join(shown, source), Root: root, Size: -1}, filepath.Join(c.root, filepath.Dir(source)), placeOf)
			f.kind, f.excluded, f.content = secretFile, l.Reason, &content{}
			if !yield(f) {
				return
			}
		}
	}
}

// collectionIn returns the collected run that a directory holds, nil if it holds none.
func collectionIn(dir, abs string, entries *listing) (*collection, error) {
	for name, what := range entries.all() {
		if name != manifest.Name || what.IsDir() {
			continue
		}
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, nil // told of when the file itself is looked at
		}
		defer file.Close()
		m, err := manifest.Read(file)
		switch {
		case errors.Is(err, manifest.ErrNone):
			return nil, nil
		case err != nil:
			return nil, err
		}
		return newCollection(abs, m), nil
	}
	return nil, nil
}

// shareConfigs gives the groups of collected runs the configurations that were collected with them: they do not lie where they lay.
func shareConfigs(groups []*group, files []located) {
	configs := map[*collection]map[string]*located{}
	for i := range files {
		f := &files[i]
		if f.collected == nil {
			continue
		}
		if configs[f.collected] == nil {
			configs[f.collected] = map[string]*located{}
		}
		if f.kind == configFile && f.excluded == "" {
			configs[f.collected][f.path()] = f
		}
	}
	for _, g := range groups {
		for f := range g.all() {
			if f.collected != nil {
				g.configs = configs[f.collected]
			}
			break
		}
	}
}
