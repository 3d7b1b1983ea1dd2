package benchlog

import (
	"bytes"
	"testing"
)

// What is looked at before the slow expression, and the short way for known labels, change nothing.
func FuzzRow(f *testing.F) {
	for _, line := range []string{"Mean TTFT (ms):                5.50", "Backend: vllm", "Backend:  a  b", "Time Breakdown x mean (ms): 5", "Model : x",
		"[TTFT] P99    : 5", "File \"x\": 5", "INFO 5: 6", "INFOS: 6", "srun: error: x", "slurmstepd-n1: x: 5", "W0102 03:04:05 x: 5", "P99 Total Latency (ms): 5",
		"2026-01-02 03:04:05: x", "[01/02/2026-03:04:05] x: 5", "12:00:01: x", " 7%|x: 5", "(Engine pid=1) x: 5", "[host:17:0] x: 5", "ValueError: x",
		"a.py:5: x", "--- a: b ---", "WARN: x", "WARNING: x", "CRITICAL: x", "[TensorRT-LLM] x: 5", "Max request concurrency: not set"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		line = trim(line)
		if len(line) > 0 && bytes.IndexByte(line, ':') >= 0 && isRecord(line) != record.Match(line) {
			t.Errorf("%q is a record: %v", line, record.Match(line))
		}
		known, value := splitKnown(line, nil)
		for _, likely := range isKnown {
			if k, v := splitKnown(line, likely); likely.plain && (k != known || !bytes.Equal(v, value)) {
				t.Errorf("%q is %v, %q; where %q is likely %v, %q", line, known, value, likely.row.Label, k, v)
			}
		}
		if known == nil {
			return
		}
		if label, content, ok := splitRow(line); !ok || label != known.row.Label || content != string(value) || isTrailerLabel(label) {
			t.Errorf("%q is %q, %q; closely %q, %q", line, known.row.Label, value, label, content)
		}
	})
}
