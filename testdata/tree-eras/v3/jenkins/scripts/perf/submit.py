#!/usr/bin/env python3
"""Stand-in for the submit.py that serves aggregated and disaggregated tests.

Ours, written from a description of the contract; what it accepts, refuses and spoils is what the real one does.
"""

import argparse
import os
import re

import yaml

AGG_CONFIG_DIR = "tests/scripts/perf-sanity/aggregated"
DISAGG_CONFIG_DIR = "tests/scripts/perf-sanity/disaggregated"
GATE = "slurm_ct_precheck_gate.sh"

# What only the benchmark's pytest should write.
BENCHMARK_ONLY = ("--csv", "--cov", "--periodic")


def get_test_line(test_list_path, split_group):
    with open(test_list_path) as f:
        lines = [line.strip() for line in f if line.strip()]
    n = max(split_group, 1)
    if n > len(lines):
        raise ValueError(f"--split-group {split_group}: {test_list_path} has {len(lines)} tests")
    return lines[n - 1]


class Test:
    """What an id asks for."""

    def __init__(self, line, llm_src):
        if "[" not in line or "]" not in line:
            raise ValueError(f"Invalid test list format. Expected test name with brackets: {line}")
        self.id = line.split("[")[-1].split("]")[0]
        labels = self.id.split("-")
        self.server = None
        if "disagg" in labels[0]:
            if len(labels) < 3 or labels[1] not in ("e2e", "gen_only"):
                raise ValueError(f"Invalid disagg test name, expected prefix-{{e2e,gen_only}}-config: {self.id}")
            self.mode, stem, folder = labels[1], "-".join(labels[2:]), DISAGG_CONFIG_DIR
        elif "aggr" in labels[0] and len(labels) > 2:
            if labels[1] == "ctx_only":
                self.mode, stem, folder = "ctx_only", "-".join(labels[2:]), DISAGG_CONFIG_DIR
            else:
                self.mode, stem, folder = "aggr", labels[1], AGG_CONFIG_DIR
                self.server = "-".join(labels[2:])
        else:
            raise ValueError(f"Invalid test name: {self.id}")
        self.disagg = self.mode in ("e2e", "gen_only")
        self.config_yaml = os.path.join(llm_src, folder, f"{stem}.yaml")
        if not os.path.exists(self.config_yaml):
            raise FileNotFoundError(f"Config file not found: {self.config_yaml}")


def world_size(server):
    return server.get("tensor_parallel_size", 1) * server.get("pipeline_parallel_size", 1) * server.get("context_parallel_size", 1)


def get_gpus_per_node(config):
    gpus_per_node = config.get("hardware", {}).get("gpus_per_node")
    if gpus_per_node is None:
        raise ValueError("Missing required hardware configuration: gpus_per_node")
    return gpus_per_node


def get_disagg_hardware(config, test):
    hardware, workers = config.get("hardware", {}), config.get("worker_config", {})
    gpus_per_node = get_gpus_per_node(config)
    no_context = test.mode == "gen_only" and "gen_only_no_context" in config.get("benchmark", {}).get("mode", "e2e")
    num_ctx_servers = 0 if no_context else hardware.get("num_ctx_servers")
    num_gen_servers = hardware.get("num_gen_servers")
    if num_ctx_servers is None or num_gen_servers is None:
        raise ValueError("Missing required hardware configuration: num_ctx_servers, num_gen_servers")
    gpus_per_ctx_server, gpus_per_gen_server = world_size(workers.get("ctx", {})), world_size(workers.get("gen", {}))
    nodes_per_ctx_server = (gpus_per_ctx_server + gpus_per_node - 1) // gpus_per_node
    nodes_per_gen_server = (gpus_per_gen_server + gpus_per_node - 1) // gpus_per_node
    total_nodes = num_ctx_servers * nodes_per_ctx_server + num_gen_servers * nodes_per_gen_server
    return no_context, {
        "numCtxServers": num_ctx_servers,
        "numGenServers": num_gen_servers,
        "gpusPerNode": gpus_per_node,
        "gpusPerCtxServer": gpus_per_ctx_server,
        "gpusPerGenServer": gpus_per_gen_server,
        "gpusPerNodePerCtxServer": min(gpus_per_ctx_server, gpus_per_node),
        "gpusPerNodePerGenServer": min(gpus_per_gen_server, gpus_per_node),
        "nodesPerCtxServer": nodes_per_ctx_server,
        "nodesPerGenServer": nodes_per_gen_server,
        "totalNodes": total_nodes,
        "totalGpus": total_nodes * gpus_per_node,
    }


def get_agg_hardware(config, test):
    gpus_per_node = get_gpus_per_node(config)
    if test.mode == "ctx_only":
        server = config.get("worker_config", {}).get("ctx", {})
    else:
        matching = [s for s in config.get("server_configs", []) if s.get("name") == test.server]
        if len(matching) != 1:
            raise ValueError(f"No server named {test.server} in {test.config_yaml}")
        server = matching[0]
    gpus = server.get("world_size") or world_size(server)
    nodes = (gpus + gpus_per_node - 1) // gpus_per_node
    return server, {
        "gpusPerNode": gpus_per_node,
        "gpusPerServer": gpus,
        "gpusPerNodePerServer": min(gpus, gpus_per_node),
        "totalNodes": nodes,
        "totalGpus": nodes * min(gpus, gpus_per_node),
    }


def get_concurrency(config):
    concurrency = config.get("benchmark", {}).get("concurrency_list", "1")
    return int(concurrency) if isinstance(concurrency, str) else concurrency


def remove_whitespace_lines(lines):
    return [line.strip() for line in lines if line.strip()]


def remove_benchmark_only(words):
    """Drops options from the words behind "pytest". A long option without "=" takes the next word as its value if that is no option."""
    if "pytest" not in words:
        return words
    at = words.index("pytest") + 1
    kept, i = words[:at], at
    while i < len(words):
        taken = words[i:i + 1]
        if words[i].startswith("--") and "=" not in words[i] and i + 1 < len(words) and not words[i + 1].startswith("-"):
            taken = words[i:i + 2]
        if not any(option in taken[0] for option in BENCHMARK_ONLY):
            kept += taken
        i += len(taken)
    return kept


def get_pytest_line(script_prefix_lines):
    for line in script_prefix_lines:
        if "export pytestCommand=" in line:
            return line
    return ""


def partial(line, name, launcher=True, everything=True):
    words = line.replace("pytestCommand", name).split()
    if not everything:
        words = remove_benchmark_only(words)
    if not launcher:
        words = [word for word in words if "trtllm-llmapi-launch" not in word]
    return " ".join(words)


def get_ucx_prefix(stage_name):
    if "GB300" in stage_name:
        return "export UCX_TLS=rc,cuda_copy,cuda_ipc,sm,self &&"
    if "B200" in stage_name and "GB200" not in stage_name:
        return "export UCX_TLS=^ib &&"
    return "unset UCX_TLS &&"


def get_test_output_dir(line, test):
    m = re.search(r"--output-dir[= ]([^\s\"']+)", line)
    return os.path.join(m[1], test.id) if m else ""


def precheck_enabled(config):
    override = os.environ.get("TRTLLM_DISAGG_CT_PRECHECK")
    if override is not None:
        return override == "1"
    return (config.get("cache_transceiver_precheck") or {}).get("enabled", True) is not False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--draft-launch-sh", required=True)
    parser.add_argument("--launch-sh", required=True)
    parser.add_argument("--run-sh", required=True)
    parser.add_argument("--install-sh", required=True)
    parser.add_argument("--llm-src", required=True)
    parser.add_argument("--test-list", required=True)
    parser.add_argument("--script-prefix", required=True)
    parser.add_argument("--srun-args", required=True)
    parser.add_argument("--split-group", type=int, default=0)
    parser.add_argument("--stage-name", default="")
    args = parser.parse_args()

    test = Test(get_test_line(args.test_list, args.split_group), args.llm_src)
    with open(test.config_yaml) as f:
        config = yaml.safe_load(f)
    concurrency = get_concurrency(config)
    env = config.get("environment") or {}
    benchmark_env = env.get("benchmark_env_var", "")
    gate = []
    if test.disagg:
        with open(os.path.join(os.path.dirname(args.draft_launch_sh), GATE)) as f:
            gate = remove_whitespace_lines(f)

    with open(args.script_prefix) as f:
        lines = remove_whitespace_lines(f)
    line = get_pytest_line(lines)
    with open(args.srun_args) as f:
        srun_args = f.read().split()
    srun_args += ["--container-env=DISAGG_SERVING_TYPE", "--container-env=pytestCommand"]

    if test.disagg:
        no_context, hardware = get_disagg_hardware(config, test)
        caches = "FLASHINFER_JIT_DIR=/tmp/flashinfer_jit_cache HF_HOME=/tmp/hf_home"
        worker_env = f"{caches} {env.get('worker_env_var', '')}"
        ctx_env = f"{worker_env} {env.get('ctx_worker_env_var', '')}"
        gen_env = f"{worker_env} {env.get('gen_worker_env_var', '')}"
        if test.mode == "gen_only":
            overlap = "TRTLLM_DISABLE_KV_CACHE_TRANSFER_OVERLAP=1"
            queues = min(concurrency, config.get("worker_config", {}).get("gen", {}).get("max_batch_size", 512))
            ctx_env, gen_env = f"{overlap} {ctx_env}", f"{overlap} TLLM_BENCHMARK_REQ_QUEUES_SIZE={queues} {gen_env}"
        if no_context:
            lines.append("export TRTLLM_DISAGG_BENCHMARK_GEN_ONLY=1")
            srun_args.append("--container-env=TRTLLM_DISAGG_BENCHMARK_GEN_ONLY")
        ucx = get_ucx_prefix(args.stage_name)
        lines += [
            partial(line, "partialPytestCommandWorker", everything=False),
            partial(line, "partialPytestCommandDisaggServer", launcher=False, everything=False),
            partial(line, "partialPytestCommandBenchmark", launcher=False),
            f'export pytestCommandCTXWorker="{ucx} {ctx_env} $partialPytestCommandWorker"',
            f'export pytestCommandGENWorker="{ucx} {gen_env} $partialPytestCommandWorker"',
            f'export pytestCommandDisaggServer="{env.get("server_env_var", "")} $partialPytestCommandDisaggServer"',
            f'export pytestCommandBenchmark="{benchmark_env} $partialPytestCommandBenchmark"',
            f'export stageName="{args.stage_name}"',
        ]
    else:
        server, hardware = get_agg_hardware(config, test)
        server_env = env.get("worker_env_var", "") if test.mode == "ctx_only" else server.get("server_env_var", "")
        lines += [
            partial(line, "partialPytestCommand"),
            f'export pytestCommand="{server_env} $partialPytestCommand"',
        ]
    lines += [
        f"export runScript={args.run_sh}",
        f"export installScript={args.install_sh}",
        f"export configYamlPath={test.config_yaml}",
        *(f"export {name}={value}" for name, value in hardware.items()),
        f"export testOutputDir={get_test_output_dir(line, test)}",
    ]
    if test.disagg:
        lines.append(f"export TRTLLM_DISAGG_CT_PRECHECK={int(precheck_enabled(config))}")
    lines += ["srunArgs=(", *(f'  "{word}"' for word in srun_args), ")", *gate]
    with open(args.draft_launch_sh) as f:
        lines += remove_whitespace_lines(f)
    text = "\n".join(lines) + "\n"
    with open(args.launch_sh, "w") as f:
        f.write(text)
    print(f"Launch script generated at: {args.launch_sh}")
    print(f"Launch script:\n{text}")


if __name__ == "__main__":
    main()
