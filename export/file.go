package export

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/trtperf/trtperf/parse"
)

// writeFile writes a file whole or not at all: into a temporary one beside it, which then takes its name.
func writeFile(path string, write func(io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s was not written, an older file of that name is unchanged: %w%s", path, err, remedy(err))
		}
	}()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	// Whoever kills the process leaves it behind, and no pattern for CSVs may find it then.
	file, err := os.CreateTemp(filepath.Dir(path), ".trtperf-*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreClosed(file.Close()), os.Remove(file.Name()))
		}
	}()
	buffer := bufio.NewWriter(file)
	if err := write(buffer); err != nil {
		return err
	}
	if err := buffer.Flush(); err != nil {
		return err
	}
	// CreateTemp keeps others from reading; a CSV is for others.
	if err := file.Chmod(0o666 &^ umask()); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// umask returns the process's mask of file modes.
func umask() os.FileMode {
	mask := syscall.Umask(0o022)
	syscall.Umask(mask)
	return os.FileMode(mask)
}

// remedy says what to do about an error of writing.
func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return ": make room, or choose another directory with -o"
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		return ": choose a directory that you may write to with -o"
	}
	return ""
}

// folderOf is the folder of a test's CSVs: its id, made safe as a name so that no two ids share one. Of a perf-sanity test it is what stands between
// the brackets, also where the function is told: the test's own directory is called so.
func folderOf(id parse.TestID) string {
	if id.IsZero() {
		return noTest
	}
	const longest = 200
	text := id.String()
	if id.Suite == parse.PerfSanity && id.Suffix == "" {
		text = id.ID
	}
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-_.,=+[]", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	name := b.String()
	if name == noTest || strings.Trim(name, ".") == "" {
		name = strings.ReplaceAll(strings.ReplaceAll(name, ".", "%2E"), "-", "%2D")
	}
	if len(name) > longest {
		sum := sha256.Sum256([]byte(text))
		name = name[:longest-17] + "~" + hex.EncodeToString(sum[:8])
	}
	return name
}
