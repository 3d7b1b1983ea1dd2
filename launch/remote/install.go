package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// architectures are the names that uname has for what Go builds for.
var architectures = map[string]string{"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}

// Program finds the program for an architecture: the running one where it is the same, else the file trtperf-linux-<arch> beside it.
func Program(executable, own, wanted string) (string, error) {
	if own == wanted {
		return executable, nil
	}
	other := filepath.Join(filepath.Dir(executable), "trtperf-linux-"+wanted)
	if _, err := os.Stat(other); err != nil {
		return "", fmt.Errorf("the far side is %s and this program is %s: put %s there (make dist builds it), or name one with --far-program", wanted, own, other)
	}
	return other, nil
}

// Architecture asks the far side what it is, as Go says it.
func (s *Session) Architecture(ctx context.Context) (string, error) {
	said, err := s.Output(ctx, "uname", "-sm")
	if err != nil {
		return "", err
	}
	system, machine, _ := strings.Cut(said, " ")
	arch, ok := architectures[machine]
	if system != "Linux" || !ok {
		return "", fmt.Errorf("the far side says that it is %q: trtperf runs on Linux on x86_64 and aarch64", said)
	}
	return arch, nil
}

// Install puts a program there under the hash of its content, unless it is there already, and returns its path on the far side.
func (s *Session) Install(ctx context.Context, program string) (string, error) {
	f, err := os.Open(program)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	hash := hex.EncodeToString(sum.Sum(nil))
	target := path.Join(s.cluster.WorkDir, "bin", hash, "trtperf")
	if _, err := s.Output(ctx, "test", "-x", target); err == nil {
		return target, nil
	} else if errors.Is(err, ErrConnection) || ctx.Err() != nil {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	// It gets its name only when it is whole, so a transfer that broke leaves nothing that a later run would take for it.
	const put = `set -eu
umask 022
mkdir -p "$(dirname "$1")"
part=$1.part.$$
trap 'rm -f "$part"' EXIT
cat >"$part"
got=$(sha256sum <"$part" | cut -d' ' -f1)
[ "$got" = "$2" ] || { echo "the program arrived damaged: hash $got, want $2" >&2; exit 1; }
chmod 755 "$part"
mv -f "$part" "$1"`
	if err := s.Run(ctx, Stdio{In: f}, "sh", "-c", put, "trtperf-install", target, hash); err != nil {
		return "", fmt.Errorf("the program cannot be put to %s: %w", target, err)
	}
	return target, nil
}
