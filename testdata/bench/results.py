#!/usr/bin/env python3
"""Writes logs with N blocks in all, no two alike: results.py N DIRECTORY."""

import os
import sys

LATENCIES = [("Time to First Token", "TTFT"), ("Time per Output Token (excl. 1st token)", "TPOT"), ("Inter-token Latency", "ITL"), ("End-to-end Latency", "E2EL")]
BLOCKS_PER_LOG = 100


def row(label, value):
    return f"{label + ':':<40} {value:<10}\n"


def block(n):
    text = "{:=^50}\n".format(" Serving Benchmark Result ")
    text += row("Total requests", 80) + row("Successful requests", 80) + row("Failed requests", 0)
    text += row("Benchmark duration (s)", f"{80 + n / 1000:.2f}") + row("Total input tokens", 81920) + row("Total generated tokens", 81920 + n)
    for i, label in enumerate(["Request throughput (req/s)", "Output token throughput (tok/s)", "Total Token throughput (tok/s)", "User throughput (tok/s)"]):
        text += row(label, f"{(i + 1) * 100 + n / 100:.2f}")
    for title, name in LATENCIES:
        text += f"{title:-^50}\n"
        for i, stat in enumerate(["Mean", "Median", "Std Dev", "P99"]):
            text += row(f"{stat} {name} (ms)", f"{10 * (i + 1) + n / 100:.2f}")
    return text + "=" * 50 + "\n"


def main():
    count, directory = int(sys.argv[1]), sys.argv[2]
    os.makedirs(directory)
    for first in range(0, count, BLOCKS_PER_LOG):
        with open(os.path.join(directory, f"{first:07}.log"), "w", encoding="utf-8") as log:
            for n in range(first, min(count, first + BLOCKS_PER_LOG)):
                log.write(f"Namespace(backend='openai', model='toy', num_prompts=80, max_concurrency={n % 64 + 1})\n" + block(n))


main()
