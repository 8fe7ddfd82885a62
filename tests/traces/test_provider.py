"""Our observations in a provider of the application's own."""

import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanKind, StatusCode

from obskit import context, health, observation, propagation
from obskit.observation import Kind, Observation, observe, unit_of_work
from obskit.traces import late, provider, shortcut
from obskit.traces.recorder import offer

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
REMOTE = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


@pytest.fixture(autouse=True, params=["late", "shorter", "longer"])
def way(request, monkeypatch):
    """Make spans late, start them by the shorter way, where these are open, and by the SDK's."""
    if request.param == "shorter":
        monkeypatch.setattr(late, "find", lambda shorter: None)
    if request.param == "longer":
        monkeypatch.setattr(shortcut, "VERSIONS", ())


def ids(span):
    found = span.get_span_context()
    return trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)


def request(headers=None, **labels):
    return Observation(
        "GET",
        Kind.SERVER,
        protocol="http",
        labels={"http_request_method": "GET", **labels},
        carrier=headers or {},
        peer="127.0.0.1",
    )


def serve(work=None, error=None):
    work = work or request()
    observation.start(work)
    observation.end(work, error)
    return work


def test_the_span_has_our_ids(sdk):
    """At an entry we mint them, and his exporter gets them."""
    exporter = sdk()
    work = serve()

    span = exporter.get_finished_spans()[0]
    assert ids(span) == (work.context.trace_id, work.context.span_id)
    assert (span.name, span.kind, span.parent) == ("GET", SpanKind.SERVER, None)
    assert span.instrumentation_scope.name == "obskit"
    assert span.end_time - span.start_time == work.duration_ns


def test_its_parent_is_the_callers_span(sdk):
    """The remote one that the headers name, with the state that travels along."""
    exporter = sdk()
    serve(request({**REMOTE, "tracestate": "foo=1,9other=2"}))

    span = exporter.get_finished_spans()[0]
    assert (span.parent.span_id, span.parent.is_remote) == (int(SPAN, 16), True)
    assert ids(span)[0] == TRACE
    assert span.get_span_context().trace_state["foo"] == "1"


def test_the_state_on_the_wire_is_what_came_in(sdk):
    """OpenTelemetry does not know all keys of the standard: they travel on nevertheless."""
    sdk()
    work = request({**REMOTE, "tracestate": "foo=1,9other=2"})
    observation.start(work)
    assert dict(propagation.headers())["tracestate"] == "foo=1,9other=2"
    observation.end(work)


def test_a_call_agrees_on_the_wire_on_lines_and_in_his_exporter(sdk):
    """The traceparent that is sent names the CLIENT span that is exported."""
    exporter = sdk()
    entry, carrier = request(), {}
    observation.start(entry)
    call = Observation("GET", Kind.CLIENT, carrier=carrier, peer="shop")
    observation.start(call)
    here = context.get().span_id
    observation.end(call)
    observation.end(entry)

    client, server = exporter.get_finished_spans()
    assert ids(client) == (carrier["traceparent"].split("-")[1], here)
    assert carrier["traceparent"].split("-")[2] == here
    assert client.parent.span_id == int(entry.context.span_id, 16)
    assert (client.kind, server.kind) == (SpanKind.CLIENT, SpanKind.SERVER)


def test_steps_and_his_spans_are_one_tree(sdk):
    """Whoever makes them."""
    exporter = sdk()
    with unit_of_work("job"):
        with trace.get_tracer("his").start_as_current_span("his"):
            with observe("ours"):
                pass

    ours, his, job = exporter.get_finished_spans()
    assert (ours.parent.span_id, his.parent.span_id) == (
        his.context.span_id,
        job.context.span_id,
    )
    assert job.parent is None


class Counting(IdGenerator):
    """His own ids."""

    def __init__(self):
        self.count = 0

    def generate_span_id(self):
        self.count += 1
        return self.count

    def generate_trace_id(self):
        return 7


def test_his_own_ids_stay_his(sdk):
    """Spans of his code have the ids of his generator, ours have ours."""
    generator = Counting()
    exporter = sdk(id_generator=generator)
    work = serve()
    trace.get_tracer("his").start_span("his").end()

    ours, his = exporter.get_finished_spans()
    assert ids(ours) == (work.context.trace_id, work.context.span_id)
    assert (his.context.trace_id, his.context.span_id) == (7, 1)


@pytest.mark.parametrize(
    ("sampler", "headers", "kept"),
    [
        (ALWAYS_ON, {}, True),
        (ALWAYS_OFF, {}, False),
        (ParentBased(ALWAYS_OFF), REMOTE, True),
        (ParentBased(ALWAYS_ON), {"traceparent": f"00-{TRACE}-{SPAN}-00"}, False),
        (ALWAYS_ON, {"traceparent": f"00-{TRACE}-{SPAN}-00"}, True),
        (TraceIdRatioBased(0.0), {}, False),
    ],
)
def test_his_sampler_decides(sdk, sampler, headers, kept):
    """What it says is in his exporter, and in the flags that are sent."""
    exporter = sdk(sampler=sampler)
    work = request(headers)
    observation.start(work)
    carrier = {}
    observation.inject(carrier)
    assert trace.get_current_span().is_recording() is kept
    observation.end(work)

    assert len(exporter.get_finished_spans()) == kept
    assert int(carrier["traceparent"][-2:], 16) & 1 == kept


class Looking(Sampler):
    """See what a sampler is told, and change the state."""

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, *rest):
        self.seen = (name, kind, dict(attributes), baggage.get_all(parent_context))
        state = trace.TraceState([("his", "1")])
        return SamplingResult(ALWAYS_ON.should_sample(None, 1, "").decision, attributes, state)

    def get_description(self):
        return "looking"


def test_a_sampler_sees_what_is_known(sdk):
    """Name, kind, attributes and baggage; the state that it makes is sent on."""
    sampler = Looking()
    sdk(sampler=sampler)
    work = request({**REMOTE, "baggage": "tenant=a"})
    observation.start(work)
    carrier = {}
    observation.inject(carrier)
    observation.end(work)

    name, kind, attributes, entries = sampler.seen
    assert (name, kind, attributes["http.request.method"]) == ("GET", SpanKind.SERVER, "GET")
    assert entries["tenant"] == "a"
    assert carrier["tracestate"] == "his=1"


def test_the_handlers_span_is_his_own_object(sdk):
    """What is said of it in the handler is exported, also the name that it is given."""
    exporter = sdk()
    work = request()
    observation.start(work)
    span = trace.get_current_span()
    span.set_attribute("order", 7)
    span.add_event("charged")
    span.record_exception(ValueError("no"))
    span.set_status(StatusCode.OK)
    span.update_name("mine")
    work.name = "GET /orders/{id}"
    observation.end(work)

    ended = exporter.get_finished_spans()[0]
    assert ended.attributes["order"] == 7
    assert [event.name for event in ended.events] == ["charged", "exception"]
    assert (ended.status.status_code, ended.name) == (StatusCode.OK, "mine")


def test_the_route_names_the_span(sdk):
    """It is known later than the span."""
    exporter = sdk()
    work = request()
    observation.start(work)
    work.name, work.status = "GET /orders/{id}", 200
    work.labels["http_route"] = "/orders/{id}"
    observation.end(work)

    span = exporter.get_finished_spans()[0]
    assert (span.name, span.attributes["http.route"]) == ("GET /orders/{id}", "/orders/{id}")
    assert span.attributes["http.response.status_code"] == 200
    assert span.status.status_code is StatusCode.UNSET


def test_an_error_is_on_the_span(sdk):
    """As an exception that happened, and as its status."""
    exporter = sdk()
    serve(error=LookupError("no such order"))

    span = exporter.get_finished_spans()[0]
    assert (span.status.status_code, span.status.description) == (
        StatusCode.ERROR,
        "LookupError: no such order",
    )
    assert span.attributes["error.type"] == "LookupError"
    assert [event.name for event in span.events] == ["exception"]


def test_links_are_his_links(sdk):
    """A background task is linked to its request."""
    exporter = sdk()
    work = Observation("background")
    work.links = ((TRACE, SPAN),)
    serve(work)

    assert [ids_of(link) for link in exporter.get_finished_spans()[0].links] == [(TRACE, SPAN)]


def ids_of(link):
    return trace.format_trace_id(link.context.trace_id), trace.format_span_id(link.context.span_id)


def test_a_health_check_is_exported_only_if_it_fails(sdk):
    """The span that is made late has the ids of the lines."""
    exporter = sdk()
    for status in (200, 503):
        work = request()
        work.quiet = True
        observation.start(work)
        with trace.get_tracer("his").start_as_current_span("database"):
            pass
        work.status = status
        observation.end(work)

    assert [ids(span) for span in exporter.get_finished_spans()] == [
        (work.context.trace_id, work.context.span_id)
    ]


def test_a_provider_without_our_hold_keeps_its_ids_and_we_take_them(joined):
    """A vendor's provider mints its own: lines and calls have those then."""

    class Vendor(trace.TracerProvider):
        def get_tracer(self, *args, **kwargs):
            return VendorTracer()

    class VendorTracer(trace.NoOpTracer):
        def start_span(self, name, **kwargs):
            return trace.NonRecordingSpan(trace.SpanContext(5, 6, False, trace.TraceFlags(1)))

    trace.set_tracer_provider(Vendor())
    work = request()
    observation.start(work)
    carrier = {}
    observation.inject(carrier)
    observation.end(work)

    assert (work.context.trace_id, work.context.span_id) == (f"{5:032x}", f"{6:016x}")
    assert carrier["traceparent"] == f"00-{5:032x}-{6:016x}-03"
    assert work.context.correlation_id == work.context.trace_id


def test_a_provider_that_does_nothing_leaves_our_ids(joined):
    """With a caller's span and without, nothing is taken over from it."""
    trace.set_tracer_provider(trace.NoOpTracerProvider())
    for headers in ({}, REMOTE):
        work = serve(request(headers))
        assert work.context.span_id != SPAN
        assert work.context.trace_id.strip("0")


def test_a_provider_of_one_application_has_its_spans(sdk, spans):
    """Given to FastAPI alone, it gets the SERVER span and what is below it."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, own = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    own.add_span_processor(SimpleSpanProcessor(exporter))
    work = request()
    observation.start(work)
    offer(work, own)
    offer(work, own)
    with observe("step"):
        pass
    observation.end(work)

    assert [span.name for span in exporter.get_finished_spans()] == ["step", "GET"]
    assert list(spans) == []


def test_many_providers_are_each_served(joined, spans):
    """Applications that bring their own come in turns, and are not all kept for ever."""
    from opentelemetry.sdk.trace import TracerProvider

    made = [TracerProvider(shutdown_on_exit=False) for _ in range(provider.MOST_ROADS + 3)]
    for own in [*made, *made[-2:]]:
        work = request()
        observation.start(work)
        offer(work, own)
        assert trace.get_current_span().instrumentation_scope.name == "obskit"
        assert trace.get_current_span().resource is own.resource
        observation.end(work)
    assert 2 <= len(provider._roads) <= provider.MOST_ROADS


def test_two_providers_in_turns_are_looked_at_once_each(joined, monkeypatch):
    """What is known of a provider is not found out again with each request."""
    from opentelemetry.sdk.trace import TracerProvider

    looked = []
    monkeypatch.setattr(shortcut, "find", looked.append)
    made = [TracerProvider(shutdown_on_exit=False) for _ in range(2)]
    for own in made * 3:
        work = request()
        observation.start(work)
        offer(work, own)
        observation.end(work)
    assert len(looked) == 2


def test_a_fault_of_his_processors_is_contained(sdk):
    """The request goes on; it is counted."""

    class Broken(SpanProcessor):
        def on_start(self, span, parent_context=None):
            raise LookupError("no")

    sdk()
    trace.get_tracer_provider().add_span_processor(Broken())
    serve()
    assert set(health.internal_errors) == {"traces.start"}


def test_asking_loads_no_provider(joined, monkeypatch):
    """OpenTelemetry would load what its environment names when it is asked."""
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
    assert not provider.has_provider()
    serve()
    assert trace._TRACER_PROVIDER is None


def server_of_others(**kwargs):
    return trace.get_tracer("somebody").start_as_current_span("GET", kind=SpanKind.SERVER, **kwargs)


def test_a_server_span_that_others_made_for_the_request_is_ours_too(sdk):
    """A middleware outside of the application: one SERVER span, and lines have its ids."""
    exporter = sdk()
    with server_of_others() as span:
        work = request()
        observation.start(work)
        assert context.get().span_id == ids(span)[1]
        assert context.get().correlation_id == ids(span)[0]
        with observe("step"):
            pass
        work.status = 200
        observation.end(work)
        assert span.is_recording()

    step, server = exporter.get_finished_spans()
    assert [one.kind for one in (step, server)] == [SpanKind.INTERNAL, SpanKind.SERVER]
    assert step.parent.span_id == server.context.span_id
    assert server.attributes["obskit.outcome"] == "ok"


def test_a_call_that_another_library_has_a_span_for_has_one(sdk):
    """Its CLIENT span is the one that is sent."""
    exporter = sdk()
    carrier = {}
    with unit_of_work("job"):
        tracer = trace.get_tracer("opentelemetry.instrumentation.requests")
        with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT) as span:
            call = Observation("GET", Kind.CLIENT, carrier=carrier, peer="shop")
            observation.start(call)
            observation.end(call)
        with observe("next"):
            pass

    assert carrier["traceparent"].split("-")[2] == ids(span)[1]
    kinds = [one.kind for one in exporter.get_finished_spans()]
    assert kinds == [SpanKind.CLIENT, SpanKind.INTERNAL, SpanKind.INTERNAL]
