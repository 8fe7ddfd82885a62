"""The one list of what is instrumented: extras, documentation, status and tests follow it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from obskit import health
from obskit.record import Record

GROUP = "obskit.instrumentation"
METADATA = (".dist-info", ".egg-info")
_HEADING = f"[{GROUP}]".encode()


class Row(Record):
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
        "django",
        "requests over WSGI and ASGI",
        # All that hooks stand in: some import others, and are half made when these are loaded.
        imports=(
            "django.core.handlers.wsgi",
            "django.core.handlers.asgi",
            "django.contrib.staticfiles.handlers",
        ),
        requires="django>=4.2",
        tested="6.1",
    ),
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
    Row(
        "urllib3",
        "each request that goes over the network, retries and redirects too",
        imports=("urllib3.connectionpool",),
        requires="urllib3>=1.26.7",
        tested="2.8",
    ),
    Row(
        "urllib",
        "each request of `urllib.request` that goes over the network",
        imports=("urllib.request",),
    ),
    Row(
        "aiohttp_client",
        "each request that goes over the network, handshakes of websockets too",
        imports=("aiohttp.client",),
        requires="aiohttp>=3.9",
        tested="3.14",
    ),
    Row(
        "pika",
        "messages sent to RabbitMQ and got from there: by callbacks, in loops, one by one",
        imports=("pika.channel", "pika.adapters.blocking_connection"),
        requires="pika>=1.3",
        tested="1.4",
    ),
    Row(
        "celery",
        "tasks: sent, carried out, retried, revoked, lost; those that beat sends",
        # All that hooks stand in: some import others, and are half made when these are loaded.
        imports=(
            "celery.app.base",
            "celery.app.trace",
            "celery.beat",
            "celery.worker.consumer.consumer",
            "celery.worker.request",
            "celery.worker.strategy",
        ),
        requires="celery>=5.3",
        tested="5.7",
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
    Row(
        "asgi_correlation_id",
        "around an application it appends no second header of our name",
        imports=("asgi_correlation_id.middleware",),
        requires="asgi-correlation-id>=4.3",
        tested="5.0",
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
        names = os.listdir(folder or ".")
    except OSError:
        return False
    return any(
        name.endswith(METADATA) and _names_group(f"{folder or '.'}/{name}") for name in names
    )


def _names_group(folder: str) -> bool:
    try:
        descriptor = os.open(f"{folder}/entry_points.txt", os.O_RDONLY)
    except OSError:
        return False
    try:
        return _HEADING in os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)
