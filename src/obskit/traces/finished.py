"""Hold spans that are over, ready to be encoded, and hand them to those who listen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from obskit import health
from obskit.context import DEBUG
from obskit.observation import Observation
from obskit.record import Record
from obskit.traces import naming

MOST_KEPT = 10_000


class Event(Record):
    """Something that happened at one moment of a span."""

    name: str
    at_ns: int
    attributes: dict[str, Any]


class Link(Record):
    """Another span that this one has to do with, in whatever trace."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


class Span:
    """One span that is over; times are nanoseconds since 1970, ids lower-case hexadecimal.

    *status* is ``unset``, ``ok`` or ``error``, with *description* where somebody gave one.
    *peer* is the host that was called, *scope* names who made the span, *synthetic* the probe
    that began the operation. What most spans have in common stands on the class.
    """

    events: Sequence[Event] = ()
    links: Sequence[Link] = ()
    status = "unset"
    description = ""
    debug = False
    peer: str | None = None
    scope = naming.SCOPE
    synthetic: str | None = None

    def __init__(
        self,
        name: str,
        kind: str,
        trace_id: str,
        span_id: str,
        parent_id: str | None,
        started_at_ns: int,
        duration_ns: int,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.started_at_ns = started_at_ns
        self.duration_ns = duration_ns
        self.attributes: dict[str, Any] = {} if attributes is None else attributes

    def __repr__(self) -> str:
        return f"<Span {self.kind} {self.name!r} {self.trace_id}/{self.span_id} {self.status}>"


Take = Callable[[Span], None]

# Whoever wants spans; if nobody does, none is made.
listeners: tuple[Take, ...] = ()


def listen(take: Take, *, first: bool = False) -> None:
    """Call *take* with each span of obskit's own recorder that ends; it must not block.

    It is called after those that listen already, or *first*.

    Where the application has a tracer provider of its own, spans go there and not here.
    """
    global listeners
    if take not in listeners:
        listeners = (take, *listeners) if first else (*listeners, take)


def unlisten(take: Take) -> None:
    """Do not call *take* any more."""
    global listeners
    listeners = tuple(one for one in listeners if one != take)


def forget_listeners() -> None:
    """Hand over nothing to nobody."""
    global listeners
    listeners = ()


def is_listening() -> bool:
    """Tell whether anybody wants spans: if not, none is made."""
    return bool(listeners)


def hand_over(span: Span) -> None:
    """Give *span* to all who listen; what one of them raises is counted as a loss."""
    for take in listeners:
        try:
            take(span)
        except Exception as error:
            health.internal_error("traces.listener", error)
            health.lose("spans", "listener")


@contextmanager
def collected(most: int = MOST_KEPT) -> Iterator[deque[Span]]:
    """Collect the spans that end inside the block, the last *most* of them; for tests."""
    spans: deque[Span] = deque(maxlen=most)
    listen(spans.append)
    try:
        yield spans
    finally:
        unlisten(spans.append)


def of(observation: Observation) -> Span | None:
    """Return the span of an *observation* that has ended."""
    here = observation.context
    if here is None:
        return None
    unit = here.unit
    span = Span(
        observation.name,
        observation.kind.value,
        unit.trace_id,
        here.span_id,
        here.parent_span_id,
        observation.started_at_ns,
        observation.duration_ns,
        naming.whole(observation),
    )
    if observation.peer is not None:
        span.peer = naming.peer(observation)
    if unit.flags & DEBUG:
        span.debug = True
    if unit.synthetic is not None:
        span.synthetic = unit.synthetic
    if observation.links:
        span.links = [Link(*ids, {}) for ids in observation.links]
    if naming.is_error(observation):
        span.status = "error"
        span.description = naming.description(observation)
    return span
