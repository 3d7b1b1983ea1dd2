// Trtperf launches TensorRT-LLM performance tests and carries their results: from benchmark logs and results.xml into CSVs, a local store,
// OpenSearch and SQL.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// version is set by the linker.
var version = "unknown"

// stdio are the streams and the environment of a program.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
}

func main() {
	// What is live while logs are read is little, so it may triple before it is collected: that is still little, and much faster.
	debug.SetGCPercent(300)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr, os.Getenv}))
}

// run runs one command and returns the exit code. It is the one place where an error becomes a message and a code.
func run(ctx context.Context, args []string, std stdio) int {
	err := execute(ctx, args, std)
	code := exitCode(ctx, err)
	if err != nil && err.Error() != "" {
		fmt.Fprintf(std.err, "trtperf: %v\n", err)
	}
	return code
}
