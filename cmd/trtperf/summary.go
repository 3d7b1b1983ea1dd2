package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/parse"
)

// summaryRows is the most Results that a summary lists; it is for a page that a person looks at.
const summaryRows = 100

// summary collects what a command found for a short page in Markdown, such as the description of a Jenkins build. A nil summary collects
// nothing.
type summary struct {
	path    string
	results []*parse.Result
	more    int
	// notes are lines that stand above the table.
	notes []string
}

func newSummary(path string) *summary {
	if path == "" {
		return nil
	}
	return &summary{path: path}
}

// result adds a Result, or replaces what was known of it.
func (s *summary) result(r *parse.Result) {
	if s == nil {
		return
	}
	light := *r
	light.Rows, light.Metrics = nil, slices.Clone(r.Metrics) // r may be recycled
	for i, old := range s.results {
		if old.ID == r.ID {
			s.results[i] = &light
			return
		}
	}
	if len(s.results) == summaryRows {
		s.more++
		return
	}
	s.results = append(s.results, &light)
}

// note adds a line.
func (s *summary) note(format string, args ...any) {
	if s != nil {
		s.notes = append(s.notes, fmt.Sprintf(format, args...))
	}
}

// markdown keeps a text from ending a table's cell or being taken for markup.
var markdown = strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "<", "&lt;", "`", "'")

// write writes the page, whole or not at all.
func (s *summary) write(l *parse.Ledger) error {
	if s == nil {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**: %d valid, %d failed results; %d failed tests; %d inputs could not be read\n", exitWords(l.Exit), l.Results.Valid, l.Results.Failed,
		l.Tests.Failed, l.Inputs.Failed)
	for _, note := range s.notes {
		fmt.Fprintf(&b, "\n%s\n", markdown.Replace(note))
	}
	if len(s.results) > 0 {
		head, rule := []string{"status", "test", "client"}, []string{"---", "---", "---"}
		for _, c := range tableColumns {
			head, rule = append(head, strings.ToLower(c.head)), append(rule, "---:")
		}
		fmt.Fprintf(&b, "\n| %s |\n| %s |\n", strings.Join(head, " | "), strings.Join(rule, " | "))
		for _, r := range s.results {
			status := string(r.Status)
			for _, reason := range r.Reasons {
				status += " " + string(reason.Code)
			}
			cells := []string{status, resultName(r), named(r.Client.Index, r.Client.Name)}
			for _, c := range tableColumns {
				cells = append(cells, metricText(r, c.metric))
			}
			for i := range cells {
				cells[i] = markdown.Replace(cells[i])
			}
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		}
		if s.more > 0 {
			fmt.Fprintf(&b, "\nand %d more results\n", s.more)
		}
	}
	for _, target := range slices.Sorted(maps.Keys(l.Targets)) {
		t := l.Targets[target]
		fmt.Fprintf(&b, "\n%s: %d stored, %d present, %d refused, %d owed, %d withheld\n", markdown.Replace(target), t.Stored, t.Present, t.Refused, t.Owed, t.Withheld)
	}
	return launch.WriteFile(s.path, []byte(b.String()))
}
