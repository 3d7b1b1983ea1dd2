package run

import (
	"bufio"
	"context"
	"errors"
	"io"
	"path"
	"path/filepath"
	"strings"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/archive"
	"github.com/trtperf/trtperf/parse/input"
	"github.com/trtperf/trtperf/parse/manifest"
)

// readArchive reads the runs that an archive holds. Its files are read one after another as they come; then those that belong
// together are found, however far apart they stood. What is kept of each in the meantime is its blocks, not its text.
func readArchive(ctx context.Context, f located, raw io.Reader, opt *Options) *Run {
	whole := &Run{}
	whole.count() // the archive itself
	dir := filepath.Join(f.abs, filepath.Base(f.Path))
	if f.Path == input.Stdin {
		dir = input.Stdin
	}
	var members []located
	failed := map[string]bool{}
	text := bufio.NewReaderSize(nil, input.SniffLen)
	var collected *collection
	err := archive.Walk(ctx, f.Path, raw, opt.Limits, func(e archive.Entry) error {
		if path.Base(e.Path) == manifest.Name {
			switch m, err := manifest.Read(e.Text); {
			case err == nil:
				collected = newCollection(filepath.Join(dir, filepath.Dir(filepath.FromSlash(e.Path))), m)
				for f := range collected.leftOut(filepath.Join(f.Path, filepath.Dir(e.Path)), f.Path, whole.unreadable) {
					members = append(members, f)
				}
				return ctx.Err()
			case !errors.Is(err, manifest.ErrNone):
				whole.unreadable(f.Path+"/"+e.Path, err)
				return ctx.Err()
			}
		}
		m := locate(input.File{Path: f.Path + "/" + e.Path, Root: f.Path, Size: e.Size, Modified: e.Modified}, filepath.Join(dir, filepath.Dir(filepath.FromSlash(e.Path))), placeOf)
		if collected != nil {
			collected.place(&m)
		}
		if reason := opt.Filter.excludes(e.Path); reason != "" {
			m.excluded = reason
		} else if m.read(opt) {
			text.Reset(e.Text)
			m.content = readContent(ctx, m, text, opt)
			m.content.rest(m) // a member can be read only now
			if m.content.err != nil {
				failed[e.Path] = true
			}
		} else {
			m.content = &content{}
		}
		members = append(members, m)
		return ctx.Err()
	}, func(p archive.Problem) {
		path := strings.TrimSuffix(f.Path+"/"+p.Member, "/")
		switch {
		case failed[p.Member]:
			// Reading the member has told of it.
		case p.Code == archive.Unsafe:
			whole.skip(path, "", p.Err.Error())
		case p.Code == archive.Duplicate:
			whole.note(parse.Warning, p.Code, path, 0, p.Err.Error())
		default:
			failed[p.Member] = true
			whole.Found++
			whole.Inputs.Failed++
			whole.note(parse.Error, p.Code, path, 0, p.Err.Error()+": everything else that could be was read")
		}
	})
	if err != nil && ctx.Err() == nil {
		whole.Found--
		whole.Inputs.Read--
		whole.unreadable(f.Path, err)
	}
	configs := map[string]*located{}
	for i := range members {
		if m := &members[i]; m.kind == configFile && m.excluded == "" {
			configs[m.path()] = m
		}
	}
	for _, g := range groupFiles(members) {
		g.configs = configs
		if ctx.Err() == nil {
			r := newReader(ctx, g, opt)
			r.read()
			whole.merge(r.Run)
		}
	}
	whole.setMembers(f.Path)
	return whole
}

// merge adds what another run holds.
func (r *Run) merge(other *Run) {
	r.Results = append(r.Results, other.Results...)
	r.FailedTests = append(r.FailedTests, other.FailedTests...)
	r.Skipped = append(r.Skipped, other.Skipped...)
	r.Diagnostics = append(r.Diagnostics, other.Diagnostics...)
	r.Inputs.Read += other.Inputs.Read
	r.Inputs.Skipped += other.Inputs.Skipped
	r.Inputs.Failed += other.Inputs.Failed
	r.Found += other.Found
	r.Blocks += other.Blocks
	r.Stray += other.Stray
}

// setMembers parts the paths of an archive's members into the archive and the member.
func (r *Run) setMembers(archive string) {
	part := func(file, member *string) {
		if below, ok := strings.CutPrefix(*file, archive+"/"); ok && *member == "" {
			*file, *member = archive, below
		}
	}
	for _, result := range r.Results {
		part(&result.Source.File, &result.Source.Member)
		for i := range result.AlsoIn {
			part(&result.AlsoIn[i].File, &result.AlsoIn[i].Member)
		}
	}
	for i := range r.Diagnostics {
		part(&r.Diagnostics[i].File, &r.Diagnostics[i].Member)
	}
}
