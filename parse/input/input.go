// Package input opens the files that a command is given as streams of text, unpacking those that are compressed.
package input

import "time"

// Stdin is the path that stands for standard input.
const Stdin = "-"

// File is one input.
type File struct {
	// Path is how a message names the file: the given path, or a path below it.
	Path string
	// Root is the given path that the file was found below; equal to Path where the file itself was given.
	Root string
	// Regular says that its directory lists it as a regular file.
	Regular bool
	// Size in bytes and time of the last change, where they are known; -1 or 0 and zero otherwise.
	Size     int64
	Modified time.Time
}

// Given reports whether the file itself was named, not a directory above it.
func (f File) Given() bool { return f.Path == f.Root }
