"""What one pass over the lines keeps of them."""

import pytest

from obskit.story import edges as module
from obskit.story.edges import (
    HTTP,
    JOB,
    MESSAGE,
    TASK,
    Edges,
    Way,
    is_last,
    is_without_clock,
    unit_id,
    unit_of,
)

SPAN = "a" * 16


def last(number: int = 1, **facts: object) -> dict[str, object]:
    """Return the last line of a request."""
    line = {
        "service": "warehouse", "correlation_id": f"op-{number}", "correlation_source": "inherited",
        "caller": "shop", "lc": 2, "lc_at": f"{number:016x}-2", "outcome": "ok",
        "duration_ms": 1.5, "http_request_method": "GET", "calls": 0,
    }  # fmt: skip
    return {name: value for name, value in (line | facts).items() if value is not None}


def fed(*lines) -> Edges:
    """Return what is kept of lines."""
    edges = Edges()
    for line in lines:
        edges.add(line)
    return edges


@pytest.mark.parametrize(
    ("facts", "way"),
    [
        ({}, Way("warehouse", HTTP, "")),
        ({"service": None}, Way("?", HTTP, "")),
        (
            {"messaging_system": "kafka", "messaging_destination_name": "orders"},
            Way("warehouse", MESSAGE, "kafka:orders"),
        ),
        (
            {"task_name": "bill", "messaging_system": "celery",
             "messaging_destination_name": "slow"},
            Way("warehouse", TASK, "celery:slow"),
        ),
        (
            {"task_name": "parcel", "caller": None, "correlation_source": "message"},
            Way("warehouse", MESSAGE, "parcel"),
        ),
        ({"task_name": "parcel"}, Way("warehouse", MESSAGE, "parcel")),
        (
            {"task_name": "nightly", "caller": None, "correlation_source": "generated"},
            Way("warehouse", JOB, "nightly"),
        ),
    ],
)  # fmt: skip
def test_the_last_line_says_how_work_came(facts, way):
    """A request, a message, a task, or a job that nobody has sent."""
    method = None if facts.keys() - {"service"} else "GET"

    assert unit_of(last(http_request_method=method, **facts)).way == way


def test_only_last_lines_are_counted():
    """All others are passed over."""
    edges = fed(last(), last(2, outcome=None), last(3, duration_ms=None))

    assert edges.units == 1
    assert edges.called["shop", Way("warehouse", HTTP, "")].calls == 1
    assert not is_last({"outcome": 3, "duration_ms": 1})


def test_a_line_that_came_twice_counts_once():
    """Pipelines repeat themselves; the unit is known by its first strand."""
    other_strand = last(lc_at=f"{7:016x}-1", lc_hop=f"{1:016x}")

    assert unit_id(other_strand) == unit_id(last())
    assert fed(last(), last(), other_strand).units == 1


@pytest.mark.parametrize("source", ["generated", "invalid", "request_id", "message"])
def test_a_named_caller_whose_id_is_not_taken_over_has_lost_it(source):
    """His name has arrived, his ID has not."""
    (tally,) = fed(last(correlation_source=source)).called.values()

    assert (tally.calls, tally.lost_id, tally.examples) == (1, 1, ["op-1"])


def test_a_first_line_without_clock_is_known_in_any_order():
    """It has the number 1, nothing before it, and stands on the first strand."""
    first = {"lc": 1, "lc_at": f"{1:016x}-1", "lc_broken": True}

    assert is_without_clock(first)
    for more in ({"lc": 2}, {"lc_after": ["x"]}, {"lc_hop": SPAN}, {"lc_broken": False}):
        assert not is_without_clock(first | more)
    for lines in ((first, last(lc_broken=True)), (last(lc_broken=True), first)):
        assert [unit.id for unit in fed(*lines).clockless] == [f"{1:016x}"]
    assert fed(last(lc_broken=True)).clockless == []


def test_an_id_from_nobody_came_without_clock():
    """Name and clock travel together; who brings no ID at all has no clock to lose."""
    assert len(fed(last(caller=None, lc_broken=True)).clockless) == 1
    for source in ("generated", "given", "restarted", "schedule"):
        line = last(caller=None, lc_broken=True, correlation_source=source)
        assert fed(line).clockless == []


def test_messages_are_counted_by_where_they_went():
    """Of several places each got one at least."""
    edges = fed(
        last(1, messaging_sent_to=["kafka:a"], messaging_sent=3),
        last(2, messaging_sent_to=["kafka:a", "kafka:b"], messaging_sent=9),
    )

    assert edges.sent == {("warehouse", "kafka:a"): 4, ("warehouse", "kafka:b"): 1}


HOSTILE: list[object] = [None, 1, -1, True, {}, [], [{}, 1, None, [1]], "text", "x" * 10_000]


@pytest.mark.parametrize("value", HOSTILE, ids=str)
def test_lines_of_strangers_do_no_harm(value):
    """Logs are data: any field may be anything."""
    names = [*last(), "messaging_sent_to", "messaging_sent", "answered_as", "causation_id"]
    names += ["lc_after", "lc_seen", "lc_broken", "task_name", "messaging_system"]
    for name in names:
        fed(last(lc_broken=True, messaging_sent_to=["a"]) | {name: value})


def test_memory_is_bounded(monkeypatch):
    """The oldest units are forgotten, further edges share a row, and lost ones are counted."""
    for name in ("MOST_UNITS", "MOST_CLAIMS", "MOST_WAITING", "MOST_PLACES"):
        monkeypatch.setattr(module, name, 5)
    edges = Edges()
    for number in range(50):
        more = {"service": f"s{number}", "caller": None, "lc_broken": True}
        edges.add(last(number, **more, answered_as=[f"id-{number}"],
                       messaging_sent_to=[f"kafka:{number}"]))  # fmt: skip
        edges.add(last(1000 + number, lc_broken=True, caller=f"c{number}"))
        edges.add({"lc": 1, "lc_at": f"{5000 + number:016x}-1", "lc_broken": True})

    assert edges.units == 100
    assert len(edges.claims) == len(edges.clockless) == len(edges.sent) == 5
    assert edges.unclaimed == 90
    assert len(edges.called) == len(edges.arrived) == 6
    assert sum(tally.calls for tally in edges.called.values()) == 50
    assert max(len(edges._seen), len(edges._first), len(edges._last)) <= 5
