"""Know the spans that are open, by the contexts that they belong to."""

from __future__ import annotations

from opentelemetry.context import Context as ApiContext
from opentelemetry.trace import Span, SpanContext, SpanKind, TraceFlags, TraceState

from obskit import context
from obskit.context import Unit
from obskit.observation import Observation
from obskit.pattern import Pattern
from obskit.traces import finished, naming
from obskit.traces.live import UnitSpan

# What OpenTelemetry understands of a list whose grammar has been widened since.
_MEMBER = Pattern(
    r"([a-z][_0-9a-z*/-]{0,255}|[a-z0-9][_0-9a-z*/-]{0,240}@[a-z][_0-9a-z*/-]{0,13})=([ -~]{1,256})"
)


FLAGS = tuple(TraceFlags(flags) for flags in range(4))


class Live:
    """An open span that somebody else ends; *context* is what OpenTelemetry sees of it."""

    __slots__ = ("attached", "context", "span")

    ours = False

    def __init__(self, span: Span) -> None:
        self.span = span
        self.attached: ApiContext | None = None
        self.context: ApiContext | None = None

    def end(self, observation: Observation) -> None:
        """Add what we know to a span that another library has made for the same work."""
        if self.span.is_recording():
            self.span.set_attribute("obskit.outcome", observation.outcome)


class Light(Live):
    """The span of an observation that nobody has a provider for."""

    __slots__ = ()

    ours = True

    def end(self, observation: Observation) -> None:
        """End the span with its observation."""
        if isinstance(self.span, UnitSpan):
            self.span.close(observation)


def span_of(here: context.Context) -> Live:
    """Return the span of *here*, made now if nobody has asked for it before."""
    unit = here.unit
    spans = unit.spans
    if spans is None:
        spans = unit.spans = {}
    live: Live | None = spans.get(here.span_id)
    if live is None:
        live = spans[here.span_id] = Light(_unit_span(here))
    return live


def _unit_span(here: context.Context) -> UnitSpan:
    unit = here.unit
    return UnitSpan(
        span_context(unit, here.span_id),
        "",
        SpanKind.SERVER if here.span_id == unit.root_span_id else SpanKind.INTERNAL,
        here.parent_span_id,
        naming.SCOPE,
        recording=unit.sampled and unit.running and finished.is_listening(),
        started_at_ns=1,
    )


def span_context(
    unit: Unit, span_id: str, *, remote: bool = False, state: TraceState | None = None
) -> SpanContext:
    """Return OpenTelemetry's name for the span *span_id* of *unit*."""
    if state is None and unit.tracestate:
        state = trace_state(unit.tracestate)
    flags = FLAGS[unit.flags & 3]
    return SpanContext(int(unit.trace_id, 16), int(span_id, 16), remote, flags, state)


def trace_state(text: str) -> TraceState | None:
    """Return *text* as OpenTelemetry's type, without the members that it would warn of."""
    pairs = [_MEMBER.fullmatch(member) for member in text.split(",")]
    return TraceState([(pair[1], pair[2]) for pair in pairs if pair is not None]) or None


def known(here: context.Context | None) -> Live | None:
    """Return the span of *here* if it was made already."""
    if here is None or here.unit.spans is None:
        return None
    live: Live | None = here.unit.spans.get(here.span_id)
    return live


def register(here: context.Context, span: Span) -> bool:
    """Note that others have made *span* for *here*, unless one is known."""
    if known(here) is not None:
        return False
    register_as(here, Live(span))
    return True


def register_as(here: context.Context, live: Live) -> None:
    """Note that *live* is the span of *here*."""
    if here.unit.spans is None:
        here.unit.spans = {}
    here.unit.spans[here.span_id] = live


def forget(here: context.Context) -> None:
    """Forget the span of *here*."""
    if here.unit.spans is not None:
        here.unit.spans.pop(here.span_id, None)
