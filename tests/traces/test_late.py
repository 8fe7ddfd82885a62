"""Spans that are made when they are over: nothing about them tells that they were."""

import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.sdk.version import __version__
from opentelemetry.trace import NonRecordingSpan

from obskit import context, health, observation
from obskit.observation import Kind, Observation, observe
from obskit.traces import late, provider, rehearsal, shortcut
from tests.traces.test_shortcut import CASES, TRACE, Tone, numbered, request, shown

REMOTE = CASES["remote"][0]
pytestmark = pytest.mark.skipif(
    not __version__.startswith(shortcut.VERSIONS), reason="the SDK's own way is taken"
)


class Ear(SpanProcessor):
    """Hear of ends only, as most processors do."""

    def __init__(self):
        self.heard = []

    def on_end(self, span):
        self.heard.append((type(span), span, shown(span)))


def untouched(work, carrier):
    """Nobody asks for a span."""


def looked_at(work, carrier):
    """The handler looks at its span, which others have not been told more of yet."""
    span = trace.get_current_span()
    carrier["seen"] = span.is_recording() and (shown(span), span.name)


def written_to(work, carrier):
    """The handler says something of its own on its span."""
    span = trace.get_current_span()
    span.set_attribute("late", 1)
    span.set_attribute("http.route", "/mine")
    span.add_event("charged", {"cents": 100})


def below_it(work, carrier):
    """The handler calls others, and has spans of its own."""
    with observe("step"):
        call = Observation("GET", Kind.CLIENT, carrier=carrier, peer="shop")
        observation.start(call)
        observation.end(call)
        with trace.get_tracer("his").start_as_current_span("his", attributes={"a": 1}):
            pass


def ended_by_itself(work, carrier):
    """The handler ends the span that is not its own."""
    trace.get_current_span().end()


def failing(work, carrier):
    """The answer is an error."""
    work.status = 503


HANDLERS = (untouched, looked_at, written_to, below_it, ended_by_itself, failing)


def told(handler, case, monkeypatch):
    """Return what is heard of a request, and in the end of its span; and whether it was late."""
    headers, attributes, options = case
    ear, made = Ear(), TracerProvider(shutdown_on_exit=False, **options)
    made.add_span_processor(ear)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", made)
    work, carrier = request(headers, url_path="/orders/7", **attributes), {}
    observation.start(work)
    was_late = type(context.get().unit.spans[context.get().span_id]) is late.Late
    work.name, work.status = "GET /orders/{id}", 200
    work.labels["http_route"] = "/orders/{id}"
    handler(work, carrier)
    observation.finish(work)
    over = trace.get_current_span()
    assert not over.is_recording()
    carrier["over"] = type(over), over.get_span_context(), getattr(over, "end_time", 0) and 1
    assert trace.get_current_span() is over
    observation.leave(work)
    for dated in ("baggage", "Obskit-Cause"):
        carrier.pop(dated, None)
    heard = [(kind, found) for kind, _, found in ear.heard]
    return numbered(f"{carrier} {heard}"), was_late


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_late_spans_are_the_same(joined, monkeypatch, case, handler):
    """Whatever the application has set and its handler does, the same is heard."""
    with monkeypatch.context() as patch:
        ours, _ = told(handler, case, patch)
    with monkeypatch.context() as patch:
        patch.setattr(late, "find", lambda shorter: None)
        theirs, was_late = told(handler, case, patch)
    assert not was_late
    assert ours == theirs
    assert health.internal_errors == {}


LATE = {"remote", "root", "not sampled", "random", "state", "baggage", "every type", "always off"}


@pytest.mark.parametrize("name", sorted(LATE))
def test_most_spans_are_late(joined, monkeypatch, name):
    """Else the test above would compare a way with itself."""
    assert told(untouched, CASES[name], monkeypatch)[1]


def beginning(sdk, **options):
    """Begin a request, and return it with its span and the exporter."""
    exporter = sdk(**options)
    work = request(REMOTE)
    observation.start(work)
    return work, context.get().unit.spans[context.get().span_id], exporter


def test_nothing_is_made_until_the_end(sdk):
    """Then it is what is exported."""
    work, live, exporter = beginning(sdk)
    assert type(live) is late.Late
    assert "first" not in vars(live)
    observation.end(work)
    assert list(exporter.get_finished_spans()) == [vars(live)["first"]]


def test_it_does_not_hold_its_request(sdk):
    """Else each request would have to be found by the garbage collector."""
    for options in ({}, {"sampler": ALWAYS_OFF}):
        work, live, _ = beginning(sdk, **options)
        assert live.observation is work
        observation.end(work)
        assert live.observation is None
        trace._TRACER_PROVIDER = None
        trace._TRACER_PROVIDER_SET_ONCE._done = False


def test_all_threads_get_the_same_span(sdk):
    """Also if they ask at once, and while it ends."""
    for _ in range(50):
        trace._TRACER_PROVIDER = None
        trace._TRACER_PROVIDER_SET_ONCE._done = False
        work, live, exporter = beginning(sdk)
        found, ready = [], threading.Barrier(4)

        def ask(live=live, found=found, ready=ready):
            ready.wait()
            found.append(live.span)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        ready.wait()
        observation.end(work)
        for thread in threads:
            thread.join()
        assert len(set(map(id, found))) == 1
        assert not found[0].is_recording()
        assert len(exporter.get_finished_spans()) == 1


def test_who_makes_it_first_says_what_it_is(sdk, monkeypatch):
    """Somebody may ask between the moment in which it is looked at and that of its end."""
    work, live, exporter = beginning(sdk)
    asked, original = [], late.naming.whole

    def asking(observed):
        monkeypatch.undo()
        asked.append(live.span)
        return original(observed)

    monkeypatch.setattr(late.naming, "whole", asking)
    observation.end(work)
    assert (live.span is asked[0], asked[0].is_recording()) == (True, False)
    assert [type(span) for span in exporter.get_finished_spans()] == [sdk_trace.ReadableSpan]


class Hearing(Ear):
    """Do something at the start, too."""

    def on_start(self, span, parent_context=None):
        self.heard.append(span.name)


class Ending(Ear):
    """Do something before the end."""

    def _on_ending(self, span):
        span.set_attribute("last", 1)


class Other(Ear):
    """Call it otherwise, which the SDK does not understand."""

    def on_start(self, span, context=None):
        pass


class Unheard(Ear):
    """Do nothing in so many words."""

    def on_start(self, span, parent_context=None):
        """Do nothing."""

    def _on_ending(self, span):
        pass


class Changing(Ear):
    """Have methods that come from nowhere."""

    def __getattribute__(self, name):
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("kind", "deaf"),
    [
        (Ear, True),
        (Unheard, True),
        (Hearing, False),
        (Ending, False),
        (Other, False),
        (Changing, False),
        (object, False),
    ],
)
def test_who_hears_of_ends_only(kind, deaf):
    """Whatever anybody does before is reason enough to make the span at once."""
    assert late.is_deaf(kind()) is deaf


def test_the_sdks_own_processors_hear_of_ends_only():
    """As most services have no others."""
    batch = BatchSpanProcessor(InMemorySpanExporter())
    assert late.is_deaf(batch)
    assert late.is_deaf(SimpleSpanProcessor(InMemorySpanExporter()))
    batch.shutdown()
    batch.on_start = print
    assert not late.is_deaf(batch)


@pytest.mark.parametrize("kind", [Hearing, Ending])
def test_a_processor_that_comes_later_hears_of_all_that_begins_then(sdk, kind):
    """And of the end of what had begun before."""
    work, _, exporter = beginning(sdk)
    one = kind()
    trace.get_tracer_provider().add_span_processor(one)
    observation.end(work)
    assert len(one.heard) == len(exporter.get_finished_spans()) == 1
    again = request(REMOTE)
    observation.start(again)
    assert type(context.get().unit.spans[context.get().span_id]) is not late.Late
    observation.end(again)
    assert one.heard[-1][2][0]["name"] == "GET"


@pytest.mark.parametrize(
    ("options", "is_late"),
    [
        ({}, True),
        ({"sampler": ALWAYS_ON}, True),
        ({"sampler": ParentBased(TraceIdRatioBased(0.5))}, True),
        ({"sampler": TraceIdRatioBased(1.0)}, False),
        ({"active_span_processor": sdk_trace.ConcurrentMultiSpanProcessor()}, False),
        ({"span_limits": SpanLimits(max_span_attributes=1)}, True),
    ],
)
def test_what_is_always_the_same_is_late(sdk, options, is_late):
    """A sampler that must be asked is asked at the start."""
    work, live, exporter = beginning(sdk, **options)
    assert (type(live) is late.Late) is is_late
    observation.end(work)
    assert len(exporter.get_finished_spans()) == 1


def test_another_sampler_is_asked_from_then_on(sdk):
    """Somebody may put one in its place."""
    work, live, _ = beginning(sdk)
    live.way.tracer.sampler = ALWAYS_OFF
    observation.end(work)
    again = request(REMOTE)
    observation.start(again)
    assert isinstance(trace.get_current_span(), NonRecordingSpan)
    observation.end(again)


def test_the_parent_of_a_late_span_need_not_be_made(sdk):
    """Its name is enough."""
    work, live, exporter = beginning(sdk)
    with observe("step"):
        pass
    assert "first" not in vars(live)
    observation.end(work)
    step, server = exporter.get_finished_spans()
    assert step.parent is server.context
    assert f"{server.context.trace_id:032x}" == TRACE


def test_an_attribute_that_the_sdk_would_change_is_the_sdks(sdk):
    """A text of a class of its own, and what is longer than is allowed."""
    exporter = sdk(span_limits=SpanLimits(max_span_attribute_length=3))
    for value in (Tone.LOUD, "long"):
        work = request(REMOTE, tone=value)
        observation.start(work)
        observation.end(work)
    assert [span.attributes["tone"] for span in exporter.get_finished_spans()] == ["lou", "lon"]


class Forgetful(late.Later):
    """Leave out who made it."""

    __slots__ = ()

    def __init__(self, shorter, sdk):
        super().__init__(shorter, sdk)
        self.readable = lambda *args: sdk.ReadableSpan(*args[:-1])


class Silent(late.Later):
    """Say nothing at the end."""

    __slots__ = ()

    def hand_over(self, *args):
        return True


class Open(late.Later):
    """Take what is over for what is not."""

    __slots__ = ()

    def ended(self, live, readable):
        span = super().ended(live, readable)
        span._end_time = None
        return span


class Wrong(late.Later):
    """Begin with what is known at the end."""

    __slots__ = ()

    def begun(self, live, observed, attributes):
        return super().begun(live, observed, {**attributes, "more": 1})


class Never(late.Later):
    """Put nothing off."""

    __slots__ = ()

    def begin(self, *args):
        return False


@pytest.mark.parametrize("way", [Forgetful, Silent, Open, Wrong, Never])
def test_a_way_that_differs_is_not_taken(way):
    """Before the end, at it, or behind it."""
    shorter = road_of(TracerProvider(shutdown_on_exit=False)).shorter
    assert rehearsal.passed_late(late.Later, shorter, sdk_trace) is not None
    assert rehearsal.passed_late(way, shorter, sdk_trace) is None


def road_of(made):
    return provider.Road(made)


def test_what_the_sdk_counts_of_itself_is_counted_at_the_start(joined, monkeypatch):
    """Then each span is made at once."""
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    assert road_of(TracerProvider(shutdown_on_exit=False)).later is None
    monkeypatch.delenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED")
    assert road_of(TracerProvider(shutdown_on_exit=False)).later is not None


def test_a_fault_in_there_leaves_the_shorter_way(joined, monkeypatch):
    """It is counted."""

    def broken(*args):
        raise AttributeError("_dict")

    monkeypatch.setattr(rehearsal, "passed_late", broken)
    road = road_of(TracerProvider(shutdown_on_exit=False))
    assert (road.later, road.shorter is None) == (None, False)
    assert health.internal_errors == {"traces.late": 1}
