"""Child processes."""

import multiprocessing
import os

import pytest

from obskit import clock, context, observation


def report(connection):
    """Send what a child sees."""
    connection.send((context.correlation_id(), clock.current() is None))
    connection.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_begins_clean(observed, method):
    """Whatever request was running when it was started."""
    methods = multiprocessing.get_context(method)
    ours, theirs = methods.Pipe()
    with observation.unit_of_work("outer", correlation_id="abc"):
        child = methods.Process(target=report, args=(theirs,))
        child.start()
        assert ours.poll(30)
        assert ours.recv() == (None, True)
        child.join(30)
        assert context.correlation_id() == "abc"

    assert child.exitcode == 0
    ours.close()
    theirs.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_plain_fork_goes_on_with_what_it_was_doing(observed):
    """Who forks by hand in the middle of his work continues it, on a strand of his own."""
    reading, writing = os.pipe()
    with observation.unit_of_work("outer", correlation_id="abc"):
        clock.tick()
        child = os.fork()
        if child == 0:
            os.write(writing, f"{context.correlation_id()} {clock.tick()}".encode())
            os._exit(0)
        os.waitpid(child, 0)
        mine = clock.tick()
    text = os.read(reading, 1000).decode()
    os.close(reading)
    os.close(writing)

    assert text.startswith("abc ")
    assert text.split('"lc_at":"')[1][:16] != mine.split('"lc_at":"')[1][:16]
