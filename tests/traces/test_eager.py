"""The eager way, for an OpenTelemetry whose context cannot be looked after."""

import pytest
from opentelemetry import context as api
from opentelemetry import trace

from obskit import context
from obskit.observation import Observation, observe, unit_of_work
from obskit.traces import eager
from obskit.traces.recorder import state


@pytest.fixture
def eagerly(spans):
    """Do without our runtime context."""
    api._RUNTIME_CONTEXT = api._RUNTIME_CONTEXT.inner
    state.eager = eager
    return spans


def test_the_current_span_is_that_of_the_step(eagerly):
    """From the start to the end of each observation."""
    with unit_of_work("job"):
        outer = trace.get_current_span()
        with observe("step"):
            inner = trace.get_current_span()
            inner.set_attribute("a", 1)
            found = inner.get_span_context().span_id
            assert trace.format_span_id(found) == context.get().span_id
        assert trace.get_current_span() is outer is not inner
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert [span.attributes.get("a") for span in eagerly] == [1, None]


def test_a_span_of_the_application_has_the_right_parent(eagerly):
    """It is below our step."""
    with unit_of_work("job") as job:
        with trace.get_tracer("x").start_as_current_span("mine"):
            pass
    assert eagerly[0].parent_id == job.context.span_id


def test_what_somebody_else_has_attached_stays(eagerly):
    """Only our own is taken away."""
    token = None
    with unit_of_work("job"):
        token = api.attach(api.set_value("a", 1))
    assert api.get_value("a") == 1
    api.detach(token)


def test_what_never_began_is_left_alone():
    """Neither raises."""
    eager.enter(Observation("x"))
    eager.leave(Observation("x"))
