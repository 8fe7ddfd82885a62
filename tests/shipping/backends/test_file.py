"""Lines go to a file that is turned over at a size."""

import errno
import json
import os

import pytest

from obskit.shipping import backends, target
from obskit.shipping.backends import file as room
from obskit.shipping.verdict import AGAIN, TAKEN


@pytest.fixture
def file(tmp_path):
    """Give what makes the backend of a file in an empty folder."""
    made = []

    def make(options=""):
        made.append(backends.open(target.parse(f"file://{tmp_path}/shop.log{options}"), {}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def read(path):
    """Return the messages in a file."""
    return [json.loads(line)["message"] for line in path.read_text().splitlines()]


def test_lines_are_written_as_they_are(file, lines, tmp_path):
    """To the end of what is there."""
    (tmp_path / "shop.log").write_text('{"message":"old"}\n')
    entries = lines("one", "two")
    assert file("?fsync=1").send(entries, 5).kind == TAKEN

    assert read(tmp_path / "shop.log") == ["old", "one", "two"]
    assert (tmp_path / "shop.log").read_bytes().endswith(entries[1].body + b"\n")


def test_a_new_file_is_not_for_everybody(file, lines, tmp_path):
    """Lines may be private."""
    file().send(lines("one"), 5)

    assert (tmp_path / "shop.log").stat().st_mode & 0o007 == 0


def test_a_full_file_is_turned_over(file, lines, tmp_path):
    """The oldest goes; no batch is split."""
    backend = file("?size=1KiB&keep=2")
    for number in range(5):
        assert backend.send(lines(f"{number}" * 600), 5).kind == TAKEN
    names = ["shop.log", "shop.log.1", "shop.log.2"]

    assert sorted(os.listdir(tmp_path)) == names
    assert [read(tmp_path / name)[0][0] for name in names] == ["4", "3", "2"]


def test_none_may_be_kept(file, lines, tmp_path):
    """`keep=0` begins anew."""
    backend = file("?size=1KiB&keep=0")
    for number in range(3):
        backend.send(lines(f"{number}" * 600), 5)

    assert os.listdir(tmp_path) == ["shop.log"]
    assert read(tmp_path / "shop.log")[0][0] == "2"


@pytest.mark.parametrize("how", ["move", "remove"])
def test_a_file_that_is_moved_is_left(how, file, lines, tmp_path):
    """As other programs turn it over."""
    backend, path = file(), tmp_path / "shop.log"
    backend.send(lines("one"), 5)
    path.rename(tmp_path / "old.log") if how == "move" else path.unlink()
    backend.send(lines("two"), 5)

    assert read(path) == ["two"]


def test_what_a_crash_cut_off_is_ended(file, lines, tmp_path):
    """So that it spoils itself alone."""
    (tmp_path / "shop.log").write_text('{"mess')
    file().send(lines("one"), 5)

    assert (tmp_path / "shop.log").read_text().splitlines()[0] == '{"mess'
    assert json.loads((tmp_path / "shop.log").read_text().splitlines()[1])["message"] == "one"


def test_what_a_full_disk_cut_off_is_taken_away(file, lines, tmp_path, monkeypatch):
    """And the batch written when there is room."""
    backend = file()
    backend.send(lines("one"), 5)
    write, calls = os.write, []

    def full(descriptor, data):
        calls.append(len(data))
        if len(calls) == 1:
            return write(descriptor, bytes(data)[:10])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(room.os, "write", full)
    entries = lines("two")
    found = backend.send(entries, 5)
    monkeypatch.setattr(room.os, "write", write)
    assert (found.kind, found.why) == (AGAIN, "disk full")
    assert read(tmp_path / "shop.log") == ["one"]
    assert backend.send(entries, 5).kind == TAKEN

    assert read(tmp_path / "shop.log") == ["one", "two"]


def test_a_full_disk_is_noticed(lines):
    """By the device that is always full."""
    backend = backends.open(target.parse("file:///dev/full"), {})
    found = backend.send(lines("one"), 5)

    assert (found.kind, found.why) == (AGAIN, "disk full")


def test_a_folder_that_is_not_there_is_waited_for(file, lines, tmp_path):
    """It may come."""
    backend = backends.open(target.parse(f"file://{tmp_path}/later/shop.log"), {})
    assert backend.send(lines("one"), 5)[:2] == (AGAIN, "no such folder")
    (tmp_path / "later").mkdir()
    assert backend.send(lines("one"), 5).kind == TAKEN
    backend.close()


def test_lines_can_be_written_in_another_format(file, lines, tmp_path):
    """As `format=logfmt`."""
    file("?format=logfmt").send(lines("one"), 5)

    assert (tmp_path / "shop.log").read_text().startswith("timestamp=")
