"""Finish what is imported late before the process forks.

A child that is forked while another thread imports a module has the lock of that import, and
nobody who will let go of it: the first to want the module waits for ever. What obskit imports
when it is first needed is therefore there before the first fork; what is heavy, or somebody
else's, is waited for where its import has begun.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module

from obskit import health

LATE: dict[str, tuple[str, ...]] = {
    "propagation": ("obskit.propagation.b3", "obskit.propagation.carrier"),
    "logs": ("obskit.logs.budget", "obskit.logs.events", "obskit.logs.held", "obskit.logs.printed"),
    "observers": ("obskit.observation.blocks",),
    "observer metrics": (
        "obskit.metrics.errors",
        "obskit.metrics.messages",
        "obskit.metrics.pages",
        "obskit.metrics.talk",
        "obskit.metrics.unsent",
    ),
    "instrumentation": (
        "obskit.instrumentation._replaces",
        "obskit.instrumentation._websocket",
        "obskit.instrumentation._wsgi",
    ),
}
"""What each room imports in the middle of its work."""

SLOW: tuple[str, ...] = (
    "aiohttp",
    "asyncio",
    "datetime",
    "email.utils",
    "flask",
    "hashlib",
    "http.client",
    "ipaddress",
    "json",
    "linecache",
    "obskit.http",
    "opentelemetry",
    "prometheus_client",
    "prometheus_client.mmap_dict",
    "shutil",
    "tempfile",
    "wrapt",
    "zlib",
)
"""What is not worth to be imported for a fork."""


_ready: set[str] = set()


def finish(rooms: Iterable[str]) -> None:
    """Import what *rooms* may need late, and wait for what another thread imports just now."""
    for room in rooms:
        if room not in _ready:
            _ready.add(room)
            _import(LATE.get(room, ()))
    _import(filter(_is_begun, SLOW))


def _import(names: Iterable[str]) -> None:
    for name in names:
        try:
            import_module(name)
        except Exception as error:
            health.internal_error("bootstrap.fork", error)


def _is_begun(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))
