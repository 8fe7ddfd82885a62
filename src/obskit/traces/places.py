"""Find the place in our own context for a span that others have made current."""

from __future__ import annotations

import copy
from typing import Any

from opentelemetry.context import Context as ApiContext
from opentelemetry.trace import Span, SpanContext

from obskit import clock, context, observation, propagation
from obskit.context import Context, Unit
from obskit.observation import Observation
from obskit.propagation import w3c
from obskit.traces import baggage
from obskit.traces.live import in_hex


def enter(span: Span, here: Context | None, attached: ApiContext) -> Observation | None:
    """Go to the place of *span* and return what leads back; None if that is where we are."""
    found = span.get_span_context()
    if not found.is_valid:
        return None
    trace_id, span_id = in_hex(found)
    if here is not None and here.unit.trace_id == trace_id:
        if here.span_id == span_id:
            return None
        _claim(here, span_id)
        return _step(Context(here.unit, span_id, here.span_id, here.fields), here)
    if here is None or not here.unit.running:
        return _begin(span, found, here, attached)
    return _step(Context(_elsewhere(here.unit, found), span_id, None, here.fields), here)


def _step(place: Context, here: Context) -> Observation:
    step = Observation("")
    step.context, step.previous = place, here
    context.attach(place)
    return step


def _claim(here: Context, span_id: str) -> None:
    """Make the first span under what came from outside the one that stands for this unit."""
    unit = here.unit
    if here.span_id == unit.parent_span_id:
        unit.root_span_id, unit.wire = span_id, None


def _elsewhere(unit: Unit, found: SpanContext) -> Unit:
    """Return *unit* as it is in another trace: the operation is the same."""
    other = copy.copy(unit)
    other.trace_id = in_hex(found)[0]
    other.flags = int(found.trace_flags) & 3
    other.tracestate = found.trace_state.to_header()
    other.spans = other.left = other.outer = None
    return other


def _begin(
    span: Span, found: SpanContext, here: Context | None, attached: ApiContext
) -> Observation:
    """Begin a unit of work for a span that was made current outside of any."""
    span_id = in_hex(found)[1]
    parent = getattr(span, "parent", None)
    if found.is_remote or parent is not None:
        unit, position = _continue(found, attached)
    else:
        unit, position = _root(found)
    if found.is_remote:
        unit.parent_span_id = span_id
    else:
        unit.root_span_id = span_id
        unit.parent_span_id = None if parent is None else in_hex(parent)[1]
    unit.tracestate = found.trace_state.to_header()
    step = Observation("")
    step.entry = True
    step.previous, step.previous_position = here, clock.current()
    fields = here.fields if here is not None and here.unit is context.PROCESS else {}
    step.context = Context(unit, span_id, unit.parent_span_id, fields)
    context.attach(step.context)
    clock.attach(position)
    return step


def _root(found: SpanContext) -> tuple[Unit, clock.Position]:
    trace_id, span_id = in_hex(found)
    unit = Unit(trace_id, "generated", trace_id, span_id, None, int(found.trace_flags) & 3)
    return unit, clock.begin(span_id)


def _continue(found: SpanContext, attached: ApiContext) -> tuple[Unit, clock.Position]:
    """Take over what came with the sender's span, as from a message that we had received."""
    headers = {"traceparent": w3c.format_traceparent(*in_hex(found), int(found.trace_flags))}
    text = baggage.as_header(attached)
    if text:
        headers["baggage"] = text
    entry = propagation.extract(headers, believed=True)
    return entry.unit, entry.position


def leave(step: Observation) -> None:
    """Go back to where we were before *step*."""
    here, previous = step.context, step.previous
    if here is not None and previous is not None and not step.entry:
        _bring_home(here.unit, previous.unit)
    observation.leave(step)


def _bring_home(unit: Unit, outer: Unit) -> None:
    """Count the calls of another trace for the unit of work that made them."""
    if unit is not outer:
        outer.call_count, outer.call_seconds = unit.call_count, unit.call_seconds
        outer.failed_calls = unit.failed_calls


def rename(here: Context, found: SpanContext, parent: Any) -> None:
    """Give *here*, which begins a unit of work, the ids of a span that stands for it."""
    unit, before = here.unit, here.unit.trace_id
    trace_id, span_id = in_hex(found)
    if unit.correlation_id == before and unit.parent_span_id is None:
        unit.correlation_id = trace_id
    unit.trace_id, unit.root_span_id, unit.wire = trace_id, span_id, None
    here.span_id = span_id
    here.parent_span_id = unit.parent_span_id = None if parent is None else in_hex(parent)[1]
    position = clock.current()
    if position is not None:
        strand, _, after = position
        hop = strand.hop
        cause = clock.Cause(hop.floor, after, hop.heard, hop.broken)
        clock.attach(clock.begin(span_id, cause, broken=hop.broken))
