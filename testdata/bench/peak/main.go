// Command peak runs a command and writes the most memory that it took, in KiB:
//
//	peak FILE COMMAND [ARGUMENT...]
//
// A system counts for a new process what its parent held when it was started, so a small one must start it. The exit code is the command's.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "peak:", err)
		os.Exit(125)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	if len(args) < 2 {
		return 0, errors.New("write a file and a command")
	}
	command := exec.Command(args[1], args[2:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	var failed *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &failed) {
		return 0, err
	}
	usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, errors.New("the system does not tell the memory")
	}
	return command.ProcessState.ExitCode(), os.WriteFile(args[0], strconv.AppendInt(nil, usage.Maxrss, 10), 0o644)
}
