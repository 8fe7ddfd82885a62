"""Spans of the application's own code, in the light recorder."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from obskit import propagation
from obskit.observation import Observation
from obskit.traces import finished, live
from obskit.traces.live import LightSpan, LightTracer

tracer = LightTracer("mine")


def recording(**kwargs):
    context = SpanContext(1, 2, False, TraceFlags(1))
    return LightSpan(context, "x", SpanKind.INTERNAL, None, "mine", recording=True, **kwargs)


def test_a_span_keeps_what_is_said_of_it(spans):
    """Kind, times, attributes, events, links, status and name."""
    other = SpanContext(7, 8, True)
    span = tracer.start_span(
        "work", kind=SpanKind.PRODUCER, attributes={"a": 1}, links=[Link(other, {"why": "x"})],
        start_time=1000,
    )  # fmt: skip
    span.add_event("happened", {"n": 1}, timestamp=1500)
    span.add_link(SpanContext(9, 10, True))
    span.set_status(StatusCode.OK)
    span.set_status(StatusCode.ERROR, "too late")
    span.update_name("renamed")
    span.end(3000)
    span.end(4000)

    (ended,) = spans
    assert (ended.name, ended.kind, ended.scope) == ("renamed", "producer", "mine")
    assert (ended.started_at_ns, ended.duration_ns) == (1000, 2000)
    assert ended.attributes == {"a": 1}
    assert ended.events == [finished.Event("happened", 1500, {"n": 1})]
    assert [int(link.trace_id, 16) for link in ended.links] == [7, 9]
    assert (ended.status, ended.description) == ("ok", "")
    assert ended.parent_id is None


def test_what_is_said_after_the_end_is_not_kept():
    """As with any span."""
    span = recording()
    span.end()
    span.set_attribute("a", 1)
    span.add_event("late")
    span.update_name("late")
    span.record_exception(ValueError())
    span.add_link(SpanContext(9, 10, True))
    span.set_status(StatusCode.ERROR)

    assert (span.attributes, span.events, span.links, span.name) == ({}, [], [], "x")
    assert span.status is StatusCode.UNSET


def test_an_error_inside_is_recorded_and_goes_on(spans):
    """Both ways to use a span."""
    with pytest.raises(LookupError), tracer.start_as_current_span("one"):
        raise LookupError("no")
    with pytest.raises(LookupError), tracer.start_span("two"):
        raise LookupError("no")

    for span in spans:
        assert (span.status, span.description) == ("error", "LookupError: no")
        (event,) = span.events
        assert event.attributes["exception.type"] == "LookupError"
        assert "LookupError: no" in event.attributes["exception.stacktrace"]


def test_a_cancellation_is_no_error(spans):
    """Whoever leaves early has not failed."""
    with pytest.raises(KeyboardInterrupt), tracer.start_as_current_span("one"):
        raise KeyboardInterrupt
    assert spans[0].status == "unset"


async def test_it_decorates_functions(spans):
    """Plain and async, each call one span."""

    @tracer.start_as_current_span("plain")
    def plain():
        return 1

    @tracer.start_as_current_span("async")
    async def later():
        return 2

    assert (plain(), plain(), await later()) == (1, 1, 2)
    assert [span.name for span in spans] == ["plain", "plain", "async"]


def test_parents_are_respected(spans):
    """The current span, the one of an explicit context, or none."""
    with tracer.start_as_current_span("outer") as outer:
        tracer.start_span("inner").end()
        tracer.start_span("root", context=trace.set_span_in_context(trace.INVALID_SPAN)).end()
    inner, root, _ = spans

    assert inner.parent_id == trace.format_span_id(outer.get_span_context().span_id)
    assert (root.parent_id, root.trace_id == inner.trace_id) == (None, False)


def test_an_unsampled_parent_has_unsampled_children(spans):
    """And the ratio decides on roots."""
    parent = trace.NonRecordingSpan(SpanContext(1, 2, True, TraceFlags(0)))
    child = tracer.start_span("child", context=trace.set_span_in_context(parent))
    propagation.configure(propagation.Policy(ratio=0.0))
    root = tracer.start_span("root")

    for span in (child, root):
        assert not span.is_recording()
        assert span.get_span_context().is_valid
        span.end()
    assert list(spans) == []


def test_with_nobody_listening_spans_have_ids_and_keep_nothing(joined):
    """They name lines all the same."""
    span = tracer.start_span("x", attributes={"a": 1})
    assert span.get_span_context().is_valid
    assert not span.is_recording()
    span.end()
    assert span.attributes == {}


def test_a_status_may_be_an_object():
    """Both spellings are allowed."""
    span = recording()
    span.set_status(Status(StatusCode.ERROR, "why"))
    assert (span.status, span.description) == (StatusCode.ERROR, "why")
    span.set_status(StatusCode.UNSET)
    assert span.status is StatusCode.ERROR


def test_what_a_span_keeps_is_bounded():
    """Endless loops in handlers are no reason to run out of memory."""
    span = recording()
    for number in range(1000):
        span.set_attribute(f"a{number}", number)
        span.add_event("e")
        span.add_link(SpanContext(9, 10, True))
    span.set_attribute("a0", "changed")

    assert len(span.attributes) == live.MOST_ATTRIBUTES
    assert len(span.events) == live.MOST_EVENTS
    assert len(span.links) == live.MOST_LINKS
    assert span.attributes["a0"] == "changed"


values = some.one_of(
    some.text(), some.integers(), some.floats(), some.booleans(), some.none(), some.binary(),
    some.lists(some.one_of(some.text(), some.integers(), some.none())),
    some.dictionaries(some.text(), some.integers()),
)  # fmt: skip


@given(some.dictionaries(some.one_of(some.text(), some.integers()), values))
def test_any_value_may_be_said(attributes):
    """Nothing raises, and a later change of a list changes nothing."""
    span = recording()
    span.set_attributes(attributes)
    span.add_event("e", attributes)

    for value in span.attributes.values():
        assert isinstance(value, (str, int, float, bool, bytes, tuple))
    assert len(span.attributes) <= len(attributes)


def test_a_list_is_kept_as_it_was():
    """It belongs to the application, which goes on with it."""
    span, items = recording(), ["a"]
    span.set_attribute("items", items)
    items.append("b")
    assert span.attributes["items"] == ("a",)


def test_urls_in_what_went_wrong_give_nothing_away(spans):
    """As in lines: not in the status, and not in the event."""
    with pytest.raises(ValueError, match="S3CRET"), tracer.start_as_current_span("x"):
        raise ValueError("for url: http://ada:S3CRET@host/a?token=S3CRET")
    (ended,) = spans

    assert ended.description == "ValueError: for url: http://[redacted]@host/a?[redacted]"
    assert "S3CRET" not in repr(ended.events)


def test_an_exception_has_further_attributes():
    """The caller's own ones win."""
    span = recording()
    span.record_exception(ValueError("x"), {"exception.type": "Mine", "more": 1}, timestamp=5)
    assert span.events[0].at_ns == 5
    assert span.events[0].attributes["exception.type"] == "Mine"
    assert span.events[0].attributes["more"] == 1


def test_the_span_of_an_observation_without_context_is_nothing(spans):
    """It never began."""
    context = SpanContext(1, 2, False, TraceFlags(1))
    span = live.UnitSpan(context, "", SpanKind.INTERNAL, None, "obskit", recording=True)
    span.close(Observation("x"))
    assert list(spans) == []
