"""Keep metrics of units of work and show them to Prometheus."""

from obskit.metrics.apps import metrics_app, metrics_wsgi_app
from obskit.metrics.catalogue import adopt
from obskit.metrics.exposition import render
from obskit.metrics.lifecycle import configure, serve, shutdown, status

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
