"""The record of one unit of work."""

import pytest

from obskit.context import Context, Unit
from obskit.observation import ENTRIES, EXITS, Kind, Message, Observation


@pytest.mark.parametrize("kind", Kind)
def test_servers_and_consumers_are_entries(kind):
    """Clients and producers are exits, and no kind is both."""
    assert Observation("x", kind).entry is (kind in ENTRIES)
    assert not (kind in ENTRIES and kind in EXITS)
    assert {ENTRIES, EXITS} == {
        frozenset({Kind.SERVER, Kind.CONSUMER}), frozenset({Kind.CLIENT, Kind.PRODUCER}),
    }  # fmt: skip


def test_records_share_nothing():
    """What one is given later is not on the next one."""
    one = Observation("x")
    one.labels["a"] = "1"
    one.attributes["b"] = 2

    assert (Observation("x").labels, Observation("x").attributes) == ({}, {})


def test_a_record_begins_innocent():
    """Nothing has happened yet."""
    work = Observation("x")

    assert (work.outcome, work.status, work.error, work.finished) == ("ok", None, None, False)
    assert repr(work) == "<Observation internal 'x' outcome=ok>"


def message(**facts):
    """Return the work on a message that began at 100 s and took 2 s."""
    work = Message("process orders", Kind.CONSUMER)
    work.started_at_ns, work.duration_ns = 100_000_000_000, 2_000_000_000
    unit = Unit.of("c", "inherited", "a" * 32, "b" * 16)
    unit.sent_ms, unit.born_ms = facts.pop("sent_ms", 0), facts.pop("born_ms", 0)
    work.context = Context(unit, "b" * 16, None, {})
    for name, value in facts.items():
        setattr(work, name, value)
    return work


def test_a_message_of_unknown_age_says_nothing():
    """Neither a guess nor a zero."""
    assert message().told() == {}
    assert Message("x", Kind.CONSUMER).told() == {}


def test_the_age_of_a_message_is_told():
    """From sending to the beginning of the work, and from the operation's birth to its end."""
    assert message(sent_ms=97_500, born_ms=90_000).told() == {
        "message_age_ms": 2500.0,
        "end_to_end_age_ms": 12000.0,
    }


def test_the_transports_own_time_goes_first():
    """A broker that stamps messages knows better than a header that was copied."""
    assert message(sent_ms=1, sent_at=99.0).age == 1.0


def test_a_senders_clock_that_is_ahead_makes_no_negative_age():
    """Zero is the least that is possible."""
    assert message(sent_ms=200_000, born_ms=200_000).told() == {
        "message_age_ms": 0.0,
        "end_to_end_age_ms": 0.0,
    }


def test_what_is_unusual_of_a_message_is_told():
    """What is as it should be is not."""
    assert message(redelivered=False, attempt=1).told() == {}
    assert message(redelivered=True, attempt=3, retried=True, dead_lettered=True).told() == {
        "attempt": 3,
        "redelivered": True,
        "retried": True,
        "dead_lettered": True,
    }
