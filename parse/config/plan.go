package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trtperf/trtperf/parse"
)

// Era is a generation of the test harness. Where generations read one configuration differently, a plan depends on it. Later eras
// compare greater.
type Era int

const (
	// EraUnknown: nothing tells the era. What it decides is then unknown too, unless all eras agree.
	EraUnknown Era = iota
	// EraA, January 2026: disaggregated ids without a mode, logs named trtllm-serve.<server>.<ROLE>.log.
	EraA
	// EraB, February 2026: the mode in disaggregated ids, separate .error.log files.
	EraB
	// EraC, March 2026: as EraB.
	EraC
	// EraD, April 2026: one log for output and errors, SA client.
	EraD
	// EraE, July 2026: decoded tokens per iteration, device step times, accuracy-only clients.
	EraE
	// EraF, September 2026: five device-step statistics, agentx client, start-up metrics.
	EraF
)

// Plan is what one test was to measure.
type Plan struct {
	// SubMode is "e2e", "gen_only", "ctx_only" …; empty for plain aggregated tests.
	SubMode string
	// Servers are in the order of their indices.
	Servers []PlannedServer
}

// PlannedServer is a server that the test id selects.
type PlannedServer struct {
	parse.Server
	// Labels lack the command, which each client has.
	Labels parse.Labels
	// Mode is empty where nothing tells over how many nodes an aggregated server runs.
	Mode parse.Mode
	// Clients are in the order of their indices.
	Clients []PlannedClient
}

// PlannedClient is a client of a planned server.
type PlannedClient struct {
	parse.Client
	// Command is the label of that name.
	Command string
	// Prompts is the number of requests to send: concurrency times iterations.
	Prompts *int64
	// SAClient: the client from the SA repository runs in place of TensorRT-LLM's own.
	SAClient bool
	// AccuracyOnly clients measure nothing and write no benchmark log. They keep their index.
	AccuracyOnly bool
	Agentx       bool
	// SpecDecoding: the server, or one of the workers, decodes speculatively.
	SpecDecoding bool
	// ForcesAccepted: the server, or one of the workers, fixes the number of accepted draft tokens.
	ForcesAccepted bool
	// GenOnly: the run measures generation alone.
	GenOnly bool
}

// Plan says what the test of an id was to measure, in the order of the indices: the servers that the id selects and, for each, its
// clients. An era that the id rules out counts as unknown.
func (c *Config) Plan(id parse.TestID, era Era) (Plan, error) {
	disagg := id.Mode() == parse.Disagg || id.SubMode != ""
	switch {
	case disagg && !c.Disagg:
		return Plan{}, fmt.Errorf("configuration %s is aggregated, and test %s wants a disaggregated one: give the file of that name"+
			" from the disaggregated folder", c.Name, id)
	case id.Aggregated() && !disagg && c.Disagg:
		return Plan{}, fmt.Errorf("configuration %s is disaggregated, and test %s wants an aggregated one: give the file of that name"+
			" from the aggregated folder", c.Name, id)
	case !c.Disagg:
		return c.planAggregated(id)
	case id.SubMode == ctxOnly:
		return c.planContext(), nil
	}
	return c.planDisaggregated(id, era), nil
}

const ctxOnly = "ctx_only"

func (c *Config) planAggregated(id parse.TestID) (Plan, error) {
	selected := c.Servers
	if len(id.Servers) > 0 {
		if err := c.checkNames(id); err != nil {
			return Plan{}, err
		}
		// The harness walks the file and keeps what is selected, so the indices follow the file, not the id.
		selected = slices.Clone(c.Servers)
		selected = slices.DeleteFunc(selected, func(s Server) bool { return !slices.Contains(id.Servers, s.Name) })
	}
	var p Plan
	for i, s := range selected {
		if len(s.Clients) == 0 {
			return Plan{}, fmt.Errorf("configuration %s: server %s has no client_configs: no test can run it", c.Name, s.Name)
		}
		server := c.planServer(s, i)
		for j, client := range s.Clients {
			server.Clients = append(server.Clients, planClient(client, j, s, "aggr_"+s.Name+"_"+client.Name))
		}
		p.Servers = append(p.Servers, server)
	}
	return p, nil
}

func (c *Config) checkNames(id parse.TestID) error {
	var names []string
	for _, s := range c.Servers {
		names = append(names, s.Name)
	}
	for _, name := range id.Servers {
		if !slices.Contains(names, name) {
			return fmt.Errorf("configuration %s has no server %q, which test %s selects; it has %s", c.Name, name, id,
				strings.Join(names, ", "))
		}
	}
	return nil
}

// planContext plans a disaggregated configuration's context worker, run as an aggregated server with an output of one token.
func (c *Config) planContext() Plan {
	s := c.Context
	if s.Name == "" {
		s.Name = ctxOnly + "-" + c.Name
	}
	server := c.planServer(s, 0)
	for i, concurrency := range c.Concurrencies {
		client := c.Benchmark
		client.Concurrency, client.OSL = concurrency, 1
		client.Name = clientName(client)
		server.Clients = append(server.Clients, planClient(client, i, s, "aggr_"+s.Name+"_"+client.Name))
	}
	return Plan{SubMode: ctxOnly, Servers: []PlannedServer{server}}
}

// planServer plans one aggregated server.
func (c *Config) planServer(s Server, index int) PlannedServer {
	labels := c.labels(s)
	labels.Network = s.Name
	labels.GPUs = &s.GPUs
	p := PlannedServer{Server: parse.Server{Index: &index, Name: s.Name}, Labels: labels}
	switch {
	case s.GPUs == 1, c.GPUsPerNode != nil && s.GPUs <= *c.GPUsPerNode:
		p.Mode = parse.SingleAgg
	case c.GPUsPerNode != nil:
		p.Mode = parse.MultiAgg
	}
	return p
}

// labels returns the labels that follow from one server's configuration.
func (c *Config) labels(s Server) parse.Labels {
	return parse.Labels{
		Model: s.Model, Precision: c.Precision, GPUsPerNode: c.GPUsPerNode,
		TP: &s.TP, EP: &s.EP, PP: &s.PP, CP: &s.CP, SpecDecoding: &s.SpecDecoding,
	}
}

func planClient(c Client, index int, s Server, command string) PlannedClient {
	prompts := int64(c.Concurrency) * int64(c.Iterations)
	return PlannedClient{
		Client: parse.Client{
			Index: &index, Name: c.Name, Concurrency: &c.Concurrency, ISL: &c.ISL, OSL: &c.OSL, Iterations: &c.Iterations,
		},
		Command: command, Prompts: &prompts, SAClient: c.SAClient, AccuracyOnly: c.AccuracyOnly, Agentx: c.Agentx,
		SpecDecoding: s.SpecDecoding, ForcesAccepted: s.ForcesAccepted,
	}
}

// planDisaggregated plans a run of context and generation workers behind a router: one server, a client for each concurrency.
func (c *Config) planDisaggregated(id parse.TestID, era Era) Plan {
	mode := id.SubMode
	if mode == "" {
		mode = c.Mode
	}
	genOnly := strings.Contains(mode, "gen_only")
	first, last := eras(id, era)

	server := PlannedServer{Server: parse.Server{Index: new(int)}, Labels: c.labels(c.Generation), Mode: parse.Disagg}
	either := Server{
		SpecDecoding:   c.Context.SpecDecoding || c.Generation.SpecDecoding,
		ForcesAccepted: c.Context.ForcesAccepted || c.Generation.ForcesAccepted,
	}
	server.Labels.SpecDecoding = &either.SpecDecoding
	server.Labels.Network = mode + "-" + c.Name
	server.Labels.GenerationServers = c.GenerationServers
	if c.ContextServers != nil {
		server.Labels.ContextServers = agreed(c.contextServers(mode, first), c.contextServers(mode, last))
	}
	if ctx, gen := server.Labels.ContextServers, server.Labels.GenerationServers; ctx != nil && gen != nil {
		if gpus := *ctx*c.Context.GPUs + *gen*c.Generation.GPUs; gpus > 0 {
			server.Labels.GPUs = &gpus
		}
	}

	context, generation := c.Context.Name, c.Generation.Name
	harnessName := server.Labels.Network
	if last == EraA {
		harnessName = c.Name
	}
	if context == "" {
		context = harnessName
	}
	if generation == "" {
		generation = harnessName
	}
	server.Name = harnessName
	if context == generation {
		server.Name = context
	}
	command := "disagg_" + context + "_" + generation

	concurrencies := make([]*int, len(c.Concurrencies))
	for i := range c.Concurrencies {
		concurrencies[i] = &c.Concurrencies[i]
	}
	if genOnly {
		concurrencies = []*int{agreed(c.onlyConcurrency(first), c.onlyConcurrency(last))}
	}
	iterations := agreed(c.iterations(genOnly, first), c.iterations(genOnly, last))
	for i, concurrency := range concurrencies {
		client := c.Benchmark
		if concurrency != nil {
			client.Concurrency = *concurrency
		}
		if iterations != nil {
			client.Iterations = *iterations
		}
		known := concurrency != nil && iterations != nil
		if known {
			client.Name = clientName(client)
		}
		planned := planClient(client, i, either, command)
		planned.GenOnly = genOnly
		if concurrency == nil {
			planned.Concurrency = nil
		}
		if iterations == nil {
			planned.Iterations = nil
		}
		if !known {
			planned.Prompts = nil
		}
		server.Clients = append(server.Clients, planned)
	}
	return Plan{SubMode: mode, Servers: []PlannedServer{server}}
}

// eras bounds the era of a disaggregated test: only EraA's ids have no mode, and all of EraA's.
func eras(id parse.TestID, era Era) (first, last Era) {
	switch {
	case era > EraA, era == EraA && id.SubMode == "":
		return era, era
	case id.SubMode != "":
		return EraB, EraF
	case id.Mode() == parse.Disagg:
		return EraA, EraA
	}
	return EraA, EraF // a prefix of the user's own
}

// contextServers is the number of context servers that the harness starts.
func (c *Config) contextServers(mode string, era Era) int {
	genOnly := strings.Contains(mode, "gen_only")
	noContext := strings.Contains(c.Mode, "gen_only_no_context") || strings.Contains(mode, "gen_only_no_context")
	if genOnly && (era == EraA || noContext) {
		return 0
	}
	return *c.ContextServers
}

// onlyConcurrency is the one that a generation-only run keeps.
func (c *Config) onlyConcurrency(era Era) int {
	if era == EraA {
		return slices.Max(c.Concurrencies)
	}
	return c.Concurrencies[0]
}

// iterations is the number of rounds at each concurrency.
func (c *Config) iterations(genOnly bool, era Era) int {
	if genOnly && era >= EraE {
		return 1
	}
	return c.Benchmark.Iterations
}

// agreed returns the value that two eras give alike, else nil.
func agreed(a, b int) *int {
	if a != b {
		return nil
	}
	return &a
}
