package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/upload/sqlite"
)

// interrupter cancels when enough results were told of.
type interrupter struct {
	bytes.Buffer
	left   int
	cancel func()
}

func (i *interrupter) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte(`{"kind":"result"`)) {
		if i.left--; i.left == 0 {
			i.cancel()
		}
	}
	return i.Buffer.Write(p)
}

// An interrupted process keeps what it has committed, and the same command goes on from there.
func TestInterruptedProcess(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	const runs = 600
	example, err := os.ReadFile("../../testdata/logs/example.log")
	if err != nil {
		t.Fatal(err)
	}
	for i := range runs {
		text := strings.ReplaceAll(string(example), "3317.94", fmt.Sprintf("%d.94", 3000+i))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.log", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	std := interrupter{left: 10, cancel: cancel}
	code := run(ctx, []string{"process", "--json", "-o", out, dir}, stdio{nil, &std, &bytes.Buffer{}, func(string) string { return "" }})
	if code != exitInterrupted {
		t.Fatalf("exit code %d", code)
	}
	kept := len(trtperf(t, 0, "list", "-o", out).identities)
	if kept < 10 || kept >= runs {
		t.Fatalf("%d results are kept", kept)
	}
	again := trtperf(t, 0, "process", "-o", out, dir)
	if n := again.ledger.Inputs.Unchanged; n != kept {
		t.Errorf("%d inputs were not read again, %d results had been kept", n, kept)
	}
	if r := again.ledger.Results; r.Valid != runs || len(again.duplicates) != 0 || again.ledger.Inputs.Read != runs {
		t.Errorf("%+v", again.ledger)
	}
	db, err := sqlite.OpenExisting(context.Background(), filepath.Join(out, "trtperf.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, ok := db.Recall(context.Background(), "nothing such"); ok {
		t.Error("what was never read is recalled")
	}
}
