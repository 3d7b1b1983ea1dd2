"""A small benchmark client: sends completion requests over HTTP and prints what TensorRT-LLM's benchmark_serving prints.

Every number is measured on the requests that it sends, --max-concurrency of them at a time. TREE_BLOCK=1.2 prints the block of the client of
that age (no Std Dev, one row for the decoded tokens), TREE_BLOCK=sa the one of the SA client.
"""

import argparse
import http.client
import json
import os
import statistics
import sys
import threading
import time

from tensorrt_llm.faults import end_with_parent, fault, seconds

METRICS = {"ttft": "Time to First Token", "tpot": "Time per Output Token (excl. 1st token)", "itl": "Inter-token Latency",
           "e2el": "End-to-end Latency"}


class Output:
    """What one request gave. Times are in seconds."""

    def __init__(self):
        self.success, self.error, self.tokens = False, None, 0
        self.ttft = self.latency = 0.0
        self.itl = []
        self.decoded = None


def send(args, number):
    """Sends one request and measures it. A server's refusal is no success; a connection that breaks is an error besides."""
    out = Output()
    prompt = [(number * 31 + i) % 1000 for i in range(args.random_input_len)]
    body = json.dumps({"model": args.model, "prompt": prompt, "max_tokens": args.random_output_len, "stream": not args.non_streaming,
                       "ignore_eos": args.ignore_eos, "stream_options": {"include_usage": True}})
    begin = last = time.perf_counter()
    try:
        connection = http.client.HTTPConnection(args.host, args.port, timeout=seconds("TREE_REQUEST_TIMEOUT", 60))
        connection.request("POST", args.endpoint, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            sys.stderr.write(f"HTTP Error {response.status}: <ClientResponse({args.host}) [{response.status} {response.reason}]>\n"
                             f"<CIMultiDictProxy({response.getheaders()})>\n\n")
            return out
        done = False
        if args.non_streaming:
            out.tokens = json.load(response)["usage"]["completion_tokens"]
            out.ttft, out.latency, done = -1, time.perf_counter() - begin, True
        for line in response:
            if not line.startswith(b"data: "):
                continue
            data = line[len(b"data: "):].strip()
            if data == b"[DONE]":
                done = True
                break
            event = json.loads(data)
            if not event["choices"]:
                out.tokens = event["usage"]["completion_tokens"]
                continue
            now = time.perf_counter()
            if out.ttft == 0:
                out.ttft = now - begin
            else:
                out.itl.append(now - last)
            last = now
            out.latency = now - begin
            out.decoded = event["choices"][0].get("avg_decoded_tokens_per_iter", out.decoded)
        if done:
            out.success = True
        else:
            out.error = "ClientPayloadError"
    except OSError as e:
        out.error = {"ConnectionRefusedError": "ClientConnectorError"}.get(type(e).__name__, type(e).__name__)
    except http.client.HTTPException:
        out.error = "ServerDisconnectedError"
    return out


class Bar:
    """A progress bar on standard error, as tqdm draws it."""

    def __init__(self, name, total):
        self.name, self.total, self.done, self.lock = name, total, 0, threading.Lock()
        self.begin = self.drawn = time.perf_counter()
        self.draw()

    def draw(self):
        elapsed = time.perf_counter() - self.begin
        clock = f"{int(elapsed) // 60:02d}:{int(elapsed) % 60:02d}"
        share = self.done / self.total
        rate = f"{self.done / elapsed:5.2f}it/s" if self.done else "?it/s"
        prefix = self.name + ": " if self.name else ""
        sys.stderr.write(f"\r{prefix}{share:4.0%}|{'█' * int(share * 10):10}| {self.done}/{self.total} [{clock}<00:00, {rate}]")
        sys.stderr.flush()

    def step(self):
        with self.lock:
            self.done += 1
            if self.done == self.total or time.perf_counter() - self.drawn > 0.1:
                self.drawn = time.perf_counter()
                self.draw()

    def close(self):
        sys.stderr.write("\n")
        sys.stderr.flush()


def percentile(values, p):
    """Linear interpolation between the closest ranks."""
    values = sorted(values)
    at = p / 100 * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def row(label, value):
    return f"{label:<40} {value:<10}"


def number(value):
    return f"{value:.2f}"


def block(args, outputs, duration):
    """The lines of the result block."""
    kind = os.environ.get("TREE_BLOCK", "")
    good = [o for o in outputs if o.success]
    failed = len(outputs) - len(good)
    generated = sum(o.tokens for o in good)
    asked = args.random_input_len * len(good)
    lines = [f"{' Serving Benchmark Result ':=^50}"]
    if kind == "sa":
        lines.append(row("Successful requests:", len(good)))
    else:
        lines += [row("Total requests:", len(outputs)), row("Successful requests:", len(good)), row("Failed requests:", failed)]
    lines += [
        row("Benchmark duration (s):", number(duration)),
        row("Total input tokens:", asked),
        row("Total generated tokens:", generated),
        row("Request throughput (req/s):", number(len(good) / duration)),
        row("Output token throughput (tok/s):", number(generated / duration)),
        row("Total Token throughput (tok/s):", number((asked + generated) / duration)),
    ]
    if kind != "sa":
        users = [o.tokens / o.latency for o in good if o.latency > 0]
        lines.append(row("User throughput (tok/s):", number(statistics.fmean(users) if users else 0)))
    decoded = [o.decoded for o in good if o.decoded]
    if kind == "1.2" and decoded:
        lines.append(row("Avg Decoded Tokens per Iter:", number(statistics.fmean(decoded))))
    if failed and kind != "sa":
        lines += ["=======================!FAILED REQUESTS!=======================", f"Total failed requests: {failed}",
                  "=====================!CHECK LOG FOR ERRORS!===================="]
    if kind == "" and decoded:
        name = "Avg Decoded Tokens per Iter"
        lines.append(f"{name:-^50}")
        for what, value in (("Mean", statistics.fmean(decoded)), ("Median", statistics.median(decoded)), ("Std Dev", statistics.pstdev(decoded)),
                            ("Min", min(decoded)), ("Max", max(decoded)), ("P99", percentile(decoded, 99))):
            lines.append(row(f"{what} {name}:", number(value)))
    values = {
        "ttft": [o.ttft for o in good],
        "tpot": [(o.latency - o.ttft) / (o.tokens - 1) for o in good if o.tokens > 1],
        "itl": [t for o in good for t in o.itl],
        "e2el": [o.latency for o in good],
    }
    for metric, title in METRICS.items():
        if metric not in args.percentile_metrics.split(","):
            continue
        ms = [v * 1000 for v in values[metric]] or [0]
        lines.append(f"{title:-^50}")
        stats = [("Mean", statistics.fmean(ms)), ("Median", statistics.median(ms))]
        if kind == "":
            stats.append(("Std Dev", statistics.pstdev(ms)))
        stats += [("P" + p, percentile(ms, float(p))) for p in args.metric_percentiles.split(",")]
        lines += [row(f"{what} {metric.upper()} (ms):", number(value)) for what, value in stats]
    return lines + ["=" * 50]


def benchmark(args):
    """Sends all requests and returns their outputs, the time that it took, and how many were under way at once."""
    outputs, numbers, lock = [None] * args.num_prompts, iter(range(args.num_prompts)), threading.Lock()
    under_way = peak = 0
    bar = Bar("" if os.environ.get("TREE_BLOCK") == "sa" else "Benchmarking", args.num_prompts)

    def work():
        nonlocal under_way, peak
        while True:
            with lock:
                n = next(numbers, None)
                if n is None:
                    return
                under_way += 1
                peak = max(peak, under_way)
            outputs[n] = send(args, n)
            with lock:
                under_way -= 1
            bar.step()

    begin = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(min(args.max_concurrency, args.num_prompts))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    duration = time.perf_counter() - begin
    bar.close()
    return outputs, duration, peak


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", default="openai")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--endpoint", default="/v1/completions")
    parser.add_argument("--dataset-name", default="random", choices=["random"])
    parser.add_argument("--max-concurrency", type=int, default=1)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokenizer")
    parser.add_argument("--num-prompts", type=int, default=1)
    parser.add_argument("--request-rate", type=float, default=float("inf"))
    parser.add_argument("--burstiness", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trust-remote-code", action="store_true")
    parser.add_argument("--no-test-input", action="store_true")
    parser.add_argument("--non-streaming", action="store_true")
    parser.add_argument("--ignore-eos", action="store_true")
    parser.add_argument("--percentile-metrics", default="ttft,tpot,itl")
    parser.add_argument("--metric-percentiles", default="99")
    parser.add_argument("--random-input-len", type=int, default=1024)
    parser.add_argument("--random-output-len", type=int, default=128)
    parser.add_argument("--random-range-ratio", type=float, default=0.0)
    parser.add_argument("--random-ids", action="store_true")
    parser.add_argument("--tokenize-on-client", action="store_true")
    parser.add_argument("--use-chat-template", action="store_true")
    args = parser.parse_args()
    end_with_parent()

    # Standard output and standard error meet in one file, in the order of their lines.
    sys.stdout.reconfigure(line_buffering=True)
    if fault("no-output") is not None:
        return
    print(args)
    print("RandomDataset.sample() started...")
    print("RandomDataset.sample() completed in 0.0003 seconds")
    if args.no_test_input:
        print("Skipping initial test run. Starting main benchmark run...")
    else:
        print("Starting initial single prompt test run...")
        if not send(args, 0).success:
            raise ValueError("Initial test run failed - Please make sure benchmark arguments are correctly specified.")
        print("Initial test run completed. Starting main benchmark run...")
    print("Traffic request rate: inf")
    print("Burstiness factor: 1.0 (Poisson process)")
    print(f"Maximum request concurrency: {args.max_concurrency}")
    if fault("client-hangs") is not None:
        time.sleep(seconds("TREE_HANG", 600))
    outputs, duration, peak = benchmark(args)
    kinds = {}
    for o in outputs:
        if o.error:
            kinds[o.error] = kinds.get(o.error, 0) + 1
    sa = os.environ.get("TREE_BLOCK") == "sa"
    for kind, n in ({} if sa else kinds).items():
        print(f"Error type: {kind}, Count: {n} requests")
    if not sa:
        print(f"Total failed requests: {sum(kinds.values())}")
    missing = fault("missing-metric")
    if fault("no-block") is None:
        for line in block(args, outputs, duration):
            if not missing or missing.lower() not in line.lower():
                print(line)
    if os.environ.get("TREE_MY_METRIC"):
        print(f"My Metric 1 (units): {peak:.2f}")
    code = fault("client-exits")
    if code is not None:
        sys.exit(int(code or 1))


if __name__ == "__main__":
    main()
