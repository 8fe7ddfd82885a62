"""Join OpenTelemetry: its delegating tracers, its current span, the application's provider.

`set_tracer_provider` is left to the application, whenever it comes. Until then the tracers
that OpenTelemetry hands out delegate to our light recorder; from then on to the provider, and
the spans of our observations are started through it with the ids that we have minted.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.trace import ProxyTracer

from obskit import health, propagation
from obskit.context import Unit
from obskit.traces import baggage, current, provider
from obskit.traces.live import LightTracer
from obskit.traces.recorder import state


def install() -> None:
    """Join OpenTelemetry, once it is imported; what cannot be joined is left alone.

    What is put in place stays there and does nothing while nothing is recorded.
    """
    state.bridge = provider
    try:
        current.install()
        state.eager = None
        propagation.outgoing.foreign = _travelling
    except Exception as error:
        from obskit.traces import eager

        state.eager = eager
        health.internal_error("traces.current", error)
    try:
        _delegate()
    except Exception as error:
        health.internal_error("traces.tracers", error)


def _travelling(unit: Unit) -> str:
    return baggage.travelling(unit, current.attached(), inside=current.is_inside(unit))


class _Delegating(property):
    """The tracer that a delegating one delegates to."""


def _delegate() -> None:
    """Let delegating tracers delegate to us while there is no provider."""
    original: Any = vars(ProxyTracer)["_tracer"]
    if isinstance(original, _Delegating):
        return

    def tracer(self: Any) -> trace.Tracer:
        found: trace.Tracer = original.fget(self)
        if not state.on or found is not self._noop_tracer:
            return found
        light: trace.Tracer | None = vars(self).get("_obskit")
        if light is None:
            light = self._obskit = LightTracer(self._instrumenting_module_name)
        return light

    setattr(ProxyTracer, "_tracer", _Delegating(tracer))  # noqa: B010 - it is read-only
