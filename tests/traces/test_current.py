"""OpenTelemetry's current span and our own place."""

import asyncio
import logging
import threading
from contextvars import copy_context

import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry import context as api
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

from obskit import context, health, observation
from obskit.observation import Kind, Observation, observe, unit_of_work
from obskit.traces import current

REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
tracer = trace.get_tracer("early")


def span_id(span):
    return trace.format_span_id(span.get_span_context().span_id)


def here():
    return context.get()


def test_the_current_span_is_that_of_the_unit_of_work(spans):
    """Asked twice it is the same object, with our ids."""
    with unit_of_work("job"):
        span = trace.get_current_span()
        assert trace.get_current_span() is span
        found = span.get_span_context()
        assert trace.format_trace_id(found.trace_id) == here().trace_id
        assert span_id(span) == here().span_id
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_no_span_is_made_for_whoever_asks_for_another_value(spans):
    """What others have attached is found, and the span only when it is asked for."""
    key = api.create_key("mine")
    with unit_of_work("job"):
        assert api.get_value(key) is None
        assert here().unit.spans is None
        token = api.attach(api.set_value(key, 7))
        assert api.get_value(key) == 7
        assert api.get_value(key, api.Context()) is None
        api.detach(token)
        assert api.get_value(key) is None
        assert trace.get_current_span().get_span_context().is_valid


def test_a_step_has_a_span_of_its_own(spans):
    """Inside the step it is current, after it the outer one is again."""
    with unit_of_work("job"):
        outer = trace.get_current_span()
        with observe("step"):
            inner = trace.get_current_span()
            assert span_id(inner) == here().span_id != span_id(outer)
        assert trace.get_current_span() is outer


def test_a_span_of_the_application_is_the_place_of_its_lines(spans):
    """What it makes current names lines and calls, and leads back to where we were."""
    with unit_of_work("job"):
        before = here()
        with tracer.start_as_current_span("mine") as span:
            carrier = {}
            observation.inject(carrier)
            assert here().span_id == span_id(span)
            assert carrier["traceparent"].split("-")[2] == span_id(span)
            assert trace.get_current_span() is span
        assert here() is before


def test_ours_and_theirs_may_alternate(spans):
    """Each is below the one before, whoever made it."""
    with unit_of_work("job"):
        root = here().span_id
        with tracer.start_as_current_span("one") as one:
            with observe("two"):
                two = here().span_id
                with tracer.start_as_current_span("three"):
                    pass
                assert span_id(trace.get_current_span()) == two
            assert trace.get_current_span() is one

    parents = {span.name: span.parent_id for span in spans}
    assert parents == {"one": root, "two": span_id(one), "three": two, "job": None}


def test_what_is_bound_inside_of_a_span_stays_bound(spans):
    """As after a step of our own."""
    with unit_of_work("job"):
        with tracer.start_as_current_span("mine"):
            context.bind(order=7)
        assert here().fields == {"order": 7}


def test_a_span_outside_of_any_operation_begins_one(spans):
    """Its trace is the operation, and nothing is left of it afterwards."""
    with tracer.start_as_current_span("cron") as span:
        assert here().correlation_id == here().trace_id
        assert here().correlation_source == "generated"
        assert here().unit.root_span_id == span_id(span)
        with observe("step"):
            pass
    assert here() is None

    assert {one.name: one.parent_id for one in spans} == {"step": span_id(span), "cron": None}
    assert len({one.trace_id for one in spans}) == 1


def test_a_message_taken_by_others_is_continued(spans):
    """What OpenTelemetry has extracted and attached says correlation ID and parent."""
    headers = {"traceparent": REMOTE, "baggage": "obskit.correlation=cid,obskit.hop=3,tenant=a"}
    token = api.attach(propagate.extract(headers))
    try:
        with tracer.start_as_current_span("process", kind=trace.SpanKind.CONSUMER) as span:
            assert here().correlation_id == "cid"
            assert here().hop == 4
            assert here().unit.root_span_id == span_id(span)
            assert here().baggage == "tenant=a"
    finally:
        api.detach(token)

    assert here() is None
    assert [one.parent_id for one in spans] == ["b7ad6b7169203331"]


def test_another_trace_inside_of_an_operation_stays_within_the_operation(spans):
    """Lines have its ids and still the correlation ID; its calls are the operation's."""
    with unit_of_work("job", correlation_id="cid") as work:
        with tracer.start_as_current_span("new root", context=api.Context()) as span:
            assert here().correlation_id == "cid"
            assert here().trace_id == trace.format_trace_id(span.get_span_context().trace_id)
            assert here().trace_id != work.context.trace_id
            observation.end(start_call())
        assert here() is work.context
        assert work.context.unit.call_count == 1


def start_call():
    call = Observation("GET", Kind.CLIENT, carrier={}, peer="shop")
    observation.start(call)
    return call


def test_a_context_without_a_span_is_respected(spans):
    """Who clears OpenTelemetry's context gets what he wanted."""
    with unit_of_work("job"):
        token = api.attach(api.Context())
        assert trace.get_current_span() is trace.INVALID_SPAN
        api.detach(token)
        assert span_id(trace.get_current_span()) == here().span_id


def test_other_values_are_kept_beside_the_span(spans):
    """A value that was attached outside is found inside of a step."""
    key = api.create_key("mine")
    with unit_of_work("job"):
        token = api.attach(api.set_value(key, 1))
        with observe("step"):
            assert api.get_value(key) == 1
            assert span_id(trace.get_current_span()) == here().span_id
        api.detach(token)
        assert api.get_value(key) is None


def test_what_somebody_did_not_detach_ends_with_its_operation(spans):
    """A leaked context says nothing in the next operation of the same task."""
    with unit_of_work("one"):
        api.attach(baggage.set_baggage("tenant", "a"))
        api.attach(trace.set_span_in_context(tracer.start_span("lost")))
    with unit_of_work("two"):
        assert baggage.get_all() == {}
        assert span_id(trace.get_current_span()) == here().span_id


def test_a_token_of_another_task_hurts_nobody(spans, caplog):
    """OpenTelemetry reports it as ever, and our place stays."""
    with unit_of_work("job"):
        before = here()
        token = copy_context().run(lambda: api.attach(api.set_value("a", 1)))
        with caplog.at_level(logging.ERROR):
            api.detach(token)
        assert here() is before
    assert "Failed to detach context" in caplog.text
    assert health.internal_errors == {}


def test_detaching_in_the_wrong_order_leads_nowhere_strange(spans):
    """Whatever is left when the operation ends, nothing of it stays."""
    with unit_of_work("job"):
        first = api.attach(trace.set_span_in_context(tracer.start_span("a")))
        second = api.attach(trace.set_span_in_context(tracer.start_span("b")))
        api.detach(first)
        api.detach(second)
    assert here() is None
    assert health.internal_errors == {}


def test_a_thread_has_what_it_was_given(spans):
    """In a copied context the application's span is current there too."""
    seen = []
    with unit_of_work("job"):
        with tracer.start_as_current_span("mine") as span:
            run = copy_context().run
            thread = threading.Thread(
                target=run, args=(lambda: seen.append((trace.get_current_span(), here().span_id)),)
            )
            thread.start()
            thread.join()

    assert seen == [(span, span_id(span))]


async def test_tasks_do_not_mix(spans):
    """Each task has the span that it has made current itself."""

    async def work(name):
        with tracer.start_as_current_span(name) as span:
            await asyncio.sleep(0)
            assert trace.get_current_span() is span
            assert here().span_id == span_id(span)
        return here().span_id

    with unit_of_work("job"):
        root = here().span_id
        assert await asyncio.gather(*map(work, "abc")) == [root] * 3


def test_suppressed_instrumentation_is_suppressed_for_us_too(spans):
    """What an exporter sends is no work of the service."""
    token = api.attach(api.set_value(api._SUPPRESS_INSTRUMENTATION_KEY, True))
    assert observation.is_suppressed()
    api.detach(token)
    assert not observation.is_suppressed()


def test_switched_off_we_pass_everything_through(joined):
    """Our runtime context stays in place and answers as OpenTelemetry's own."""
    from obskit.traces.recorder import state

    state.on = False
    with unit_of_work("job"):
        assert trace.get_current_span() is trace.INVALID_SPAN
        with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, False))):
            assert here().span_id != f"{2:016x}"


def test_install_is_done_once(joined):
    """A second time nothing is put around ours."""
    before = api._RUNTIME_CONTEXT
    current.install()
    assert api._RUNTIME_CONTEXT is before


def test_opentelemetry_still_has_the_private_border_that_we_use(joined):
    """If this fails, OpenTelemetry has changed how it keeps its context: see the eager way."""
    assert isinstance(api._RUNTIME_CONTEXT, current.RuntimeContext)
    inner = api._RUNTIME_CONTEXT.inner
    assert type(inner) is ContextVarsRuntimeContext
    assert api.get_current() == inner.get_current()
    assert isinstance(api._SUPPRESS_INSTRUMENTATION_KEY, str)
    assert api._RUNTIME_CONTEXT.attached == inner._current_context.get
    assert api._RUNTIME_CONTEXT._current_context is inner._current_context


def test_a_runtime_context_of_others_is_asked_in_its_own_words(joined, monkeypatch):
    """OpenTelemetry lets its environment name one, which may keep contexts wherever it likes."""

    class Elsewhere(ContextVarsRuntimeContext):
        def get_current(self):
            return api.Context({"mine": 7})

    monkeypatch.setattr(api, "_RUNTIME_CONTEXT", current.RuntimeContext(Elsewhere()))
    with unit_of_work("job"):
        assert api.get_value("mine") == 7
        assert trace.get_current_span().get_span_context().is_valid
    monkeypatch.setattr(api, "_RUNTIME_CONTEXT", Elsewhere())
    with unit_of_work("job"):
        assert api.get_value("mine") == 7
    assert current.attached() == {"mine": 7}


@pytest.mark.parametrize("value", [None, "a span", 7])
def test_what_is_no_span_is_none(spans, value):
    """Anybody can put anything under that key."""
    from opentelemetry.trace.propagation import _SPAN_KEY

    with unit_of_work("job"):
        token = api.attach(api.set_value(_SPAN_KEY, value))
        assert trace.get_current_span() is trace.INVALID_SPAN
        api.detach(token)
    assert health.internal_errors == {}
