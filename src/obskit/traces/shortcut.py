"""Start the spans of OpenTelemetry's SDK by a shorter way than its own, to the same spans.

The SDK looks at each attribute of a span one by one, and passes twenty arguments through two
constructors. What an observation says of itself needs no such look. The sampler, the processors
and the limits are the provider's, and are asked as ever.

This knows the inside of the SDK. It is taken with the versions that it was tried with, where
`rehearsal` finds it to be the same, and else nobody takes it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from threading import Lock
from types import FunctionType, MappingProxyType
from typing import Any

from opentelemetry.context import Context as ApiContext
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode

from obskit import health
from obskit.context import RANDOM, SAMPLED, Context
from obskit.traces import rehearsal
from obskit.traces.ids import Ids
from obskit.traces.spans import FLAGS

VERSIONS = ("1.44.", "1.45.")

_PLAIN = frozenset({str, int, float, bool})
_NAMES = frozenset({str})
_UNSET = Status(StatusCode.UNSET)


class Shortcut:
    """The shorter way to the spans of one *tracer*."""

    __slots__ = (
        "_bounded",
        "_fixed",
        "_list",
        "_parent_based",
        "_sampled",
        "_span",
        "_start",
        "_static",
        "tracer",
    )

    def __init__(self, tracer: Any, sdk: Any) -> None:
        self.tracer = tracer
        self._start = sdk.Tracer.start_span
        self._span = sdk._Span
        self._bounded = sdk.BoundedAttributes
        self._list = sdk.BoundedList
        self._parent_based = sdk.sampling.ParentBased
        self._static = sdk.sampling.StaticSampler
        self._sampled = sdk.sampling.Decision.RECORD_AND_SAMPLE
        self._fixed = {
            "_instrumentation_info": tracer.instrumentation_info,
            "_instrumentation_scope": tracer._instrumentation_scope,
            "_end_time": None,
            "_status": _UNSET,
            "_trace_config": None,
            "_record_exception": True,
            "_set_status_on_exception": True,
        }

    def is_open(self) -> bool:
        """Tell whether the way may be taken now: nobody has put anything around the SDK's own."""
        tracer = self.tracer
        return (
            getattr(tracer.start_span, "__func__", None) is self._start
            and tracer._tracer_config.is_enabled
        )

    def start(
        self,
        name: str,
        context: ApiContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, Any],
        started_at_ns: int,
        here: Context,
    ) -> Span:
        """Start the span of *here*, with its ids, below *parent*, which is that of *context*."""
        tracer = self.tracer
        unit = here.unit
        if parent is None:
            trace_id, random = int(unit.trace_id, 16), unit.flags & RANDOM
        else:
            trace_id, random = parent[0], parent[3] & RANDOM
        sampler = tracer.sampler
        if type(sampler) is self._parent_based:
            decision, kept, made = self._decide(
                sampler, context, parent, trace_id, name, kind, attributes
            )
        else:
            result = sampler.should_sample(context, trace_id, name, kind, attributes, ())
            decision, kept, made = result.decision, result.attributes, result.trace_state
        sampled = decision is self._sampled or decision.is_sampled()
        flags = FLAGS[random | SAMPLED if sampled else random]
        own = SpanContext(trace_id, int(here.span_id, 16), False, flags, made)
        over = tracer._tracer_metrics.start_span(parent, decision)
        span: Any = None
        if sampled or decision.is_recording():
            span = self.make(name, own, kind, parent, started_at_ns, kept, over)
            tracer.span_processor.on_start(span, parent_context=context)
        if unit.flags & SAMPLED != sampled:
            unit.flags ^= SAMPLED
        if made is not None and (parent is None or made is not parent[4]) and made:
            unit.tracestate = made.to_header()
        return NonRecordingSpan(own) if span is None else span

    def make(
        self,
        name: str,
        own: SpanContext,
        kind: SpanKind,
        parent: SpanContext | None,
        started_at_ns: int,
        attributes: Mapping[str, Any] | None,
        over: Callable[[], None],
    ) -> Any:
        """Make a span as its constructor does, without passing all of it through two of them."""
        tracer = self.tracer
        limits = tracer._span_limits
        span: Any = object.__new__(self._span)
        span.__dict__ = {
            **self._fixed,
            "_name": name,
            "_context": own,
            "_kind": kind,
            "_parent": parent,
            "_start_time": started_at_ns,
            "_resource": tracer.resource,
            "_sampler": tracer.sampler,
            "_span_processor": tracer.span_processor,
            "_limits": limits,
            "_lock": Lock(),
            "_attributes": self._bound(limits, attributes),
            "_events": self._list(limits.max_events),
            "_links": self._list(limits.max_links),
            "_record_end_metrics": over,
        }
        return span

    def _decide(
        self,
        sampler: Any,
        context: ApiContext,
        parent: SpanContext | None,
        trace_id: int,
        name: str,
        kind: SpanKind,
        attributes: dict[str, Any],
    ) -> tuple[Any, Mapping[str, Any] | None, Any]:
        """Ask the sampler that a parent-based one asks, without looking for the parent again."""
        if parent is None:
            chosen = sampler._root
        else:
            chosen = below(sampler, parent[2], parent[3] & SAMPLED)
        if type(chosen) is not self._static:
            result = chosen.should_sample(
                parent_context=context,
                trace_id=trace_id,
                name=name,
                kind=kind,
                attributes=attributes,
                links=(),
            )
            return result.decision, result.attributes, result.trace_state
        return chosen._decision, attributes, None if parent is None else parent[4]

    def _bound(self, limits: Any, attributes: Mapping[str, Any] | None) -> Any:
        most, longest = limits.max_span_attributes, limits.max_span_attribute_length
        if type(attributes) is MappingProxyType:
            found = attributes.copy()
        else:
            found = dict(attributes) if attributes else {}
        if longest is None and (most is None or len(found) <= most) and are_plain(found):
            bounded = self._bounded(most, None, False, None)
            bounded._dict = found
            return bounded
        return self._bounded(most, attributes, immutable=False, max_value_len=longest)

    @staticmethod
    def complete(span: Any, was: str, name: str, attributes: dict[str, Any]) -> bool:
        """Give *span*, which was started here, what is known at its end; False if it is over.

        It gets *name* unless the application has given it another one than it *was* started with.
        """
        if span._end_time is not None:
            return False
        if name != was and span._name == was:
            span.update_name(name)
        bounded = span._attributes
        most = bounded.maxlen
        if bounded.max_value_len is None and are_plain(attributes):
            with span._lock, bounded._lock:
                kept = bounded._dict
                has_room = most is None or len(kept) + len(attributes) <= most
                if has_room and span._end_time is None:
                    kept.update(attributes)
                    return True
        span.set_attributes(attributes)
        return True


def below(sampler: Any, is_remote: bool, is_sampled: int) -> Any:
    """Return whom a parent-based *sampler* asks of a span that has a parent."""
    if is_remote:
        return sampler._remote_parent_sampled if is_sampled else sampler._remote_parent_not_sampled
    return sampler._local_parent_sampled if is_sampled else sampler._local_parent_not_sampled


def are_plain(attributes: dict[str, Any]) -> bool:
    """Tell whether the SDK would find nothing to change about *attributes*."""
    return (
        type(attributes) is dict
        and _PLAIN.issuperset(map(type, attributes.values()))
        and _NAMES.issuperset(map(type, attributes))
        and "" not in attributes
    )


def find(tracer: Any) -> Shortcut | None:
    """Return the shorter way to spans of *tracer*; None if it is not surely the same."""
    sdk: Any = sys.modules.get("opentelemetry.sdk.trace")
    version = getattr(sys.modules.get("opentelemetry.sdk.version"), "__version__", "")
    if sdk is None or type(tracer) is not sdk.Tracer or not version.startswith(VERSIONS):
        return None
    try:
        if type(tracer.id_generator) is Ids and _is_as_it_came(tracer, sdk):
            found: Shortcut | None = rehearsal.passed(Shortcut, tracer, sdk)
            return found
    except Exception as error:
        health.internal_error("traces.shortcut", error)
    return None


def _is_as_it_came(tracer: Any, sdk: Any) -> bool:
    """Tell whether nobody has put anything of his own in place of what the way leaves out."""
    if "start_span" in vars(tracer):
        return False
    attributes, sampling = sys.modules[sdk.BoundedAttributes.__module__], sdk.sampling
    left_out = (
        (sdk, sdk.Tracer, "start_span"),
        (sdk, sdk.ReadableSpan, "__init__"),
        (sdk, sdk.Span, "__init__"),
        (sdk, sdk.Span, "start"),
        (sdk, sdk.Span, "set_attributes"),
        (sdk, sdk.Span, "update_name"),
        (sdk, sdk.Span, "end"),
        (sdk, sdk.Span, "_readable_span"),
        (attributes, attributes.BoundedAttributes, "__init__"),
        (attributes, attributes.BoundedAttributes, "_set_items"),
        (sampling, sampling.ParentBased, "should_sample"),
        (sampling, sampling.StaticSampler, "should_sample"),
        (sampling, sampling.SamplingResult, "__init__"),
    )
    return all(
        type(vars(owner)[name]) is FunctionType and vars(owner)[name].__globals__ is vars(module)
        for module, owner, name in left_out
    )
