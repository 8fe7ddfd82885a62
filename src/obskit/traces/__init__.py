"""Record units of work as spans, beside OpenTelemetry or without it.

Nothing of OpenTelemetry is imported here: what works with it is put in place when the
application, or a library of its, imports it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from obskit.settings import Settings
from obskit.traces import finished, recorder, sampling
from obskit.traces.finished import Span, collected, listen, unlisten
from obskit.traces.recorder import offer

__all__ = ["ON_IMPORT", "Span", "collected", "configure", "listen", "offer", "undo", "unlisten"]


def configure(settings: Settings) -> None:
    """Record from now on; `listen` says who takes what was recorded."""
    sampling.configure(settings.trace_slow)
    recorder.state.on = True


def undo() -> None:
    """Stop recording, and leave OpenTelemetry's context alone."""
    recorder.state.on = False
    finished.forget_listeners()


_joining = False


def _join(module: Any) -> None:
    """Join OpenTelemetry when either of its doors is imported, and not half way through."""
    global _joining
    trace = sys.modules.get("opentelemetry.trace")
    if _joining or (trace is not None and not hasattr(trace, "use_span")):
        return
    _joining = True
    try:
        from obskit.traces import bridge

        bridge.install()
    finally:
        _joining = False


ON_IMPORT: tuple[tuple[str, Callable[[Any], None]], ...] = (
    ("opentelemetry.trace", _join),
    ("opentelemetry.baggage", _join),
)
