package run

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtperf/trtperf/parse/input"
	"github.com/trtperf/trtperf/parse/manifest"
)

// walker finds the files of the given paths and hands on, together, those that may belong together. Trees can hold more files than
// fit into memory, so a directory is gone through as its entries come, unless a name in it shows that a run may lie in it or below.
type walker struct {
	ctx     context.Context
	opt     *Options
	yield   func([]located) bool
	problem func(path string, err error)
	stopped bool
	places  map[string]place // of names that came before: the directories of a tree have much the same ones
}

// placeOf looks a file's base name up in the layout table.
func (w *walker) placeOf(base string) place {
	const most = 1000
	p, ok := w.places[base]
	if ok {
		return p
	}
	p = placeOf(base)
	if w.places == nil {
		w.places = map[string]place{}
	}
	if len(w.places) < most {
		w.places[base] = p
	}
	return p
}

// walk goes through the given paths. Links to files are followed, links to directories are not, so that no loop can occur. Every file
// comes once, however often it is given.
func (w *walker) walk(paths []string) {
	isDir, binds := map[string]bool{}, false
	for _, path := range paths {
		if info, err := os.Stat(path); path != input.Stdin && err == nil && info.IsDir() {
			isDir[absolute(path)] = true
		} else {
			// Such a file may belong to all the others that are given.
			binds = binds || w.placeOf(unpacked(filepath.Base(path))).mayBind()
		}
	}
	// inside reports whether a path lies in a directory that is given.
	inside := func(abs string) bool {
		for up := range ancestors(filepath.Dir(abs)) {
			if up != abs && isDir[up] {
				return true
			}
		}
		return false
	}
	var files []string
	for _, path := range paths {
		if abs := absolute(path); !isDir[abs] {
			files = append(files, path)
			binds = binds || inside(abs)
		}
	}
	if binds {
		w.together(paths)
		return
	}
	w.together(files)
	done := map[string]bool{}
	for _, path := range paths {
		if abs := absolute(path); isDir[abs] && !done[abs] && !inside(abs) {
			w.dir(filepath.Clean(path), path, abs)
			done[abs] = true
		}
	}
}

// together hands on everything below the given paths at once.
func (w *walker) together(paths []string) {
	var all []located
	seen := map[string]bool{}
	add := func(f located) {
		key := filepath.Join(f.abs, filepath.Base(f.Path))
		if !seen[key] {
			seen[key] = true
			all = append(all, f)
		}
	}
	for _, path := range paths {
		if path == input.Stdin {
			add(located{File: input.File{Path: input.Stdin, Root: input.Stdin}, name: input.Stdin})
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			w.problem(path, err)
		case info.IsDir():
			w.collect(filepath.Clean(path), path, absolute(path), add)
		default:
			add(w.locate(input.File{Path: path, Root: path}, filepath.Dir(absolute(path))))
		}
	}
	w.hand(all)
}

// hand hands files on.
func (w *walker) hand(files []located) {
	if len(files) > 0 && !w.stopped && !w.yield(files) {
		w.stopped = true
	}
}

// locate looks up what a file's name tells, and whether it is left out.
func (w *walker) locate(f input.File, dir string) located {
	l := locate(f, dir, w.placeOf)
	if f.Given() {
		return l
	}
	if w.opt.Filter.Include != nil || w.opt.Filter.Exclude != nil {
		relative := strings.TrimPrefix(strings.TrimPrefix(f.Path, filepath.Clean(f.Root)), string(filepath.Separator))
		l.excluded = w.opt.Filter.excludes(relative)
	}
	if !w.opt.Filter.Since.IsZero() {
		if info, err := os.Stat(f.Path); err == nil {
			l.Modified = info.ModTime()
		}
	}
	return l
}

// dir goes through a directory; path is how messages name it.
func (w *walker) dir(path, root, abs string) {
	entries := w.list(path)
	for name, what := range entries.all() {
		if !what.IsDir() && (name == manifest.Name || w.placeOf(unpacked(name)).mayBind()) {
			var all []located
			w.collect(path, root, abs, func(f located) { all = append(all, f) })
			w.hand(all)
			return
		}
	}
	for name, what := range entries.all() {
		switch {
		case w.stopped || w.ctx.Err() != nil:
			return
		case what.IsDir():
			w.dir(filepath.Join(path, name), root, filepath.Join(abs, name))
		default:
			w.hand([]located{w.locate(input.File{Path: filepath.Join(path, name), Root: root, Regular: what.IsRegular()}, abs)})
		}
	}
}

// collect adds all files in and below a directory.
func (w *walker) collect(path, root, abs string, add func(located)) {
	entries := w.list(path)
	whole, err := collectionIn(path, abs, entries)
	if err != nil {
		w.problem(filepath.Join(path, manifest.Name), err)
	}
	if whole != nil {
		outer := add
		add = func(f located) {
			whole.place(&f)
			outer(f)
		}
		for f := range whole.leftOut(path, root, w.problem) {
			outer(f)
		}
	}
	for name, what := range entries.all() {
		switch {
		case w.ctx.Err() != nil:
			return
		case whole != nil && name == manifest.Name: // the collection's own
		case what.IsDir():
			w.collect(filepath.Join(path, name), root, filepath.Join(abs, name), add)
		default:
			add(w.locate(input.File{Path: filepath.Join(path, name), Root: root, Regular: what.IsRegular()}, abs))
		}
	}
}

// mayBind reports whether a file of this kind binds what lies around it to a run.
func (p place) mayBind() bool {
	switch p.kind {
	case junitFile, unfinished, jobLog, systemFile, monitorFile, clientJSON:
		return true
	}
	return p.test || p.disagg
}

// listing is a directory's entries, in the order of their paths. It is as small as can be, since a directory may have a million.
type listing struct {
	names []byte
	ends  []uint32 // of each name in names; a directory's ends in a slash, that of what is no regular file either in a NUL
	order []uint32
}

func (l *listing) name(i uint32) []byte {
	begin := uint32(0)
	if i > 0 {
		begin = l.ends[i-1]
	}
	return l.names[begin:l.ends[i]]
}

// all yields the entries and what they are: directories, regular files, or something else, such as links.
func (l *listing) all() func(yield func(string, fs.FileMode) bool) {
	return func(yield func(string, fs.FileMode) bool) {
		for _, i := range l.order {
			name, what := string(l.name(i)), fs.FileMode(0)
			switch name[len(name)-1] {
			case '/':
				name, what = name[:len(name)-1], fs.ModeDir
			case 0:
				name, what = name[:len(name)-1], fs.ModeIrregular
			}
			if !yield(name, what) {
				return
			}
		}
	}
}

// list reads a directory.
func (w *walker) list(path string) *listing {
	l := &listing{}
	dir, err := os.Open(path)
	if err != nil {
		w.problem(path, err)
		return l
	}
	defer dir.Close()
	const batch = 1024
	for {
		entries, err := dir.ReadDir(batch)
		for _, e := range entries {
			l.names = append(l.names, e.Name()...)
			if e.IsDir() {
				l.names = append(l.names, '/')
			} else if !e.Type().IsRegular() {
				l.names = append(l.names, 0)
			}
			l.order = append(l.order, uint32(len(l.ends)))
			l.ends = append(l.ends, uint32(len(l.names)))
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				w.problem(path, err)
			}
			break
		}
	}
	slices.SortFunc(l.order, func(a, b uint32) int { return bytes.Compare(l.name(a), l.name(b)) })
	return l
}
