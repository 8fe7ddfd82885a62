"""The one list of what is instrumented: extras, documentation, status and tests follow it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from obskit import health

GROUP = "obskit.instrumentation"


@dataclass(frozen=True, slots=True)
class Row:
    """A library and the module that instruments it.

    Args:
        name: What people write in ``OBSKIT_INSTRUMENT``.
        what: What is observed, for the documentation.
        imports: The modules whose import loads ours; none for what we hand out ourselves.
        requires: The distribution and its lowest tested version; empty for the standard library.
        tested: The newest tested version.
        module: The module with the hooks; ours has the row's name.
        options: What the hooks find as ``call.options``.
    """

    name: str
    what: str
    imports: tuple[str, ...] = ()
    requires: str = ""
    tested: str = ""
    module: str = ""
    options: Any = None

    @property
    def distribution(self) -> str:
        """The name of the distribution, empty for the standard library."""
        return self.requires.partition(">=")[0]

    @property
    def lowest(self) -> str:
        """The lowest tested version."""
        return self.requires.partition(">=")[2]

    @property
    def home(self) -> str:
        """The module with the hooks."""
        return self.module or f"obskit.instrumentation.{self.name}"


ROWS: tuple[Row, ...] = (
    Row(
        "asgi",
        "requests of any ASGI application, by `obskit.asgi.Middleware`",
        imports=("starlette.middleware.wsgi", "a2wsgi.wsgi", "asgiref.wsgi"),
    ),
    Row("wsgi", "requests of any WSGI application, by `obskit.wsgi.Middleware`"),
    Row(
        "starlette",
        "requests, websocket connections, background tasks",
        imports=("starlette.applications",),
        requires="starlette>=0.36.3",
        tested="1.10",
    ),
    Row(
        "fastapi",
        "requests, websocket connections, background tasks; its own tracing is silenced",
        imports=("fastapi.applications",),
        requires="fastapi>=0.110",
        tested="0.165",
    ),
    Row("flask", "requests", imports=("flask.app",), requires="flask>=2.3", tested="3.1"),
    Row(
        "httpx",
        "each request that goes over the network, sync and async",
        imports=("httpx",),
        requires="httpx>=0.26",
        tested="0.28",
    ),
    Row(
        "requests",
        "each request that goes over the network",
        imports=("requests.adapters",),
        requires="requests>=2.31",
        tested="2.34",
    ),
    Row("threads", "threads and timers work for who started them", imports=("threading",)),
    Row(
        "executors",
        "jobs of thread and process pools work for who submitted them",
        imports=("concurrent.futures.thread", "concurrent.futures.process"),
    ),
    Row(
        "multiprocessing",
        "child processes begin without the request that started them",
        imports=("multiprocessing.process",),
    ),
    Row(
        "structlog",
        "fields that a finished request has left behind are cleared",
        imports=("structlog.contextvars",),
        requires="structlog>=24.1",
        tested="26.1",
    ),
)


def foreign_rows() -> Iterator[Row]:
    """Yield the rows that other distributions announce in the group `obskit.instrumentation`.

    Whether there are any is found out without `importlib.metadata`: it takes 20 to 90 ms to
    import, and most processes have none.
    """
    if not any(map(_announces, sys.path)):
        return
    from importlib.metadata import entry_points

    for entry_point in entry_points(group=GROUP):
        try:
            found = entry_point.load()
            yield from (found,) if isinstance(found, Row) else found
        except Exception as error:
            health.internal_error(f"instrumentation.{entry_point.name}", error)


def _announces(folder: str) -> bool:
    try:
        with os.scandir(folder or ".") as entries:
            return any(
                _names_group(entry.path)
                for entry in entries
                if entry.name.endswith((".dist-info", ".egg-info"))
            )
    except OSError:
        return False


def _names_group(folder: str) -> bool:
    try:
        descriptor = os.open(f"{folder}/entry_points.txt", os.O_RDONLY)
    except OSError:
        return False
    try:
        return f"[{GROUP}]".encode() in os.read(descriptor, 1 << 20)
    finally:
        os.close(descriptor)
