"""The metrics of one served request: running and done, its duration, its count, where its ID came from.

The floor does the same five updates on children of prometheus_client that it holds in its hands.
What finds a child by its labels each time, as code usually does, is a participant of its own.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from benchmarks.race import Runner

Timed = Callable[[int], None]

RUNNERS = (
    Runner("prometheus_client", "benchmarks.metrics:floor"),
    Runner("prometheus_client by labels", "benchmarks.metrics:by_labels"),
    Runner("obskit", "benchmarks.metrics:obskit"),
    Runner("prometheus_client, multiprocess", "benchmarks.metrics:multiprocess"),
    Runner("obskit, several workers", "benchmarks.metrics:obskit_prefork"),
    Runner(
        "prometheus-fastapi-instrumentator", "benchmarks.metrics:instrumentator",
        needs=("prometheus_fastapi_instrumentator",),
    ),
    Runner("OpenTelemetry SDK", "benchmarks.metrics:otel", needs=("opentelemetry.sdk",)),
)  # fmt: skip

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TOOK = 0.003


def _metrics() -> tuple[Any, Any, Any, Any]:
    from prometheus_client import Counter, Gauge, Histogram

    labels = ("method", "route", "outcome")
    return (
        Gauge("active", "Running", ("method",), multiprocess_mode="livesum"),
        Histogram("duration_seconds", "Duration", labels, buckets=BUCKETS),
        Counter("requests", "Done", (*labels, "code", "caller", "dependency", "synthetic")),
        Counter("ingress", "Source", ("source", "caller")),
    )


LABELS = (
    ("GET",),
    ("GET", "/items/{id}", "ok"),
    ("GET", "/items/{id}", "ok", "200", "", "", "false"),
    ("generated", ""),
)


def floor() -> Timed:
    """Update children that are at hand."""
    active, duration, requests, ingress = (
        metric.labels(*labels) for metric, labels in zip(_metrics(), LABELS, strict=True)
    )

    def timed(count: int) -> None:
        for _ in range(count):
            active.inc()
            active.dec()
            duration.observe(TOOK)
            requests.inc()
            ingress.inc()

    return timed


def multiprocess() -> Timed:
    """Update children that are kept in files, as prometheus_client does it for several workers."""
    folder = tempfile.mkdtemp(prefix="bench-")
    atexit.register(shutil.rmtree, folder)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    return floor()


def by_labels() -> Timed:
    """Find each child by its labels."""
    active, duration, requests, ingress = _metrics()

    def timed(count: int) -> None:
        for _ in range(count):
            active.labels(*LABELS[0]).inc()
            active.labels(*LABELS[0]).dec()
            duration.labels(*LABELS[1]).observe(TOOK)
            requests.labels(*LABELS[2]).inc()
            ingress.labels(*LABELS[3]).inc()

    return timed


def _red() -> Timed:
    from obskit import conventions, observation
    from obskit.metrics.red import Red

    red = Red()
    work = conventions.http_server("GET", "/items/7", {})
    observation.start(work)
    conventions.set_route(work, "/items/{id}")
    work.status = 200
    observation.finish(work)
    work.duration_ns = int(TOOK * 1e9)

    def timed(count: int) -> None:
        for _ in range(count):
            red.start(work)
            red.end(work)

    return timed


def obskit() -> Timed:
    """Tell the observer of metrics that a request starts and ends."""
    from obskit import metrics, settings

    metrics.configure(settings.resolve({"service": "bench"}))
    return _red()


def obskit_prefork() -> Timed:
    """Do so in a process whose numbers its siblings can read."""
    from obskit import metrics, settings
    from obskit.metrics import values
    from obskit.metrics.workers import current

    metrics.configure(settings.resolve({"service": "bench"}))
    timed = _red()
    current.parent_after_fork()
    timed(1)
    values.use(values.Unsettled(values.home().era))
    timed(1)
    assert metrics.status()["mode"] == "prefork"
    return timed


def instrumentator() -> Timed:
    """Call what prometheus-fastapi-instrumentator calls for each request by default."""
    from prometheus_fastapi_instrumentator import metrics
    from starlette.requests import Request
    from starlette.responses import Response

    update = metrics.default()
    assert update is not None
    scope = {"type": "http", "method": "GET", "path": "/items/7", "headers": []}
    info = metrics.Info(
        request=Request(scope), response=Response(b"{}"), method="GET",
        modified_handler="/items/{id}", modified_status="2xx", modified_duration=TOOK,
        modified_duration_without_streaming=TOOK,
    )  # fmt: skip

    def timed(count: int) -> None:
        for _ in range(count):
            update(info)

    return timed


def otel() -> Timed:
    """Do what OpenTelemetry's instrumentation does: active requests and a duration."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    meter = MeterProvider(metric_readers=[InMemoryMetricReader()]).get_meter("bench")
    duration = meter.create_histogram(
        "http.server.request.duration", explicit_bucket_boundaries_advisory=BUCKETS
    )
    active = meter.create_up_down_counter("http.server.active_requests")
    running = {"http.request.method": "GET", "url.scheme": "http"}
    done = {**running, "http.route": "/items/{id}", "http.response.status_code": 200}

    def timed(count: int) -> None:
        for _ in range(count):
            active.add(1, running)
            active.add(-1, running)
            duration.record(TOOK, done)

    return timed
