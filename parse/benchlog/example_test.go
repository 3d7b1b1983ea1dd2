package benchlog_test

import (
	"fmt"
	"strings"

	"github.com/trtperf/trtperf/parse/benchlog"
)

func ExampleScanner() {
	log := `Namespace(backend='openai', model='toy', num_prompts=40)
============ Serving Benchmark Result ============
Successful requests:                     40
Request throughput (req/s):              3.24
Mean TTFT (ms):                          55.50
==================================================
`
	s := benchlog.NewScanner(strings.NewReader(log), nil)
	for s.Scan() {
		b := s.Block()
		fmt.Printf("block %d, line %d, %s, %d prompts asked for\n", b.Number, b.Line, b.Options.Model, *b.Asked)
		for _, r := range b.Rows {
			fmt.Printf("%d: %s = %s\n", r.Line, r.Label, r.Text)
		}
	}
	if err := s.Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// block 1, line 2, toy, 40 prompts asked for
	// 3: Successful requests = 40
	// 4: Request throughput (req/s) = 3.24
	// 5: Mean TTFT (ms) = 55.50
}
