package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtperf/trtperf/launch/remote"
	"github.com/trtperf/trtperf/testdata/services"
)

// program builds trtperf, as the far side runs it.
func program(t *testing.T) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "trtperf")
	command := exec.Command("go", "build", "-o", at, "github.com/trtperf/trtperf/cmd/trtperf")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return at
}

func dial(t *testing.T, server *services.SSHD, workdir string) (*remote.Session, error) {
	t.Helper()
	c := &remote.Cluster{Name: "test", Host: server.Host, Port: server.Port, User: server.User, WorkDir: workdir, SSHOptions: server.Options()}
	s, err := remote.Dial(context.Background(), c, remote.Options{KeyFile: server.KeyFile, Patience: 20 * time.Second, Tell: func(line string) { t.Log(line) }})
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

// TestSession is one story over one server: commands, what they may hold, the program, sources, results, and a connection that is cut.
func TestSession(t *testing.T) {
	server := services.NewSSHD(t)
	workdir := filepath.Join(server.Home(), "work dir $HOME 'ä'")
	s, err := dial(t, server, workdir)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()

	t.Run("words arrive as they are", func(t *testing.T) {
		words := []string{"", "a b", `"`, "'", `\`, "$HOME", "`id`", "*", "a\nb", "ä€", "-n", "~", "!", "#", "a=b", "\x01\t"}
		var out bytes.Buffer
		if err := s.Run(ctx, remote.Stdio{Out: &out}, append([]string{"printf", `%s\0`}, words...)...); err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00"); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", words) {
			t.Errorf("got  %q\nwant %q", got, words)
		}
	})
	t.Run("exit codes are the command's", func(t *testing.T) {
		err := s.Run(ctx, remote.Stdio{}, "sh", "-c", "echo no room >&2; exit 7")
		failed, ok := errors.AsType[*remote.CommandError](err)
		if !ok || failed.Exit.ExitCode() != 7 || !strings.Contains(err.Error(), "no room") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("streams", func(t *testing.T) {
		text := bytes.Repeat([]byte("0123456789abcde\n"), 1<<18)
		var out bytes.Buffer
		if err := s.Run(ctx, remote.Stdio{In: bytes.NewReader(text), Out: &out}, "cat"); err != nil || !bytes.Equal(out.Bytes(), text) {
			t.Errorf("%d bytes came back of %d, error %v", out.Len(), len(text), err)
		}
	})

	here := program(t)
	var far string
	t.Run("the program is put there once", func(t *testing.T) {
		arch, err := s.Architecture(ctx)
		if err != nil || arch != "amd64" && arch != "arm64" {
			t.Fatalf("architecture %q, %v", arch, err)
		}
		if far, err = s.Install(ctx, here); err != nil {
			t.Fatal(err)
		}
		before, err := os.Stat(far)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Install(ctx, here); err != nil || again != far {
			t.Errorf("second time %q, %v", again, err)
		}
		if after, err := os.Stat(far); err != nil || !after.ModTime().Equal(before.ModTime()) {
			t.Errorf("it was written again (%v)", err)
		}
		if said, err := s.Output(ctx, far, "version"); err != nil || !strings.HasPrefix(said, "trtperf") {
			t.Errorf("it says %q, %v", said, err)
		}
	})
	if far == "" {
		t.FailNow()
	}

	tree := filepath.Join(t.TempDir(), "tree")
	write := func(name, text string) {
		t.Helper()
		at := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, way := range []string{"rsync", "tar"} {
		t.Run("sources by "+way, func(t *testing.T) {
			if err := os.RemoveAll(tree); err != nil {
				t.Fatal(err)
			}
			write("tests/a b.py", "one")
			write("tests/ä'$x.yaml", "two")
			write("empty", "")
			write(".git/HEAD", "no")
			write("tests/__pycache__/a.pyc", "no")
			if err := os.MkdirAll(filepath.Join(tree, "void"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("a b.py", filepath.Join(tree, "tests", "link")); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(tree, "empty"), 0o755); err != nil {
				t.Fatal(err)
			}
			if way == "tar" {
				t.Setenv("PATH", withoutRsync(t))
			}
			to := filepath.Join(workdir, "trees", "t "+way)
			sync := func() remote.Synced {
				t.Helper()
				done, err := s.Sync(ctx, tree, to, far)
				if err != nil || done.Way != way {
					t.Fatalf("way %q, error %v", done.Way, err)
				}
				same(t, tree, to)
				return done
			}
			if done := sync(); way == "tar" && done.Files != 3 {
				t.Errorf("%d files sent, want 3", done.Files)
			}
			if done := sync(); done.Files != 0 {
				t.Errorf("%d files sent again", done.Files)
			}
			run := filepath.Join(workdir, "sources", "run "+way)
			if err := s.Snapshot(ctx, to, run); err != nil {
				t.Fatal(err)
			}
			// Changed, gone, new, and a file where a directory was: and a run's own copy keeps what it had.
			write("tests/a b.py", "changed")
			for _, gone := range []string{"tests/ä'$x.yaml", "void"} {
				if err := os.Remove(filepath.Join(tree, gone)); err != nil {
					t.Fatal(err)
				}
			}
			write("void", "a file")
			write("new/er", "new")
			sync()
			if text, err := os.ReadFile(filepath.Join(run, "tests", "a b.py")); err != nil || string(text) != "one" {
				t.Errorf("the run's copy has %q, %v", text, err)
			}
			if _, err := os.Stat(filepath.Join(run, "void")); err != nil {
				t.Error(err)
			}
		})
	}

	t.Run("results", func(t *testing.T) {
		from := filepath.Join(workdir, "runs", "r 1")
		for name, text := range map[string]string{"results.xml": "<x/>", "a/b ä.log": strings.Repeat("line\n", 1<<18), "internal_request_auth_key.txt": "secret"} {
			at := filepath.Join(from, name)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		to := filepath.Join(t.TempDir(), "back")
		done, err := s.Fetch(ctx, from, to, far)
		if err != nil || done.Files != 2 {
			t.Fatalf("%d files, error %v", done.Files, err)
		}
		if _, err := os.Stat(filepath.Join(to, "internal_request_auth_key.txt")); err == nil {
			t.Error("a secret came along")
		}
		if err := os.Remove(filepath.Join(from, "internal_request_auth_key.txt")); err != nil {
			t.Fatal(err)
		}
		same(t, from, to)
		inTheWay := filepath.Join(t.TempDir(), "to")
		if err := os.MkdirAll(filepath.Join(inTheWay, "results.xml", "a directory"), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Fetch(ctx, from, inTheWay, far); err == nil || !strings.Contains(err.Error(), "results.xml: ") || strings.Contains(err.Error(), "exit code") {
			t.Errorf("what this side cannot write: %v", err)
		}
		if _, err := s.Fetch(ctx, from+"x", to, far); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("a run that is not there: %v", err)
		}
	})

	if n := server.Connections(t); n != 1 {
		t.Errorf("%d connections for all of that, want 1", n)
	}

	t.Run("cut", func(t *testing.T) {
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, remote.Stdio{}, "sleep", "60") }()
		for {
			if out, err := s.Output(ctx, "pgrep", "-f", "^sleep 60"); err == nil && out != "" {
				break
			}
		}
		server.Cut(t)
		if err := <-ended; !errors.Is(err, remote.ErrConnection) {
			t.Errorf("error %v", err)
		}
		if err := s.Run(ctx, remote.Stdio{}, "true"); !errors.Is(err, remote.ErrConnection) {
			t.Errorf("a command without a connection: %v", err)
		}
		if err := s.Reconnect(ctx); err != nil {
			t.Fatal(err)
		}
		if said, err := s.Output(ctx, "echo", "again"); err != nil || said != "again" {
			t.Errorf("%q, %v", said, err)
		}
	})
}

// withoutRsync is a PATH with the programs that a sync needs, and no rsync.
func withoutRsync(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at, err := exec.LookPath("ssh")
	if err == nil {
		err = os.Symlink(at, filepath.Join(dir, "ssh"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// same compares two trees, but for what a sync leaves out.
func same(t *testing.T, a, b string) {
	t.Helper()
	list := func(dir string) string {
		entries, err := remote.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, e := range entries {
			text := []byte{}
			if e.Mode.IsRegular() {
				if text, err = os.ReadFile(filepath.Join(dir, e.Path)); err != nil {
					t.Fatal(err)
				}
			}
			fmt.Fprintf(&all, "%s %s %d %s %.60q\n", e.Mode, e.Path, e.Size, e.Link, text)
		}
		return all.String()
	}
	if x, y := list(a), list(b); x != y {
		t.Errorf("%s:\n%s%s:\n%s", a, x, b, y)
	}
	if _, err := os.Stat(filepath.Join(b, ".git")); err == nil {
		t.Error(".git was taken along")
	}
}

func TestConnectionRefused(t *testing.T) {
	server := services.NewSSHD(t)
	workdir := filepath.Join(server.Home(), "w")
	t.Run("host key not known", func(t *testing.T) {
		empty := filepath.Join(t.TempDir(), "none")
		server.KnownHosts = empty
		if _, err := dial(t, server, workdir); err == nil || !strings.Contains(err.Error(), "the host key is not known") {
			t.Errorf("error %v", err)
		}
		if _, err := os.Stat(empty); err == nil {
			t.Error("a host key was written")
		}
	})
	t.Run("host key changed", func(t *testing.T) {
		server := services.NewSSHD(t)
		server.Rekey(t)
		if _, err := dial(t, server, workdir); err == nil || !strings.Contains(err.Error(), "host key is not the one that is known") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("key refused", func(t *testing.T) {
		server := services.NewSSHD(t)
		server.Refuse(t)
		if _, err := dial(t, server, workdir); err == nil || !strings.Contains(err.Error(), "--ssh-key") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		server.Port = "1"
		if _, err := dial(t, server, workdir); err == nil || !errors.Is(err, remote.ErrConnection) || !strings.Contains(err.Error(), "onnection refused") {
			t.Errorf("error %v", err)
		}
	})
}
