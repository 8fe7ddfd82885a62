"""Lines that were lost are told of, once."""

import json
import threading

import pytest

import obskit
from obskit import health
from obskit.logs import levels, losses
from obskit.logs.losses import Losses


@pytest.fixture
def lost(logged):
    """Give the losses of a stream that nobody else writes to."""
    return Losses()


def test_one_line_tells_of_all(logged, lost):
    """How many they are, and why they are lost; the counter has them too."""
    lost.add("queue full")
    lost.add("queue full", 3)
    lost.add("write failed")
    assert lost.waiting
    lost.tell()

    line = logged.line
    assert (line["level"], line["logger"], line["message"]) == (
        "warning", "obskit", "lines were lost",
    )  # fmt: skip
    assert (line["obskit_lost"], line["obskit_reason"]) == (5, "queue full, write failed")
    assert not lost.waiting
    assert health.lost == {("logs", "queue full"): 4, ("logs", "write failed"): 1}


def test_it_is_not_told_again_and_again(logged, lost, monkeypatch):
    """What comes soon after is told of later, or at the end."""
    now = [1000.0]
    monkeypatch.setattr(losses, "monotonic", lambda: now[0])
    for _ in range(100):
        lost.add("queue full")
        lost.tell()
        now[0] += losses.SILENT_SECONDS / 64
    lost.tell(at_last=True)
    lost.tell(at_last=True)

    assert [line["obskit_lost"] for line in logged.lines] == [1, 64, 35]


def test_nothing_lost_is_nothing_told(logged, lost):
    """Also at the end."""
    lost.tell()
    lost.tell(at_last=True)

    assert logged.raw == b""


def test_the_line_is_about_the_process(logged, lost):
    """Whatever operation happens to be under way, it is none of its lines."""
    with obskit.unit_of_work("job"):
        obskit.bind(order=7)
        lost.add("queue full")
        lost.tell()
        obskit.get_logger("x").info("next")

    told, following = logged.lines
    assert told["scope"] == "process"
    assert "order" not in told
    assert following["lc"] == 1


def test_who_wants_no_warnings_has_none(logged, lost):
    """The level of its logger counts."""
    levels.configure("obskit=ERROR")
    lost.add("queue full")
    lost.tell()

    assert logged.raw == b""


def test_without_a_log_nothing_is_said(floor, caplog):
    """Before `init` and after the end there is none."""
    lost = Losses()
    lost.add("queue full")
    lost.tell()

    assert caplog.records == []


def test_many_threads_lose_and_tell(logged, lost, monkeypatch):
    """Each lost line is told of exactly once."""
    monkeypatch.setattr(losses, "SILENT_SECONDS", 0.0)

    def lose():
        for _ in range(200):
            lost.add("queue full")
            lost.tell()

    threads = [threading.Thread(target=lose) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lost.tell(at_last=True)

    told = [json.loads(line)["obskit_lost"] for line in logged.raw.splitlines()]
    assert sum(told) == 1600
