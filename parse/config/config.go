// Package config reads the YAML configurations of TensorRT-LLM's performance tests and says what a test was to measure.
//
// There are two kinds. An aggregated configuration lists servers, each with its clients:
//
//	metadata: {model_name: …}
//	hardware: {gpus_per_node: 4}
//	server_configs:
//	  - name: …
//	    tensor_parallel_size: 4
//	    client_configs:
//	      - {concurrency: 8, iterations: 10, isl: 1024, osl: 1024}
//
// A disaggregated one describes a context and a generation worker and one benchmark, with a client for each concurrency:
//
//	metadata: {model_name: …, precision: …}
//	benchmark: {mode: e2e, concurrency_list: "8 16", multi_round: 10, input_length: 1024, output_length: 1024}
//	hardware: {gpus_per_node: 4, num_ctx_servers: 1, num_gen_servers: 1}
//	worker_config: {ctx: {…}, gen: {…}}
//
// Keys that are not known here are ignored: most of a configuration is meant for the servers. Where a key is absent, the default
// of the test harness stands for it, because that is what ran; a null counts as absent.
//
// [Load] reads a file, [Find] looks for the file of a test, and [Config.Plan] selects what one test id asks for.
package config

import (
	"fmt"
	"io"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Config is one configuration file. Which of its fields count depends on Disagg.
type Config struct {
	// Name is the file's stem.
	Name string
	// Disagg tells a disaggregated configuration from an aggregated one.
	Disagg bool
	// Model is metadata.model_name; a server may have another.
	Model string
	// Precision is metadata.precision. The KV cache's type says nothing about it.
	Precision   string
	GPUsPerNode *int

	// Servers are an aggregated configuration's, in the file's order.
	Servers []Server

	// Context and Generation are a disaggregated configuration's workers. Their names are empty where the file gives none.
	Context, Generation Server
	// ContextServers and GenerationServers are the numbers of workers; nil where the file gives neither.
	ContextServers, GenerationServers *int
	// Mode is benchmark.mode: "e2e", "gen_only", "gen_only_no_context" …
	Mode string
	// Concurrencies is benchmark.concurrency_list, never empty.
	Concurrencies []int
	// Benchmark is the client that runs at each concurrency; its Name and Concurrency are empty.
	Benchmark Client
	// Environment is what a launcher gives a disaggregated run's processes.
	Environment Environment
}

// Environment are texts of KEY=value words for the processes of a disaggregated run, as written.
type Environment struct {
	// Context and Generation hold what all workers get and then what that kind of worker gets.
	Context, Generation, Router, Client string
}

// Server is a server's configuration, or a worker's.
type Server struct {
	Name           string
	Model          string
	TP, EP, PP, CP int
	// GPUs is the explicit number, else TP·CP·PP. Expert parallelism lies inside tensor parallelism.
	GPUs int
	// WorldSize is the explicit number of ranks, which launchers prefer to GPUs; 0 where none is given.
	WorldSize    int
	MaxBatchSize int
	SpecDecoding bool
	// ForcesAccepted says that the environment fixes the number of accepted draft tokens.
	ForcesAccepted bool
	// Clients are an aggregated server's, in the file's order.
	Clients []Client
}

// Client is a client's configuration.
type Client struct {
	Name                              string
	Concurrency, Iterations, ISL, OSL int
	// SAClient: the client from the SA repository runs in place of TensorRT-LLM's own.
	SAClient bool
	Agentx   bool
	// AccuracyOnly: an accuracy evaluation runs and no benchmark.
	AccuracyOnly bool
}

// Load reads one configuration. The name is the file's path, for messages and [Config.Name].
func Load(r io.Reader, name string) (*Config, error) {
	t, root, err := parseTree(r, name)
	if err != nil {
		return nil, err
	}
	c := &Config{Name: stem(name)}
	metadata, hardware := root.section("metadata"), root.section("hardware")
	c.Model, c.Precision = metadata.text("model_name", ""), metadata.text("precision", "")
	if n := hardware.optional("gpus_per_node", 0); n != nil && *n > 0 { // 0 is the harness's word for unknown
		c.GPUsPerNode = n
	}
	switch aggregated, disagg := root.has("server_configs"), root.has("worker_config") || root.has("benchmark"); {
	case t.err != nil:
	case aggregated && disagg:
		t.fail(root.entries["server_configs"].line, "server_configs",
			"stands beside worker_config or benchmark: a configuration is either aggregated or disaggregated")
	case aggregated:
		c.aggregated(root)
	case disagg:
		c.Disagg = true
		c.disaggregated(root, hardware)
	default:
		t.err = fmt.Errorf("%s: neither server_configs (aggregated) nor worker_config (disaggregated): no test configuration", name)
	}
	if t.err != nil {
		return nil, t.err
	}
	return c, nil
}

func stem(name string) string {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	for _, ext := range extensions {
		base = strings.TrimSuffix(base, ext)
	}
	return base
}

func (c *Config) aggregated(root section) {
	// Older harnesses take the servers' environment from one place, newer ones from each server.
	shared := root.section("environment").text("server_env_var", "")
	for _, s := range root.sections("server_configs") {
		server := readServer(s, c.Model, shared, s.text("server_env_var", ""))
		if server.Name == "" {
			server.Name = defaultName(s, server)
		}
		for _, clientSection := range s.sections("client_configs") {
			client := Client{
				Name:        clientSection.text("name", ""),
				Concurrency: clientSection.number("concurrency", 1, 1),
				Iterations:  clientSection.number("iterations", 1, 1),
				ISL:         clientSection.number("isl", 1024, 0),
				OSL:         clientSection.number("osl", 1024, 0),
			}
			client.options(clientSection, clientSection.section("accuracy_config"))
			if client.Name == "" {
				client.Name = clientName(client)
			}
			server.Clients = append(server.Clients, client)
		}
		c.Servers = append(c.Servers, server)
	}
	if len(c.Servers) == 0 {
		root.tree.fail(root.entries["server_configs"].line, "server_configs", "no server: give at least one")
	}
}

func (c *Config) disaggregated(root, hardware section) {
	environment, workers := root.section("environment"), root.section("worker_config")
	shared := environment.text("worker_env_var", "")
	c.Context = readServer(workers.section("ctx"), c.Model, shared, environment.text("ctx_worker_env_var", ""))
	c.Generation = readServer(workers.section("gen"), c.Model, shared, environment.text("gen_worker_env_var", ""))
	c.Environment = Environment{Context: join(shared, environment.text("ctx_worker_env_var", "")),
		Generation: join(shared, environment.text("gen_worker_env_var", "")), Router: environment.text("server_env_var", ""),
		Client: join(environment.text("client_env_var", ""), environment.text("benchmark_env_var", ""))}
	c.ContextServers, c.GenerationServers = hardware.optional("num_ctx_servers", 0), hardware.optional("num_gen_servers", 0)
	if c.ContextServers == nil && c.GenerationServers != nil {
		c.ContextServers = new(int)
	}
	benchmark := root.section("benchmark")
	c.Mode = benchmark.text("mode", "e2e")
	c.Concurrencies = concurrencies(benchmark)
	c.Benchmark = Client{
		Iterations: benchmark.number("multi_round", 1, 1),
		ISL:        benchmark.number("input_length", 1024, 0),
		OSL:        benchmark.number("output_length", 1024, 0),
	}
	c.Benchmark.options(benchmark, root.section("accuracy"))
}

func join(a, b string) string { return strings.TrimSpace(a + " " + b) }

// concurrencies reads concurrency_list: a number, a text of numbers, or a list of either.
func concurrencies(benchmark section) []int {
	const key = "concurrency_list"
	t := benchmark.tree
	n, line := benchmark.value(key)
	if n == nil {
		return []int{1}
	}
	var list []int
	add := func(n ast.Node, line int) {
		if i, ok := t.integer(n, benchmark.at(key), line, 1); ok {
			list = append(list, i)
		}
	}
	switch n := n.(type) {
	case *ast.SequenceNode:
		for _, item := range n.Values {
			line := lineOf(item, line)
			add(t.resolve(item, line), line)
		}
	case *ast.StringNode, *ast.LiteralNode:
		text, _, _ := scalar(n)
		for word := range strings.FieldsSeq(text) {
			i, err := strconv.Atoi(word)
			if err != nil || i < 1 || i > maxNumber {
				t.fail(line, benchmark.at(key), fmt.Sprintf("want whole numbers from 1 on with blanks between, have %s", describe(text)))
				return nil
			}
			list = append(list, i)
		}
	default:
		add(n, line)
	}
	if len(list) == 0 {
		t.fail(line, benchmark.at(key), "no concurrency: give at least one")
	}
	return list
}

// readServer reads what a server and a worker have in common. The environments are texts of KEY=value words; the later one wins.
func readServer(s section, model string, environments ...string) Server {
	server := Server{
		Name:  s.text("name", ""),
		Model: s.text("model_name", model),
		TP:    s.number("tensor_parallel_size", 1, 1),
		EP:    s.number("moe_expert_parallel_size", 1, 1),
		PP:    s.number("pipeline_parallel_size", 1, 1),
		CP:    s.number("context_parallel_size", 1, 1),

		WorldSize: s.number("world_size", 0, 1), MaxBatchSize: s.number("max_batch_size", 512, 0),
	}
	const mostGPUs = 1 << 20 // of any machine; keeps sums and products from overflowing
	if gpus := s.optional("gpus", 1); gpus != nil {
		server.GPUs = *gpus
	} else if product := float64(server.TP) * float64(server.CP) * float64(server.PP); product <= mostGPUs {
		server.GPUs = server.TP * server.CP * server.PP
	} else {
		server.GPUs = math.MaxInt32
	}
	if server.GPUs > mostGPUs {
		s.tree.fail(s.line, s.path, fmt.Sprintf("more than %d GPUs for one server", mostGPUs))
	}
	server.SpecDecoding = s.section("speculative_config").text("decoding_type", "") != ""
	server.ForcesAccepted = forcesAccepted(s, strings.Join(environments, " "))
	return server
}

// forcesAccepted looks for a number of accepted draft tokens in an environment.
func forcesAccepted(s section, environment string) bool {
	const key = "TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS"
	value := "0"
	for word := range strings.FieldsSeq(environment) {
		if name, v, ok := strings.Cut(word, "="); ok && name == key {
			value = v
		}
	}
	tokens, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(tokens) || math.IsInf(tokens, 0) {
		s.tree.fail(s.line, s.path, fmt.Sprintf("environment: %s: want a number, have %s", key, describe(value)))
	}
	return math.Trunc(tokens) != 0
}

// options reads the switches that a client and a disaggregated benchmark have in common.
func (c *Client) options(s, accuracy section) {
	c.SAClient = s.truth("use_nv_sa_benchmark", false)
	switch client := s.text("benchmark_client", ""); client {
	case "":
	case "agentx":
		c.Agentx = true
	default:
		_, line := s.value("benchmark_client")
		s.tree.fail(line, s.at("benchmark_client"), fmt.Sprintf("unknown client %s: the harness knows agentx alone", describe(client)))
	}
	// The harness ignores only_run_accuracy unless the evaluation is switched on.
	only := s.truth("only_run_accuracy", false)
	c.AccuracyOnly = accuracy.truth("enable_accuracy_test", false) && only
}

// defaultName is the harness's name of an aggregated server without one.
func defaultName(s section, server Server) string {
	name := fmt.Sprintf("%s_tp%d_ep%d_pp%d_cp%d_bs%d_attn%s_moe%s", server.Model, server.TP, server.EP, server.PP, server.CP,
		server.MaxBatchSize, s.text("attn_backend", "TRTLLM"), s.section("moe_config").text("backend", ""))
	if transceiver := s.section("cache_transceiver_config").text("backend", ""); transceiver != "" {
		name += "_spec" + transceiver
	}
	return name
}

// clientName is the harness's name of a client without one.
func clientName(c Client) string {
	return fmt.Sprintf("con%d_iter%d_isl%d_osl%d", c.Concurrency, c.Iterations, c.ISL, c.OSL)
}
