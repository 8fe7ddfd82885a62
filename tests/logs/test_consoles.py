"""Which streams belong to the log."""

import io
import os
import sys

import pytest

from obskit import logs as log_room
from obskit.logs import consoles
from obskit.logs.capture import console


def test_the_standard_streams_do(logged):
    """As they are now, as they were at first, and their bytes."""
    streams = (sys.stdout, sys.stderr, sys.stdout.buffer)

    assert all(map(consoles.joins, streams))


def test_what_writes_to_their_descriptors_does(logged):
    """Another object may stand for the same stream."""
    with os.fdopen(os.dup(2), "w") as copy:
        os.set_inheritable(copy.fileno(), False)
        assert not consoles.joins(copy)

    class Stream:
        def fileno(self):
            return 2

    assert consoles.joins(Stream())


def test_what_capture_knows_does(logged):
    """A stream that leads to the console by another way is known by name."""
    stream = io.StringIO()
    console.know(stream)

    assert consoles.joins(stream)
    console.forget()
    assert not consoles.joins(stream)


@pytest.mark.parametrize("stream", [io.StringIO(), None, object(), 5])
def test_others_do_not(logged, stream):
    """Memory, files, and what is no stream at all."""
    assert not consoles.joins(stream)


def test_a_file_does_not(logged, tmp_path):
    """Who writes to a file wants it there."""
    with open(tmp_path / "x", "w") as file:
        assert not consoles.joins(file)
    assert not consoles.joins(file)


def test_none_does_while_the_log_is_off(logged):
    """After the end, all print as before."""
    log_room.undo()

    assert not consoles.joins(sys.stdout)
