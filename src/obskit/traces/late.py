"""Make the spans of OpenTelemetry's SDK when they are over, if nobody has asked before.

Most processors do nothing at the start of a span, and few handlers ask for the current one.
Then there is no need of a span before its end, where its processors get what the SDK would
have made of it. Whoever asks in between, or later, gets the span that he expects.
"""

from __future__ import annotations

import sys
from itertools import product
from types import FunctionType
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context as ApiContext
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceState,
)

from obskit import health
from obskit.context import RANDOM, SAMPLED, Context
from obskit.observation import Observation
from obskit.traces import naming, provider, rehearsal, shortcut
from obskit.traces.provider import KINDS
from obskit.traces.spans import FLAGS, Live, trace_state

if TYPE_CHECKING:
    from obskit.traces.provider import Road
    from obskit.traces.shortcut import Shortcut

_UNSET = Status(StatusCode.UNSET)
_NO_STATE = SpanContext(1, 1, is_remote=False).trace_state
_new_tuple: Any = tuple.__new__


class Late(Live):
    """The span of an observation, which is not made before somebody asks for it.

    Several threads may do so at once, also while it ends: the first one says what it is.
    *above* is its parent, if that is a span of this process; *flags* and *state* are what came
    in with the unit of work.
    """

    ours = True
    attached: ApiContext | None = None
    context: ApiContext | None = None
    attributes: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed
    above: SpanContext | None = None
    state: TraceState | None = None
    own: SpanContext | None = None

    def __init__(self, observation: Observation, way: Later, flags: int, sampled: bool) -> None:
        # Not beyond its end: it leads to the unit of work, which leads here.
        self.observation: Observation | None = observation
        self.way = way
        self.name = observation.name
        self.flags = flags
        self.sampled = sampled

    @property
    def road(self) -> Road | None:
        """The road to the provider that it is a span of."""
        return self.way.road

    def ids(self) -> SpanContext:
        """Return the ids of the span."""
        work, own = self.observation, self.own
        if own is None and work is not None:
            own = self._minted(work)
        # It is known where there is no observation any more.
        return own or self.own  # type: ignore[return-value]

    def _minted(self, work: Observation) -> SpanContext:
        here: Any = work.context
        unit, above = here.unit, self.above
        trace_id, random = int(unit.trace_id, 16), self.flags & RANDOM
        # All IDs are known to be valid here; both names are as they would be made of them.
        if above is not None:
            trace_id, random, state = above[0], above[3] & RANDOM, above[4]
        else:
            state, parent_id = self.state or _NO_STATE, here.parent_span_id
            if parent_id is not None:
                is_remote, flags = parent_id == unit.parent_span_id, FLAGS[self.flags]
                parent = (trace_id, int(parent_id, 16), is_remote, flags, state, True)
                self.above = _new_tuple(SpanContext, parent)
        flags = FLAGS[random | SAMPLED if self.sampled else random]
        ids = (trace_id, int(here.span_id, 16), False, flags, state, True)
        own: SpanContext = _new_tuple(SpanContext, ids)
        self.own = own
        return own

    @property
    def span(self) -> Any:  # type: ignore[override]
        """The span as it would be if it had been made at once."""
        mine, work, way = vars(self), self.observation, self.way
        first = mine.get("first")
        if first is None:
            first = mine.setdefault("first", self._begun(work))
        if type(first) is not way.readable:
            return first
        return mine.get("over") or mine.setdefault("over", way.ended(self, first))

    def _begun(self, work: Observation | None) -> Any:
        if work is None or not self.sampled:
            return NonRecordingSpan(self.ids())
        attributes = naming.at_start(work)
        # It was not known then; at the end it is said.
        attributes.pop("http.route", None)
        self.attributes = attributes
        return self.way.begun(self, work, attributes)

    def end(self, observation: Observation) -> None:
        """Hand over what the span has become; end it, if somebody has asked for it."""
        way, mine = self.way, vars(self)
        if not self.sampled:
            self.ids()
        elif (
            "first" in mine
            or (observation.outcome != "ok" and naming.is_error(observation))
            or not way.hand_over(self, mine, observation)
        ):
            provider.end(observation, self.span, self.name, self.attributes, way.shorter)
        self.observation = None


class Later:
    """The way to spans that are made late, for those that *shorter* leads to."""

    __slots__ = (
        "_bounded",
        "_deaf",
        "_decided",
        "_decisions",
        "_list",
        "_many",
        "_noisy",
        "_parent_based",
        "_sampled",
        "_start",
        "_static",
        "readable",
        "road",
        "shorter",
        "tracer",
    )

    def __init__(self, shorter: Shortcut, sdk: Any) -> None:
        self.shorter = shorter
        self.road: Road | None = None
        self.tracer = shorter.tracer
        self.readable = sdk.ReadableSpan
        self._bounded = sdk.BoundedAttributes
        self._list = sdk.BoundedList
        self._many = sdk.SynchronousMultiSpanProcessor
        self._parent_based = sdk.sampling.ParentBased
        self._static = sdk.sampling.StaticSampler
        self._start = sdk.Tracer.start_span
        self._sampled = sdk.sampling.Decision.RECORD_AND_SAMPLE
        self._decisions = {self._sampled: True, sdk.sampling.Decision.DROP: False}
        # What the sampler says that was looked at last, see there, and which one that is.
        self._decided: tuple[Any, ...] = (None,) * 6
        # The processors that were looked at last, by whether any hears of more than ends.
        self._deaf: Any = None
        self._noisy: Any = None

    def begin(self, observation: Observation, here: Context) -> bool:
        """Note that a span of *here* has begun; return False if it must be made at once."""
        tracer = self.tracer
        many, sampler, unit = tracer.span_processor, tracer.sampler, here.unit
        if (
            observation.links
            or type(many) is not self._many
            or (many._span_processors is not self._deaf and not self._are_deaf(many))
            or getattr(tracer.start_span, "__func__", None) is not self._start
            or not tracer._tracer_config.is_enabled
        ):
            return False
        decided = self._decided if self._decided[5] is sampler else self._decide(sampler)
        above, flags, parent = here.parent_span_id, unit.flags & 3, None
        if above is not None and unit.spans:
            known = unit.spans.get(above)
            if known is not None:
                parent = known.ids() if type(known) is Late else known.span.get_span_context()
        if above is None:
            sampled = decided[4]
        elif parent is None:
            sampled = decided[(flags & SAMPLED) + (2 if above == unit.parent_span_id else 0)]
        else:
            sampled = decided[(parent[3] & SAMPLED) + (2 if parent[2] else 0)]
        if sampled is None:
            return False
        live = Late(observation, self, flags, sampled)
        if parent is not None:
            live.above = parent
        elif unit.tracestate and above is not None:
            live.state = trace_state(unit.tracestate)
        if unit.flags & SAMPLED != sampled:
            unit.flags ^= SAMPLED
        if unit.spans is None:
            unit.spans = {here.span_id: live}
        else:
            unit.spans[here.span_id] = live
        return True

    def _decide(self, sampler: Any) -> tuple[Any, ...]:
        """Return what *sampler* says: of a local parent, a sampled one, remote ones, and of none.

        It is None where that is not always the same. Last comes the sampler.
        """
        asked = [sampler] * 5
        if type(sampler) is self._parent_based:
            parents = product((False, True), (0, 1))
            asked = [*(shortcut.below(sampler, *parent) for parent in parents), sampler._root]
        said = (
            self._decisions.get(one._decision) if type(one) is self._static else None
            for one in asked
        )
        self._decided = (*said, sampler)
        return self._decided

    def _are_deaf(self, many: Any) -> bool:
        """Tell whether no processor in *many* does anything before a span is over."""
        processors = many._span_processors
        if processors is self._noisy:
            return False
        if _is_as_its_class(many) and all(map(is_deaf, processors)):
            self._deaf = processors
            return True
        self._noisy = processors
        return False

    def hand_over(self, live: Late, mine: dict[str, Any], observation: Observation) -> bool:
        """Hand over what *live*, which is over, has become; return False if the SDK must do so."""
        tracer = self.tracer
        many, limits = tracer.span_processor, tracer._span_limits
        found, most = naming.whole(observation), limits.max_span_attributes
        if (
            type(many) is not self._many
            or many._span_processors is not self._deaf
            or limits.max_span_attribute_length is not None
            or (most is not None and len(found) > most)
            or not shortcut.are_plain(found)
        ):
            return False
        bounded = self._bounded(most, None, True, None)
        bounded._dict = found
        own, began = live.own or live._minted(observation), observation.started_at_ns
        over = self.readable(
            observation.name,
            own,
            live.above,
            tracer.resource,
            bounded,
            self._list(limits.max_events),
            self._list(limits.max_links),
            KINDS[observation.kind],
            tracer.instrumentation_info,
            _UNSET,
            began,
            began + observation.duration_ns,
            tracer._instrumentation_scope,
        )
        if mine.setdefault("first", over) is not over:
            return False
        many.on_end(over)
        return True

    def begun(self, live: Late, observation: Observation, attributes: dict[str, Any]) -> Any:
        """Return the span of *live* as it was when *observation* began."""
        own, parent, kind = live.ids(), live.above, KINDS[observation.kind]
        over = self.tracer._tracer_metrics.start_span(parent, self._sampled)
        began = observation.started_at_ns
        return self.shorter.make(live.name, own, kind, parent, began, attributes, over)

    def ended(self, live: Late, readable: Any) -> Any:
        """Return the span of *live* as it is now that it has become what is *readable*."""
        own, parent = live.ids(), live.above
        over = self.tracer._tracer_metrics.start_span(parent, self._sampled)
        span = self.shorter.make(readable._name, own, readable._kind, parent, 0, None, over)
        vars(span).update(vars(readable))
        return span


def _nothing(self: Any, span: Any, parent_context: Any = None) -> None:
    pass


def _nothing_said(self: Any, span: Any, parent_context: Any = None) -> None:
    """Do nothing, as the SDK's own interface of processors does."""


_NOTHINGS = frozenset(function.__code__.co_code for function in (_nothing, _nothing_said))
# Of the flags of code, those that say what it takes and whether it waits.
_SHAPE = 0xFF
# What processors are told before a span is over, and by which names.
_BEFORE_THE_END = (
    ("on_start", ("self", "span", "parent_context")),
    ("_on_ending", ("self", "span")),
)


def is_deaf(processor: Any) -> bool:
    """Tell whether *processor* does nothing when a span begins, and when it is about to end."""
    return _is_as_its_class(processor) and all(
        does_nothing(getattr(type(processor), name, None), names) for name, names in _BEFORE_THE_END
    )


def _is_as_its_class(processor: Any) -> bool:
    """Tell whether the methods of *processor* are those of its class."""
    kind, own = type(processor), getattr(processor, "__dict__", {})
    plain: Any = object.__getattribute__
    return kind.__getattribute__ is plain and not any(
        name in own for name in ("on_start", "_on_ending", "on_end")
    )


def does_nothing(function: Any, names: tuple[str, ...]) -> bool:
    """Tell whether *function*, whose parameters are to have these *names*, has an empty body."""
    if type(function) is not FunctionType:
        return False
    code = function.__code__
    return (
        code.co_code in _NOTHINGS
        and code.co_flags & _SHAPE == _nothing.__code__.co_flags & _SHAPE
        and code.co_varnames == names
    )


def find(shorter: Shortcut) -> Later | None:
    """Return the way on which spans are made late; None if it is not surely the same."""
    sdk, tracer = sys.modules["opentelemetry.sdk.trace"], shorter.tracer
    try:
        # What the SDK counts of its own spans, if it does, is counted when they begin.
        if type(tracer._tracer_metrics).__name__ == "NoOpTracerMetrics":
            found: Later | None = rehearsal.passed_late(Later, shorter, sdk)
            return found
    except Exception as error:
        health.internal_error("traces.late", error)
    return None
