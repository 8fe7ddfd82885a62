"""Files, folders, compressed files and standard input."""

import gzip
import io
import json
import os
import random
import sys
import tracemalloc
from types import SimpleNamespace

import pytest

from obskit.story import reading
from obskit.story.reading import Counts, SourceError, files, read

LINES = [{"correlation_id": f"op-{n % 3}", "lc": n} for n in range(9)]
TEXT = "".join(json.dumps(line) + "\n" for line in LINES).encode()


def test_files_and_folders_are_read(tmp_path):
    """A folder is read with all that is below, in the order of names, without hidden files."""
    (tmp_path / "b.log").write_bytes(TEXT)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "deep.log").write_bytes(TEXT[: TEXT.index(b"\n") + 1])
    (tmp_path / ".hidden").write_bytes(TEXT)

    assert list(read([tmp_path])) == LINES + LINES[:1]


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    """Also as a part of its folder."""
    path = tmp_path / "a.log"
    path.write_bytes(TEXT)

    assert list(read([path, tmp_path, str(path)])) == LINES


def test_compressed_files_are_read(tmp_path):
    """Known by their first bytes, whatever their name is."""
    (tmp_path / "a.log.1").write_bytes(gzip.compress(TEXT))

    assert list(read([tmp_path])) == LINES


@pytest.fixture
def long():
    """Give the text of many lines that cannot be pressed into a few bytes."""
    chance = random.Random(7)
    return b"".join(
        b'{"correlation_id":"op","lc":%d,"x":"%s"}\n' % (n, chance.randbytes(60).hex().encode())
        for n in range(5000)
    )


def test_what_is_left_of_a_compressed_file_is_read(tmp_path, long):
    """Cut off anywhere, all lines before the cut are there, and the file is named."""
    whole = gzip.compress(long)
    path = tmp_path / "a.gz"
    for size in (len(whole) - 1, len(whole) - 9, len(whole) // 2, 2000):
        path.write_bytes(whole[:size])
        counts = Counts()
        found = list(read([path], counts=counts))

        assert counts.cut_off == [str(path)]
        assert [line["lc"] for line in found] == list(range(len(found)))
        assert len(found) >= 5000 * (size - 1000) // len(whole)
        assert counts.damaged <= 1


@pytest.mark.parametrize("size", [2, 10, 15])
def test_nothing_is_left_of_a_header(tmp_path, size):
    """That is said of the file, too."""
    (tmp_path / "a.gz").write_bytes(gzip.compress(TEXT)[:size])
    counts = Counts()

    assert list(read([tmp_path], counts=counts)) == []
    assert counts.cut_off == [str(tmp_path / "a.gz")]


def test_a_compressed_file_that_goes_wrong_is_read_up_to_there(tmp_path, long):
    """A disk may lose what is in the middle."""
    whole = bytearray(gzip.compress(long))
    middle = len(whole) // 2
    whole[middle : middle + 100] = bytes(100)
    (tmp_path / "a.gz").write_bytes(whole)
    counts = Counts()
    found = list(read([tmp_path], counts=counts))

    assert counts.cut_off == [str(tmp_path / "a.gz")]
    assert len(found) > 2000


def test_compressed_files_may_follow_each_other_in_one(tmp_path, long):
    """As `cat` makes them, and as tapes fill them up."""
    pressed = gzip.compress(long) + gzip.compress(TEXT) + bytes(1000)
    (tmp_path / "a.gz").write_bytes(pressed)
    counts = Counts()

    assert len(list(read([tmp_path], counts=counts))) == 5000 + len(LINES)
    assert counts.cut_off == []
    assert counts.damaged == 0


def test_a_bomb_is_unpacked_a_little_at_a_time(tmp_path):
    """A small file may hold gigabytes."""
    (tmp_path / "a.gz").write_bytes(gzip.compress((b"x" * 1000 + b"\n") * 50_000))
    counts = Counts()
    tracemalloc.start()
    list(read([tmp_path], counts=counts))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert counts.lines == 50_000
    assert peak < 2_000_000


def test_everything_is_counted(tmp_path):
    """Lines of ours, JSON of others, plain text, and torn lines."""
    (tmp_path / "a.log").write_bytes(TEXT + b'{"a":1}\nhello\n\n{"correlation_id": "tor')
    counts = Counts()
    list(read([tmp_path], counts=counts))

    assert counts == Counts(files=1, lines=13, ours=9, others=2, damaged=1)


def test_a_needle_passes_over_all_others(tmp_path):
    """Only lines that have these bytes are parsed."""
    (tmp_path / "a.log").write_bytes(TEXT)

    assert [line["lc"] for line in read([tmp_path], needle=b"op-1")] == [1, 4, 7]


def test_standard_input_can_be_read_twice(monkeypatch):
    """A pipe has no beginning to go back to, so it is kept."""
    monkeypatch.setattr(reading, "_spool", [])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(gzip.compress(TEXT))))

    assert list(read(["-"])) == list(read(["-"])) == LINES
    reading._kept.pop().close()


def test_an_endless_line_does_not_fill_the_memory(tmp_path, monkeypatch):
    """A file without line ends is read in pieces, which are damaged."""
    monkeypatch.setattr(reading, "LONGEST_LINE", 1000)
    (tmp_path / "a.log").write_bytes(b'{"correlation_id":"' + b"x" * 10_000)
    counts = Counts()

    assert list(read([tmp_path], counts=counts)) == []
    assert counts.lines > 5


def test_lines_of_windows_are_read(tmp_path):
    """A carriage return before the line end is no part of the line."""
    (tmp_path / "a.log").write_bytes(TEXT.replace(b"\n", b"\r\n"))

    assert list(read([tmp_path])) == LINES


def test_a_missing_source_is_named(tmp_path):
    """The first error says which one."""
    with pytest.raises(SourceError, match=r"no such file or folder: .*nowhere"):
        files([tmp_path / "nowhere"])


def test_an_empty_folder_is_named(tmp_path):
    """A folder without files was probably a mistake."""
    with pytest.raises(SourceError, match="no log files in the folder"):
        files([tmp_path])


def test_a_file_that_cannot_be_read_is_named():
    """It is there, but reading it is an error, for root too."""
    with pytest.raises(SourceError, match="cannot read /proc/self/mem"):
        list(read(["/proc/self/mem"]))


def test_what_must_not_be_looked_at_is_named(tmp_path, monkeypatch):
    """Also where a link of a folder leads to it."""
    secret = tmp_path / "theirs" / "a.log"

    def stat(path, **how):
        if os.fspath(path) in (str(secret), str(tmp_path / "logs" / "a.log")):
            raise PermissionError(13, "Permission denied")
        return real(path, **how)

    real = os.stat
    secret.parent.mkdir()
    secret.write_bytes(TEXT)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").symlink_to(secret)
    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(reading, "_opened", stat)

    for source in (tmp_path / "logs", secret):
        with pytest.raises(SourceError, match=r"cannot read .*a\.log: Permission denied"):
            list(read([source]))


def test_pipes_in_a_folder_are_left_alone(tmp_path):
    """Opening one would wait forever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.log").write_bytes(TEXT)

    assert list(read([tmp_path])) == LINES
