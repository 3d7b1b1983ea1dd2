package services

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// SSHD is a server with a user of its own.
type SSHD struct {
	home string
	// Host and Port are where it listens, User is who may log in, with KeyFile; KnownHosts holds its host key.
	Host, Port, User, KeyFile, KnownHosts string
}

// NewSSHD starts a server, which is stopped when the test ends. Commands get the variables, NAME=VALUE.
func NewSSHD(t testing.TB, environment ...string) *SSHD {
	t.Helper()
	home := t.TempDir()
	s := &SSHD{home: home}
	t.Cleanup(func() { script(t, "sshd.sh", "stop", "--home", home) })
	args := []string{"start", "--home", home}
	for _, e := range environment {
		args = append(args, "--env", e)
	}
	lines := script(t, "sshd.sh", args...)
	s.Host, s.Port, _ = strings.Cut(lines[0], ":")
	s.User, s.KeyFile, s.KnownHosts = lines[1], lines[2], lines[3]
	return s
}

// Home is the user's HOME.
func (s *SSHD) Home() string { return filepath.Join(s.home, "user") }

// Options are those of an ssh that knows this server.
func (s *SSHD) Options() []string { return []string{"-o", "UserKnownHostsFile=" + s.KnownHosts} }

// Cut kills the connections that are open.
func (s *SSHD) Cut(t testing.TB) { script(t, "sshd.sh", "cut", "--home", s.home) }

// Rekey gives the server another host key.
func (s *SSHD) Rekey(t testing.TB) { script(t, "sshd.sh", "rekey", "--home", s.home) }

// Refuse takes the user's key away.
func (s *SSHD) Refuse(t testing.TB) {
	t.Helper()
	if err := os.Remove(filepath.Join(s.Home(), ".ssh", "authorized_keys")); err != nil {
		t.Fatal(err)
	}
}

// Connections returns how many connections were accepted so far.
func (s *SSHD) Connections(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(script(t, "sshd.sh", "connections", "--home", s.home)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
