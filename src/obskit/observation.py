"""Observe units of work: start and end them, tell the observers, judge the outcome."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from enum import Enum
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import Any, Literal, TypeVar

from obskit import clock, context, health, propagation
from obskit.context import Context, FailedCall
from obskit.typing import Carrier, Observer

F = TypeVar("F", bound=Callable[..., Any])

Outcome = Literal[
    "ok", "client_error", "rejected", "timeout", "dependency", "server_error", "client_gone"
]
OUTCOMES: tuple[str, ...] = (
    "ok",
    "client_gone",
    "rejected",
    "timeout",
    "dependency",
    "server_error",
    "client_error",
)
FAILURES = frozenset({"timeout", "dependency", "server_error"})


class Kind(Enum):
    """The side of a call or message that is observed (OpenTelemetry's span kinds)."""

    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"
    INTERNAL = "internal"


ENTRIES = frozenset({Kind.SERVER, Kind.CONSUMER})
EXITS = frozenset({Kind.CLIENT, Kind.PRODUCER})


class Observation:
    """One unit of work, or one step of it, as the observers see it.

    *labels* have few values each and may become labels of metrics; *attributes* may have
    any value and never do. *protocol* (``http``, ``messaging``, ``task``, ``db``, ``rpc`` or
    nothing) chooses the metrics. *library* names the module root that the work was seen in.
    """

    __slots__ = (
        "attributes",
        "carrier",
        "client_gone",
        "context",
        "duration_ns",
        "entry",
        "error",
        "finished",
        "invalid_id",
        "kind",
        "labels",
        "library",
        "links",
        "name",
        "notes",
        "outcome",
        "peer",
        "previous",
        "previous_position",
        "protocol",
        "quiet",
        "rejected",
        "source",
        "started_at_ns",
        "started_ns",
        "status",
    )

    def __init__(
        self,
        name: str,
        kind: Kind = Kind.INTERNAL,
        *,
        protocol: str = "",
        labels: dict[str, str] | None = None,
        attributes: dict[str, Any] | None = None,
        carrier: Any = None,
        peer: str | None = None,
        library: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.protocol = protocol
        self.labels = {} if labels is None else labels
        self.attributes = {} if attributes is None else attributes
        self.carrier = carrier
        # Entries: the sender's address. Exits: the host that is called, with port if unusual.
        self.peer = peer
        self.library = library
        self.status: int | None = None
        self.error: BaseException | None = None
        self.outcome = "ok"
        self.client_gone = False
        self.rejected = False
        # Successful health checks and scrapes: neither summary line nor span.
        self.quiet = False
        self.entry = kind in ENTRIES
        self.source = "generated"
        self.invalid_id: str | None = None
        self.links: tuple[tuple[str, str], ...] = ()
        self.context: Context | None = None
        self.previous: Context | None = None
        self.previous_position: clock.Position | None = None
        self.started_ns = 0
        self.started_at_ns = 0
        self.duration_ns = 0
        self.finished = False
        # What observers keep for themselves between start and end.
        self.notes: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<Observation {self.kind.value} {self.name!r} outcome={self.outcome}>"


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
        _remember_call(observation)
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


def judge(observation: Observation) -> str:
    """Return the outcome of *observation*: whose fault it is. The first match wins."""
    status, error = observation.status, observation.error
    if observation.client_gone or isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return "client_gone"
    if status == 429 or observation.rejected:
        return "rejected"
    if observation.kind in EXITS:
        return _judge_exit(status, error)
    here = observation.context
    failed = here.unit.failed_call if here is not None and observation.entry else None
    if failed is not None and error is not None and _is_behind(failed, error):
        return "dependency"
    if status == 504 or isinstance(error, TimeoutError):
        return "timeout"
    if failed is not None and error is None and status is not None and status >= 500:
        return "dependency"
    if error is not None or (status is not None and status >= 500):
        return "server_error"
    return "client_error" if status is not None and status >= 400 else "ok"


def _judge_exit(status: int | None, error: BaseException | None) -> str:
    if status == 504 or (error is not None and is_timeout(error)):
        return "timeout"
    if error is not None:
        return "dependency"
    if status is None or status < 400:
        return "ok"
    return "server_error" if status >= 500 else "client_error"


def is_timeout(error: BaseException) -> bool:
    """Tell whether *error* says that time was up, in any library's words."""
    return isinstance(error, TimeoutError) or any(
        "Timeout" in kind.__name__ for kind in type(error).__mro__
    )


def _is_behind(failed: FailedCall, error: BaseException) -> bool:
    """Tell whether *error* comes from the *failed* call: its error, or its library's word."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        item = pending.pop()
        if item is None or id(item) in seen or len(seen) > 50:
            continue
        seen.add(id(item))
        if item is failed.error:
            return True
        if failed.library and type(item).__module__.partition(".")[0] == failed.library:
            return True
        pending += (item.__cause__, item.__context__)
        if isinstance(item, BaseExceptionGroup):
            pending += item.exceptions
    return False


def _remember_call(observation: Observation) -> None:
    here = observation.context
    if here is None or observation.kind not in EXITS:
        return
    unit, peer = here.unit, observation.peer or ""
    unit.call_count += 1
    unit.call_seconds += observation.duration_ns / 1e9
    if observation.outcome in FAILURES:
        unit.failed_call = FailedCall(
            peer,
            observation.outcome,
            observation.status,
            observation.error,
            observation.library,
        )
    elif unit.failed_call is not None and unit.failed_call.peer == peer:
        unit.failed_call = None


def dependency(observation: Observation) -> str:
    """Return the peer that is to blame, where the outcome is ``dependency``."""
    here = observation.context
    if observation.outcome != "dependency" or here is None:
        return ""
    if observation.kind in EXITS:
        return observation.peer or ""
    failed = here.unit.failed_call
    return failed.peer if failed is not None else ""


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


class observe:  # noqa: N801 - reads as a verb
    """Observe a piece of your own code: a span, its duration, its error.

    Use it as a decorator (plain, async and generator functions) or as a context manager
    (plain and async) around what deserves a name of its own.

    Args:
        name: What is done, in words without IDs: ``"charge card"``.
        attributes: Facts about this one time; they never become labels of metrics.
    """

    def __init__(self, name: str, **attributes: Any) -> None:
        self.name = name
        self.attributes = attributes
        self._stack: list[Observation] = []

    def _new(self) -> Observation:
        return Observation(self.name, attributes=dict(self.attributes))

    def __enter__(self) -> Observation:
        observation = self._new()
        start(observation)
        self._stack.append(observation)
        return observation

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        end(self._stack.pop(), error)

    async def __aenter__(self) -> Observation:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        return decorate(function, self._new)


def decorate(function: F, new: Callable[[], Observation]) -> F:
    """Return *function* with each call observed by what *new* makes."""
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(
            "a generator cannot be decorated, since it is suspended between its steps:"
            " use the context manager inside it"
        )
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            observation = new()
            start(observation)
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                end(observation, error)
                raise
            end(observation)
            return result

        return run_async  # type: ignore[return-value]

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        observation = new()
        start(observation)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            end(observation, error)
            raise
        end(observation)
        return result

    return run  # type: ignore[return-value]


class unit_of_work(observe):  # noqa: N801 - reads as a noun in `with`
    """Begin an operation that no request began: a cron job, a script, a consumer of your own.

    Use it as a context manager or as a decorator. The operation gets a new correlation ID
    unless one is given, or taken from *carrier*.

    Args:
        name: What is done, in words without IDs: ``"nightly billing"``.
        correlation_id: The ID to use; 1 to 128 characters of ``A-Za-z0-9._:~+/=@-``. An
            unfit one is replaced and counted.
        carrier: Headers of the message that is worked on, to continue its operation.
        attributes: Facts about this one time.
    """

    def __init__(
        self,
        name: str,
        correlation_id: str | None = None,
        *,
        carrier: Mapping[str, str] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(name, **attributes)
        self._carrier = {str(k).lower(): str(v) for k, v in (carrier or {}).items()}
        if correlation_id is not None:
            self._carrier[propagation.policy().correlation_header.lower()] = str(correlation_id)

    def _new(self) -> Observation:
        observation = Observation(
            self.name,
            protocol="task",
            attributes=dict(self.attributes),
            labels={"task_name": self.name},
            carrier=dict(self._carrier),
        )
        observation.entry = True
        return observation


