// Package manifest is the list of what a collected run's archive holds. The archive sorts files into folders by what they are; the
// manifest says where in the run each came from, so that reading the archive is reading the run.
package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/trtperf/trtperf/parse"
)

// Name is the manifest's file name. It is the first file of an archive.
const Name = "manifest.json"

// Kind and Version are the first fields of every manifest.
const (
	Kind    = "trtperf-collection"
	Version = 1
)

// Manifest lists an archive's files.
type Manifest struct {
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	// Run is the base name of the collected directory.
	Run string `json:"run"`
	// Files are ordered by Path.
	Files []File `json:"files"`
	// Left are the files of the run that are not in the archive, ordered by Source.
	Left []Left `json:"left,omitempty"`
}

// File is a file of the archive.
type File struct {
	// Path is its place in the archive, "<folder>/<directory in the run>/<name>"; Source its place in the run; both with slashes.
	Path   string `json:"path"`
	Source string `json:"source"`
	// Role is what wrote it, Test the directory of its test in the run, Job the Slurm job; empty where unknown.
	Role parse.Role `json:"role,omitempty"`
	Test string     `json:"test,omitempty"`
	Job  string     `json:"job,omitempty"`
	// Size, in bytes, and SHA256 are of the file in the archive.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Masked is the number of secrets that were masked in it.
	Masked   int       `json:"masked,omitempty"`
	Modified time.Time `json:"modified"`
}

// Left is a file that was left out.
type Left struct {
	Source string `json:"source"`
	Reason string `json:"reason"`
	// Failed says that it should be there and could not be read.
	Failed bool `json:"failed,omitempty"`
}

// ErrNone says that a file of this name is no manifest of a collected run.
var ErrNone = errors.New("no manifest of a collected run")

// maxBytes bounds a manifest; one of a hundred thousand files has some 30 MB.
const maxBytes = 256 << 20

// Read reads a manifest. The error is [ErrNone] for another file of the name.
func Read(r io.Reader) (*Manifest, error) {
	var m Manifest
	// Other tools have a file of this name too, of any form.
	if err := json.NewDecoder(io.LimitReader(r, maxBytes)).Decode(&m); err != nil || m.Kind != Kind {
		return nil, ErrNone
	}
	if m.Version != Version {
		return nil, fmt.Errorf("%s of version %d, and this trtperf knows version %d: read the archive with the trtperf that has collected it", Name, m.Version, Version)
	}
	return &m, nil
}

// Write writes the manifest.
func (m *Manifest) Write(w io.Writer) error {
	m.Kind, m.Version = Kind, Version
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(m)
}
