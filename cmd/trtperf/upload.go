package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/opensearch"
	"github.com/trtperf/trtperf/upload/posting"
	"github.com/trtperf/trtperf/upload/sqlite"
	"github.com/trtperf/trtperf/upload/trtperfdb"
)

// kinds are the kinds of stores.
func kinds() upload.Kinds {
	return upload.Kinds{sqlite.Kind(), opensearch.Kind(), posting.Kind(), trtperfdb.Kind()}
}

// dispatch is where a command delivers to.
type dispatch struct {
	targets  []upload.Target
	settings upload.Settings
	policy   upload.Policy
}

// newDelivery returns a pipeline and where it delivers to.
func newDelivery(s *settings, std stdio) (*pipeline, *dispatch, error) {
	p, err := newPipeline(s, std)
	if err != nil {
		return nil, nil, err
	}
	d, err := s.dispatch(std)
	return p, d, err
}

// dispatch reads the targets of the command line and the credentials of the environment.
func (s *settings) dispatch(std stdio) (*dispatch, error) {
	d := &dispatch{policy: upload.DefaultPolicy(), settings: upload.Settings{Getenv: std.getenv, CAFile: s.caFile, Table: parse.Metrics()}}
	d.policy.Deadline = s.deadline
	for _, text := range s.to {
		if text == "" {
			continue // --to= is none, also where the settings file names some
		}
		t, err := kinds().Parse(text)
		if err != nil {
			return nil, usagef("--to: %w", err)
		}
		// What is wrong with what the user wrote is known before anything is read.
		if err := t.Check(d.settings); err != nil {
			return nil, usagef("--to %s: %w", t, err)
		}
		d.targets = append(d.targets, t)
	}
	return d, nil
}

// deliver delivers all that the targets are owed, the command's Results among it.
func (p *pipeline) deliver(ctx context.Context, db *sqlite.DB, d *dispatch) error {
	if len(d.targets) == 0 {
		return nil
	}
	var all []*sending
	for _, t := range d.targets {
		s := &sending{target: t}
		err := db.Receipts(ctx, t.String(), parse.Withheld, func(r sqlite.Receipt) error {
			if _, ours := p.seen[identityOf(r.ID)]; ours {
				s.tally.Add(parse.Withheld)
				p.report.delivery(parse.Delivery{Target: t.String(), ID: r.ID, Outcome: parse.Withheld, Reason: r.Reason})
			}
			return nil
		})
		if err == nil {
			s.owed, err = db.OwedCount(ctx, t.String())
		}
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	return p.deliverTo(ctx, db, d, all)
}

// sending is one target's part of a delivery.
type sending struct {
	target upload.Target
	tally  parse.Tally
	owed   int // when the delivery began
	err    error
}

// withhold says why a Result is not delivered, or nothing.
func (p *pipeline) withhold(r *parse.Result) string {
	switch {
	case r.TestID.Upload == parse.UploadNo && !p.settings.uploadAll:
		return "its test id does not ask for upload; --upload-all delivers it"
	case !r.Valid() && !p.settings.includeFailed:
		return "the result is failed; --include-failed delivers it, as not valid"
	}
	return ""
}

// deliverTo delivers what targets are owed, to all of them at the same time, so that a slow or dead one holds up no other, and counts it.
func (p *pipeline) deliverTo(ctx context.Context, db *sqlite.DB, d *dispatch, all []*sending) error {
	for _, s := range all {
		p.owing[s.target.String()] = s.owed + s.tally.Withheld
	}
	before, err := db.Version(ctx)
	if err != nil {
		return err
	}
	var telling sync.Mutex
	var working sync.WaitGroup
	for _, s := range all {
		working.Go(func() { p.deliverOne(ctx, db, d, s, &telling) })
	}
	working.Wait()
	after, err := db.Version(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.err != nil {
			return s.err
		}
		if n := s.tally.Total() - s.tally.Withheld - s.owed; before != after && n < 0 {
			s.tally.Present -= n // another command, at the same time, delivered them
		} else if before != after {
			p.owing[s.target.String()] += n // another command owed more
		}
		if err := p.delivered(ctx, db, s); err != nil {
			return err
		}
	}
	return nil
}

// deliverOne opens one target and delivers what it is owed. What it prints it prints while it holds telling, in the order of the Results.
func (p *pipeline) deliverOne(ctx context.Context, db *sqlite.DB, d *dispatch, s *sending, telling *sync.Mutex) {
	target, settings := s.target.String(), d.settings
	settings.Note = func(text string) {
		telling.Lock()
		defer telling.Unlock()
		p.report.say("%s: %s", target, text)
	}
	store, err := s.target.Open(ctx, settings)
	if err != nil {
		telling.Lock()
		defer telling.Unlock()
		// The outbox keeps it all; the message says what to do.
		p.report.diagnostic(parse.Diagnostic{Severity: parse.Error, Code: "target", Message: fmt.Sprintf("%s: %v; %d results stay owed", target, err, s.owed)})
		s.tally.Owed += s.owed
		s.err = ctx.Err()
		return
	}
	sent, err := upload.Deliver(ctx, db, target, store, d.policy, func(one parse.Delivery) {
		telling.Lock()
		defer telling.Unlock()
		p.report.delivery(one)
	})
	s.tally.Stored, s.tally.Present, s.tally.Refused, s.tally.Owed = sent.Stored, sent.Present, sent.Refused, sent.Owed
	s.err = errors.Join(err, store.Close())
}

// delivered notes what became of one target's part.
func (p *pipeline) delivered(ctx context.Context, db *sqlite.DB, s *sending) error {
	target, tally := s.target.String(), s.tally
	p.ledger.Targets[target] = tally
	if tally.Owed+tally.Refused == 0 {
		return nil
	}
	p.condition(exitOwed)
	st, err := statusOf(ctx, db, target)
	if err != nil {
		return err
	}
	if tally.Owed > 0 {
		p.report.warn("%d results are still owed to %s: %s; they are kept in %s, and trtperf upload --resume --db %s delivers them",
			tally.Owed, target, st.LastReason, p.settings.database(), p.settings.database())
	}
	if tally.Refused > 0 {
		p.refused(st)
	}
	return nil
}

func uploadCommand(s *settings, std stdio) *cobra.Command {
	var resume, status, retry, dryRun bool
	c := &cobra.Command{
		Use:   "upload PATH…",
		Short: "Read results, commit them to the local store and deliver them; or deliver what is owed with --resume",
		Long: "Read run directories, benchmark logs and results.xml files, commit every result to the local store and deliver\n" +
			"from there to every --to. Without PATHs: --resume delivers what is owed to any target (or to --to alone), --status shows\n" +
			"what is owed, --retry-refused sends once more what a target refused. --dry-run prints the exact documents and sends none.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if modes := count(resume, status, retry); modes > 1 || (modes == 1) == (len(args) > 0) {
				return usagef("upload: name files and directories, or one of --resume, --status and --retry-refused")
			}
			if dryRun && (status || retry) {
				return usagef("upload: --dry-run goes with files and directories, or with --resume")
			}
			if len(args) > 0 && len(s.to) == 0 {
				return usagef("upload: no target: name one with --to")
			}
			p, d, err := newDelivery(s, std)
			if err != nil {
				return err
			}
			if dryRun {
				return p.preview(cmd.Context(), d, args)
			}
			if len(args) > 0 {
				p.targets = d.targets
				debug.SetMemoryLimit(uploadSoftLimit)
				return p.withStore(cmd.Context(), func(ctx context.Context, db *sqlite.DB) error {
					if err := p.read(ctx, args); err != nil {
						return err
					}
					debug.SetMemoryLimit(deliverySoftLimit)
					return p.deliver(ctx, db, d)
				})
			}
			if _, err := os.Stat(s.database()); err != nil {
				return usagef("upload: no local store: %w: name it with --db", err)
			}
			p.outboxOnly = true
			return p.withStore(cmd.Context(), func(ctx context.Context, db *sqlite.DB) error {
				if status {
					return p.showOutbox(ctx, db)
				}
				debug.SetMemoryLimit(deliverySoftLimit)
				return p.resume(ctx, db, d, retry)
			})
		},
	}
	s.addReading(c.Flags())
	s.addFailed(c.Flags())
	s.addStore(c.Flags())
	s.addReread(c.Flags())
	s.addTargets(c.Flags())
	s.addOutputDir(c.Flags())
	c.Flags().BoolVar(&resume, "resume", false, "deliver what is owed from earlier commands")
	c.Flags().BoolVar(&status, "status", false, "show what is stored, owed, refused and withheld for each target")
	c.Flags().BoolVar(&retry, "retry-refused", false, "send once more what a target refused, with all that is owed")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be done, and do nothing")
	c.AddCommand(initCommand(s, std), verifyCommand(s, std))
	return c
}

// initEvent is something that was made at a target.
type initEvent struct {
	Kind   string `json:"kind"`
	Target string `json:"target"`
	Done   string `json:"done"`
}

func initCommand(s *settings, std stdio) *cobra.Command {
	var index bool
	c := &cobra.Command{
		Use:   "init",
		Short: "Make what a target needs: the tables of an empty schema, an index template",
		Long: "Make what each --to needs and lacks. Tables that are there are never altered, but for --index, which adds the indexes that the\n" +
			"look-ups of a large TRT_perf want. What does not fit is refused and named.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(s.to) == 0 {
				return usagef("upload init: no target: name one with --to")
			}
			p, d, err := newDelivery(s, std)
			if err != nil {
				return err
			}
			p.outboxOnly = true
			for _, t := range d.targets {
				var done []string
				var err error
				if t.CanInit() {
					done, err = t.Init(cmd.Context(), d.settings, index)
				}
				for _, line := range done {
					p.report.event(initEvent{"init", t.String(), line})
					p.report.say("%s: %s", t, line)
				}
				if err != nil {
					p.report.diagnostic(parse.Diagnostic{Severity: parse.Error, Code: "target", Message: fmt.Sprintf("%s: %v", t, err)})
					p.condition(exitOwed)
				} else if len(done) == 0 {
					p.report.say("%s: nothing to make", t)
				}
			}
			return p.finish(cmd.Context(), nil)
		},
	}
	s.addTargets(c.Flags())
	c.Flags().BoolVar(&index, "index", false, "add missing indexes to tables that are there")
	return c
}

func count(flags ...bool) int {
	n := 0
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}

// resume delivers what is owed from earlier commands. What a target refused stays refused, and is said, unless it is to be sent again.
func (p *pipeline) resume(ctx context.Context, db *sqlite.DB, d *dispatch, retry bool) error {
	targets, err := p.outboxTargets(ctx, db, d)
	if err != nil {
		return err
	}
	var all []*sending
	for _, t := range targets {
		if retry {
			if _, err := db.Retry(ctx, t.String()); err != nil {
				return err
			}
		}
		refused, err := db.RefusedCount(ctx, t.String())
		if err != nil {
			return err
		}
		if refused > 0 {
			st, err := statusOf(ctx, db, t.String())
			if err != nil {
				return err
			}
			p.condition(exitOwed)
			p.refused(st)
		}
		s := &sending{target: t}
		if s.owed, err = db.OwedCount(ctx, t.String()); err != nil {
			return err
		}
		if s.owed > 0 {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		p.report.say("nothing is owed")
		return nil
	}
	return p.deliverTo(ctx, db, d, all)
}

// refused says what a target has refused and how it is sent again.
func (p *pipeline) refused(st sqlite.TargetStatus) {
	p.report.warn("%d results were refused by %s: %s; when the cause is mended, trtperf upload --retry-refused --db %s sends them again",
		st.Refused, st.Target, st.LastReason, p.settings.database())
}

// statusOf is what the outbox knows of one target. All of its entries are read for that.
func statusOf(ctx context.Context, db *sqlite.DB, target string) (sqlite.TargetStatus, error) {
	all, err := db.Status(ctx)
	i := slices.IndexFunc(all, func(st sqlite.TargetStatus) bool { return st.Target == target })
	if err != nil || i < 0 {
		return sqlite.TargetStatus{Target: target}, err
	}
	return all[i], nil
}

// defaultDeadline is how long a target that takes nothing is asked.
const defaultDeadline = 30 * time.Second

// uploadSoftLimit is softLimit for upload, which holds the identities of all Results: a million of them take half of it.
const uploadSoftLimit = 64 << 20

// deliverySoftLimit is softLimit while upload delivers, when batches of Results are on their way besides.
const deliverySoftLimit = 76 << 20
