"""Offsets of wall clocks, measured from causes."""

import random

import pytest

from obskit.order import Order
from obskit.story import render_text, tell
from obskit.story.clocks import measure, seconds
from tests.story.cluster import Plan, operations
from tests.story.oracle import judge
from tests.story.scenes import Play, failing_order


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


def offsets_of(cluster):
    """Return what is measured from the lines of a cluster, in any order."""
    for line in cluster.lines:
        line["timestamp"] = stamp(line["wall"])
    return measure(Order(random.sample(cluster.lines, len(cluster.lines))).events)


def walls_of(cluster, offset):
    """Return the two host clocks that an offset is about."""
    return [
        cluster.hosts[int(host.removeprefix("host"))]
        for _, host in (offset.clock, offset.reference)
    ]


def test_the_true_offset_is_always_within_the_bounds():
    """In a cluster whose hosts are hours apart, with lost answers and messages."""
    checked = 0
    for cluster in operations(range(150), Plan(size=80)):
        clocks = offsets_of(cluster)
        assert not clocks.contradicting
        for offset in clocks.offsets:
            clock, reference = walls_of(cluster, offset)
            true = clock.offset - reference.offset
            assert offset.least - 1e-3 <= true <= offset.most + 1e-3
            checked += 1
    assert checked > 100


WRONG = {
    "drift": Plan(size=80, offset=0.5, drift=0.2),
    "steps": Plan(size=80, offset=0.5, step=5.0),
    "both": Plan(size=80, offset=3600.0, drift=0.05, step=600.0),
}


@pytest.mark.parametrize("name", WRONG)
def test_bounds_are_honest_while_clocks_drift_and_jump(name):
    """What is said to be ahead at least, or at most, was so at some time of the operation."""
    checked = contradicting = 0
    for cluster in operations(range(300), WRONG[name]):
        clocks = offsets_of(cluster)
        contradicting += clocks.contradicting
        times = sorted({line["true"] for line in cluster.lines})
        for offset in clocks.offsets:
            clock, reference = walls_of(cluster, offset)
            # The two are read one after the other, by an effect and by its cause.
            later = [(one, other) for at, one in enumerate(times) for other in times[at:]]
            lowest = min(clock.off(other) - reference.off(one) for one, other in later)
            highest = max(clock.off(one) - reference.off(other) for one, other in later)
            assert offset.most + 1e-3 >= lowest, (cluster.hosts, offset)
            assert offset.least - 1e-3 <= highest, (cluster.hosts, offset)
            checked += 1
    assert checked > 100
    assert contradicting or name == "drift"


def test_no_third_clock_is_believed():
    """Its step between two messages is no difference of the two others."""
    play = Play()
    first = play.enter("first").log("asks")
    second = first.call("second").log("is asked")
    play.offsets["second"] = 3600.0
    second.log("asks on")
    second.call("third").log("is asked last")
    found = {offset.clock[0]: offset for offset in measure(Order(play.lines).events).offsets}

    assert found["third"].most >= 0
    assert not found["third"].is_off


@pytest.mark.parametrize("name", WRONG)
def test_what_is_said_of_causes_depends_on_no_clock(name):
    """Lines, marks and culprit are those of the same operation without a single timestamp."""
    for cluster in operations(range(40), WRONG[name]):
        told = [tell(stamped(cluster, with_times), "op") for with_times in (True, False)]
        texts = [render_text(story, times=False) for story in told]

        assert texts[0] == texts[1]
        assert told[0].words == told[1].words
        judge(cluster, cluster.lines, exact=True)


def stamped(cluster, with_times):
    """Return the lines with what their hosts' clocks said, or without any time."""
    lines = []
    for line in cluster.lines:
        kept = {key: value for key, value in line.items() if key not in ("wall", "true")}
        lines.append(kept | {"timestamp": stamp(line["wall"])} if with_times else kept)
    return lines


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
