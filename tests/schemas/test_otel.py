"""OpenTelemetry's data model."""

from obskit.schemas import otel
from tests.schemas.records import FULL, PROCESS


def test_a_line_is_a_log_record():
    """Time, severity, body, resource and attributes by semantic conventions."""
    found = otel.encode(FULL)

    assert found["timestamp"] == 1_767_323_045_000_006_000
    assert (found["severity_number"], found["severity_text"]) == (13, "WARNING")
    assert found["body"] == "request finished"
    assert found["resource"]["service.name"] == "shop"
    assert found["resource"]["k8s.pod.name"] == "p"
    assert found["trace_id"] == "a" * 32
    assert found["attributes"]["exception.type"] == "ValueError"
    assert found["attributes"]["cart"] == {"items": [1]}


def test_critical_is_the_first_of_the_worst():
    """Number 21."""
    assert otel.encode(PROCESS | {"level": "critical"})["severity_number"] == 21
    assert "severity_number" not in otel.encode(PROCESS | {"level": "audit"})


def test_a_trace_that_is_none_is_an_attribute():
    """A receiver would refuse it."""
    found = otel.encode(PROCESS | {"trace_id": "x", "span_id": "0" * 16})

    assert "trace_id" not in found
    assert found["attributes"]["trace_id"] == "x"


def test_an_attribute_of_another_meaning_keeps_its_name():
    """The application's own is moved, and comes back."""
    found = otel.encode(FULL | {"exception.type": "mine"})

    assert found["attributes"]["exception.type"] == "ValueError"
    assert found["attributes"]["exception.type_"] == "mine"
