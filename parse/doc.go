// Package parse is trtperf's vocabulary: what a benchmark measured, how it is named, and what makes two measurements the same.
//
// A [Result] is one client's measurement against one server in one test. It holds the [Row] values that the client printed, the
// metrics that the one metric table ([Metrics]) recognises among them, and a [Status] with all its reasons. Readers in the
// packages below (benchlog, junit, config) turn files into these types, package run joins them, and the packages export and upload
// write them. This package imports none of those.
//
// # Identity
//
// A Result's ID is the hex SHA-256 of what its block printed, see [Identify]. It covers no path, host, time or test id, so reading
// or sending a measurement twice changes nothing.
//
// # Unknown stays unknown
//
// What is not known is absent: a nil pointer, an empty text, a metric that is not there. It is never 0 and never a guess.
package parse
