"""Spans on their way to Zipkin: encoding one, and what sending them adds to a request.

The floor writes the one kind of span that is measured, and nothing else. OpenTelemetry's exporter
is measured with its own encoder, on the same spans as its SDK has them.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.race import Runner

Timed = Callable[[int], None]

BATCH = 100
ENCODING = (
    Runner("floor", "benchmarks.spans:floor"),
    Runner("obskit", "benchmarks.spans:obskit"),
    Runner("OpenTelemetry", "benchmarks.spans:otel", needs=("opentelemetry.exporter.zipkin.json",)),
)
REQUESTS = (
    Runner("bare", "benchmarks.requests_served:fastapi_bare"),
    Runner("obskit", "benchmarks.requests_served:fastapi_obskit"),
    Runner("obskit, Zipkin", "benchmarks.spans:fastapi_zipkin"),
    Runner("obskit, Zipkin away", "benchmarks.spans:fastapi_zipkin_away"),
    Runner("obskit, Zipkin hangs", "benchmarks.spans:fastapi_zipkin_hangs"),
)


def _spans() -> list[Any]:
    from obskit.traces.finished import Span

    found = []
    for number in range(BATCH):
        span = Span(
            "GET /items/{id}", "client", "4bf92f3577b34da6a3ce929d0e0e4736", f"{number + 1:016x}",
            "00f067aa0ba902b7", 1_700_000_000_123_456_789 + number, 3_456_789,
        )  # fmt: skip
        span.peer = "stock"
        span.attributes = {
            "http.request.method": "GET",
            "server.address": "stock",
            "url.path": f"/items/{number}",
            "obskit.outcome": "ok",
            "http.response.status_code": 200,
        }
        found.append(span)
    return found


def floor() -> Timed:
    """Write just what this span has."""
    import orjson

    spans, local, peer = _spans(), {"serviceName": "shop"}, {"serviceName": "stock"}

    def one(span: Any) -> bytes:
        attributes = span.attributes
        return orjson.dumps(
            {
                "traceId": span.trace_id,
                "id": span.span_id,
                "parentId": span.parent_id,
                "name": span.name,
                "kind": "CLIENT",
                "timestamp": span.started_at_ns // 1000,
                "duration": span.duration_ns // 1000,
                "localEndpoint": local,
                "remoteEndpoint": peer,
                "tags": {
                    **attributes,
                    "http.response.status_code": str(attributes["http.response.status_code"]),
                },
            }
        )

    return _each(one, spans)


def obskit() -> Timed:
    """Encode as it is done before a batch is sent."""
    from obskit.traces.zipkin import Encoder

    spans, encode = _spans(), Encoder("shop").encode

    return _each(encode, spans)


def otel() -> Timed:
    """Encode by the exporter's own encoder."""
    from opentelemetry.exporter.zipkin.json import ZipkinExporter

    from obskit.traces import exporters

    exporter = ZipkinExporter(endpoint="http://127.0.0.1:1")
    spans = list(map(exporters.converter(exporters.resource("shop")), _spans()))

    def timed(count: int) -> None:
        for _ in range(count):
            exporter.encoder.serialize(spans, exporter.local_node)

    return timed


def _each(encode: Callable[[Any], bytes], spans: list[Any]) -> Timed:
    """Encode one after the other; to hold them all would time the allocator of the system."""

    def timed(count: int) -> None:
        for _ in range(count):
            for span in spans:
                encode(span)

    return timed


def _fastapi(url: str) -> Timed:
    from benchmarks.requests_served import fastapi_obskit

    os.environ["OBSKIT_ZIPKIN"] = url
    return fastapi_obskit()


def fastapi_zipkin() -> Timed:
    """Send the spans to another process, which takes them."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.spans"], stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.kill)
    assert server.stdout is not None
    return _fastapi(server.stdout.readline().strip())


def fastapi_zipkin_away() -> Timed:
    """Nobody listens where spans are to be sent."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return _fastapi(f"http://127.0.0.1:{port}")


_held: list[socket.socket] = []


def fastapi_zipkin_hangs() -> Timed:
    """The kernel takes connections, and nobody ever answers."""
    _held.append(socket.create_server(("127.0.0.1", 0)))
    return _fastapi(f"http://127.0.0.1:{_held[0].getsockname()[1]}")


def serve() -> None:
    """Take what is sent, one connection at a time."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        connection, _ = listener.accept()
        with suppress(OSError), connection, connection.makefile("rb") as incoming:
            while line := incoming.readline():
                length = 0
                while line.strip():
                    name, _, value = line.decode().partition(":")
                    length = int(value) if name.lower() == "content-length" else length
                    line = incoming.readline()
                incoming.read(length)
                connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


if __name__ == "__main__":
    serve()
