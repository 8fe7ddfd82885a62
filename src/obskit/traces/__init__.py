"""Record units of work as spans, beside OpenTelemetry or without it.

Nothing of OpenTelemetry is imported here: what works with it is put in place when the
application, or a library of its, imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obskit import health
from obskit.settings import Settings
from obskit.traces import finished, recorder
from obskit.traces.finished import Span, collected, listen, unlisten

__all__ = ["HOOKS", "ON_IMPORT", "Span", "collected", "configure", "listen", "undo", "unlisten"]


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


ON_IMPORT: tuple[tuple[str, Callable[[Any], None]], ...] = (("opentelemetry.trace", _join),)


def _offer_provider(wrapped: Any, instance: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Let a provider that was given to a FastAPI application alone have the SERVER span."""
    try:
        served = kwargs["scope"].get("obskit.served")
        given = instance.config["tracer_provider"]
        if served is not None and given is not None and instance.config["tracing"]:
            recorder.offer(served.observation, given)
    except Exception as error:
        health.internal_error("traces.fastapi", error)
    return wrapped(*args, **kwargs)


HOOKS: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("fastapi.telemetry._asgi", "NativeTelemetry.__call__", _offer_provider),
)
