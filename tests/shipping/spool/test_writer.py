"""All of an append is written or nothing of it."""

import errno
import os
import shutil

import pytest

from obskit.shipping.spool import segments
from obskit.shipping.spool import writer as room
from obskit.shipping.spool.writer import Writer
from tests.shipping.spool.spools import drained, files


@pytest.fixture
def writer(folder):
    """Give the writer of a durable segment."""
    one = Writer(folder, "line", True)
    yield one
    one.leave()


def full_disk(monkeypatch, room_left):
    """Let the disk take so many bytes only."""
    write, left = os.write, [room_left]

    def scarce(descriptor, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "no space")
        written = write(descriptor, data[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", scarce)


@pytest.mark.parametrize("room_left", [*range(24), 40, 60])
def test_a_full_disk_leaves_no_part(writer, folder, monkeypatch, room_left):
    """Wherever the disk ends, the append fails as a whole, and later ones work again."""
    writer.append(b"before")
    with monkeypatch.context() as patch:
        full_disk(patch, room_left)
        with pytest.raises(OSError, match="no space"):
            writer.append_all([b"lost one", b"lost two", b"lost three"])
    writer.append(b"after")

    assert drained(folder) == [b"before", b"after"]


def test_a_disk_that_is_full_and_broken(writer, folder, monkeypatch):
    """Where the part cannot be taken back either, the segment is left, and its part skipped."""
    writer.append(b"before")
    with monkeypatch.context() as patch:
        full_disk(patch, 22)
        patch.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "io")))
        with pytest.raises(OSError, match="no space"):
            writer.append(b"torn in the middle")

    assert not writer.is_open
    assert drained(folder) == [b"before"]


@pytest.mark.parametrize(("size", "kept"), [(None, [b"one", b"two"]), (5, [b"two"])])
def test_an_exception_of_a_signal_handler(writer, folder, monkeypatch, size, kept):
    """What interrupts a write leaves a whole record or none, and the next one is well."""
    write = os.write

    def interrupted(descriptor, data):
        write(descriptor, data[:size])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.append(b"one")
    writer.append(b"two")
    writer.finish()

    assert drained(folder) == kept


def test_a_removed_folder_is_made_anew(writer, folder):
    """What was logged into a file that somebody deleted is there again, under the same ids."""
    writer.append(b"one")
    shutil.rmtree(folder)
    writer.append(b"two")
    writer.look(now=True)
    writer.append(b"three")

    assert drained(folder) == [b"one", b"two", b"three"]
    assert segments.listing(folder)[0].size == writer.size


def test_a_folder_that_was_moved_away_keeps_its_lines(writer, folder):
    """They are somebody else's to ship; a new segment is begun."""
    writer.append(b"one")
    os.rename(folder, folder + ".away")
    writer.look(now=True)

    assert not writer.is_open
    assert drained(folder + ".away") == [b"one"]


def test_it_looks_seldom(writer, folder, monkeypatch):
    """To ask the disk takes time: not for each append."""
    shutil.rmtree(folder)
    writer.look()
    assert files(folder) == []

    later = room.monotonic() + room.LOOK_SECONDS
    monkeypatch.setattr(room, "monotonic", lambda: later)
    writer.look()
    assert len(files(folder)) == 1


def test_a_finished_segment_says_so(writer, folder):
    """Its end has the number of all that was logged."""
    writer.append_all([b"one", b"two"])
    writer.drop("queue full", 3)
    writer.finish()

    (segment,) = segments.listing(folder)
    assert segments.total(segment) == 5
    assert segments.read(segment, 0, 0, segments.Harvest(9, 999)).done


def test_a_segment_can_be_on_the_disk(writer):
    """Nothing is raised where the disk does what it should."""
    writer.append(b"one")
    writer.sync()
    writer.sync()
