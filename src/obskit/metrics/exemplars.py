"""Choose what an exemplar says, within the 128 characters that OpenMetrics allows."""

from __future__ import annotations

from obskit.context import Context

LONGEST = 128
_CORRELATION = len("correlation_id")


def labels(here: Context | None, outcome: str) -> dict[str, str] | None:
    """Return the labels of the exemplar of a unit of work, or None if it deserves none.

    A trace is named only where its spans are kept. The correlation ID is named where it
    fits, and always for a failure without a trace, since lines are not sampled.
    """
    if here is None:
        return None
    unit = here.unit
    correlation = unit.correlation_id
    if unit.sampled:
        named = {"trace_id": unit.trace_id, "span_id": here.span_id}
        if correlation and correlation != unit.trace_id:
            if size(named) + _CORRELATION + len(correlation) <= LONGEST:
                named["correlation_id"] = correlation
        return named if size(named) <= LONGEST else None
    if outcome == "ok" or not correlation:
        return None
    return {"correlation_id": correlation[: LONGEST - _CORRELATION]}


def size(named: dict[str, str]) -> int:
    """Return how much of the allowed length *named* takes."""
    return sum(len(name) + len(value) for name, value in named.items())
