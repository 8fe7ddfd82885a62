"""Headers of AMQP messages, which anybody may have made."""

from datetime import UTC, datetime
from decimal import Decimal
from time import time

import pytest
from pika import BasicProperties
from pika.compat import long

from obskit import context, health, observation, propagation
from obskit.instrumentation import _amqp


def unlimited():
    return 0


def test_names_are_lower_case_and_the_table_is_a_copy():
    """What was given stays as it was, however often it is sent."""
    given = {"tenant": 7}
    with observation.unit_of_work("outer", correlation_id="abc"):
        tables = [_amqp.with_ours(given, unlimited) for _ in range(2)]

    assert given == {"tenant": 7}
    for table in tables:
        assert table["x-correlation-id"] == "abc"
        assert table["tenant"] == 7
        assert {"traceparent", "baggage", "obskit-cause"} <= table.keys()
        assert all(name.islower() for name in table)


def test_another_spelling_is_replaced():
    """No name is sent twice, and the running operation is the one that counts."""
    given = {"X-Correlation-ID": "old", "Traceparent": "old", "X-Tenant": "7", 5: "odd"}
    with observation.unit_of_work("outer", correlation_id="abc"):
        table = _amqp.with_ours(given, unlimited)

    assert table["x-correlation-id"] == "abc"
    assert not {"X-Correlation-ID", "Traceparent"} & table.keys()
    assert table["X-Tenant"] == "7"


def test_what_the_caller_puts_into_the_baggage_travels_along():
    """Once, and without the members of ours that came with an earlier message."""
    with observation.unit_of_work("outer"):
        context.current().unit.baggage = "customer=7"
        given = {"baggage": "tenant=8,customer=7,obskit.hop=9"}
        members = _amqp.with_ours(given, unlimited)["baggage"].split(",")

    assert members[-2:] == ["customer=7", "tenant=8"]
    assert members.count("customer=7") == 1
    assert "obskit.hop=9" not in members


def test_a_baggage_that_is_no_text_is_replaced():
    """A table may hold anything."""
    with observation.unit_of_work("outer"):
        table = _amqp.with_ours({"baggage": {"a": 1}}, unlimited)

    assert table["baggage"].startswith("obskit.")


@pytest.mark.parametrize(("frame", "kept"), [(0, True), (131_072, True), (4096, False)])
def test_a_small_frame_has_no_room_for_long_values(frame, kept):
    """The broker would close the connection for headers that do not fit into one frame."""
    with observation.unit_of_work("outer"):
        context.current().unit.baggage = "a=" + "b" * 3000
        table = _amqp.with_ours({"baggage": "stale=1"}, lambda: frame)

    assert ("baggage" in table) is kept
    assert "traceparent" in table


def test_outside_of_an_operation_nothing_is_added():
    """There is nothing to say."""
    assert _amqp.with_ours(None, unlimited) == {}
    assert _amqp.with_ours({"a": 1}, unlimited) == {"a": 1}


@pytest.mark.parametrize("name", ["x-correlation-id", "X-Correlation-ID", "X-CORRELATION-ID"])
def test_names_have_no_case_when_they_are_read(name):
    """Other services spell them as they like, and send text or bytes."""
    assert _amqp.readable({name: "abc", "other": 1}) == {"x-correlation-id": "abc"}
    assert _amqp.readable({name: b"abc"}) == {"x-correlation-id": "abc"}


@pytest.mark.parametrize("value", [None, 7, 1.5, True, {"a": {"b": 1}}, ["abc"], time])
def test_values_of_other_types_count_as_absent(value):
    """They are no header of ours."""
    assert _amqp.readable({"x-correlation-id": value, 7: "x", None: "y"}) == {}


def test_the_names_follow_the_settings():
    """A house may have a header of its own."""
    before = propagation.policy()
    try:
        propagation.configure(propagation.Policy(correlation_header="X-House"))
        assert _amqp.readable({"x-house": "abc", "x-correlation-id": "old"}) == {"x-house": "abc"}
    finally:
        propagation.configure(before)


def test_a_timestamp_is_taken_where_nothing_better_is_there():
    """Ours is in milliseconds, that of AMQP in seconds."""
    now = int(time())

    assert _amqp.sent_at({}, now) == now
    assert _amqp.sent_at({"baggage": "a=1"}, now) == now
    assert _amqp.sent_at({"baggage": "a=1,obskit.sent=k2"}, now) is None


STAMPS = [0, -1, 7, pytest.param(time() * 1000, id="milliseconds"), 2**63, "now", None, b"x", [1]]


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_timestamp_that_cannot_be_one_is_none(stamp):
    """An age of fifty years, or one from milliseconds, would spoil the metric."""
    assert _amqp.sent_at({}, stamp) is None


def death(queue, count, reason="rejected"):
    return {"queue": queue, "count": count, "reason": reason, "exchange": "", "routing-keys": []}


@pytest.mark.parametrize(
    ("headers", "attempt"),
    [
        ({}, 1),
        ({"x-death": [death("orders", 2)]}, 3),
        # Given up twice, and each time made to wait in another queue.
        ({"x-death": [death("orders", 2), death("wait", 2, "expired")]}, 3),
        # Sent to wait by the consumer itself, for longer each time.
        ({"x-death": [death("wait-1", 1, "expired"), death("wait-10", 1, "expired")]}, 3),
        ({"x-delivery-count": 4}, 5),
        ({"x-delivery-count": long(4)}, 5),
        ({"x-delivery-count": 1, "x-death": [death("orders", 1)]}, 3),
        ({"x-death": [death("orders", -5), death("orders", "7"), death("orders", True)]}, 1),
        ({"x-death": "hostile", "x-delivery-count": "x"}, 1),
        ({"x-death": [7, None, {}]}, 1),
        ({"x-death": [death("orders", 2**62)]}, 1_000_001),
    ],
)
def test_attempts_are_counted_by_what_the_broker_notes(headers, attempt):
    """Deaths in this queue count, or those elsewhere if there are none; rubbish does not."""
    assert _amqp.attempt(headers, "orders") == attempt


def exactly(table):
    """Return what properties with nothing but *table* have in bytes, as pika writes them."""
    return sum(map(len, BasicProperties(headers=table).encode()))


TABLES = [
    {},
    {"a": "b" * 5000},
    {"a": "\N{EURO SIGN}" * 5000, "ü": b"x" * 70},
    {
        "n": 7,
        "big": 2**40,
        "no": None,
        "yes": True,
        "pi": Decimal("3.14"),
        "when": datetime.now(UTC),
    },
    {"deaths": [death("orders", 2), death("wait", 2)] * 40, "nested": {"a": {"b": ["c" * 999]}}},
]


@pytest.mark.parametrize("table", TABLES)
def test_what_fits_for_certain_fits(table):
    """The guess is never below what is written, and not so far above that all are suspected."""
    size = exactly(table)

    assert _amqp.may_burst(table, lambda: size)
    assert not _amqp.may_burst(table, lambda: 4 * size + 20_000)
    assert not _amqp.may_burst(table, unlimited)


def test_what_is_nested_without_end_is_suspected():
    """The codec will say what is wrong with it."""
    table = {}
    table["itself"] = table

    assert _amqp.may_burst(table, lambda: 131_072)


def test_headers_that_are_left_behind_are_counted_and_said_once(caplog, monkeypatch):
    """A sender of many such messages gets one line about them."""
    monkeypatch.setattr(_amqp, "_told", False)
    before = health.lost.get(("correlation", _amqp.NO_ROOM), 0)
    _amqp.lose()
    _amqp.lose()

    assert health.lost["correlation", _amqp.NO_ROOM] == before + 2
    assert len(caplog.records) == 1


def test_names_that_were_seen_are_asked_about_anew_after_other_settings(monkeypatch):
    """What was the caller's own may be ours now."""
    given = {"X-House": "mine", "tenant": 7}
    before = propagation.policy()
    try:
        with observation.unit_of_work("outer", correlation_id="abc"):
            assert _amqp.with_ours(given, unlimited).items() >= given.items()
            assert _amqp.with_ours(given, unlimited).items() >= given.items()
            propagation.configure(propagation.Policy(correlation_header="X-House"))
            table = _amqp.with_ours(given, unlimited)
    finally:
        propagation.configure(before)

    assert table["x-house"] == "abc"
    assert "X-House" not in table


def test_headers_of_ours_alone_are_read_as_they_are():
    """Most messages have no others; nothing is copied then."""
    ours = {"x-correlation-id": "abc", "baggage": "a=1"}

    assert _amqp.readable(ours) is ours
    assert _amqp.readable({**ours, "tenant": "7"}) == ours
