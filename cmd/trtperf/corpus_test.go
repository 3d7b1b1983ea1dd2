package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/testdata/services"
)

// corpus returns the folder of real logs, which lies beside the checkout.
func corpus(t *testing.T) string {
	dir := os.Getenv("TRTPERF_CORPUS")
	if dir == "" {
		dir = "../shared/corpus"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("../..", dir)
	}
	logs := filepath.Join(dir, "logs")
	if _, err := os.Stat(logs); err != nil {
		if os.Getenv("TRTPERF_REQUIRE_CORPUS") == "1" {
			t.Fatalf("no corpus, and TRTPERF_REQUIRE_CORPUS=1: set TRTPERF_CORPUS: %v", err)
		}
		t.Skipf("no corpus: set TRTPERF_CORPUS to its folder: %v", err)
	}
	return logs
}

// counted is what a command printed with --json.
type counted struct {
	ledger     parse.Ledger
	identities map[string]parse.Status
	duplicates []parse.Duplicate
	skipped    int
	deliveries map[parse.Outcome]int
}

// trtperf runs a command with --json, in this process, and counts its events.
func trtperf(t *testing.T, wantExit int, args ...string) counted {
	t.Helper()
	var out, complaint bytes.Buffer
	code := run(context.Background(), append(args, "--json"), stdio{nil, &out, &complaint, func(string) string { return "" }})
	if code != wantExit {
		t.Fatalf("exit code %d, want %d\n%s", code, wantExit, complaint.String())
	}
	c := counted{identities: map[string]parse.Status{}, deliveries: map[parse.Outcome]int{}}
	events := json.NewDecoder(&out)
	for {
		var e struct {
			Kind    string
			ID      string
			Status  parse.Status
			Outcome parse.Outcome
			Source  parse.Source
			parse.Ledger
		}
		err := events.Decode(&e)
		if err == io.EOF {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e.Kind {
		case "result":
			c.identities[e.ID] = e.Status
		case "duplicate":
			c.duplicates = append(c.duplicates, parse.Duplicate{ID: e.ID, Source: e.Source})
		case "skipped":
			c.skipped++
		case "delivery":
			c.deliveries[e.Outcome]++
		case "ledger":
			c.ledger = e.Ledger
		}
	}
}

// What the corpus holds. 060 and 061 are the client's and the router's log of one run and hold the same two blocks; 038, 043 and 044
// hold blocks without a number, which are the same measurement: none.
const (
	corpusBlocks     = 314
	corpusIdentities = 310
	corpusValid      = 291
	corpusSkipped    = 9
)

func (c counted) check(t *testing.T) {
	t.Helper()
	valid := 0
	for _, s := range c.identities {
		if s == parse.Valid {
			valid++
		}
	}
	r := c.ledger.Results
	if r.Blocks != corpusBlocks || len(c.identities) != corpusIdentities || valid != corpusValid || c.skipped != corpusSkipped {
		t.Errorf("%d blocks, %d identities, %d valid, %d logs skipped", r.Blocks, len(c.identities), valid, c.skipped)
	}
	if r.Valid != corpusValid || r.Valid+r.Failed != corpusIdentities || r.Duplicate != corpusBlocks-corpusIdentities {
		t.Errorf("ledger %+v", r)
	}
}

func TestCorpusThroughProcess(t *testing.T) {
	logs := corpus(t)
	url, project := services.OpenSearch(t), fmt.Sprintf("corpus-%d", os.Getpid())
	out := t.TempDir()
	target := "opensearch+" + url + "/" + project
	documents := func() int {
		count, err := countDocuments(fmt.Sprintf("%s/df-%s-trtperf", url, project), "*")
		if err != nil {
			t.Fatal(err)
		}
		return count
	}
	stored := func() int { return len(trtperf(t, 0, "list", "-o", out).identities) }

	first := trtperf(t, exitFailed, "process", "-o", out, "--to", target, logs)
	first.check(t)
	if len(first.duplicates) != corpusBlocks-corpusIdentities || first.deliveries[parse.Stored] != corpusValid ||
		first.deliveries[parse.Withheld] != corpusIdentities-corpusValid {
		t.Errorf("%d duplicates, deliveries %v", len(first.duplicates), first.deliveries)
	}
	if n, m := stored(), documents(); n != corpusIdentities || m != corpusValid {
		t.Errorf("%d stored, %d documents", n, m)
	}

	// From a copy in another folder: nothing changes, and each copy is said.
	elsewhere := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(elsewhere, os.DirFS(logs)); err != nil {
		t.Fatal(err)
	}
	second := trtperf(t, exitFailed, "process", "-o", out, "--to", target, elsewhere)
	second.check(t)
	if len(second.duplicates) != corpusBlocks || second.deliveries[parse.Present] != corpusValid || second.deliveries[parse.Stored] != 0 ||
		second.ledger.Results.Known != corpusIdentities {
		t.Errorf("%d duplicates, deliveries %v, %+v", len(second.duplicates), second.deliveries, second.ledger.Results)
	}
	if n, m := stored(), documents(); n != corpusIdentities || m != corpusValid {
		t.Errorf("from a copy: %d stored, %d documents", n, m)
	}
	for id, status := range first.identities {
		if second.identities[id] != status {
			t.Errorf("%s was %s and is %s", id, status, second.identities[id])
		}
	}
	trtperf(t, exitFailed, "parse", logs).check(t)
}
