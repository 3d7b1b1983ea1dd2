package remote

import (
	"archive/tar"
	"bufio"
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
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// leftOut are names that no sync takes: history, caches and what a build leaves. A name with a slash is a path from the tree's top.
var leftOut = []string{".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".venv", "node_modules", "*.pyc", "*.o", "*.a", "/build", "/cpp/build",
	"/dist", "/trtperf-runs", "/output_*"}

func isLeftOut(rel string) bool {
	for _, pattern := range leftOut {
		name := path.Base(rel)
		if top, ok := strings.CutPrefix(pattern, "/"); ok {
			pattern, name = top, rel
		}
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// TreeName is the far side's name for a tree of this machine: readable, and of this place alone.
func TreeName(host, tree string) string {
	sum := sha256.Sum256([]byte(host + "\x00" + tree))
	return filepath.Base(tree) + "-" + hex.EncodeToString(sum[:6])
}

// Synced says what a sync did.
type Synced struct {
	// Way is "rsync" or "tar".
	Way string
	// Files and Bytes are what was sent; rsync does not say it.
	Files, Deleted int
	Bytes          int64
	Took           time.Duration
}

// Sync brings a tree of this machine into a directory of the far side, so that it holds the same files and no others, but for what
// isLeftOut names. Program is the far side's own. Files are replaced, never written over.
func (s *Session) Sync(ctx context.Context, tree, to, program string) (Synced, error) {
	started := time.Now()
	done, err := s.sync(ctx, tree, to, program)
	done.Took = time.Since(started)
	if err != nil {
		return done, fmt.Errorf("sources %s to %s:%s: %w", tree, s.destination(), to, err)
	}
	return done, nil
}

func (s *Session) sync(ctx context.Context, tree, to, program string) (Synced, error) {
	if err := s.Run(ctx, Stdio{}, "mkdir", "-p", to); err != nil {
		return Synced{}, err
	}
	if _, err := exec.LookPath("rsync"); err == nil {
		if _, err := s.Output(ctx, "sh", "-c", "command -v rsync"); err == nil {
			return Synced{Way: "rsync"}, s.rsync(ctx, tree, to)
		}
	}
	return s.tar(ctx, tree, to, program)
}

// rsync goes through the session's own connection.
func (s *Session) rsync(ctx context.Context, tree, to string) error {
	remote := append([]string{"ssh"}, s.arguments()...)
	remote = append(remote, "-o", "ControlMaster=no", "-o", "ProxyCommand=false")
	shell := make([]string, len(remote))
	for i, word := range remote {
		// rsync splits this text at blanks and knows single and double quotes, a doubled one being the quote itself.
		shell[i] = "'" + strings.ReplaceAll(word, "'", "''") + "'"
	}
	args := []string{"--archive", "--no-owner", "--no-group", "--delete", "--protect-args", "--rsh=" + strings.Join(shell, " ")}
	for _, pattern := range leftOut {
		args = append(args, "--exclude="+pattern)
	}
	command := exec.CommandContext(ctx, "rsync", append(args, "--", tree+"/", s.destination()+":"+to+"/")...)
	out, err := command.CombinedOutput()
	if err != nil && ctx.Err() == nil {
		if strings.Contains(string(out), "connection unexpectedly closed") || !s.alive() {
			return fmt.Errorf("%w: rsync: %s", ErrConnection, lastLine(string(out)))
		}
		return fmt.Errorf("rsync: %s (%w)", firstLine(string(out)), err)
	}
	return cmp.Or(ctx.Err(), err)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// Entry is a file, link or directory of a tree as both sides compare it.
type Entry struct {
	Path string      `json:"path"`
	Mode fs.FileMode `json:"mode"`
	Size int64       `json:"size,omitempty"`
	// Modified is in nanoseconds since 1970, of files alone.
	Modified int64  `json:"modified,omitempty"`
	Link     string `json:"link,omitempty"`
}

// List returns the entries of a tree in the order of their paths, without what a sync leaves out.
func List(tree string) ([]Entry, error) {
	var all []Entry
	err := filepath.WalkDir(tree, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(tree, at)
		if err != nil || rel == "." {
			return err
		}
		rel = filepath.ToSlash(rel)
		if isLeftOut(rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		e := Entry{Path: rel}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		e.Mode = info.Mode() & (fs.ModeType | fs.ModePerm)
		switch {
		case info.Mode().IsRegular():
			e.Size, e.Modified = info.Size(), info.ModTime().UnixNano()
		case info.Mode()&fs.ModeSymlink != 0:
			e.Mode = fs.ModeSymlink
			if e.Link, err = os.Readlink(at); err != nil {
				return err
			}
		case info.IsDir():
		default:
			return nil // a socket, FIFO or device is no source
		}
		all = append(all, e)
		return nil
	})
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return all, err
}

// tar sends a listing, is told what the far side lacks, and sends that.
func (s *Session) tar(ctx context.Context, tree, to, program string) (Synced, error) {
	done := Synced{Way: "tar"}
	entries, err := List(tree)
	if err != nil {
		return done, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	far, err := s.start(ctx, program, "far", "receive", "--", to)
	if err != nil {
		return done, err
	}
	fail := func(err error) (Synced, error) {
		cancel()
		if said := far.wait(); said != nil && !errors.Is(said, context.Canceled) {
			return done, said
		}
		return done, err
	}
	w := bufio.NewWriterSize(far.in, 1<<20)
	e := json.NewEncoder(w)
	if err := e.Encode(entries); err != nil {
		return fail(err)
	}
	if err := w.Flush(); err != nil {
		return fail(err)
	}
	var need needs
	if err := json.NewDecoder(far.out).Decode(&need); err != nil {
		return fail(err)
	}
	done.Deleted = need.Deleted
	archive := tar.NewWriter(w)
	for _, i := range need.Files {
		if i < 0 || i >= len(entries) {
			return fail(fmt.Errorf("the far side asks for entry %d of %d", i, len(entries)))
		}
		n, err := addFile(archive, tree, entries[i])
		if err != nil {
			return fail(err)
		}
		done.Files++
		done.Bytes += n
	}
	if err := cmp.Or(archive.Close(), w.Flush()); err != nil {
		return fail(err)
	}
	return done, far.wait()
}

// needs is the far side's answer to a listing.
type needs struct {
	// Files are places in the listing.
	Files   []int `json:"files"`
	Deleted int   `json:"deleted"`
}

// addFile writes a file, as long as the listing said: a file that grows meanwhile is cut, one that shrinks is an error.
func addFile(archive *tar.Writer, tree string, e Entry) (int64, error) {
	f, err := os.Open(filepath.Join(tree, filepath.FromSlash(e.Path)))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	header := &tar.Header{Typeflag: tar.TypeReg, Name: e.Path, Mode: int64(e.Mode.Perm()), Size: e.Size, ModTime: time.Unix(0, e.Modified), Format: tar.FormatPAX}
	if err := archive.WriteHeader(header); err != nil {
		return 0, err
	}
	n, err := io.CopyN(archive, f, e.Size)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s became shorter while it was sent", e.Path)
	}
	return n, err
}

// Receive is the far side of a sync by tar: it reads a listing, makes directories and links, deletes what the listing has not, answers which files it
// lacks, and takes these.
func Receive(in io.Reader, out io.Writer, to string) error {
	r := bufio.NewReaderSize(in, 1<<20)
	decoder := json.NewDecoder(r)
	var entries []Entry
	if err := decoder.Decode(&entries); err != nil {
		return fmt.Errorf("listing: %w", err)
	}
	wanted := map[string]int{}
	for i, e := range entries {
		if !filepath.IsLocal(filepath.FromSlash(e.Path)) {
			return fmt.Errorf("listing: %q leaves the tree", e.Path)
		}
		wanted[e.Path] = i
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer root.Close()
	there, err := List(to)
	if err != nil {
		return err
	}
	var answer needs
	same := map[string]bool{}
	// Deepest first, so that a directory is empty when its turn comes.
	for _, e := range slices.Backward(there) {
		i, ok := wanted[e.Path]
		if ok && alike(e, entries[i]) {
			same[e.Path] = true
			continue
		}
		if ok && e.Mode.IsRegular() && entries[i].Mode.IsRegular() {
			continue // it is replaced when its content has come
		}
		if err := root.RemoveAll(filepath.FromSlash(e.Path)); err != nil {
			return err
		}
		answer.Deleted++
	}
	for i, e := range entries {
		name := filepath.FromSlash(e.Path)
		switch {
		case e.Mode.IsDir():
			if !same[e.Path] {
				if err := root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
					return err
				}
			}
			// Its owner must be able to fill it.
			if err := root.Chmod(name, e.Mode.Perm()|0o700); err != nil {
				return err
			}
		case same[e.Path]:
		case e.Mode&fs.ModeSymlink != 0:
			if err := root.Symlink(e.Link, name); err != nil {
				return err
			}
		default:
			answer.Files = append(answer.Files, i)
		}
	}
	if err := json.NewEncoder(out).Encode(answer); err != nil {
		return err
	}
	// The encoder on the other side ends a listing with a line end, which no archive begins with.
	rest := bufio.NewReaderSize(io.MultiReader(decoder.Buffered(), r), 1<<20)
	if end, err := rest.ReadByte(); err != nil || end != '\n' {
		return fmt.Errorf("listing: no end: %w", cmp.Or(err, io.ErrUnexpectedEOF))
	}
	return unpack(tar.NewReader(rest), root, nil)
}

// alike reports whether a file need not be sent.
func alike(a, b Entry) bool {
	if a.Mode.IsDir() && b.Mode.IsDir() {
		return true
	}
	return a.Mode == b.Mode && a.Size == b.Size && a.Modified == b.Modified && a.Link == b.Link
}

// unpack takes files out of a stream. Each gets its name when it is whole. Told is told of each, with its XXH64.
func unpack(archive *tar.Reader, root *os.Root, told func(path string, hash uint64)) error {
	buffer := make([]byte, copyBuffer)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.FromSlash(h.Name)
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(name) {
			return fmt.Errorf("%q does not belong into the stream", h.Name)
		}
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		part := name + ".trtperf-part"
		f, err := root.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		sum := xxhash.New()
		_, err = io.CopyBuffer(io.MultiWriter(f, sum), archive, buffer)
		err = cmp.Or(err, f.Chmod(fs.FileMode(h.Mode)&fs.ModePerm), f.Close())
		if err == nil {
			err = cmp.Or(root.Chtimes(part, h.ModTime, h.ModTime), root.Rename(part, name))
		}
		if err != nil {
			_ = root.Remove(part)
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		if told != nil {
			told(h.Name, sum.Sum64())
		}
	}
}

// Snapshot gives a run its own copy of synced sources, by hard links.
func (s *Session) Snapshot(ctx context.Context, tree, to string) error {
	const copying = `set -eu
mkdir -p "$(dirname "$2")"
cp -al -- "$1" "$2" 2>/dev/null || { rm -rf -- "$2"; cp -a -- "$1" "$2"; }`
	if err := s.Run(ctx, Stdio{}, "sh", "-c", copying, "trtperf-snapshot", tree, to); err != nil {
		return fmt.Errorf("the run's copy of the sources: %w", err)
	}
	return nil
}
