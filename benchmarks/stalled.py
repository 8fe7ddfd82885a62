"""A log call while the reader of the pipe is slow: how long does the caller wait?

The reader takes 4096 bytes every ten milliseconds, far less than what is written.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks.race import Runner

Timed = Callable[[int], dict[str, float]]
PAUSE = 0.01

RUNNERS = (
    Runner("logging, blocking", "benchmarks.stalled:blocking"),
    Runner("QueueHandler, unbounded", "benchmarks.stalled:unbounded"),
    Runner("obskit", "benchmarks.stalled:obskit"),
)


def _slow_pipe() -> int:
    read_end, write_end = os.pipe()

    def read() -> None:
        while os.read(read_end, 4096):
            time.sleep(PAUSE)

    threading.Thread(target=read, daemon=True).start()
    return write_end


def _quantile(call: Callable[[], Any]) -> Timed:
    def timed(count: int) -> dict[str, float]:
        taken = []
        for _ in range(max(count, 2000)):
            began = time.perf_counter()
            call()
            taken.append(time.perf_counter() - began)
            time.sleep(0)
        taken.sort()
        return {"p99_ms": taken[int(len(taken) * 0.99)] * 1e3, "worst_ms": taken[-1] * 1e3}

    return timed


def blocking() -> Timed:
    log = logging.getLogger("shop")
    log.setLevel(logging.INFO)
    log.addHandler(logging.StreamHandler(os.fdopen(_slow_pipe(), "w")))
    return _quantile(lambda: log.info("order placed " + "x" * 200))


def unbounded() -> Timed:
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    log = logging.getLogger("shop")
    log.setLevel(logging.INFO)
    log.addHandler(logging.handlers.QueueHandler(waiting))
    sink = logging.StreamHandler(os.fdopen(_slow_pipe(), "w"))
    logging.handlers.QueueListener(waiting, sink).start()
    return _quantile(lambda: log.info("order placed " + "x" * 200))


def obskit() -> Timed:
    import obskit

    obskit.init(
        "invoice",
        log_format="json",
        log_stream=f"fd:{_slow_pipe()}",
        metrics_port=False,
        instrument=("none",),
    )
    log = obskit.get_logger("shop")
    return _quantile(lambda: log.info("order placed", text="x" * 200))
