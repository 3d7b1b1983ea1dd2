package custom_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/parse/custom"
)

func TestRead(t *testing.T) {
	metrics, err := custom.Read(strings.NewReader(`# of our own
metrics:
  - name: my_metric_1
    regex: 'My Metric 1 \(units\):\s+(-?[\d\.]+)'
    unit: units
    direction: larger
    aggregate: last
    place: client-log
    column: my_metric_1__units
    metric_type: MY_METRIC
    field: d_my_metric
  - {name: hits, regex: "error", direction: smaller, aggregate: count, place: server-log}
  - name: labelled
    label: Some label (ms)
    labels: [Another one]
    direction: neutral
    field: l_labelled
`), "own.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table, err := parse.Metrics().With(metrics)
	if err != nil {
		t.Fatal(err)
	}
	m := table.ByName("my_metric_1")
	if m.Expr.FindStringSubmatch("My Metric 1 (units):   7.5")[1] != "7.5" || m.Aggregate != parse.Last || m.Place != parse.InLog || m.Unit != "units" ||
		m.Direction != parse.LargerBetter || m.Guide != "my_metric_1__units" || m.Full != m.Guide || m.MetricType != "MY_METRIC" || m.Document != "d_my_metric" {
		t.Errorf("%+v", m)
	}
	if m := table.ByName("hits"); m.Kind != parse.Count || m.Document != "l_hits" || m.Place != parse.InServerLog {
		t.Errorf("%+v", m)
	}
	if m := table.ByLabel("Another one"); m == nil || m.Name != "labelled" || m.Labels[0] != "Some label (ms)" || m.Kind != parse.Count || m.Place != parse.InBlock {
		t.Errorf("%+v", m)
	}
}

// Each mistake is named with its place.
func TestMistakes(t *testing.T) {
	const good = "name: a, label: A, direction: larger"
	for file, want := range map[string]string{
		"":                                  "own.yaml:1:1: the file is empty",
		"# nothing":                         "own.yaml:1:1: the file is empty",
		"metrics:":                          "own.yaml:1:10: metrics must be a list",
		"metrics: []":                       "no metrics: write a list",
		"- a":                               "own.yaml:1:1: not a mapping",
		"metric:\n  - {" + good + "}":       `own.yaml:1:1: unknown key "metric"`,
		"metrics:\n  - x":                   "own.yaml:2:5: not a mapping",
		"metrics:\n\t- x":                   "own.yaml:2:1: found character",
		"metrics:\n  - {name: [a}":          "own.yaml:2:",
		"metrics: [{" + good + "}]\n---\nx": "own.yaml:3:1: a second YAML document",
		"metrics:\n  - {" + good + "}\n  - {" + good + "}":                                       `own.yaml:3:6: the name "a" is given twice`,
		"metrics:\n  - label: A\n    direction: larger":                                          "own.yaml:2:5: a metric without a name",
		"metrics:\n  - {name: a, label: A}":                                                      "own.yaml:2:6: no direction",
		"metrics:\n  - {name: a, label: A, direction: up}":                                       `own.yaml:2:36: direction "up": write smaller, larger, neutral`,
		"metrics:\n  - {name: a, direction: larger}":                                             "own.yaml:2:6: neither a label nor a regex",
		"metrics:\n  - {" + good + ", regex: '(a)'}":                                             "own.yaml:2:51: a label and a regex",
		"metrics:\n  - {" + good + ", aggregate: last}":                                          "own.yaml:2:55: aggregate goes with a regex",
		"metrics:\n  - {" + good + ", place: client-log}":                                        "own.yaml:2:51: a label stands in the block",
		"metrics:\n  - {" + good + ", place: here}":                                              `own.yaml:2:51: place "here"`,
		"metrics:\n  - {name: a, regex: '(', direction: larger}":                                 "own.yaml:2:22: error parsing regexp",
		"metrics:\n  - {name: a, regex: 'x', direction: larger}":                                 "own.yaml:2:22: no group",
		"metrics:\n  - {name: a, regex: '(x)', direction: larger, aggregate: median}":            `own.yaml:2:59: aggregate "median"`,
		"metrics:\n  - {name: A, label: A, direction: larger}":                                   `own.yaml:2:6: metric "A": the name must be lower-case`,
		"metrics:\n  - {name: mean_ttft, label: A, direction: larger}":                           `own.yaml:2:6: metric "mean_ttft": the name is taken`,
		"metrics:\n  - {name: a, label: Mean TTFT (ms), direction: larger}":                      `the label "Mean TTFT (ms)" belongs to metric "mean_ttft"`,
		"metrics:\n  - {name: a, label: 'A:', direction: larger}":                                `own.yaml:2:22: label "A:"`,
		"metrics:\n  - {name: a, labels: A, direction: larger}":                                  "own.yaml:2:23: labels must be a list",
		"metrics:\n  - {name: {b: c}, label: A, direction: larger}":                              "name must be a text",
		"metrics:\n  - {" + good + ", column: 'a b'}":                                            `column "a b" must be letters`,
		"metrics:\n  - {" + good + ", field: ttft}":                                              `field "ttft" must be d_`,
		"metrics:\n  - {" + good + ", metric_type: server}":                                      `metric_type "server" must be capital letters`,
		"metrics:\n  - {" + good + ", metric_type: SERVER_MEAN_TTFT}":                            `the metric type "SERVER_MEAN_TTFT" belongs to metric "mean_ttft"`,
		"metrics:\n  - {" + good + "}\n  - {name: b, label: A, direction: larger}":               `the label "A" belongs to metric "a"`,
		"metrics:\n  - {nam: a, label: A, directions: larger}\n  - {" + good + ", aggregate: 1}": `own.yaml:3:55: aggregate "1"`,
	} {
		_, err := custom.Read(strings.NewReader(file), "own.yaml")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", file, err, want)
		}
	}
	_, err := custom.Read(strings.NewReader("metrics:\n  - {nam: a, label: A, directions: larger}\n"), "own.yaml")
	if n := strings.Count(err.Error(), "own.yaml:2:"); n != 4 {
		t.Errorf("%d mistakes of 4 are named: %v", n, err)
	}
	if _, err := custom.Read(strings.NewReader(strings.Repeat("#", 2<<20)), "own.yaml"); err == nil {
		t.Error("a file of 2 MiB is taken")
	}
}

func TestLiteral(t *testing.T) {
	for expr, want := range map[string]string{
		`My Metric 1 \(units\):\s+(-?[\d\.]+)`: "My Metric 1 (units):",
		`^loaded in (\d+) s$`:                  "loaded in ",
		`(?i)loaded`:                           "",
		`a|b`:                                  "",
		`(?:abc|abd)ef`:                        "ab",
		`x*yz+w`:                               "y",
		`(?:abc)?d`:                            "d",
		`(?:abc){2,3}`:                         "abcabc",
		`(abc){0,3}de`:                         "de",
		`(abc)(def)`:                           "abcdef",
		`ab\bcd`:                               "abcd",
		"a\ufffd":                              "",
		`[ab]cd`:                               "cd",
		`\d+`:                                  "",
		`Größe \(MB\): (\d+)`:                  "e (MB): ",
		`(`:                                    "",
	} {
		if got := custom.Literal(expr); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

// Whatever an expression matches contains its literal.
func FuzzLiteral(f *testing.F) {
	f.Add(`My Metric 1 \(units\):\s+(-?[\d\.]+)`, "My Metric 1 (units):  5")
	f.Add(`(?:ab|ac)d+(?i:ef)g`, "xabddEFg")
	f.Add(`^(a|b)?c{2,}$`, "cc")
	f.Fuzz(func(t *testing.T, expr, text string) {
		re, err := regexp.Compile(expr)
		if err != nil {
			return
		}
		if m := re.FindString(text); re.MatchString(text) && !strings.Contains(m, custom.Literal(expr)) {
			t.Errorf("%q matches %q without %q", expr, m, custom.Literal(expr))
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("metrics:\n  - {name: a, label: A, direction: larger}\n")
	f.Add("metrics:\n  - name: a\n    regex: '(x)'\n    direction: smaller\n    aggregate: max\n")
	f.Fuzz(func(t *testing.T, file string) {
		metrics, err := custom.Read(strings.NewReader(file), "own.yaml")
		if (err == nil) != (len(metrics) > 0) {
			t.Errorf("%d metrics, %v", len(metrics), err)
		}
		if err == nil {
			if _, err := parse.Metrics().With(metrics); err != nil {
				t.Error(err)
			}
		}
	})
}
