package remote

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/trtperf/trtperf/launch"
)

// Place is where a run lies on a cluster.
type Place struct {
	Cluster string `json:"cluster"`
	// Workspace is the run's directory, Tree its own copy of the sources, Synced the directory that was copied, all on the far side.
	Workspace string `json:"workspace"`
	Tree      string `json:"tree"`
	Synced    string `json:"synced"`
}

// PlaceFile is the file of a run's directory on this side that says where the run lies on the other.
const PlaceFile = "trtperf-cluster.json"

// PlaceOf says where a run of a near tree is going to lie.
func PlaceOf(c *Cluster, tree, runID string) (Place, error) {
	host, err := os.Hostname()
	if err != nil {
		return Place{}, err
	}
	return Place{Cluster: c.Name, Workspace: path.Join(c.WorkDir, "runs", runID), Tree: path.Join(c.WorkDir, "sources", runID),
		Synced: path.Join(c.WorkDir, "trees", TreeName(host, tree))}, nil
}

// Move moves a spec of this side to its place on the other. What lies outside of the tree cannot go along.
func (p Place) Move(spec launch.Spec) (launch.Spec, error) {
	near := spec.Tree
	inTree := func(what, at string) (string, error) {
		rel, err := filepath.Rel(near, at)
		if err != nil || !filepath.IsLocal(rel) {
			return "", fmt.Errorf("%s %s lies outside of the checkout %s, and only that goes to a cluster", what, at, near)
		}
		return path.Join(p.Tree, filepath.ToSlash(rel)), nil
	}
	var err error
	if path.IsAbs(spec.MPILauncher) && strings.HasPrefix(spec.MPILauncher, near+"/") {
		if spec.MPILauncher, err = inTree("the launcher", spec.MPILauncher); err != nil {
			return spec, err
		}
	}
	if c := spec.Config; c != nil {
		moved := *c
		if path.IsAbs(c.Path) {
			if moved.Path, err = inTree("the configuration", c.Path); err != nil {
				return spec, err
			}
		}
		if path.IsAbs(c.Folder) {
			if moved.Folder, err = inTree("the configurations' folder", c.Folder); err != nil {
				return spec, err
			}
		}
		spec.Config = &moved
	}
	spec.Tree, spec.Workspace = p.Tree, p.Workspace
	return spec, nil
}

// message is a line of what the far side tells while it carries a plan out. One of its fields is set.
type message struct {
	Event   *launch.Event   `json:"event,omitempty"`
	Log     string          `json:"log,omitempty"`
	Outcome *launch.Outcome `json:"outcome,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// order is what the far side is told: first the plan, and later perhaps that it is to end.
type order struct {
	// Plan is the plan's JSON, to the byte.
	Plan   string `json:"plan,omitempty"`
	Follow bool   `json:"follow,omitempty"`
	Cancel bool   `json:"cancel,omitempty"`
}

// Listener is told what the far side says.
type Listener struct {
	Event func(launch.Event)
	// Log gets what the job's log holds, as it grows; nil for nobody.
	Log io.Writer
}

// Prepare brings what a run needs to its place: the program, the sources, the run's own copy of them. It returns the program's path there.
func (s *Session) Prepare(ctx context.Context, here, tree string, p Place, tell func(launch.Event)) (string, error) {
	program, err := s.Install(ctx, here)
	if err != nil {
		return "", err
	}
	// Another build of the same tree may be at it.
	lock, err := s.lock(ctx, program, p.Synced+".lock")
	if err != nil {
		return "", err
	}
	defer lock()
	done, err := s.Sync(ctx, tree, p.Synced, program)
	if err != nil {
		return "", err
	}
	tell(launch.Event{Name: "sources", State: "sent", Message: fmt.Sprintf("%s to %s:%s by %s in %.1f s", tree, s.destination(), p.Synced, done.Way, done.Took.Seconds())})
	return program, s.Snapshot(ctx, p.Synced, p.Tree)
}

// lock takes a lock on the far side and returns what lets it go. A connection that is lost lets it go too.
func (s *Session) lock(ctx context.Context, program, at string) (func(), error) {
	held, err := s.start(ctx, program, "far", "lock", "--", at)
	if err != nil {
		return nil, err
	}
	if _, err := bufio.NewReader(held.out).ReadString('\n'); err != nil {
		return nil, fmt.Errorf("lock of the sources: %w", cmp.Or(held.wait(), err))
	}
	return func() { _ = held.wait() }, nil
}

// Carry has a plan carried out at its place and follows it to its end, also when the connection drops in between: the job goes on, and the far side's
// program is told the same plan again, of which it then knows that it has begun. When ctx ends, the job is cancelled.
func (s *Session) Carry(ctx context.Context, program string, plan []byte, to Listener) (launch.Outcome, error) {
	// Its end is for the job, not for the connection, which is needed to end the job.
	connection, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	for {
		outcome, err := s.carry(ctx, connection, program, plan, to)
		if !errors.Is(err, ErrConnection) {
			return outcome, err
		}
		if err := s.Reconnect(connection); err != nil {
			return launch.Outcome{Lost: true, Interrupted: ctx.Err() != nil}, fmt.Errorf("%w; the job may still run: trtperf launch --attach takes it up again", err)
		}
	}
}

// patience is how long the far side may take to cancel a job.
const patience = 10 * time.Minute

func (s *Session) carry(ctx, connection context.Context, program string, plan []byte, to Listener) (launch.Outcome, error) {
	connection, cut := context.WithCancel(connection)
	defer cut()
	far, err := s.start(connection, program, "far", "launch")
	if err != nil {
		return launch.Outcome{}, err
	}
	var writing sync.Mutex
	give := func(o order) {
		writing.Lock()
		defer writing.Unlock()
		// An error shows as the end of the far side's program.
		_ = json.NewEncoder(far.in).Encode(o)
	}
	go func() {
		give(order{Plan: string(plan), Follow: to.Log != nil})
		select {
		case <-ctx.Done():
			give(order{Cancel: true})
			select {
			case <-time.After(patience):
				cut()
			case <-connection.Done():
			}
		case <-connection.Done():
		}
	}()
	var outcome *launch.Outcome
	var failed error
	for decoder := json.NewDecoder(far.out); ; {
		var m message
		if err := decoder.Decode(&m); err != nil {
			break // the program's own end says why
		}
		switch {
		case m.Event != nil:
			to.Event(*m.Event)
		case m.Log != "" && to.Log != nil:
			_, _ = io.WriteString(to.Log, m.Log)
		case m.Outcome != nil:
			outcome = m.Outcome
		}
		if m.Error != "" {
			failed = errors.New(m.Error)
		}
	}
	err = far.wait()
	switch {
	case outcome != nil:
		return *outcome, failed
	case failed != nil:
		return launch.Outcome{}, failed
	case err != nil:
		return launch.Outcome{}, err
	}
	return launch.Outcome{}, fmt.Errorf("%w: the far side said nothing of the job's end", ErrConnection)
}

// Clean removes the oldest runs of the work directory with their sources, but for the newest ones, and for those whose job has not been seen to
// its end in the last days.
func (s *Session) Clean(ctx context.Context, program string, keep int) (string, error) {
	return s.Output(ctx, program, "far", "clean", "--keep", fmt.Sprint(keep), "--", s.cluster.WorkDir)
}

// lines writes what a log holds as messages.
type lines struct{ tell func(message) }

func (l lines) Write(text []byte) (int, error) {
	l.tell(message{Log: string(bytes.ToValidUTF8(text, []byte("\ufffd")))})
	return len(text), nil
}
