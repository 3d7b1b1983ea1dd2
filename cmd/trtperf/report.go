package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/trtperf/trtperf/parse"
)

// reporter tells what happens: as events for programs on standard output, or as text for people.
type reporter struct {
	events io.Writer // nil without --json
	text   io.Writer
	quiet  bool
	// verbose also prints notes.
	verbose bool
	// notes counts the notes that were not printed, by code.
	notes map[string]int
	shown []*parse.Result
	// row is the place in shown of each identity.
	row map[string]int
	err error
	// progress is shown while inputs are read; nil otherwise.
	progress *progress
	summary  *summary
}

func newReporter(s *settings, std stdio) *reporter {
	r := &reporter{text: std.out, quiet: s.quiet, verbose: s.verbose, notes: map[string]int{}, row: map[string]int{}, summary: newSummary(s.summary)}
	if s.json {
		r.events, r.text = std.out, std.err
	}
	return r
}

// writeJSON writes one event.
func writeJSON(w io.Writer, event any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(event)
}

func (r *reporter) event(event any) {
	if r.events != nil && r.err == nil {
		r.err = writeJSON(r.events, event)
	}
}

// say prints a line for people.
func (r *reporter) say(format string, args ...any) {
	if !r.quiet {
		r.print(fmt.Sprintf(format, args...) + "\n")
	}
}

// warn prints a line for people, also with --quiet.
func (r *reporter) warn(format string, args ...any) {
	r.print("warning  " + fmt.Sprintf(format, args...) + "\n")
}

func (r *reporter) print(text string) {
	if r.progress != nil {
		r.progress.clear()
	}
	if _, err := io.WriteString(r.text, text); err != nil && r.err == nil {
		r.err = err
	}
}

type resultEvent struct {
	Kind string `json:"kind"`
	*parse.Result
}

// result tells of a Result that is new to this command, or whose status a later input has changed.
func (r *reporter) result(x *parse.Result) {
	r.event(resultEvent{"result", x})
	r.summary.result(x)
	if !r.quiet {
		light := *x
		light.Rows, light.Metrics = nil, slices.Clone(x.Metrics) // x may be recycled
		if i, ok := r.row[x.ID]; ok {
			r.shown[i] = &light
			return
		}
		r.row[x.ID] = len(r.shown)
		if r.shown = append(r.shown, &light); len(r.shown) == tableRows {
			r.results()
		}
	}
}

// tableRows is the most that one table has. More Results are shown in several, since the columns of one are known at its end.
const tableRows = 1000

type skippedEvent struct {
	Kind string `json:"kind"`
	parse.Skipped
}

func (r *reporter) skipped(x parse.Skipped) {
	r.event(skippedEvent{"skipped", x})
	role := ""
	if x.Role != "" {
		role = " [" + string(x.Role) + "]"
	}
	r.say("skipped  %s%s: %s", x.Path, role, x.Reason)
}

type diagnosticEvent struct {
	Kind string `json:"kind"`
	parse.Diagnostic
}

func (r *reporter) diagnostic(d parse.Diagnostic) {
	r.event(diagnosticEvent{"diagnostic", d})
	if d.Severity == parse.Info && !r.verbose {
		r.notes[d.Code]++
		return
	}
	if r.quiet && d.Severity != parse.Error {
		return
	}
	word := map[parse.Severity]string{parse.Info: "note", parse.Warning: "warning", parse.Error: "error"}[d.Severity]
	place := d.File
	if d.Line > 0 {
		place += ":" + strconv.Itoa(d.Line)
	}
	if place != "" {
		place += ": "
	}
	r.print(fmt.Sprintf("%-8s %s%s (%s)\n", word, place, d.Message, d.Code))
}

type duplicateEvent struct {
	Kind string `json:"kind"`
	parse.Duplicate
}

func (r *reporter) duplicate(id string, at parse.Source, known parse.Source) {
	if r.events == nil && r.quiet {
		return // there may be many
	}
	r.event(duplicateEvent{"duplicate", parse.Duplicate{ID: id, Source: at}})
	r.say("copy     %s block %d: the result is known from %s block %d", at.File, at.Block, known.File, known.Block)
}

type deliveryEvent struct {
	Kind string `json:"kind"`
	parse.Delivery
}

func (r *reporter) delivery(d parse.Delivery) {
	r.event(deliveryEvent{"delivery", d})
	switch {
	case d.Outcome == parse.Refused || d.Outcome == parse.Withheld:
		r.say("%-8s %s to %s: %s", d.Outcome, d.ID[:12], d.Target, d.Reason)
	case r.verbose:
		r.say("%-8s %s to %s", d.Outcome, d.ID[:12], d.Target)
	}
}

type ledgerEvent struct {
	Kind string `json:"kind"`
	*parse.Ledger
}

// ledger ends the command's output. A command that reads no inputs says nothing of them to people.
func (r *reporter) ledger(l *parse.Ledger, readsInputs bool) {
	r.event(ledgerEvent{"ledger", l})
	for _, note := range []struct{ code, text string }{
		{parse.UnknownLabel, "printed labels that the metric table does not know"},
		{"", "further notes"},
	} {
		n := 0
		for code, count := range r.notes {
			if (code == parse.UnknownLabel) == (note.code != "") {
				n += count
			}
		}
		if n > 0 {
			r.say("%d %s; -v prints them", n, note.text)
		}
	}
	if readsInputs {
		shards := ""
		if n := l.Inputs.OtherShards; n > 0 {
			shards = fmt.Sprintf("; %d left to other shards", n)
		}
		if n := l.Inputs.Unchanged; n > 0 {
			shards = fmt.Sprintf("; %d of them unchanged since they were read before%s", n, shards)
		}
		r.say("inputs   %d read, %d skipped, %d failed%s", l.Inputs.Read, l.Inputs.Skipped, l.Inputs.Failed, shards)
		r.say("results  %d valid, %d failed, %d copies; %d failed tests", l.Results.Valid, l.Results.Failed, l.Results.Duplicate, l.Tests.Failed)
	}
	for _, target := range slices.Sorted(maps.Keys(l.Targets)) {
		t := l.Targets[target]
		r.say("target   %s: %d stored, %d present, %d refused, %d owed, %d withheld", target, t.Stored, t.Present, t.Refused, t.Owed, t.Withheld)
	}
}

// tableColumns are the columns of the table of results, the metrics among them by name.
var tableColumns = []struct{ head, metric string }{
	{"REQ/S", "seq_throughput"}, {"TOK/S", "token_throughput"}, {"TTFT MS", "median_ttft"}, {"TPOT MS", "median_tpot"},
	{"ITL MS", "median_itl"}, {"E2EL MS", "median_e2el"},
}

// results prints the table of Results. Times are medians.
func (r *reporter) results() {
	if r.quiet || len(r.shown) == 0 {
		return
	}
	w := tabwriter.NewWriter(r.text, 0, 8, 2, ' ', 0)
	head := []string{"STATUS", "TEST", "SERVER", "CLIENT", "CON"}
	for _, c := range tableColumns {
		head = append(head, c.head)
	}
	fmt.Fprintln(w, strings.Join(append(head, "ID"), "\t"))
	for _, x := range r.shown {
		cells := []string{string(x.Status), resultName(x), named(x.Server.Index, x.Server.Name), named(x.Client.Index, x.Client.Name), number(x.Client.Concurrency)}
		for _, c := range tableColumns {
			cells = append(cells, metricText(x, c.metric))
		}
		fmt.Fprintln(w, strings.Join(append(cells, x.ID[:12]), "\t"))
	}
	if err := w.Flush(); err != nil && r.err == nil {
		r.err = err
	}
	for _, x := range r.shown {
		for _, reason := range x.Reasons {
			r.say("failed   %s: %s (%s)", x.ID[:12], reason.Message, reason.Code)
		}
	}
	r.shown = nil
	clear(r.row)
}

// resultName is a Result's test, or where it stands.
func resultName(r *parse.Result) string {
	if test := r.TestID.String(); test != "" {
		return test
	}
	return fmt.Sprintf("%s block %d", r.Source.File, r.Source.Block)
}

// metricText is a metric as printed, or "-".
func metricText(r *parse.Result, name string) string {
	if v, ok := r.Metrics.Lookup(name); ok {
		return v.Text
	}
	return "-"
}

// named shows an index and a name, as far as they are known.
func named(index *int, name string) string {
	switch {
	case index != nil && name != "":
		return fmt.Sprintf("%d %s", *index, name)
	case index != nil:
		return strconv.Itoa(*index)
	case name != "":
		return name
	}
	return "-"
}

func number(n *int) string {
	if n == nil {
		return "-"
	}
	return strconv.Itoa(*n)
}
