#!/usr/bin/env python3
"""Stand-in for the submit.py of January 2026, first form: makes a job script of a prefix, srun arguments and a draft.

Ours, written from a description of the contract; what it accepts, refuses and spoils is what the real one does.
"""

import argparse
import os

import yaml

CONFIG_DIR = "tests/integration/defs/perf/disagg/test_configs/disagg/perf"


def get_config_yaml(test_list_path, llm_src):
    with open(test_list_path) as f:
        first_line = f.readline().strip()
    if "[" not in first_line or "]" not in first_line:
        raise ValueError(f"Invalid test list format. Expected test name with brackets: {first_line}")
    test_id = first_line.split("[")[-1].split("]")[0]
    prefix, dash, stem = test_id.partition("-")
    if not dash or "disagg" not in prefix:
        raise ValueError(f"Invalid test name format. Expected format: prefix-config_name, got: {test_id}")
    config_yaml = os.path.join(llm_src, CONFIG_DIR, f"{stem}.yaml")
    if not os.path.exists(config_yaml):
        raise FileNotFoundError(f"Config file not found: {config_yaml}")
    return config_yaml


def get_hardware_config(config, benchmark_mode):
    hardware, workers = config.get("hardware", {}), config.get("worker_config", {})
    num_ctx_servers = 0 if "gen_only" in benchmark_mode else hardware.get("num_ctx_servers")
    num_gen_servers = hardware.get("num_gen_servers")
    gpus_per_node = hardware.get("gpus_per_node")

    def world(worker):
        return (worker.get("tensor_parallel_size", 1) * worker.get("pipeline_parallel_size", 1) * worker.get("context_parallel_size", 1))

    gpus_per_ctx_server, gpus_per_gen_server = world(workers.get("ctx", {})), world(workers.get("gen", {}))
    if None in (num_ctx_servers, num_gen_servers, gpus_per_node):
        raise ValueError("Missing required hardware configuration")
    nodes_per_ctx_server = (gpus_per_ctx_server + gpus_per_node - 1) // gpus_per_node
    nodes_per_gen_server = (gpus_per_gen_server + gpus_per_node - 1) // gpus_per_node
    total_nodes = num_ctx_servers * nodes_per_ctx_server + num_gen_servers * nodes_per_gen_server
    return {
        "numCtxServers": num_ctx_servers,
        "numGenServers": num_gen_servers,
        "gpusPerNode": gpus_per_node,
        "gpusPerCtxServer": gpus_per_ctx_server,
        "gpusPerGenServer": gpus_per_gen_server,
        "nodesPerCtxServer": nodes_per_ctx_server,
        "nodesPerGenServer": nodes_per_gen_server,
        "totalNodes": total_nodes,
        "totalGpus": total_nodes * gpus_per_node,
    }


def get_benchmark_config(config):
    benchmark = config.get("benchmark", {})
    concurrency = benchmark.get("concurrency_list", "1")
    return benchmark.get("mode", "e2e"), int(concurrency) if isinstance(concurrency, str) else concurrency


def get_env_config(config):
    env = config.get("environment", {})
    return env.get("worker_env_var", ""), env.get("server_env_var", ""), env.get("benchmark_env_var", "")


def remove_whitespace_lines(lines):
    return [line.strip() for line in lines if line.strip()]


def get_pytest_command_no_llmapilaunch(script_prefix_lines):
    for line in script_prefix_lines:
        if "export pytestCommand=" in line:
            words = line.replace("pytestCommand", "pytestCommandNoLLMAPILaunch").split()
            return " ".join(word for word in words if "trtllm-llmapi-launch" not in word)
    return ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--run-ci", action="store_true", default=False)
    parser.add_argument("--draft-launch-sh", required=True)
    parser.add_argument("--launch-sh", required=True)
    parser.add_argument("--run-sh", required=True)
    parser.add_argument("--install-sh", required=True)
    parser.add_argument("--config-yaml", default="")
    parser.add_argument("--stage-name", default="")
    parser.add_argument("--llm-src", default="")
    parser.add_argument("--test-list", default="")
    parser.add_argument("--script-prefix", default="")
    parser.add_argument("--srun-args", default="")
    args = parser.parse_args()

    config_yaml = args.config_yaml or get_config_yaml(args.test_list, args.llm_src)
    with open(config_yaml) as f:
        config = yaml.safe_load(f)
    mode, concurrency = get_benchmark_config(config)
    hardware = get_hardware_config(config, mode)
    worker_env, server_env, benchmark_env = get_env_config(config)

    with open(args.script_prefix) as f:
        prefix = f.read()
    script_prefix_lines = prefix.split("\n")
    remove_whitespace_lines(script_prefix_lines)
    with open(args.srun_args) as f:
        srun_args = f.read().split()
    srun_args += ["--container-env=DISAGG_SERVING_TYPE", "--container-env=pytestCommand"]

    lines = [prefix.rstrip("\n")]
    if "gen_only" in mode:
        worker_env = (f"TRTLLM_DISABLE_KV_CACHE_TRANSFER_OVERLAP=1 TLLM_BENCHMARK_REQ_QUEUES_SIZE={concurrency} {worker_env}")
        lines.append("export TRTLLM_DISAGG_BENCHMARK_GEN_ONLY=1")
        srun_args.append("--container-env=TRTLLM_DISAGG_BENCHMARK_GEN_ONLY")
    lines += [
        get_pytest_command_no_llmapilaunch(script_prefix_lines),
        f'export pytestCommandWorker="unset UCX_TLS && {worker_env} $pytestCommand"',
        f'export pytestCommandDisaggServer="{server_env} $pytestCommandNoLLMAPILaunch"',
        f'export pytestCommandBenchmark="{benchmark_env} $pytestCommandNoLLMAPILaunch"',
        f"export runScript={args.run_sh}",
        f"export installScript={args.install_sh}",
    ]
    lines += [f"export {name}={value}" for name, value in hardware.items()]
    lines += ["srunArgs=(", *(f'  "{word}"' for word in srun_args), ")"]
    with open(args.draft_launch_sh) as f:
        draft = f.read()
    remove_whitespace_lines(draft.split("\n"))
    text = "\n".join(lines) + "\n\n" + draft
    with open(args.launch_sh, "w") as f:
        f.write(text)
    print(f"Launch script generated at: {args.launch_sh}")
    print(f"Launch script:\n{text}")


if __name__ == "__main__":
    main()
