// Package services starts the real servers that tests need. Only tests import it.
package services

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// script runs one of this directory's scripts and returns the lines that it prints. A test whose server cannot start is skipped,
// or fails where TRTPERF_REQUIRE_SERVICES=1 demands it.
func script(t testing.TB, name string, args ...string) []string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	command := exec.Command(filepath.Join(filepath.Dir(here), name), args...)
	var complaint strings.Builder
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		if os.Getenv("TRTPERF_REQUIRE_SERVICES") == "1" {
			t.Fatalf("%s: %v\n%s", name, err, complaint.String())
		}
		t.Skipf("%s: %v\n%s", name, err, complaint.String())
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// Node is an OpenSearch node that a test may stop and start again.
type Node struct {
	home, port string
	options    []string
}

// NewNode returns a node that does not run yet, with further options of opensearch.sh. It is stopped when the test ends.
func NewNode(t testing.TB, options ...string) *Node {
	n := &Node{home: t.TempDir(), options: options}
	t.Cleanup(func() { n.Stop(t) })
	return n
}

// Start starts the node and returns its URL, which is the same each time.
func (n *Node) Start(t testing.TB) string {
	t.Helper()
	args := append([]string{"start", "--home", n.home}, n.options...)
	if n.port != "" {
		args = append(args, "--port", n.port)
	}
	url := script(t, "opensearch.sh", args...)[0]
	n.port = url[strings.LastIndexByte(url, ':')+1:]
	return url
}

// Stop stops the node; its data stay.
func (n *Node) Stop(t testing.TB) {
	t.Helper()
	script(t, "opensearch.sh", "stop", "--home", n.home)
}

// Kill ends the node as a crash does; what it had on disk stays.
func (n *Node) Kill(t testing.TB) {
	t.Helper()
	script(t, "opensearch.sh", "kill", "--home", n.home)
}

// NewCluster returns two nodes that do not run yet, of which the first manages both, and both hold data. They start at the same time.
func NewCluster(t testing.TB) (manager, data *Node) {
	t.Helper()
	var transport [2]string
	for i := range transport {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		transport[i] = l.Addr().String()
		l.Close()
	}
	node := func(i int, name, roles string) *Node {
		_, port, _ := net.SplitHostPort(transport[i])
		options := []string{"--heap", "256m"}
		for _, s := range []string{"discovery.type=zen", "discovery.seed_hosts=" + strings.Join(transport[:], ","), "node.name=" + name, "node.roles=" + roles,
			"transport.port=" + port, "cluster.initial_cluster_manager_nodes=manager", "cluster.name=trtperf-" + strings.ReplaceAll(transport[0], ":", "-")} {
			options = append(options, "--setting", s)
		}
		return NewNode(t, options...)
	}
	return node(0, "manager", "cluster_manager,data"), node(1, "data", "data")
}

// OpenSearch returns the URL of a node: the shared one of the whole test run, $TRTPERF_TEST_OPENSEARCH, else one for this test.
func OpenSearch(t testing.TB) string {
	t.Helper()
	if url := os.Getenv("TRTPERF_TEST_OPENSEARCH"); url != "" {
		return url
	}
	return NewNode(t).Start(t)
}

// TLSProxy puts TLS in front of a server, with basic authentication where a user is given, and further options of tls-proxy.sh. It returns its URL and
// the file of the CA's certificate.
func TLSProxy(t testing.TB, upstream, user, password string, options ...string) (url, caFile string) {
	t.Helper()
	home := t.TempDir()
	args := append([]string{"start", "--home", home, "--upstream", upstream}, options...)
	if user != "" {
		file := filepath.Join(home, "password")
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--user", user, "--password-file", file)
	}
	t.Cleanup(func() { script(t, "tls-proxy.sh", "stop", "--home", home) })
	lines := script(t, "tls-proxy.sh", args...)
	return lines[0], lines[1]
}
