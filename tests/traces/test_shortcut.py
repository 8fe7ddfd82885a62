"""The shorter way to spans of OpenTelemetry's SDK: nothing about them tells which way they came."""

import enum
import json
import re
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.sdk.version import __version__

from obskit import health, observation, propagation
from obskit.observation import Kind, Observation, observe
from obskit.traces import provider, shortcut

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
KNOWN = pytest.mark.skipif(
    not __version__.startswith(shortcut.VERSIONS), reason="the SDK's own way is taken"
)


class Tone(enum.StrEnum):
    """A text that is more than a text."""

    LOUD = "loud"


class Saying(Sampler):
    """Decide as told, and say something of its own about the span."""

    def __init__(self, decision, attributes):
        self.decision, self.attributes = decision, attributes

    def should_sample(self, parent_context, trace_id, name, kind, attributes, links):
        found = self.attributes if self.attributes is None else {**attributes, **self.attributes}
        return SamplingResult(self.decision, found, trace.TraceState([("his", "1")]))

    def get_description(self):
        return "saying"


class Watching(SpanProcessor):
    """Note all that a processor is told."""

    def __init__(self):
        self.heard = []

    def on_start(self, span, parent_context=None):
        parent = trace.get_current_span(parent_context).get_span_context()
        self.heard.append(("start", shown(span), parent))

    def on_end(self, span):
        self.heard.append(("end", shown(span)))


def shown(span):
    """Return all that a span says of itself, except for when it was."""
    found = json.loads(span.to_json())
    dropped = span.dropped_attributes, span.dropped_events, span.dropped_links
    context = span.get_span_context()
    scope = span.instrumentation_scope
    del found["start_time"], found["end_time"], found["resource"]
    for event in found["events"]:
        del event["timestamp"]
    found["attributes"] = sorted(map(repr, (span.attributes or {}).items()))
    return found, dropped, context.trace_flags, scope, span.resource is not None


def request(headers, **attributes):
    work = Observation("GET", Kind.SERVER, "http", {"http_request_method": "GET"}, attributes)
    work.carrier, work.peer = headers, "127.0.0.1"
    return work


def everything(headers, **attributes):
    """Serve a request that says a lot, and return what is sent to the next service."""
    work, carrier = request(headers, **attributes), {}
    observation.start(work)
    with observe("step"):
        observation.inject(carrier)
    trace.get_current_span().add_event("charged", {"cents": 100})
    trace.get_current_span().set_attribute("late", 1)
    work.name, work.status = "GET /orders/{id}", 200
    work.labels["http_route"] = "/orders/{id}"
    observation.end(work)
    failed = request(headers)
    observation.start(failed)
    observation.end(failed, LookupError("no such order"))
    return {name: carrier[name] for name in ("traceparent", "tracestate") if name in carrier}


def told(headers, attributes, options, monkeypatch):
    """Return what processors and the next service are told, and whether it was the shorter way."""
    watching, made = Watching(), TracerProvider(shutdown_on_exit=False, **options)
    made.add_span_processor(watching)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", made)
    sent = everything(headers, **attributes)
    return numbered(f"{sent} {watching.heard}"), provider._roads[id(made)][1].shorter


def numbered(text):
    """Return *text* with each ID, which is another each time, as the number of its appearance."""
    seen = {}
    return re.sub(
        r"\b(0x)?([0-9a-f]{32}|[0-9a-f]{16})\b",
        lambda found: f"<{seen.setdefault(found[2], len(seen))}>",
        text,
    )


REMOTE = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
CASES = {
    "remote": (REMOTE, {}, {}),
    "root": ({}, {}, {}),
    "not sampled": ({"traceparent": f"00-{TRACE}-{SPAN}-00"}, {}, {}),
    "random": ({"traceparent": f"00-{TRACE}-{SPAN}-03"}, {}, {}),
    "state": ({**REMOTE, "tracestate": "foo=1,bar=2"}, {}, {}),
    "baggage": ({**REMOTE, "baggage": "tenant=a"}, {}, {}),
    "every type": (REMOTE, {"a": 1, "b": 0.5, "c": True, "d": ["x", "y"], "e": None}, {}),
    "a text that is more": (REMOTE, {"tone": Tone.LOUD}, {}),
    "always off": (REMOTE, {}, {"sampler": ALWAYS_OFF}),
    "always on": ({}, {}, {"sampler": ALWAYS_ON}),
    "ratio": ({}, {}, {"sampler": ParentBased(TraceIdRatioBased(1.0))}),
    "parents differ": (
        REMOTE,
        {},
        {"sampler": ParentBased(ALWAYS_OFF, local_parent_sampled=ALWAYS_OFF)},
    ),
    "says more": (REMOTE, {}, {"sampler": Saying(Decision.RECORD_AND_SAMPLE, {"x": (1, 2)})}),
    "says what is no value": (
        REMOTE,
        {},
        {"sampler": Saying(Decision.RECORD_AND_SAMPLE, {"x": {1}})},
    ),
    "says it without a name": (
        REMOTE,
        {},
        {"sampler": Saying(Decision.RECORD_AND_SAMPLE, {"": "x"})},
    ),
    "says it by number": (REMOTE, {}, {"sampler": Saying(Decision.RECORD_AND_SAMPLE, {7: "x"})}),
    "says nothing": (REMOTE, {}, {"sampler": Saying(Decision.RECORD_AND_SAMPLE, None)}),
    "records only": (REMOTE, {}, {"sampler": Saying(Decision.RECORD_ONLY, {})}),
    "drops": (REMOTE, {}, {"sampler": Saying(Decision.DROP, {})}),
    "his root": ({}, {}, {"sampler": ParentBased(Saying(Decision.RECORD_AND_SAMPLE, {"x": 1}))}),
    "few attributes": (REMOTE, {"a": 1}, {"span_limits": SpanLimits(max_span_attributes=2)}),
    "hardly room": (REMOTE, {"a": 1}, {"span_limits": SpanLimits(max_span_attributes=4)}),
    "no attributes": (REMOTE, {"a": 1}, {"span_limits": SpanLimits(max_span_attributes=0)}),
    "short values": (REMOTE, {}, {"span_limits": SpanLimits(max_span_attribute_length=2)}),
    "no events": (REMOTE, {}, {"span_limits": SpanLimits(max_events=0)}),
}


@KNOWN
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_both_ways_lead_to_the_same_spans(joined, monkeypatch, case):
    """Whatever the application has set, its processors and the next service hear the same."""
    headers, attributes, options = case
    with monkeypatch.context() as patch:
        shorter, way = told(headers, attributes, options, patch)
    assert way is not None
    with monkeypatch.context() as patch:
        patch.setattr(shortcut, "VERSIONS", ())
        longer, way = told(headers, attributes, options, patch)
    assert way is None
    assert shorter == longer
    assert health.internal_errors == {}


def test_the_installed_sdk_was_looked_at():
    """A newer one is served in its own way: see whether these tests pass with it, and add it."""
    assert __version__.startswith(shortcut.VERSIONS) or older(__version__)


def older(version):
    """Tell whether *version* is older than all that are known."""
    known = [tuple(map(int, one.strip(".").split("."))) for one in shortcut.VERSIONS]
    return tuple(map(int, version.split(".")[:2])) < min(known)


@pytest.mark.parametrize("version", ["1.25.0", "1.43.1", "2.0.0", "1.450.0", ""])
def test_an_sdk_that_nobody_has_tried_is_served_in_its_own_way(sdk, monkeypatch, version):
    """Its inside may be another."""
    monkeypatch.setattr(sys.modules["opentelemetry.sdk.version"], "__version__", version)
    exporter = sdk()
    serve()
    assert road().shorter is None
    assert len(exporter.get_finished_spans()) == 1


def serve():
    work = request({})
    observation.start(work)
    observation.end(work)


def road():
    return provider._roads[id(trace.get_tracer_provider())][1]


PATCHED = [
    (sdk_trace.Tracer, "start_span"),
    (sdk_trace.Span, "__init__"),
    (sdk_trace.Span, "start"),
    (sdk_trace.Span, "set_attributes"),
    (sdk_trace.Span, "update_name"),
    (sdk_trace.Span, "end"),
    (sdk_trace.Span, "_readable_span"),
    (sdk_trace.ReadableSpan, "__init__"),
    (sdk_trace.BoundedAttributes, "__init__"),
    (ParentBased, "should_sample"),
]


@KNOWN
@pytest.mark.parametrize(("owner", "name"), PATCHED)
def test_what_somebody_has_put_around_the_sdk_is_called(sdk, monkeypatch, owner, name):
    """Then its own way is taken, and his wrapper sees each span."""
    calls = []
    original = vars(owner)[name]

    def wrapper(*args, **kwargs):
        calls.append(name)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrapper)
    exporter = sdk()
    work = request({})
    observation.start(work)
    work.name = "GET /"
    observation.end(work)

    assert road().shorter is None
    assert calls
    assert [span.name for span in exporter.get_finished_spans()] == ["GET /"]


@KNOWN
@pytest.mark.parametrize("owner", ["class", "tracer"])
def test_what_is_put_around_the_tracer_later_is_called_too(sdk, monkeypatch, owner):
    """It is looked for at each span."""
    sdk()
    serve()
    tracer = road().tracer
    original, calls = tracer.start_span, []

    def wrapper(*args, **kwargs):
        calls.append(kwargs["kind"])
        return original(*[arg for arg in args if arg is not tracer], **kwargs)

    monkeypatch.setattr(sdk_trace.Tracer if owner == "class" else tracer, "start_span", wrapper)
    serve()
    assert calls == [trace.SpanKind.SERVER]


@KNOWN
def test_a_tracer_of_his_own_class_goes_its_own_way(joined, monkeypatch):
    """It may do more than the SDK's."""

    class Tracer(sdk_trace.Tracer):
        pass

    made = TracerProvider(shutdown_on_exit=False)
    tracer = made.get_tracer("obskit")
    tracer.id_generator = shortcut.Ids(tracer.id_generator)
    assert shortcut.find(tracer) is not None
    tracer.__class__ = Tracer
    assert shortcut.find(tracer) is None


@KNOWN
def test_a_tracer_that_is_switched_off_records_nothing(sdk):
    """Also if that happens while the service runs."""
    exporter = sdk()
    serve()
    road().tracer._set_tracer_config(sdk_trace._TracerConfig(is_enabled=False))
    serve()
    assert len(exporter.get_finished_spans()) == 1
    assert health.internal_errors == {}


@KNOWN
def test_a_fault_in_there_leaves_the_sdks_own_way(sdk, monkeypatch):
    """It is counted."""

    def broken(*args):
        raise AttributeError("_dict")

    monkeypatch.setattr(shortcut.rehearsal, "passed", broken)
    exporter = sdk()
    serve()
    assert len(exporter.get_finished_spans()) == 1
    assert health.internal_errors == {"traces.shortcut": 1}


def test_a_span_that_the_application_has_ended_is_left_alone(sdk, caplog):
    """Nothing more is said of it, and the SDK has nothing to warn of."""
    exporter = sdk()
    work = request({})
    observation.start(work)
    trace.get_current_span().end()
    work.name, work.status = "GET /", 200
    observation.end(work)

    (span,) = exporter.get_finished_spans()
    assert (span.name, "http.response.status_code" in span.attributes) == ("GET", False)
    assert caplog.records == []


def test_the_samplers_decision_is_on_the_wire(sdk):
    """A parent-based one that drops what others have sampled."""
    sdk(sampler=ParentBased(ALWAYS_ON, remote_parent_sampled=ALWAYS_OFF))
    work = request(REMOTE)
    observation.start(work)
    flags = dict(propagation.headers())["traceparent"][-2:]
    observation.end(work)
    assert flags == "00"


def test_what_samplers_there_are_is_known():
    """The default one is what the shorter way knows best."""
    assert type(DEFAULT_ON) is ParentBased
    assert TracerProvider(shutdown_on_exit=False).sampler is DEFAULT_ON
