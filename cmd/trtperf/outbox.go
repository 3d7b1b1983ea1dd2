package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/sqlite"
)

// outboxEvent is the state of one target.
type outboxEvent struct {
	Kind      string    `json:"kind"`
	Target    string    `json:"target"`
	Stored    int       `json:"stored"`
	Owed      int       `json:"owed"`
	Refused   int       `json:"refused"`
	Withheld  int       `json:"withheld"`
	Attempts  int       `json:"attempts,omitempty"`
	OwedSince time.Time `json:"owed_since,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

// showOutbox prints what each target is owed, and with -v or as events what each refused.
func (p *pipeline) showOutbox(ctx context.Context, db *sqlite.DB) error {
	status, err := db.Status(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.report.text, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "TARGET\tSTORED\tOWED\tREFUSED\tWITHHELD\tTRIES\tOWED SINCE\tLAST REASON")
	for _, st := range status {
		p.report.event(outboxEvent{"outbox", st.Target, st.Stored, st.Owed, st.Refused, st.Withheld, st.Attempts, st.OwedSince, st.LastReason})
		since := "-"
		if !st.OwedSince.IsZero() {
			since = st.OwedSince.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", st.Target, st.Stored, st.Owed, st.Refused, st.Withheld, st.Attempts, since, st.LastReason)
		if st.Owed+st.Refused > 0 {
			p.condition(exitOwed)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, st := range status {
		if st.Refused == 0 || !p.report.verbose && p.report.events == nil {
			continue
		}
		err := db.Receipts(ctx, st.Target, parse.Refused, func(r sqlite.Receipt) error {
			p.report.delivery(parse.Delivery{Target: st.Target, ID: r.ID, Outcome: parse.Refused, Reason: r.Reason})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// documentEvent is a document as it would be sent.
type documentEvent struct {
	Kind     string `json:"kind"`
	Target   string `json:"target"`
	ID       string `json:"id"`
	Document string `json:"document"`
}

// preview prints the documents that would be sent of what the paths hold, or without any of what is owed. It touches no network and no store.
func (p *pipeline) preview(ctx context.Context, d *dispatch, paths []string) error {
	show := func(t upload.Target, items func(yield func(upload.Item) error) error) error {
		settings := d.settings
		settings.Preview = true
		store, err := t.Open(ctx, settings)
		if err != nil {
			return usagef("--to %s: %w", t, err)
		}
		defer func() { _ = store.Close() }() // nothing was written
		previewer, ok := store.(upload.Previewer)
		if !ok {
			return fmt.Errorf("%s: its kind of store shows no documents", t)
		}
		return items(func(item upload.Item) error {
			text, err := previewer.Preview(item)
			if err != nil {
				p.report.diagnostic(parse.Diagnostic{Severity: parse.Error, Code: "target", Message: fmt.Sprintf("%s: %s would be refused: %v", t, item.Result.ID[:12], err)})
				p.condition(exitOwed)
				return nil
			}
			p.report.event(documentEvent{"document", t.String(), item.Result.ID, string(text)})
			p.report.say("document %s to %s:\n%s", item.Result.ID[:12], t, text)
			return nil
		})
	}
	if len(paths) > 0 {
		p.kept, p.store = newKept(math.MaxInt), &memory{}
		err := p.read(ctx, paths)
		for _, t := range d.targets {
			if err != nil {
				break
			}
			err = show(t, func(yield func(upload.Item) error) error {
				return p.kept.each(func(r *parse.Result) error {
					if why := p.withhold(r); why != "" {
						p.report.delivery(parse.Delivery{Target: t.String(), ID: r.ID, Outcome: parse.Withheld, Reason: why})
						return nil
					}
					return yield(upload.Item{Result: r})
				})
			})
		}
		return p.finish(ctx, err)
	}
	db, err := sqlite.OpenToRead(ctx, p.settings.database(), sqlite.Wait(p.settings.dbWait))
	if err != nil {
		return p.finish(ctx, &codeError{exitUsage, err})
	}
	p.outboxOnly = true
	targets, err := p.outboxTargets(ctx, db, d)
	for _, t := range targets {
		if err != nil {
			break
		}
		err = show(t, func(yield func(upload.Item) error) error {
			behind := ""
			for {
				items, err := db.Owed(ctx, t.String(), behind, d.policy.Batch, true, nil)
				if err != nil || len(items) == 0 {
					return err
				}
				for _, item := range items {
					if err := yield(item); err != nil {
						return err
					}
					behind = item.Result.ID
				}
			}
		})
	}
	return p.finish(ctx, errors.Join(err, db.Close()))
}

// outboxTargets are the chosen targets, else all that the outbox names.
func (p *pipeline) outboxTargets(ctx context.Context, db *sqlite.DB, d *dispatch) ([]upload.Target, error) {
	if len(d.targets) > 0 {
		return d.targets, nil
	}
	names, err := db.Targets(ctx)
	if err != nil {
		return nil, err
	}
	var targets []upload.Target
	for _, name := range names {
		t, err := kinds().Parse(name)
		if err != nil {
			return nil, fmt.Errorf("the outbox names a target %q: %w", name, err)
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// findingEvent is a Result about which a target and the local store do not agree.
type findingEvent struct {
	Kind    string `json:"kind"`
	Target  string `json:"target"`
	ID      string `json:"id"`
	Finding string `json:"finding"` // missing, extra, differing
	Message string `json:"message"`
}

// verifiedEvent counts what a target holds beside the local store.
type verifiedEvent struct {
	Kind      string `json:"kind"`
	Target    string `json:"target"`
	Same      int    `json:"same"`
	Missing   int    `json:"missing"`
	Extra     int    `json:"extra"`
	Differing int    `json:"differing"`
}

func verifyCommand(s *settings, std stdio) *cobra.Command {
	var repair bool
	c := &cobra.Command{
		Use:   "verify",
		Short: "Hold what targets have against the local store: what is missing, extra or differs",
		Long: "Ask each --to, else every target of the outbox, for all results that it has, and hold them against what the local store\n" +
			"says was delivered. Missing ones and those with another value or validity make exit code 6; --repair owes them again, and\n" +
			"trtperf upload --resume sends them. Extra ones, which another local store may have sent, are told of.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, d, err := newDelivery(s, std)
			if err != nil {
				return err
			}
			if _, err := os.Stat(s.database()); err != nil {
				return usagef("upload verify: no local store: %w: name it with --db", err)
			}
			p.outboxOnly = true
			return p.withStore(cmd.Context(), func(ctx context.Context, db *sqlite.DB) error {
				targets, err := p.outboxTargets(ctx, db, d)
				if err != nil {
					return err
				}
				for _, t := range targets {
					if err := p.verify(ctx, db, d, t, repair); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	s.addStore(c.Flags())
	s.addTargets(c.Flags())
	s.addOutputDir(c.Flags())
	c.Flags().BoolVar(&repair, "repair", false, "owe again what is missing or differs")
	return c
}

// verify holds one target against the local store.
func (p *pipeline) verify(ctx context.Context, db *sqlite.DB, d *dispatch, t upload.Target, repair bool) error {
	target := t.String()
	failed := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.report.diagnostic(parse.Diagnostic{Severity: parse.Error, Code: "target", Message: fmt.Sprintf("%s: it cannot be verified: %v", target, err)})
		p.condition(exitOwed)
		return nil
	}
	store, err := t.Open(ctx, d.settings)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = store.Close() }() // nothing was written
	inventory, ok := store.(upload.Inventory)
	if !ok {
		return failed(errors.New("its kind of store does not list what it holds"))
	}
	counts := verifiedEvent{Kind: "verified", Target: target}
	var again []string
	find := func(id, finding, format string, args ...any) {
		message := fmt.Sprintf(format, args...)
		p.report.event(findingEvent{"verify", target, id, finding, message})
		p.report.say("%-9s %s at %s: %s", finding, id[:min(12, len(id))], target, message)
		if finding != "extra" {
			again = append(again, id)
			p.condition(exitOwed)
		}
	}
	seen := map[identity]string{}
	err = inventory.Held(ctx, func(h upload.Held) error {
		key := identityOf(h.ID)
		if _, twice := seen[key]; twice {
			counts.Differing++
			find(h.ID, "differing", "the target has it more than once")
			return nil
		}
		seen[key] = ""
		r, err := db.Result(ctx, h.ID)
		if err != nil {
			return err
		}
		if r == nil {
			counts.Extra++
			find(h.ID, "extra", "the local store does not know it")
			return nil
		}
		seen[key] = difference(r, h)
		return nil
	})
	if err != nil {
		return failed(err)
	}
	// What is owed or refused may differ or be missing; that is known already.
	err = db.Receipts(ctx, target, parse.Stored, func(r sqlite.Receipt) error {
		switch why, there := seen[identityOf(r.ID)]; {
		case !there:
			counts.Missing++
			find(r.ID, "missing", "it was delivered and is not there")
		case why != "" && r.Current:
			counts.Differing++
			find(r.ID, "differing", "%s", why)
		default:
			counts.Same++
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.report.event(counts)
	p.report.say("verified %s: %d the same, %d missing, %d extra, %d differing", target, counts.Same, counts.Missing, counts.Extra, counts.Differing)
	if !repair || len(again) == 0 {
		return nil
	}
	if err := db.OweAgain(ctx, target, again); err != nil {
		return err
	}
	p.report.say("%d results are owed again: trtperf upload --resume --db %s delivers them", len(again), p.settings.database())
	return nil
}

// difference says in what a store's copy of a Result differs, or nothing. Metrics that a store has no place for do not count.
func difference(r *parse.Result, h upload.Held) string {
	if h.Valid != nil && *h.Valid != r.Valid() {
		return fmt.Sprintf("valid is %t there and %t here", *h.Valid, r.Valid())
	}
	for name, there := range h.Metrics {
		switch here, ok := r.Metrics.Lookup(name); {
		case !ok:
			return fmt.Sprintf("%s is %v there and was not measured here", name, there)
		case here.Value != there:
			return fmt.Sprintf("%s is %v there and %v here", name, there, here.Value)
		}
	}
	return ""
}
