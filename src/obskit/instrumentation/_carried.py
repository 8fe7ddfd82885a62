"""Work that is done elsewhere (a thread, a process) for the operation that asked for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obskit import clock, context
from obskit.context import Context, Unit


class Carried:
    """A function that runs in another thread as if it were called where this was made."""

    __slots__ = ("_context", "_function", "_position")

    def __init__(self, function: Callable[..., Any], here: Context | None) -> None:
        self._function = function
        self._context = here
        self._position = clock.current()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before, position = context.get(), clock.current()
        context.attach(self._context)
        clock.attach(self._position)
        try:
            return self._function(*args, **kwargs)
        finally:
            context.attach(before)
            clock.attach(position)


# What a unit of work is known by in every process, in the order of the arguments of Unit.
_PLAIN = (
    "correlation_id",
    "correlation_source",
    "trace_id",
    "root_span_id",
)
_NAMED = (
    "parent_span_id",
    "causation_id",
    "flags",
    "hop",
    "caller",
    "synthetic",
    "baggage",
    "tracestate",
    "client_correlation_id",
    "links",
    "trusted",
    "debug",
)


class Sent:
    """A function that runs in another process as a step of the operation that sent it.

    It is pickled with the function; the operation's identity and clock are plain values.
    """

    __slots__ = ("_born_ms", "_cause", "_fields", "_function", "_named", "_plain", "_spans")

    def __init__(self, function: Callable[..., Any], here: Context) -> None:
        self._function = function
        self._plain = tuple(getattr(here.unit, name) for name in _PLAIN)
        self._named = {name: getattr(here.unit, name) for name in _NAMED}
        self._spans = (here.span_id, here.parent_span_id)
        # What is bound may be anything; what is not plain could not be pickled.
        self._fields = {
            name: value
            for name, value in here.fields.items()
            if isinstance(value, (str, int, float, bool)) or value is None
        }
        self._cause = clock.header()
        self._born_ms = here.unit.born_ms or here.unit.started_at_ns // 1_000_000

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before, position = context.get(), clock.current()
        unit = Unit.of(*self._plain, **self._named)
        unit.born_ms = self._born_ms
        if unit.debug:
            context.set_debug(unit)
        context.attach(Context(unit, *self._spans, self._fields))
        cause = clock.parse(self._cause) if self._cause else None
        clock.attach(clock.begin(context.new_span_id(), cause, broken=cause is None))
        try:
            return self._function(*args, **kwargs)
        finally:
            context.attach(before)
            clock.attach(position)
