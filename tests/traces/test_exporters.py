"""OpenTelemetry's exporters get spans that they can send."""

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from obskit.traces import exporters
from obskit.traces.finished import Event, Link, Span
from obskit.traces.zipkin import MARKER

TRACE, ID, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"


def span(kind="client", parent=PARENT, **changes):
    """Return a span that is over."""
    made = Span("GET /x", kind, TRACE, ID, parent, 1_700_000_000_123_456_789, 4_999_999)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def convert():
    """Give the converter of a service."""
    return exporters.converter(exporters.resource("shop", "1", ""))


@pytest.mark.parametrize("kind", ["server", "client", "producer", "consumer", "internal"])
def test_a_span_is_the_same_in_the_words_of_the_sdk(convert, kind):
    """Ids, times, kind, attributes, events, links, who speaks."""
    made = convert(
        span(kind, attributes={"n": 7, "none": None}, events=[Event("e", 5, {"x": 1})],
             links=[Link("1" * 32, "2" * 16, {})], scope="library")
    )  # fmt: skip

    assert (made.name, made.kind) == ("GET /x", SpanKind[kind.upper()])
    assert f"{made.context.trace_id:032x}/{made.context.span_id:016x}" == f"{TRACE}/{ID}"
    assert f"{made.parent.span_id:016x}" == PARENT
    assert made.context.trace_flags.sampled
    assert made.end_time - made.start_time == 4_999_999
    assert dict(made.attributes) == {"n": 7}
    assert [(one.name, one.timestamp, dict(one.attributes)) for one in made.events] == [
        ("e", 5, {"x": 1})
    ]
    assert f"{made.links[0].context.trace_id:032x}" == "1" * 32
    assert (made.instrumentation_scope.name, made.instrumentation_scope.version) == ("library", "")
    assert dict(made.resource.attributes)["service.name"] == "shop"
    assert "deployment.environment.name" not in made.resource.attributes


@pytest.mark.parametrize(
    ("status", "description", "expected"),
    [("unset", "", None), ("ok", "", None), ("error", "KeyError: 'x'", "KeyError: 'x'")],
)
def test_the_status_is_the_same(convert, status, description, expected):
    """A description belongs to errors alone."""
    made = convert(span(status=status, description=description))

    assert made.status.status_code is StatusCode[status.upper()]
    assert made.status.description == expected


def test_secrets_are_not_sent():
    """The names are those that no line shows either."""
    convert = exporters.converter(exporters.resource("shop"), lambda name: name == "password")
    made = convert(span(attributes={"password": "hunter2", "user": "u"}))

    assert dict(made.attributes) == {"password": MARKER, "user": "u"}


def test_a_root_has_no_parent(convert):
    """As it was."""
    assert convert(span(parent=None)).parent is None


def test_the_exporters_know_where_to_send():
    """The path is theirs, whether it stands in the setting or not."""
    for url in ("http://x:9411", "http://x:9411/api/v2/spans"):
        assert exporters.zipkin(url).endpoint == "http://x:9411/api/v2/spans"
    for url in ("http://x:4318", "http://x:4318/v1/traces"):
        assert exporters.otlp(url)._endpoint == "http://x:4318/v1/traces"


def test_what_is_not_installed_is_found_out_without_importing():
    """So that it can be said at the start."""
    assert exporters.is_installed(exporters.ZIPKIN)
    assert exporters.is_installed(exporters.OTLP)
    assert not exporters.is_installed("opentelemetry.exporter.nowhere.at.all")
