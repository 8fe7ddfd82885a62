"""Record units of work as spans, beside OpenTelemetry or without it.

Nothing of OpenTelemetry is imported here: what works with it is put in place when the
application, or a library of its, imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obskit.settings import Settings
from obskit.traces import finished, recorder
from obskit.traces.finished import Span, collected, listen, unlisten

__all__ = ["ON_IMPORT", "Span", "collected", "configure", "listen", "undo", "unlisten"]


def configure(settings: Settings) -> None:
    """Record from now on; `listen` says who takes what was recorded."""
    recorder.state.on = True


def undo() -> None:
    """Stop recording, and leave OpenTelemetry's context alone."""
    recorder.state.on = False
    finished.forget_listeners()


def _join(trace: Any) -> None:
    from obskit.traces import bridge

    bridge.install()


def _join_fastapi(telemetry: Any) -> None:
    from obskit.traces import bridge

    bridge.install_fastapi(telemetry)


ON_IMPORT: tuple[tuple[str, Callable[[Any], None]], ...] = (("opentelemetry.trace", _join),)
