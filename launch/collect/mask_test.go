package collect

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// What a secret is in a text, and what is none. In want, # stands for each masked byte.
func TestMask(t *testing.T) {
	for _, c := range []struct {
		text, want string
		json       bool
	}{
		{text: "export HF_TOKEN=hf_abc", want: "export HF_TOKEN=######"},
		{text: "export HF_TOKEN='a b' X=1", want: "export HF_TOKEN='###' X=1"},
		{text: `export HF_TOKEN="a \"b" X=1`, want: `export HF_TOKEN="#####" X=1`},
		{text: `DB_PASSWORD='it'\''s it' X=1`, want: `DB_PASSWORD='########### X=1`},
		{text: `DB_PASSWORD=$'a\tb' X`, want: `DB_PASSWORD=$'####' X`},
		{text: `DB_PASSWORD=ab'c d'e X=1`, want: `DB_PASSWORD=######## X=1`},
		{text: `DB_PASSWORD=a\ b X=1`, want: `DB_PASSWORD=#### X=1`},
		{text: "env 'HF_TOKEN=a b' X=1", want: "env 'HF_TOKEN=###' X=1"},
		{text: "+ export HF_TOKEN=a,b", want: "+ export HF_TOKEN=###"},
		{text: "srun --export=ALL,HF_TOKEN=abc -n 1", want: "srun --export=ALL,HF_TOKEN=### -n 1"},
		{text: "A_SECRET=a B_API_KEY=b C_APIKEY=c AWS_SECRET_ACCESS_KEY=d TRTLLM_PERF_RUN_TOKEN=e",
			want: "A_SECRET=# B_API_KEY=# C_APIKEY=# AWS_SECRET_ACCESS_KEY=# TRTLLM_PERF_RUN_TOKEN=#"},
		{text: `worker_env_var: "TLLM=1 HF_TOKEN=abc TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS=3"`,
			want: `worker_env_var: "TLLM=1 HF_TOKEN=### TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS=3"`},
		{text: `worker_env_var: "HF_TOKEN=abc TLLM=1"`, want: `worker_env_var: "HF_TOKEN=### TLLM=1"`},
		{text: "  HF_TOKEN: abc def  ", want: "  HF_TOKEN: #######  "},
		{text: "env: {HF_TOKEN: abc, X: 1}", want: "env: {HF_TOKEN: ###, X: 1}"},
		{text: "internal_request_auth_key: 0123\r", want: "internal_request_auth_key: ####\r"},
		{text: "environ({'HF_TOKEN': 'hf_abc', 'X': '1'})", want: "environ({'HF_TOKEN': '######', 'X': '1'})"},
		{text: `{"HF_TOKEN": "a\"b", "X": "1"}`, want: `{"HF_TOKEN": "####", "X": "1"}`, json: true},
		{text: `["HF_TOKEN=a b", "X=1"]`, want: `["HF_TOKEN=###", "X=1"]`, json: true},
		{text: `"export HF_TOKEN=abc\nexport X=1\n"`, want: `"export HF_TOKEN=###\nexport X=1\n"`, json: true},
		{text: `"export HF_TOKEN=\"a b\"\nexport X=1\n"`, want: `"export HF_TOKEN=\"###\"\nexport X=1\n"`, json: true},
		{text: `"export HF_TOKEN='a b'\nexport X=1\n"`, want: `"export HF_TOKEN='###'\nexport X=1\n"`, json: true},
		{text: `os.environ["HF_TOKEN"] = "abc"`, want: `os.environ["HF_TOKEN"] = "abc"`}, // no assignment to a variable of this name
		{text: `HF_TOKEN = "abc"`, want: `HF_TOKEN = "###"`},
		{text: "[0] HF_TOKEN=abc\n[0] Total Token throughput (tok/s): 10", want: "[0] HF_TOKEN=###\n[0] Total Token throughput (tok/s): 10"},
		// A line of trtllm-serve's, and what is said of tokens everywhere.
		{text: "max_num_tokens=2048 TLLM_MAX_TOKENS=3 TOKENIZERS_PARALLELISM=false eos_token=2", want: "max_num_tokens=2048 TLLM_MAX_TOKENS=3 TOKENIZERS_PARALLELISM=false eos_token=2"},
		{text: `HF_TOKEN=$HF_TOKEN A_TOKEN="${A_TOKEN:-}" B_TOKEN= C_TOKEN=None`, want: `HF_TOKEN=$HF_TOKEN A_TOKEN="${A_TOKEN:-}" B_TOKEN= C_TOKEN=None`},
		{text: "A_TOKEN=${B:-abc}", want: "A_TOKEN=#########"},
		{text: "DB_PASSWORD_FILE=/run/secret", want: "DB_PASSWORD_FILE=/run/secret"},
		{text: "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----\nabc", want: "-----BEGIN RSA PRIVATE KEY-----\n###\n###\n-----END RSA PRIVATE KEY-----\nabc"},
		{text: `K="-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"`, want: `K="-----BEGIN PRIVATE KEY-----#######-----END PRIVATE KEY-----\n"`},
		{text: "", want: ""},
	} {
		want := strings.ReplaceAll(c.want, "#", "X")
		m := newMasker(iotest.OneByteReader(strings.NewReader(c.text)), c.json)
		got, err := io.ReadAll(m)
		if err != nil || string(got) != want {
			t.Errorf("%s\n got %s\nwant %s (%v)", c.text, got, want, err)
		}
		if masked := strings.Contains(c.want, "#"); masked != (m.count > 0) {
			t.Errorf("%s: %d masked", c.text, m.count)
		}
	}
}

// A line of any length is read in bounded parts, and none of its bytes is lost.
func TestMaskLongLine(t *testing.T) {
	word := strings.Repeat("y", 999) + " "
	text := strings.Repeat(word, 40_000) + "HF_TOKEN=abc " + word
	got, err := io.ReadAll(newMasker(strings.NewReader(text), false))
	if err != nil || string(got) != strings.Replace(text, "=abc", "=XXX", 1) {
		t.Errorf("%d of %d bytes, %v", len(got), len(text), err)
	}
}

// Nothing but bytes of values changes, whatever is read, and reading it in other portions changes nothing.
func FuzzMask(f *testing.F) {
	for _, seed := range []string{"A_TOKEN='a\\'b", `{"A_TOKEN":"\\\"`, "A_TOKEN=\\", "internal_request_auth_key:\n{A_KEY: }", "-----BEGIN PRIVATE KEY-----", "A_SECRET=$'"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, json bool) {
		got, err := io.ReadAll(newMasker(strings.NewReader(text), json))
		if err != nil || len(got) != len(text) {
			t.Fatalf("%d bytes of %d, %v", len(got), len(text), err)
		}
		for i := range got {
			if got[i] != text[i] && (got[i] != 'X' || text[i] == '\n') {
				t.Fatalf("byte %d: %q of %q", i, got, text)
			}
		}
		if again, err := io.ReadAll(newMasker(iotest.HalfReader(strings.NewReader(text)), json)); err != nil || string(again) != string(got) {
			t.Fatal(fmt.Sprintf("%q and %q", got, again), err)
		}
	})
}
