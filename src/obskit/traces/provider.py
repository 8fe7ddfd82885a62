"""Start and end the spans of observations through the application's own tracer provider."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context as ApiContext
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation import _SPAN_KEY

from obskit.context import SAMPLED, Context, Unit
from obskit.fields import VERSION
from obskit.observation import Kind, Observation
from obskit.traces import baggage, current, naming, places, spans
from obskit.traces.live import in_hex
from obskit.traces.spans import Live

if TYPE_CHECKING:
    from obskit.traces.late import Later
    from obskit.traces.shortcut import Shortcut

KINDS = {kind: SpanKind[kind.name] for kind in Kind}
_THEIR_CALLS = "opentelemetry.instrumentation."

provided = partial(getattr, trace, "_TRACER_PROVIDER", None)
"""Return the provider that the application has set; OpenTelemetry could load one if asked."""


class Road:
    """How the spans of one provider are started: by its tracer, or by shorter ways to the same."""

    __slots__ = ("later", "shorter", "tracer")

    def __init__(self, provider: Any) -> None:
        self.tracer = provider.get_tracer(naming.SCOPE, VERSION)
        self.shorter: Shortcut | None = None
        self.later: Later | None = None
        generator = getattr(self.tracer, "id_generator", None)
        if generator is None:
            return
        late, shortcut, ids = complete_imports()
        if not isinstance(generator, ids.Ids):
            self.tracer.id_generator = ids.Ids(generator)
        self.shorter = shortcut.find(self.tracer)
        if self.shorter is not None:
            self.later = late.find(self.shorter)
        if self.later is not None:
            self.later.road = self


def complete_imports() -> tuple[Any, Any, Any]:
    """Import what only a provider with IDs of its own needs, as that of the SDK."""
    from obskit.traces import ids, late, shortcut

    return late, shortcut, ids


# The providers that were met, by identity: they need not be hashable.
_roads: dict[int, tuple[Any, Road]] = {}
MOST_ROADS = 16


class Ours(Live):
    """The span of an observation in the application's provider."""

    __slots__ = ("attributes", "name", "road", "shorter")

    ours = True

    def __init__(
        self,
        span: Span,
        name: str,
        attributes: dict[str, Any],
        road: Road,
        shorter: Shortcut | None,
    ) -> None:
        self.span = span
        self.attached = self.context = None
        self.name = name
        self.attributes = attributes
        self.road = road
        self.shorter = shorter

    def end(self, observation: Observation) -> None:
        """End the span; a name that the application gave it stays."""
        end(observation, self.span, self.name, self.attributes, self.shorter)


def end(
    observation: Observation,
    span: Any,
    was: str,
    attributes: dict[str, Any],
    shorter: Shortcut | None,
) -> None:
    """End *span*, which was started with the name that it *was* given and with *attributes*."""
    name = observation.name
    if shorter is None and not span.is_recording():
        return
    # SDKs look at each value twice: what is on the span already is not set again.
    found = naming.at_end(observation, attributes)
    if shorter is None:
        if name != was and getattr(span, "name", was) == was:
            span.update_name(name)
        span.set_attributes(found)
    elif not shorter.complete(span, was, name, found):
        return
    if observation.outcome != "ok" and naming.is_error(observation):
        if observation.error is not None:
            span.record_exception(observation.error)
        span.set_status(StatusCode.ERROR, naming.description(observation) or None)
    span.end(observation.started_at_ns + observation.duration_ns)


def has_provider() -> bool:
    """Tell whether the application has set a provider."""
    return provided() is not None


def _road(observation: Observation, given: Any) -> Road | None:
    """Return the road to the provider that is *given*, to that of the unit, or the global one."""
    provider = given or provided()
    here = observation.context
    if given is None and not observation.entry and here is not None and here.unit.spans:
        root = here.unit.spans.get(here.unit.root_span_id)
        if root is not None and root.ours:
            found: Road | None = getattr(root, "road", None)
            if found is not None:
                return found
    if provider is None:
        return None
    known = _roads.get(id(provider))
    return _build(provider) if known is None else known[1]


def _build(provider: Any) -> Road:
    if len(_roads) >= MOST_ROADS:
        _roads.clear()
    road = Road(provider)
    _roads[id(provider)] = (provider, road)
    return road


def start(observation: Observation, given: Any = None) -> None:
    """Start the span of *observation*, unless a library has started one for the same work."""
    here, before = observation.context, observation.previous
    if here is None:
        return
    if before is not None and before.unit.spans:
        theirs = before.unit.spans.get(before.span_id)
        if theirs is not None and _is_same(observation, here, theirs):
            _share(observation, here, before, theirs)
            return
    known = _roads.get(id(provided())) if observation.entry and given is None else None
    road = _road(observation, given) if known is None else known[1]
    if road is None:
        return
    later = road.later
    if later is None or not later.begin(observation, here):
        _start(observation, here, road)


def _start(observation: Observation, here: Context, road: Road) -> None:
    unit, name, kind = here.unit, observation.name, KINDS[observation.kind]
    state = spans.trace_state(unit.tracestate) if unit.tracestate else None
    attributes = naming.at_start(observation)
    links = [_link(*ids) for ids in observation.links] if observation.links else ()
    began = observation.started_at_ns
    context, above = _inside(here, state)
    shorter = road.shorter
    if shorter is not None and not links and shorter.is_open():
        span = shorter.start(name, context, above, kind, attributes, began, here)
        if not span.is_recording():
            shorter = None
    else:
        shorter = None
        span = road.tracer.start_span(
            name, context=context, kind=kind, attributes=attributes, links=links, start_time=began
        )
        found = span.get_span_context()
        if not found.is_valid or in_hex(found)[1] == here.parent_span_id:
            # Tracers that do nothing give back the parent.
            return
        _agree(observation, here, found, state)
    if unit.spans is None:
        unit.spans = {}
    unit.spans[here.span_id] = Ours(span, name, attributes, road, shorter)


def _inside(here: Context, state: Any) -> tuple[ApiContext, SpanContext | None]:
    """Return the context in which a span of *unit* begins, and the ids of its parent in there."""
    unit, above = here.unit, here.parent_span_id
    values: dict[str, Any] = {**current.attached()}
    found: SpanContext | None = None
    if above is None:
        values.pop(_SPAN_KEY, None)
    elif unit.spans and above in unit.spans:
        parent = values[_SPAN_KEY] = unit.spans[above].span
        found = parent.get_span_context()
    else:
        flags, remote = spans.FLAGS[unit.flags & 3], above == unit.parent_span_id
        found = SpanContext(int(unit.trace_id, 16), int(above, 16), remote, flags, state)
        values[_SPAN_KEY] = NonRecordingSpan(found)
    if unit.baggage or unit.correlation_id != unit.trace_id:
        baggage.add(values, unit, inside=current.is_inside(unit))
    return ApiContext(values), found


def _link(trace_id: str, span_id: str) -> Link:
    return Link(SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True))


def _agree(observation: Observation, here: Context, found: SpanContext, state: Any) -> None:
    """Take over what the provider has decided: sampling, and ids where it minted its own."""
    unit = here.unit
    _follow(unit, found, state)
    if int(here.span_id, 16) == found.span_id:
        return
    if observation.entry:
        parent = None
        if unit.parent_span_id is not None:
            parent = spans.span_context(unit, unit.parent_span_id, remote=True)
        places.rename(here, found, parent)
    else:
        here.span_id = in_hex(found)[1]


def _follow(unit: Unit, found: SpanContext, state: Any) -> None:
    """Take over the sampler's decision, and the *state* of the trace if it has made another."""
    if (found.trace_flags ^ unit.flags) & SAMPLED:
        unit.flags ^= SAMPLED
    made = found.trace_state
    if made is not state and made:
        unit.tracestate = made.to_header()


def _is_same(observation: Observation, here: Context, theirs: Live) -> bool:
    """Tell whether another library has made the span *theirs* for what is observed here."""
    if theirs.ours:
        return False
    span: Any = theirs.span
    if not span.is_recording():
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
    road = _road(observation, None)
    if here is None or road is None:
        return
    spans.forget(here)
    here.unit.flags |= SAMPLED
    _start(observation, here, road)
    live = spans.known(here)
    if live is not None:
        live.end(observation)
