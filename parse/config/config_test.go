package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

// load reads a configuration that must be right.
func load(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Load(strings.NewReader(text), "configs/toy_fp4.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAggregated(t *testing.T) {
	c := load(t, `
metadata: {model_name: toy_7b, supported_gpus: [GB200]}
hardware: {gpus_per_node: 4}
server_configs:
- name: tp4
  tensor_parallel_size: 4
  moe_expert_parallel_size: 4
  pipeline_parallel_size: 2
  context_parallel_size: 3
  kv_cache_config: {dtype: fp8}
  speculative_config: {decoding_type: MTP}
  server_env_var: "A=1 TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS=3 B"
  client_configs:
  - {name: first, concurrency: 8, iterations: 10, isl: 128, osl: 64, use_nv_sa_benchmark: true}
  - {}
- model_name: other
  gpus: 16
  world_size: 12
  moe_config: {backend: CUTLASS, load_balancer: some/path.yaml}
  cache_transceiver_config: {backend: UCX}
  unheard_of: [1, {2: 3}]
`)
	want := &Config{
		Name: "toy_fp4", Model: "toy_7b", GPUsPerNode: ptr(4),
		Servers: []Server{
			{Name: "tp4", Model: "toy_7b", TP: 4, EP: 4, PP: 2, CP: 3, GPUs: 24, MaxBatchSize: 512, SpecDecoding: true, ForcesAccepted: true, Clients: []Client{
				{Name: "first", Concurrency: 8, Iterations: 10, ISL: 128, OSL: 64, SAClient: true},
				{Name: "con1_iter1_isl1024_osl1024", Concurrency: 1, Iterations: 1, ISL: 1024, OSL: 1024},
			}},
			{Name: "other_tp1_ep1_pp1_cp1_bs512_attnTRTLLM_moeCUTLASS_specUCX", Model: "other", TP: 1, EP: 1, PP: 1, CP: 1, GPUs: 16, WorldSize: 12, MaxBatchSize: 512},
		},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestDisaggregated(t *testing.T) {
	c := load(t, `
metadata: {model_name: toy_7b, precision: fp4}
benchmark:
  mode: gen_only
  concurrency_list: '64 128'
  multi_round: 10
  input_length: 8192
  output_length: 512
  benchmark_client: agentx
  only_run_accuracy: true
accuracy: {enable_accuracy_test: true, tasks: {gsm8k: {}}}
hardware: {gpus_per_node: 4, num_ctx_servers: 2, num_gen_servers: 1}
environment:
  worker_env_var: X=1
  gen_worker_env_var: TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS=2.0
  server_env_var: Y=2
  client_env_var: Z=3
worker_config:
  gen:
    tensor_parallel_size: 8
    speculative_config: &spec {decoding_type: MTP}
  ctx:
    name: prefill
    pipeline_parallel_size: 4
    speculative_config: *spec
`)
	want := &Config{
		Name: "toy_fp4", Disagg: true, Model: "toy_7b", Precision: "fp4", GPUsPerNode: ptr(4), Mode: "gen_only",
		Context:        Server{Name: "prefill", Model: "toy_7b", TP: 1, EP: 1, PP: 4, CP: 1, GPUs: 4, MaxBatchSize: 512, SpecDecoding: true},
		Generation:     Server{Model: "toy_7b", TP: 8, EP: 1, PP: 1, CP: 1, GPUs: 8, MaxBatchSize: 512, SpecDecoding: true, ForcesAccepted: true},
		ContextServers: ptr(2), GenerationServers: ptr(1), Concurrencies: []int{64, 128},
		Benchmark:   Client{Iterations: 10, ISL: 8192, OSL: 512, Agentx: true, AccuracyOnly: true},
		Environment: Environment{Context: "X=1", Generation: "X=1 TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS=2.0", Router: "Y=2", Client: "Z=3"},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestDefaultsOfDisaggregated(t *testing.T) {
	c := load(t, "worker_config: {ctx: ~}\nhardware: {num_gen_servers: 2}\nmetadata:\n")
	if c.Mode != "e2e" || !reflect.DeepEqual(c.Concurrencies, []int{1}) ||
		c.Benchmark != (Client{Iterations: 1, ISL: 1024, OSL: 1024}) || *c.ContextServers != 0 || c.GPUsPerNode != nil {
		t.Errorf("got %+v", c)
	}
	if c := load(t, "worker_config: {gen: {}}\n"); c.ContextServers != nil || c.GenerationServers != nil {
		t.Errorf("numbers of servers that the file does not give: %v, %v", c.ContextServers, c.GenerationServers)
	}
	if c := load(t, "benchmark: {mode: e2e}\nhardware: {gpus_per_node: 0}\n"); !c.Disagg || c.GPUsPerNode != nil {
		t.Errorf("got %+v", c)
	}
}

// TestForcesAccepted looks for the forced number of draft tokens in every environment that reaches a server.
func TestForcesAccepted(t *testing.T) {
	for text, want := range map[string][]bool{ // context, generation
		"worker_env_var: N=1":                                                 {true, true},
		"worker_env_var: N=1, gen_worker_env_var: A":                          {true, true},
		"worker_env_var: N=1, gen_worker_env_var: N=0, ctx_worker_env_var: ~": {true, false},
		"ctx_worker_env_var: N=2":                                             {true, false},
		"gen_worker_env_var: 'N= A=B'":                                        nil,
		"server_env_var: N=1, client_env: N=1":                                {false, false},
		"worker_env_var: N=0.9":                                               {false, false},
		"worker_env_var: N A_N=1":                                             {false, false},
	} {
		text = strings.ReplaceAll(text, "N", "TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS")
		c, err := Load(strings.NewReader("worker_config: {}\nenvironment: {"+text+"}\n"), "f.yaml")
		switch {
		case want == nil && err == nil:
			t.Errorf("%s: no error", text)
		case want != nil && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != nil && (c.Context.ForcesAccepted != want[0] || c.Generation.ForcesAccepted != want[1]):
			t.Errorf("%s: got %v, %v", text, c.Context.ForcesAccepted, c.Generation.ForcesAccepted)
		}
	}
	c := load(t, "environment: {server_env_var: TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS=1}\nserver_configs: [{name: a}]\n")
	if !c.Servers[0].ForcesAccepted {
		t.Error("the environment that all servers share is not read")
	}
}

func TestConcurrencyList(t *testing.T) {
	for list, want := range map[string][]int{
		"'1 2  4'": {1, 2, 4}, "[8, 16]": {8, 16}, "['8', 16]": {8, 16}, "32": {32}, `"7"`: {7}, "1 2": {1, 2}, "~": {1},
		"\n  - 3\n  - 5": {3, 5}, "|\n    9 10": {9, 10},
	} {
		if c := load(t, "benchmark:\n  concurrency_list: "+list+"\n"); !reflect.DeepEqual(c.Concurrencies, want) {
			t.Errorf("%s: got %v, want %v", list, c.Concurrencies, want)
		}
	}
}

// TestScalars reads one client's concurrency and one switch in every spelling that has one meaning.
func TestScalars(t *testing.T) {
	text := "server_configs: [{name: a, client_configs: [{concurrency: %s, use_nv_sa_benchmark: %s}]}]"
	for _, number := range []string{"8", "'8'", `"8"`, `" 8 "`, "+8", "!!int 8", "!!str 8"} {
		if c := load(t, fmt.Sprintf(text, number, "true")); c.Servers[0].Clients[0].Concurrency != 8 {
			t.Errorf("%s: got %d", number, c.Servers[0].Clients[0].Concurrency)
		}
	}
	for word, want := range map[string]bool{
		"true": true, "True": true, "yes": true, "on": true, "ON": true, "1": true, "'true'": true, `"True"`: true,
		"false": false, "False": false, "no": false, "off": false, "0": false, "~": false, "null": false,
	} {
		if c := load(t, fmt.Sprintf(text, "8", word)); c.Servers[0].Clients[0].SAClient != want {
			t.Errorf("%s: got %v", word, !want)
		}
	}
	c := load(t, "server_configs: [{name: 7, model_name: 0x10, client_configs: [{name: 1.50}]}]")
	if s := c.Servers[0]; s.Name != "7" || s.Model != "0x10" || s.Clients[0].Name != "1.50" {
		t.Errorf("scalars as texts: %+v", s)
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	c := load(t, `
client: &client {concurrency: 4, iterations: 10, isl: 128}
other: &other {isl: 256, osl: 32}
size: &n 2
server_configs:
- &first
  name: a
  tensor_parallel_size: *n
  client_configs: &clients
  - <<: *client
    iterations: 3
  - <<: [*client, *other]
  - {<<: [*other, *client], osl: 1}
size again: &n 8
more: &more
  <<: *first
  tensor_parallel_size: *n
`)
	want := []Client{
		{Name: "con4_iter3_isl128_osl1024", Concurrency: 4, Iterations: 3, ISL: 128, OSL: 1024},
		{Name: "con4_iter10_isl128_osl32", Concurrency: 4, Iterations: 10, ISL: 128, OSL: 32},
		{Name: "con4_iter10_isl256_osl1", Concurrency: 4, Iterations: 10, ISL: 256, OSL: 1},
	}
	if !reflect.DeepEqual(c.Servers[0].Clients, want) || c.Servers[0].TP != 2 {
		t.Errorf("got %+v", c.Servers[0])
	}
	c = load(t, "x: &n 2\ny: &n 8\nserver_configs: [{name: a, tensor_parallel_size: *n}]")
	if c.Servers[0].TP != 8 {
		t.Errorf("an anchor that is given anew: got %d", c.Servers[0].TP)
	}
	c = load(t, "x: &x {name: a}\ny: &y {name: b}\nserver_configs: [{<<: *x, <<: *y}]")
	if c.Servers[0].Name != "b" {
		t.Errorf("two merge keys: got %q", c.Servers[0].Name)
	}
	c = load(t, "server_configs: [{name: a, name: b}]")
	if c.Servers[0].Name != "b" {
		t.Errorf("a key that is given twice: got %q", c.Servers[0].Name)
	}
}

// TestShapes reads the same configuration in the shapes that files come in.
func TestShapes(t *testing.T) {
	text := "# a comment far to the right\nserver_configs:\n  - name: a # note\n    client_configs:\n    - concurrency: 4\n"
	comments := ""
	for i := range 50 {
		comments += strings.Repeat(" ", i) + "# deeper\n"
	}
	for name, text := range map[string]string{
		"plain": text, "CRLF": strings.ReplaceAll(text, "\n", "\r\n"), "byte order mark": "\ufeff" + text,
		"document start": "---\n" + text, "document end": text + "...\n", "directive": "%YAML 1.1\n---\n" + text,
		"JSON": `{"server_configs": [{"name": "a", "client_configs": [{"concurrency": 4}]}]}`, "no final line end": strings.TrimSpace(text),
		"far comment": strings.Repeat(" ", 300) + text, "comments down a staircase": comments + text, "complex key": strings.Replace(text, "name: a", "? name\n    : a", 1),
	} {
		c, err := Load(strings.NewReader(text), `runs\7\f.yml`)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.Name != "f" || c.Servers[0].Name != "a" || c.Servers[0].Clients[0].Concurrency != 4 {
			t.Errorf("%s: got %+v", name, c)
		}
	}
}

func TestErrors(t *testing.T) {
	server := "server_configs:\n- name: a\n"
	client := server + "  client_configs:\n  - name: c\n    "
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "d/f.yaml: empty"},
		{"comments alone", "# a\n", "d/f.yaml: empty"},
		{"other YAML", "a: b\n", "neither server_configs (aggregated) nor worker_config (disaggregated)"},
		{"both kinds", server + "benchmark: {}\n", "d/f.yaml:1: server_configs: stands beside"},
		{"a list", "- a\n", "d/f.yaml:1: want a mapping"},
		{"a text", "Starting job\n", "d/f.yaml:1: want a mapping"},
		{"two documents", server + "---\n" + server, "d/f.yaml:4: a second YAML document"},
		{"indentation", "server_configs:\n  - name: a\n   b: 3\n", "d/f.yaml:3: YAML syntax"},
		{"tab", "a: b\n\tc: d\n", "d/f.yaml:2: YAML syntax"},
		{"open list", "a: [1,2\nb: 3\n", "d/f.yaml:2: YAML syntax"},
		{"open quote", "x: 1\na: \"x\n", "d/f.yaml:2: YAML syntax"},
		{"unknown alias", "x: 1\nserver_configs: *y\n", "d/f.yaml:2: alias *y without an anchor"},
		{"not UTF-8", "a: b\nc: \xff\n", "d/f.yaml:2: not UTF-8"},
		{"no server", "x: 1\nserver_configs: []\n", "d/f.yaml:2: server_configs: no server"},
		{"no list", "x: 1\nserver_configs: {a: 1}\n", "d/f.yaml:2: server_configs: want a list"},
		{"no mapping", "server_configs:\n- name: a\n- b\n", "d/f.yaml:3: server_configs[1]: want a mapping"},
		{"null server", "server_configs:\n- name: a\n-\n", "server_configs[1]: want a mapping"},
		{"section", server + "metadata: fp4\n", "d/f.yaml:3: metadata: want a mapping"},
		{"list as text", "server_configs:\n- name: [a]\n", "d/f.yaml:2: server_configs[0].name: want a text"},
		{"word as number", client + "concurrency: many\n", `d/f.yaml:5: server_configs[0].client_configs[0].concurrency: want a whole number in plain digits, have "many"`},
		{"fraction", client + "concurrency: 8.0\n", "d/f.yaml:5: server_configs[0].client_configs[0].concurrency: want a whole number"},
		{"octal or not", client + "concurrency: 010\n", `want a whole number in plain digits, have "010"`},
		{"separators", client + "concurrency: 1_000\n", "want a whole number in plain digits"},
		{"truth as number", client + "isl: true\n", "isl: want a whole number"},
		{"zero", client + "concurrency: 0\n", "want a number of 1 to"},
		{"negative", client + "iterations: -1\n", "want a number of 1 to"},
		{"huge", client + "isl: 99999999999999999999\n", "want a number of 0 to"},
		{"too many GPUs", "server_configs:\n- {name: a, tensor_parallel_size: 2000000000, context_parallel_size: 2000000000}\n", "more than 1048576 GPUs"},
		{"quoted false", client + "use_nv_sa_benchmark: 'false'\n", "d/f.yaml:5: server_configs[0].client_configs[0].use_nv_sa_benchmark: write false without quotes"},
		{"number as truth", client + "use_nv_sa_benchmark: 2\n", "want true or false"},
		{"unknown client", client + "benchmark_client: wrk\n", `d/f.yaml:5: server_configs[0].client_configs[0].benchmark_client: unknown client "wrk"`},
		{"environment", "server_configs:\n- name: a\n  server_env_var: TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS=x\n", "want a number, have \"x\""},
		{"no concurrency", "benchmark:\n  concurrency_list: []\n", "d/f.yaml:2: benchmark.concurrency_list: no concurrency"},
		{"commas", "benchmark:\n  concurrency_list: '1,2'\n", `d/f.yaml:2: benchmark.concurrency_list: want whole numbers from 1 on with blanks between, have "1,2"`},
		{"mapping as concurrency", "benchmark:\n  concurrency_list: {a: 1}\n", "want a whole number"},
		{"null in list", "benchmark:\n  concurrency_list: [1, ~]\n", "want a whole number"},
		{"merged text", "server_configs:\n- <<: abc\n", "<<: want a mapping or a list"},
		{"merged nonsense", "server_configs:\n- <<: [1]\n", "<<: want a mapping or a list"},
	} {
		_, err := Load(strings.NewReader(tt.text), "d/f.yaml")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := Load(io.MultiReader(strings.NewReader("a: b"), failing{}), "f.yaml"); err == nil || !strings.Contains(err.Error(), "f.yaml: disk on fire") {
		t.Errorf("read error: got %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fmt.Errorf("disk on fire") }

// TestLimits feeds texts that would cost a parser without limits its stack, its memory or minutes.
func TestLimits(t *testing.T) {
	bomb := "a0: &a0 {name: x}\n"
	for i := 1; i < 30; i++ {
		bomb += fmt.Sprintf("a%d: &a%[1]d [*a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d]\n", i, i-1)
	}
	product := "c: &c [" + strings.Repeat("{}, ", 3000) + "]\ns: &s {name: a, client_configs: *c}\nserver_configs: [" + strings.Repeat("*s, ", 3000) + "]\n"
	merges := "m0: &m0 {name: a}\n"
	for i := 1; i < 300; i++ {
		merges += fmt.Sprintf("m%d: &m%[1]d {<<: *m%d, k%[1]d: 1}\n", i, i-1)
	}
	staircase := ""
	for i := range 500 {
		staircase += strings.Repeat(" ", i) + "a:\n"
	}
	for name, tt := range map[string]struct{ text, want string }{
		"size":              {"a: " + strings.Repeat("x", 1<<20), "larger than 1024 KiB"},
		"brackets":          {strings.Repeat("[", 40_000), "nested more than"},
		"nested flow":       {"a: " + strings.Repeat("[1,", 10_000), "nested more than"},
		"dashes":            {strings.Repeat("- ", 40_000), "nested more than"},
		"questions":         {strings.Repeat("? ", 40_000), "nested more than"},
		"colons":            {strings.Repeat("a: ", 15_000), "nested more than"},
		"anchors":           {strings.Repeat("&a ", 20_000), "nested more than"},
		"anchors in lines":  {strings.Repeat("&a\n", 20_000), "nested more than"},
		"tags in lines":     {strings.Repeat("!a\n", 40_000), "nested more than"},
		"staircase":         {staircase, "nested more than"},
		"tokens":            {strings.Repeat("a: b\n", 20_000), "more than 50000 YAML tokens"},
		"long key":          {strings.Repeat("k", 200) + ": 1\n", "a key of more than"},
		"bomb of lists":     {bomb + "server_configs: *a29\n", "want a mapping"},
		"bomb of servers":   {product, "too many values once aliases are followed"},
		"bomb of numbers":   {bomb + "benchmark: {concurrency_list: *a29}\n", "want a whole number"},
		"merging itself":    {"x: &x {<<: *x, name: a}\nserver_configs: [*x]\n", ""},
		"list of itself":    {"server_configs: &x [*x]\n", "want a mapping"},
		"mapping of itself": {"server_configs: [&x {name: a, moe_config: *x, client_configs: [*x]}]\n", ""},
		"merge of merges":   {merges + "server_configs: [*m299]\n", ""},
	} {
		start := time.Now()
		_, err := Load(strings.NewReader(tt.text), "f.yaml")
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got error %.200v, want %q", name, err, tt.want)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("server_configs:\n- name: a\n  client_configs:\n  - {concurrency: 4}\n")
	f.Add("x: &x {<<: *x}\nserver_configs: [*x]")
	f.Add("worker_config: {ctx: {}, gen: &g {tensor_parallel_size: 2}}\nbenchmark: {concurrency_list: '1 2', mode: gen_only}\n")
	f.Add("server_configs:\n- <<: [*a, &a {b: !!str c}]\n  ? k\n  : |\n   t\n")
	f.Add("%YAML 1.1\n---\nmetadata: {precision: fp4}\n...\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Load(strings.NewReader(text), "f.yaml")
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v", c, err)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.yaml:") {
				t.Errorf("an error without the file's name: %v", err)
			}
			return
		}
		for _, id := range []string{"aggr-f", "disagg-f", "disagg-gen_only-f", "aggr-ctx_only-f"} {
			for era := EraUnknown; era <= EraF; era++ {
				checkPlan(t, c, id, era)
			}
		}
	})
}

func ptr[T any](v T) *T { return &v }
