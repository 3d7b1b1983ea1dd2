#!/usr/bin/env python3
"""How fast trtperf reads, beside the tools that a user would pick instead.

reading.py TRTPERF [NAME...]   NAME selects cases. ROUNDS (default 3), SIZE of the log in MiB (512), FILES in the tree (100000).

Both sides of a case read the same bytes from the page cache, in turn, and the best round of each counts. What takes a fraction of a second has more
rounds, since other things on the machine disturb it more. A ratio above 1 says that trtperf takes less time.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

LEAST = 10  # seconds that the rounds of a case take together
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ONE_REGEX = (
    r"(?-u)(Request|Output token|Total Token|User) throughput \((req|tok)/s\):\s+(-?[\d.]+)"
    r"|(Mean|Median|P99) (TTFT|TPOT|ITL|E2EL) \(ms\):\s+(-?[\d.]+)"
)
# Metrics of a user's own: of start-up lines, of blocks and of one in a hundred lines of the log.
OWN = [("My Metric 1 \\(units\\):\\s+(-?[\\d\\.]+)", "last"), ("Benchmark duration \\(s\\):\\s+([\\d.]+)", "mean"),
       ("Std Dev E2EL \\(ms\\):\\s+(-?[\\d.]+)", "max"), ("Successful requests:\\s+(\\d+)", "last"), ("max_concurrency=(\\d+)", "first"),
       ("Model loaded in ([\\d.]+) s", "first"), ("Peak memory: ([\\d.]+) GiB", "max"), ("warm-up took ([\\d.]+) ms", "last"),
       ("CUDA graphs captured: (\\d+)", "first"), ("NCCL INFO Channel 31/0 : (\\d+)", "count")]
# The same with six that hit nearly every line, so that most of the work is to read the numbers.
BUSY = [("POST (/v1/completions)", "count"), ("NCCL INFO Channel (\\d+)/0", "max"), ("kv_cache_util = ([\\d.]+)", "max"), ("num_scheduled_requests = (\\d+)", "last"),
        ("host_step_time = ([\\d.]+)ms", "mean"), ("prev_device_step_time = ([\\d.]+)ms", "mean")] + OWN[5:9]

class Bench:
    def __init__(self, trtperf):
        self.trtperf = os.path.abspath(trtperf)
        self.work = tempfile.mkdtemp(prefix="trtperf-bench-")
        self.rounds = int(os.environ.get("ROUNDS", "3"))
        self.lines = []
        for name, package in [("gen", "testdata/gen"), ("baseline", "testdata/bench/baseline")]:
            subprocess.run(["go", "build", "-o", os.path.join(self.work, name), "./" + package], cwd=ROOT, check=True)

    def path(self, name):
        return os.path.join(self.work, name)

    def make(self, name, *args):
        with open(self.path(name), "wb") as out:
            subprocess.run([self.path("gen"), *args], stdout=out, check=True)
        return self.path(name)

    def seconds(self, command, env):
        begin = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **env}, cwd=self.work)
        took = time.perf_counter() - begin
        if done.returncode > 6 or done.returncode == 2:
            sys.exit(f"{command}: {done.stderr.decode()}")
        return took

    def compare(self, what, size, ours, theirs, wanted, env=None):
        """Prints one line of the table. Wanted is the ratio to reach."""
        best, begin, rounds = {}, time.perf_counter(), 0
        while rounds < self.rounds or time.perf_counter() - begin < LEAST:
            rounds += 1
            for side, command in [("ours", ours), ("theirs", theirs)]:
                took = self.seconds(command, (env or {}) if side == "ours" else {})
                best[side] = min(took, best.get(side, took))
        ratio = best["theirs"] / best["ours"]
        print(f"{what:<44} {best['ours']:7.2f} s {best['theirs']:7.2f} s {size / best['ours'] / 1e6:8.0f} MB/s {ratio:7.2f}  {wanted}", flush=True)
        self.lines.append((what, self.show(ours, env), self.show(theirs, None)))

    def show(self, command, env):
        words = [f"{k}={v}" for k, v in (env or {}).items()] + [c if " " not in c else "'" + c + "'" for c in command]
        return " ".join(words).replace(self.work + "/", "").replace(os.path.dirname(self.trtperf) + "/", "")

    def patterns(self):
        path = self.path("patterns")
        table = subprocess.run([self.trtperf, "metrics", "--json"], stdout=subprocess.PIPE, check=True).stdout.decode()
        import json

        rows = [json.loads(line) for line in table.splitlines()]
        with open(path, "w") as out:
            for m in rows:
                if m.get("required_of", "").startswith("every client"):
                    label = m["labels"][0]
                    for sign in "()":
                        label = label.replace(sign, "\\" + sign)
                    out.write(label + r":\s+(-?[\d\.]+)" + "\n")
        return path


def tree_size(path):
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(path) for f in files)


def warm(path):
    subprocess.run(["sh", "-c", 'find "$0" -type f -exec cat {} + >/dev/null', path], check=True)


def log(b):
    mib = int(os.environ.get("SIZE", "512"))
    path, size, one = b.make("big.log", "log", "-size", f"{mib}MiB"), mib << 20, {"GOMAXPROCS": "1"}
    ours = [b.trtperf, "parse", "-q", path]
    b.compare("a log, one thread : rg -f 16 patterns", size, ours, ["rg", "-j1", "-a", "-f", b.patterns(), path], "6", one)
    b.compare("a log, one thread : rg, one regex", size, ours, ["rg", "-j1", "-a", ONE_REGEX, path], "0.6", one)
    b.compare("a log, one thread : wc -l", size, ours, ["wc", "-l", path], "", one)
    for name, metrics, wanted in [("ten own regexes", OWN, "0.6"), ("ten that hit nearly each line", BUSY, "")]:
        own, expressions = b.path(name.replace(" ", "-") + ".yaml"), b.path(name.replace(" ", "-"))
        with open(own, "w") as out, open(expressions, "w") as patterns:
            out.write("metrics:\n")
            for i, (expression, aggregate) in enumerate(metrics):
                out.write(f"  - {{name: own_{i}, regex: '{expression}', direction: neutral, place: client-log, aggregate: {aggregate}}}\n")
                patterns.write(expression + "\n")
        b.compare(f"{name}, one thread : rg -f", size, ours + ["--metrics", own], ["rg", "-j1", "-a", "-f", expressions, path], wanted, one)
    for packing, command in [("zst", ["zstd", "-q", "-f"]), ("gz", ["gzip", "-kf"])]:
        subprocess.run(command + [path], check=True)
        packed = f"{path}.{packing}"
        b.compare(f".{packing}, one thread : the decoder alone", size, [b.trtperf, "parse", "-q", packed], [b.path("baseline"), "decode", packed], "0.87", one)
        os.remove(packed)
    os.remove(path)
    os.mkdir(b.path("eight"))
    for i in range(8):
        b.make(f"eight/{i}.log", "log", "-size", f"{mib // 8}MiB", "-seed", str(i + 1))
    b.compare("eight logs, all cores : rg, one regex", size, [b.trtperf, "parse", "-q", b.path("eight")], ["rg", "-a", ONE_REGEX, b.path("eight")], "0.6")
    shutil.rmtree(b.path("eight"))


def corpus(b):
    source = os.path.join(os.environ.get("TRTPERF_CORPUS", os.path.join(ROOT, "..", "shared", "corpus")), "logs")
    if not os.path.isdir(source):
        print("no corpus: set TRTPERF_CORPUS to its folder", file=sys.stderr)
        return
    for i in range(70):
        shutil.copytree(source, b.path(f"corpus/{i}"))
    top = b.path("corpus")
    warm(top)
    size, ours = tree_size(top), [b.trtperf, "parse", "-q", top]
    b.compare("the corpus x 70 : rg, one regex", size, ours, ["rg", "-a", ONE_REGEX, top], "0.4")
    b.rounds, rounds = 1, b.rounds
    b.compare("the corpus x 70 : the harness's loop in Python", size, ours, ["python3", os.path.join(ROOT, "testdata/oracle/oracle.py"), "--bench", top], "25")
    b.rounds = rounds
    shutil.rmtree(top)


def xml(b):
    path = b.make("results.xml", "xml", "-size", "128MiB")
    b.compare("128 MiB results.xml : go-junit", os.path.getsize(path), [b.trtperf, "parse", "-q", path], [b.path("baseline"), "junit", path], "10")
    os.remove(path)


def tree(b):
    top = b.path("tree")
    subprocess.run([b.path("gen"), "tree", "-n", os.environ.get("FILES", "100000"), "-dir", top], check=True)
    warm(top)
    b.compare("100,000 directories : find, cat", tree_size(top), [b.trtperf, "parse", "-q", top], ["find", top, "-type", "f", "-exec", "cat", "{}", "+"], "0.4")
    shutil.rmtree(top)


def csv(b):
    python = os.path.join(ROOT, ".cache", "bench", "bin", "python")
    if not os.path.exists(python):
        subprocess.run(["python3", "-m", "venv", os.path.dirname(os.path.dirname(python))], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "pandas==2.3.3"], check=True)
    path = b.make("rows.csv", "csv", "-size", "450MiB")
    load = "import pandas, sqlite3, sys; pandas.read_csv(sys.argv[1]).to_sql('t', sqlite3.connect(sys.argv[2]), index=False, if_exists='replace')"
    ours = ["sh", "-c", 'rm -rf "$2"; exec "$0" process -q --layout full -o "$2" "$1"', b.trtperf, path, b.path("out")]
    b.compare("450 MiB metric-row CSV to SQLite : pandas", os.path.getsize(path), ours, [python, "-c", load, path, b.path("pandas.db")], "5")


def main():
    b = Bench(sys.argv[1])
    print(f"{'WORK : BESIDE':<44} {'TRTPERF':>9} {'BESIDE':>9} {'TRTPERF':>13} {'RATIO':>7}  TO REACH")
    try:
        for case in [log, corpus, xml, tree, csv]:
            if not sys.argv[2:] or case.__name__ in sys.argv[2:]:
                case(b)
    finally:
        shutil.rmtree(b.work)
    print("\nCommands:")
    for what, ours, theirs in b.lines:
        print(f"  {what}\n    {ours}\n    {theirs}")


main()
