"""The counts of what obskit itself lost or got wrong."""

import mmap
import os
import sys
import threading

import pytest

from obskit import health

pytestmark = pytest.mark.usefixtures("floor")


class Unspeakable(Exception):
    """An error whose text is an error."""

    def __str__(self):
        """Fail."""
        raise RuntimeError("no words")


def test_an_error_is_counted_and_its_text_kept():
    """The last one at a place is remembered."""
    health.internal_error("here", ValueError("first"))
    health.internal_error("here", ValueError("second"))
    health.internal_error("there", KeyError("x"))

    assert health.internal_errors == {"here": 2, "there": 1}
    assert health.last_errors == {"here": "ValueError: second", "there": "KeyError: 'x'"}


def test_an_error_is_reported_the_first_time():
    """A place that fails at each request must not fill the log."""
    reports = []
    health.on_first_error(lambda where, text: reports.append((where, text)))
    for _ in range(3):
        health.internal_error("here", ValueError("x"))

    assert reports == [("here", "ValueError: x")]


def test_a_report_is_bounded():
    """An error may hold a whole body in its text."""
    health.internal_error("here", ValueError("x" * 10_000))

    assert len(health.last_errors["here"]) == health.LARGEST_REPORT


def test_an_error_without_words_is_named_by_its_type():
    """Containment never raises itself."""
    health.internal_error("here", Unspeakable())

    assert health.last_errors == {"here": "Unspeakable"}


def test_a_loss_is_counted_by_signal_and_reason():
    """Several at once count as several."""
    health.lose("logs", "queue_full")
    health.lose("logs", "queue_full", 5)
    health.lose("spans", "queue_full")

    assert health.lost == {("logs", "queue_full"): 6, ("spans", "queue_full"): 1}


def test_listeners_hear_of_each_count():
    """The same listener is told once."""
    heard = []

    def listen(*told):
        heard.append(told)

    health.on_count(listen)
    health.on_count(listen)
    health.internal_error("here", ValueError())
    health.lose("logs", "closed", 2)

    assert heard == [("internal_errors", ("here",), 1), ("lost", ("logs", "closed"), 2)]


def test_a_reporter_or_listener_that_raises_is_contained():
    """The others are told, and it is counted where nobody can be told any more."""
    told = []
    health.on_first_error(lambda *_: 1 / 0)
    health.on_first_error(lambda *heard: told.append(heard))
    health.on_count(lambda *_: 1 / 0)
    health.on_count(lambda *heard: told.append(heard))
    health.internal_error("here", ValueError("x"))
    health.lose("logs", "closed")

    assert told == [
        ("here", "ValueError: x"),
        ("internal_errors", ("here",), 1),
        ("lost", ("logs", "closed"), 1),
    ]
    assert health.internal_errors == {"here": 1, "health.report": 1, "health.listen": 2}


def test_a_reporter_may_fail_in_a_way_that_is_counted():
    """A log that fails while it reports reports that failure too, and nothing locks up."""
    health.on_first_error(lambda where, _: health.internal_error(f"{where}.report", ValueError()))
    health.internal_error("a", ValueError())

    assert health.internal_errors["a.report"] == 1


def test_nothing_is_lost_between_threads():
    """Eight threads count together."""

    def work():
        for _ in range(500):
            health.internal_error("here", ValueError())
            health.lose("logs", "closed")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert health.internal_errors == {"here": 4000}
    assert health.lost == {("logs", "closed"): 4000}


FORKS = """
import os, threading
from obskit import health

with health._lock:
    child = os.fork()
    if child == 0:
        counter = threading.Thread(target=health.lose, args=("logs", "closed"), daemon=True)
        counter.start()
        counter.join(10)
        os._exit(0 if health.lost else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_can_count(start_process):
    """The lock may have been held by a thread that the child does not have."""
    output = start_process(sys.executable, "-c", FORKS).wait(60)

    assert (output.returncode, output.stderr) == (0, b"")


def test_everything_can_be_forgotten():
    """Counts, texts, reporters and listeners."""
    heard = []
    health.on_first_error(lambda *_: heard.append(1))
    health.on_count(lambda *_: heard.append(1))
    health.internal_error("here", ValueError())
    health.lose("logs", "closed")
    heard.clear()
    health.reset()
    assert (health.internal_errors, health.lost, health.last_errors) == ({}, {}, {})

    health.internal_error("here", ValueError())
    assert heard == []


def test_what_is_not_sent_moves_to_where_it_is_kept(monkeypatch):
    """The place before has none of it any more."""
    first, second = [3.0], [99.0]
    monkeypatch.setattr(health, "unsent", first)
    health.keep_unsent(second)

    assert health.unsent is second
    assert (first, second) == ([0.0], [3.0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_has_nothing_that_is_not_sent(monkeypatch):
    """It neither reads nor changes the number of its parent."""
    monkeypatch.setattr(health, "unsent", memoryview(mmap.mmap(-1, 8)).cast("d"))
    health.unsent[0] = 3.0
    pid = os.fork()
    if pid == 0:
        begun = health.unsent[0]
        health.unsent[0] += 1.0
        os._exit(int(begun))
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert health.unsent[0] == 3.0
