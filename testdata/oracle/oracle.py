#!/usr/bin/env python3
"""The parse rule of TensorRT-LLM's own test harness, to compare other readers with.

oracle.py FILE...            prints one JSON object for each file
oracle.py --list FILE        the same for the files that FILE names, one a line
oracle.py --bench PATH...    only reads and parses, all files at or below the paths; prints bytes and seconds
oracle.py --test             checks the rule's known quirks

An object is {"file": ..., "metrics": {name: value}}, the metrics in the order in which the log holds them. Where float() refuses what
an expression has matched, upstream's parse ends with an exception: then "raises" is its text, and "metrics" are those found before.

Exit code: 0; 1 if a file cannot be read or a test fails; 2 for wrong arguments.
"""
import json
import math
import os
import re
import sys
import time

# In the order in which they are asked: the 16 base metrics, al, the device-step family.
QUERIES = [
    (name, re.compile(expression))
    for name, expression in [
        ("seq_throughput", r"Request throughput \(req\/s\):\s+(-?[\d\.]+)"),
        ("token_throughput", r"Output token throughput \(tok\/s\):\s+(-?[\d\.]+)"),
        ("total_token_throughput", r"Total Token throughput \(tok\/s\):\s+(-?[\d\.]+)"),
        ("user_throughput", r"User throughput \(tok\/s\):\s+(-?[\d\.]+)"),
        ("mean_ttft", r"Mean TTFT \(ms\):\s+(-?[\d\.]+)"),
        ("median_ttft", r"Median TTFT \(ms\):\s+(-?[\d\.]+)"),
        ("p99_ttft", r"P99 TTFT \(ms\):\s+(-?[\d\.]+)"),
        ("mean_itl", r"Mean ITL \(ms\):\s+(-?[\d\.]+)"),
        ("median_itl", r"Median ITL \(ms\):\s+(-?[\d\.]+)"),
        ("p99_itl", r"P99 ITL \(ms\):\s+(-?[\d\.]+)"),
        ("mean_tpot", r"Mean TPOT \(ms\):\s+(-?[\d\.]+)"),
        ("median_tpot", r"Median TPOT \(ms\):\s+(-?[\d\.]+)"),
        ("p99_tpot", r"P99 TPOT \(ms\):\s+(-?[\d\.]+)"),
        ("mean_e2el", r"Mean E2EL \(ms\):\s+(-?[\d\.]+)"),
        ("median_e2el", r"Median E2EL \(ms\):\s+(-?[\d\.]+)"),
        ("p99_e2el", r"P99 E2EL \(ms\):\s+(-?[\d\.]+)"),
        ("al", r"Mean Avg Decoded Tokens per Iter:\s+(-?[\d\.]+)"),
        ("mean_gen_worker_per_iter_device_step_time", r"Average Per Iter Device Step Time \(ms\):\s+(-?[\d\.]+)"),
        ("median_gen_worker_per_iter_device_step_time", r"Median Per Iter Device Step Time \(ms\):\s+(-?[\d\.]+)"),
        ("std_gen_worker_per_iter_device_step_time", r"Stdev Per Iter Device Step Time \(ms\):\s+(-?[\d\.]+)"),
        ("p75_gen_worker_per_iter_device_step_time", r"P75 Per Iter Device Step Time \(ms\):\s+(-?[\d\.]+)"),
        ("p99_gen_worker_per_iter_device_step_time", r"P99 Per Iter Device Step Time \(ms\):\s+(-?[\d\.]+)"),
    ]
]


def parse(text):
    """Return the metrics of a log, and the text of the exception that ended the parse or None."""
    found = {}
    for line in text.split("\n"):
        for name, query in QUERIES:
            if name in found:
                continue
            hit = query.search(line)
            if hit:
                try:
                    found[name] = float(hit.group(1))
                except ValueError as error:
                    return found, str(error)
                break
    return found, None


def read(path):
    """Return a file's text and its size in bytes."""
    with open(path, "rb") as file:
        data = file.read()
    return data.decode("utf-8", errors="replace"), len(data)


def report(path):
    metrics, raises = parse(read(path)[0])
    # JSON has no infinity, which 400 digits are.
    answer = {"file": path, "metrics": {name: v if math.isfinite(v) else str(v) for name, v in metrics.items()}}
    if raises is not None:
        answer["raises"] = raises
    return answer


def report_all(paths):
    code = 0
    for path in paths:
        try:
            print(json.dumps(report(path)))
        except OSError as error:
            print(f"oracle.py: {error}", file=sys.stderr)
            code = 1
    return code


def bench(tops):
    paths = []
    for top in tops:
        if os.path.isdir(top):
            paths += [os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names]
        else:
            paths.append(top)
    size, begin = 0, time.perf_counter()
    for path in paths:
        text, n = read(path)
        parse(text)
        size += n
    print(json.dumps({"bytes": size, "seconds": time.perf_counter() - begin}))
    return 0


# Each quirk, a text that shows it, its metrics in order, and whether the parse raises.
CASES = [
    ("first hit of the log wins", "Mean TTFT (ms): 1\nMean TTFT (ms): 2", {"mean_ttft": 1.0}, False),
    ("one metric a line", "Mean TTFT (ms): 2 Request throughput (req/s): 1 Mean ITL (ms): 3", {"seq_throughput": 1.0}, False),
    ("a query with a value is skipped", "Mean TTFT (ms): 1 Mean ITL (ms): 2\nMean TTFT (ms): 3 Mean ITL (ms): 4",
     {"mean_ttft": 1.0, "mean_itl": 4.0}, False),
    ("ITL is asked before TPOT", "Mean TPOT (ms): 1 Mean ITL (ms): 2", {"mean_itl": 2.0}, False),
    ("the log's order", "Mean TPOT (ms): 1\nMean ITL (ms): 2\nUser throughput (tok/s): 3",
     {"mean_tpot": 1.0, "mean_itl": 2.0, "user_throughput": 3.0}, False),
    ("e+07 is cut off", "Mean TTFT (ms): 1.2e+07", {"mean_ttft": 1.2}, False),
    ("e-05 is cut off", "Mean TTFT (ms): 1e-05", {"mean_ttft": 1.0}, False),
    ("thousands are cut off", "Mean TTFT (ms): 1,234", {"mean_ttft": 1.0}, False),
    ("nan is missing", "Mean TTFT (ms): nan", {}, False),
    ("inf is missing", "Mean TTFT (ms): inf", {}, False),
    ("--- is missing", "Mean TTFT (ms): ---", {}, False),
    ("xxx is missing", "Mean TTFT (ms): xxx", {}, False),
    ("N/A is missing", "Mean TTFT (ms): N/A", {}, False),
    ("a missing one is found later", "Mean TTFT (ms): nan\nMean TTFT (ms): 5", {"mean_ttft": 5.0}, False),
    ("1.2.3 raises", "Mean ITL (ms): 5\nMean TTFT (ms): 1.2.3\nMean TPOT (ms): 6", {"mean_itl": 5.0}, True),
    (". raises", "Mean TTFT (ms): .", {}, True),
    ("2... raises", "Mean TTFT (ms): 2...", {}, True),
    ("-. raises", "Mean TTFT (ms): -.", {}, True),
    ("no raise where a value is there", "Mean TTFT (ms): 5\nMean TTFT (ms): 1.2.3", {"mean_ttft": 5.0}, False),
    ("no blank behind the colon", "Mean TTFT (ms):5", {}, False),
    ("a tab behind the colon", "Mean TTFT (ms):\t5", {"mean_ttft": 5.0}, False),
    ("full-width digits", "Mean TTFT (ms): \uff15\uff10.\uff12\uff15", {"mean_ttft": 50.25}, False),
    ("an ideographic blank", "Mean TTFT (ms):\u30005", {"mean_ttft": 5.0}, False),
    ("a bar in front of a label", "Benchmarking: 100%|\u2588\u2588| 8/8 [00:03<00:00,  4.00it/s]\rMean TTFT (ms): 5", {"mean_ttft": 5.0}, False),
    ("CRLF", "Mean TTFT (ms): 5\r\nMean ITL (ms): 6\r\n", {"mean_ttft": 5.0, "mean_itl": 6.0}, False),
    ("a carriage return is no line end", "Mean TTFT (ms): 5\rMean ITL (ms): 6", {"mean_ttft": 5.0}, False),
    ("a carriage return is a blank", "Mean TTFT (ms):\r5", {"mean_ttft": 5.0}, False),
    ("other line ends are none", "Mean TTFT (ms): 5\x0bMean ITL (ms): 6\x0cMean TPOT (ms): 7\u2028Mean E2EL (ms): 8", {"mean_ttft": 5.0}, False),
    ("unanchored", "0: [x] Mean TTFT (ms):   5   ", {"mean_ttft": 5.0}, False),
    ("Total token throughput", "Total token throughput (tok/s): 5", {}, False),
    ("Peak output token throughput", "Peak output token throughput (tok/s): 5", {}, False),
    ("the old decoded-tokens row", "Avg Decoded Tokens per Iter: 2.5\nMedian Avg Decoded Tokens per Iter: 2.5", {}, False),
    ("al", "Mean Avg Decoded Tokens per Iter: 2.5", {"al": 2.5}, False),
    ("P99.9", "P99.9 TTFT (ms): 5", {}, False),
    ("colour between colon and value", "Mean TTFT (ms): \x1b[1m5\x1b[0m", {}, False),
    ("a negative value", "Mean TTFT (ms): -1000.00", {"mean_ttft": -1000.0}, False),
    ("minus zero", "Mean TTFT (ms): -0.00", {"mean_ttft": -0.0}, False),
    ("a plus sign is missing", "Mean TTFT (ms): +5.5", {}, False),
    ("20/20 is cut off", "Request throughput (req/s): 20/20", {"seq_throughput": 20.0}, False),
    ("device steps", "Average Per Iter Device Step Time (ms): 7.33\nMedian Per Iter Device Step Time (ms): 7.3268\n"
     "Stdev Per Iter Device Step Time (ms): 0.1\nP75 Per Iter Device Step Time (ms): 7.4\nP99 Per Iter Device Step Time (ms): 7.9",
     {f"{stat}_gen_worker_per_iter_device_step_time": v
      for stat, v in [("mean", 7.33), ("median", 7.3268), ("std", 0.1), ("p75", 7.4), ("p99", 7.9)]}, False),
    ("no text", "", {}, False),
]


def test():
    code = 0
    for name, text, want, want_raises in CASES:
        got, raises = parse(text)
        # As text, so that the order and the sign of zero count.
        if repr(got) != repr(want) or (raises is not None) != want_raises:
            print(f"{name}: {got}, raises {raises}; not {want}, raises {want_raises}", file=sys.stderr)
            code = 1
    return code


def main(args):
    if args == ["--test"]:
        return test()
    if len(args) > 1 and args[0] == "--bench":
        return bench(args[1:])
    if len(args) == 2 and args[0] == "--list":
        with open(args[1], encoding="utf-8", errors="surrogateescape", newline="") as names:
            return report_all(name for name in names.read().split("\n") if name)
    if not args or args[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    return report_all(args)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
