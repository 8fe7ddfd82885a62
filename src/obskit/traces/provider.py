"""Start and end the spans of observations through the application's own tracer provider."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context as ApiContext
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation import _SPAN_KEY

from obskit.context import SAMPLED, Context
from obskit.fields import VERSION
from obskit.observation import Kind, Observation
from obskit.traces import baggage, current, naming, places, spans
from obskit.traces.ids import Ids
from obskit.traces.live import in_hex
from obskit.traces.spans import Live

KINDS = {kind: SpanKind[kind.name] for kind in Kind}
_THEIR_CALLS = "opentelemetry.instrumentation."

_known: tuple[Any, Any] = (None, None)


class Ours(Live):
    """The span of an observation in the application's provider."""

    __slots__ = ("attributes", "name", "tracer")

    ours = True

    def __init__(
        self, span: Span, name: str, attributes: dict[str, Any], tracer: trace.Tracer
    ) -> None:
        super().__init__(span)
        self.name = name
        self.attributes = attributes
        self.tracer = tracer

    def end(self, observation: Observation) -> None:
        """End the span; a name that the application gave it stays."""
        span = self.span
        if not span.is_recording():
            return
        if observation.name != self.name and getattr(span, "name", self.name) == self.name:
            span.update_name(observation.name)
        # SDKs look at each value twice: what is on the span already is not set again.
        known = self.attributes
        found = naming.at_end(observation)
        span.set_attributes({key: value for key, value in found.items() if known.get(key) != value})
        if naming.is_error(observation):
            if observation.error is not None:
                span.record_exception(observation.error)
            span.set_status(StatusCode.ERROR, naming.description(observation) or None)
        span.end(observation.started_at_ns + observation.duration_ns)


def has_provider() -> bool:
    """Tell whether the application has set a provider; asking for it could load one."""
    return getattr(trace, "_TRACER_PROVIDER", None) is not None


def _tracer(observation: Observation, given: Any) -> Any:
    """Return a tracer of the provider that is *given*, of that of the unit, or the global one."""
    global _known
    provider = given or getattr(trace, "_TRACER_PROVIDER", None)
    here = observation.context
    if given is None and not observation.entry and here is not None and here.unit.spans:
        root = here.unit.spans.get(here.unit.root_span_id)
        if isinstance(root, Ours):
            return root.tracer
    if provider is None:
        return None
    if _known[0] is not provider:
        _known = (provider, _make_tracer(provider))
    return _known[1]


def _make_tracer(provider: Any) -> Any:
    tracer = provider.get_tracer(naming.SCOPE, VERSION)
    generator = getattr(tracer, "id_generator", None)
    if generator is not None and not isinstance(generator, Ids):
        tracer.id_generator = Ids(generator)
    return tracer


def start(observation: Observation, given: Any = None) -> None:
    """Start the span of *observation*, unless a library has started one for the same work."""
    here, before = observation.context, observation.previous
    if here is None:
        return
    theirs = spans.known(before)
    if theirs is not None and before is not None and _is_same(observation, here, theirs):
        _share(observation, here, before, theirs)
        return
    tracer = _tracer(observation, given)
    if tracer is not None:
        _start(observation, here, tracer)


def _start(observation: Observation, here: Context, tracer: Any) -> None:
    state = spans.trace_state(here.unit.tracestate) if here.unit.tracestate else None
    attributes = naming.at_start(observation)
    span = tracer.start_span(
        observation.name,
        context=_parent(observation, here, state),
        kind=KINDS[observation.kind],
        attributes=attributes,
        links=[_link(*ids) for ids in observation.links],
        start_time=observation.started_at_ns,
    )
    found = span.get_span_context()
    if not found.is_valid or in_hex(found)[1] == here.parent_span_id:
        # Tracers that do nothing give back the parent.
        return
    _agree(observation, here, found, state)
    spans.register_as(here, Ours(span, observation.name, attributes, tracer))


def _parent(observation: Observation, here: Context, state: Any) -> ApiContext:
    """Return the context in which the span begins: with its parent and the baggage."""
    values: dict[str, Any] = {**current.attached()}
    values.pop(_SPAN_KEY, None)
    unit = here.unit
    if here.parent_span_id is not None:
        live = None if unit.spans is None else unit.spans.get(here.parent_span_id)
        if live is not None:
            values[_SPAN_KEY] = live.span
        else:
            remote = here.parent_span_id == unit.parent_span_id
            values[_SPAN_KEY] = NonRecordingSpan(
                spans.span_context(unit, here.parent_span_id, remote=remote, state=state)
            )
    baggage.add(values, unit, inside=current.is_inside(unit))
    return ApiContext(values)


def _link(trace_id: str, span_id: str) -> Link:
    return Link(SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True))


def _agree(observation: Observation, here: Context, found: SpanContext, state: Any) -> None:
    """Take over what the provider has decided: sampling, and ids where it minted its own."""
    unit = here.unit
    if found.trace_flags & SAMPLED != unit.flags & SAMPLED:
        unit.flags ^= SAMPLED
    if found.trace_state is not state and found.trace_state:
        unit.tracestate = found.trace_state.to_header()
    if int(here.span_id, 16) == found.span_id:
        return
    if observation.entry:
        parent = None
        if unit.parent_span_id is not None:
            parent = spans.span_context(unit, unit.parent_span_id, remote=True)
        places.rename(here, found, parent)
    else:
        here.span_id = in_hex(found)[1]


def _is_same(observation: Observation, here: Context, theirs: Live) -> bool:
    """Tell whether another library has made the span *theirs* for what is observed here."""
    span: Any = theirs.span
    if theirs.ours or not span.is_recording():
        return False
    if getattr(span, "kind", None) is not KINDS[observation.kind]:
        return False
    scope = getattr(span, "instrumentation_scope", None)
    name = getattr(span, "scope", "") if scope is None else scope.name
    if not observation.entry:
        return observation.kind is not Kind.INTERNAL and name.startswith(_THEIR_CALLS)
    parent = getattr(span, "parent", None)
    parent_id = getattr(span, "parent_id", None) if parent is None else in_hex(parent)[1]
    return bool(parent_id == here.unit.parent_span_id)


def _share(observation: Observation, here: Context, before: Context, theirs: Live) -> None:
    """Let the span *theirs* be that of *observation*, which then has none of its own."""
    found = theirs.span.get_span_context()
    if observation.entry:
        unit, parent_id = here.unit, here.parent_span_id
        places.rename(here, found, None)
        here.parent_span_id = unit.parent_span_id = parent_id
        before.unit.correlation_id = unit.correlation_id
        before.rendered = None
    else:
        here.span_id, here.parent_span_id = before.span_id, before.parent_span_id
    spans.register_as(here, theirs)


def record_late(observation: Observation) -> None:
    """Record what was not to be recorded while it went well: a health check that failed."""
    here = observation.context
    tracer = _tracer(observation, None)
    if here is None or tracer is None:
        return
    spans.forget(here)
    here.unit.flags |= SAMPLED
    _start(observation, here, tracer)
    live = spans.known(here)
    if live is not None:
        live.end(observation)
