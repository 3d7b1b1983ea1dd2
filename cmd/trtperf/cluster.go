package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/trtperf/trtperf/launch"
	"github.com/trtperf/trtperf/launch/remote"
)

// far is a command's way to a cluster that is reached by ssh. All runs of a command share one connection.
type far struct {
	keyFile, program string
	patience         time.Duration
	keep             int

	mu      sync.Mutex
	session *remote.Session
}

func (f *far) close() {
	if f.session != nil {
		_ = f.session.Close()
	}
}

// connect returns the command's session with a cluster. The session outlives an interrupt, since it is needed to end what runs there.
func (l *launching) connect(ctx context.Context, c *remote.Cluster) (*remote.Session, error) {
	l.far.mu.Lock()
	defer l.far.mu.Unlock()
	if l.far.session != nil {
		return l.far.session, nil
	}
	key := l.far.keyFile
	if key == "" {
		key = l.std.getenv("TRTPERF_SSH_KEY")
	}
	session, err := remote.Dial(context.WithoutCancel(ctx), c, remote.Options{KeyFile: key, Patience: l.far.patience, Tell: func(line string) {
		l.event(launch.Event{Name: "ssh", State: "connection", Message: line})
	}})
	l.far.session = session
	return session, err
}

// farProgram is the program for the far side.
func (l *launching) farProgram(ctx context.Context, s *remote.Session) (string, error) {
	if l.far.program != "" {
		return l.far.program, nil
	}
	arch, err := s.Architecture(ctx)
	if err != nil {
		return "", err
	}
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	return remote.Program(own, runtime.GOARCH, arch)
}

// carryFar carries a plan out on a cluster that is reached by ssh: the plan is made for its place there, and the results come back into the workspace.
func (l *launching) carryFar(ctx context.Context, c *remote.Cluster, near *launch.Plan) error {
	workspace, tree := near.Workspace, near.Spec.Tree
	place, err := remote.PlaceOf(c, tree, near.RunID)
	if err != nil {
		return err
	}
	spec, err := place.Move(near.Spec)
	if err != nil {
		return usagef("launch: %w", err)
	}
	plan, err := launch.New(spec)
	if err != nil {
		return usagef("launch: %w", err)
	}
	l.show(plan)
	l.report.say("cluster   %s: %s, results come to %s", c.Name, place.Workspace, workspace)
	if l.dryRun {
		return l.report.err
	}
	text, err := plan.JSON()
	if err != nil {
		return err
	}
	if err := beginFar(workspace, place, text); err != nil {
		return usagef("launch: %w", err)
	}
	session, err := l.connect(ctx, c)
	var program string
	if err == nil {
		program, err = l.farProgram(ctx, session)
	}
	if err == nil {
		program, err = session.Prepare(ctx, program, tree, place, l.event)
	}
	if err != nil {
		return l.end(ctx, plan, launch.Outcome{Interrupted: ctx.Err() != nil}, err)
	}
	return l.followFar(ctx, session, program, plan, text, workspace)
}

// beginFar makes a run's directory on this side, which says where the run lies, so that --attach finds it whatever happens from here on.
func beginFar(workspace string, place remote.Place, plan []byte) error {
	if err := launch.MakeWorkspace(workspace); err != nil {
		return err
	}
	text, err := json.Marshal(place)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(workspace, launch.PlanFile), plan, 0o644),
		os.WriteFile(filepath.Join(workspace, remote.PlaceFile), append(text, '\n'), 0o644))
}

// readPlace reads where a run lies on a cluster; false where it is none of a cluster by ssh.
func readPlace(workspace string) (place remote.Place, ok bool, err error) {
	text, err := os.ReadFile(filepath.Join(workspace, remote.PlaceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return place, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &place)
	}
	return place, err == nil, err
}

// attachFar takes up a run on a cluster again.
func (l *launching) attachFar(ctx context.Context, plan *launch.Plan, place remote.Place) error {
	c := l.settings.cluster
	if c == nil || c.Name != place.Cluster {
		return usagef("launch: --attach %s: the run is on cluster %s: give --cluster %s", l.attach, place.Cluster, place.Cluster)
	}
	workspace := plan.Workspace
	text, err := os.ReadFile(filepath.Join(workspace, launch.PlanFile))
	if err != nil {
		return usagef("launch: --attach: %w", err)
	}
	plan.Workspace = place.Workspace
	l.show(plan)
	session, err := l.connect(ctx, c)
	var program string
	if err == nil {
		program, err = l.farProgram(ctx, session)
	}
	if err == nil {
		program, err = session.Install(ctx, program)
	}
	if err != nil {
		return l.end(ctx, plan, launch.Outcome{Interrupted: ctx.Err() != nil}, err)
	}
	return l.followFar(ctx, session, program, plan, text, workspace)
}

// followFar follows a run to its end, brings its results back, and says what became of it.
func (l *launching) followFar(ctx context.Context, session *remote.Session, program string, plan *launch.Plan, text []byte, workspace string) error {
	listener := remote.Listener{Event: l.event}
	if l.follow {
		listener.Log = l.std.err
	}
	outcome, err := session.Carry(ctx, program, text, listener)
	// The results are wanted also where the run failed or was interrupted.
	fetching, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(plan.Waits.Results)+time.Hour)
	defer stop()
	fetched, failed := l.fetch(fetching, session, program, plan.Workspace, workspace)
	if failed == nil {
		l.event(launch.Event{Name: "results", State: "fetched", Message: fmt.Sprintf("%d files, %d bytes in %.1f s, every hash as sent", fetched.Files, fetched.Bytes, fetched.Took.Seconds())})
		if cleaned, err := session.Clean(fetching, program, l.far.keep); err != nil {
			l.report.warn("old runs on the cluster were not removed: %v", err)
		} else if cleaned != "" {
			l.event(launch.Event{Name: "cluster", State: "cleaned", Message: cleaned})
		}
	}
	near := *plan
	near.Workspace = workspace
	return l.end(ctx, &near, outcome, cmp.Or(err, failed))
}

// fetch brings results back, also over a connection that drops.
func (l *launching) fetch(ctx context.Context, session *remote.Session, program, from, to string) (remote.Fetched, error) {
	for {
		done, err := session.Fetch(ctx, from, to, program)
		if !errors.Is(err, remote.ErrConnection) {
			return done, err
		}
		if err := session.Reconnect(ctx); err != nil {
			return done, fmt.Errorf("%w; the results are still there: trtperf launch --attach fetches them", err)
		}
	}
}
