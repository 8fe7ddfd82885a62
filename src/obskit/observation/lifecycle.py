"""Begin and end observations, and tell the observers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from time import perf_counter_ns, time_ns

from obskit import clock, context, health, propagation
from obskit.context import Context
from obskit.observation.outcome import judge, remember_call
from obskit.observation.record import EXITS, Observation
from obskit.typing import Carrier, Observer

_starts: tuple[tuple[str, Callable[[Observation], None]], ...] = ()
_ends: tuple[tuple[str, Callable[[Observation], None]], ...] = ()
_suppressed: ContextVar[bool] = ContextVar("obskit_suppressed", default=False)


def configure(observers: Iterable[tuple[str, Observer]]) -> None:
    """Make *observers*, each with a name for error reports, the ones that listen.

    They hear a start in this order and an end in the reverse one.
    """
    global _starts, _ends
    chosen = list(observers)
    _starts = tuple((f"{name}.start", observer.start) for name, observer in chosen)
    _ends = tuple((f"{name}.end", observer.end) for name, observer in reversed(chosen))


def start(observation: Observation) -> None:
    """Begin *observation*: find or make its context, attach it, tell the observers."""
    previous = context.get()
    observation.previous = previous
    if observation.entry:
        _enter(observation)
    elif previous is None or previous.unit is context.PROCESS:
        _enter_alone(observation)
    else:
        here = context.child(previous, exit=observation.kind in EXITS)
        observation.context = here
        context.attach(here)
    observation.started_at_ns = time_ns()
    observation.started_ns = perf_counter_ns()
    for name, hear in _starts:
        try:
            hear(observation)
        except Exception as error:
            health.internal_error(name, error)
    if observation.carrier is not None and observation.kind in EXITS:
        inject(observation.carrier, observation.peer)


def _enter(observation: Observation) -> None:
    carrier = observation.carrier
    entry = propagation.extract(
        carrier if carrier is not None else {}, observation.peer, source=observation.source
    )
    observation.invalid_id = entry.invalid
    unit = entry.unit
    observation.links += unit.links
    _attach_entry(
        observation,
        Context(unit, unit.root_span_id, unit.parent_span_id, {}),
        entry.position,
    )


def _enter_alone(observation: Observation) -> None:
    """Begin an operation where nothing is under way: a script calls or observes something."""
    previous = observation.previous
    here, position = propagation.enter(source=observation.source)
    if previous is not None:
        here.fields = previous.fields
    here.exit = observation.kind in EXITS
    observation.entry = True
    _attach_entry(observation, here, position)


def _attach_entry(observation: Observation, here: Context, position: clock.Position) -> None:
    observation.previous_position = clock.current()
    observation.context = here
    context.attach(here)
    clock.attach(position)


def finish(observation: Observation, error: BaseException | None = None) -> None:
    """Judge *observation* and tell the observers; its context stays attached.

    Only the first call counts: a response that has ended is not judged anew by what its
    background work does later.
    """
    if observation.finished:
        return
    observation.finished = True
    observation.duration_ns = perf_counter_ns() - observation.started_ns
    if error is not None:
        observation.error = error
    try:
        observation.outcome = judge(observation)
        remember_call(observation)
    except Exception as fault:
        health.internal_error("observation.judge", fault)
    for name, hear in _ends:
        try:
            hear(observation)
        except Exception as fault:
            health.internal_error(name, fault)


def leave(observation: Observation, *, keep: bool = False) -> None:
    """Detach the context of *observation*.

    An entry restores what was there before only if that is still running: a finished
    request's context must not come back into the next one. With *keep* (after an exception)
    the context stays, so that the server's own line about it has the ID; the next entry
    overwrites it.
    """
    here, previous = observation.context, observation.previous
    if here is None:
        return
    if not observation.entry:
        if context.get() is not None and context.get().unit is here.unit:  # type: ignore[union-attr]
            context.attach(previous)
        return
    here.unit.running = False
    if keep:
        return
    if previous is not None and (previous.unit.running or previous.unit is context.PROCESS):
        context.attach(previous)
        clock.attach(observation.previous_position)
    else:
        context.attach(None)
        clock.attach(None)


def end(observation: Observation, error: BaseException | None = None) -> None:
    """Finish and leave in one step."""
    finish(observation, error)
    leave(observation)


def inject(carrier: Carrier, peer: str | None = None) -> None:
    """Put the running operation's identity and clock into *carrier*.

    Use it where obskit does not know the transport. *carrier* takes header names and text;
    *peer* is the host that the message goes to: a foreign one gets the correlation ID and
    the traceparent only. Follows W3C Trace Context and Baggage.
    """
    try:
        for name, value in propagation.headers(peer):
            carrier[name] = value
    except Exception as error:
        health.internal_error("propagation.inject", error)


def extract(carrier: Mapping[str, str]) -> Context:
    """Return the context that *carrier* begins or continues, and attach nothing.

    Use it to look at what a message says; `unit_of_work` continues it.
    """
    headers = {str(name).lower(): str(value) for name, value in carrier.items()}
    unit = propagation.extract(headers).unit
    return Context(unit, unit.root_span_id, unit.parent_span_id, {})


def is_suppressed() -> bool:
    """Tell whether this task has switched observing off."""
    return _suppressed.get()


class suppress:  # noqa: N801 - reads as a verb, like contextlib.suppress
    """Observe nothing inside; for traffic that is no part of the service's work."""

    def __enter__(self) -> None:
        self._token = _suppressed.set(True)

    def __exit__(self, *_: object) -> None:
        try:
            _suppressed.reset(self._token)
        except ValueError:  # a generator was closed from another context
            _suppressed.set(False)
