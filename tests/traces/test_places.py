"""Places for spans of others; what they do is tested with the current span and providers."""

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from obskit import clock, context
from obskit.observation import unit_of_work
from obskit.traces import places


def span_of(trace_id, span_id, remote=False):
    return NonRecordingSpan(SpanContext(trace_id, span_id, remote, TraceFlags(1)))


def test_a_span_without_ids_is_no_place(joined):
    """Nothing is attached."""
    assert places.enter(trace.INVALID_SPAN, None, {}) is None
    assert context.get() is None


def test_where_we_are_already_is_no_step(joined):
    """The span of our own place leads nowhere."""
    with unit_of_work("job"):
        here = context.get()
        same = span_of(int(here.trace_id, 16), int(here.span_id, 16))
        assert places.enter(same, here, {}) is None


def test_the_sampling_of_others_is_ours(joined):
    """A trace that begins with their span has their flags."""
    step = places.enter(span_of(1, 2), None, {})
    assert context.get().sampled
    assert clock.current() is not None
    places.leave(step)
    assert (context.get(), clock.current()) == (None, None)


def test_a_process_that_has_bound_fields_keeps_them(joined):
    """They are on the lines of the span too."""
    context.bind(version="1")
    before = context.get()
    step = places.enter(span_of(1, 2), before, {})
    assert context.get().fields == {"version": "1"}
    places.leave(step)
    assert context.get() is before


def test_a_unit_can_get_other_ids(joined):
    """All that was made of the old ones is made anew, its clock included."""
    with unit_of_work("job", correlation_id="cid") as work:
        here = work.context
        places.rename(here, SpanContext(5, 6, False), SpanContext(5, 7, True))
        assert (here.trace_id, here.span_id) == (f"{5:032x}", f"{6:016x}")
        assert here.parent_span_id == here.unit.parent_span_id == f"{7:016x}"
        assert here.correlation_id == "cid"
        assert f'"lc_at":"{6:016x}-1"' in clock.tick()
