"""What waits is bounded, and what matters most is lost last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit import health
from obskit.shipping import backlog as room
from obskit.shipping.backlog import Backlog


@pytest.fixture(autouse=True)
def counts():
    """Begin and end without counts."""
    health.reset()
    yield
    health.reset()


def drained(backlog):
    """Return what is in there, in the order of leaving."""
    return [backlog.get()[1] for _ in range(len(backlog))]


def lost():
    """Return how many were lost."""
    return sum(health.lost.values())


def test_things_leave_as_they_came():
    """But what is precious goes first."""
    backlog = Backlog("spans", 1000)
    for number in range(5):
        backlog.put(number, 10, number == 3)

    assert len(backlog) == 5
    assert drained(backlog) == [3, 0, 1, 2, 4]
    assert backlog.get() is None


def test_what_is_on_its_way_takes_room():
    """Until it is done with."""
    backlog = Backlog("spans", 100)
    backlog.put("a", 60, False)
    size, _ = backlog.get()
    backlog.put("b", 60, False)
    assert lost() == 1
    backlog.done(size)
    backlog.put("c", 60, False)

    assert drained(backlog) == ["c"]
    assert backlog.size == 60


def test_the_ordinary_makes_room_for_the_precious():
    """The oldest goes first; where all are precious nothing more is taken."""
    backlog = Backlog("spans", 100)
    for number in range(10):
        backlog.put(number, 10, False)
    for number in range(12):
        backlog.put(f"error {number}", 10, True)

    assert drained(backlog) == [f"error {number}" for number in range(10)]
    assert lost() == 12


def test_what_is_larger_than_all_room_takes_none():
    """Nothing is dropped for it."""
    backlog = Backlog("spans", 100)
    backlog.put("small", 10, False)
    backlog.put("huge", 101, True)

    assert drained(backlog) == ["small"]
    assert health.lost == {("spans", "queue full"): 1}


def test_the_number_is_bounded_too(monkeypatch):
    """Whatever the items are said to weigh."""
    monkeypatch.setattr(room, "MOST_ITEMS", 5)
    backlog = Backlog("spans", 1000)
    for number in range(10):
        backlog.put(number, 0, number > 7)

    assert len(backlog) == 5
    assert lost() == 5


def test_an_account_that_is_off_is_even_again_when_nothing_waits():
    """A thread may have been interrupted while it added."""
    backlog = Backlog("spans", 1000)
    backlog.put("a", 10, False)
    backlog._added += 990
    backlog.done(backlog.get()[0])

    assert backlog.size == 0


STEPS = st.lists(st.tuples(st.integers(0, 60), st.booleans(), st.booleans()), max_size=60)


@given(STEPS)
def test_nothing_is_unaccounted_for(steps):
    """What was put is waiting, was taken or is counted as lost; the bound holds at any time."""
    health.reset()
    backlog = Backlog("spans", 100)
    taken = added = 0
    for size, precious, take in steps:
        added += backlog.put("x", size, precious)
        assert backlog.size <= 100
        if take and (found := backlog.get()):
            backlog.done(found[0])
            taken += 1

    assert len(backlog) + taken + lost() == len(steps)
    assert len(backlog) + taken == added
