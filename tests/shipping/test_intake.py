"""Lines get into the spool without being in the way, and past it where it takes none."""

import errno
import os
import threading
import time

import pytest

from obskit import health
from obskit.shipping import intake as room
from obskit.shipping.intake import Intake


class Spool:
    """A spool that keeps what it gets in lists; it raises what stands in *errors* first."""

    def __init__(self):
        self.best, self.durable, self.spans, self.drops, self.errors = [], [], [], [], []
        self.appends, self.has_room = 0, True
        self.gate = threading.Event()
        self.gate.set()

    def append(self, bodies, durable, kind="line"):
        """Keep *bodies*."""
        self.gate.wait(5)
        self.appends += 1
        if self.errors:
            raise self.errors.pop(0)
        target = self.spans if kind == "span" else self.durable if durable else self.best
        target += bodies
        return self.has_room

    def dropped(self, reason, count, kind="line"):
        """Keep what is said of losses."""
        self.drops.append((reason, count, kind))

    def look(self):
        """Do nothing."""

    def close(self):
        """Do nothing."""


class Set:
    """An intake with its spool, what went past it, and how often somebody was called."""

    def __init__(self, most=100_000, spool=True):
        self.spool = Spool() if spool else None
        self.passed, self.stored, self.tended = [], 0, 0
        self.intake = Intake(self.spool, self.bypass, most, self.on_stored, self.tend)

    def bypass(self, bodies, kind):
        """Keep what the spool did not take."""
        self.passed += [(body, kind) for body in bodies]

    def on_stored(self):
        """Count."""
        self.stored += 1

    def tend(self):
        """Count."""
        self.tended += 1


@pytest.fixture
def make():
    """Give what makes sets that end with the test."""
    made = []

    def start(**options):
        made.append(Set(**options))
        return made[-1]

    health.reset()
    yield start
    for one in made:
        one.intake.close()
        if one.spool:
            one.spool.gate.set()
    health.reset()


def until(condition, seconds=5.0):
    """Wait until *condition* is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def soon():
    """Return the time until which a flush may take."""
    return time.monotonic() + 5


def test_lines_are_stored_together_and_in_order(make):
    """The thread writes what has come since the last time at once."""
    one = make()
    for number in range(500):
        one.intake.take(b"%d\n" % number)

    assert one.intake.flush(soon())
    assert one.spool.best == [b"%d" % number for number in range(500)]
    assert one.spool.appends < 100
    until(lambda: one.stored and one.tended)


def test_the_thread_rests_and_is_woken(make, monkeypatch):
    """A line after a long pause is stored as soon as one in a stream of lines."""
    monkeypatch.setattr(room, "IDLE_TICKS", 1)
    one = make()
    one.intake.take(b"first\n")
    until(lambda: one.intake._resting)

    one.intake.take(b"second\n")

    until(lambda: one.spool.best == [b"first", b"second"], 1.0)


def test_spans_are_kept_apart(make):
    """They have segments of their own."""
    one = make()
    one.intake.take(b"line\n")
    one.intake.take_span(b"span")
    one.intake.flush(soon())

    assert (one.spool.best, one.spool.spans) == ([b"line"], [b"span"])


def test_a_durable_line_is_stored_when_the_call_returns(make):
    """Nobody else has to do anything for that."""
    one = make()
    one.intake.take_durably(b"paid\n", False)

    assert one.spool.durable == [b"paid"]


def test_what_the_queue_has_no_room_for_is_counted_and_confessed(make):
    """A stalled disk costs no memory without end, and the ledger adds up."""
    one = make(most=1000)
    one.spool.gate.clear()
    for _ in range(200):
        one.intake.take(b"x" * 9 + b"\n")
    one.spool.gate.set()
    one.intake.flush(soon())

    lost = 200 - len(one.spool.best)
    assert lost > 0
    assert health.lost == {("logs", "queue full"): lost}
    assert sum(count for _, count, _ in one.spool.drops) == lost


def test_a_disk_that_is_full_does_not_stop_lines(make):
    """They go on in memory, and the trouble has a name until it is over."""
    one = make()
    one.spool.errors = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]
    one.intake.take(b"first\n")
    one.intake.flush(soon())
    assert one.passed == [(b"first", "line")]
    assert "No space" in one.intake.trouble

    one.intake.take(b"second\n")
    one.intake.flush(soon())
    assert one.spool.best == [b"second"]
    assert one.intake.trouble == ""


def test_what_the_spool_has_no_room_for_is_counted(make):
    """The spool has it on record; metrics have to hear of it."""
    one = make()
    one.spool.has_room = False
    one.intake.take(b"a\n")
    one.intake.flush(soon())

    assert health.lost == {("logs", "spool full"): 1}


def test_a_durable_line_that_is_not_stored_goes_on_in_memory(make):
    """Its caller is not held up, and that it is not safe is counted."""
    one = make()
    one.spool.errors = [OSError(errno.ENOSPC, "full")]
    one.intake.take_durably(b"paid\n", False)

    assert one.passed == [(b"paid", "line")]
    assert health.lost == {("durability", "not spooled"): 1}


def test_a_durable_line_may_wait_for_room(make):
    """Where its logger is declared so, its caller waits rather than goes on without."""
    one = make()
    one.spool.errors = [OSError(errno.ENOSPC, "full")] * 5
    one.intake.take_durably(b"paid\n", True)

    assert one.spool.durable == [b"paid"]
    assert one.spool.appends == 6
    assert health.lost == {}


def test_without_a_spool_all_goes_on_in_memory(make):
    """A durable line does, too; that it is not safe is counted."""
    one = make(spool=False)
    one.intake.take(b"a\n")
    one.intake.take_durably(b"b\n", True)
    one.intake.flush(soon())

    assert sorted(one.passed) == [(b"a", "line"), (b"b", "line")]
    assert health.lost == {("durability", "not spooled"): 1}


def test_what_can_wait_is_told_where_there_is_no_room(make):
    """A pipe is read on when the spool has room again."""
    one = make()
    one.spool.errors = [OSError(errno.ENOSPC, "full")]

    assert not one.intake.put([b"a", b"b"])
    assert one.intake.put([b"a", b"b"])
    assert one.spool.durable == [b"a", b"b"]


def test_an_error_of_whoever_is_called_stops_nothing(make):
    """It is counted, and lines are stored as before."""
    one = make()

    def fail():
        raise ValueError("no")

    one.intake._tend = fail
    one.intake.take(b"a\n")
    until(lambda: health.internal_errors.get("shipping.intake"))
    one.intake.take(b"b\n")

    until(lambda: one.spool.best == [b"a", b"b"])


def test_what_is_not_stored_at_the_end_is_counted(make):
    """There will be no other time."""
    one = make()
    one.spool.gate.clear()
    one.intake._running = True  # as if the thread was stuck in a write
    for line in (b"a\n", b"b\n"):
        one.intake.take(line)

    assert one.intake.abandon("process ended") == 2
    assert health.lost == {("logs", "process ended"): 2}


def test_a_line_costs_no_time():
    """Whoever logs does not wait for a disk, and takes no lock."""
    one = Set(most=10**9)
    one.intake._running = True
    body = b"x" * 300
    begun = time.perf_counter()
    for _ in range(10_000):
        one.intake.take(body)

    assert (time.perf_counter() - begun) / 10_000 < 20e-6


def test_what_never_has_room_holds_up_nobody(make):
    """Of lines that come together those that fit are stored, and the one that does not counts."""
    one = make()
    append = one.spool.append

    def picky(bodies, durable, kind="line"):
        if sum(map(len, bodies)) > 3:
            raise OSError(errno.EMSGSIZE, "too much")
        return append(bodies, durable, kind)

    one.spool.append = picky
    rest = [b"a", b"bb", b"cccc", b"d"]
    for _ in range(9):
        rest = rest[one.intake.put(rest) :]
    one.intake.take_durably(b"eeee\n", True)

    assert rest == []
    assert one.spool.durable == [b"a", b"bb", b"d"]
    assert one.passed == [(b"eeee", "line")]
    assert health.lost == {("logs", "too long"): 1, ("durability", "not spooled"): 1}
