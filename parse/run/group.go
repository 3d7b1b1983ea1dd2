package run

import (
	"iter"
	"path/filepath"
	"strings"

	"github.com/trtperf/trtperf/parse/input"
)

// located is a file with what its name tells.
type located struct {
	input.File
	place
	abs  string // directory, absolute
	name string // base name, without the ending of a compression
	// inTest says that it lies in a test's own directory.
	inTest bool
	// excluded says why the file is left out; empty if it is not.
	excluded string
	// content is what the file holds, where that was read already.
	content *content
	// taken says that the file has been dealt with.
	taken bool
	// collected is the collected run that the file is of; then abs is the directory in which it lay.
	collected *collection
}

// packings are the endings of compressed files.
var packings = []string{".gz", ".zst", ".xz", ".bz2"}

// locate looks up what a file's name tells, with placeOf or a walker's. Dir is its directory, absolute.
func locate(f input.File, dir string, placeOf func(base string) place) located {
	name := unpacked(filepath.Base(f.Path))
	return located{File: f, place: placeOf(name), abs: dir, name: name}
}

// unpacked is a file's name without the ending of a compression.
func unpacked(name string) string {
	for _, packing := range packings {
		if len(name) > len(packing) {
			name = strings.TrimSuffix(name, packing)
		}
	}
	return name
}

// path is the file's absolute path, without the ending of a compression.
func (f *located) path() string { return filepath.Join(f.abs, f.name) }

// read reports whether what a file of an archive holds must be read as it passes by.
func (f *located) read(opt *Options) bool {
	switch f.kind {
	case unknownFile, archiveFile:
		return logExtensions[strings.ToLower(filepath.Ext(f.name))]
	case clientLog, jobLog, serverLog, generatorLog, unfinished, configFile, systemFile, monitorFile, clientJSON, startupFile:
		return true
	case junitFile:
		return f.role == ""
	}
	return false
}

// testDir is a test's own directory.
type testDir struct {
	dir   string // absolute
	shown string // as messages name it
	files []*located
	// whole says that the directory was found or given itself, so that a file that is not there does not exist.
	whole bool
}

// group is what must be read together: the tests of one job and the files around them, or a single log.
type group struct {
	tests []*testDir
	// around are the files of the job that stand in no test's directory.
	around []*located
	// top is the directory or the file that it is named after, absolute.
	top string
	// configs are the configuration files of the archive that it lies in, by path; nil outside of one.
	configs map[string]*located
}

// all yields the files of the group, those around the tests first.
func (g *group) all() iter.Seq[*located] {
	return func(yield func(*located) bool) {
		for _, f := range g.around {
			if !yield(f) {
				return
			}
		}
		for _, t := range g.tests {
			for _, f := range t.files {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// relative is the path of what the group is named after, relative to the given path that it was found below, with slashes.
func (g *group) relative() string {
	for f := range g.all() {
		if rel, err := filepath.Rel(absolute(f.Root), g.top); err == nil {
			return filepath.ToSlash(rel)
		}
		break
	}
	return filepath.ToSlash(g.top)
}

// groupFiles puts the files that belong together into groups, in the order of their first file. Files that are left out come first: they
// show nothing of a run.
func groupFiles(files []located) []*group {
	if len(files) == 1 && !files[0].test {
		return []*group{{around: []*located{&files[0]}, top: files[0].path()}}
	}
	owners := map[string]*testDir{}
	var all []*located
	var out []*group
	for i := range files {
		f := &files[i]
		if f.excluded != "" {
			out = append(out, &group{around: []*located{f}, top: f.path()})
			continue
		}
		all = append(all, f)
		if f.test && f.abs != "" && !runPart(f.abs) {
			d := owners[f.abs]
			if d == nil {
				d = &testDir{dir: f.abs, shown: filepath.Dir(f.Path)}
				owners[f.abs] = d
			}
			d.whole = d.whole || !f.Given()
		}
	}
	for dir := range workerDirs(all, owners) {
		delete(owners, dir)
	}
	for dir := range owners {
		if copies[filepath.Base(dir)] && owner(owners, filepath.Dir(dir)) != nil {
			delete(owners, dir)
		}
	}
	for _, f := range all {
		if d := owner(owners, f.abs); d != nil {
			f.inTest = true
			d.files = append(d.files, f)
		}
	}
	return append(out, join(all, owners)...)
}

// copies are the directories in a test's own that test files of the users' own copy logs into, by kind. Source: the guide to such
// files. They are no tests of their own.
var copies = map[string]bool{"server_logs": true, "component_logs": true, "benchmark_logs": true}

// jobWorkspace is the directory that TensorRT-LLM's first launch scripts keep the workers' logs in, beside the tests' own.
const jobWorkspace = "disagg_workspace"

// workerDirs returns the directories that a launcher keeps its workers' logs in, around or beside the directory of a test: they hold no
// client's log, but a directory below or beside them does. They are no tests of their own.
func workerDirs(all []*located, owners map[string]*testDir) map[string]bool {
	measured := map[string]bool{}
	for _, f := range all {
		if f.kind == clientLog {
			measured[f.abs] = true
		}
	}
	around := map[string]bool{}
	for dir := range measured {
		for up := range ancestors(filepath.Dir(dir)) {
			if owners[up] != nil && !measured[up] {
				around[up] = true
			}
			if beside := filepath.Join(up, jobWorkspace); owners[beside] != nil && !measured[beside] {
				around[beside] = true
			}
		}
	}
	return around
}

// ancestors yields an absolute directory and those above it.
func ancestors(dir string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for dir != "" && yield(dir) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
		}
	}
}

// owner returns the test whose directory is dir or the nearest one above it.
func owner(owners map[string]*testDir, dir string) *testDir {
	for up := range ancestors(dir) {
		if d := owners[up]; d != nil {
			return d
		}
	}
	return nil
}

// below reports whether dir lies strictly below top.
func below(dir, top string) bool {
	return dir != top && strings.HasPrefix(dir, strings.TrimSuffix(top, string(filepath.Separator))+string(filepath.Separator))
}

// within reports whether dir is top or lies below it.
func within(dir, top string) bool { return top != "" && (dir == top || below(dir, top)) }

// join builds the groups. A directory with a results.xml binds what lies in it and below it, and so does one with a job's other
// files where a test lies below; a results.xml that was given itself binds everything that was given.
func join(all []*located, owners map[string]*testDir) []*group {
	tested := map[string]bool{} // directories with a test in or below them
	for dir := range owners {
		for up := range ancestors(dir) {
			tested[up] = true
		}
	}
	binding := map[string]bool{}
	given := false
	for _, f := range all {
		if owner(owners, f.abs) != nil {
			continue
		}
		switch f.kind {
		case junitFile, unfinished, clientJSON:
			binding[f.abs] = true
			given = given || f.kind == junitFile && f.Given()
		case jobLog, systemFile, monitorFile:
			binding[f.abs] = binding[f.abs] || tested[f.abs]
		}
	}
	// A key is a word and a path.
	key := func(f *located) [2]string {
		if given {
			return [2]string{"given", ""}
		}
		top := ""
		for up := range ancestors(f.abs) {
			if binding[up] {
				top = up
			}
		}
		if top != "" {
			return [2]string{"job", top}
		}
		if d := owner(owners, f.abs); d != nil {
			return [2]string{"test", d.dir}
		}
		return [2]string{"file", filepath.Join(f.abs, filepath.Base(f.Path))}
	}
	groups := map[[2]string]*group{}
	seen := map[*testDir]bool{}
	var order []*group
	for _, f := range all {
		k := key(f)
		g := groups[k]
		if g == nil {
			g = &group{top: k[1]}
			groups[k] = g
			order = append(order, g)
		}
		if d := owner(owners, f.abs); d == nil {
			g.around = append(g.around, f)
		} else if !seen[d] {
			seen[d] = true
			g.tests = append(g.tests, d)
		}
	}
	return order
}
