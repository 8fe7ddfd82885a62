"""OpenTelemetry's baggage and ours."""

import pytest
from opentelemetry import baggage, propagate
from opentelemetry import context as api

from obskit import observation
from obskit.observation import Kind, Observation, observe

HEADERS = {"baggage": "tenant=a%20b,plan=x;p=1,obskit.hop=2", "x-correlation-id": "cid"}


@pytest.fixture
def request_(spans):
    """Be inside of a request that came with baggage."""
    work = Observation("GET", Kind.SERVER, carrier=dict(HEADERS), peer="127.0.0.1")
    observation.start(work)
    yield work
    observation.end(work)


def sent():
    carrier = {}
    observation.inject(carrier)
    theirs = carrier["baggage"].split(",")
    return [item for item in theirs if not item.startswith("obskit.")]


def test_what_came_in_is_opentelemetrys_baggage(request_):
    """Decoded, as its own propagator has it, and without our entries but the correlation ID."""
    assert baggage.get_baggage("tenant") == "a b"
    assert set(baggage.get_all()) == {"tenant", "plan", "obskit.correlation"}


def test_opentelemetrys_own_inject_carries_our_ids(request_):
    """Trace, span and the correlation ID that differs from the trace."""
    carrier = {}
    propagate.inject(carrier)
    here = request_.context
    assert carrier["traceparent"].split("-")[1:3] == [here.trace_id, here.span_id]
    assert "obskit.correlation=cid" in carrier["baggage"]
    assert "tenant=a+b" in carrier["baggage"]


def test_without_any_there_is_none(spans):
    """The correlation ID is the trace ID then."""
    work = Observation("GET", Kind.SERVER, carrier={})
    observation.start(work)
    carrier = {}
    propagate.inject(carrier)
    assert (baggage.get_all(), "baggage" in carrier) == ({}, False)
    assert sent() == []
    observation.end(work)


def test_what_the_application_sets_travels_on(request_):
    """As long as it is attached."""
    before = sent()
    token = api.attach(baggage.set_baggage("user", "7"))
    with observe("step"):
        assert "user=7" in sent()
        assert any(item.startswith("tenant=") for item in sent())
        assert baggage.get_baggage("user") == "7"
    api.detach(token)
    assert sent() == before == ["tenant=a%20b", "plan=x;p=1"]


def test_what_the_application_removes_does_not_travel_on(request_):
    """It may have its reasons."""
    token = api.attach(baggage.clear())
    assert sent() == []
    api.detach(token)


def test_what_was_set_outside_is_added(spans):
    """What came in with the request wins."""
    token = api.attach(baggage.set_baggage("zone", "eu"))
    work = Observation("GET", Kind.SERVER, carrier=dict(HEADERS), peer="127.0.0.1")
    observation.start(work)
    assert baggage.get_baggage("zone") == "eu"
    assert sorted(item.partition("=")[0] for item in sent()) == ["plan", "tenant", "zone"]
    observation.end(work)
    api.detach(token)
