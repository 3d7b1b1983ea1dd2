package services

import (
	"os"
	"strings"
	"testing"
)

// MariaDBServer is a MariaDB server that a test may stop, kill and start again. root has no password.
type MariaDBServer struct {
	home, port string
	options    []string
}

// NewMariaDB returns a server that does not run yet, with mariadbd's options ("max_connections=5"). It is stopped when the test ends.
func NewMariaDB(t testing.TB, options ...string) *MariaDBServer {
	m := &MariaDBServer{home: t.TempDir(), options: options}
	t.Cleanup(func() { m.Stop(t) })
	return m
}

// Start starts the server and returns its HOST:PORT, which is the same each time.
func (m *MariaDBServer) Start(t testing.TB) string {
	t.Helper()
	args := []string{"start", "--home", m.home}
	if m.port != "" {
		args = append(args, "--port", m.port)
	}
	for _, o := range m.options {
		args = append(args, "--option", o)
	}
	address := script(t, "mariadb.sh", args...)[0]
	m.port = address[strings.LastIndexByte(address, ':')+1:]
	return address
}

// Stop ends the server; its data stay.
func (m *MariaDBServer) Stop(t testing.TB) {
	t.Helper()
	script(t, "mariadb.sh", "stop", "--home", m.home)
}

// Kill ends the server as kill -9 does.
func (m *MariaDBServer) Kill(t testing.TB) {
	t.Helper()
	script(t, "mariadb.sh", "kill", "--home", m.home)
}

// MariaDB returns the HOST:PORT of a server: the shared one of the whole test run, $TRTPERF_TEST_MARIADB, else one for this test.
func MariaDB(t testing.TB) string {
	t.Helper()
	if address := os.Getenv("TRTPERF_TEST_MARIADB"); address != "" {
		return address
	}
	return NewMariaDB(t).Start(t)
}
