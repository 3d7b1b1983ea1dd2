package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/benchlog"
	"github.com/trtperf/trtperf/parse/build"
	"github.com/trtperf/trtperf/parse/clientjson"
	"github.com/trtperf/trtperf/parse/devicestep"
	"github.com/trtperf/trtperf/parse/input"
	"github.com/trtperf/trtperf/parse/junit"
	"github.com/trtperf/trtperf/parse/rows"
)

// content is what a file holds, as far as a file of its kind matters. It is found out from the file alone, without its run, because
// the files of an archive come only once and in the archive's order.
type content struct {
	// err says why the file, or the rest of it, could not be read.
	err error
	// skip says why the file holds nothing for us; empty if it may.
	skip string
	// changed says that somebody wrote to the file in the meantime.
	changed bool
	notes   []parse.Diagnostic

	// For logs: the blocks, and why there is none where that can be named. A log of no known place may have more, which scanner gives.
	blocks  []block
	none    string
	scanner *benchlog.Scanner
	// steps are the device step times in a generation worker's log, hits those of the user's own expressions.
	steps *devicestep.Sample
	hits  []parse.Hits
	// policies are those in a server's or worker's log.
	policies []policy
	// cases are the first ones of a metric-row CSV; rows gives the others.
	cases []*parse.Result
	rows  *rows.Scanner
	// done ends the reading of a file of which more is read later.
	done func() (changed bool)
	// run is what an archive holds.
	run *Run

	report *reportContent // for a results.xml
	saved  parse.Values   // for a client's JSON: its metrics
	// startup are the times of a start-up file.
	startup parse.Values
	facts   systemFacts // for a system or a monitoring file
	ids     []string    // for a list of unfinished tests
	text    []byte      // for a configuration
}

// reportContent is what a results.xml holds.
type reportContent struct {
	*junit.Report
	blocks  map[int][]block
	workers map[int]parse.Role
}

// block is a block with its place.
type block struct {
	benchlog.Block
	source parse.Source
}

// Bounds on files that are kept whole; real ones have some kilobytes, a monitoring file some megabytes.
const (
	maxSmallFile  = 4 << 20
	maxSystemFile = 64 << 20
)

// readFile opens a file and reads what it holds.
func readFile(ctx context.Context, f located, opt *Options) *content {
	stream, err := input.Opener{Stdin: opt.Stdin, Limits: opt.Limits, Bytes: opt.Bytes}.Open(f.File)
	switch {
	case errors.Is(err, input.ErrNotRegular):
		return &content{skip: input.ErrNotRegular.Error()}
	case err != nil:
		return &content{err: err}
	}
	kept := false
	defer func() {
		if !kept {
			stream.Close()
		}
	}()
	if stream.Archive != "" {
		if f.kind != unknownFile && f.kind != archiveFile {
			return &content{skip: fmt.Sprintf("a %s archive under the name of another file", stream.Archive)}
		}
		c := &content{run: readArchive(ctx, f, stream.Raw(), opt)}
		c.changed = stream.Changed()
		return c
	}
	c := readContent(ctx, f, stream, opt)
	if c.hasMore() {
		kept = true
		c.done = func() bool {
			changed := stream.Changed()
			stream.Close()
			return changed
		}
		return c
	}
	c.changed = stream.Changed()
	return c
}

// peeker is a reader that can be looked into.
type peeker interface {
	io.Reader
	Peek(n int) ([]byte, error)
}

// readContent reads what a file holds.
func readContent(ctx context.Context, f located, text peeker, opt *Options) *content {
	c := &content{}
	var in io.Reader = contextReader{ctx, text}
	if stream, ok := text.(*input.Stream); ok {
		if m := stream.Mapped(); m != nil {
			in = contextMapped{ctx, m}
		} else if b := stream.Blocks(); b != nil {
			in = contextBlocks{ctx, b}
		}
	}
	switch f.kind {
	case unknownFile, archiveFile, ownFile, clientLog, jobLog:
		head, err := text.Peek(input.SniffLen)
		if err != nil && !errors.Is(err, io.EOF) {
			c.err = err
			return c
		}
		switch what := input.Sniff(head); {
		case f.kind == clientLog || f.kind == jobLog:
			c.scan(in, f, opt)
			c.rest(f) // all of them together show whether they are too many
		case what != "":
			c.skip = "no log: " + what
		case rows.IsHeader(head):
			c.readRows(in, f, opt)
		case strings.EqualFold(filepath.Ext(f.name), ".csv") && !f.Given():
			c.skip = "a CSV without a row for each metric"
		default:
			c.scan(in, f, opt)
		}
	case serverLog, generatorLog:
		c.readWorker(in, f, opt)
	case junitFile:
		c.readReport(in, f, opt)
	case clientJSON:
		if c.saved, c.err = clientjson.Read(in, opt.Table); errors.Is(c.err, clientjson.ErrNotClient) {
			c.skip, c.err = c.err.Error(), nil
		}
	case startupFile:
		if c.text, c.err = readSmall(in, maxSmallFile); c.err == nil {
			c.startup, c.err = readStartup(c.text, opt.Table)
		}
	case unfinished, configFile:
		c.text, c.err = readSmall(in, maxSmallFile)
		if f.kind == unfinished {
			c.ids, c.text = strings.Split(string(c.text), "\n"), nil
		}
	case systemFile, monitorFile:
		c.readFacts(in, f)
	}
	return c
}

// readSmall reads a file that is kept whole.
func readSmall(in io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("larger than %d MiB, which no such file is", most>>20)
	}
	return text, err
}

// Most blocks of a log, and cases of a CSV, that are held at once.
const (
	blocksAtOnce = 250
	casesAtOnce  = 500
)

// hasMore reports whether more can be read of the file.
func (c *content) hasMore() bool { return c.rows != nil || c.scanner != nil }

// scan reads the first blocks of a log.
func (c *content) scan(in io.Reader, f located, opt *Options) {
	c.scanner = benchlog.NewScanner(in, opt.exprs)
	c.nextBlocks(f)
}

// nextBlocks reads further blocks of a log in place of those read before. At its end scanner becomes nil.
func (c *content) nextBlocks(f located) {
	c.blocks, c.notes = nil, nil
	for c.scanner.Scan() {
		if c.blocks == nil {
			c.blocks = *blockRooms.Get().(*[]block)
		}
		if c.blocks = appendPlaced(c.blocks, c.scanner.Block(), parse.Source{File: f.Path}); len(c.blocks) == blocksAtOnce {
			return
		}
	}
	c.end(c.scanner, f.Path, 1)
	c.none, c.err, c.scanner = c.scanner.Summary().Skip, c.scanner.Err(), nil
	if c.none == "" {
		c.none = "no benchmark block"
	}
}

// blockRooms are lists of blocks that nobody needs any more.
var blockRooms = sync.Pool{New: func() any { return new([]block) }}

// recycle gives the list of the blocks to files that are still to be read.
func (c *content) recycle() {
	if cap(c.blocks) > 2*blocksAtOnce {
		return // the next file would hold it for a block or two
	}
	clear(c.blocks)
	room := c.blocks[:0]
	blockRooms.Put(&room)
	c.blocks = nil
}

// appendPlaced appends a block of a text that begins at a place.
func appendPlaced(blocks []block, found *benchlog.Block, at parse.Source) []block {
	blocks = append(blocks, block{*found, at})
	b := &blocks[len(blocks)-1]
	before := max(at.Line, 1) - 1 // the file's lines before the text
	b.source.Block = b.Number
	b.source.Line, b.source.EndLine = b.Line+before, b.EndLine+before
	if before > 0 {
		for _, rows := range [][]parse.Row{b.Rows, b.Trailer} {
			for i := range rows {
				rows[i].Line += before
			}
		}
	}
	return blocks
}

// end takes what a scanner says of a log at its end.
func (c *content) end(s *benchlog.Scanner, file string, first int) {
	for _, n := range s.Notes() {
		c.note(parse.Warning, n.Code, file, n.Line+first-1, n.Message)
	}
}

// scanText reads the blocks of a text that begins at a place.
func (c *content) scanText(in io.Reader, at parse.Source, opt *Options) ([]block, error) {
	var blocks []block
	scanner := benchlog.NewScanner(in, opt.exprs)
	for scanner.Scan() {
		blocks = appendPlaced(blocks, scanner.Block(), at)
	}
	c.end(scanner, at.File, max(at.Line, 1))
	return blocks, scanner.Err()
}

func (c *content) note(severity parse.Severity, code, file string, line int, message string) {
	c.notes = append(c.notes, parse.Diagnostic{Severity: severity, Code: code, File: file, Line: line, Message: message})
}

// readReport reads a results.xml: its cases, and the blocks in their outputs.
func (c *content) readReport(in io.Reader, f located, opt *Options) {
	x := &reportContent{blocks: map[int][]block{}, workers: map[int]parse.Role{}}
	report, err := junit.Read(in, func(o junit.Output) error {
		role := roleWatch{}
		blocks, err := c.scanText(io.TeeReader(o.Text, &role), parse.Source{File: f.Path, Testcase: o.Case, Line: o.Line}, opt)
		x.blocks[o.Index] = append(x.blocks[o.Index], blocks...)
		if role.found != "" {
			x.workers[o.Index] = role.found
		}
		return err
	})
	if errors.Is(err, junit.ErrNotJUnit) {
		c.skip = err.Error()
		return
	}
	c.err = err
	if report != nil {
		x.Report = report
		c.report = x
	}
}

// inFile sets the diagnostics' file.
func inFile(notes []parse.Diagnostic, f located) []parse.Diagnostic {
	for i := range notes {
		notes[i].File = f.Path
	}
	return notes
}

// rest reads all further blocks or cases.
func (c *content) rest(f located) {
	for c.hasMore() {
		blocks, cases, notes := c.blocks, c.cases, c.notes
		c.next(f)
		c.blocks, c.cases, c.notes = append(blocks, c.blocks...), append(cases, c.cases...), append(notes, c.notes...)
	}
}

// next reads further blocks or cases in place of those read before.
func (c *content) next(f located) {
	if c.scanner != nil {
		c.nextBlocks(f)
	} else {
		c.nextCases(f)
	}
}

// readFacts reads trtperf-system.BENCHMARK.json, trtperf-job.json, session_properties.csv or gpu_monitoring.csv.
func (c *content) readFacts(in io.Reader, f located) {
	text, err := readSmall(in, maxSystemFile)
	switch {
	case err != nil:
	case f.kind == monitorFile:
		c.facts.rank = 2
		err = readMonitoring(bytes.NewReader(text), &c.facts)
	case filepath.Ext(f.name) == ".csv":
		c.facts.rank = 1
		err = readProperties(bytes.NewReader(text), &c.facts)
	case f.name == build.FileName:
		err = json.Unmarshal(text, &c.facts.job)
	default:
		err = json.Unmarshal(text, &c.facts.system)
	}
	c.err = err
	c.facts.system.GPU = productName(c.facts.system.GPU)
}

// readWorker reads what a server's or worker's log may hold: device step times, what the user's own expressions find, and how the
// checkpoint was loaded.
func (c *content) readWorker(in io.Reader, f located, opt *Options) {
	var watch policyWatch
	in = io.TeeReader(in, &watch)
	defer func() { c.policies = watch.close() }()
	switch {
	case f.kind != generatorLog && opt.exprs.ForServers():
		c.hits, c.err = opt.exprs.ServerHits(in)
	case f.kind != generatorLog:
		_, c.err = io.Copy(io.Discard, io.LimitReader(in, policiesWithin))
	case !opt.exprs.ForServers():
		c.steps, c.err = devicestep.Read(in)
	default:
		// Both read the log to its end, and an archive's member can be read only once.
		from, to := io.Pipe()
		done := make(chan error)
		go func() {
			var err error
			c.hits, err = opt.exprs.ServerHits(from)
			done <- err
		}()
		steps, err := devicestep.Read(io.TeeReader(in, to))
		to.CloseWithError(err)
		c.steps, c.err = steps, errors.Join(err, <-done)
	}
}

// readRows reads the first cases of a metric-row CSV.
func (c *content) readRows(in io.Reader, f located, opt *Options) {
	c.rows = rows.NewScanner(in, opt.Table)
	c.nextCases(f)
	if c.rows == nil && c.err == nil && len(c.cases) == 0 {
		c.skip = "a metric-row CSV without a row"
	}
}

// nextCases reads further cases in place of those read before. At the file's end rows becomes nil.
func (c *content) nextCases(f located) {
	c.cases, c.notes = nil, nil
	for c.rows.Scan() {
		if c.cases = append(c.cases, c.rows.Result()); len(c.cases) == casesAtOnce {
			c.notes = inFile(c.rows.Diagnostics(), f)
			return
		}
	}
	c.notes, c.err = inFile(c.rows.Diagnostics(), f), c.rows.Err()
	c.rows = nil
}

// contextReader ends a long reading when its context does.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// contextMapped does so for a file that is looked at where it lies.
type contextMapped struct {
	ctx context.Context
	*input.Mapped
}

func (c contextMapped) Read(p []byte) (int, error) { return contextReader{c.ctx, c.Mapped}.Read(p) }

// Map returns nothing where the context has ended, so that Read is asked.
func (c contextMapped) Map(offset int64) []byte {
	if c.ctx.Err() != nil {
		return nil
	}
	return c.Mapped.Map(offset)
}

// contextBlocks does so for a compressed file that is looked at where its decoder has the text.
type contextBlocks struct {
	ctx context.Context
	*input.Blocks
}

func (c contextBlocks) Read(p []byte) (int, error) { return contextReader{c.ctx, c.Blocks}.Read(p) }

// NextBlock returns the next block.
func (c contextBlocks) NextBlock() ([]byte, error) {
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	return c.Blocks.NextBlock()
}
