"""Requests a second of a FastAPI service under uvicorn, over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

CONNECTIONS = 16
REQUEST = b"GET /items/7 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n"
SERVICES = ("bare", "obskit", "stack")
TARGETS = {
    "bare": "benchmarks.throughput:bare",
    "obskit": "benchmarks.throughput:observed",
    "stack": "benchmarks.throughput:stack",
}


def bare() -> object:
    """Return the application that logs as it always did."""
    from benchmarks.lines import _sink
    from benchmarks.requests_served import _fastapi, _stdlib_log

    return _fastapi(_stdlib_log(_sink()))


def observed() -> object:
    """Return the application with obskit in the process."""
    import logging

    from benchmarks.requests_served import _fastapi, _init_obskit

    _init_obskit()
    log = logging.getLogger("shop")
    return _fastapi(lambda item_id: log.info("item shown", extra={"item_id": item_id}))


def stack() -> object:
    """Return the application with the stack of peers around it."""
    from asgi_correlation_id import CorrelationIdMiddleware
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from prometheus_fastapi_instrumentator import Instrumentator

    from benchmarks.requests_served import _fastapi, _sdk, _structlog, _with_access_line

    log = _structlog()
    app = _fastapi(lambda item_id: log.info("item shown", item_id=item_id))
    app.add_middleware(CorrelationIdMiddleware)
    Instrumentator().instrument(app)
    _sdk()
    FastAPIInstrumentor.instrument_app(app)
    return _with_access_line(app, log)


def measure(rounds: int = 9, seconds: float = 0.7) -> dict[str, list[float]]:
    """Return the rates of each service, which take turns for *rounds* rounds."""
    with ExitStack() as services:
        ports = {name: services.enter_context(_serving(name)) for name in SERVICES}
        rates: dict[str, list[float]] = {name: [] for name in SERVICES}
        for round_ in range(rounds + 1):
            for name, port in ports.items():
                rate = asyncio.run(_load(port, seconds))
                if round_:
                    rates[name].append(rate)
        return rates


def against_bare(rates: dict[str, list[float]], name: str) -> float:
    """Return the rate of *name* as a share of the bare one: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(rates[name], rates["bare"], strict=True))


@contextmanager
def _serving(name: str) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environ = {key: value for key, value in os.environ.items() if not key.startswith("OBSKIT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "--port", str(port), "--no-access-log",
         "--log-level", "warning", TARGETS[name]],
        env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("the service did not start")


async def _load(port: int, seconds: float) -> float:
    deadline = time.perf_counter() + seconds
    counts = await asyncio.gather(*(_client(port, deadline) for _ in range(CONNECTIONS)))
    return sum(counts) / seconds


async def _client(port: int, deadline: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    try:
        while time.perf_counter() < deadline:
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            count += 1
    finally:
        writer.close()
    return count
