"""Threads and timers."""

import logging.handlers
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from obskit import clock, context, observation


class Own(threading.Thread):
    """A thread with a run method of its own, as most people write them."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def run(self):
        self.seen.append(context.correlation_id())


def by_target(seen):
    return threading.Thread(target=lambda: seen.append(context.correlation_id()))


def by_timer(seen):
    return threading.Timer(0, lambda: seen.append(context.correlation_id()))


@pytest.mark.parametrize("make", [by_target, Own, by_timer])
def test_a_thread_has_the_id_of_its_starter(observed, make):
    """Functions, subclasses and timers."""
    seen = []
    with observation.unit_of_work("outer", correlation_id="abc"):
        thread = make(seen)
        thread.start()
        thread.join()

    assert seen == ["abc"]


def test_a_thread_goes_on_after_its_starter(observed):
    """Work that outlives the request keeps its ID."""
    gate, seen = threading.Event(), []
    with observation.unit_of_work("outer", correlation_id="abc"):
        thread = threading.Thread(
            target=lambda: (gate.wait(5), seen.append(context.correlation_id()))
        )
        thread.start()
    gate.set()
    thread.join()

    assert seen == ["abc"]
    assert context.get() is None


def test_the_thread_writes_on_a_strand_of_its_own(observed):
    """Two that write at the same time are not one after the other."""
    lines = []
    with observation.unit_of_work("outer"):
        clock.tick()
        thread = threading.Thread(target=lambda: lines.append(clock.tick()))
        lines.append(clock.tick())
        thread.start()
        thread.join()
        lines.append(clock.tick())
        thread = threading.Thread(target=lambda: lines.append(clock.tick()))
        lines.append(clock.tick())
        thread.start()
        thread.join()

    strands = [line.split('"lc_at":"')[1][:16] for line in lines]
    assert len(set(strands)) > 1
    assert strands[0] == strands[1]


def test_what_a_thread_binds_stays_its_own_but_reaches_the_summary(observed):
    """The starter's lines are not changed, the bag is shared."""
    with observation.unit_of_work("outer"):
        thread = threading.Thread(target=lambda: context.bind(found=7))
        thread.start()
        thread.join()
        assert "found" not in context.get().fields

    assert observed[0].context.unit.fields == {"found": 7}


def test_a_threads_uncaught_error_is_reported_with_the_id(observed, monkeypatch):
    """The hook for such errors runs where the thread ran."""
    seen = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(context.correlation_id()))
    with observation.unit_of_work("outer", correlation_id="abc"):
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()

    assert seen == ["abc"]


def test_shared_workers_belong_to_nobody(observed):
    """Whoever happens to start a listener for all is not its owner for ever."""
    seen = []

    class Handler(logging.Handler):
        def emit(self, record):
            seen.append(context.correlation_id())

    records = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, Handler())
    with observation.unit_of_work("outer", correlation_id="abc"):
        listener.start()
        records.put(logging.makeLogRecord({"msg": "x"}))
    listener.stop()

    assert seen == [None]


def test_a_pool_that_is_born_in_a_request_is_clean(observed):
    """Its first worker is started inside, its later jobs come from anywhere."""
    with ThreadPoolExecutor(1) as pool:
        with observation.unit_of_work("outer", correlation_id="abc"):
            assert pool.submit(context.correlation_id).result() == "abc"
        assert pool.submit(context.correlation_id).result() is None


def test_a_thread_without_an_operation_has_none(observed):
    """Nothing is invented."""
    seen = []
    thread = by_target(seen)
    thread.start()
    thread.join()

    assert seen == [None]
