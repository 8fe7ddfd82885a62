"""The spans that are open."""

import logging

import pytest
from opentelemetry import trace

from obskit import context
from obskit.observation import unit_of_work
from obskit.traces import spans as open_spans


def test_the_span_of_a_place_is_made_once(joined):
    """Also when fields are bound in between: it is the same place."""
    with unit_of_work("job"):
        assert open_spans.known(context.get()) is None
        live = open_spans.span_of(context.get())
        context.bind(order=7)
        assert open_spans.span_of(context.get()) is live
        assert open_spans.known(context.get()) is live
        open_spans.forget(context.get())
        assert open_spans.known(context.get()) is None


def test_the_first_to_register_stays(joined):
    """A span that is made current twice is forgotten once."""
    with unit_of_work("job"):
        live = open_spans.span_of(context.get())
        assert not open_spans.register(context.get(), trace.INVALID_SPAN)
        assert open_spans.known(context.get()) is live


def test_outside_nothing_is_known():
    """There is no place."""
    assert open_spans.known(None) is None


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("foo=1,bar=2", {"foo": "1", "bar": "2"}),
        ("9foo=1,bar=2", {"bar": "2"}),
        ("a@b@c=1", {}),
        ("9t@x=1,x= y", {"9t@x": "1", "x": " y"}),
    ],
)
def test_a_state_that_opentelemetry_would_warn_of_is_not_shown_to_it(text, known, caplog):
    """The standard allows more than it knows; there is no line about each request."""
    with caplog.at_level(logging.DEBUG):
        state = open_spans.trace_state(text)
    assert dict(state or {}) == known
    assert caplog.records == []


def test_a_place_is_named_as_opentelemetry_does(joined):
    """Ids, flags and whether it is somewhere else."""
    with unit_of_work("job"):
        unit = context.get().unit
        unit.tracestate = "foo=1"
        found = open_spans.span_context(unit, "b7ad6b7169203331", remote=True)
    assert trace.format_trace_id(found.trace_id) == unit.trace_id
    assert (found.is_remote, found.trace_flags, dict(found.trace_state)) == (True, 3, {"foo": "1"})
