#!/usr/bin/env python3
"""The rule by which trt_perf_parser.py puts a metric-row CSV into TRT_perf, to compare other writers with.

trt_perf.py --port N --schema NAME [--host H] [--user U] [--tensorrt V] [--trtllm V] [--driver V] [--os V] [--gpu V] [--cuda V] [--cpu-name V]
            [--notes V] [--link V] [--commit V] [--commit-time V] [--start-time V] [--end-time V] CSV

Prints one JSON object: the rows that were kept and the seconds that the database took. Written from that script's rules, faults
included: a SELECT for each case, a commit for each new one, one executemany for the results, zeros for what is missing, texts in perf_data.
What it leaves out: the look-ups of a commit's time, properties and monitoring files, and results.xml. The password is DB_PASSWORD's.
"""
import argparse
import csv
import json
import os
import re
import sys
import time

import pymysql

FIELDS = {
    "PEAK_CPU_MEMORY": "trt_peak_cpu_mem__MB", "PEAK_GPU_MEMORY": "trt_peak_gpu_mem__GB", "INFERENCE_PEAK_GPU_MEMORY": "trt_peak_gpu_mem__GB",
    "BUILD_PEAK_CPU_MEMORY": "trt_build_peak_cpu_memory__MB", "BUILD_PEAK_GPU_MEMORY": "trt_build_peak_gpu_mem__MB",
    "BUILD_TIME": "engine_build_time__sec", "LATENCY": "run_time__msec", "SEQ_LATENCY": "seq_latency__msec", "INFERENCE_TIME": "run_time__msec",
    "FIRST_TOKEN_TIME": "first_token_time__msec", "SERVER_TTFT": "first_token_time__msec", "SERVER_MEDIAN_TTFT": "server_median_ttft",
    "SERVER_MEAN_TTFT": "mean_ttft__msec", "SERVER_P99_TTFT": "p99_ttft__msec", "OUTPUT_TOKEN_TIME": "output_token_time__msec",
    "SERVER_TPOT": "output_token_time__msec", "SERVER_MEDIAN_TPOT": "server_median_tpot", "SERVER_MEAN_TPOT": "mean_tpot__msec",
    "SERVER_P99_TPOT": "p99_tpot__msec", "SERVER_ITL": "itl__msec", "SERVER_MEDIAN_ITL": "server_median_itl", "SERVER_MEAN_ITL": "mean_itl__msec",
    "SERVER_P99_ITL": "p99_itl__msec", "SERVER_E2EL": "server_e2el__msec", "SERVER_MEDIAN_E2EL": "server_median_e2el",
    "SERVER_MEAN_E2EL": "server_mean_e2el", "SERVER_P99_E2EL": "server_p99_e2el", "TOKENS_PER_SEC": "tokens_per__sec",
    "TOKEN_THROUGHPUT": "tokens_per__sec", "SEQ_THROUGHPUT": "seq_per__sec", "ENGINE_SIZE": "engine_file_size__MB",
    "CONTEXT_GPU_MEMORY": "execution_context_allocated_gpu_mem__MB", "KV_CACHE_SIZE": "kv_cache_size__GB",
}
RENAMING = ["inference_time", "context_gpu_memory", "token_throughput", "seq_throughput", "seq_latency", "kv_cache_size"]
OLD_GPUS = ["P100", "P40", "P4", "Titan X", "V100", "Titan RTX", "RTX 6000", "RTX 8000", "RTX 2080", "T4", "TU104", "GTX1080"]
BATCH_WORDS = [r"[-_/]bs_", r"[-_/]batch_size_", r"[-_/]bs", r"[-_/]b", r"batch"]
PRECISIONS = [
    ("FP16", ["float16", "--fp16", "-fp16"]), ("INT8", ["int8"]), ("BF16", ["bfloat16", "--bf16", "-bf16"]),
    ("FP32", ["float32", "--noTF32", "-fp32"]), ("FP8", ["fp8"]), ("FP4", ["fp4"]),
]
FIXED_OPTIONS = [
    "nvtxMode=verbose", "dumpEngineInfo", "separateProfileRun", "dumpProfile", "dataTransfers", "noDataTransfers", "noBuilderCache", "safe",
    "dumpLayerInfo", "dump_layer_info", "dump_profile", "profilingVerbosity=detailed", "explicitBatch", "useCudaGraph", "useSpinWait", "refit",
    "monitorMemory", "monitor_memory",
]
PATTERNS = [
    r" --avgTiming=\d+", r" --minTiming=\d+", r" --timingCacheFile=.*cache", r" --preview=.*", r" --profiling_verbosity=.*",
    r" --output_dir=.*workspace\S*", r" --output_dir=.*tmp\S*", r" --engine_dir=.*workspace\S*", r" --engine_dir=.*tmp\S*",
    r" --checkpoint_dir=.*tmp\S*", r" --encoder_engine_dir=.*workspace\S*", r" --decoder_engine_dir=.*workspace\S*",
    r" --dataset=.*workspace\S*", r" --dataset=.*tmp\S*", r" --workspace=\d+", r" --workspace=[^\s]+", r"/[^/]+/llm_models", r" --num_runs=\d+",
    r" --warm_up=\d+", r" --opt_num_tokens=\d+", r" --opt_batch_size=\d+", r" --duration=\d+", r" --input_timing_cache=[^ ]+",
    r" --output_timing_cache=[^ ]+",
]


def batch_size(network):
    for expression, flags in [(r"(bs:|maxbs:)(\d+\+\d+)", re.I)]:
        if re.search(expression, network, flags):
            return "0"
    hit = re.search(r"(bs:|maxbs:)(\d+)", network, re.I)
    if hit:
        return hit.group(2)
    for word in BATCH_WORDS:
        if re.search(word + r"\d+\+\d+", network):
            return "0"
    for word in BATCH_WORDS:
        hit = re.search(word + r"(\d+)", network)
        if hit:
            return hit.group(1)
    return "0"


def precision(command, gpu):
    for name, words in PRECISIONS:
        if any(word in command for word in words):
            return name
    return "FP32" if any(name in gpu for name in OLD_GPUS) else "TF32"


def normalise(command):
    command = command.replace("trtexec_internal", "trtexec").replace("trtexec_safe", "trtexec")
    command = command.strip().replace("\\", "/").strip("\"'")
    command = re.sub(r"=/.*?/master/", "=data/", command)
    command = re.sub(r"=/.*?auto_sync/data/", "=", command)
    command = re.sub(r"=.*/data/", "=data/", command)
    command = re.sub(r"\d{4}-\d{2}-\d{2}.*?/", "*/", command)
    command = re.sub(r"/tmp[^ ]* ", "/tmp* ", command)
    command = command.replace(" --log_level=info", "")
    command = re.sub(r" /[^ ]+profile.engine", " profile.engine", command)
    command = re.sub(r" /[^ ]+/onnx_data/", "/onnx_data/", command).replace('"', " ")
    for option in FIXED_OPTIONS:
        command = command.replace(" --" + option, "")
    for pattern in PATTERNS:
        command = re.sub(pattern, "", command)
    return command.strip()


def read(path, gpu):
    """Return the cases of a CSV in their order: key -> values; the number of rows kept; and the clocks."""
    csv.field_size_limit(10**9)
    cases, kept, clocks = {}, 0, {"sm_clk": None, "mem_clk": None}
    settled = set()
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name in clocks:
                if name not in settled:
                    clocks[name] = row.get(name)
                    if row.get(name):
                        settled.add(name)
            if row.get("state") == "failed" or not row.get("network_name"):
                continue
            case_name = row.get("turtle_case_name", "")
            if "test_perf.py::test_perf_onnx_" in case_name or "test_builder_perf.py::" in case_name and "allCache" not in case_name:
                continue
            network, test = row["network_name"], row["test_name"]
            if "test_perf_metric" in test and any(word in test.lower() for word in RENAMING):
                network = re.search(r"\[(.*?)\]", test).group(1)
            kind, value = row.get("metric_type"), row.get("perf_metric")
            if not kind or not value:
                continue
            kept += 1
            command = row.get("command", "")
            key = ("ONNX", network.lower().replace("-refit", ""), batch_size(network), precision(command, gpu).upper(), normalise(command))
            case = cases.setdefault(key, {"perf_data": {}, "gpu_time": 0.0, "build_time": 0.0, "throughput": 0.0, "total_time": 0.0,
                                          "log": row.get("raw_result", "")})
            case["perf_data"][FIELDS.get(kind, kind.lower())] = value
            if kind in ("INFERENCE_TIME", "LATENCY", "SERVER_E2EL", "SERVER_MEDIAN_E2EL"):
                case["gpu_time"] = float(value)
            if kind == "BUILD_TIME":
                case["build_time"] = float(value)
            if kind in ("TOKEN_THROUGHPUT", "TOKENS_PER_SEC"):
                case["throughput"] = float(value)
            if "total_time__sec" in row:
                case["total_time"] = float(row["total_time__sec"])
    return cases, kept, clocks


def write(connection, args, cases, clocks):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO runs (driver, cpu, os, gpu, cuda, graphic_freq, memory_freq, tensorrt, notes, cl, trtllm, start_time, end_time, link,"
            " commit_time) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (args.driver, args.cpu_name, args.os, args.gpu, args.cuda, clocks["sm_clk"], clocks["mem_clk"], args.tensorrt, args.notes, args.commit,
             args.trtllm, args.start_time, args.end_time, args.link, args.commit_time))
        run = cursor.lastrowid
        connection.commit()
        rows = []
        for key, case in cases.items():
            framework, network, batch, kind, command = key
            cursor.execute("SELECT id FROM cases WHERE format = %s AND network = %s AND batchsize = %s AND `precision` = %s AND cmd = %s",
                           (framework, network, batch, kind, command))
            found = cursor.fetchone()
            if found:
                number = found[0]
            else:
                cursor.execute("INSERT INTO cases (format, network, batchsize, `precision`, cmd) VALUES (%s, %s, %s, %s, %s)",
                               (framework, network, batch, kind, command))
                number = cursor.lastrowid
                connection.commit()
            rows.append((run, number, case["gpu_time"], case["total_time"], case["build_time"], case["throughput"], json.dumps(case["perf_data"]),
                         None, None, None, case["log"]))
        cursor.executemany(
            "INSERT INTO perf_result (run_id, case_id, gpu_time, total_time, build_time, throughput, perf_data, fp16_vs_fp32, int8_vs_fp16,"
            " int8_vs_fp32, log) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", rows)
        connection.commit()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("csv")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", default="root")
    parser.add_argument("--schema", required=True)
    for name in ["tensorrt", "trtllm", "driver", "os", "gpu", "cuda", "cpu-name", "notes", "link", "commit", "commit-time", "start-time", "end-time"]:
        parser.add_argument("--" + name, default="")
    args = parser.parse_args()
    args.gpu = args.gpu.replace("NVIDIA", "").strip()
    args.trtllm = args.trtllm.split("\n")[0].strip()
    cases, kept, clocks = read(args.csv, args.gpu)
    if not cases:
        sys.exit("no data")
    started = time.monotonic()
    connection = pymysql.connect(host=args.host, port=args.port, user=args.user, password=os.environ.get("DB_PASSWORD", ""), database=args.schema,
                                 charset="utf8mb4")
    write(connection, args, cases, clocks)
    connection.close()
    print(json.dumps({"rows": kept, "cases": len(cases), "seconds": time.monotonic() - started}))


main()
