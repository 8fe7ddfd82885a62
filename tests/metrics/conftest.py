"""Fixtures for tests of metrics.

``fresh``
    No metric is made yet, numbers are kept in memory, nothing is served; the same afterwards.

``samples() -> dict[str, float]``
    What an exposition says now: ``name{label="value"}`` to number, labels sorted by name.
    Implies ``fresh``.

``script(source, env=None, **options) -> Output``
    Run Python code in a process of its own until it ends; the beginning sets metrics up as
    ``obskit.init`` does (see ``SET_UP``).

``get(port, path="/metrics", **headers) -> Answered``
    Scrape a port by hand.
"""

import http.client
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from obskit import health, settings
from obskit.metrics import budget, catalogue, lifecycle, runtime, values, workers
from obskit.metrics.exposition import render
from tests.services.processes import Output

SET_UP = """
import json, os, signal, sys, threading, time
from obskit import conventions, health, instrumentation, metrics, observation
from obskit import propagation, settings
from obskit.metrics.red import Red

def set_up(service="shop", **arguments):
    chosen = settings.resolve({"service": service, **arguments})
    propagation.configure(propagation.Policy(service=service))
    metrics.configure(chosen)
    observation.configure([("metrics", Red())])
    instrumentation.instrument()
    for module, prepare in metrics.ON_IMPORT:
        instrumentation.when_imported(module, prepare)
    metrics.serve(chosen)

def serve(method="GET", route="/cds/{id}", status=200):
    work = conventions.http_server(method, "/cds/7", {})
    observation.start(work)
    conventions.set_route(work, route)
    work.status = status
    observation.end(work)

def page(accept=None):
    return metrics.render(accept)[1].decode()

set_up()
"""


def _forget() -> None:
    lifecycle.shutdown()
    lifecycle.server.trouble = ""
    workers.current.trouble = ""
    values.use(values.Memory(object()))
    if "prometheus_client" in sys.modules:
        from prometheus_client import REGISTRY

        for collector in catalogue.collectors(REGISTRY):
            if collector in catalogue._made.values() or isinstance(collector, runtime.BuildInfo):
                REGISTRY.unregister(collector)
    catalogue._made.clear()
    catalogue._on_load.clear()
    catalogue._loaded = False
    budget._tables.clear()
    budget.set_budget(budget.DEFAULT_BUDGET)
    runtime._shown.clear()
    health.reset()


@pytest.fixture
def fresh(floor: None) -> Iterator[None]:
    """Begin and end without metrics."""
    _forget()
    yield
    _forget()


def read(page: str) -> dict[str, float]:
    """Return the samples of an exposition."""
    found = {}
    for line in page.splitlines():
        if line and not line.startswith("#"):
            series, _, number = line.partition(" # ")[0].rpartition(" ")
            found[series] = float(number)
    return found


@pytest.fixture
def samples(fresh: None) -> Callable[[], dict[str, float]]:
    """Give the reader of this process's exposition."""
    return lambda: read(render()[1].decode())


@pytest.fixture
def configured(fresh: None) -> Callable[..., None]:
    """Give what puts settings in force for this process's metrics."""

    def put(**arguments: Any) -> None:
        lifecycle.configure(settings.resolve({"service": "shop", **arguments}))

    return put


@pytest.fixture
def script(start_process: Callable[..., Any]) -> Callable[..., Output]:
    """Give the runner of Python code."""

    def run(source: str, env: dict[str, str | None] | None = None, **options: Any) -> Output:
        chosen = {"OBSKIT_METRICS_PORT": "off", **(env or {})}
        process = start_process(sys.executable, "-c", SET_UP + source, env=chosen, **options)
        output: Output = process.wait(timeout=60)
        assert output.returncode == 0, output.stderr.decode()
        return output

    return run


class Answered(NamedTuple):
    """What a scraper got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def samples(self) -> dict[str, float]:
        """The samples in the body."""
        return read(self.body.decode())


@pytest.fixture
def get() -> Callable[..., Answered]:
    """Give a scraper."""

    def scrape(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> Answered:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            answer = connection.getresponse()
            pairs = {name.lower(): value for name, value in answer.getheaders()}
            return Answered(answer.status, pairs, answer.read())
        finally:
            connection.close()

    return scrape
