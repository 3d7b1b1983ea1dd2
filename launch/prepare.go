package launch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/trtperf/trtperf/launch/tree"
	"github.com/trtperf/trtperf/parse"
)

// prepareLimit is how long a command may take that makes a job's script.
const prepareLimit = 2 * time.Minute

// Prepare runs what makes the job's script, and compares the script with what was meant, before anything is submitted. A plan without such
// commands is prepared by its files alone.
func (p *Plan) Prepare(ctx context.Context, environ []string) error {
	for _, c := range p.Preparation {
		if err := p.prepare(ctx, c, environ); err != nil {
			return err
		}
	}
	if p.Way != Tree {
		return nil
	}
	text, err := os.ReadFile(p.Path(generatedName))
	if err != nil {
		return err
	}
	meant := tree.Meant{Env: p.Environment, Worker: p.treeArgv("", p.Path(readBackResults)), Other: p.treeArgv(parse.DisaggServer, p.Path(readBackResults)),
		Aggregated: p.Hardware.Aggregated != nil, Counts: map[string]int{"totalNodes": p.Hardware.Nodes}}
	if h := p.Hardware; h.Generation != nil {
		meant.Counts["numCtxServers"], meant.Counts["numGenServers"] = cmp.Or(h.Context, &Servers{}).Count, h.Generation.Count
	}
	if err := p.Spec.Launcher.ReadBack(ctx, p.Path(generatedName), string(text), meant); err != nil {
		return fmt.Errorf("the job is not submitted, since submit.py has made another one than was meant: %w; --submit native does without it", err)
	}
	return nil
}

func (p *Plan) prepare(ctx context.Context, c Command, environ []string) error {
	ctx, cancel := context.WithTimeout(ctx, prepareLimit)
	defer cancel()
	if c.Makes != "" {
		// A command that fails would leave an older one.
		if err := os.Remove(p.Path(c.Makes)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	command := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	command.Dir, command.Env = c.Dir, append(slices.Clone(environ), c.Env...)
	command.WaitDelay = time.Second
	var complaint, out bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaint
	err := command.Run()
	if c.Log != "" {
		if err := os.WriteFile(p.Path(c.Log), slices.Concat(out.Bytes(), complaint.Bytes()), 0o666); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("%s failed: %s (%w); its output is %s", c.Name, lastLine(complaint.Bytes()), err, p.Path(c.Log))
	}
	if _, err := os.Stat(p.Path(c.Makes)); err != nil {
		return fmt.Errorf("%s ended well and made no %s: %s", c.Name, c.Makes, strings.TrimSpace(lastLine(out.Bytes())))
	}
	return nil
}
