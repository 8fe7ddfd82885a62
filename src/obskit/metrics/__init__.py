"""Keep metrics of units of work and show them to Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obskit.metrics.catalogue import adopt
from obskit.metrics.lifecycle import configure, serve, shutdown, status

if TYPE_CHECKING:
    from obskit.metrics.apps import metrics_app, metrics_wsgi_app
    from obskit.metrics.exposition import render

ON_IMPORT = (("prometheus_client", adopt),)
"""What is to be called with a module right after the application has imported it."""

__all__ = [
    "ON_IMPORT",
    "configure",
    "metrics_app",
    "metrics_wsgi_app",
    "render",
    "serve",
    "shutdown",
    "status",
]

# What answers a scrape is no cost of a start.
_PLACES = {"metrics_app": "apps", "metrics_wsgi_app": "apps", "render": "exposition"}


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{place}"), name)
    return value
