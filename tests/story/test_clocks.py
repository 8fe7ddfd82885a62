"""Offsets of wall clocks, measured from causes."""

import random

import pytest

from obskit.order import Order
from obskit.story.clocks import measure, seconds
from tests.story.cluster import Plan, operations
from tests.story.scenes import failing_order


def test_a_clock_that_is_behind_is_measured_from_both_sides():
    """The request bounds it from above, the answer from below."""
    [offset] = measure(Order(failing_order(warehouse=-42.0).lines).events).offsets

    assert offset.clock == ("warehouse", "warehouse-1")
    assert offset.least <= -42 <= offset.most
    assert offset.most - offset.least < 0.1
    assert offset.is_off


def test_clocks_that_agree_are_not_off():
    """Zero lies within the bounds."""
    [offset] = measure(Order(failing_order().lines).events).offsets

    assert not offset.is_off


def test_timestamps_that_contradict_each_other_are_said():
    """An answer that seems older than its question, by a clock that was set meanwhile."""
    play = failing_order()
    for line in play.lines:
        if line["message"] == "Packing a parcel":
            line["timestamp"] = "2020-01-01T00:00:00.000000Z"

    assert measure(Order(play.lines).events).contradicting


def test_the_true_offset_is_always_within_the_bounds():
    """In a cluster whose hosts are hours apart, with lost answers and messages."""
    checked = 0
    for cluster in operations(range(150), Plan(size=80)):
        for line in cluster.lines:
            line["timestamp"] = f"{stamp(line['wall'])}"
        offsets = measure(Order(random.sample(cluster.lines, len(cluster.lines))).events).offsets
        for offset in offsets:
            names = [
                int(clock[1].removeprefix("host")) for clock in (offset.clock, offset.reference)
            ]
            true = cluster.hosts[names[0]] - cluster.hosts[names[1]]
            assert offset.least - 1e-3 <= true <= offset.most + 1e-3
            checked += 1
    assert checked > 100


def stamp(wall: float) -> str:
    """Return a time as lines have it."""
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(wall, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


@pytest.mark.parametrize("text", [None, 7, "", "yesterday", "2026-01-01T00:00:00", "9" * 100])
def test_what_is_no_time_is_none(text):
    """Local times without a zone say nothing either."""
    assert seconds(text) is None


def test_times_are_read():
    """As obskit writes them, and with a zone."""
    assert seconds("1970-01-01T00:00:01.500000Z") == 1.5
    assert seconds("1970-01-01T01:00:00+01:00") == 0
