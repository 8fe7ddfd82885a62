"""Try another way to a span against the SDK's own: what comes out must not differ in anything."""

from __future__ import annotations

import copy
from collections import deque
from itertools import product
from typing import Any

from opentelemetry.context import Context as ApiContext
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation import _SPAN_KEY

from obskit.context import RANDOM, Context, Unit
from obskit.observation import Kind, Observation
from obskit.traces import naming, spans

_TRACE_ID, _SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_REMOTE = SpanContext(int(_TRACE_ID, 16), 7, True, TraceFlags(1))
_KNOWN: dict[str, Any] = {"a": "x", "b": 1, "c": 0.5, "d": True}
_LATER: dict[str, Any] = {"a": "y", "e": 200}


def _over() -> None:
    """Stand for what the SDK's own metrics do at the end of a span."""


class _Stage:
    """What a tracer has around it, and what it was asked and told there."""

    def __init__(self, sdk: Any, decision: Any) -> None:
        self._result = sdk.sampling.SamplingResult(decision, dict(_KNOWN))
        self.heard: list[Any] = []

    def should_sample(self, *asked: Any) -> Any:
        self.heard.append(("should_sample", asked))
        return self._result

    def start_span(self, *told: Any) -> Any:
        self.heard.append(("start_span", told))
        return _over

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.heard.append(("on_start", dict(vars(span)), parent_context))

    def generate_trace_id(self) -> int:
        return int(_TRACE_ID, 16)

    def generate_span_id(self) -> int:
        return int(_SPAN_ID, 16)

    def is_trace_id_random(self) -> bool:
        return True


def passed(way: Any, tracer: Any, sdk: Any) -> Any:
    """Return *way* to spans of *tracer*, None if it is not the same as the tracer's own."""
    kinds = product(sdk.sampling.Decision, (None, _REMOTE))
    if all(_is_same_way(way, tracer, sdk, *kind) for kind in kinds):
        return way(tracer, sdk)
    return None


def _is_same_way(
    way: Any, tracer: Any, sdk: Any, decision: Any, parent: SpanContext | None
) -> bool:
    """Make one span by each way, on a copy of *tracer* that nobody hears of."""
    stage = _Stage(sdk, decision)
    twin = copy.copy(tracer)
    twin.sampler = twin.span_processor = twin.id_generator = twin._tracer_metrics = stage
    context = ApiContext({} if parent is None else {_SPAN_KEY: NonRecordingSpan(parent)})
    kind = SpanKind.SERVER
    theirs = twin.start_span("GET", context, kind, _KNOWN, start_time=5)
    heard, stage.heard = stage.heard, []
    ours = way(twin, sdk).start("GET", context, parent, kind, _KNOWN, 5, _place())
    if not is_same(theirs, ours) or not is_same(heard, stage.heard):
        return False
    if theirs.is_recording():
        theirs.set_attributes(dict(_LATER))
        theirs.update_name("GET /")
        way.complete(ours, "GET", "GET /", dict(_LATER))
    return is_same(theirs, ours)


def _place(parent: SpanContext | None = None) -> Context:
    above = None if parent is None else f"{parent.span_id:016x}"
    flags = RANDOM if parent is None else int(parent.trace_flags)
    unit = Unit("", "", _TRACE_ID, _SPAN_ID, above, flags)
    return Context(unit, _SPAN_ID, above, {})


def passed_late(way: Any, shorter: Any, sdk: Any) -> Any:
    """Return *way*, on which spans are made late, if it is the same as the tracer's own."""
    decisions = (sdk.sampling.Decision.RECORD_AND_SAMPLE, sdk.sampling.Decision.DROP)
    for decision, parent, asked in product(decisions, (None, _REMOTE), (True, False)):
        if not _is_same_late(way, shorter, sdk, decision, parent, asked):
            return None
    return way(shorter, sdk)


def _is_same_late(
    way: Any, shorter: Any, sdk: Any, decision: Any, parent: SpanContext | None, asked: bool
) -> bool:
    """Make one span at once and one late, for which is *asked* before it is over, or after."""
    twin, stage = copy.copy(shorter.tracer), _Stage(sdk, decision)
    twin.sampler = sdk.sampling.StaticSampler(decision)
    twin.id_generator = stage
    twin.span_processor = sdk.SynchronousMultiSpanProcessor()
    heard: list[Any] = []
    hear = {"on_end": lambda self, span: heard.append((type(span), dict(vars(span))))}
    twin.span_processor.add_span_processor(type("Ear", (sdk.SpanProcessor,), hear)())
    work = Observation("GET", Kind.SERVER, "http", {"http_request_method": "GET"}, dict(_KNOWN))
    work.context, work.started_at_ns, work.duration_ns = _place(parent), 5, 4

    context = ApiContext({} if parent is None else {_SPAN_KEY: NonRecordingSpan(parent)})
    kind, known = SpanKind.SERVER, naming.at_start(work)
    theirs = twin.start_span("GET", context, kind, known, start_time=5)
    if not way(type(shorter)(twin, sdk), sdk).begin(work, work.context):
        return False
    ours: Any = spans.known(work.context)
    if asked and not is_same(theirs, ours.span):
        return False
    work.name, work.status = "GET /", 200
    work.labels["http_route"] = "/"
    theirs.set_attributes(naming.at_end(work, known))
    theirs.update_name("GET /")
    theirs.end(9)
    ours.end(work)
    return is_same(theirs, ours.span) and is_same(heard[:1], heard[1:])


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two objects consist of the same, down to the last of their parts."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, (str, int, float)):
        return bool(one == other)
    if isinstance(one, deque) and one.maxlen != other.maxlen:
        return False
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if hasattr(one, "__dict__"):
        return is_same(vars(one), vars(other))
    # Locks, which are told apart by identity, have nothing else to look at.
    return type(one).__name__ in ("lock", "RLock") or bool(one == other)
