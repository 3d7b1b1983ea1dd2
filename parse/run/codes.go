package run

import (
	"errors"
	"io/fs"
	"strings"
)

// Codes of the diagnostics of this package; docs/json.md explains each for users.
const (
	Unreadable       = "unreadable"         // a file could not be read
	ChangedWhile     = "changed"            // a file changed while it was read
	BadConfig        = "bad-config"         // a YAML configuration could not be used
	NoConfig         = "no-config"          // a test's YAML configuration was not found
	BadXML           = "bad-xml"            // a results.xml is broken or cut off
	BadSystem        = "bad-system"         // a system file could not be used
	StrayBlock       = "stray-block"        // results.xml holds a block that no client log holds
	NoBlock          = "no-block"           // a client's log holds no block
	SavedDisagrees   = "saved-disagrees"    // a client's JSON has other numbers than the results beside it
	DeviceStepUnread = "device-step-unread" // device-step times lie in a worker's log that is not read for them
	TestFailed       = "test-failed"        // a test failed; the message says why
	TestSkipped      = "test-skipped"       // pytest skipped the test
	BadTestID        = "bad-test-id"        // an id breaks its grammar
)

// pathless is an error's text without the path, which the diagnostic names already.
func pathless(path string, err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Path == path {
		return e.Op + ": " + e.Err.Error()
	}
	return strings.TrimPrefix(err.Error(), path+": ")
}
