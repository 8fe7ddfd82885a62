"""Hold the one record that says which operation this task works for.

One ContextVar holds one `Context`. What is the same for a whole unit of work (a request, a
message, a job) stands in its `Unit`, together with the bag that everything deep inside can
write to; what changes on the way down (span, bound fields) stands in the `Context`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

SAMPLED = 1
RANDOM = 2
# B3's debug: recorded whatever any sampler says, in all services behind this one too.
DEBUG = 4
# Not sampled by our own ratio, and nobody has asked for that: an error may be kept all the same,
OURS = 8
# and one was: what ends after it is kept, too. None of these three travels in a traceparent.
KEPT = 16


class FailedCall:
    """Remember an outgoing call that failed."""

    __slots__ = ("error", "library", "outcome", "peer", "status")

    def __init__(
        self,
        peer: str,
        outcome: str,
        status: int | None,
        error: BaseException | None,
        library: str,
    ) -> None:
        self.peer = peer
        self.outcome = outcome
        self.status = status
        self.error = error
        self.library = library


class Unit:
    """One unit of work in this process: where its identity came from, and its bag.

    What most of them have in common stands on the class: one is made for each request.
    """

    causation_id: str | None = None
    hop = 1
    caller: str | None = None
    synthetic: str | None = None
    baggage = ""
    tracestate = ""
    client_correlation_id: str | None = None
    links: tuple[tuple[str, str], ...] = ()
    trusted = True
    # All that names it was made here, or has been found to be letters, digits and little else.
    harmless = False
    running = True
    # The response is out, or what was to be done is done; background work may go on.
    answered = False
    call_count = 0
    call_seconds = 0.0
    # The outgoing calls that failed and did not recover, the last one first.
    failed_calls: tuple[FailedCall, ...] = ()
    # How many messages were sent where, and the IDs under which callees answered that are not ours.
    sent_to: dict[str, int] | None = None
    answered_as: tuple[str, ...] = ()
    wire: object = None
    # When this unit began, when the operation did (another service said so; 0 if not), and
    # when the message that is worked on was sent.
    started_at_ns = 0
    born_ms = 0
    sent_ms = 0
    # Somebody whom we believe has asked for its lines below the level, in all services.
    debug = False
    # Lines below the level, kept by the logs room.
    held: Any = None
    # Fingerprints of the errors that were counted in here.
    errors: tuple[str, ...] = ()
    # The spans that are open in here, by ID, made and kept by the traces room.
    spans: dict[str, Any] | None = None
    # The spans that were left while others were attached, and what lay below each.
    left: dict[str, Context] | None = None
    # Where to go back to, if this unit was over before its context was detached.
    outer: tuple[Context, Any] | None = None

    def __init__(
        self,
        correlation_id: str,
        correlation_source: str,
        trace_id: str,
        span_id: str,
        parent_span_id: str | None,
        flags: int,
    ) -> None:
        self.correlation_id = correlation_id
        self.correlation_source = correlation_source
        self.trace_id = trace_id
        self.root_span_id = span_id
        self.parent_span_id = parent_span_id
        self.flags = flags
        self.fields: dict[str, Any] = {}

    @classmethod
    def of(
        cls,
        correlation_id: str,
        correlation_source: str,
        trace_id: str,
        span_id: str,
        parent_span_id: str | None = None,
        flags: int = SAMPLED | RANDOM,
        **facts: Any,
    ) -> Unit:
        """Return a unit of which *facts* differ from what most have in common."""
        unit = cls(correlation_id, correlation_source, trace_id, span_id, parent_span_id, flags)
        for name, value in facts.items():
            setattr(unit, name, value)
        return unit

    @property
    def sampled(self) -> bool:
        """Tell whether the spans of this operation are to be kept."""
        return bool(self.flags & SAMPLED)

    @property
    def failed_call(self) -> FailedCall | None:
        """The outgoing call that failed last and did not recover."""
        return self.failed_calls[0] if self.failed_calls else None


class Context:
    """Say where in an operation this task stands; never changed once attached."""

    # Whether it is that of an outgoing call or message.
    exit = False
    # The constant part of a log line, made and kept here by the logs room.
    rendered: Any = None

    def __init__(
        self, unit: Unit, span_id: str, parent_span_id: str | None, fields: dict[str, Any]
    ) -> None:
        self.unit = unit
        self.span_id = span_id
        self.parent_span_id = parent_span_id
        self.fields = fields

    @property
    def correlation_id(self) -> str | None:
        """The ID of the whole operation, across services."""
        return self.unit.correlation_id or None

    @property
    def correlation_source(self) -> str:
        """Where the correlation ID came from (``inherited``, ``generated``, ...)."""
        return self.unit.correlation_source

    @property
    def causation_id(self) -> str | None:
        """The span ID of the unit of work that caused this one."""
        return self.unit.causation_id

    @property
    def trace_id(self) -> str:
        """The W3C trace ID."""
        return self.unit.trace_id

    @property
    def sampled(self) -> bool:
        """Whether the spans of this operation are to be kept."""
        return self.unit.sampled

    @property
    def hop(self) -> int:
        """How many services the operation has gone through, this one included."""
        return self.unit.hop

    @property
    def caller(self) -> str | None:
        """The service that called, as it named itself."""
        return self.unit.caller

    @property
    def synthetic(self) -> str | None:
        """The name of the probe, where the operation is a synthetic transaction."""
        return self.unit.synthetic

    @property
    def baggage(self) -> str:
        """The W3C baggage of others, as it came and as it travels on."""
        return self.unit.baggage

    def __repr__(self) -> str:
        return (
            f"<Context correlation_id={self.correlation_id} trace_id={self.trace_id}"
            f" span_id={self.span_id} hop={self.hop}>"
        )


_current: ContextVar[Context | None] = ContextVar("obskit", default=None)

get = _current.get
attach = _current.set

# Stands for "no unit of work": what is bound at start-up belongs to the process.
PROCESS = Unit("", "process", "", "", None, SAMPLED | RANDOM)
PROCESS.running = False


def current() -> Context | None:
    """Return the context of the running unit of work, or None outside of one."""
    context = _current.get()
    return None if context is None or context.unit is PROCESS else context


def correlation_id() -> str | None:
    """Return the correlation ID of the running operation, or None outside of one."""
    context = _current.get()
    return None if context is None else context.unit.correlation_id or None


def is_synthetic() -> bool:
    """Tell whether the running operation is a synthetic transaction.

    Use it where code must not have its effect for a probe (ship goods, charge a card).
    """
    context = _current.get()
    return context is not None and context.unit.synthetic is not None


on_debug: Callable[[], None] | None = None
"""Is called when a unit of work is to write its lines below the level; set by the log."""


def debug_operation() -> None:
    """Let the running operation write its lines below the level too, as DEBUG, from now on.

    Use it at the edge, where your own code can tell that one operation is to be looked at: for
    a customer who has called, say. The services that it calls from now on do so too. It is
    never believed from outside.
    """
    context = _current.get()
    if context is not None and context.unit is not PROCESS:
        # What is sent of it has to be made anew.
        context.unit.wire = None
        set_debug(context.unit)


def set_debug(unit: Unit) -> None:
    """Let *unit* write its lines below the level."""
    unit.debug = True
    if on_debug is not None:
        on_debug()


def child(parent: Context, *, exit: bool = False) -> Context:
    """Return a context for a span below *parent*; it is not attached."""
    here = Context(parent.unit, new_span_id(), parent.span_id, parent.fields)
    if exit:
        here.exit = True
    return here


def bind(**fields: Any) -> None:
    """Put *fields* on all further lines of this task and on the summary line of the unit.

    Use it for what identifies the case at hand (an order number, a customer). Fields that
    are bound deep inside (a thread, a sync endpoint) reach the summary line too. Outside
    of a unit of work they are put on the lines of the process that this task writes.
    """
    context = _current.get()
    if context is None:
        context = Context(PROCESS, "", None, {})
    if context.unit is not PROCESS:
        context.unit.fields.update(fields)
    _current.set(with_fields(context, {**context.fields, **fields}))


def unbind(*names: str) -> None:
    """Take fields bound by bind() off the further lines of this task."""
    context = _current.get()
    if context is None:
        return
    fields = {name: value for name, value in context.fields.items() if name not in names}
    _current.set(with_fields(context, fields))


def with_fields(context: Context, fields: dict[str, Any]) -> Context:
    """Return *context* with *fields* in place of its own; it is not attached."""
    here = Context(context.unit, context.span_id, context.parent_span_id, fields)
    if context.exit:
        here.exit = True
    return here


def new_trace_id() -> str:
    """Return 32 lower-case hexadecimal digits from the operating system's generator.

    ``random`` would repeat them wherever an application seeds it.
    """
    return os.urandom(16).hex()


def new_span_id() -> str:
    """Return 16 lower-case hexadecimal digits from the operating system's generator."""
    return os.urandom(8).hex()
