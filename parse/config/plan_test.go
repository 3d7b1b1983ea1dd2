package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse"
)

func testID(t *testing.T, text string) parse.TestID {
	t.Helper()
	id, err := parse.ParseTestID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// checkPlan plans and checks what holds for every plan.
func checkPlan(t *testing.T, c *Config, id string, era Era) {
	p, err := c.Plan(testID(t, id), era)
	if err != nil {
		return
	}
	for i, s := range p.Servers {
		if s.Index == nil || *s.Index != i {
			t.Errorf("%s: server %d has the index %v", id, i, s.Index)
		}
		if s.Labels.GPUs != nil && *s.Labels.GPUs < 1 {
			t.Errorf("%s: %d GPUs", id, *s.Labels.GPUs)
		}
		for j, client := range s.Clients {
			if client.Index == nil || *client.Index != j {
				t.Errorf("%s: client %d has the index %v", id, j, client.Index)
			}
			if client.Prompts != nil && *client.Prompts < 1 {
				t.Errorf("%s: %d prompts", id, *client.Prompts)
			}
			if (client.Name == "") != (client.Prompts == nil) {
				t.Errorf("%s: name %q with %v prompts", id, client.Name, client.Prompts)
			}
		}
	}
}

// describePlan renders what plans differ in, a line per server and client.
func describePlan(p Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.SubMode)
	number := func(i *int) string {
		if i == nil {
			return "?"
		}
		return fmt.Sprint(*i)
	}
	for _, s := range p.Servers {
		l := s.Labels
		fmt.Fprintf(&b, "%s %s mode=%s network=%s gpus=%s ctx=%s gen=%s tp=%s spec=%v\n", number(s.Index), s.Name, s.Mode, l.Network, number(l.GPUs),
			number(l.ContextServers), number(l.GenerationServers), number(l.TP), *l.SpecDecoding)
		for _, c := range s.Clients {
			prompts := "?"
			if c.Prompts != nil {
				prompts = fmt.Sprint(*c.Prompts)
			}
			fmt.Fprintf(&b, " %s %s con=%s iter=%s isl=%s osl=%s prompts=%s command=%s", number(c.Index), c.Name, number(c.Concurrency),
				number(c.Iterations), number(c.ISL), number(c.OSL), prompts, c.Command)
			if c.GenOnly {
				b.WriteString(" genonly")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

const aggregated = `
hardware: {gpus_per_node: 4}
server_configs:
- {name: a, tensor_parallel_size: 4, client_configs: [{name: c0, concurrency: 2, iterations: 3}, {concurrency: 4}]}
- {name: b-x, tensor_parallel_size: 8, speculative_config: {decoding_type: MTP}, client_configs: [{name: c1}]}
- {name: c, gpus: 2, client_configs: [{name: c2, isl: 7, osl: 1}]}
- {name: idle}
`

const disaggregated = `
metadata: {model_name: m, precision: fp4}
hardware: {gpus_per_node: 4, num_ctx_servers: 2, num_gen_servers: 1}
benchmark: {mode: %s, concurrency_list: "%s", multi_round: %s, input_length: 8, output_length: 9}
worker_config: {ctx: {tensor_parallel_size: 4%s}, gen: {tensor_parallel_size: 8%s, speculative_config: {decoding_type: MTP}}}
`

func TestPlan(t *testing.T) {
	d := func(mode, list, rounds, ctx, gen string) string {
		return fmt.Sprintf(disaggregated, mode, list, rounds, ctx, gen)
	}
	for _, tt := range []struct {
		name, yaml, id string
		era            Era
		want           string
	}{
		{"every server but the idle one", strings.Replace(aggregated, "- {name: idle}\n", "", 1), "aggr_upload-f", EraF, `
0 a mode=single-agg network=a gpus=4 ctx=? gen=? tp=4 spec=false
 0 c0 con=2 iter=3 isl=1024 osl=1024 prompts=6 command=aggr_a_c0
 1 con4_iter1_isl1024_osl1024 con=4 iter=1 isl=1024 osl=1024 prompts=4 command=aggr_a_con4_iter1_isl1024_osl1024
1 b-x mode=multi-agg network=b-x gpus=8 ctx=? gen=? tp=8 spec=true
 0 c1 con=1 iter=1 isl=1024 osl=1024 prompts=1 command=aggr_b-x_c1
2 c mode=single-agg network=c gpus=2 ctx=? gen=? tp=1 spec=false
 0 c2 con=1 iter=1 isl=7 osl=1 prompts=1 command=aggr_c_c2
`},
		{"selected, in the file's order", aggregated, "aggr-f-c, b-x", EraUnknown, `
0 b-x mode=multi-agg network=b-x gpus=8 ctx=? gen=? tp=8 spec=true
 0 c1 con=1 iter=1 isl=1024 osl=1024 prompts=1 command=aggr_b-x_c1
1 c mode=single-agg network=c gpus=2 ctx=? gen=? tp=1 spec=false
 0 c2 con=1 iter=1 isl=7 osl=1 prompts=1 command=aggr_c_c2
`},
		{"nodes of unknown size", "server_configs:\n- {name: a, gpus: 8, client_configs: [{name: c}]}\n- {name: b, client_configs: [{name: c}]}\n",
			"aggr-f", EraF, `
0 a mode= network=a gpus=8 ctx=? gen=? tp=1 spec=false
 0 c con=1 iter=1 isl=1024 osl=1024 prompts=1 command=aggr_a_c
1 b mode=single-agg network=b gpus=1 ctx=? gen=? tp=1 spec=false
 0 c con=1 iter=1 isl=1024 osl=1024 prompts=1 command=aggr_b_c
`},
		{"e2e", d("gen_only", "4 2", "10", "", ""), "disagg_upload-e2e-toy_fp4", EraF, `e2e
0 e2e-toy_fp4 mode=disagg network=e2e-toy_fp4 gpus=16 ctx=2 gen=1 tp=8 spec=true
 0 con4_iter10_isl8_osl9 con=4 iter=10 isl=8 osl=9 prompts=40 command=disagg_e2e-toy_fp4_e2e-toy_fp4
 1 con2_iter10_isl8_osl9 con=2 iter=10 isl=8 osl=9 prompts=20 command=disagg_e2e-toy_fp4_e2e-toy_fp4
`},
		{"named workers", d("e2e", "4", "10", ", name: c", ", name: g"), "disagg-e2e-toy_fp4", EraF, `e2e
0 e2e-toy_fp4 mode=disagg network=e2e-toy_fp4 gpus=16 ctx=2 gen=1 tp=8 spec=true
 0 con4_iter10_isl8_osl9 con=4 iter=10 isl=8 osl=9 prompts=40 command=disagg_c_g
`},
		{"workers of one name", d("e2e", "4", "10", ", name: w", ", name: w"), "disagg-e2e-toy_fp4", EraF, `e2e
0 w mode=disagg network=e2e-toy_fp4 gpus=16 ctx=2 gen=1 tp=8 spec=true
 0 con4_iter10_isl8_osl9 con=4 iter=10 isl=8 osl=9 prompts=40 command=disagg_w_w
`},
		{"gen_only since July", d("gen_only", "4 8", "10", "", ""), "disagg-gen_only-toy_fp4", EraE, `gen_only
0 gen_only-toy_fp4 mode=disagg network=gen_only-toy_fp4 gpus=16 ctx=2 gen=1 tp=8 spec=true
 0 con4_iter1_isl8_osl9 con=4 iter=1 isl=8 osl=9 prompts=4 command=disagg_gen_only-toy_fp4_gen_only-toy_fp4 genonly
`},
		{"gen_only before", d("gen_only", "4 8", "10", "", ""), "disagg-gen_only-toy_fp4", EraD, `gen_only
0 gen_only-toy_fp4 mode=disagg network=gen_only-toy_fp4 gpus=16 ctx=2 gen=1 tp=8 spec=true
 0 con4_iter10_isl8_osl9 con=4 iter=10 isl=8 osl=9 prompts=40 command=disagg_gen_only-toy_fp4_gen_only-toy_fp4 genonly
`},
		{"gen_only without context servers", d("gen_only_no_context", "4 8", "1", "", ""), "disagg-gen_only-toy_fp4", EraF, `gen_only
0 gen_only-toy_fp4 mode=disagg network=gen_only-toy_fp4 gpus=8 ctx=0 gen=1 tp=8 spec=true
 0 con4_iter1_isl8_osl9 con=4 iter=1 isl=8 osl=9 prompts=4 command=disagg_gen_only-toy_fp4_gen_only-toy_fp4 genonly
`},
		{"gen_only, era unknown", d("e2e", "4 8", "10", "", ""), "disagg-gen_only-toy_fp4", EraUnknown, `gen_only
0 gen_only-toy_fp4 mode=disagg network=gen_only-toy_fp4 gpus=16 ctx=2 gen=1 tp=8 spec=true
 0  con=4 iter=? isl=8 osl=9 prompts=? command=disagg_gen_only-toy_fp4_gen_only-toy_fp4 genonly
`},
		{"gen_only, era unknown but alike", d("e2e", "4 8", "1", "", ""), "disagg-gen_only-toy_fp4", EraA, `gen_only
0 gen_only-toy_fp4 mode=disagg network=gen_only-toy_fp4 gpus=16 ctx=2 gen=1 tp=8 spec=true
 0 con4_iter1_isl8_osl9 con=4 iter=1 isl=8 osl=9 prompts=4 command=disagg_gen_only-toy_fp4_gen_only-toy_fp4 genonly
`},
		{"first era, mode from the file", d("gen_only", "4 8 2", "10", "", ""), "disagg_upload-toy_fp4", EraUnknown, `gen_only
0 toy_fp4 mode=disagg network=gen_only-toy_fp4 gpus=8 ctx=0 gen=1 tp=8 spec=true
 0 con8_iter10_isl8_osl9 con=8 iter=10 isl=8 osl=9 prompts=80 command=disagg_toy_fp4_toy_fp4 genonly
`},
		{"a prefix of one's own", d("gen_only", "4 8", "10", "", ""), "test_e2e[custom_test-toy_fp4]", EraF, `gen_only
0 gen_only-toy_fp4 mode=disagg network=gen_only-toy_fp4 gpus=16 ctx=2 gen=1 tp=8 spec=true
 0 con4_iter1_isl8_osl9 con=4 iter=1 isl=8 osl=9 prompts=4 command=disagg_gen_only-toy_fp4_gen_only-toy_fp4 genonly
`},
		{"a prefix of one's own, era unknown", d("gen_only", "4 8", "10", "", ""), "test_e2e[custom_test-toy_fp4]", EraUnknown, `gen_only
0 gen_only-toy_fp4 mode=disagg network=gen_only-toy_fp4 gpus=? ctx=? gen=1 tp=8 spec=true
 0  con=? iter=? isl=8 osl=9 prompts=? command=disagg_gen_only-toy_fp4_gen_only-toy_fp4 genonly
`},
		{"ctx_only", d("e2e", "4 8", "10", "", ""), "aggr_upload-ctx_only-toy_fp4", EraF, `ctx_only
0 ctx_only-toy_fp4 mode=single-agg network=ctx_only-toy_fp4 gpus=4 ctx=? gen=? tp=4 spec=false
 0 con4_iter10_isl8_osl1 con=4 iter=10 isl=8 osl=1 prompts=40 command=aggr_ctx_only-toy_fp4_con4_iter10_isl8_osl1
 1 con8_iter10_isl8_osl1 con=8 iter=10 isl=8 osl=1 prompts=80 command=aggr_ctx_only-toy_fp4_con8_iter10_isl8_osl1
`},
	} {
		p, err := load(t, tt.yaml).Plan(testID(t, tt.id), tt.era)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := describePlan(p); got != tt.want {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// TestPlanKeepsConfig plans twice: a plan must not change the configuration or share its numbers.
func TestPlanKeepsConfig(t *testing.T) {
	for id, text := range map[string]string{
		"aggr-f-c":             aggregated,
		"disagg-e2e-f":         fmt.Sprintf(disaggregated, "e2e", "4 8", "10", "", ""),
		"disagg-gen_only-f":    fmt.Sprintf(disaggregated, "e2e", "4 8", "10", "", ""),
		"aggr-ctx_only-f":      fmt.Sprintf(disaggregated, "e2e", "4 8", "10", "", ""),
		"f[a_prefix_of_own-f]": fmt.Sprintf(disaggregated, "gen_only", "4 8", "10", "", ""),
	} {
		c := load(t, text)
		before, _ := json.Marshal(c)
		p, err := c.Plan(testID(t, id), EraUnknown)
		if err != nil {
			t.Fatal(err)
		}
		server := p.Servers[0]
		for _, n := range []*int{server.Labels.TP, server.Labels.GPUs, server.Clients[0].ISL, server.Clients[0].Concurrency, server.Clients[0].Iterations} {
			if n != nil {
				*n = 99
			}
		}
		if after, _ := json.Marshal(c); string(after) != string(before) {
			t.Errorf("%s: the configuration changed:\n%s\n%s", id, before, after)
		}
	}
}

func TestPlanSwitches(t *testing.T) {
	c := load(t, `
server_configs:
- name: a
  speculative_config: {decoding_type: MTP}
  server_env_var: TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS=1
  client_configs:
  - {name: sa, use_nv_sa_benchmark: true}
  - {name: agentx, benchmark_client: agentx}
  - {name: accuracy, only_run_accuracy: true, accuracy_config: {enable_accuracy_test: true}}
  - {name: accuracy switched off, only_run_accuracy: true, accuracy_config: {enable_accuracy_test: false}}
  - {name: no accuracy, only_run_accuracy: true}
`)
	p, err := c.Plan(testID(t, "aggr-toy_fp4"), EraF)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range p.Servers[0].Clients {
		got = append(got, fmt.Sprintf("%s: %t %t %t", c.Name, c.SAClient, c.Agentx, c.AccuracyOnly))
		if !c.SpecDecoding || !c.ForcesAccepted || c.GenOnly {
			t.Errorf("%s: %+v", c.Name, c)
		}
	}
	want := []string{"sa: true false false", "agentx: false true false", "accuracy: false false true",
		"accuracy switched off: false false false", "no accuracy: false false false"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestPlanErrors(t *testing.T) {
	disagg := fmt.Sprintf(disaggregated, "e2e", "1", "1", "", "")
	for _, tt := range []struct{ yaml, id, want string }{
		{aggregated, "aggr-toy_fp4-a,nope", `has no server "nope", which test aggr-toy_fp4-a,nope selects; it has a, b-x, c, idle`},
		{aggregated, "aggr-toy_fp4-idle", "server idle has no client_configs"},
		{aggregated, "disagg-e2e-toy_fp4", "is aggregated, and test disagg-e2e-toy_fp4 wants a disaggregated one"},
		{aggregated, "aggr-ctx_only-toy_fp4", "wants a disaggregated one"},
		{disagg, "aggr-toy_fp4", "is disaggregated, and test aggr-toy_fp4 wants an aggregated one"},
	} {
		if _, err := load(t, tt.yaml).Plan(testID(t, tt.id), EraF); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want %q", tt.id, err, tt.want)
		}
	}
}

// TestRuns plans the tests of the run directories in testdata.
func TestRuns(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "runs")
	for _, tt := range []struct{ run, id, want string }{
		{"single-agg", "aggr_upload-toy_fp4_blackwell-tp4_1k1k", "single-agg tp4_1k1k 80 160"},
		{"multi-agg", "aggr_upload-toy_nvfp4_2_nodes-tep8_mtp3_1k1k,dep8_mtp1_1k1k", "multi-agg dep8_mtp1_1k1k 1024 multi-agg tep8_mtp3_1k1k 20 40"},
		{"disagg-e2e", "disagg_upload-e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX",
			"disagg e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX 80 160"},
		{"disagg-gen-only", "disagg_upload-gen_only-toy-fp4_8k1k_ctx1_gen1_dep8_bs64_eplb0_mtp0_ccb-UCX",
			"disagg gen_only-toy-fp4_8k1k_ctx1_gen1_dep8_bs64_eplb0_mtp0_ccb-UCX 64"},
		{"disagg-va", "disagg_upload-toy-fp4_1k1k_ctx1_gen1_tp8_va", "disagg toy-fp4_1k1k_ctx1_gen1_tp8_va 32 64"},
		{"disagg-vb", "disagg_upload-e2e-toy-fp4_1k1k_ctx1_gen1_tp8_vb", "disagg e2e-toy-fp4_1k1k_ctx1_gen1_tp8_vb 40"},
		{"custom-prefix", "test_e2e_enhanced[custom_test-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX]",
			"disagg e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX 80"},
		{"accuracy-only", "aggr_upload-toy_fp4_blackwell-tp4_1k1k", "single-agg tp4_1k1k 80 accuracy"},
	} {
		id := testID(t, tt.id)
		path, ok := Find([]string{filepath.Join(root, tt.run), filepath.Join(root, tt.run, "configs")}, id)
		if !ok {
			t.Errorf("%s: no configuration found", tt.run)
			continue
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		c, err := Load(file, path)
		if err != nil {
			t.Errorf("%s: %v", tt.run, err)
			continue
		}
		era := EraUnknown
		if id.SubMode == "gen_only" {
			era = EraF
		}
		p, err := c.Plan(id, era)
		if err != nil {
			t.Errorf("%s: %v", tt.run, err)
			continue
		}
		var got []string
		for _, s := range p.Servers {
			got = append(got, string(s.Mode), s.Name)
			for _, c := range s.Clients {
				if c.AccuracyOnly {
					got = append(got, "accuracy")
				} else {
					got = append(got, fmt.Sprint(*c.Prompts))
				}
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %s, want %s", tt.run, strings.Join(got, " "), tt.want)
		}
	}
}
