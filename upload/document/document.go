// Package document makes the documents that TensorRT-LLM's perf-sanity tools know out of Results, and reads them back.
//
// A field's prefix gives its type: s_ a text, l_ a whole number, d_ a number that is always written with a point or an exponent, b_ true or
// false, ts_ a time in milliseconds since 1970. What is unknown has no field.
//
// Some fields are of the document's making and not of a reading: they are set once and never written over what a store has.
// ts_created and @timestamp are the end of the measurement, else its start, else now. b_is_baseline and b_is_regression are false, since nobody
// has judged yet. Where nothing tells of a job, b_is_post_merge is false, b_is_pr_job true and s_branch empty, which is what TensorRT-LLM's
// own tools write for a run outside of their Jenkins, and ask for in their queries.
package document

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/build"
	"github.com/trtperf/trtperf/upload"
)

const (
	// ID is the field that holds the identity, as _id does.
	ID = "s_trtperf_id"
	// Hash is the field that holds a hash of what the last reading knew, but for its status.
	Hash = "l_document_hash"
)

// field is a field of the document and how it is appended to a JSON text, with a comma in front; a Result that has no value adds nothing.
type field struct {
	name   string
	append func(b []byte, r *parse.Result) []byte
}

// key is a field's name as JSON, with a comma in front and a colon behind.
func key(name string) string { return `,"` + name + `":` }

func text(name string, value func(*parse.Result) string) field {
	key := key(name)
	return field{name, func(b []byte, r *parse.Result) []byte {
		if s := value(r); s != "" {
			return appendText(append(b, key...), s)
		}
		return b
	}}
}

func whole(name string, value func(*parse.Result) *int) field {
	key := key(name)
	return field{name, func(b []byte, r *parse.Result) []byte {
		if n := value(r); n != nil {
			return strconv.AppendInt(append(b, key...), int64(*n), 10)
		}
		return b
	}}
}

func long(name string, value func(*parse.Result) *int64) field {
	key := key(name)
	return field{name, func(b []byte, r *parse.Result) []byte {
		if n := value(r); n != nil {
			return strconv.AppendInt(append(b, key...), *n, 10)
		}
		return b
	}}
}

func number(name string, value func(*parse.Result) *float64) field {
	key := key(name)
	return field{name, func(b []byte, r *parse.Result) []byte {
		if v := value(r); v != nil && finite(*v) {
			return appendNumber(append(b, key...), *v)
		}
		return b
	}}
}

func truth(name string, value func(*parse.Result) *bool) field {
	key := key(name)
	return field{name, func(b []byte, r *parse.Result) []byte {
		if v := value(r); v != nil {
			return strconv.AppendBool(append(b, key...), *v)
		}
		return b
	}}
}

func stamp(name string, value func(*parse.Result) time.Time) field {
	key := key(name)
	return field{name, func(b []byte, r *parse.Result) []byte {
		if t := value(r); !t.IsZero() {
			return strconv.AppendInt(append(b, key...), t.UnixMilli(), 10)
		}
		return b
	}}
}

// fields are a document's fields, but for metrics, status and what is set once. Names: TensorRT-LLM's perf-sanity documents, as far as they
// have the thing.
var fields = []field{
	text(ID, func(r *parse.Result) string { return r.ID }),
	text("s_test_list", func(r *parse.Result) string { return r.TestID.String() }),
	text("s_test_module", func(r *parse.Result) string { return r.Module }),
	text("s_test_function", func(r *parse.Result) string { return r.Function }),
	text("s_test_case_name", testCaseName),
	text("s_runtime", runtime),
	text("s_benchmark_mode", func(r *parse.Result) string { return r.TestID.SubMode }),
	text("s_mode", func(r *parse.Result) string { return string(r.Mode) }),
	text("s_network", func(r *parse.Result) string { return r.Labels.Network }),
	text("s_model_name", func(r *parse.Result) string { return strings.ToLower(r.Labels.Model) }),
	text("s_precision", func(r *parse.Result) string { return r.Labels.Precision }),
	text("s_framework", func(r *parse.Result) string { return r.Labels.Framework }),
	text("s_command", func(r *parse.Result) string { return r.Labels.Command }),
	text("s_server_name", func(r *parse.Result) string { return r.Server.Name }),
	whole("l_server_index", func(r *parse.Result) *int { return r.Server.Index }),
	text("s_client_name", func(r *parse.Result) string { return r.Client.Name }),
	whole("l_client_index", func(r *parse.Result) *int { return r.Client.Index }),
	whole("l_concurrency", func(r *parse.Result) *int { return r.Client.Concurrency }),
	whole("l_iterations", func(r *parse.Result) *int { return r.Client.Iterations }),
	whole("l_isl", func(r *parse.Result) *int { return r.Client.ISL }),
	whole("l_osl", func(r *parse.Result) *int { return r.Client.OSL }),
	whole("l_gpus", func(r *parse.Result) *int { return r.Labels.GPUs }),
	whole("l_gpus_per_node", func(r *parse.Result) *int { return r.Labels.GPUsPerNode }),
	whole("l_tp", func(r *parse.Result) *int { return r.Labels.TP }),
	whole("l_ep", func(r *parse.Result) *int { return r.Labels.EP }),
	whole("l_pp", func(r *parse.Result) *int { return r.Labels.PP }),
	whole("l_cp", func(r *parse.Result) *int { return r.Labels.CP }),
	whole("l_num_ctx_servers", func(r *parse.Result) *int { return r.Labels.ContextServers }),
	whole("l_num_gen_servers", func(r *parse.Result) *int { return r.Labels.GenerationServers }),
	truth("b_eos", func(r *parse.Result) *bool { return r.Labels.SpecDecoding }),
	long("l_requests_asked", func(r *parse.Result) *int64 { return r.Requests.Asked }),
	text("s_gpu_type", gpuType),
	text("s_gpu_name", func(r *parse.Result) string { return r.System.GPU }),
	whole("l_gpu_count", func(r *parse.Result) *int { return r.System.GPUCount }),
	text("s_driver", func(r *parse.Result) string { return r.System.Driver }),
	text("s_cuda", func(r *parse.Result) string { return r.System.CUDA }),
	number("d_sm_clock_mhz", func(r *parse.Result) *float64 { return r.System.SMClockMHz }),
	number("d_mem_clock_mhz", func(r *parse.Result) *float64 { return r.System.MemClockMHz }),
	text("s_cpu", func(r *parse.Result) string { return r.System.CPU }),
	text("s_os", func(r *parse.Result) string { return r.System.OS }),
	text("s_host", func(r *parse.Result) string { return r.System.Host }),
	text("s_host_node_name", func(r *parse.Result) string { return cmp.Or(r.Job.Build.Host, r.System.Host) }),
	text("s_trtllm_version", func(r *parse.Result) string { return r.Job.TensorRTLLM }),
	text("s_tensorrt_version", func(r *parse.Result) string { return r.Job.TensorRT }),
	text("s_commit", func(r *parse.Result) string { return r.Job.Commit }),
	text("s_build_id", func(r *parse.Result) string { return r.Job.Build.ID }),
	text("s_build_url", func(r *parse.Result) string { return r.Job.Build.URL }),
	text("s_job_name", func(r *parse.Result) string { return r.Job.Build.JobName }),
	text("s_job_id", func(r *parse.Result) string { return r.Job.Build.JobID }),
	text("s_job_url", jobURL),
	text("s_stage_name", func(r *parse.Result) string { return r.Job.Build.Stage }),
	text("s_trigger_mr_user", func(r *parse.Result) string { return r.Job.Build.TriggerUser }),
	text("s_trigger_mr_link", func(r *parse.Result) string { return r.Job.Build.TriggerLink }),
	text("s_trigger_mr_id", func(r *parse.Result) string { return r.Job.Build.TriggerID }),
	text("s_trigger_mr_commit", func(r *parse.Result) string { return r.Job.Build.TriggerCommit }),
	truth("b_is_post_merge", postMerge),
	truth("b_is_pr_job", pullRequest),
	text("s_branch", branch),
	text("s_notes", func(r *parse.Result) string { return r.Job.Notes }),
	stamp("ts_started", func(r *parse.Result) time.Time { return r.StartedAt }),
	stamp("ts_ended", func(r *parse.Result) time.Time { return r.EndedAt }),
	number("d_test_seconds", func(r *parse.Result) *float64 { return r.TestSeconds }),
	text("s_source_file", func(r *parse.Result) string { return r.Source.File }),
	whole("l_source_line", func(r *parse.Result) *int {
		if r.Source.Line == 0 {
			return nil
		}
		return &r.Source.Line
	}),
}

// once are fields that a document is made with. A store never writes them over what it has.
var once = []field{
	unknown("b_is_baseline", nobodyTells, "false"),
	unknown("b_is_regression", nobodyTells, "false"),
	unknown("b_is_post_merge", func(r *parse.Result) bool { return postMerge(r) != nil }, "false"),
	unknown("b_is_pr_job", func(r *parse.Result) bool { return pullRequest(r) != nil }, "true"),
	unknown("s_branch", func(r *parse.Result) bool { return branch(r) != "" }, `""`),
}

// unknown is the value of a field that no reading tells.
func unknown(name string, told func(*parse.Result) bool, value string) field {
	text := key(name) + value
	return field{name, func(b []byte, r *parse.Result) []byte {
		if told(r) {
			return b
		}
		return append(b, text...)
	}}
}

func nobodyTells(*parse.Result) bool { return false }

// others are the names of fields that stand in no table: status, times and what tells documents apart.
var others = []string{"b_is_valid", "s_failure_reasons", "ts_created", "@timestamp", "_id", Hash}

// testCaseName is "<server>-<client>", as upstream's match keys have it; in disaggregated runs the server is "<mode>-<configuration>".
func testCaseName(r *parse.Result) string {
	server := r.Server.Name
	if r.Mode == parse.Disagg && r.Labels.Network != "" {
		server = r.Labels.Network
	}
	if server == "" || r.Client.Name == "" {
		return ""
	}
	return server + "-" + r.Client.Name
}

// runtime is upstream's word for the mode; an aggregated server counts as multi-node whenever it does not fill exactly one node.
func runtime(r *parse.Result) string {
	switch {
	case r.Mode == parse.Disagg:
		return "multi_node_disagg_server"
	case r.Labels.GPUs != nil && r.Labels.GPUsPerNode != nil && *r.Labels.GPUs != *r.Labels.GPUsPerNode:
		return "multi_node_aggr_server"
	case r.Mode != "":
		return "aggr_server"
	}
	return ""
}

// gpuTypes are the GPUs that upstream has words for.
var gpuTypes = map[string]string{"GB200": "gb200", "GB300": "gb300", "B200": "b200", "B300": "b300", "H200": "h200"}

// gpuType is upstream's word for the GPU: the last word of its name, in small letters. Upstream calls all other GPUs "unsupported", which would make
// one case of different machines, so these have no type here.
func gpuType(r *parse.Result) string {
	return gpuTypes[strings.ToUpper(r.System.GPU[strings.LastIndexByte(r.System.GPU, ' ')+1:])]
}

// jobURL is the link to the job: as its environment told it, else as it was given.
func jobURL(r *parse.Result) string { return cmp.Or(r.Job.Build.JobURL, r.Job.Link) }

// postMerge says whether the job is one after a merge: as its environment told it, else by upstream's rule, its link.
func postMerge(r *parse.Result) *bool {
	switch url := jobURL(r); {
	case r.Job.Build.PostMerge != nil:
		return r.Job.Build.PostMerge
	case url != "":
		return new(build.IsPostMerge(url))
	}
	return nil
}

// pullRequest says whether the job is one for a pull request: as its environment told it, else by upstream's rule, where it is not one after a merge.
func pullRequest(r *parse.Result) *bool {
	if r.Job.Build.PullRequest != nil {
		return r.Job.Build.PullRequest
	}
	if post := postMerge(r); post != nil {
		return new(!*post)
	}
	return nil
}

// branch is the branch: as the job's environment told it, else as it stands in the link to one of upstream's jobs.
func branch(r *parse.Result) string { return cmp.Or(r.Job.Build.Branch, build.BranchOf(jobURL(r))) }

// Encoder makes documents. Several goroutines may use one.
type Encoder struct {
	table *parse.Table
	now   func() time.Time
	rows  []*metric // of the table, in its order
	known map[string]*metric
	taken map[string]bool // names of fields that are no metric's
	first metric          // stands in front of a document's first metric

	mutex sync.Mutex
	met   map[string]*metric // metrics that are no rows of the table
}

// metric is where a metric goes.
type metric struct {
	name, field string
	key         string
	whole       bool
	fault       string // why it cannot go anywhere
	// next is the one that came behind it last: most documents have the same metrics, in the same order.
	next atomic.Pointer[metric]
}

// NewEncoder returns an Encoder for Results of a metric table. Now is the clock; nil is the system's.
func NewEncoder(table *parse.Table, now func() time.Time) *Encoder {
	e := &Encoder{table: table, now: now, known: map[string]*metric{}, taken: map[string]bool{}, met: map[string]*metric{}}
	if now == nil {
		e.now = time.Now
	}
	for _, f := range fields {
		e.taken[f.name] = true
	}
	for _, f := range once {
		e.taken[f.name] = true
	}
	for _, name := range others {
		e.taken[name] = true
	}
	used := map[string]string{}
	for row := range table.All() {
		m := e.metric(row.Name, row.Document)
		if other, ok := used[m.field]; ok {
			m.fault = fmt.Sprintf("field %s: the metrics %s and %s both have it: give one of them another document", m.field, other, row.Name)
		}
		used[m.field] = row.Name
		e.rows, e.known[row.Name] = append(e.rows, m), m
	}
	return e
}

var fieldName = regexp.MustCompile(`^[dl]_[a-z0-9_]+$`)

func (e *Encoder) metric(name, field string) *metric {
	m := &metric{name: name, field: field, key: key(field), whole: strings.HasPrefix(field, "l_")}
	switch {
	case !fieldName.MatchString(field):
		m.fault = fmt.Sprintf("field %q of metric %q: want d_ or l_ and lower-case letters, digits and underscores", field, name)
	case e.taken[field]:
		m.fault = fmt.Sprintf("field %s of metric %s: the name is taken: give the metric another document", field, name)
	}
	return m
}

// metricOf is where a metric goes.
func (e *Encoder) metricOf(name string) *metric {
	if m, ok := e.known[name]; ok {
		return m
	}
	return e.other(name)
}

// other is where a metric goes that is no row of the table: one of those whose rows are made as they are met, or one of the user's own
// whose table this command has not got.
func (e *Encoder) other(name string) *metric {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	m, ok := e.met[name]
	if !ok {
		name = strings.Clone(name) // it is a piece of a Result
		field := "d_" + name
		if row := e.table.ByName(name); row != nil {
			field = row.Document
		}
		m = e.metric(name, field)
		for _, row := range e.rows {
			if row.field == field && m.fault == "" {
				m.fault = fmt.Sprintf("field %s of metric %s: the name is metric %s's", field, name, row.name)
			}
		}
		e.met[name] = m
	}
	return m
}

// Made is a document that was made of an Item, in the pieces that bulk actions are made of.
type Made struct {
	ID string
	// Hash is that of what a reading knows: where a document has it, an update would change nothing but the status.
	Hash int64
	// Valid and Reasons are the status. WritesStatus says that an update writes it over what is there.
	Valid, WritesStatus bool
	Reasons             string
	// Err names the field that no document can have. There is nothing else then but the ID.
	Err error

	text           []byte // the document but for its last brace
	shared, status int    // where the pieces of it end: what a reading knows with its hash, the status; behind them stands what is set once
}

// Maker makes documents one after the other. What it makes refers to nothing of its Result.
type Maker struct {
	encoder *Encoder
	room    []byte // in which a document is made
	chunk   []byte // of many documents together: a place in memory for each would take its time
}

// Maker returns a Maker. Each goroutine needs its own.
func (e *Encoder) Maker() *Maker { return &Maker{encoder: e} }

// Make makes the document of an Item.
func (m *Maker) Make(item upload.Item) *Made {
	r := item.Result
	made := &Made{ID: item.ID, Valid: r.Valid(), WritesStatus: writesStatus(item), Reasons: strings.Clone(reasons(r))}
	if made.ID == "" {
		made.ID = strings.Clone(r.ID)
	}
	text, err := m.encoder.appendShared(m.room[:0], r)
	if err != nil {
		return &Made{ID: made.ID, Err: err}
	}
	text[0] = '{'                              // in place of the comma before the first field
	made.Hash = int64(xxhash.Sum64(text) >> 1) // not negative
	text = strconv.AppendInt(append(text, `,"`+Hash+`":`...), made.Hash, 10)
	made.shared = len(text)
	text = appendStatus(text, made.Valid, made.Reasons)
	made.status = len(text)
	m.room = m.encoder.appendOnce(text, r, true)

	const many = 256 << 10
	if len(m.room) > cap(m.chunk)-len(m.chunk) {
		m.chunk = make([]byte, 0, max(len(m.room), min(2*cap(m.chunk), many)))
	}
	start := len(m.chunk)
	m.chunk = append(m.chunk, m.room...)
	made.text = m.chunk[start:len(m.chunk):len(m.chunk)]
	return made
}

// AppendNew appends the document that AppendUpdate makes where there is none.
func (m *Made) AppendNew(b []byte) []byte { return append(append(b, m.text...), '}') }

// AppendUpdate appends the body of an update: {"doc":…,"upsert":…}. The first is written over what is there, the second makes the document where
// there is none.
func (m *Made) AppendUpdate(b []byte) []byte {
	end := m.shared
	if m.WritesStatus {
		end = m.status
	}
	b = append(append(append(b, `{"doc":`...), m.text[:end]...), `},"upsert":`...)
	return append(m.AppendNew(b), '}')
}

// writesStatus reports whether an update writes the status over what is there.
func writesStatus(item upload.Item) bool {
	return !item.Result.Valid() || item.Delivered || slices.Contains(item.Result.Checked, parse.InJUnit)
}

// AppendWhole appends a document with its _id. A time of making that nothing tells is left to the store, so that the document is the same
// each time.
func (e *Encoder) AppendWhole(b []byte, r *parse.Result) ([]byte, error) {
	b = append(b, `{"_id":`...)
	b = appendText(b, r.ID)
	b, err := e.appendShared(b, r)
	if err != nil {
		return nil, err
	}
	b = e.appendOnce(appendStatus(b, r.Valid(), reasons(r)), r, false)
	return append(b, '}'), nil
}

// appendShared appends what a reading knows, each field with a comma in front; there is at least the identity.
func (e *Encoder) appendShared(b []byte, r *parse.Result) ([]byte, error) {
	b = appendFields(b, fields, r)
	var err error
	before := &e.first
	for i := range r.Metrics {
		one := &r.Metrics[i]
		m := before.next.Load()
		if m == nil || m.name != one.Name {
			m = e.metricOf(one.Name)
			before.next.Store(m)
		}
		before = m
		if b, err = m.append(b, one.Value.Value); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (m *metric) append(b []byte, v float64) ([]byte, error) {
	if m.fault != "" {
		return nil, fmt.Errorf("%s", m.fault)
	}
	b = append(b, m.key...)
	const exact = 1 << 53
	switch {
	case !finite(v):
		return nil, fmt.Errorf("field %s: %v is no number", m.field, v)
	case !m.whole:
		return appendNumber(b, v), nil
	case v == math.Trunc(v) && math.Abs(v) <= exact:
		return strconv.AppendInt(b, int64(v), 10), nil
	}
	return nil, fmt.Errorf("field %s: %v is no whole number", m.field, v)
}

func appendFields(b []byte, fields []field, r *parse.Result) []byte {
	for i := range fields {
		b = fields[i].append(b, r)
	}
	return b
}

func appendStatus(b []byte, valid bool, reasons string) []byte {
	b = strconv.AppendBool(append(b, `,"b_is_valid":`...), valid)
	return append(append(append(b, `,"s_failure_reasons":"`...), reasons...), '"')
}

// reasons are the codes of why a Result is not valid, as the field has them.
func reasons(r *parse.Result) string {
	var codes []string
	for _, reason := range r.Reasons {
		codes = append(codes, string(reason.Code))
	}
	return strings.Join(codes, " ")
}

// appendOnce appends what a document is made with. Without a known time, now counts if it may.
func (e *Encoder) appendOnce(b []byte, r *parse.Result, mayBeNow bool) []byte {
	b = appendFields(b, once, r)
	created := r.EndedAt
	if created.IsZero() {
		created = r.StartedAt
	}
	if created.IsZero() {
		if !mayBeNow {
			return b
		}
		created = e.now()
	}
	b = append(b, `,"ts_created":`...)
	b = strconv.AppendInt(b, created.UnixMilli(), 10)
	b = append(b, `,"@timestamp":"`...)
	// Of the layouts package time is quick with this one alone.
	b = created.UTC().AppendFormat(b, time.RFC3339)
	ms := created.Nanosecond() / 1e6
	return append(b[:len(b)-1], '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z', '"')
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// appendNumber appends the shortest text that is exactly v, with a point or an exponent, so that readers that tell whole numbers from others see
// what the field is.
func appendNumber(b []byte, v float64) []byte {
	// Most numbers were printed with two places or fewer. One of at most 15 digits is the only such one that is read as v, so none that
	// is shorter is, but for zeros at its end.
	const longest = 1e13
	if n := math.Round(v * 100); math.Abs(n) < longest && n/100 == v && n != 0 {
		return appendHundredths(b, int64(n))
	}
	start, form := len(b), byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		form = 'e'
	}
	b = strconv.AppendFloat(b, v, form, -1, 64)
	for _, c := range b[start:] {
		if c == '.' || c == 'e' {
			return b
		}
	}
	return append(b, '.', '0')
}

// appendHundredths appends n/100 with one place, or two where it needs them.
func appendHundredths(b []byte, n int64) []byte {
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	b = append(strconv.AppendInt(b, n/100, 10), '.', byte('0'+n/10%10))
	if last := n % 10; last != 0 {
		b = append(b, byte('0'+last))
	}
	return b
}

// appendText appends a JSON string.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // a string always has a JSON form
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// Prefixes are those of the field names, with the types of OpenSearch that they promise. A time is a date, which sorts and charts, and takes
// queries in milliseconds.
var Prefixes = []struct{ Prefix, Type string }{
	{"s_", "keyword"}, {"l_", "long"}, {"d_", "double"}, {"b_", "boolean"}, {"ts_", "date"},
}

// Held reads a document back: what a store says of the Result in it.
func (e *Encoder) Held(source []byte) (upload.Held, error) {
	var all map[string]any
	if err := json.Unmarshal(source, &all); err != nil {
		return upload.Held{}, err
	}
	id, _ := all[ID].(string)
	if id == "" {
		return upload.Held{}, fmt.Errorf("a document has no %s", ID)
	}
	h := upload.Held{ID: id, Metrics: map[string]float64{}}
	if valid, ok := all["b_is_valid"].(bool); ok {
		h.Valid = &valid
	}
	for _, m := range e.rows {
		if v, ok := all[m.field].(float64); ok && m.fault == "" {
			h.Metrics[m.name] = v
			delete(all, m.field)
		}
	}
	// What is left are the document's own fields and metrics that are no rows of the table, named after their fields.
	for field, v := range all {
		v, ok := v.(float64)
		if name, isNumber := strings.CutPrefix(field, "d_"); ok && isNumber && !e.taken[field] {
			h.Metrics[name] = v
		}
	}
	return h, nil
}
