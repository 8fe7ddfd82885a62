"""Let OpenTelemetry's baggage and ours be the same."""

from __future__ import annotations

from typing import Any

from opentelemetry.baggage import _BAGGAGE_KEY
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context

from obskit.context import Unit
from obskit.propagation import w3c

_propagator = W3CBaggagePropagator()
_CORRELATION = "obskit.correlation"


def add(values: dict[str, Any], unit: Unit, *, inside: bool) -> None:
    """Add to *values*, a context in the making, what came in with *unit*.

    The correlation ID is among it where the trace ID does not say it already. What was
    attached *inside* of the unit stands: its code has set or removed entries.
    """
    if inside and _BAGGAGE_KEY in values:
        return
    if not unit.baggage and unit.correlation_id == unit.trace_id:
        return
    entries = dict(values.get(_BAGGAGE_KEY) or {})
    if unit.baggage:
        entries.update(_entries(unit.baggage))
    if unit.correlation_id != unit.trace_id:
        entries[_CORRELATION] = unit.correlation_id
    values[_BAGGAGE_KEY] = entries


def _entries(text: str) -> dict[str, Any]:
    found: Any = _propagator.extract({"baggage": text}, Context()).get(_BAGGAGE_KEY)
    return found or {}


def as_header(attached: Context) -> str:
    """Return the baggage of *attached* as it is sent."""
    if not attached.get(_BAGGAGE_KEY):
        return ""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, attached)
    return carrier.get("baggage", "")


def travelling(unit: Unit, attached: Context, *, inside: bool) -> str:
    """Return what of others travels on from *unit*: what came in, and what its code has set."""
    if _BAGGAGE_KEY not in attached:
        return unit.baggage
    theirs = w3c.split_baggage(as_header(attached))[1]
    if inside or not unit.baggage:
        return theirs
    return w3c.split_baggage(f"{unit.baggage},{theirs}")[1]
