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
	abs string // directory, absolute
}

// testDir is a test's own directory.
type testDir struct {
	dir   string // absolute
	shown string // as messages name it
	files []located
	// whole says that the directory was found or given itself, so that a file that is not there does not exist.
	whole bool
}

// group is what must be read together: the tests of one job and the files around them, or a single log.
type group struct {
	tests []*testDir
	// around are the files of the job that stand in no test's directory.
	around []located
}

// groupFiles puts the files that belong together into groups, in the order of their first file.
func groupFiles(files []input.File) []*group {
	all := make([]located, len(files))
	owners := map[string]*testDir{}
	for i, f := range files {
		abs, err := filepath.Abs(filepath.Dir(f.Path))
		if err != nil || f.Path == input.Stdin {
			abs = ""
		}
		all[i] = located{File: f, place: placeOf(f.Path), abs: abs}
		if all[i].test && abs != "" && !runPart(abs) {
			d := owners[abs]
			if d == nil {
				d = &testDir{dir: abs, shown: filepath.Dir(f.Path)}
				owners[abs] = d
			}
			d.whole = d.whole || !f.Given()
		}
	}
	for dir := range workerDirs(all, owners) {
		delete(owners, dir)
	}
	for _, f := range all {
		if d := owner(owners, f.abs); d != nil {
			d.files = append(d.files, f)
		}
	}
	return join(all, owners)
}

// workerDirs returns the directories that a launcher keeps its workers' logs in, around the directory of a test: they hold no
// client's log, but a directory below them does. They are no tests of their own.
func workerDirs(all []located, owners map[string]*testDir) map[string]bool {
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
func join(all []located, owners map[string]*testDir) []*group {
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
		case junitFile, unfinished:
			binding[f.abs] = true
			given = given || f.kind == junitFile && f.Given()
		case jobLog, systemFile, monitorFile:
			binding[f.abs] = binding[f.abs] || tested[f.abs]
		}
	}
	key := func(f located) string {
		if given {
			return "given"
		}
		top := ""
		for up := range ancestors(f.abs) {
			if binding[up] {
				top = up
			}
		}
		if top != "" {
			return "job " + top
		}
		if d := owner(owners, f.abs); d != nil {
			return "test " + d.dir
		}
		return "file " + f.Path
	}
	groups := map[string]*group{}
	seen := map[*testDir]bool{}
	var order []*group
	for _, f := range all {
		k := key(f)
		g := groups[k]
		if g == nil {
			g = &group{}
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
