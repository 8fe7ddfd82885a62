"""The one line at the end of each unit of work."""

import itertools
import logging

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from obskit import clock, context, conventions, health, observation
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
    task = conventions.task("add", "celery", "orders", carrier={})
    for one in (work, task):
        observation.start(one)
        observation.end(one)
    with message_context({}, "order"):
        pass

    assert [line[1] for line in lines] == [
        "message processed", "task finished", "message processed",
    ]  # fmt: skip
    assert lines[0][2]["messaging_destination_name"] == "orders"


def test_where_messages_went_and_who_answered_under_another_id_is_on_it(lines):
    """So that who reads the lines can tell who has not got the ID; else nothing is there."""
    with unit_of_work("billing"):
        observation.end(started(conventions.producer("kafka", "orders")))
        observation.end(started(conventions.producer("kafka", "orders")))
        context.get().unit.answered_as = ("other",)
    fields = lines[0][2]

    assert (fields["messaging_sent_to"], fields["messaging_sent"]) == (["kafka:orders"], 2)
    assert fields["answered_as"] == ["other"]
    with unit_of_work("billing"):
        observation.end(started(conventions.http_client("GET", "http://stock/")))
    assert not lines[1][2].keys() & {"messaging_sent_to", "messaging_sent", "answered_as"}


def started(work):
    """Begin an observation."""
    observation.start(work)
    return work


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


CHANGING = {"timestamp", "duration_ms", "trace_id", "span_id", "correlation_id", "lc_at"}


@pytest.fixture
def observer(logged):
    """Let lines be written to a file; the observer is the only one."""
    made = Summary()
    observation.configure([("summary", made)])
    yield made
    observation.configure(())
    assert health.internal_errors == {}


def comparable(line, name):
    """Return a value of *line*; of a shortened one, what does not depend on how long others are.

    A duration has three digits behind its point, or fewer.
    """
    value = line[name]
    if "obskit_truncated" not in line:
        return value
    if name == "obskit_truncated":
        return value > 0
    return value[:100] if isinstance(value, str) else value


def both_ways(logged, serve):
    """Return the lines that *serve* causes, ready ones and those made with care."""
    serve()
    serve()
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(pipeline, "emit_ready", lambda *_: False)
        serve()
    found = [
        {name: comparable(line, name) for name in line if name not in CHANGING}
        for line in logged.lines[-3:]
    ]
    orders = [list(line) for line in logged.lines[-3:]]
    return found, orders


PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def anything(**facts):
    """Serve a request on which something is unusual."""

    def serve():
        bound, labels = facts.get("bound", {}), facts.get("labels", {})
        headers = {"traceparent": PARENT} if facts.get("parent") else {}
        work = conventions.http_server("GET", facts.get("path", "/x"), headers, peer="127.0.0.1")
        observation.start(work)
        work.labels.update(labels)
        work.attributes.update(facts.get("attributes", {}))
        conventions.set_route(work, facts.get("route", "/{x}"))
        context.bind(**bound)
        for name in facts.get("unbound", ()):
            context.unbind(name)
        unit = work.context.unit
        unit.synthetic, unit.client_correlation_id = facts.get("synthetic"), facts.get("client")
        unit.call_count, unit.call_seconds = facts.get("calls", (0, 0.0))
        unit.sent_to, unit.answered_as = facts.get("sent"), facts.get("answered", ())
        work.status = facts.get("status", 200)
        observation.finish(work, facts.get("error"))
        observation.leave(work)

    return serve


REQUESTS = {
    "usual": {},
    "known caller": {"parent": True, "client": "mine", "synthetic": "probe"},
    "calls": {"calls": (3, 0.0123456)},
    "messages": {"calls": (3, 0.01), "sent": {"kafka:orders": 2, "kafka:\u20ac": 1}},
    "messages to nowhere": {"calls": (1, 0.01), "sent": {"kafka:\ud800": 1}},
    "other answers": {"calls": (3, 0.01), "sent": {"a:b": 1}, "answered": ("id-1", "id-2")},
    "no status": {"status": None},
    "true status": {"status": True},
    "failed": {"status": 500},
    "with an error": {"status": 500, "error": LookupError("x")},
    "quotes": {"path": '/"\\\n\x00\x7f', "route": '/"{x}"', "client": '"'},
    "not ASCII": {"path": "/\xe9\u20ac\U0001f600", "route": "/\xe9"},
    "surrogates": {"path": "/\ud800", "route": "/x"},
    "surrogates in the route": {"route": "/\ud800"},
    "surrogates of the client": {"client": "\ud800"},
    "too long": {"path": "/" + "x" * 20_000},
    "too long to escape": {"path": '"' * 20_000, "parent": True, "bound": {"a": "y" * 9000}},
    "all too long": {"path": '"' * 20_000, "route": "/" + "\u20ac" * 20_000},
    "no path": {"path": b"/x"},
    "path of one's own": {"path": type("Path", (str,), {})("/x")},
    "more attributes": {"attributes": {"b": 1}},
    "bound": {"bound": {"order": 7, "name": "ada"}},
    "bound and gone": {"bound": {"order": 7, "name": "ada"}, "unbound": ["order"]},
    "bound by our names": {"bound": {"outcome": "mine", "calls": 7, "url_path": "mine"}},
    "bound with care": {"bound": {"ids": [1], "level": "x", "password": "x"}},
    "more labels": {"labels": {"tenant": "a"}},
    "labels of our names": {"labels": {"level": "a", "outcome": "b", "password": "c"}},
    "labels that are no text": {"labels": {"tenant": ["a"]}},
}


@pytest.mark.parametrize("facts", REQUESTS.values(), ids=REQUESTS)
def test_a_line_that_is_ready_is_the_one_that_is_made_with_care(logged, observer, facts):
    """In all its fields, their order, and within its length."""
    found, orders = both_ways(logged, anything(**facts))

    assert found[0] == found[1] == found[2]
    assert orders[0] == orders[1] == orders[2]
    assert len(logged.lines) == 3
    assert {line["lc"] for line in logged.lines} == {1}
    assert max(map(len, logged.raw.splitlines(keepends=True))) <= 16_000


def any_message(**facts):
    """Work on a message of which something is unusual."""

    def serve():
        make, *names = facts.get("make", (conventions.consumer, "kafka", "orders"))
        work = make(*names, carrier={"traceparent": PARENT} if facts.get("parent") else {})
        observation.start(work)
        work.labels.update(facts.get("labels", {}))
        work.attributes.update(facts.get("attributes", {}))
        work.known_ages = facts.get("ages", (0.1234567, 12.5))
        context.bind(**facts.get("bound", {}))
        unit = work.context.unit
        unit.call_count, unit.call_seconds = facts.get("calls", (0, 0.0))
        unit.sent_to = facts.get("sent")
        for name in ("redelivered", "retried", "dead_lettered", "attempt", "status", "rejected"):
            if name in facts:
                setattr(work, name, facts[name])
        observation.end(work, facts.get("error"))

    return serve


TASK = {"make": (conventions.task, "add", "celery", "orders"), "attributes": {"task_id": "t-1"}}
MESSAGES = {
    "usual": {},
    "sent by somebody": {"parent": True, "calls": (3, 0.0123456), "sent": {"kafka:bills": 1}},
    "without any age": {"ages": (None, None)},
    "without a birth": {"ages": (0.5, None)},
    "a task": TASK,
    "a task that has bound its own ID": TASK | {"bound": {"task_id": "t-1"}},
    "a task of an ID that is no text": TASK | {"attributes": {"task_id": 7}},
    "a task of an ID that cannot be encoded": TASK | {"attributes": {"task_id": "\ud800"}},
    "other attributes": {"attributes": {"a": "b"}},
    "more attributes": TASK | {"attributes": {"task_id": "t-1", "a": 1}},
    "come again": {"redelivered": True},
    "not come again": {"redelivered": False},
    "to come again": {"retried": True, "attempt": 3},
    "given up": {"rejected": True, "dead_lettered": True},
    "with a status": {"status": 200},
    "with an error": {"error": LookupError("x")},
    "bound": {"bound": {"order": 7}},
    "bound by our names": {"bound": {"outcome": "mine", "message_age_ms": 7}},
    "labels of our names": {"labels": {"level": "a", "password": "c"}},
    "too long": TASK | {"attributes": {"task_id": "x" * 20_000}},
}


@pytest.mark.parametrize("facts", MESSAGES.values(), ids=MESSAGES)
def test_a_ready_line_of_a_message_is_the_one_that_is_made_with_care(logged, observer, facts):
    """In all its fields and their order."""
    found, orders = both_ways(logged, any_message(**facts))

    assert found[0] == found[1] == found[2]
    assert orders[0] == orders[1] == orders[2]
    assert len(logged.lines) == 3
    assert max(map(len, logged.raw.splitlines(keepends=True))) <= 16_000


def test_usual_lines_of_messages_are_ready(logged, observer, monkeypatch):
    """With their ages, those of their calls and the ID of a task."""
    monkeypatch.setattr(pipeline, "emit", None)
    any_message()()
    any_message(parent=True, calls=(1, 0.1), bound={"order": 7})()
    any_message(**TASK)()

    assert [line["message_age_ms"] for line in logged.lines] == [123.457] * 3
    assert [line["end_to_end_age_ms"] for line in logged.lines] == [12_500] * 3
    assert [line.get("task_id") for line in logged.lines] == [None, None, "t-1"]
    assert [line.get("order") for line in logged.lines] == [None, 7, None]


def test_usual_lines_are_ready(logged, observer, monkeypatch):
    """Those of requests, messages and connections; also where something is bound."""
    monkeypatch.setattr(pipeline, "emit", None)
    anything()()
    anything(parent=True, client="mine", calls=(1, 0.1), bound={"order": 7})()
    work = conventions.websocket_server("/chat", {})
    observation.start(work)
    observation.end(work)
    work = conventions.consumer("kafka", "orders", carrier={})
    observation.start(work)
    observation.end(work)

    assert [line["message"] for line in logged.lines] == [
        "request finished", "request finished", "connection closed", "message processed",
    ]  # fmt: skip
    assert [line.get("order") for line in logged.lines] == [None, 7, None, None]


@given(
    st.text(st.characters(exclude_categories=[])),
    st.text(st.characters(exclude_categories=[])),
    st.dictionaries(st.text(st.characters(exclude_categories=[])), st.text() | st.floats()),
    st.none() | st.integers(100, 599),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_request_is_one_valid_line(logged, observer, path, route, bound, status):
    """Whatever is in it."""
    assume(path.rstrip("/") not in conventions.QUIET_PATHS)
    before = len(logged.lines)
    found, orders = both_ways(logged, anything(path=path, route=route, bound=bound, status=status))

    assert len(logged.lines) == before + 3
    assert found[0] == found[1] == found[2]
    assert orders[0] == orders[1] == orders[2]


def test_names_that_are_made_secret_are_hidden(logged, observer):
    """Also those that we give ourselves."""
    logged.configure(redact=("url_path", "http_route"))
    anything(path="/secret", route="/secret")()

    assert b"/secret" not in logged.raw


def test_a_line_of_many_causes_fits(logged, observer):
    """The clock may need more room than anybody thought of."""
    logged.configure(log_line=2000)
    work = conventions.http_server("GET", "/x" * 400, {})
    observation.start(work)
    strand, _, _ = clock.current()
    after = tuple(f"{number:016x}-1" for number in range(45))
    clock.attach((strand, 0, after))
    observation.end(work)

    assert len(logged.raw) <= 2000
    line = logged.line
    assert tuple(line["lc_after"]) == after
    assert line["url_path"].startswith("/x/x")
    assert line["obskit_truncated"] > 0


def test_routes_that_never_end_do_not_fill_the_memory(logged, observer, monkeypatch):
    """Only so many are kept, and the lines of all others are as good."""
    monkeypatch.setattr(summary, "MOST_SHAPES", 10)
    for number in range(25):
        anything(route=f"/{number}")()

    assert len(observer._shapes) <= 10
    assert [line["http_route"] for line in logged.lines] == [f"/{number}" for number in range(25)]


def test_lines_of_different_kinds_are_not_mixed_up(logged, observer):
    """What ends in another way, or has other names, is not told as the first one was."""
    statuses = [200, 404, 429, 500, 200]
    for status, labels in itertools.product(statuses, ({}, {"tenant": "a"}, {"client": "a"})):
        anything(status=status, labels=labels)()

    assert [
        (line["http_response_status_code"], line.get("tenant"), line.get("client"))
        for line in logged.lines
    ] == [
        (status, *labels)
        for status, labels in itertools.product(statuses, ((None, None), ("a", None), (None, "a")))
    ]
    assert [line["level"] for line in logged.lines[::3]] == [
        "info", "info", "warning", "error", "info",
    ]  # fmt: skip


def test_lines_for_people_are_written_too(logged, observer):
    """The console shows what the line would hold."""
    logged.configure(log_format="console")
    anything()()

    assert b"request finished" in logged.raw
    assert b"/{x}" in logged.raw


def test_where_the_log_is_off_nothing_is_written(logged, observer, caplog):
    """But `logging` is told, as ever."""
    pipeline.undo()
    with caplog.at_level(logging.INFO):
        anything()()

    assert logged.raw == b""
    assert "request finished" in caplog.text
