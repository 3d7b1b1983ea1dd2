package run

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/config"
	"github.com/trtperf/trtperf/parse/junit"
)

// test is one test on its way to Results.
type test struct {
	id               parse.TestID
	module, function string
	mode             parse.Mode
	role             parse.Role
	cases            []*testCase
	plan             *config.Plan
	era              config.Era
	blocks           []block // of a log or a results.xml, when no client's log names its client
	clients          []clientBlocks
	place            string // as messages name it
	dir              string // absolute
	// layout says that the harness's own files are there, so that its clients and required metrics are known.
	layout bool
	// whole says that what is not there does not exist.
	whole bool
	// unread says that a client's log could not be read, so that its Results are not missing but unknown.
	unread bool
	// files are those of the test's own directory.
	files []*located
	// benchmark says that something of the BENCHMARK node is there.
	benchmark bool
}

// clientBlocks are the blocks of one client's log.
type clientBlocks struct {
	server, client int
	file           string
	none           string
	blocks         []block
}

// readTest reads a test's own directory.
func (r *reader) readTest(d *testDir) {
	t := test{place: d.shown, dir: d.dir, layout: true, whole: d.whole, files: d.files}
	disagg := false
	for _, f := range d.files {
		disagg = disagg || f.disagg
		t.era = max(t.era, f.era)
		t.benchmark = t.benchmark || f.role == parse.Benchmark || strings.HasPrefix(filepath.Base(f.Path), "benchmark_status.")
		if m := hostnames.FindStringSubmatch(filepath.Base(f.abs)); m != nil {
			disagg = true
			if m[1] != "" {
				t.era = max(t.era, config.EraE)
			}
		}
	}
	r.identify(&t, filepath.Base(d.dir))
	for _, c := range t.cases {
		t.benchmark = t.benchmark || c.worker == ""
	}
	r.plan(&t)
	switch {
	case t.id.Mode() != "":
		t.mode = t.id.Mode()
	case disagg:
		t.mode = parse.Disagg
	}
	t.role = parse.Benchmark
	for _, f := range d.files {
		if f.kind != clientLog {
			continue
		}
		c, ok := r.open(f)
		if !ok {
			t.unread = true
			continue
		}
		t.clients = append(t.clients, clientBlocks{server: *f.server, client: *f.client, file: f.Path, none: c.none, blocks: r.counted(c)})
	}
	if len(t.clients) == 0 && !t.unread {
		t.blocks = r.outputsOf(t.cases)
		if len(t.blocks) == 0 && len(r.group.tests) == 1 {
			t.blocks = r.jobBlocks()
		}
	}
	r.finish(t)
}

// jobBlocks reads the job's Slurm logs for a test that has no other output.
func (r *reader) jobBlocks() []block {
	var all []block
	for f := range r.group.all() {
		if f.kind != jobLog || f.inTest {
			continue
		}
		c, ok := r.open(f)
		if ok && len(c.blocks) == 0 {
			r.Found--
			r.Inputs.Read--
			r.skip(f.Path, "", c.none)
		}
		all = append(all, r.counted(c)...)
	}
	return all
}

// identify finds out which test a directory belongs to: its name is the id, and a results.xml above it knows the function.
func (r *reader) identify(t *test, name string) {
	id, err := parse.ParseTestID(name)
	if err != nil {
		r.note(parse.Warning, BadTestID, t.place, 0, err.Error())
	}
	t.cases = r.casesOf(id, t.dir)
	if len(t.cases) == 0 && id.Suite != parse.PerfSanity {
		id = parse.TestID{} // a directory of another name says nothing
		if len(r.cases) == 1 && len(r.group.tests) == 1 {
			t.cases = r.cases
		}
	}
	t.id = id
	for _, c := range t.cases {
		c.claimed = true
		t.id, t.module, t.function = c.id, c.module, c.function
	}
}

// plan finds and reads the test's YAML configuration.
func (r *reader) plan(t *test) {
	if t.id.Suite != parse.PerfSanity || t.id.Config == "" {
		return
	}
	dirs := []string{r.opt.ConfigDir}
	if r.opt.ConfigDir == "" {
		up := filepath.Dir(t.dir)
		dirs = []string{t.dir, filepath.Join(t.dir, "configs"), up, filepath.Join(up, "configs")}
	}
	id := t.id
	path, text, err := r.findConfig(dirs, id)
	if selecting, ok := id.Selecting(); ok && path == "" {
		id = selecting
		path, text, err = r.findConfig(dirs, id)
	}
	if path == "" {
		r.note(parse.Info, NoConfig, t.place, 0, fmt.Sprintf("no %s.yaml beside the run: the number of clients, names, concurrency and lengths"+
			" are known only as far as the logs print them; --config-dir says where it lies", t.id.Config))
		return
	}
	shown := path
	for f := range r.group.all() {
		if f.path() == absolute(path) {
			shown = f.Path
		}
	}
	if err != nil {
		r.configFailed(path, shown, err)
		return
	}
	c, err := config.Load(bytes.NewReader(text), unpacked(shown)) // its name names the test
	if err != nil {
		r.configFailed(path, shown, err)
		return
	}
	if r.used(path) {
		r.count()
	}
	p, err := c.Plan(id, t.era)
	if err == nil && c.Disagg && len(id.Servers) > 0 {
		err = fmt.Errorf("configuration %s is disaggregated and has no servers to select, which test %s does", c.Name, id)
	}
	if err != nil {
		r.note(parse.Warning, BadConfig, shown, 0, pathless(shown, err))
		return
	}
	t.plan = &p
}

// findConfig finds the configuration of an id and reads it; path is empty where there is none. For a run in an archive the
// archive is searched, unless --config-dir names another place.
func (r *reader) findConfig(dirs []string, id parse.TestID) (path string, text []byte, err error) {
	if r.group.configs == nil || r.opt.ConfigDir != "" {
		r.lookedFor(dirs, config.Candidates(id))
		if path, ok := config.Find(dirs, id); ok {
			file, err := os.Open(path)
			if err != nil {
				return path, nil, err
			}
			defer file.Close()
			text, err = readSmall(file, maxSmallFile)
			return path, text, err
		}
	}
	packed := r.group.configs
	if packed == nil {
		packed = map[string]*located{} // those that are compressed
		for f := range r.group.all() {
			if f.kind == configFile {
				packed[f.path()] = f
			}
		}
	}
	for _, dir := range dirs {
		for _, candidate := range config.Candidates(id) {
			if f, ok := packed[filepath.Join(dir, filepath.FromSlash(candidate))]; ok {
				c := r.content(f)
				return f.path(), c.text, c.err
			}
		}
	}
	return "", nil, nil
}

// used notes that a test used a configuration file, and reports whether it is the first.
func (r *reader) used(path string) (first bool) {
	if r.configs == nil {
		r.configs = map[string]bool{}
	}
	path = absolute(path)
	first = !r.configs[path]
	r.configs[path] = true
	return first
}

func (r *reader) configFailed(path, shown string, err error) {
	if !r.used(path) {
		return
	}
	r.Found++
	r.Inputs.Failed++
	r.note(parse.Error, BadConfig, shown, 0, pathless(shown, err)+": the run was read without its configuration")
}

// finish turns a test's blocks into Results and judges them.
func (r *reader) finish(t test) {
	if t.mode == "" {
		t.mode = t.id.Mode()
	}
	if t.mode == "" && t.plan != nil && len(t.plan.Servers) > 0 {
		t.mode = t.plan.Servers[0].Mode
	}
	if t.mode == "" {
		t.mode = r.opt.Mode
	}
	var results []*parse.Result
	ambiguous := map[string][]*parse.Result{}
	add := func(b *block, server, client *int) *parse.Result {
		result := r.result(&t, b, server, client)
		for _, known := range results {
			if known.ID == result.ID {
				known.AlsoIn = append(known.AlsoIn, result.Source)
				return known
			}
		}
		results = append(results, result)
		return result
	}
	for _, c := range t.clients {
		for i := range c.blocks {
			result := add(&c.blocks[i], &c.server, &c.client)
			if !slices.Contains(ambiguous[c.file], result) {
				ambiguous[c.file] = append(ambiguous[c.file], result)
			}
		}
		if len(c.blocks) == 0 {
			r.note(parse.Warning, NoBlock, c.file, 0, "the client's log holds no block: "+c.none)
		}
	}
	servers, clients := r.assign(&t)
	for i := range t.blocks {
		add(&t.blocks[i], servers(i), clients(i))
	}
	if t.plan != nil && len(t.clients) == 0 && len(results) > t.expected() {
		ambiguous[t.place] = results
	}
	for file, several := range ambiguous {
		if len(several) > 1 {
			for _, result := range several {
				result.Fail(parse.Ambiguous, fmt.Sprintf("%s holds %d different blocks: which of them counts cannot be known", file, len(several)))
			}
		}
	}
	r.compareOutputs(&t, results)
	failures := r.failures(&t, results)
	for _, result := range results {
		for _, f := range failures {
			result.Fail(f.Code, f.Message)
		}
		result.Checked = nil
		if len(t.cases) > 0 {
			result.Checked = append(result.Checked, parse.InJUnit)
		}
		if t.whole {
			result.Checked = append(result.Checked, parse.InRun)
		}
	}
	if len(failures) > 0 {
		r.FailedTests = append(r.FailedTests, FailedTest{TestID: t.id, Place: t.place, Reasons: failures})
	}
	if len(results) > 0 {
		r.addStartup(&t, results)
		r.addCheckpoints(&t, results)
	}
	sortResults(results)
	r.Results = append(r.Results, results...)
}

// assign gives the blocks that no client's log names their indices, where the plan has as many clients.
func (r *reader) assign(t *test) (server, client func(block int) *int) {
	unknown := func(int) *int { return nil }
	if t.plan == nil || len(t.blocks) != t.expected() {
		return unknown, unknown
	}
	var servers, clients []int
	for _, s := range t.plan.Servers {
		for _, c := range s.Clients {
			if !c.AccuracyOnly {
				servers, clients = append(servers, *s.Index), append(clients, *c.Index)
			}
		}
	}
	return func(i int) *int { return &servers[i] }, func(i int) *int { return &clients[i] }
}

// expected is the number of clients that the plan has measure.
func (t *test) expected() int {
	n := 0
	for _, s := range t.plan.Servers {
		for _, c := range s.Clients {
			if !c.AccuracyOnly {
				n++
			}
		}
	}
	return n
}

// compareOutputs adds the places in results.xml where the Results' blocks stand once more, and says which blocks stand only
// there.
func (r *reader) compareOutputs(t *test, results []*parse.Result) {
	for _, c := range t.cases {
		if c.compared {
			continue
		}
		c.compared = true
		for _, b := range c.blocks {
			i := slices.IndexFunc(results, func(x *parse.Result) bool { return x.ID == identityAt(x, b) })
			if i < 0 {
				r.strayBlocks(c, b)
				continue
			}
			results[i].AlsoIn = append(results[i].AlsoIn, b.source)
		}
	}
}

// identityAt is the identity that a block would have in a Result's place.
func identityAt(x *parse.Result, b block) string {
	y := *x
	y.Rows = b.Rows
	return parse.Identify(&y)
}

// failures finds what speaks against the test as a whole.
func (r *reader) failures(t *test, results []*parse.Result) []parse.Reason {
	var all []parse.Reason
	fail := func(code parse.Code, message string) {
		if !slices.ContainsFunc(all, func(x parse.Reason) bool { return x.Code == code }) {
			all = append(all, parse.Reason{Code: code, Message: message})
		}
	}
	for _, c := range t.cases {
		if code, message := c.failure(); code != "" && c.worker == "" {
			fail(code, message)
		}
		if c.Status == junit.Skipped {
			r.note(parse.Info, TestSkipped, c.file.Path, c.Line, "pytest skipped "+c.Name)
		}
	}
	if file, ok := r.unfinished[t.id.ID+t.id.Suffix]; ok && !t.id.IsZero() {
		fail(parse.RunDied, file+" lists the test as unfinished")
	}
	switch {
	case !t.whole || t.unread:
	case t.mode == parse.Disagg && !t.benchmark && len(results) == 0:
		fail(parse.NoBenchmark, "the run has no BENCHMARK node: only that one measures")
	case t.plan != nil:
		if missing := t.missing(results); len(missing) > 0 {
			fail(parse.MissingResults, fmt.Sprintf("the configuration has %d clients, the run %d results; no result of %s",
				t.expected(), t.expected()-len(missing), strings.Join(missing, ", ")))
		}
	case len(results) == 0:
		fail(parse.MissingResults, "the run has no result")
	default:
		for _, c := range t.clients {
			if len(c.blocks) == 0 {
				fail(parse.MissingResults, c.file+" holds no result")
			}
		}
	}
	return all
}

// missing names the planned clients without a Result of their own.
func (t *test) missing(results []*parse.Result) []string {
	if len(t.clients) == 0 && len(results) >= t.expected() {
		return nil
	}
	var names []string
	for _, s := range t.plan.Servers {
		for _, c := range s.Clients {
			if c.AccuracyOnly || slices.ContainsFunc(results, func(x *parse.Result) bool {
				return x.Server.Index != nil && *x.Server.Index == *s.Index && x.Client.Index != nil && *x.Client.Index == *c.Index
			}) {
				continue
			}
			names = append(names, fmt.Sprintf("client %s of server %s", c.Name, s.Name))
		}
	}
	return names
}
