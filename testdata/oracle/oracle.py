#!/usr/bin/env python3
"""TensorRT-LLM's own way of reading a client's log, for comparison.

oracle.py FILE...        one JSON object a file: its metrics in the order found, or "raises" with the text that is no number
oracle.py --list FILE    the same for the files that FILE names, one a line
oracle.py --bench PATH...  only the reading, of all files at or below the paths; prints bytes and seconds
oracle.py --test         checks the quirks that are known of it

Source: test_perf_sanity.py, January to September 2026.
"""
import json
import os
import re
import sys
import time

QUERIES = [
    (name, re.compile(expression))
    for name, expression in [
        ("seq_throughput", r"Request throughput \(req\/s\):\s+(-?[\d\.]+)"),
        ("token_throughput", r"Output token throughput \(tok\/s\):\s+(-?[\d\.]+)"),
        ("total_token_throughput", r"Total Token throughput \(tok\/s\):\s+(-?[\d\.]+)"),
        ("user_throughput", r"User throughput \(tok\/s\):\s+(-?[\d\.]+)"),
    ]
    + [
        (f"{stat.lower()}_{name.lower()}", rf"{stat} {name} \(ms\):\s+(-?[\d\.]+)")
        for name in ["TTFT", "ITL", "TPOT", "E2EL"]
        for stat in ["Mean", "Median", "P99"]
    ]
    + [("al", r"Mean Avg Decoded Tokens per Iter:\s+(-?[\d\.]+)")]
    + [
        (f"{name}_gen_worker_per_iter_device_step_time", rf"{stat} Per Iter Device Step Time \(ms\):\s+(-?[\d\.]+)")
        for stat, name in [("Average", "mean"), ("Median", "median"), ("Stdev", "std"), ("P75", "p75"), ("P99", "p99")]
    ]
]


def parse(text):
    """The first hit of each query over the whole log counts, and one query a line."""
    found = {}
    for line in text.split("\n"):
        for name, query in QUERIES:
            if name in found:
                continue
            hit = query.search(line)
            if hit:
                found[name] = float(hit.group(1))
                break
    return found


def read(path):
    with open(path, "rb") as file:
        return file.read().decode("utf-8", errors="replace")


def report(path):
    try:
        return {"file": path, "metrics": parse(read(path))}
    except ValueError as error:
        return {"file": path, "raises": str(error)}


def test():
    for text, want in [
        ("Mean TTFT (ms): 1\nMean TTFT (ms): 2", {"mean_ttft": 1.0}),
        ("Request throughput (req/s): 1 Mean TTFT (ms): 2", {"seq_throughput": 1.0}),
        ("Mean TTFT (ms): 1.2e+07", {"mean_ttft": 1.2}),
        ("Mean TTFT (ms): 1e-05", {"mean_ttft": 1.0}),
        ("Mean TTFT (ms): 1,234", {"mean_ttft": 1.0}),
        ("Mean TTFT (ms): nan\nMean ITL (ms): inf\nMean TPOT (ms): ---\nMean E2EL (ms): N/A", {}),
        ("Mean TTFT (ms):5", {}),
        ("Mean TTFT (ms):\t5", {"mean_ttft": 5.0}),
        ("bar\rMean TTFT (ms): 5\r", {"mean_ttft": 5.0}),
        ("P99.9 TTFT (ms): 5", {}),
        ("Total token throughput (tok/s): 5", {}),
        ("Mean TTFT (ms): \x1b[1m5", {}),
        ("Mean TTFT (ms): -1000.00", {"mean_ttft": -1000.0}),
    ]:
        got = parse(text)
        assert got == want, (text, got, want)
    for text in ["Mean TTFT (ms): 1.2.3", "Mean TTFT (ms): .", "Mean TTFT (ms): 2..."]:
        try:
            parse(text)
        except ValueError:
            continue
        raise AssertionError(text)


def main(args):
    if args == ["--test"]:
        return test()
    if args and args[0] == "--bench":
        paths = []
        for top in args[1:]:
            if os.path.isdir(top):
                paths += [os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names]
            else:
                paths.append(top)
        begin, size = time.perf_counter(), 0
        for path in paths:
            size += os.path.getsize(path)
            report(path)
        print(json.dumps({"bytes": size, "seconds": time.perf_counter() - begin}))
        return
    if args and args[0] == "--list":
        with open(args[1]) as names:
            args = names.read().splitlines()
    for path in args:
        print(json.dumps(report(path)))


if __name__ == "__main__":
    main(sys.argv[1:])
