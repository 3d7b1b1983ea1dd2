package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Meant is what a job's script is to do.
type Meant struct {
	// Worker, Other and Aggregated are the commands of workers, of router and client, and of an aggregated test's only step: variables,
	// then words.
	Env []string
	// Worker is a worker's argument list, Other that of router and client, in which the launcher of ranks has no place.
	Worker, Other []string
	Aggregated    bool
	// Counts are the script's variables for servers and nodes, such as totalNodes.
	Counts map[string]int
}

// ReadBack reads the role commands that submit.py has put into a job's script and compares them with what was meant. A script whose syntax
// is right may still run nothing: submit.py drops words from the commands, and a quote with them. The exports are evaluated by a Bash of
// their own.
func (l *Launcher) ReadBack(ctx context.Context, name, text string, m Meant) error {
	values, err := exports(ctx, name, text)
	if err != nil {
		return err
	}
	variables := map[string][]string{"pytestCommandWorker": m.Worker, "pytestCommandDisaggServer": m.Other, "pytestCommandBenchmark": m.Other}
	switch {
	case m.Aggregated:
		variables = map[string][]string{"pytestCommand": m.Worker}
	case l.Version == V3:
		delete(variables, "pytestCommandWorker")
		variables["pytestCommandCTXWorker"], variables["pytestCommandGENWorker"] = m.Worker, m.Worker
	}
	var faults []error
	for variable, want := range variables {
		if err := compare(values[variable], m.Env, want); err != nil {
			faults = append(faults, fmt.Errorf("%s: %s: %w", name, variable, err))
		}
	}
	for variable, want := range m.Counts {
		if got := values[variable]; got != fmt.Sprint(want) {
			faults = append(faults, fmt.Errorf("%s: %s is %q, and the plan has %d", name, variable, got, want))
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}

// exports evaluates the exports before the draft.
func exports(ctx context.Context, name, text string) (map[string]string, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), name)
	if err != nil {
		return nil, fmt.Errorf("submit.py has made a script that no shell reads: %w", err)
	}
	var script bytes.Buffer
	printer := syntax.NewPrinter()
	var names []string
	for _, s := range file.Stmts {
		if call, ok := s.Cmd.(*syntax.CallExpr); ok && len(call.Assigns) == 1 && call.Assigns[0].Name.Value == "srunArgs" {
			break
		}
		clause, ok := s.Cmd.(*syntax.DeclClause)
		if !ok || clause.Variant.Value != "export" {
			continue
		}
		for _, a := range clause.Args {
			if a.Name != nil {
				names = append(names, a.Name.Value)
			}
		}
		if err := printer.Print(&script, s); err != nil {
			return nil, err
		}
		script.WriteString("\n")
	}
	for _, n := range names {
		fmt.Fprintf(&script, "printf '%%s=%%s\\0' %s \"${%[1]s-}\"\n", n)
	}
	command := exec.CommandContext(ctx, "bash", "--noprofile", "--norc", "-c", script.String())
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: Bash cannot evaluate its exports: %w", name, err)
	}
	values := map[string]string{}
	for pair := range strings.SplitSeq(string(out), "\x00") {
		if n, v, ok := strings.Cut(pair, "="); ok {
			values[n] = v
		}
	}
	return values, nil
}

// compare wants a command to run exactly the words, with at least the variables.
func compare(command string, env, want []string) error {
	if strings.TrimSpace(command) == "" {
		return errors.New("is missing or empty: that role would run nothing")
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(command), "")
	if err != nil {
		return fmt.Errorf("no shell reads %q: %w", command, err)
	}
	var last *syntax.CallExpr
	syntax.Walk(file, func(n syntax.Node) bool {
		if c, ok := n.(*syntax.CallExpr); ok {
			last = c
		}
		return true
	})
	if last == nil || len(last.Args) == 0 {
		return fmt.Errorf("%q runs nothing", command)
	}
	text := func(n syntax.Node) string { return command[n.Pos().Offset():n.End().Offset()] }
	var words, set []string
	for _, w := range last.Args {
		words = append(words, text(w))
	}
	for _, a := range last.Assigns {
		set = append(set, text(a))
	}
	if !slices.Equal(words, want) {
		return fmt.Errorf("runs %q, and %q was meant", strings.Join(words, " "), strings.Join(want, " "))
	}
	for _, e := range env {
		if !slices.Contains(set, e) {
			return fmt.Errorf("lacks %s", e)
		}
	}
	return nil
}
