package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sys/unix"

	"github.com/trtperf/trtperf/launch/script"
)

// ErrConnection says that the connection is gone, and not that a command on the far side failed.
var ErrConnection = errors.New("the ssh connection was lost")

// sshFailed is ssh's own exit code, which no command of ours uses.
const sshFailed = 255

// Options of a session.
type Options struct {
	// KeyFile is a private key besides those that ssh finds itself; empty is none.
	KeyFile string
	// Patience bounds the time that is spent on connecting again.
	Patience time.Duration
	// Tell is told, in a line, when the connection drops and when it is back.
	Tell func(line string)
}

// Session is a connection to a cluster. Its methods may be called at the same time, but for Close.
type Session struct {
	cluster *Cluster
	opt     Options
	dir     string
	// reconnecting is held while the connection is made again.
	reconnecting sync.Mutex
	master       *exec.Cmd
	ended        chan struct{} // closed when the master has ended
	said         *bytes.Buffer // its standard error, complete when ended
	// Connections is how many connections were made so far.
	Connections int
}

// Dial connects. The context bounds the whole session.
func Dial(ctx context.Context, c *Cluster, opt Options) (*Session, error) {
	if opt.Patience == 0 {
		opt.Patience = 10 * time.Minute
	}
	if opt.Tell == nil {
		opt.Tell = func(string) {}
	}
	// The path of a control socket may not be longer than about 100 bytes.
	dir, err := os.MkdirTemp("", "trtperf-ssh-")
	if err != nil {
		return nil, err
	}
	s := &Session{cluster: c, opt: opt, dir: dir}
	if err := s.connect(ctx); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// destination is what ssh is told to go to.
func (s *Session) destination() string {
	if s.cluster.User != "" {
		return s.cluster.User + "@" + s.cluster.Host
	}
	return s.cluster.Host
}

func (s *Session) socket() string { return filepath.Join(s.dir, "s") }

// arguments are those that every ssh of the session has. Host keys are never learnt behind one's back, and nothing is asked of a terminal.
func (s *Session) arguments() []string {
	args := []string{"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no", "-o", "ControlPath=" + s.socket(),
		"-o", "ControlPersist=no", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3", "-o", "ClearAllForwardings=yes"}
	if s.cluster.Port != "" {
		args = append(args, "-p", s.cluster.Port)
	}
	if s.opt.KeyFile != "" {
		args = append(args, "-i", s.opt.KeyFile)
	}
	return append(args, s.cluster.SSHOptions...)
}

// connect starts the control master and waits until it takes commands.
func (s *Session) connect(ctx context.Context) error {
	os.Remove(s.socket())
	args := append(s.arguments(), "-o", "ControlMaster=yes", "-N", "--", s.destination())
	master := exec.CommandContext(ctx, "ssh", args...)
	// An interrupt of the terminal is ours to handle: the connection is still needed to end what runs over there.
	master.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	master.Cancel = func() error { return master.Process.Signal(syscall.SIGTERM) }
	said := &bytes.Buffer{}
	master.Stderr = said
	if err := master.Start(); err != nil {
		return fmt.Errorf("ssh does not start: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = master.Wait()
		close(ended)
	}()
	s.master, s.ended, s.said = master, ended, said
	for {
		select {
		case <-ended:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return s.refused()
		case <-time.After(20 * time.Millisecond):
		}
		if _, err := os.Stat(s.socket()); err == nil {
			s.Connections++
			return nil
		}
	}
}

// refused turns what ssh said into an error that says what to do.
func (s *Session) refused() error {
	text := strings.TrimSpace(s.said.String())
	hint := "trtperf uses the system's ssh: try ssh " + s.destination()
	switch {
	case strings.Contains(text, "REMOTE HOST IDENTIFICATION HAS CHANGED"):
		text, hint = "the host key is not the one that is known", "ask who runs the machine, then mend ~/.ssh/known_hosts; trtperf never writes it"
	case strings.Contains(text, "Host key verification failed"):
		text, hint = "the host key is not known", "connect once by hand, compare the key and accept it; trtperf never does"
	case strings.Contains(text, "Permission denied"):
		text, hint = "the key was refused", "name one with --ssh-key, add it to the agent, or have it put into authorized_keys"
	}
	return fmt.Errorf("%w: %s: %s (%s)", ErrConnection, s.destination(), lastLine(text), hint)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// alive reports whether the connection stands.
func (s *Session) alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// Reconnect connects again, as often as it takes within the session's patience. Errors that waiting does not mend end it at once.
func (s *Session) Reconnect(ctx context.Context) error {
	s.reconnecting.Lock()
	defer s.reconnecting.Unlock()
	// Of several that lost it, the first has it back for all.
	if s.Run(ctx, Stdio{}, "true") == nil {
		return nil
	}
	if s.alive() {
		_ = s.master.Process.Signal(syscall.SIGTERM)
		<-s.ended
	}
	s.opt.Tell("the connection to " + s.destination() + " was lost; what runs there goes on; connecting again")
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := s.connect(ctx)
		if err != nil && (strings.Contains(err.Error(), "host key") || strings.Contains(err.Error(), "key was refused")) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(s.opt.Patience), backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: 200 * time.Millisecond,
		RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 30 * time.Second}))
	if err != nil {
		return err
	}
	s.opt.Tell("connected again to " + s.destination())
	return nil
}

// Stdio are the streams of a command on the far side; nil ones are empty.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run runs a command on the far side. The error is [ErrConnection], an *[exec.ExitError] with the command's own exit code, or that of ctx, whose
// end takes the command's streams away and does not end it over there.
func (s *Session) Run(ctx context.Context, std Stdio, argv ...string) error {
	line, err := script.ForAnyShell(argv)
	if err != nil {
		return err
	}
	// Without the master ssh would make a connection of its own; a proxy that fails forbids that.
	args := append(s.arguments(), "-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-T", "--", s.destination(), line)
	command := exec.CommandContext(ctx, "ssh", args...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = std.In, std.Out, &said
	if std.Err != nil {
		command.Stderr = io.MultiWriter(&said, std.Err)
	}
	err = command.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return nil
	case exited && exit.ExitCode() == sshFailed:
		return fmt.Errorf("%w: %s", ErrConnection, lastLine(said.String()))
	case exited:
		return &CommandError{Argv: argv, Stderr: lastLine(said.String()), Exit: exit}
	}
	return err
}

// process is a command on the far side that runs while this side talks with it.
type process struct {
	// In and out are pipes of the system: ssh has them itself, so nothing is copied on the way, and its end is the end of both.
	in, out *os.File
	ended   chan error
}

// start starts a command as Run runs it.
func (s *Session) start(ctx context.Context, argv ...string) (*process, error) {
	theirs, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, said, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirs.Close(), in.Close())
	}
	widen(out)
	p := &process{in: in, out: out, ended: make(chan error, 1)}
	go func() {
		err := s.Run(ctx, Stdio{In: theirs, Out: said}, argv...)
		theirs.Close()
		said.Close()
		p.ended <- err
	}()
	return p, nil
}

// widen gives a pipe room for more than the usual 64 KiB, where the system allows it: ssh need not wait while this side writes a file.
func widen(pipe *os.File) {
	if c, err := pipe.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20) })
	}
}

// wait ends the talk and returns Run's error.
func (p *process) wait() error {
	p.in.Close()
	p.out.Close()
	return <-p.ended
}

// CommandError says that a command ran on the far side and failed.
type CommandError struct {
	Argv   []string
	Stderr string
	Exit   *exec.ExitError
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("%s on the far side: %s (exit code %d)", filepath.Base(e.Argv[0]), e.Stderr, e.Exit.ExitCode())
}

func (e *CommandError) Unwrap() error { return e.Exit }

// Output runs a command and returns what it printed, without the blanks at its end.
func (s *Session) Output(ctx context.Context, argv ...string) (string, error) {
	var out bytes.Buffer
	err := s.Run(ctx, Stdio{Out: &out}, argv...)
	return strings.TrimSpace(out.String()), err
}

// Close ends the connection.
func (s *Session) Close() error {
	if s.alive() {
		_ = s.master.Process.Signal(syscall.SIGTERM)
		<-s.ended
	}
	return os.RemoveAll(s.dir)
}
