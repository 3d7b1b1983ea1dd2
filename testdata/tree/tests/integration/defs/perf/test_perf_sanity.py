"""Performance tests of this tree: aggregated and disaggregated serving, from the YAML configurations below tests/scripts/perf-sanity.

The ids, roles, files and failures are those of TensorRT-LLM's module of this name (September 2026); what serves and what measures are
this tree's own small programs. Configurations in the folders of older generations give ids without a mode, and files as they
were called in January 2026.

Settings from the environment: TREE_POLL (seconds between looks, 0.05), TREE_SENTINEL_TIMEOUT (seconds that the benchmark waits for
gen_server_<i>.done, 5), TREE_TIMEOUT (seconds for the whole test, 120), TREE_FAULTS.
"""

import glob
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import yaml

from tensorrt_llm.faults import fault, seconds

from ..conftest import get_llm_root, llm_models_root
from ..trt_test_alternative import print_error, print_info

DEFAULT_TIMEOUT = int(os.environ.get("TREE_TIMEOUT") or 120)
SERVER_READY_TIMEOUT = 60
POLL = seconds("TREE_POLL", 0.05)
SENTINEL_TIMEOUT = seconds("TREE_SENTINEL_TIMEOUT", 5)

AGG_CONFIG_FOLDER = os.environ.get("AGG_CONFIG_FOLDER") or "tests/scripts/perf-sanity/aggregated"
DISAGG_CONFIG_FOLDER = os.environ.get("DISAGG_CONFIG_FOLDER") or "tests/scripts/perf-sanity/disaggregated"
# Where older generations have theirs; the newest first.
OLD_AGG_CONFIG_FOLDER = "tests/scripts/perf-sanity"
OLD_DISAGG_CONFIG_FOLDERS = ("tests/integration/defs/perf/disagg/test_configs/disagg/perf-sanity",
                             "tests/integration/defs/perf/disagg/test_configs/disagg/perf")

AGG_PREFIXES = ("aggr_upload", "aggr")
DISAGG_PREFIXES = ("disagg_upload", "disagg")
DISAGG_MODES = ("e2e", "gen_only")

MODEL_PATH_DICT = {"toy_7b": "toy_7b", "toy_7b_fp4": "toy/toy_7b_fp4"}

PERF_METRIC_LOG_QUERIES = {
    "seq_throughput": re.compile(r"Request throughput \(req\/s\):\s+(-?[\d\.]+)"),
    "token_throughput": re.compile(r"Output token throughput \(tok\/s\):\s+(-?[\d\.]+)"),
    "total_token_throughput": re.compile(r"Total Token throughput \(tok\/s\):\s+(-?[\d\.]+)"),
    "user_throughput": re.compile(r"User throughput \(tok\/s\):\s+(-?[\d\.]+)"),
    **{
        f"{stat.lower()}_{name}": re.compile(rf"{stat} {name.upper()} \(ms\):\s+(-?[\d\.]+)")
        for name in ("ttft", "itl", "tpot", "e2el")
        for stat in ("Mean", "Median", "P99")
    },
}
BASE_METRICS = tuple(PERF_METRIC_LOG_QUERIES)
PERF_METRIC_LOG_QUERIES["al"] = re.compile(r"Mean Avg Decoded Tokens per Iter:\s+(-?[\d\.]+)")
STEP_TIME_METRICS = {"mean": "Average", "median": "Median", "std": "Stdev", "p75": "P75", "p99": "P99"}
for _stat, _label in STEP_TIME_METRICS.items():
    PERF_METRIC_LOG_QUERIES[f"{_stat}_gen_worker_per_iter_device_step_time"] = re.compile(
        _label + r" Per Iter Device Step Time \(ms\):\s+(-?[\d\.]+)")

REPORTED = ("RuntimeError", "out of memory", "ValueError", "FileNotFoundError", "ConnectionRefusedError", "ClientConnectorError",
            "CancelledError", "TimeoutError", "PMI2_Init failed to initialize", "OSError")


def folder(path):
    return os.path.join(get_llm_root(), path)


def yaml_files(path):
    return sorted(glob.glob(os.path.join(folder(path), "*.yaml")))


def stem(path):
    return os.path.basename(path).removesuffix(".yaml")


def server_names(path):
    """The names of a configuration's servers; none where it cannot be read."""
    try:
        with open(path) as f:
            return [s["name"] for s in yaml.safe_load(f)["server_configs"] if s.get("name")]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return []


def get_aggr_test_cases(prefixes=AGG_PREFIXES):
    return [
        case for path in yaml_files(AGG_CONFIG_FOLDER) + yaml_files(OLD_AGG_CONFIG_FOLDER) for prefix in prefixes
        for case in [f"{prefix}-{stem(path)}"] + [f"{prefix}-{stem(path)}-{name}" for name in server_names(path)]
    ]


def get_disagg_test_cases(prefixes=DISAGG_PREFIXES, agg_prefixes=AGG_PREFIXES):
    cases = []
    for path in yaml_files(DISAGG_CONFIG_FOLDER):
        cases += [f"{prefix}-{mode}-{stem(path)}" for prefix in prefixes for mode in DISAGG_MODES]
        cases += [f"{prefix}-ctx_only-{stem(path)}" for prefix in agg_prefixes]
    return cases


def get_old_disagg_test_cases(prefixes=DISAGG_PREFIXES):
    return [f"{prefix}-{stem(path)}" for old in OLD_DISAGG_CONFIG_FOLDERS for path in yaml_files(old) for prefix in prefixes]


def positive(name):
    """A whole number above 0 from the environment, else None."""
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() and int(text) > 0 else None


def ready_timeout(kind):
    return (positive(f"TRTLLM_TEST_{kind}_SERVER_READY_TIMEOUT") or positive("TRTLLM_TEST_SERVER_READY_TIMEOUT")
            or SERVER_READY_TIMEOUT)


def wait_until(ready, timeout, what, process=None, log=None):
    """Looks until ready() gives a true value and returns it. It ends early with the process that is waited for."""
    deadline = time.monotonic() + timeout
    while True:
        value = ready()
        if value:
            return value
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{what}: the process ended with exit code {process.returncode}" + tail(log))
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: timed out after {timeout} s" + tail(log))
        time.sleep(POLL)


def tail(path, lines=20):
    if path is None or not os.path.exists(path):
        return ""
    with open(path, errors="replace") as f:
        return f"; the end of {os.path.basename(path)}:\n" + "".join(f.readlines()[-lines:])


def read_address(path):
    try:
        with open(path) as f:
            return f.read().strip()
    except FileNotFoundError:
        return ""


def healthy(address):
    try:
        with urllib.request.urlopen(f"http://{address}/health", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def job_id():
    """The Slurm job's id, the same for all roles. A run script may have unset it for some of them; the processes above began with it."""
    if os.environ.get("SLURM_JOB_ID"):
        return os.environ["SLURM_JOB_ID"]
    pid = os.getppid()
    while pid > 1:
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                for word in f.read().split(b"\0"):
                    if word.startswith(b"SLURM_JOB_ID="):
                        return word.partition(b"=")[2].decode()
            with open(f"/proc/{pid}/stat") as f:
                pid = int(f.read().rpartition(")")[2].split()[1])
        except OSError:
            break
    return "local"


def to_env_dict(text):
    """KEY=value words; others are ignored."""
    return dict(word.split("=", 1) for word in (text or "").split() if "=" in word)


class ServerConfig:
    """A server of an aggregated configuration, or a worker of a disaggregated one."""

    def __init__(self, data, metadata, hardware, env=""):
        get = data.get
        self.model_name = get("model_name") or metadata.get("model_name", "")
        self.tp, self.ep = get("tensor_parallel_size", 1), get("moe_expert_parallel_size", 1)
        self.pp, self.cp = get("pipeline_parallel_size", 1), get("context_parallel_size", 1)
        self.gpus = get("gpus") or self.tp * self.cp * self.pp
        self.gpus_per_node = hardware.get("gpus_per_node") or self.gpus
        self.max_batch_size = get("max_batch_size", 512)
        self.speculative_config = get("speculative_config") or {}
        self.spec_decoding = bool(self.speculative_config.get("decoding_type"))
        self.print_iter_log = get("print_iter_log", False)
        self.data = data
        self.server_env_var = f"{env} {get('server_env_var', '')}"
        self.name = get("name") or (f"{self.model_name}_tp{self.tp}_ep{self.ep}_pp{self.pp}_cp{self.cp}_bs{self.max_batch_size}"
                                    f"_attn{get('attn_backend', 'TRTLLM')}_moe{(get('moe_config') or {}).get('backend', '')}")

    def to_env(self):
        return to_env_dict(self.server_env_var)

    def extra_llm_api_config(self):
        known = ("tensor_parallel_size", "moe_expert_parallel_size", "pipeline_parallel_size", "context_parallel_size", "max_batch_size",
                 "print_iter_log", "speculative_config", "kv_cache_config", "cache_transceiver_config")
        return {k: v for k, v in self.data.items() if k in known}

    def to_cmd(self, options, report):
        model = os.path.join(llm_models_root(), MODEL_PATH_DICT.get(self.model_name, self.model_name))
        return [sys.executable, "-m", "tensorrt_llm.commands.serve", "serve", model, "--host", os.environ.get("TREE_HOST", "127.0.0.1"),
                "--port", "0", "--backend", "pytorch", "--extra_llm_api_options", options, "--report_addr", report]


class ClientConfig:
    """One load that a client puts on a server."""

    def __init__(self, data, model_name, spec_decoding=False, env="", test_input=False):
        get = data.get
        self.model_name = model_name
        self.concurrency, self.iterations = int(get("concurrency", 1)), int(get("iterations", 1))
        self.isl, self.osl = int(get("isl", 1024)), int(get("osl", 1024))
        self.random_range_ratio = get("random_range_ratio", 0.0)
        self.backend = get("backend", "openai")
        self.streaming = get("streaming", True)
        self.use_nv_sa_benchmark = get("use_nv_sa_benchmark", False)
        self.spec_decoding, self.test_input = spec_decoding, test_input
        self.client_env_var = f"{env} {get('client_env_var', '')}"
        self.name = get("name") or f"con{self.concurrency}_iter{self.iterations}_isl{self.isl}_osl{self.osl}"

    def to_env(self):
        return to_env_dict(self.client_env_var) | ({"TREE_BLOCK": "sa"} if self.use_nv_sa_benchmark else {})

    def to_cmd(self, address):
        host, _, port = address.rpartition(":")
        model = os.path.join(llm_models_root(), MODEL_PATH_DICT.get(self.model_name, self.model_name))
        return [sys.executable, "-m", "tensorrt_llm.serve.scripts.benchmark_serving", "--model", model, "--tokenizer", model,
                "--num-prompts", str(self.concurrency * self.iterations), "--max-concurrency", str(self.concurrency),
                "--percentile-metrics", "ttft,tpot,itl,e2el", "--ignore-eos", *([] if self.test_input else ["--no-test-input"]),
                "--dataset-name", "random", "--random-ids", "--tokenize-on-client", "--random-input-len", str(self.isl),
                "--random-output-len", str(self.osl), "--random-range-ratio", str(self.random_range_ratio),
                "--backend", self.backend, *([] if self.streaming else ["--non-streaming"]), "--trust-remote-code",
                "--host", host, "--port", port]


class PerfSanityTestConfig:
    """One test: what its id and its configuration ask for, how it runs, and what came of it."""

    def __init__(self, test_case_name, output_dir):
        self.test_case_name = test_case_name
        if not output_dir:
            raise ValueError("the test writes below --output-dir: give one")
        self.perf_sanity_output_dir = os.path.join(os.path.abspath(output_dir), test_case_name)
        self.disagg_serving_type = os.environ.get("DISAGG_SERVING_TYPE", "BENCHMARK")
        self.job_id = job_id()
        # Per server: (config or configs, clients). Results: server index -> one dictionary of metrics for each client.
        self.servers, self._perf_results = [], {}
        self.raw = {}
        self.old = False
        self.parse_test_string(test_case_name)

    # What the id says.

    def parse_test_string(self, test_case_name):
        labels = test_case_name.split("-")
        assert len(labels) > 1, f"perf_sanity test case name {test_case_name} is too short"
        prefix = labels[0]
        self.upload_to_db = "upload" in prefix
        self.benchmark_mode = None
        self.select_pattern = None
        if "disagg" in prefix:
            self.runtime = "multi_node_disagg_server"
            if self.find_old("-".join(labels[1:])):
                self.config_base = "-".join(labels[1:])
            else:
                assert len(labels) > 2, f"{test_case_name}: a disaggregated test has a mode and a configuration"
                assert labels[1] in DISAGG_MODES, f"{test_case_name}: unknown mode {labels[1]}"
                self.benchmark_mode, self.config_base = labels[1], "-".join(labels[2:])
                self.config_dir = folder(DISAGG_CONFIG_FOLDER)
        elif "aggr" in prefix:
            self.runtime = "aggr_server"
            if len(labels) > 2 and labels[1] == "ctx_only":
                self.benchmark_mode, self.config_base = "ctx_only", "-".join(labels[2:])
                self.config_dir = folder(DISAGG_CONFIG_FOLDER)
            else:
                self.config_base = labels[1]
                self.config_dir = folder(AGG_CONFIG_FOLDER)
                if not os.path.exists(os.path.join(self.config_dir, self.config_base + ".yaml")):
                    self.config_dir = folder(OLD_AGG_CONFIG_FOLDER)
                self.select_pattern = "-".join(labels[2:]) or None
        else:
            raise ValueError(f"Invalid test name prefix: {prefix}")

    def find_old(self, base):
        """Whether a disaggregated configuration lies in the folder of an older generation."""
        for old in OLD_DISAGG_CONFIG_FOLDERS:
            if base and os.path.exists(os.path.join(folder(old), base + ".yaml")):
                self.old, self.config_dir, self.config_folder = True, folder(old), old
                return True
        return False

    # What the configuration says.

    def parse_config_file(self):
        path = os.path.join(self.config_dir, self.config_base + ("" if self.config_base.endswith(".yaml") else ".yaml"))
        with open(path) as f:
            self.raw = yaml.safe_load(f)
        faults = [os.environ.get("TREE_FAULTS"), *self.raw.get("tree_faults", [])]
        os.environ["TREE_FAULTS"] = ",".join(f for f in faults if f)
        if self.runtime == "multi_node_disagg_server":
            self._parse_disagg_config_file()
        elif self.benchmark_mode == "ctx_only":
            self._parse_ctx_only_config_file()
        else:
            self._parse_aggr_config_file()

    def _parse_aggr_config_file(self):
        metadata, hardware = self.raw.get("metadata") or {}, self.raw.get("hardware") or {}
        env = self.raw.get("environment") or {}
        selected = [name.strip() for name in self.select_pattern.split(",")] if self.select_pattern else None
        for data in self.raw["server_configs"]:
            server = ServerConfig(data, metadata, hardware, env.get("server_env_var", ""))
            if selected is None or server.name in selected:
                self.servers.append((server, [
                    ClientConfig(c, server.model_name, server.spec_decoding, env.get("client_env_var", ""))
                    for c in data["client_configs"]
                ]))

    def _disagg_parts(self):
        metadata, hardware = self.raw.get("metadata") or {}, self.raw.get("hardware") or {}
        env, benchmark = self.raw.get("environment") or {}, self.raw.get("benchmark") or {}
        workers = self.raw["worker_config"]
        shared = env.get("worker_env_var", "")
        ctx = ServerConfig(workers.get("ctx") or {}, metadata, hardware, f"{shared} {env.get('ctx_worker_env_var', '')}")
        gen = ServerConfig(workers.get("gen") or {}, metadata, hardware, f"{shared} {env.get('gen_worker_env_var', '')}")
        levels = benchmark.get("concurrency_list", "1")
        levels = levels if isinstance(levels, list) else str(levels).split()
        return hardware, env, benchmark, ctx, gen, [int(c) for c in levels]

    def _client(self, benchmark, env, model, concurrency, iterations, osl, spec, test_input):
        return ClientConfig({
            "concurrency": concurrency, "iterations": iterations, "isl": benchmark.get("input_length", 1024), "osl": osl,
            "random_range_ratio": benchmark.get("benchmark_ratio", 0.0), "streaming": benchmark.get("streaming", True),
            "use_nv_sa_benchmark": benchmark.get("use_nv_sa_benchmark", False),
        }, model, spec, env.get("client_env_var", ""), test_input)

    def _parse_disagg_config_file(self):
        hardware, env, benchmark, ctx, gen, levels = self._disagg_parts()
        yaml_mode = benchmark.get("mode", "e2e")
        if self.old:
            self.benchmark_mode = yaml_mode
        mode = self.benchmark_mode
        self.num_ctx_servers, self.num_gen_servers = hardware.get("num_ctx_servers", 0), hardware.get("num_gen_servers", 0)
        # The oldest generation runs every kind of generation-only test without context servers, and its launchers say so.
        oldest = self.old and (self.config_folder == OLD_DISAGG_CONFIG_FOLDERS[-1] or os.environ.get("TRTLLM_DISAGG_BENCHMARK_GEN_ONLY") == "1")
        if "gen_only" in mode and (oldest or "gen_only_no_context" in yaml_mode):
            self.num_ctx_servers = 0
        self.gen_only = "gen_only" in mode
        iterations = benchmark.get("multi_round", 1)
        if self.gen_only:
            levels = [max(levels)] if self.old else levels[:1]
            iterations = iterations if self.old else 1
        self.name = self.config_base if self.old else f"{mode}-{self.config_base}"
        ctx.name, gen.name = ctx.data.get("name") or self.name, gen.data.get("name") or self.name
        if self.gen_only and not self.old:
            gen.data = gen.data | {"print_iter_log": True}
        spec = ctx.spec_decoding or gen.spec_decoding
        self.timeout = min((self.raw.get("slurm") or {}).get("timeout") or DEFAULT_TIMEOUT, DEFAULT_TIMEOUT)
        self.router_env = to_env_dict(env.get("server_env_var", ""))
        self.servers = [((ctx, gen), [
            self._client(benchmark, env, ctx.model_name, c, iterations, benchmark.get("output_length", 1024), spec, mode == "e2e")
            for c in levels
        ])]

    def _parse_ctx_only_config_file(self):
        _, env, benchmark, ctx, _, levels = self._disagg_parts()
        ctx.name = ctx.data.get("name") or f"ctx_only-{self.config_base}"
        ctx.data = {k: v for k, v in ctx.data.items() if k != "cache_transceiver_config"}
        self.servers = [(ctx, [
            self._client(benchmark, env, ctx.model_name, c, benchmark.get("multi_round", 1), 1, ctx.spec_decoding, True) for c in levels
        ])]

    # Where the files are.

    def path(self, name):
        return os.path.join(self.perf_sanity_output_dir, name)

    def serve_log(self, server, role=""):
        parts = [str(server), role] if self.old else [role, str(server)]
        return self.path(".".join(["trtllm-serve", *(p for p in parts if p), "log"]))

    def benchmark_log(self, server, client):
        return self.path(f"trtllm-benchmark.{server}.{client}.log")

    def hostnames(self, server, name):
        directory = self.path(f"hostnames-{server}" if self.old else f"hostnames-{self.job_id}-{server}")
        os.makedirs(directory, exist_ok=True)
        return os.path.join(directory, name)

    def status_file(self, server):
        return self.path(f"benchmark_status.{server}.txt")

    # What runs.

    def get_commands(self):
        """For each server what its clients are told, as far as it is known before servers listen. For people who read the log."""
        return {i: [" ".join(map(shlex.quote, c.to_cmd("HOST:PORT"))) for c in clients] for i, (_, clients) in enumerate(self.servers)}

    def process(self, argv, log, env, pass_fds=()):
        out = open(log, "ab")
        settings = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [get_llm_root(), os.environ.get("PYTHONPATH")])),
                                 "PYTHONUNBUFFERED": "1"} | env
        try:
            return subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=settings, pass_fds=pass_fds)
        finally:
            out.close()

    @staticmethod
    def end(process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def run_ex(self, commands):
        """Runs the role's part. For who measures it returns {server index: [output of each client]}, else {}."""
        os.makedirs(self.perf_sanity_output_dir, exist_ok=True)
        role = self.disagg_serving_type
        dies = fault("dies")
        if dies is not None and dies in ("", role):
            print_error(f"{role} dies: a fault was asked for")
            os._exit(7)
        outputs = {}
        for i, (server, clients) in enumerate(self.servers):
            try:
                if self.runtime == "aggr_server":
                    outputs[i] = self._run_aggr(i, server, clients)
                elif role.startswith(("CTX", "GEN")):
                    self._run_worker(i, role, server[0] if role.startswith("CTX") else server[1])
                elif role == "DISAGG_SERVER":
                    self._run_router(i)
                elif role == "BENCHMARK":
                    outputs[i] = self._run_benchmark(i, clients)
                else:
                    raise ValueError(f"unknown DISAGG_SERVING_TYPE {role}")
            except Exception:
                if role == "BENCHMARK":
                    self.report_error(i)
                raise
        return outputs

    def _start_server(self, i, kind, server, log, report):
        options = self.path(f"extra-llm-api-config.{kind}.{server.name}.yml")
        # Workers of one kind share the file: only the first writes it.
        if kind == "aggr" or self.disagg_serving_type.endswith("_0"):
            with open(options + ".tmp", "w") as f:
                yaml.safe_dump(server.extra_llm_api_config(), f, sort_keys=False)
            os.rename(options + ".tmp", options)
        else:
            wait_until(lambda: os.path.exists(options), SERVER_READY_TIMEOUT, f"{options} of the first worker")
        fd = os.environ.get("TREE_WORKER_FD")
        return self.process(server.to_cmd(options, report), log, server.to_env(), (int(fd),) if fd else ())

    def _run_aggr(self, i, server, clients):
        log, report = self.serve_log(i), self.path(f"trtllm-serve.{i}.addr")
        if os.path.exists(report):
            os.remove(report)
        process = self._start_server(i, "aggr", server, log, report)
        try:
            timeout = ready_timeout("AGG")
            address = wait_until(lambda: read_address(report), timeout, "the server's address", process, log)
            wait_until(lambda: healthy(address), timeout, "the server", process, log)
            self._startup_metrics(i, [("aggregate", f"aggregate_{i}", address)])
            return [self._run_client(i, j, client, address, process, log) for j, client in enumerate(clients)]
        finally:
            self.end(process)

    def _run_worker(self, i, role, server):
        log, report = self.serve_log(i, role), self.hostnames(i, f"{role}.txt")
        print_info(f"Starting server. disagg_serving_type: {role}")
        process = self._start_server(i, "ctx" if role.startswith("CTX") else "gen", server, log, report)
        self._wait_for_status(i, process, log)

    def _wait_for_status(self, i, process, log):
        """Waits until the benchmark is done. The file counts before the process, which may end with it."""
        try:
            wait_until(lambda: os.path.exists(self.status_file(i)), self.timeout, f"waiting for {os.path.basename(self.status_file(i))}",
                       process, log)
        finally:
            self.end(process)

    def _run_router(self, i):
        log, report = self.serve_log(i, "DISAGG_SERVER"), self.hostnames(i, f"DISAGG_SERVER.{i}.addr")

        def urls(kind, n):
            files = [self.hostnames(i, f"{kind}_{k}.txt") for k in range(n)]
            return [wait_until(lambda f=f: read_address(f), ready_timeout("DISAGG"), f"the address of {stem(f)}") for f in files]

        config = {"hostname": os.environ.get("TREE_HOST", "127.0.0.1"), "port": 0, "backend": "pytorch"}
        for section, kind, n in (("context_servers", "CTX", self.num_ctx_servers), ("generation_servers", "GEN", self.num_gen_servers)):
            config[section] = {"num_instances": n, "urls": urls(kind, n)}
        path = self.path(f"server_config.{i}.yaml")
        with open(path, "w") as f:
            yaml.safe_dump(config, f, sort_keys=False)
        process = self.process([sys.executable, "-m", "tensorrt_llm.commands.serve", "disaggregated", "-c", path, "-t", str(self.timeout),
                                "-r", str(self.timeout), "--report_addr", report], log, self.router_env)
        self._wait_for_status(i, process, log)

    def _run_benchmark(self, i, clients):
        try:
            report, timeout = self.hostnames(i, f"DISAGG_SERVER.{i}.addr"), ready_timeout("DISAGG")
            print_info("Waiting for the disaggregated server")
            address = wait_until(lambda: read_address(report), timeout, "the router's address")
            wait_until(lambda: healthy(address), timeout, "the router")
            workers = [f"{kind}_{k}" for kind, n in (("CTX", self.num_ctx_servers), ("GEN", self.num_gen_servers)) for k in range(n)]
            self._startup_metrics(i, [(w, self.name, read_address(self.hostnames(i, f"{w}.txt"))) for w in workers])
            print_info("Starting benchmark.")
            begins = {path: os.path.getsize(path) for path in self._gen_logs() if os.path.exists(path)}
            outputs = [self._run_client(i, j, client, address) for j, client in enumerate(clients)]
        finally:
            if fault("no-status") is not None:
                os._exit(9)
            with open(self.status_file(i), "w") as f:
                f.write("Done")
        if self.gen_only and not self.old:
            outputs = [self._with_step_times(i, j, output, begins) for j, output in enumerate(outputs)]
        return outputs

    def _run_client(self, i, j, client, address, server=None, server_log=None):
        log = self.benchmark_log(i, j)
        old = {"TREE_BLOCK": "1.2"} if self.old else {}
        process = self.process(client.to_cmd(address), log, old | client.to_env())
        try:
            # A file's size tells nothing here: the client may be silent for long.
            deadline = time.monotonic() + DEFAULT_TIMEOUT
            while process.poll() is None:
                if server is not None and server.poll() is not None:
                    raise RuntimeError(f"the server ended with exit code {server.returncode}" + tail(server_log))
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the client: timed out after {DEFAULT_TIMEOUT} s" + tail(log))
                time.sleep(0.01)
        finally:
            if process.poll() is None:
                self.end(process)
        with open(log, errors="replace") as f:
            output = f.read()
        if process.returncode:
            raise RuntimeError(f"the client ended with exit code {process.returncode}; its output:\n{output}")
        self.check_output(output)
        return output

    @staticmethod
    def check_output(output):
        """Looks for failed requests in a client's output."""
        m = re.search(r"Failed requests:\s+(\d+)", output)
        if m and int(m[1]) > 0:
            raise RuntimeError(f"Benchmark has {m[1]} failed requests")
        if "!FAILED REQUESTS!" in output or "!CHECK LOG FOR ERRORS!" in output:
            raise RuntimeError("Benchmark output contains failure markers")
        good, asked = re.search(r"Successful requests:\s+(\d+)", output), re.search(r"num_prompts=(\d+)", output)
        if m is None and good and asked and int(good[1]) < int(asked[1]):
            raise RuntimeError(f"SA benchmark: {good[1]} of {asked[1]} requests succeeded")

    def _startup_metrics(self, i, servers):
        """Asks each server how long it took to start, and keeps the answers."""
        if self.old:
            return
        observations = []
        for role, name, address in servers:
            try:
                with urllib.request.urlopen(f"http://{address}/server_info", timeout=30) as response:
                    info = json.load(response)
                metrics = (info.get("startup_metrics") or {}).get("model_loader") or {}
                observations.append({"role": role, "server_name": name, "metrics": metrics, "checkpoint_io_policies": []})
            except OSError as e:
                observations.append({"role": role, "server_name": name, "error": str(e)})
        with open(self.path(f"startup_metrics.{i}.json"), "w") as f:
            json.dump(observations, f, indent=2)

    # Device step times of generation-only runs.

    def _gen_logs(self):
        return [self.path(f"gen_server_{k}.log") for k in range(self.num_gen_servers)]

    def _with_step_times(self, i, j, output, begins):
        """Waits for the logs of the generation servers and appends what they say to the client's log and output."""
        deadline = time.monotonic() + SENTINEL_TIMEOUT
        for log in self._gen_logs():
            while not os.path.exists(log.removesuffix(".log") + ".done") and time.monotonic() < deadline:
                time.sleep(POLL)
        stats = [s for s in (step_times(log, begins.get(log, 0)) for log in self._gen_logs()) if s]
        if not stats:
            return output
        lines = "\n"
        for stat, label in STEP_TIME_METRICS.items():
            mean = statistics.fmean(s[stat] for s in stats)
            lines += f"{label} Per Iter Device Step Time (ms): {mean:.{2 if stat == 'mean' else 4}f}\n"
        with open(self.benchmark_log(i, j), "a") as f:
            f.write(lines)
        return output + lines

    # What came of it.

    def get_perf_result(self, outputs):
        for i, texts in outputs.items():
            self._perf_results[i] = [self.read_metrics(text) for text in texts]

    def read_metrics(self, text):
        """The first hit of each metric, one metric a line."""
        metrics = {}
        for line in text.split("\n"):
            for name, query in PERF_METRIC_LOG_QUERIES.items():
                m = None if name in metrics else query.search(line)
                if m:
                    metrics[name] = float(m[1])
                    break
        return metrics

    def check_test_failure(self):
        """Raises one error that says all that is missing."""
        errors = []
        for i, (_, clients) in enumerate(self.servers):
            results = self._perf_results.get(i, [])
            if len(results) != len(clients):
                errors.append(f"Server {i} perf results number: {len(results)} is not equal to client number: {len(clients)}")
            for j, (client, metrics) in enumerate(zip(clients, results)):
                wanted = [m for m in BASE_METRICS if not (client.use_nv_sa_benchmark and m == "user_throughput")]
                missing = [m for m in wanted if m not in metrics]
                if missing:
                    errors.append(f"Some metrics in Server {i} Client {j} are missing: {', '.join(missing)}")
                if client.spec_decoding and "al" not in metrics and not self.old:
                    errors.append(f"Speculative decoding test Server {i} Client {j} has no decoded tokens per iteration")
                if (self.runtime == "multi_node_disagg_server" and self.gen_only and not self.old
                        and "mean_gen_worker_per_iter_device_step_time" not in metrics):
                    errors.append(f"gen_only test Server {i} Client {j} has no prev_device_step_time in its generation logs")
        if fault("assert") is not None:
            errors.append(f"a fault was asked for {fault('assert')}".strip())
        if errors:
            raise RuntimeError("\n".join(errors))

    def report_error(self, i):
        """Prints the ends of the logs of a server that went wrong."""
        logs = glob.glob(self.path(f"trtllm-*.{i}*.log")) + glob.glob(self.path("*_server*.log"))
        for log in sorted(logs):
            with open(log, errors="replace") as f:
                lines = f.readlines()
            hits = [n for n, line in enumerate(lines) if any(word in line for word in REPORTED)]
            begin = max(hits[0] - 100, 0) if hits else max(len(lines) - 200, 0)
            print_error(f"{os.path.basename(log)}:\n" + "".join(lines[begin:begin + 200]))

    def upload_test_results_to_database(self):
        if not self.upload_to_db:
            return
        print_info("OPEN_SEARCH_DB_BASE_URL is not set: nothing is uploaded" if not os.environ.get("OPEN_SEARCH_DB_BASE_URL") else
                   "this tree uploads nothing: trtperf does")


def step_times(path, begin=0):
    """The five statistics of a generation server's iteration lines; None where there are none.

    Iterations below 5 warm up. One that follows right on an iteration without requests waited for them. Of the rows that are left those
    of the most frequent number of generation tokens count.
    """
    if not os.path.exists(path):
        return None
    memory, rows = {}, []
    with open(path, encoding="utf-8", errors="replace") as f:
        f.seek(begin)
        for line in f:
            if "prev_device_step_time" not in line:
                continue
            rank = re.search(r"global_rank\s*=\s*(\d+)", line)
            rank = rank and int(rank[1])
            state = re.search(r"iter\s*=\s*(\d+),.*?num_scheduled_requests\s*=\s*(\d+)", line)
            before, memory[rank] = memory.get(rank), state and (int(state[1]), int(state[2]))
            value = re.search(r"iter\s*=\s*(\d+),.*?prev_device_step_time\s*=\s*([\d.]+)\s*ms", line)
            if not value or int(value[1]) < 5 or before == (int(value[1]) - 1, 0):
                continue
            tokens = re.search(r"'num_generation_tokens':\s*(\d+)", line)
            rows.append((tokens and int(tokens[1]), float(value[2])))
    counted = [r for r in rows if r[0] is not None] or rows
    if not counted:
        return None
    buckets = {}
    for tokens, value in counted:
        buckets.setdefault(tokens, []).append(value)
    values = sorted(buckets[max(buckets, key=lambda b: (len(buckets[b]), b or 0))])

    def percentile(p):
        at = p / 100 * (len(values) - 1)
        low = int(at)
        return values[low] + (values[min(low + 1, len(values) - 1)] - values[low]) * (at - low)

    return {"mean": statistics.fmean(values), "median": statistics.median(values),
            "std": statistics.stdev(values) if len(values) > 1 else 0.0, "p75": percentile(75), "p99": percentile(99)}


PERF_SANITY_TEST_CASES = get_aggr_test_cases() + get_disagg_test_cases() + get_old_disagg_test_cases()


@pytest.mark.parametrize("perf_sanity_test_case", PERF_SANITY_TEST_CASES)
def test_e2e(output_dir, perf_sanity_test_case):
    config = PerfSanityTestConfig(perf_sanity_test_case, output_dir)
    config.parse_config_file()
    commands = config.get_commands()
    outputs = config.run_ex(commands)
    if config.runtime == "multi_node_disagg_server" and config.disagg_serving_type != "BENCHMARK":
        print_info(f"Disagg serving type is {config.disagg_serving_type}, skipping perf result parsing and upload.")
        return
    config.get_perf_result(outputs)
    config.check_test_failure()
    config.upload_test_results_to_database()
