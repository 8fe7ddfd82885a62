"""A spool keeps within its size: the oldest best-effort lines go first, durable ones never."""

import os
import time

import pytest

from obskit.shipping.spool import Appender, Reader, SpoolFull, segments
from obskit.shipping.spool import room as module
from tests.shipping.spool.spools import drain, drained, lines, numbers, standing

MOST = 256 * 1024


@pytest.fixture
def small(folder):
    """Give an appender with little room."""
    one = Appender(folder, MOST)
    yield one
    one.close()


def size_of(folder):
    """Return the bytes of all files."""
    return sum(one.size for one in segments.listing(folder))


def fill(appender):
    """Log durable lines until there is no room; return how many there was room for."""
    for number in range(10_000):
        try:
            appender.append(lines(1, number, 100), True)
        except SpoolFull:
            return number
    raise AssertionError("it never gets full")


def test_the_oldest_best_effort_lines_go_first(folder, small):
    """What was logged last is there, what was given up is counted, and all adds up."""
    reader = Reader(folder, "es")
    for start in range(0, 6000, 20):
        assert small.append(lines(20, start, 100), False)
        assert size_of(folder) <= MOST
    found = numbers(entry.body for entry in drain(reader))
    one = standing(folder)

    assert found == list(range(6000 - len(found), 6000))
    assert len(found) > 1000
    assert one.dropped == {"spool full": 6000 - len(found)}
    assert one.logged == 6000


def test_only_what_was_not_delivered_is_counted(folder, small):
    """A destination loses of a file what it had not read by then, each its own."""
    fast, slow = (Reader(folder, name, known=("fast", "slow")) for name in ("fast", "slow"))
    got = 0
    for start in range(0, 4000, 20):
        small.append(lines(20, start, 100), False)
        got += len(drain(fast))
    left = len(drain(slow))
    drain(fast)

    assert (got, standing(folder, "fast").dropped) == (4000, {})
    assert standing(folder, "slow").dropped == {"spool full": 4000 - left}
    assert [standing(folder, name).logged for name in ("fast", "slow")] == [4000, 4000]


def test_the_account_knows_before_the_reader_does(folder, small):
    """What was given up is not shown as waiting."""
    Reader(folder, "es")
    for start in range(0, 4000, 20):
        small.append(lines(20, start, 100), False)
    one = standing(folder)

    assert one.logged == 4000
    assert 0 < one.dropped["spool full"] < 4000


def test_durable_lines_are_never_given_up(folder, small):
    """Whoever logs them hears that there is no room, and all that were taken are there."""
    reader, count = Reader(folder, "es"), fill(small)

    assert size_of(folder) <= MOST
    assert numbers(entry.body for entry in drain(reader)) == list(range(count))
    assert standing(folder).dropped == {}


def test_durable_lines_push_best_effort_ones_out(folder, small):
    """These are lost first, and counted."""
    reader = Reader(folder, "es")
    small.append(lines(1500, 0, 100), False)
    count = fill(small)
    drain(reader)
    one = standing(folder)

    assert count > 1400
    assert one.logged == 1500 + count
    assert one.dropped["spool full"] + one.taken == 1500 + count


def test_best_effort_lines_that_find_no_room_are_counted(folder, small):
    """Where all is durable they are dropped themselves, which is on record."""
    reader = Reader(folder, "es")
    fill(small)
    results = {small.append(lines(10), False) for _ in range(50)}
    small.close()
    drain(reader)

    assert results == {False}
    assert standing(folder).dropped == {"spool full": 500}


def test_room_comes_back_with_delivery(folder, small, monkeypatch):
    """What was full takes lines again when some are gone."""
    monkeypatch.setattr(module, "FULL_SECONDS", 0.0)
    fill(small)
    drained(folder)

    assert small.append(lines(1, 1), True)


def test_several_processes_share_the_room(folder):
    """Together they do not fill more than there is, by much."""
    several = [Appender(folder, MOST) for _ in range(4)]
    for start in range(0, 4000, 20):
        for one in several:
            one.append(lines(20, start, 100), False)
    for one in several:
        one.close()

    assert size_of(folder) <= MOST * 1.1


def test_a_look_into_the_folder_is_rare(folder, monkeypatch):
    """It is not for each line."""
    looks, real = [], segments.listing
    monkeypatch.setattr(segments, "listing", lambda one: looks.append(1) or real(one))
    one = Appender(folder, 64 << 20)
    for number in range(3000):
        one.append(lines(1, number, 300), True)
    one.close()

    assert len(looks) < 10


def test_a_full_spool_is_not_looked_through_each_time(folder, small, monkeypatch):
    """A line that finds no room finds that out fast."""
    fill(small)
    monkeypatch.setattr(module, "FULL_SECONDS", 60.0)
    with pytest.raises(SpoolFull):
        time.sleep(0.06)
        small.append(lines(1, 0, 100), True)
    monkeypatch.setattr(os, "scandir", None)

    with pytest.raises(SpoolFull):
        small.append(lines(1, 0, 100), True)
