"""The options and fixtures that the tests of this tree have, under the names that TensorRT-LLM gives them.

Options of pytest's plugins that TensorRT-LLM's jobs use are declared here too, so that their command lines are taken word for word:
--csv writes a table of the tests, --periodic-junit a results.xml, and --cov*, --splits and the like are accepted and do nothing.
--timeout is pytest-timeout's.
"""

import csv
import os
import re
import sys

import pytest
from _pytest.junitxml import LogXML

# Where TensorRT-LLM's package would be installed.
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

NO_EFFECT = ("--waives-file", "--perf-log-formats", "--cov-config", "--splitting-algorithm", "--splits", "--group", "--test-model-suites")


def pytest_addoption(parser):
    group = parser.getgroup("trt")
    group.addoption("--test-list", "-F", help="run the tests of a list")
    group.addoption("--output-dir", "-O", help="directory that the tests write into")
    group.addoption("--test-prefix", "-P", help="text before the tests' ids")
    group.addoption("--workspace", "--ws", help="accepted")
    group.addoption("--csv", help="write a table of the tests")
    group.addoption("--perf", action="store_true")
    group.addoption("--apply-test-list-correction", "-C", action="store_true")
    group.addoption("--enable-gpu-clock-lock", action="store_true")
    for option in NO_EFFECT:
        group.addoption(option, action="append", help="accepted")
    for option in ("--cov", "--cov-report"):
        group.addoption(option, action="append", nargs="?", const="", help="accepted")
    group.addoption("--cov-append", action="store_true")
    group.addoption("--periodic-junit", action="store_true", help="write results while tests run")
    group.addoption("--periodic-junit-xmlpath", help="where")
    group.addoption("--periodic-interval", type=int)
    group.addoption("--periodic-batch-size", type=int)
    group.addoption("--periodic-save-unfinished-test", action="store_true", help="keep unfinished_test.txt beside the results")


def pytest_configure(config):
    if config.getoption("--csv"):
        config.pluginmanager.register(Table(config.getoption("--csv")))
    path = config.getoption("--periodic-junit-xmlpath")
    if config.getoption("--periodic-junit") and path:
        config.pluginmanager.register(Periodic(path, config.getini("junit_logging"), config.getoption("--periodic-save-unfinished-test")))


class Table:
    """Writes a row for each test."""

    def __init__(self, path):
        self.path, self.rows = path, []

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            module, _, name = report.nodeid.partition("::")
            self.rows.append([report.nodeid, module, name, report.outcome, f"{report.duration:.3f}"])

    def pytest_sessionfinish(self):
        os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
        with open(self.path, "w", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(["id", "module", "name", "status", "duration"])
            writer.writerows(self.rows)


class Periodic:
    """Writes the results after each test, and says which one is under way."""

    def __init__(self, path, logging, unfinished):
        self.xml = LogXML(path, None, logging=logging)
        self.unfinished = os.path.join(os.path.dirname(os.path.abspath(path)), "unfinished_test.txt") if unfinished else None

    def pytest_sessionstart(self):
        self.xml.pytest_sessionstart()

    def pytest_runtest_logstart(self, nodeid):
        if self.unfinished:
            with open(self.unfinished, "w") as f:
                f.write(nodeid + "\n")

    def pytest_runtest_logreport(self, report):
        self.xml.pytest_runtest_logreport(report)
        if report.when == "teardown":
            self.xml.pytest_sessionfinish()
            if self.unfinished:
                open(self.unfinished, "w").close()


def read_list(path, prefix):
    """The ids of a test list, each with its marker."""
    tests = {}
    with open(path) as f:
        for line in f:
            line = re.sub(r"\s+#.*", "", line).strip()
            if not line or line.startswith("#"):
                continue
            m = re.fullmatch(r"(?P<id>.*?)(?:\s+(?P<marker>XFAIL|SKIP|UNSTABLE|TIMEOUT)(?:\s*\((?P<arg>.*)\))?)?", line)
            name = m["id"].removeprefix("full:")
            tests[f"{prefix}/{name}" if prefix and not name.startswith(prefix + "/") else name] = (m["marker"], m["arg"])
    return tests


def pytest_collection_modifyitems(session, config, items):
    prefix = config.getoption("--test-prefix")
    if prefix:
        for item in items:
            item._nodeid = f"{prefix}/{item._nodeid}"
    path = config.getoption("--test-list")
    if not path:
        return
    tests = read_list(path, prefix)
    kept = [item for item in items if item.nodeid in tests]
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in tests])
    for item in kept:
        marker, arg = tests[item.nodeid]
        if marker == "SKIP":
            item.add_marker(pytest.mark.skip(reason=arg or "test list"))
        elif marker == "XFAIL":
            item.add_marker(pytest.mark.xfail(reason=arg or "test list"))
        elif marker == "TIMEOUT":
            item.add_marker(pytest.mark.timeout(60 * int(arg)))
    items[:] = kept


@pytest.fixture
def output_dir(request):
    """The directory that the tests write into."""
    return request.config.getoption("--output-dir")


@pytest.fixture(autouse=True)
def worker_fd(request, monkeypatch):
    """Tells servers of pytest's own standard output, where the output of the ranks belongs that a launcher has started."""
    manager = request.config.pluginmanager.getplugin("capturemanager")
    with manager.global_and_fixture_disabled():
        fd = os.dup(1)
    os.set_inheritable(fd, True)
    monkeypatch.setenv("TREE_WORKER_FD", str(fd))
    yield
    os.close(fd)


def get_llm_root():
    """The checkout: LLM_ROOT, else the one that this file lies in."""
    return os.environ.get("LLM_ROOT") or ROOT


def llm_models_root():
    return os.environ.get("LLM_MODELS_ROOT") or "/models"
