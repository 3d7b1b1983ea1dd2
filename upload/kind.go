package upload

import (
	"context"
	"time"

	"github.com/trtperf/trtperf/parse"
)

// Settings are what opening a store may ask for besides its target.
type Settings struct {
	// Getenv looks up environment variables, where credentials are.
	Getenv func(string) string
	// CAFile holds certificates to trust besides the system's; empty is none.
	CAFile string
	Table  *parse.Table
	// Note is told what the user should know though nothing fails by it, one line each; nil drops it.
	Note func(text string)
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// Preview: the store is asked for previews alone, and opening it touches nothing.
	Preview bool
}

// StoreKind is a kind of store: how its targets are written and how they are opened. Each store's package has one, and the command line has the
// list of them.
type StoreKind struct {
	// Schemes are what a target of the kind begins with, up to its first colon.
	Schemes []string
	// Form is how a target of the kind is written, for messages.
	Form string
	// Canonical checks a target and returns the one form under which the outbox knows it. Its errors repeat no secret.
	Canonical func(target string) (string, error)
	// Check says what is wrong with the settings of a canonical target, as far as that shows without a connection. Nil: nothing can be.
	Check func(target string, s Settings) error
	// Open makes a store of a canonical target.
	Open func(ctx context.Context, target string, s Settings) (Store, error)
	// Init makes in an empty place what the store needs, with indexes on tables of others where index is set, and returns a line for each
	// thing that it did. It refuses what does not fit. Nil: the store makes what it needs itself.
	Init func(ctx context.Context, target string, s Settings, index bool) ([]string, error)
}

// Held is what a store says of one Result that it holds.
type Held struct {
	ID string
	// Valid is nil where the store does not keep it.
	Valid *bool
	// Metrics are the values that the store holds, by canonical name.
	Metrics map[string]float64
}

// Inventory is a Store that can list what it holds.
type Inventory interface {
	// Held calls yield for each Result of the store, in no particular order, and ends with yield's first error.
	Held(ctx context.Context, yield func(Held) error) error
}

// Prober is a Store that can be looked at without a delivery.
type Prober interface {
	// Probe changes nothing. It returns a line for each thing that the user should know, and an error where a delivery would fail: the store cannot
	// be reached, does not fit, or the user may not write.
	Probe(ctx context.Context) ([]string, error)
}

// Previewer is a Store that can show what it would send.
type Previewer interface {
	// Preview returns the exact document of an Item as it would be sent, as one JSON text.
	Preview(item Item) ([]byte, error)
}
