package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/trtperf/trtperf/upload/sqlite"
)

// The exit codes, and what each means, are part of the interface; README.md lists them for users.
const (
	exitOK          = 0
	exitInternal    = 1   // an internal error, or the ledger does not balance
	exitUsage       = 2   // usage or configuration, or an output that cannot be written
	exitNothing     = 3   // neither a Result nor a failed test
	exitUnread      = 4   // some input could not be read
	exitFailed      = 5   // a test or a Result is failed
	exitOwed        = 6   // some delivery is owed or refused
	exitLaunch      = 8   // a launch failed, timed out or was lost
	exitInterrupted = 130 // interrupted
)

// exitWords says what a code means, in a word or two.
func exitWords(code int) string {
	switch code {
	case exitOK:
		return "done"
	case exitUsage:
		return "wrong usage or configuration"
	case exitNothing:
		return "no result found"
	case exitUnread:
		return "some input could not be read"
	case exitFailed:
		return "a test failed"
	case exitOwed:
		return "a delivery is owed"
	case exitLaunch:
		return "the launch failed"
	case exitInterrupted:
		return "interrupted"
	}
	return "internal error"
}

// exitOrder decides where several conditions hold.
var exitOrder = []int{exitInternal, exitInterrupted, exitUsage, exitLaunch, exitOwed, exitUnread, exitFailed, exitNothing}

// worst returns the code of the conditions that decides.
func worst(conditions []int) int {
	for _, code := range exitOrder {
		if slices.Contains(conditions, code) {
			return code
		}
	}
	return exitOK
}

// codeError is an error with an exit code of its own. Without an error it has no message: what it says was said already.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

// usagef is an error in what the user wrote.
func usagef(format string, args ...any) error {
	return &codeError{exitUsage, fmt.Errorf(format, args...)}
}

func exitCode(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[*codeError](err); ok {
		return e.code
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	if sqlite.Failed(err) {
		return exitUsage // the local store's file or disk: the remedy is room, or another place
	}
	return exitInternal
}
