// Package collect makes an archive of a run: each of its files once, in folders by what they are, with a manifest and without secrets.
// Reading the archive is reading the run.
package collect

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/trtperf/trtperf/launch/slurm"
	"github.com/trtperf/trtperf/parse/archive"
	"github.com/trtperf/trtperf/parse/manifest"
	"github.com/trtperf/trtperf/parse/run"
)

// Options say how a run is collected.
type Options struct {
	// Secrets match the base names of further files that are left out.
	Secrets []*regexp.Regexp
	// Collected is told of each file that is in the archive, in the archive's order; nil for nobody.
	Collected func(manifest.File)
}

// ErrRun says that a path is no run that can be collected.
var ErrRun = errors.New("cannot be collected")

// found is a file of the run that goes into the archive.
type found struct {
	path  string // where it is
	entry manifest.File
	known run.Known
	// packed says that the file is compressed; its text is collected.
	packed bool
	// damaged says that only what stands before some place can be read.
	damaged bool
	// read is how much of its text is collected, in bytes.
	read int64
}

// collector goes through a run.
type collector struct {
	ctx      context.Context
	opt      Options
	root     string
	archive  string // absolute
	manifest manifest.Manifest
	files    []*found
	// jobs are the Slurm jobs by directory, with slashes, relative to the root.
	jobs map[string]string
}

// Collect makes the archive of a run's directory and returns its manifest. The archive is a directory, or a .tar, .tar.gz or .tar.zst,
// by its name, and must not exist; with an error there is none. What grows meanwhile is collected as far as it went. A file that
// cannot be read is left out, and the manifest says so. The error is [ErrRun] where the directory is none of a run.
func Collect(ctx context.Context, dir, archive string, opt Options) (*manifest.Manifest, error) {
	if err := Check(archive); err != nil {
		return nil, err
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	target, err := filepath.Abs(archive)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(root); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRun, err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s %w: it is no directory", dir, ErrRun)
	}
	if isCollection(root) {
		return nil, fmt.Errorf("%s %w: it is a collected run already", dir, ErrRun)
	}
	c := &collector{ctx: ctx, opt: opt, root: root, archive: target, jobs: map[string]string{}}
	c.manifest.Run = filepath.Base(root)
	if err := c.walk(root); err != nil {
		return nil, err
	}
	if len(c.files) == 0 {
		return nil, fmt.Errorf("%s %w: no file in it goes into an archive", dir, ErrRun)
	}
	if err := c.number(); err != nil {
		return nil, err
	}
	if err := write(target, c.fill); err != nil {
		return nil, fmt.Errorf("%s was not written: %w", archive, err)
	}
	return &c.manifest, nil
}

// isCollection reports whether a directory holds a collected run.
func isCollection(dir string) bool {
	file, err := os.Open(filepath.Join(dir, manifest.Name))
	if err != nil {
		return false
	}
	defer file.Close()
	_, err = manifest.Read(file)
	return !errors.Is(err, manifest.ErrNone)
}

// leave notes a file that is not collected.
func (c *collector) leave(source, reason string, failed bool) {
	c.manifest.Left = append(c.manifest.Left, manifest.Left{Source: source, Reason: reason, Failed: failed})
}

// walk finds the files below a directory. Links to files are followed, links to directories are not, as parse does.
func (c *collector) walk(dir string) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	source := func(path string) string {
		rel, err := filepath.Rel(c.root, path)
		if err != nil {
			return filepath.ToSlash(path)
		}
		return filepath.ToSlash(rel)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		c.leave(source(dir), err.Error(), true)
	}
	for _, e := range entries {
		at := filepath.Join(dir, e.Name())
		if at == c.archive {
			continue
		}
		if e.IsDir() {
			if isCollection(at) {
				c.leave(source(at), "a collected run", false)
			} else if err := c.walk(at); err != nil {
				return err
			}
			continue
		}
		info, err := os.Stat(at)
		switch {
		case err != nil && e.Type()&fs.ModeSymlink != 0 && errors.Is(err, fs.ErrNotExist):
			c.leave(source(at), "a link to nothing", true) // a log may have been there
		case err != nil:
			c.leave(source(at), err.Error(), true)
		case info.IsDir():
			c.leave(source(at), "a link to a directory", false)
		case !info.Mode().IsRegular():
			c.leave(source(at), "no regular file", false)
		default:
			c.file(at, source(at), info)
		}
	}
	return nil
}

var (
	jobLogName = regexp.MustCompile(`^slurm[-_](\d+)\.`)
	jobFolder  = regexp.MustCompile(`^hostnames-(\d+)-\d+$`)
)

// file looks at one file.
func (c *collector) file(at, source string, info fs.FileInfo) {
	known := run.KnownOf(source)
	name, dir := path.Base(source), path.Dir(source)
	for _, secret := range c.opt.Secrets {
		if known.Left == "" && secret.MatchString(name) {
			known.Left = "a secret: its name matches " + secret.String()
		}
	}
	if known.Left != "" {
		c.leave(source, known.Left, false)
		return
	}
	f := &found{path: at, known: known, entry: manifest.File{Source: source, Role: known.Role, Modified: info.ModTime().UTC()}}
	head, err := c.head(f)
	if err != nil {
		c.leave(source, err.Error(), true)
		return
	}
	if kind := archive.Sniff(head); kind.Compressed() {
		f.packed = true
		if head, err = c.head(f); err != nil {
			head = nil // told of when all of it is read
		}
	}
	if archive.Sniff(head) != "" {
		c.leave(source, run.ArchiveLeft, false)
		return
	}
	switch {
	case name == slurm.RecordFile:
		var record slurm.Record
		if text, err := os.ReadFile(at); err == nil && json.Unmarshal(text, &record) == nil && record.JobID != "" {
			c.jobs[dir], _, _ = strings.Cut(record.JobID, ";")
		}
	case known.JobLog && c.jobs[dir] == "":
		if m := jobLogName.FindStringSubmatch(name); m != nil {
			c.jobs[dir] = m[1]
		}
	}
	if m := jobFolder.FindStringSubmatch(path.Base(dir)); m != nil && c.jobs[path.Dir(dir)] == "" {
		c.jobs[path.Dir(dir)] = m[1]
	}
	if known.Test {
		f.entry.Test = dir
	}
	c.files = append(c.files, f)
}

// head reads a file's beginning.
func (c *collector) head(f *found) ([]byte, error) {
	text, err := f.open()
	if err != nil {
		return nil, err
	}
	defer text.Close()
	head := make([]byte, archive.SniffLen)
	n, err := io.ReadFull(text, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// text is the unpacked text of a file.
type text struct {
	io.Reader
	closers []io.Closer
}

func (t text) Close() error {
	var errs []error
	for _, c := range t.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (f *found) open() (io.ReadCloser, error) {
	file, err := os.Open(f.path)
	if err != nil || !f.packed {
		return file, err
	}
	head := make([]byte, archive.SniffLen)
	n, _ := io.ReadFull(file, head)
	unpacked, err := archive.Open(io.MultiReader(bytes.NewReader(head[:n]), file), archive.Sniff(head[:n]), archive.Limits{})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return text{unpacked, []io.Closer{unpacked, file}}, nil
}

// number gives each file its place in the archive, its size and its hash.
func (c *collector) number() error {
	taken := map[string]bool{manifest.Name: true}
	kept := c.files[:0]
	for _, f := range c.files {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		e := &f.entry
		dir, name := path.Split(e.Source)
		if f.packed {
			name = run.Unpacked(name)
		}
		folder := string(f.known.Folder)
		// A name that is taken, as that of a file beside its compressed copy, moves into a directory: names are what files are known by.
		for n := 1; ; n++ {
			e.Path = path.Join(folder, dir, name)
			if n > 1 {
				e.Path = path.Join(folder, dir, fmt.Sprintf("copy-%d", n), name)
			}
			if !taken[e.Path] {
				break
			}
		}
		for up := path.Dir(e.Source); ; up = path.Dir(up) {
			if e.Job = c.jobs[up]; e.Job != "" || up == "." {
				break
			}
		}
		sum, masked, err := f.copyTo(c.ctx, io.Discard, -1)
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if err != nil {
			reason := err.Error()
			if f.packed && f.read > 0 {
				reason += ": what stands before that place is in the archive"
			}
			c.leave(e.Source, reason, true)
			if !f.packed || f.read == 0 {
				continue
			}
			f.damaged = true
		}
		taken[e.Path] = true
		e.Size, e.SHA256, e.Masked = f.read, sum, masked
		kept = append(kept, f)
	}
	c.files = kept
	slices.SortFunc(c.files, func(a, b *found) int { return cmp.Compare(a.entry.Path, b.entry.Path) })
	slices.SortFunc(c.manifest.Left, func(a, b manifest.Left) int { return cmp.Compare(a.Source, b.Source) })
	for _, f := range c.files {
		c.manifest.Files = append(c.manifest.Files, f.entry)
	}
	return nil
}

// copyTo copies a file's masked text and returns its hash and the number of secrets, with an error those of what was read before it. Limit
// bounds the text, in bytes, unless it is negative.
func (f *found) copyTo(ctx context.Context, to io.Writer, limit int64) (sum string, masked int, err error) {
	opened, err := f.open()
	if err != nil {
		return "", 0, err
	}
	defer opened.Close()
	var r io.Reader = watched{ctx, opened}
	if limit >= 0 {
		r = io.LimitReader(r, limit)
	}
	m := newMasker(r, strings.HasSuffix(f.path, ".json"))
	hash := sha256.New()
	f.read, err = io.Copy(io.MultiWriter(to, hash), m)
	return hex.EncodeToString(hash.Sum(nil)), m.count, err
}

// watched ends with the context.
type watched struct {
	ctx context.Context
	r   io.Reader
}

func (w watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}

// fill fills an archive.
func (c *collector) fill(to sink) error {
	if err := addManifest(to, &c.manifest); err != nil {
		return err
	}
	for _, f := range c.files {
		if err := c.add(to, f); err != nil {
			return err
		}
		if c.opt.Collected != nil {
			c.opt.Collected(f.entry)
		}
	}
	return nil
}

// add adds a file, which must still hold what its hash was taken of.
func (c *collector) add(to sink, f *found) error {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		sum, _, err := f.copyTo(c.ctx, w, f.entry.Size)
		if f.damaged && sum == f.entry.SHA256 {
			err = nil // the damage comes behind what is collected
		}
		if err == nil && sum != f.entry.SHA256 {
			err = fmt.Errorf("%s changed while it was collected: collect again when nothing writes to it", f.path)
		}
		w.CloseWithError(err)
	}()
	err := to.add(f.entry.Path, f.entry.Size, f.entry.Modified.Truncate(time.Second), r)
	r.CloseWithError(io.ErrClosedPipe)
	<-done
	return err
}
