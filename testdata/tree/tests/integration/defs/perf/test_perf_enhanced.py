"""A test file of one's own: test_perf_sanity.py with additions, under ids of its own.

    perf/test_perf_enhanced.py::test_e2e[disagg_custom-<config>]
    perf/test_perf_enhanced.py::test_e2e_enhanced[custom_test-<config>]

with a mode before the configuration where one is wanted (custom_test-gen_only-<config>), and with a server behind an aggregated one. It
adds: settings of its own in the configuration (section "custom"), further models, a metric of its own, a CSV, collected logs and a
database. docs/custom-tests.md of trtperf says which of these trtperf does as well.
"""

import csv
import os
import re
import shutil
import sqlite3

import pytest
import yaml

from ..trt_test_alternative import print_info
from . import test_perf_sanity as sanity
from .test_perf_sanity import PerfSanityTestConfig

# Ids with either prefix. submit.py of the two older eras takes the first alone, since it has "disagg" in it.
CUSTOM_PREFIXES = ("disagg_custom", "custom_test")

CUSTOM_MODEL_PATHS = {"my_toy_7b": "mine/toy_7b"}

CUSTOM_METRIC_LOG_QUERIES = {"my_metric_1": re.compile(r"My Metric 1 \(units\):\s+(-?[\d\.]+)")}

# The columns of the wide CSV that are not called as their metric is.
CSV_COLUMNS = {"token_throughput": "throughput__qps"} | {
    f"{stat}_{name}": f"{stat}_{name}__ms" for name in ("ttft", "e2el") for stat in ("mean", "median", "p99")
}

# Where each kind of log is collected; the first pattern that fits counts, so that no log is taken twice.
LOG_FOLDERS = (
    (re.compile(r"trtllm-benchmark\..*\.log"), "benchmark_logs"),
    (re.compile(r"(gen|ctx)_server_\d+\.log|disagg_server\.log"), "component_logs"),
    (re.compile(r".*\.log"), "server_logs"),
)


class EnhancedPerfSanityTestConfig(PerfSanityTestConfig):
    """A test whose id has a prefix of our own."""

    def __init__(self, test_case_name, output_dir):
        super().__init__(test_case_name, output_dir)
        sanity.MODEL_PATH_DICT.update(CUSTOM_MODEL_PATHS)

    def parse_test_string(self, test_case_name):
        prefix, _, rest = test_case_name.partition("-")
        if prefix not in CUSTOM_PREFIXES:
            raise ValueError(f"Invalid test name prefix: {prefix}")
        super().parse_test_string(self.sanity_name(rest))
        self.upload_to_db = "upload" in prefix

    @staticmethod
    def sanity_name(rest):
        """The name that test_perf_sanity.py has for the test."""
        first, _, behind = rest.partition("-")
        if first in sanity.DISAGG_MODES and behind:
            return f"disagg-{rest}"
        path = os.path.join(sanity.folder(sanity.DISAGG_CONFIG_FOLDER), rest + ".yaml")
        if os.path.exists(path):
            with open(path) as f:
                mode = (yaml.safe_load(f).get("benchmark") or {}).get("mode", "e2e")
            return f"disagg-{'gen_only' if 'gen_only' in mode else 'e2e'}-{rest}"
        if any(os.path.exists(os.path.join(sanity.folder(old), rest + ".yaml")) for old in sanity.OLD_DISAGG_CONFIG_FOLDERS):
            return f"disagg-{rest}"
        return f"aggr-{rest}"

    def parse_config_file(self):
        super().parse_config_file()
        self._load_custom_settings()

    def _load_custom_settings(self):
        """Settings of our own: the section "custom" of the configuration."""
        custom = self.raw.get("custom") or {}
        self.precision = custom.get("precision") or (self.raw.get("metadata") or {}).get("precision") or ""
        self.export_csv = custom.get("export_csv", True)
        self.collects_logs = custom.get("collect_logs", True)
        os.environ["TREE_MY_METRIC"] = "1"  # has the tree's client print the metric of our own

    def read_metrics(self, text):
        metrics = super().read_metrics(text)
        for name, query in CUSTOM_METRIC_LOG_QUERIES.items():
            m = query.search(text)
            if m:
                metrics[name] = float(m[1])
        return metrics

    def rows(self):
        """A row for each client: what the wide CSV says of it."""
        for i, (server, clients) in enumerate(self.servers):
            for client, metrics in zip(clients, self._perf_results[i], strict=True):
                if self.runtime == "multi_node_disagg_server":
                    network, command = self.name, f"disagg_{server[0].name}_{server[1].name}"
                else:
                    network, command = server.name, f"aggr_{server.name}_{client.name}"
                row = {"network": network, "batchsize": client.concurrency, "precision": self.precision, "framework": "TensorRT-LLM", "command": command}
                yield row | {CSV_COLUMNS.get(name, name): value for name, value in metrics.items()}

    def export_results_to_csv(self):
        if not self.export_csv:
            return
        rows = list(self.rows())
        path = self.path("perf_script_test_results.csv")
        # Not every row has every metric.
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with open(path, "w", newline="") as f:
            writer = csv.DictWriter(f, columns)
            writer.writeheader()
            writer.writerows(rows)
        print_info(f"Exported {len(rows)} results to {path}")

    def collect_logs(self):
        """Copies the logs into folders by their kind."""
        if not self.collects_logs:
            return
        for name in sorted(os.listdir(self.perf_sanity_output_dir)):
            target = next((f for pattern, f in LOG_FOLDERS if pattern.fullmatch(name)), None)
            if target:
                os.makedirs(self.path(target), exist_ok=True)
                shutil.copy2(self.path(name), os.path.join(self.path(target), name))
                print_info(f"Collected log: {name} → {target}")

    def upload_to_custom_db(self):
        """Writes the results into the SQLite file that CUSTOM_PERF_DB names. The same test replaces what it wrote before."""
        path = os.environ.get("CUSTOM_PERF_DB")
        if not path:
            return
        connection = sqlite3.connect(path)
        try:
            with connection:
                connection.execute("CREATE TABLE IF NOT EXISTS results (test TEXT, network TEXT, command TEXT, batchsize INTEGER, metric TEXT, value REAL, "
                                   "PRIMARY KEY (test, command, batchsize, metric))")
                for row in self.rows():
                    connection.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?)", [
                        (self.test_case_name, row["network"], row["command"], row["batchsize"], metric, value)
                        for metric, value in row.items() if isinstance(value, float)
                    ])
        finally:
            connection.close()


def get_custom_test_cases():
    cases = []
    for prefix in CUSTOM_PREFIXES:
        for path in sanity.yaml_files(sanity.DISAGG_CONFIG_FOLDER):
            cases += [f"{prefix}-{sanity.stem(path)}"] + [f"{prefix}-{mode}-{sanity.stem(path)}" for mode in sanity.DISAGG_MODES]
        cases += sanity.get_old_disagg_test_cases((prefix,))
    return cases + sanity.get_aggr_test_cases(("custom_test",))


def run(output_dir, test_case):
    config = EnhancedPerfSanityTestConfig(test_case, output_dir)
    config.parse_config_file()
    commands = config.get_commands()
    outputs = config.run_ex(commands)
    if config.runtime == "multi_node_disagg_server" and config.disagg_serving_type != "BENCHMARK":
        print_info(f"Disagg serving type is {config.disagg_serving_type}, skipping perf result parsing and upload.")
        return
    config.get_perf_result(outputs)
    config.check_test_failure()
    config.export_results_to_csv()
    config.collect_logs()
    config.upload_test_results_to_database()
    config.upload_to_custom_db()


@pytest.mark.parametrize("perf_sanity_test_case", get_custom_test_cases())
def test_e2e(output_dir, perf_sanity_test_case):
    run(output_dir, perf_sanity_test_case)


@pytest.mark.parametrize("perf_sanity_test_case", get_custom_test_cases())
def test_e2e_enhanced(output_dir, perf_sanity_test_case):
    run(output_dir, perf_sanity_test_case)
