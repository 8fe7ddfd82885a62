"""What shipping costs a log call, and how many lines a second arrive at a real OpenSearch."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CALLS = 20_000
LINES, ASKED = 300_000, 30_000
FIELDS = {
    "order_id": "CD-7",
    "amount": 12.5,
    "country": "DE",
    "items": 3,
    "customer": "c-123",
    "ok": True,
}


def child(what: str, url: str, spool: str) -> None:
    """Log in the way that *what* says, and print the figure."""
    import obskit

    shipped = {"ship": url, "spool": spool} if url else {}
    obskit.init("bench", metrics_port="off", log_stream=os.devnull, capture=False, **shipped)
    log = obskit.get_logger("bench")
    for _ in range(2000):
        log.info("order placed", **FIELDS)
    time.sleep(0.3)
    print(_median_call(log) if what == "call" else _rate(log))
    sys.stdout.flush()
    os._exit(0)


def _median_call(log: object) -> float:
    info = log.info  # type: ignore[attr-defined]
    clock, taken = time.perf_counter, []
    for _ in range(CALLS):
        began = clock()
        info("order placed", **FIELDS)
        taken.append(clock() - began)
    return statistics.median(taken) * 1e6


def _rate(log: object) -> float:
    from obskit import shipping

    info = log.info  # type: ignore[attr-defined]
    began = time.perf_counter()
    for number in range(LINES):
        info("order placed", number=number, **FIELDS)
        if not number % 200:
            time.sleep(max(0.0, began + number / ASKED - time.perf_counter()))
    road = shipping._road
    assert road is not None
    while sum(road.left().values()):
        time.sleep(0.02)
    return LINES / (time.perf_counter() - began)


def _run(what: str, url: str) -> float:
    with tempfile.TemporaryDirectory() as spool:
        words = [sys.executable, "-m", "benchmarks.shipped", what, url, spool]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    return float(done.stdout)


def call_ratio(rounds: int) -> float:
    """Return what a log call takes while its lines are shipped, against one that is not."""
    from tests.fakes.fake import Fake

    found = []
    for _ in range(rounds):
        with Fake("elasticsearch") as fake:
            found.append(_run("call", fake.url) / _run("call", ""))
    return statistics.median(found)


def lines_a_second() -> float | None:
    """Return how many lines a second arrive at OpenSearch; None where it is not installed."""
    from tests.services.binaries import load_table
    from tests.services.opensearch import OpenSearch

    find = load_table().find
    jars, java = find("opensearch"), find("java")
    if not (jars and java):
        return None
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as end:
        node = OpenSearch(Path(jars), java, Path(folder))
        end.callback(node.stop)
        node.start()
        name = node.stream("bench")
        return _run("rate", f"elasticsearch+{node.url}?index={name}")


if __name__ == "__main__":
    child(*sys.argv[1:])
