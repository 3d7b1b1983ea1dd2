package parse

// Severity grades a Diagnostic.
type Severity string

const (
	Info    Severity = "info"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// Skipped is an input that holds no Results for a reason that is no fault.
type Skipped struct {
	Path   string `json:"path"`
	Role   Role   `json:"role,omitempty"`
	Reason string `json:"reason"`
}

// Diagnostic is something that a person should know about an input. It stops nothing.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	// Code names the kind, one of the list in docs/json.md, for example "not-a-number".
	Code   string `json:"code"`
	File   string `json:"file,omitempty"`
	Member string `json:"member,omitempty"`
	Line   int    `json:"line,omitempty"`
	// Label is the printed label that an "unknown-label" is about.
	Label   string `json:"label,omitempty"`
	Message string `json:"message"`
}

// Duplicate is a second reading of a Result that is known already from another place.
type Duplicate struct {
	ID     string `json:"id"`
	Source Source `json:"source"`
}

// Reading is a run as it was read, to be remembered.
type Reading struct {
	// Place names the run's files and the settings of the reading.
	Place string
	// Beside are further files that the run's Results depend on: its configuration, and where one was looked for.
	Beside []string
	// Mark changes when one of the files does: their sizes, times and the hashes of their ends.
	Mark string
	// Run is what the run held, packed.
	Run []byte
}
