package services_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/testdata/services"
)

// TestSlurm shows what launch counts on: command lines written for containers are taken, a step has its GPUs, accounting tells a step's
// exit code, and the controller keeps its jobs over a restart.
func TestSlurm(t *testing.T) {
	c := services.NewSlurm(t)
	do := func(want string, argv ...string) string {
		t.Helper()
		command := exec.Command(argv[0], argv[1:]...)
		command.Env = append(os.Environ(), "SLURM_CONF="+c.Conf())
		out, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%q: %v, want %q:\n%s", argv, err, want, out)
		}
		return strings.TrimSpace(string(out))
	}
	do("3: 0,1,2,3", "srun", "--nodes=4", "--ntasks=4", "--ntasks-per-node=1", "--gpus-per-node=4", "--label", "--container-image=i", "--container-name=n",
		"--container-mounts=/a:/b", "--container-workdir=/", "--container-env=X", "--mpi=none", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
	job := do("", "sbatch", "--wait", "--parsable", "--output=/dev/null", "--wrap=srun -J role true; srun -J role sh -c 'exit 3'; true")
	do("1.1|FAILED|3:0", "sh", "-c", "sacct -nP -o JobID,State,ExitCode -j "+job+" | sed s/^"+job+"/1/")
	waiting := do("", "sbatch", "--parsable", "--partition=closed", "--wrap=true")
	c.Do(t, "restart-ctld")
	do("PENDING PartitionDown", "squeue", "-h", "-o", "%T %r", "-j", waiting)
	c.Do(t, "node-down", "2")
	do("down", "sinfo", "-h", "-n", "n2", "-o", "%t")
	c.Do(t, "node-up", "2")
}
