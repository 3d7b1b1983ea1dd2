package launch

import (
	"fmt"
	"os"
	"path/filepath"
)

// MakeWorkspace makes a run's directory, which must be new: what an earlier run left there would be taken for this one's.
func MakeWorkspace(dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("the workspace %s is not empty: choose another with --workspace, so that an older run's files are not taken for this one's", dir)
	}
	return os.MkdirAll(dir, 0o777)
}

// Write writes the plan's files and plan.json into its workspace, which must be new: what an earlier run left there would be taken for
// this one's.
func (p *Plan) Write() error {
	if err := MakeWorkspace(p.Workspace); err != nil {
		return err
	}
	text, err := p.JSON()
	if err != nil {
		return err
	}
	for _, f := range append(p.Files, File{Path: PlanFile, Mode: 0o644, Content: string(text)}) {
		path := p.Path(f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if f.Link != "" {
			err = os.Symlink(f.Link, path)
		} else {
			err = os.WriteFile(path, []byte(f.Content), os.FileMode(f.Mode))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
