"""A small trtllm-serve: a worker that answers completion requests over HTTP, and the router of a disaggregated run.

    serve serve MODEL --port 0 --report_addr FILE [--extra_llm_api_options FILE]
    serve disaggregated -c server_config.0.yaml [--report_addr FILE]

Nothing is inferred, but everything is served for real: requests wait in a queue, an engine takes them through steps, all running
requests together, and each token is sent when its step ends. So what a client measures, and what the iteration lines say, has been
measured and not invented. TREE_STEP_MS and TREE_PREFILL_MS say how long a step and a prompt take.
"""

import argparse
import http.client
import itertools
import json
import os
import queue
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

from tensorrt_llm.faults import count, end_with_parent, fault, seconds


def log(text):
    sys.stdout.write(f"[{time.strftime('%m/%d/%Y-%H:%M:%S')}] [TRT-LLM] [I] {text}\n")
    sys.stdout.flush()


class Request:
    """One request inside the engine. Its queue yields the numbers of tokens that a step made, then None."""

    def __init__(self, prompt, tokens, first):
        self.prompt, self.left, self.first = prompt, tokens, first
        self.made = queue.Queue()
        self.decoded = self.iterations = 0


class Engine(threading.Thread):
    """Takes all running requests through one step after another."""

    def __init__(self, options):
        super().__init__(daemon=True)
        self.step = seconds("TREE_STEP_MS", 2) / 1000
        self.prefill = seconds("TREE_PREFILL_MS", 4) / 1000
        self.max_batch = int(options.get("max_batch_size") or 512)
        self.draft = 0
        speculative = options.get("speculative_config") or {}
        if speculative.get("decoding_type"):
            self.draft = int(speculative.get("max_draft_len") or speculative.get("num_nextn_predict_layers") or 0)
        # A launcher has started the ranks whose output the iteration lines are; where it is not known they go to the server's own.
        self.lines = None
        if options.get("print_iter_log"):
            self.lines = os.fdopen(int(os.environ.get("TREE_WORKER_FD", "1")), "w", buffering=1, closefd=False)
        self.waiting = queue.Queue()
        self.random = random.Random(0)

    def submit(self, request):
        self.waiting.put(request)

    def run(self):
        running, previous, iteration = [], None, 0
        while True:
            while len(running) < self.max_batch:
                try:
                    request = self.waiting.get(block=not running)
                except queue.Empty:
                    break
                if request.first:
                    running.append(request)
                    continue
                time.sleep(self.prefill)
                running.append(request)
            start = time.perf_counter()
            time.sleep(self.step)
            tokens = 0
            for request in running:
                n = min(request.left, 1 + (self.random.randint(0, self.draft) if self.draft and request.decoded else 0))
                request.left -= n
                request.decoded += n
                request.iterations += 1
                tokens += n
                request.made.put(n)
                if request.left <= 0:
                    request.made.put(None)
            took = (time.perf_counter() - start) * 1000
            if self.lines:
                now = "N/A" if previous is None else f"{previous}ms"
                self.lines.write(
                    f"[TRT-LLM] [I] [_torch][RANK 0] iter = {iteration}, global_rank = 0, rank = 0, "
                    f"num_scheduled_requests = {len(running)}, kv_cache_util = 0.1, "
                    f"currank_total_requests = {len(running)}/{self.waiting.qsize()}, host_step_time = {took}ms, "
                    f"prev_device_step_time = {now}, timestamp = {time.strftime('%m-%d-%Y %H:%M:%S')}, "
                    f"states = {{'num_ctx_requests': 0, 'num_ctx_tokens': 0, 'num_generation_tokens': {len(running)}}}\n")
            previous, iteration = took, iteration + 1
            running = [r for r in running if r.left > 0]


class Handler(BaseHTTPRequestHandler):
    """What worker and router have in common."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass

    def answer(self, status, text="", kind="application/json"):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.note(status)

    def note(self, status):
        word = {200: "OK", 404: "Not Found", 500: "Internal Server Error"}[status]
        sys.stdout.write(f'INFO:     {self.client_address[0]}:{self.client_address[1]} - "{self.command} {self.path} HTTP/1.1" {status} {word}\n')
        sys.stdout.flush()

    def start_stream(self):
        """Begins an event stream; its end is the end of the connection."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self.note(200)

    def event(self, document):
        self.wfile.write(b"data: " + (document if isinstance(document, bytes) else json.dumps(document).encode()) + b"\n\n")
        self.wfile.flush()

    def do_GET(self):
        if self.path == "/health":
            self.answer(200)
        elif self.path == "/server_info":
            self.answer(200, json.dumps(self.server.info))
        else:
            self.answer(404, "{}")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/completions":
            self.answer(404, "{}")
            return
        # What a fault asks for shows at the server that the client speaks to.
        number = next(self.server.numbers)
        if self.server.front and number < count("failed-requests"):
            self.answer(500, json.dumps({"message": "a fault was asked for"}))
            return
        if self.server.front and number < count("cut-requests"):
            self.start_stream()
            self.event({"choices": [{"index": 0, "text": " x", "finish_reason": None}]})
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        try:
            self.complete(body)
        except (BrokenPipeError, ConnectionResetError):
            log("the client is gone")


class WorkerHandler(Handler):

    def complete(self, body):
        params = body.get("disaggregated_params") or {}
        kind, asked = params.get("request_type"), int(body.get("max_tokens", 16))
        first = 1 if kind == "generation_only" and params.get("first_gen_tokens") else 0
        request = Request(len(body["prompt"]), 1 if kind == "context_only" else asked - first, bool(first))
        if request.left > 0:
            self.server.engine.submit(request)
        else:
            request.made.put(None)
        tokens = iter(request.made.get, None)
        usage = {"prompt_tokens": request.prompt, "completion_tokens": asked, "total_tokens": request.prompt + asked}
        if kind == "context_only" or not body.get("stream"):
            n = sum(tokens)
            usage["completion_tokens"] = n
            self.answer(200, json.dumps({
                "choices": [{"index": 0, "text": " x" * n, "finish_reason": "length"}], "usage": usage,
                "disaggregated_params": {"request_type": kind, "first_gen_tokens": [1], "ctx_request_id": id(request)},
            }))
            return
        self.start_stream()
        if first:
            self.event({"choices": [{"index": 0, "text": " x", "finish_reason": None}]})
        for n in tokens:
            choice = {"index": 0, "text": " x" * n, "finish_reason": None if request.left > 0 else "length"}
            if request.left <= 0 and self.server.engine.draft:
                choice["avg_decoded_tokens_per_iter"] = request.decoded / request.iterations
            self.event({"choices": [choice]})
        self.event({"choices": [], "usage": usage})
        self.event(b"[DONE]")


class RouterHandler(Handler):

    def complete(self, body):
        if self.server.contexts:
            host, port = next(self.server.contexts)
            with_context = dict(body, stream=False, disaggregated_params={"request_type": "context_only"})
            answer = json.load(post(host, port, with_context))
            body = dict(body, disaggregated_params=dict(answer["disaggregated_params"], request_type="generation_only"))
        host, port = next(self.server.generations)
        response = post(host, port, body)
        if not body.get("stream"):
            self.answer(response.status, response.read().decode())
            return
        self.start_stream()
        for line in response:
            self.wfile.write(line)
            self.wfile.flush()


def post(host, port, body):
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    return connection.getresponse()


def serve(server, report):
    """Says where the server listens, and serves until it is ended."""
    host, port = server.server_address[:2]
    if report:
        # Whoever waits for the file must never see half of it.
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(report), prefix=os.path.basename(report) + ".", suffix=".tmp",
                                         delete=False) as f:
            f.write(f"{host}:{port}\n")
        os.chmod(f.name, 0o644)
        os.rename(f.name, report)
    sys.stdout.write(f"INFO:     Started server process [{os.getpid()}]\nINFO:     Application startup complete.\n"
                     f"INFO:     Uvicorn running on http://{host}:{port} (Press CTRL+C to quit)\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server.serve_forever()


def new_server(handler, host, port):
    server = ThreadingHTTPServer((host, port), handler)
    server.daemon_threads = True
    server.numbers = itertools.count()
    server.info = {}
    return server


def worker(args):
    options = {}
    if args.extra_llm_api_options:
        with open(args.extra_llm_api_options) as f:
            options = yaml.safe_load(f) or {}
    role = os.environ.get("DISAGG_SERVING_TYPE", "")
    log(f"Starting trtllm-serve ({role or 'aggregated'}) for {args.model}")
    died = fault("server-dies")
    if died is not None and died in ("", role):
        log("Model init failed")
        sys.stderr.write("RuntimeError: CUDA out of memory. A fault was asked for.\n")
        sys.exit(1)
    begin = time.perf_counter()
    for done in range(5):
        sys.stderr.write(f"\rLoading safetensors weights in parallel: {done * 25:3d}%|{'█' * (2 * done):8}| {done}/4")
    sys.stderr.write("\n")
    engine = Engine(options)
    engine.start()
    server = new_server(WorkerHandler, args.host, args.port)
    server.engine = engine
    server.front = not role.startswith(("CTX", "GEN"))
    loading = time.perf_counter() - begin
    server.info = {"startup_metrics": {"model_loader": {
        "total_model_loading_seconds": loading, "weight_population_seconds": loading / 2, "post_load_processing_seconds": loading / 4}}}
    log(f"Model init total -- {loading:.2f}s")
    serve(server, args.report_addr)


def router(args):
    with open(args.config) as f:
        config = yaml.safe_load(f)

    def turns(section):
        urls = [(host, int(port)) for host, _, port in (u.rpartition(":") for u in (config.get(section) or {}).get("urls") or [])]
        return Turns(urls) if urls else None

    log("Starting trtllm-serve (DISAGG_SERVER)")
    server = new_server(RouterHandler, args.host or config["hostname"], config["port"])
    server.front = True
    server.contexts, server.generations = turns("context_servers"), turns("generation_servers")
    serve(server, args.report_addr)


class Turns:
    """Gives out servers in turn, to several threads."""

    def __init__(self, urls):
        self.cycle, self.lock = itertools.cycle(urls), threading.Lock()

    def __next__(self):
        with self.lock:
            return next(self.cycle)


def main():
    parser = argparse.ArgumentParser(prog="trtllm-serve")
    commands = parser.add_subparsers(required=True)
    p = commands.add_parser("serve")
    p.add_argument("model")
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=8000)
    p.add_argument("--backend", default="pytorch")
    p.add_argument("--extra_llm_api_options")
    p.add_argument("--report_addr")
    p.set_defaults(run=worker)
    p = commands.add_parser("disaggregated")
    p.add_argument("-c", "--config", required=True)
    p.add_argument("-t", "--server_start_timeout", type=int, default=180)
    p.add_argument("-r", "--request_timeout", type=int, default=180)
    p.add_argument("--host")
    p.add_argument("--report_addr")
    p.set_defaults(run=router)
    args = parser.parse_args()
    end_with_parent()
    args.run(args)


if __name__ == "__main__":
    main()
