"""Make each observation's span current in OpenTelemetry at once.

This is for versions of OpenTelemetry whose runtime context cannot be looked after: it costs
more, and spans of the application's own do not name its lines.
"""

from __future__ import annotations

from opentelemetry import context as api
from opentelemetry.trace import set_span_in_context

from obskit.observation import Observation
from obskit.traces import spans

_NOTE = "opentelemetry"


def enter(observation: Observation) -> None:
    """Make the span of *observation* the current one."""
    here = observation.context
    if here is None:
        return
    before = api.get_current()
    attached = set_span_in_context(spans.span_of(here).span)
    api.attach(attached)
    observation.notes = {**(observation.notes or {}), _NOTE: (before, attached)}


def leave(observation: Observation) -> None:
    """Make current what was before, unless something else is by now.

    Not by token: a response may end in another task than it began in.
    """
    before, attached = (observation.notes or {}).get(_NOTE, (None, None))
    if attached is not None and api.get_current() is attached:
        api.attach(before)
