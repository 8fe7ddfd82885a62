"""Files have names by which they are told apart, and locks by which writers are known alive."""

import os
import subprocess
import sys

import pytest

from obskit.shipping.spool import records, segments
from obskit.shipping.spool.records import Harvest
from tests.shipping.spool.spools import files


def test_names_sort_by_age(folder, monkeypatch):
    """Later segments have larger names, whatever the clock says."""
    made = []
    for clock in (5e9, 1e9, 3e9):
        descriptor, path, name = segments.make(folder, "line", True)
        os.utime(path, (clock, clock))
        os.close(descriptor)
        made.append(name)

    assert [one.id for one in segments.listing(folder)] == made == sorted(made)
    assert {len(name) for name in made} == {22}


def test_ages_do_not_run_out(folder):
    """Behind the largest age a segment is still found."""
    os.makedirs(folder)
    open(os.path.join(folder, "z" * 22 + ".ld"), "w").close()
    os.close(segments.make(folder, "line", True)[0])

    assert len(files(folder)) == 2


def test_it_can_be_imported_anywhere():
    """Where a system has no file locks nothing fails before somebody asks for one."""
    code = "import sys; sys.modules['fcntl'] = None; import obskit.shipping.spool"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_name_tells_kind_and_stream(folder):
    """What a file is for is known without opening it."""
    for kind, durable in (("line", True), ("line", False), ("span", True), ("span", False)):
        os.close(segments.make(folder, kind, durable)[0])

    found = [(one.kind, one.durable, one.gone) for one in segments.listing(folder)]
    assert sorted(found) == [
        ("line", False, False),
        ("line", True, False),
        ("span", False, False),
        ("span", True, False),
    ]


def test_files_of_others_are_no_segments(folder):
    """Ledgers, leases, folders and what people put there are left alone."""
    os.makedirs(os.path.join(folder, "0" * 22 + ".ld"))
    for name in ("lease", "es.ledger", "notes.txt", "0" * 22 + ".xd", "0" * 21 + "A.ld"):
        open(os.path.join(folder, name), "w").close()

    assert segments.listing(folder) == []
    assert segments.listing(folder + "/nowhere") == []


def test_nobody_else_may_look(folder):
    """Lines may hold what is not for all."""
    descriptor, path, _ = segments.make(folder, "line", True)
    os.close(descriptor)

    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(folder).st_mode & 0o777 == 0o700


def is_written(path):
    """Tell whether somebody writes a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return segments.is_written(descriptor)
    finally:
        os.close(descriptor)


def test_a_writer_is_known_alive(folder):
    """Though its file is read and closed by the same process in between."""
    descriptor, path, _ = segments.make(folder, "line", True)
    asked = [is_written(path), is_written(path)]
    os.close(descriptor)

    assert (asked, is_written(path)) == ([True, True], False)


def test_a_writer_is_known_alive_by_other_processes(folder):
    """Nobody takes the file of a living one for that of a dead one."""
    descriptor, path, _ = segments.make(folder, "line", True)
    ask = (
        "import os, sys; from obskit.shipping.spool import segments;"
        "sys.exit(segments.is_written(os.open(sys.argv[1], os.O_RDONLY)))"
    )

    def asked():
        return subprocess.run([sys.executable, "-c", ask, path], check=False).returncode

    assert is_written(path)
    assert asked() == 1
    os.close(descriptor)
    assert asked() == 0


def test_a_segment_of_a_newer_version_is_not_read(folder):
    """Who does not know a format does not touch it."""
    descriptor, _, _ = segments.make(folder, "line", False)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, records.head(2) + b"anything")
    os.close(descriptor)
    (one,) = segments.listing(folder)

    assert segments.read(one, 0, 0, Harvest(9, 99)) is None
    assert segments.total(one) is None
    assert not segments.is_known(one)
    assert not segments.give_up(one)


def test_what_is_written_is_not_given_up(folder):
    """Room is made of finished segments only."""
    descriptor, _, name = segments.make(folder, "line", False)
    os.write(descriptor, records.encode(records.LINE, 0, b"x" * 5000, records.seed_of(name)))
    (one,) = segments.listing(folder)

    assert not segments.give_up(one)
    os.close(descriptor)
    assert segments.give_up(one)
    (one,) = segments.listing(folder)
    assert (one.gone, one.size, segments.total(one)) == (True, 16 + 19, 1)


def test_without_file_locks_all_are_alive(folder, monkeypatch):
    """Where a system has none, only a segment with its end is finished."""
    monkeypatch.setattr(segments, "fcntl", None)
    descriptor, path, _ = segments.make(folder, "line", True)
    os.close(descriptor)

    assert is_written(path)
    assert files(folder) == [os.path.basename(path)]


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    """It is known at once, not at the first line."""
    monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(PermissionError):
        segments.prepare(str(tmp_path))


def test_a_record_longer_than_a_chunk(folder, monkeypatch):
    """It is read nevertheless, between others."""
    monkeypatch.setattr(segments, "CHUNK", 100)
    descriptor, _, name = segments.make(folder, "line", True)
    bodies = [b"a" * 10, b"b" * 1000, b"c" * 10]
    os.write(descriptor, records.encode_all(records.LINE, 0, bodies, records.seed_of(name)))
    harvest = Harvest(9, 9999)
    segments.read(segments.listing(folder)[0], 0, 0, harvest)
    os.close(descriptor)

    assert [entry.body for entry in harvest.entries] == bodies
