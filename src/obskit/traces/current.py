"""Keep OpenTelemetry's current span and the context of obskit in step, both ways.

Nothing is done when an observation begins. OpenTelemetry's runtime context is asked for the
current span, and answers with that of the observation that is current then; a span that is
made current through it becomes the place where lines are written and calls are made.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import wraps
from typing import Any

from opentelemetry import context as api
from opentelemetry.baggage import _BAGGAGE_KEY
from opentelemetry.context import Context
from opentelemetry.context.context import _RuntimeContext
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import Span
from opentelemetry.trace.propagation import _SPAN_KEY

from obskit import context, health, observation
from obskit.observation import Observation
from obskit.traces import baggage, places, spans
from obskit.traces.recorder import state


class Stamp:
    """What was attached: which place of ours it stands for, and what is to be done at its end."""

    __slots__ = ("below", "registered", "span_id", "step", "suppressed", "token", "unit")

    def __init__(self, token: object, below: Stamp | None) -> None:
        self.token = token
        self.below = below
        self.unit: context.Unit | None = None
        self.span_id = ""
        self.step: Observation | None = None
        self.registered = False
        self.suppressed = False


# What an observation adds to the context that others have attached.
_OURS = frozenset({_SPAN_KEY, _BAGGAGE_KEY})

_stamp: ContextVar[Stamp | None] = ContextVar("obskit_opentelemetry", default=None)


class RuntimeContext(_RuntimeContext):
    """OpenTelemetry's runtime context, which looks at ours before it answers."""

    def __init__(self, inner: _RuntimeContext) -> None:
        self.inner = inner
        # What was attached by others, in one call; in the ContextVar that it is kept in.
        kept: Any = getattr(inner, "_current_context", None)
        known = type(inner) is ContextVarsRuntimeContext and type(kept) is ContextVar
        self.attached: Callable[[], Context] = kept.get if known else inner.get_current

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def attach(self, context: Context) -> Token[Context]:
        token = self.inner.attach(context)
        if state.on:
            try:
                _follow(token, context)
            except Exception as error:
                health.internal_error("traces.attach", error)
        return token

    def get_current(self) -> Context:
        attached = self.attached()
        here = context.get()
        if here is None or not state.on or here.unit is context.PROCESS:
            return attached
        stamp = _stamp.get()
        if stamp is not None:
            unit = stamp.unit
            if unit is here.unit and stamp.span_id == here.span_id:
                return attached
            if unit is not None and unit is not here.unit and not unit.running:
                # Somebody did not detach it, and its request is over.
                attached = Context()
        try:
            return _with_span(attached, here)
        except Exception as error:
            health.internal_error("traces.current", error)
            return attached

    def detach(self, token: Token[Context]) -> None:
        # What it raises is the caller's to know: the token is from another task.
        self.inner.detach(token)
        stamp = _stamp.get()
        while stamp is not None and stamp.token is not token:
            stamp = stamp.below
        if stamp is None:
            return
        _stamp.set(stamp.below)
        try:
            _leave(stamp)
        except Exception as error:
            health.internal_error("traces.detach", error)


def _with_span(attached: Context, here: context.Context) -> Context:
    """Return *attached* with the span of *here* in it; made once while nothing changes."""
    live = spans.span_of(here)
    if live.attached is not attached or live.context is None:
        values: dict[str, Any] = {**attached, _SPAN_KEY: live.span}
        stamp = _stamp.get()
        inside = stamp is not None and stamp.unit is here.unit
        baggage.add(values, here.unit, inside=inside)
        live.attached, live.context = attached, Context(values)
    return live.context


def _follow(token: object, attached: Context) -> None:
    """Go where the span of *attached* is, and note how to come back."""
    stamp = Stamp(token, _stamp.get())
    here = context.get()
    span = attached.get(_SPAN_KEY)
    if isinstance(span, Span):
        live = spans.known(here)
        if live is None or live.span is not span:
            stamp.step = places.enter(span, here, attached)
            if stamp.step is not None:
                here = stamp.step.context
                assert here is not None
                stamp.registered = spans.register(here, span)
    if here is not None:
        stamp.unit, stamp.span_id = here.unit, here.span_id
    if attached.get(api._SUPPRESS_INSTRUMENTATION_KEY):
        observation.suppress().__enter__()
        stamp.suppressed = True
    _stamp.set(stamp)


def _leave(stamp: Stamp) -> None:
    if stamp.suppressed:
        observation.suppress().__exit__()
    step = stamp.step
    if step is None or step.context is None:
        return
    if stamp.registered:
        spans.forget(step.context)
    places.leave(step)


def install() -> None:
    """Put our runtime context around OpenTelemetry's."""
    inner = api._RUNTIME_CONTEXT
    if not isinstance(inner, RuntimeContext):
        api._RUNTIME_CONTEXT = RuntimeContext(inner)
    if not hasattr(api.get_value, "__wrapped__"):
        api.get_value = _getting(api.get_value)


def _getting(previous: Any) -> Any:
    """Return a ``get_value`` that makes no span for whoever asks for something else.

    FastAPI asks several times in each request for a value of its own.
    """

    @wraps(previous)
    def get_value(key: str, context: Context | None = None) -> object:
        if context is None and key not in _OURS and _stamp.get() is None:
            runtime = api._RUNTIME_CONTEXT
            if type(runtime) is RuntimeContext:
                return runtime.attached().get(key)
        return previous(key, context)

    return get_value


def attached() -> Context:
    """Return what was attached by others, without the span of an observation."""
    runtime = api._RUNTIME_CONTEXT
    return runtime.attached() if type(runtime) is RuntimeContext else runtime.get_current()


def is_inside(unit: context.Unit) -> bool:
    """Tell whether what is attached was attached in *unit*."""
    stamp = _stamp.get()
    return stamp is not None and stamp.unit is unit
