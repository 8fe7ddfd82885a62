"""Any thread, any signal handler, any child of a fork may append, and nothing gets mixed up."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from obskit.shipping.spool import Appender, Reader, segments
from obskit.shipping.spool import appender as room
from tests.shipping.spool.spools import drain, drained, files, lines, numbers, standing

# Python warns of it since 3.12; that it does no harm here is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def test_a_durable_line_is_in_the_file(folder, appender):
    """When the call returns another process can read it."""
    appender.append((b"line",), True)

    with open(segments.listing(folder)[0].path, "rb") as file:
        assert b"line" in file.read()


def test_many_lines_take_one_write(folder, appender, monkeypatch):
    """The operating system is asked once."""
    appender.append(lines(1), False)
    write, calls = os.write, []
    monkeypatch.setattr(os, "write", lambda *a: calls.append(a) or write(*a))
    appender.append(lines(500, 1), False)

    assert len(calls) == 1
    assert len(drained(folder)) == 501


def test_nothing_is_written_for_nothing(folder, appender):
    """An empty batch makes no file."""
    assert appender.append((), True)
    appender.close()
    assert files(folder) == []


def test_segments_are_finished_when_they_are_large(folder):
    """Then they can be deleted as soon as they are delivered."""
    one = Appender(folder, 16 * 4096)
    for number in range(100):
        one.append(lines(1, number, 100), True)

    assert len(files(folder)) == 4
    assert numbers(drained(folder)) == list(range(100))
    assert len(files(folder)) == 1
    one.close()


def test_a_loss_is_on_record(folder, appender):
    """What could not be kept is part of what was logged."""
    appender.append(lines(2), False)
    appender.dropped("queue full", 5)
    drained(folder)
    one = standing(folder)

    assert (one.logged, one.taken, one.dropped) == (7, 2, {"queue full": 5})


def test_losses_are_written_seldom_and_at_last(folder, appender):
    """A storm of them does not fill the spool, and all are told."""
    for _ in range(1000):
        appender.dropped("queue full", 1)
    appender.dropped("queue full", 0)
    assert segments.listing(folder)[0].size < 200
    appender.close()
    drained(folder)

    assert standing(folder).dropped == {"queue full": 1000}


def test_a_loss_is_kept_in_mind_while_the_disk_is_full(folder, appender, monkeypatch):
    """It is written when there is room again."""
    monkeypatch.setattr(room, "TELL_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        appender.dropped("queue full", 5)
        with pytest.raises(OSError, match="full"):
            appender.append(lines(1), True)
    appender.append(lines(1), True)
    drained(folder)

    assert standing(folder).dropped == {"queue full": 5}


def test_too_much_for_one_append_is_refused(appender, monkeypatch):
    """No record is longer than a reader would take."""
    monkeypatch.setattr(room, "LONGEST_BODY", 1000)
    with pytest.raises(OSError, match="too much"):
        appender.append([b"x" * 1000], True)


def test_a_folder_that_cannot_be_used(tmp_path):
    """Whoever wants a spool there hears it at once, and can go on in memory."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        Appender(tmp_path / "file" / "spool", 1 << 20)


def test_a_folder_that_becomes_read_only(folder, appender, monkeypatch):
    """An open segment can still be written; a new one cannot be made, and it is said."""
    appender.append(lines(1), True)
    denied = PermissionError(errno.EROFS, "Read-only file system")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *_, **__: (_ for _ in ()).throw(denied))
        appender.append(lines(1, 1), True)
        with pytest.raises(OSError, match="Read-only"):
            appender.append(lines(1), False)
    appender.append(lines(1, 2), False)

    assert numbers(drained(folder)) == [0, 1, 2]


def test_a_folder_that_is_removed_is_made_anew(folder, appender, monkeypatch):
    """With what was in the segments at hand."""
    appender.append(lines(3), True)
    shutil.rmtree(folder)
    appender.close()
    appender.append(lines(3, 3), True)

    assert numbers(drained(folder)) == list(range(6))
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_threads_do_not_get_mixed_up(folder, appender):
    """All lines of all threads are there, those of each in their order."""

    def log(thread):
        for number in range(300):
            appender.append([b"%d %d" % (thread, number)], number % 2 == 0)

    threads = [threading.Thread(target=log, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [tuple(map(int, body.split())) for body in drained(folder)]

    assert len(found) == len(set(found)) == 2400
    for thread in range(8):
        durable = [number for one, number in found if one == thread and number % 2 == 0]
        assert durable == sorted(durable)
    assert standing(folder).dropped == {}


def test_a_signal_handler_may_log_amid_an_append(folder, appender, monkeypatch):
    """Neither line is torn, and nobody waits for a lock that will not be free."""
    write, depth = os.write, []
    appender.append([b"before"], True)

    def interrupted(descriptor, data):
        if len(depth) < 2:
            depth.append(1)
            appender.append([b"handler %d" % len(depth)], True)
            appender.dropped("in a handler", 1)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", interrupted)
    appender.append([b"line"], True)
    monkeypatch.setattr(os, "write", lambda one, data: write(one, data[:9]) and os.fstat(10**6))
    with pytest.raises(OSError):
        appender.append([b"what is taken back, and nothing else"], True)
    monkeypatch.undo()
    appender.close()

    assert sorted(drained(folder)) == [b"before", b"handler 1", b"handler 2", b"line"]
    assert standing(folder).dropped == {"in a handler": 2}


def test_real_signals_amid_appends(folder, appender):
    """A timer that fires a thousand times a second does no harm."""
    handled, inside = [], []

    def handle(*_):
        # A machine under load is slower than the timer: then one would come amid the other.
        if not inside:
            inside.append(1)
            appender.append([b'{"n":%d,' % (1_000_000 + len(handled))], True)
            handled.append(1)
            inside.clear()

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    count, deadline = 0, time.monotonic() + 5
    try:
        while (count < 5000 or len(handled) < 20) and time.monotonic() < deadline:
            appender.append(lines(1, count), True)
            count += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    found = numbers(drained(folder))

    assert len(handled) >= 20
    assert sorted(found) == [*range(count), *range(1_000_000, 1_000_000 + len(handled))]


def test_a_child_has_segments_of_its_own(folder, appender):
    """It writes nothing into those of its parent, which goes on with them."""
    appender.append([b"parent before"], True)
    (before,) = files(folder)
    child = os.fork()
    if child == 0:
        appender.append([b"child"], True)
        appender.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    appender.append([b"parent after"], True)

    assert len(files(folder)) == 2
    harvest = segments.Harvest(9, 999)
    segments.read(next(o for o in segments.listing(folder) if before in o.path), 0, 0, harvest)
    assert [entry.body for entry in harvest.entries] == [b"parent before", b"parent after"]
    assert sorted(drained(folder)) == [b"child", b"parent after", b"parent before"]


def test_a_child_does_not_tell_its_parents_losses(folder, appender):
    """They are told once."""
    appender.dropped("queue full", 1)
    appender.dropped("queue full", 2)
    child = os.fork()
    if child == 0:
        appender.append([b"child"], True)
        appender.close()
        os._exit(0)
    os.waitpid(child, 0)
    appender.close()
    drained(folder)

    assert standing(folder).dropped == {"queue full": 3}


def test_forks_amid_appends_of_threads(folder, appender):
    """No child waits for a lock that a thread of its parent holds, and no line is lost."""
    over = threading.Event()
    logged = [0] * 4

    def log(thread):
        while not over.is_set():
            appender.append([b"parent"], thread % 2 == 0)
            logged[thread] += 1

    threads = [threading.Thread(target=log, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    statuses = []
    for _ in range(20):
        child = os.fork()
        if child == 0:
            signal.alarm(5)
            appender.append([b"child"], True)
            os.kill(os.getpid(), signal.SIGKILL)
        statuses.append(os.waitpid(child, 0)[1])
    over.set()
    for thread in threads:
        thread.join()
    found = drained(folder)

    assert statuses == [signal.SIGKILL] * 20
    assert (found.count(b"child"), found.count(b"parent")) == (20, sum(logged))
    assert standing(folder).dropped == {}


def test_a_child_that_lives_on_does_not_keep_its_parents_segments(folder):
    """When the parent is gone they are finished."""
    parent = os.fork()
    if parent == 0:
        one = Appender(folder, 1 << 20)
        one.append([b"line"], True)
        if os.fork() == 0:
            time.sleep(2)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    reader = Reader(folder, "es")
    deadline = time.monotonic() + 1.5
    found = []
    while files(folder) and time.monotonic() < deadline:
        found += drain(reader)

    assert [entry.body for entry in found] == [b"line"]
    assert files(folder) == []


def test_a_fork_amid_an_append(folder, appender, monkeypatch):
    """A handler that forks there leaves a child that fails, and a parent that works."""
    write = os.write
    results = []

    def forking(descriptor, data):
        monkeypatch.undo()
        child = os.fork()
        if child:
            results.append(os.waitpid(child, 0)[1])
            return write(descriptor, data)
        return os.write(
            appender._writers["line", True]._descriptor if appender._writers else -1, data
        )

    appender.append([b"before"], True)
    monkeypatch.setattr(os, "write", forking)
    pid = os.getpid()
    try:
        appender.append([b"amid"], True)
    except OSError:
        if os.getpid() == pid:
            raise
        os._exit(0)
    if os.getpid() != pid:
        os._exit(1)

    assert results == [0]
    assert drained(folder) == [b"before", b"amid"]


LIMITED = """
import resource, sys
from obskit.shipping.spool import Appender
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
one = Appender(sys.argv[1], 1 << 26)
done = failed = 0
for number in range(120):
    try:
        one.append([b'{"n":%d,' % number + b"x" * 150], True)
        done += 1
    except OSError:
        failed += 1
        if failed == 5:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
print(done, failed)
"""


def test_a_file_that_may_not_grow(folder):
    """The operating system's own short writes leave no part behind, and lines go on afterwards."""
    command = [sys.executable, "-c", LIMITED, folder]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout

    assert out == "115 5\n"
    found = numbers(drained(folder))
    assert len(found) == 115
    assert found == [n for n in range(120) if n in found]
    assert standing(folder).dropped == {}


def test_durable_lines_may_wait_for_the_disk(folder, monkeypatch):
    """With fsync each durable append is followed by a sync, and others are not."""
    synced = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    one = Appender(folder, 1 << 20, fsync=True)
    one.append(lines(1), True)
    one.append(lines(1), False)
    one.append(lines(1), True)
    one.close()

    assert len(synced) == 2


def test_an_appender_that_is_forgotten_is_not_kept(folder):
    """Only those in use are seen to after a fork."""
    one = Appender(folder, 1 << 20)
    assert one in room._appenders
    del one

    assert not [left for left in room._appenders if left.folder == folder]
