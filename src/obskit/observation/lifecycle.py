"""Begin and end observations, and tell the observers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from obskit import clock, context, health, propagation
from obskit.context import Context, Unit
from obskit.observation.outcome import is_normal_end, judge, remember_call
from obskit.observation.record import EXITS, Kind, Observation

if TYPE_CHECKING:
    from obskit.typing import Carrier, Observer

_SERVER, _PRODUCER = Kind.SERVER, Kind.PRODUCER
_NOTHING: dict[str, str] = {}
_urandom = os.urandom
_attach, _position, _go_to = context.attach, clock.current, clock.attach

# Far more steps than one task can have open across each other.
MOST_LEFT = 32

Heard = tuple[tuple[str, Callable[[Observation], None]], ...]

_starts: Heard = ()
_ends: Heard = ()
# Of what is no request, and of what is no entry.
_other_starts: Heard = ()
_step_ends: Heard = ()
_suppressed: ContextVar[int] = ContextVar("obskit_suppressed", default=0)


def configure(observers: Iterable[tuple[str, Observer]]) -> None:
    """Make *observers*, each with a name for error reports, the ones that listen.

    They hear a start in this order and an end in the reverse one. Whoever says by
    ``hears_starts`` that a start is nothing to him is spared it, by ``hears_other_starts`` that
    of all but requests, by ``hears_steps`` the end of what is no entry.
    """
    global _starts, _ends, _other_starts, _step_ends
    chosen = list(observers)
    starting = [
        (name, observer) for name, observer in chosen if getattr(observer, "hears_starts", True)
    ]
    _starts = tuple((f"{name}.start", observer.start) for name, observer in starting)
    _other_starts = tuple(
        (f"{name}.start", observer.start)
        for name, observer in starting
        if getattr(observer, "hears_other_starts", True)
    )
    _ends = tuple((f"{name}.end", observer.end) for name, observer in reversed(chosen))
    _step_ends = tuple(
        (f"{name}.end", observer.end)
        for name, observer in reversed(chosen)
        if getattr(observer, "hears_steps", True)
    )


def start(observation: Observation) -> None:
    """Begin *observation*: find or make its context, attach it, tell the observers."""
    previous = observation.previous = context.get()
    entry = observation.entry
    if entry:
        source, believed = observation.source, observation.kind is not _SERVER
        try:
            unit, position, invalid = propagation.take(
                observation.carrier or _NOTHING, observation.peer, source, believed
            )
        except Exception as error:
            unit, position, invalid = _take_strangely(observation, error)
        if source == "given" and unit.correlation_source == "inherited":
            unit.correlation_source = source
        if invalid is not None:
            observation.invalid_id = invalid
        if unit.links:
            observation.links += unit.links
        unit.started_at_ns = observation.started_at_ns = time_ns()
        observation.previous_position = _position()
        here = observation.context = Context(unit, unit.root_span_id, unit.parent_span_id, {})
        _attach(here)
        _go_to(position)
    elif previous is None or previous.unit is context.PROCESS:
        _enter_alone(observation)
    else:
        here = observation.context = Context(
            previous.unit, _urandom(8).hex(), previous.span_id, previous.fields
        )
        if observation.kind in EXITS:
            here.exit = True
        _attach(here)
        observation.started_at_ns = time_ns()
    observation.started_ns = perf_counter_ns()
    for name, hear in _starts if observation.kind is _SERVER else _other_starts:
        try:
            hear(observation)
        except Exception as error:
            health.internal_error(name, error)
    if not entry and observation.carrier is not None and observation.kind in EXITS:
        # A broker is ours, wherever it stands.
        is_message = observation.kind is _PRODUCER
        inject(observation.carrier, None if is_message else observation.peer)


def _take_strangely(
    observation: Observation, error: Exception
) -> tuple[Unit, clock.Position, str | None]:
    """Return what a carrier of an unknown shape says, or as if there were none."""
    source, believed = observation.source, observation.kind is not _SERVER
    try:
        headers = propagation.readable(observation.carrier)
        return propagation.take(headers, observation.peer, source, believed)
    except Exception:
        health.internal_error("propagation.extract", error)
        here, position = propagation.enter(source=source)
        return here.unit, position, None


def _enter_alone(observation: Observation) -> None:
    """Begin an operation where nothing is under way: a script calls or observes something."""
    previous = observation.previous
    here, position = propagation.enter(source=observation.source)
    if previous is not None and previous.unit is context.PROCESS:
        here.fields = previous.fields
    here.exit = observation.kind in EXITS
    here.unit.started_at_ns = observation.started_at_ns = time_ns()
    observation.entry = True
    observation.previous_position = clock.current()
    observation.context = here
    _attach(here)
    _go_to(position)


def finish(observation: Observation, error: BaseException | None = None) -> None:
    """Judge *observation* and tell the observers; its context stays attached.

    Only the first call counts: a response that has ended is not judged anew by what its
    background work does later.
    """
    if observation.finished:
        return
    observation.finished = True
    observation.duration_ns = perf_counter_ns() - observation.started_ns
    if error is not None and not is_normal_end(error):
        observation.error = error
    status = observation.status
    if (
        (status is not None and status >= 400)
        or observation.error is not None
        or observation.client_gone
        or observation.rejected
    ):
        _judge(observation)
    elif observation.kind in EXITS:
        observation.outcome = "ok"
        _remember(observation)
    for name, hear in _ends if observation.entry else _step_ends:
        try:
            hear(observation)
        except Exception as fault:
            health.internal_error(name, fault)
    here = observation.context
    if here is not None and observation.entry:
        unit = here.unit
        unit.answered = True
        # The errors in there hold frames with all that these had at hand.
        unit.failed_calls = ()


def _remember(observation: Observation) -> None:
    try:
        remember_call(observation)
    except Exception as fault:
        health.internal_error("observation.judge", fault)


def _judge(observation: Observation) -> None:
    try:
        observation.outcome = judge(observation)
        if observation.kind in EXITS:
            remember_call(observation)
    except Exception as fault:
        observation.outcome = "ok" if observation.error is None else "server_error"
        health.internal_error("observation.judge", fault)


def leave(observation: Observation, *, keep: bool = False) -> None:
    """Detach the context of *observation*, if it is the one that is attached.

    An entry restores what was there before only if that is still running: a finished
    request's context must not come back into the next one. With *keep* (after an exception)
    the context stays, so that the server's own line about it has the ID; the next entry
    overwrites it. What was bound inside of a step stays bound after it.
    """
    here = observation.context
    if here is None:
        return
    attached = context.get()
    if observation.entry:
        below = observation.previous
        if (
            attached is here
            and not keep
            and (below is None or (below.unit.running and below.unit.left is None))
        ):
            here.unit.running = False
            _attach(below)
            _go_to(observation.previous_position)
        else:
            _leave_entry(observation, here.unit, attached, keep)
    elif attached is here or (attached is not None and attached.span_id == here.span_id):
        previous = observation.previous
        if previous is not None and previous.unit.left is None:
            # Nothing below was left meanwhile.
            same = previous.fields is attached.fields
            _attach(previous if same else context.with_fields(previous, attached.fields))
        else:
            _attach(_below(previous, attached.fields))
    elif attached is not None:
        _leave_covered(observation, here, attached)


def _leave_entry(
    observation: Observation, unit: Unit, attached: Context | None, keep: bool
) -> None:
    unit.running = False
    previous, position = _way_back(observation.previous, observation.previous_position)
    if keep or (attached is not None and attached.unit is not unit and _is_alive(attached)):
        unit.outer = None if previous is None else (previous, position)
    elif attached is None:
        clock.attach(None)
    else:
        context.attach(previous)
        clock.attach(position)


def _leave_covered(observation: Observation, here: Context, attached: Context) -> None:
    """Leave a step on which another context lies: one begun later, or a finished unit's."""
    unit, previous = here.unit, observation.previous
    if previous is None:
        return
    if attached.unit is unit or _is_alive(attached):
        _note_left(unit, here.span_id, previous)
        return
    outer = attached.unit.outer
    context.attach(_below(previous, here.fields))
    clock.attach(outer[1] if outer is not None and outer[0].unit is unit else None)


def _is_alive(attached: Context) -> bool:
    return attached.unit.running or attached.unit is context.PROCESS


def _note_left(unit: Unit, span_id: str, previous: Context) -> None:
    if previous.span_id == span_id:
        # A call that another library has made a span for already is that span.
        return
    if unit.left is None or len(unit.left) >= MOST_LEFT:
        unit.left = {}
    unit.left[span_id] = previous


def _below(target: Context | None, fields: dict[str, Any]) -> Context | None:
    """Return *target*, or what is below it if it was left already, with *fields* bound."""
    if target is None:
        return None
    left = target.unit.left
    if left:
        # Not until nothing is found: a span that is attached below itself makes a circle.
        for _ in range(len(left)):
            target = left.get(target.span_id, target)
    return target if target.fields is fields else context.with_fields(target, fields)


def _way_back(
    previous: Context | None, position: clock.Position | None
) -> tuple[Context | None, clock.Position | None]:
    """Return the nearest context that lies below and still runs, and its clock."""
    while previous is not None and not _is_alive(previous):
        if previous.unit.outer is None:
            return None, None
        previous, position = previous.unit.outer
    return _below(previous, previous.fields) if previous is not None else None, position


def end(observation: Observation, error: BaseException | None = None) -> None:
    """Finish and leave in one step."""
    finish(observation, error)
    leave(observation)


def inject(carrier: Carrier, peer: str | None = None) -> None:
    """Put the running operation's identity and clock into *carrier*.

    Use it where obskit does not know the transport. *carrier* takes header names and text,
    and loses what it held under these names; *peer* is the host that the message goes to:
    a foreign one gets the correlation ID and the traceparent only. Without *peer* it goes over
    a broker of yours, and carries when it was sent. Follows W3C Trace Context and Baggage.
    """
    try:
        found = propagation.headers(peer, dated=peer is None)
        if type(carrier) is dict:
            _drop_other_spellings(carrier, found)
        for name, value in found:
            carrier[name] = value
    except Exception as error:
        health.internal_error("propagation.inject", error)


def _drop_other_spellings(carrier: dict[Any, str], found: list[tuple[str, str]]) -> None:
    """Header names have no case, but the keys of a dict have: none is to be sent twice."""
    names = {name.lower(): name for name, _ in found}
    for key in [key for key in carrier if isinstance(key, str)]:
        if names.get(key.lower(), key) != key:
            del carrier[key]


def extract(carrier: object) -> Context:
    """Return the context that *carrier* begins or continues, and attach nothing.

    Use it to look at what a message says; `message_context` and `unit_of_work` continue it.
    *carrier* is a mapping of names to text or bytes, pairs of them, or a message that has
    ``headers``; what is not understood counts as absent.
    """
    unit = propagation.extract(propagation.readable(carrier), believed=True).unit
    return Context(unit, unit.root_span_id, unit.parent_span_id, {})


is_suppressed: Callable[[], int] = _suppressed.get
"""Tell whether this task has switched observing off, and how often."""


class suppress:  # noqa: N801 - reads as a verb, like contextlib.suppress
    """Observe nothing inside; for traffic that is no part of the service's work."""

    __slots__ = ()

    def __enter__(self) -> None:
        _suppressed.set(_suppressed.get() + 1)

    def __exit__(self, *_: object) -> None:
        # Not by token: a generator may be closed from another context than it began in.
        _suppressed.set(max(0, _suppressed.get() - 1))
