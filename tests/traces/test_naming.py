"""Observations in OpenTelemetry's words."""

import pytest

from obskit import conventions
from obskit.logs import exceptions
from obskit.observation import Kind, Observation, failure
from obskit.traces import naming


def test_a_request_is_named_as_the_conventions_say():
    """Names with dots, and no route that is none."""
    work = conventions.http_server("GET", "/orders/7", {})
    assert naming.at_start(work) == {"http.request.method": "GET", "url.path": "/orders/7"}
    conventions.set_route(work, "/orders/{id}")
    work.status = 200
    assert naming.at_end(work) == {
        "obskit.outcome": "ok",
        "http.response.status_code": 200,
        "http.route": "/orders/{id}",
        "url.path": "/orders/7",
    }


def test_an_error_has_the_fingerprint_of_its_line(monkeypatch):
    """On the span of a unit of work; a step's error is no line's."""
    monkeypatch.setattr(failure, "describe", exceptions.describe)
    error = ValueError("x")
    for work in (
        conventions.http_server("GET", "/", {}),
        conventions.http_client("GET", "http://a/"),
    ):
        work.error, work.outcome = error, "server_error"
        for found in (naming.at_end(work), naming.whole(work)):
            assert found["error.type"] == "ValueError"
            expected = exceptions.describe(error).fingerprint if work.entry else None
            assert found.get("error.fingerprint") == expected


def test_what_is_known_is_not_said_again():
    """What has become another since is."""
    work = conventions.http_server("GET", "/orders/7", {})
    known = naming.at_start(work)
    assert naming.at_end(work, known) == {"obskit.outcome": "ok"}
    work.attributes["url_path"] = "/orders/8"
    assert naming.at_end(work, known)["url.path"] == "/orders/8"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [("http://shop/x", "shop", None), ("http://shop:8000/x", "shop", 8000)],
)
def test_a_port_has_a_name_of_its_own(url, host, port):
    """Only where it is an unusual one."""
    work = conventions.http_client("GET", url)
    found = naming.at_start(work)
    assert (found["server.address"], found.get("server.port")) == (host, port)
    assert naming.peer(work) == work.peer


def test_the_client_of_a_server_is_not_recorded():
    """Its address is nobody's business."""
    work = conventions.http_server("GET", "/", {}, peer="93.184.216.34")
    assert naming.peer(work) is None
    assert "93.184.216.34" not in str(naming.at_start(work) | naming.at_end(work))


@pytest.mark.parametrize(
    ("kind", "status", "outcome", "error"),
    [
        (Kind.SERVER, 200, "ok", False),
        (Kind.SERVER, 404, "client_error", False),
        (Kind.SERVER, 429, "rejected", False),
        (Kind.SERVER, 500, "server_error", True),
        (Kind.SERVER, 502, "dependency", True),
        (Kind.SERVER, 504, "timeout", True),
        (Kind.SERVER, 500, "client_gone", False),
        (Kind.CONSUMER, None, "cancelled", False),
        (Kind.CLIENT, 404, "client_error", True),
        (Kind.CLIENT, 200, "ok", False),
        (Kind.INTERNAL, None, "ok", False),
    ],
)
def test_what_is_an_error(kind, status, outcome, error):
    """A 4xx is one for whoever gets it, not for whoever answers it."""
    work = Observation("x", kind)
    work.status, work.outcome = status, outcome
    assert naming.is_error(work) is error
    assert ("error.type" in naming.at_end(work)) is error


def test_any_value_may_be_an_attribute():
    """What a span may not have is there as text."""
    work = Observation("x", attributes={"a": 1, "b": ["x"], "c": {1: 2}, "d": None, "e": [1]})
    found = naming.at_start(work)
    assert found == {"a": 1, "b": ("x",), "c": "{1: 2}", "d": "None", "e": "[1]"}


def test_an_error_that_cannot_be_printed_has_its_type():
    """The text of an exception may raise itself."""

    class Silent(Exception):
        def __str__(self):
            raise ValueError

    work = Observation("x")
    work.error = Silent()
    assert naming.description(work) == "Silent"
    assert naming.type_name(LookupError()) == "LookupError"
    assert naming.type_name(Silent()).endswith("Silent")
