"""The one line at the end of each unit of work."""

import logging

import pytest

from obskit import context, conventions, health, observation
from obskit.logs import levels, pipeline, summary
from obskit.logs.summary import Summary
from obskit.observation import Kind, Observation, message_context, unit_of_work


class Lines(list):
    """What was written: level, message, fields and error of each line."""

    def emit(self, level, logger, message, fields, *, error=None, **_):
        """Take a line."""
        assert logger == "obskit.summary"
        self.append((level, message, dict(fields), error))


@pytest.fixture
def lines(monkeypatch):
    """Give the summary lines that are written; the observer is the only one."""
    found = Lines()
    monkeypatch.setattr(pipeline, "emit", found.emit)
    observation.configure([("summary", Summary())])
    yield found
    observation.configure(())
    assert health.internal_errors == {}


def served(path="/orders/7", status=200, error=None, headers=None, **facts):
    """Serve a request as the instrumentation does."""
    work = conventions.http_server("GET", path, headers or {}, peer="127.0.0.1")
    observation.start(work)
    conventions.set_route(work, "/orders/{id}")
    work.status = status
    for name, value in facts.items():
        setattr(work, name, value)
    observation.finish(work, error)
    observation.leave(work)
    return work


def test_a_request_has_one_line_with_all_that_is_known(lines):
    """Method, route, path, status, outcome, duration and outgoing calls."""
    work = served()
    [(level, message, fields, error)] = lines

    assert (level, message, error) == (logging.INFO, "request finished", None)
    assert fields == {
        "http_request_method": "GET",
        "http_route": "/orders/{id}",
        "url_path": "/orders/7",
        "http_response_status_code": 200,
        "outcome": "ok",
        "duration_ms": work.duration_ns // 1000 / 1000,
        "calls": 0,
    }


@pytest.mark.parametrize(
    ("facts", "level", "outcome"),
    [
        ({}, logging.INFO, "ok"),
        ({"status": 404}, logging.INFO, "client_error"),
        ({"client_gone": True}, logging.INFO, "client_gone"),
        ({"status": 429}, logging.WARNING, "rejected"),
        ({"status": 504}, logging.ERROR, "timeout"),
        ({"status": 500}, logging.ERROR, "server_error"),
    ],
)
def test_the_level_says_whether_somebody_must_look(lines, facts, level, outcome):
    """What a client did wrong is no trouble of ours."""
    served(**facts)

    assert lines[0][0] == level
    assert lines[0][2]["outcome"] == outcome


def test_every_outcome_has_a_level():
    """None is forgotten when one is added."""
    assert set(summary.LEVELS) == set(observation.OUTCOMES)


def test_a_failed_dependency_is_named(lines):
    """With the calls that were made and the time that they took."""
    work = conventions.http_server("GET", "/", {})
    observation.start(work)
    call = conventions.http_client("GET", "http://warehouse:81/stock")
    observation.start(call)
    call.status = 500
    observation.end(call)
    work.status = 502
    observation.end(work)
    [(level, _, fields, _)] = lines

    assert level == logging.ERROR
    assert (fields["outcome"], fields["dependency"]) == ("dependency", "warehouse:81")
    assert fields["calls"] == 1
    assert fields["calls_ms"] == round(call.duration_ns / 1e6, 3)


def test_what_is_bound_on_the_way_is_on_it(lines):
    """However deep, and in another context that ended before."""
    work = conventions.http_server("GET", "/", {})
    observation.start(work)
    with observation.observe("deep"):
        context.bind(order=7)
        context.unbind("order")
    context.bind(outcome="mine", field_outcome="mine as well")
    observation.end(work)
    fields = lines[0][2]

    assert fields["order"] == 7
    assert fields["outcome"] == "ok"
    assert {fields["field_outcome"], fields["field_field_outcome"]} == {"mine", "mine as well"}


def test_where_a_request_came_from_is_on_it(lines):
    """The span that caused it, and what an outside client called it."""
    parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    served(headers={"traceparent": parent, "x-correlation-id": "mine"})

    assert lines[0][2]["parent_span_id"] == "b" * 16


def test_an_error_of_a_request_is_named_without_its_stack(lines):
    """The server's own line has that."""
    served(status=500, error=LookupError("lost"))
    described = lines[0][3]

    assert (described.type, described.message, described.stack) == ("LookupError", "lost", "")
    assert described.fingerprint


def test_an_error_of_a_task_is_told_in_full(lines):
    """Nobody else may have a line about it that belongs to the operation."""
    with pytest.raises(LookupError), unit_of_work("nightly billing"):
        raise LookupError("lost")
    [(level, message, fields, described)] = lines

    assert (level, message) == (logging.ERROR, "task finished")
    assert fields["task_name"] == "nightly billing"
    assert "LookupError: lost" in described.stack


def test_a_message_has_one_line(lines):
    """Of a library that is known, and of one that is not."""
    work = conventions.consumer("kafka", "orders", carrier={})
    observation.start(work)
    observation.end(work)
    with message_context({}, "order"):
        pass

    assert [line[1] for line in lines] == ["message processed", "message processed"]
    assert lines[0][2]["messaging_destination_name"] == "orders"


def test_a_connection_has_one_line(lines):
    """From handshake to close."""
    work = conventions.websocket_server("/chat", {})
    observation.start(work)
    work.status = 101
    observation.end(work)

    assert lines[0][1] == "connection closed"


def test_steps_and_calls_have_none(lines):
    """Neither inside of a unit of work nor alone."""
    with observation.observe("step"):
        pass
    call = conventions.http_client("GET", "http://warehouse/")
    observation.start(call)
    observation.end(call)
    with observation.observe("outer"), observation.observe("inner"):
        pass

    assert lines == []


def test_health_checks_are_told_only_if_they_fail(lines):
    """They come all the time."""
    served("/healthz")
    served("/metrics/")
    served("/healthz", status=503)

    assert [line[2]["http_response_status_code"] for line in lines] == [503]


def test_attributes_are_on_it(lines):
    """Facts that the program gives to its task."""
    with unit_of_work("import", rows=7):
        pass

    assert lines[0][2]["rows"] == 7


def test_its_level_can_be_raised(lines):
    """By the name of its logger, as of any other."""
    levels.configure("INFO,obskit.summary=ERROR")
    try:
        served()
        served(status=500)
    finally:
        levels.configure("INFO")

    assert [line[2]["outcome"] for line in lines] == ["server_error"]


def test_what_never_began_has_none(lines):
    """An observation without a context belongs to nobody."""
    work = Observation("x", Kind.SERVER)
    Summary().end(work)

    assert lines == []
