// Package input finds the files that a command is given and opens them as streams.
//
// A given path is a file, a directory, whose files are found in the order of their names, or "-" for standard input. Every file is found
// once, however often it is given. Nothing is skipped here: what cannot be read is a [Problem], and the caller says
// what becomes of the others.
package input

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// File is one input.
type File struct {
	// Path is how a message names the file: the given path, or a path below it.
	Path string
	// Root is the given path that the file was found below; equal to Path where the file itself was given.
	Root string
}

// Given reports whether the file itself was named, not a directory above it.
func (f File) Given() bool { return f.Path == f.Root }

// Problem is a path that could not be looked into.
type Problem struct {
	Path string
	Err  error
}

// Find lists the files of the given paths, ordered by path within each given one. Links to files are followed, links to
// directories are not, so that no loop can occur.
func Find(ctx context.Context, paths []string) (files []File, problems []Problem) {
	seen := map[string]bool{}
	add := func(f File) {
		key := f.Path
		if abs, err := filepath.Abs(f.Path); err == nil && f.Path != Stdin {
			key = abs
		}
		if !seen[key] {
			seen[key] = true
			files = append(files, f)
		}
	}
	for _, root := range paths {
		if root == Stdin {
			add(File{Stdin, Stdin})
			continue
		}
		info, err := os.Stat(root)
		if err != nil {
			problems = append(problems, Problem{root, err})
			continue
		}
		if !info.IsDir() {
			add(File{root, root})
			continue
		}
		start := len(files)
		// A trailing separator makes WalkDir look behind a link that was given itself.
		err = filepath.WalkDir(filepath.Clean(root)+string(filepath.Separator), func(path string, entry fs.DirEntry, err error) error {
			path = filepath.Clean(path)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				problems = append(problems, Problem{path, err})
			case !entry.IsDir():
				add(File{path, root})
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			problems = append(problems, Problem{root, err})
		}
		slices.SortStableFunc(files[start:], func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	}
	return files, problems
}

// ErrNotRegular says that a path is a directory, a device, a socket or a pipe.
var ErrNotRegular = errors.New("not a regular file")

// Stream is an open file.
type Stream struct {
	io.Reader
	file  *os.File
	start os.FileInfo
}

// Open opens a file for reading. A pipe or a device that was found in a directory is refused with [ErrNotRegular], since it could
// block for ever; one that was given is read.
func Open(f File, stdin io.Reader) (*Stream, error) {
	if f.Path == Stdin {
		return &Stream{Reader: stdin}, nil
	}
	info, err := os.Stat(f.Path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() || !info.Mode().IsRegular() && !f.Given() {
		return nil, fmt.Errorf("%s: %w", f.Path, ErrNotRegular)
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err != nil {
		file.Close()
		return nil, err
	}
	return &Stream{Reader: file, file: file, start: info}, nil
}

// Changed reports whether the file was written to since it was opened, so that what was read may be incomplete.
func (s *Stream) Changed() bool {
	if s.file == nil {
		return false
	}
	now, err := s.file.Stat()
	return err != nil || now.Size() != s.start.Size() || !now.ModTime().Equal(s.start.ModTime())
}

// Close closes the file.
func (s *Stream) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
