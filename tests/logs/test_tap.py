"""Whoever ships lines gets each of them as JSON, and knows which must not be lost."""

import json

import pytest

from obskit.logs import pipeline
from obskit.logs.tap import tap


@pytest.fixture
def tapped():
    """Give two lists: of lines that may be lost, and of others with whether to wait."""
    plain, durable = [], []

    def begin(*names):
        pipeline.tap(tap(plain.append, lambda *one: durable.append(one), names))

    yield begin, plain, durable
    pipeline.tap(None)


def messages(lines):
    """Return what *lines* say."""
    return [json.loads(line)["message"] for line in lines]


def test_each_line_is_handed_on_as_it_is_written(logged, tapped):
    """Byte by byte."""
    begin, plain, _ = tapped
    begin()
    pipeline.emit(20, "x", "hello", {"a": 1})

    assert json.loads(plain[-1]) == logged.line
    assert plain[-1].endswith(b"}\n")


def test_loggers_are_durable_by_name_with_those_below(logged, tapped):
    """Others of a similar name are not."""
    begin, plain, durable = tapped
    begin("audit", "shop.orders=wait")
    for name in ("audit", "audit.pay", "auditor", "shop.orders", "shop.orders.eu", "shop"):
        pipeline.emit(20, name, name, {})

    assert messages(plain) == ["auditor", "shop"]
    assert [(*messages([line]), waits) for line, waits in durable] == [
        ("audit", False),
        ("audit.pay", False),
        ("shop.orders", True),
        ("shop.orders.eu", True),
    ]


def test_a_message_cannot_make_a_line_durable(logged, tapped):
    """What looks like a logger within a text is none."""
    begin, plain, durable = tapped
    begin("audit")
    pipeline.emit(20, "x", ',"logger":"audit"', {"a": ',"logger":"audit",'})

    assert len(plain) == 1
    assert durable == []


def test_people_may_read_along(logged, tapped):
    """The console's form is for the stream alone."""
    begin, plain, _ = tapped
    logged.configure(log_format="console")
    begin()
    pipeline.emit(20, "x", "hello", {})

    assert messages(plain) == ["hello"]


def test_nobody_gets_lines_any_more(logged, tapped):
    """Afterwards lines go to the stream alone."""
    begin, plain, _ = tapped
    begin()
    pipeline.tap(None)
    pipeline.emit(20, "x", "hello", {})

    assert plain == []
    assert logged.line["message"] == "hello"
