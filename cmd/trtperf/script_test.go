package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"trtperf": func() {
			os.Exit(run(context.Background(), os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr, os.Getenv}))
		},
	})
}

// TestScripts runs the stories in testdata/script: each shows what a user sees of one. Set TRTPERF_UPDATE=1 to write the expected
// outputs anew.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "script"),
		UpdateScripts:       os.Getenv("TRTPERF_UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("RUNS", filepath.Join(root, "runs"))
			e.Setenv("LOGS", filepath.Join(root, "logs"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exit": exitsWith},
	})
}

// exitsWith runs trtperf and wants an exit code: exit CODE ARG…
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE ARG…")
	}
	err := ts.Exec("trtperf", args[1:]...)
	code := "0"
	if err != nil {
		code = "not run: " + err.Error()
		if e, ok := err.(interface{ ExitCode() int }); ok {
			code = strconv.Itoa(e.ExitCode())
		}
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}
