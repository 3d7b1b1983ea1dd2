package services

import (
	"os"
	"path/filepath"
	"testing"
)

// SlurmCluster is a Slurm of four nodes, n1 to n4, with four GPUs each, on this machine. Its partitions are batch, small, for one node, and closed, where jobs
// wait.
type SlurmCluster struct{ home string }

// NewSlurm starts a cluster of the test's own, which the test may damage, with options of slurm.sh: "--no-accounting", "--set", "KEY=VALUE".
// It is stopped when the test ends.
func NewSlurm(t testing.TB, options ...string) *SlurmCluster {
	t.Helper()
	// The names of tests are too long for the sockets that lie there.
	home, err := os.MkdirTemp("", "slurm")
	if err != nil {
		t.Fatal(err)
	}
	c := &SlurmCluster{home}
	t.Cleanup(func() {
		c.Do(t, "stop")
		_ = os.RemoveAll(home)
	})
	script(t, "slurm.sh", append([]string{"start", "--home", home}, options...)...)
	return c
}

// Slurm returns a cluster that many tests use at once, with accounting: that of the whole test run, $TRTPERF_TEST_SLURM_CONF, else one for
// this test.
func Slurm(t testing.TB) *SlurmCluster {
	t.Helper()
	if conf := os.Getenv("TRTPERF_TEST_SLURM_CONF"); conf != "" {
		return &SlurmCluster{filepath.Dir(conf)}
	}
	return NewSlurm(t)
}

// Conf is the value of SLURM_CONF for programs that are to reach the cluster.
func (c *SlurmCluster) Conf() string { return filepath.Join(c.home, "slurm.conf") }

// Do does something to the cluster: "stop", "node-down 3", "node-up 3", "stop-ctld", "start-ctld", "restart-ctld", "stop-dbd",
// "start-dbd", each word an argument.
func (c *SlurmCluster) Do(t testing.TB, args ...string) {
	t.Helper()
	script(t, "slurm.sh", append(args, "--home", c.home)...)
}
