package run

import (
	"fmt"
	"hash/fnv"
	"path"
	"path/filepath"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// Filter says which inputs a reading takes.
type Filter struct {
	// Include and Exclude are patterns of paths below a given path, with ** for any number of directories; a pattern without a slash
	// is one of a file's name. A file must match one of Include, if there is any, and none of Exclude. Given files are always taken.
	Include, Exclude []string
	// Since leaves out runs of which no file was changed at that time or later.
	Since time.Time
	// Shard and Shards take one of several stable shares of the runs, Shard counting from 1; 0 takes all.
	Shard, Shards int
}

// Check returns an error for a filter that makes no sense.
func (f *Filter) Check() error {
	for _, pattern := range append(append([]string{}, f.Include...), f.Exclude...) {
		if !doublestar.ValidatePattern(pattern) {
			return fmt.Errorf("pattern %q: brackets and braces must be closed", pattern)
		}
	}
	if f.Shards < 0 || f.Shards > 0 && (f.Shard < 1 || f.Shard > f.Shards) {
		return fmt.Errorf("share %d/%d: write I/N with I from 1 to N", f.Shard, f.Shards)
	}
	return nil
}

// excludes returns why a file is left out, the empty text for one that is not. The path is relative to the given one.
func (f *Filter) excludes(relative string) string {
	relative = filepath.ToSlash(relative)
	matches := func(pattern string) bool {
		subject := relative
		if path.Base(pattern) == pattern {
			subject = path.Base(relative)
		}
		ok, err := doublestar.Match(pattern, subject)
		return err == nil && ok
	}
	for _, pattern := range f.Exclude {
		if matches(pattern) {
			return fmt.Sprintf("left out by --exclude %s", pattern)
		}
	}
	for _, pattern := range f.Include {
		if matches(pattern) {
			return ""
		}
	}
	if len(f.Include) > 0 {
		return "left out: no --include matches it"
	}
	return ""
}

// shares reports whether the group is of this share.
func (f *Filter) shares(g *group) bool {
	if f.Shards < 2 {
		return true
	}
	h := fnv.New64a()
	h.Write([]byte(g.relative()))
	return int(h.Sum64()%uint64(f.Shards)) == f.Shard-1
}

// recent reports whether some file of the group was changed since the filter's time. A file whose time is unknown was.
func (f *Filter) recent(g *group) bool {
	if f.Since.IsZero() {
		return true
	}
	for m := range g.all() {
		if m.Modified.IsZero() || !m.Modified.Before(f.Since) {
			return true
		}
	}
	return false
}
