"""How lines are written: at once where the stream takes them, in order, whole, or counted."""

import contextlib
import errno
import fcntl
import gc
import os
import signal
import socket
import threading
import time

import pytest

from obskit import health
from obskit.logs import sinks, writer
from obskit.logs.sinks import Kind
from obskit.logs.writer import Writer

MOST = 1 << 20


class Pipe:
    """A pipe or socket, with a reader that reads when it is told to."""

    def __init__(self, kind="pipe"):
        if kind == "pipe":
            self.read_end, self.write_end = os.pipe()
        else:
            ends = socket.socketpair()
            self.read_end, self.write_end = (end.detach() for end in ends)

    def fill(self):
        """Let nothing go in any more."""
        os.set_blocking(self.write_end, False)
        for size in (4096, 1):
            try:
                while True:
                    os.write(self.write_end, b"\n" * size)
            except BlockingIOError:
                pass
        os.set_blocking(self.write_end, True)

    def read(self, until=b"last\n", seconds=20):
        """Return what comes until *until*, without what filled the pipe."""
        seen = b""
        os.set_blocking(self.read_end, False)
        deadline = time.monotonic() + seconds
        while not seen.endswith(until):
            assert time.monotonic() < deadline, seen[-200:]
            try:
                seen += os.read(self.read_end, 1 << 16)
            except BlockingIOError:
                time.sleep(0.001)
        return seen.lstrip(b"\n")

    def close(self):
        """Close both ends."""
        for end in (self.read_end, self.write_end):
            if end >= 0:
                os.close(end)


@pytest.fixture(autouse=True)
def clean(floor):
    """Begin without counts; end without writers."""
    yield
    for one in list(writer._writers):
        one.close(0.0)


@pytest.fixture(params=["pipe", "socket"])
def pipe(request):
    """Give a pipe, or a socket."""
    made = Pipe(request.param)
    yield made
    made.close()


@pytest.fixture(params=["", "no RWF_NOWAIT"])
def kernel(request, monkeypatch):
    """Run on a system that can write without waiting, and on one that must ask before."""
    if request.param:
        monkeypatch.setattr(writer, "_NOWAIT", 0)


def to(pipe, most=MOST, longest=0):
    """Return a writer to a pipe."""
    return Writer(f"fd:{pipe.write_end}", most, longest)


def lines(count, size=100):
    """Return numbered lines."""
    return [f"{number} ".encode().ljust(size - 1, b"x") + b"\n" for number in range(count)]


def test_a_line_is_out_when_the_call_returns(tmp_path, pipe, kernel):
    """No thread and no buffer stands between the caller and the stream."""
    path = tmp_path / "log"
    Writer(str(path), MOST).write(b"hello\n")
    to(pipe).write(b"hello\n")

    assert path.read_bytes() == b"hello\n"
    assert os.read(pipe.read_end, 100) == b"hello\n"


def test_what_a_stalled_stream_does_not_take_comes_later_in_order(pipe, kernel):
    """Lines wait for the reader, whoever wrote them, and none overtakes."""
    pipe.fill()
    made = to(pipe)
    written = lines(500)
    for line in written:
        made.write(line)
    assert made.waiting == 500 * 100
    made.write(b"last\n")

    assert pipe.read() == b"".join(written) + b"last\n"
    assert health.lost == {}


def test_lines_that_come_while_the_queue_is_drained_stay_behind_it(pipe, kernel):
    """The direct way is open again only after the last waiting line is out."""
    pipe.fill()
    made = to(pipe, most=1 << 24)
    seen = []
    reader = threading.Thread(target=lambda: seen.append(pipe.read()))
    written = lines(3000, 500)
    for line in written[:100]:
        made.write(line)
    reader.start()
    for line in written[100:]:
        made.write(line)
    made.write(b"last\n")
    reader.join()

    assert seen == [b"".join(written) + b"last\n"]


def test_a_full_queue_drops_and_counts_exactly(pipe, kernel):
    """Every accepted line is either written or counted."""
    pipe.fill()
    made = to(pipe, most=5000)
    for line in lines(200):
        made.write(line)
    assert health.lost == {("logs", "queue full"): 150}
    assert made.waiting == 5000

    os.set_blocking(pipe.read_end, False)
    assert pipe.read(until=lines(50)[-1]) == b"".join(lines(50))


def test_a_stalled_stream_delays_nobody(pipe):
    """A log call costs next to nothing while the reader sleeps."""
    pipe.fill()
    made = to(pipe)
    line = b"x" * 99 + b"\n"
    times = []
    for _ in range(5000):
        began = time.perf_counter()
        made.write(line)
        times.append(time.perf_counter() - began)

    assert sorted(times)[len(times) * 99 // 100] < 0.002
    assert made.waiting == 500_000


def test_without_a_queue_the_caller_waits(pipe):
    """A queue of no bytes means that nothing is dropped."""
    pipe.fill()
    made = to(pipe, most=0)
    threads = [
        threading.Thread(target=lambda: [made.write(line) for line in lines(100, 3000)])
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    assert all(thread.is_alive() for thread in threads)
    ended = threading.Thread(target=lambda: [*(t.join() for t in threads), made.write(b"last\n")])
    ended.start()
    found = pipe.read().splitlines(keepends=True)

    assert sorted(found) == sorted([*lines(100, 3000) * 3, b"last\n"])
    assert health.lost == {}
    ended.join()


def test_a_signal_while_the_caller_waits_loses_nothing(pipe):
    """An interrupted write goes on, and what the signal handler logs stands behind the line."""
    pipe.fill()
    made = to(pipe, most=0)
    previous = signal.signal(signal.SIGALRM, lambda *_: made.write(b"last\n"))
    seen = []
    reader = threading.Timer(0.2, lambda: seen.append(pipe.read()))
    reader.start()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        made.write(b"x" * 100_000 + b"\n")
    finally:
        signal.signal(signal.SIGALRM, previous)
    reader.join()

    assert seen == [b"x" * 100_000 + b"\nlast\n"]


def test_a_stream_made_non_blocking_by_others_loses_nothing(pipe, kernel):
    """The flag belongs to all who share the pipe; it is neither set nor trusted."""
    made = to(pipe)
    assert not fcntl.fcntl(pipe.write_end, fcntl.F_GETFL) & os.O_NONBLOCK
    os.set_blocking(pipe.write_end, False)
    pipe.fill()
    os.set_blocking(pipe.write_end, False)
    for line in lines(50):
        made.write(line)
    made.write(b"last\n")

    assert pipe.read() == b"".join(lines(50)) + b"last\n"


def test_long_lines_of_many_threads_stay_whole():
    """A socket takes a part of a line; the rest comes before anybody else's."""
    pipe = Pipe("socket")
    made = to(pipe, most=1 << 28, longest=100_000)
    seen = []
    reader = threading.Thread(target=lambda: seen.append(pipe.read()))
    reader.start()
    kinds = [letter.encode() * 50_000 + b"\n" for letter in "abcd"]
    threads = [
        threading.Thread(target=lambda kind=kind: [made.write(kind) for _ in range(50)])
        for kind in kinds
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.write(b"last\n")
    reader.join()

    found = seen[0].splitlines(keepends=True)
    assert {line: found.count(line) for line in kinds} == dict.fromkeys(kinds, 50)
    assert len(found) == 201
    pipe.close()


def test_a_reader_that_is_gone_costs_the_lines_only(pipe, kernel):
    """A broken pipe is counted, and neither raises nor kills."""
    made = to(pipe)
    os.close(pipe.read_end)
    pipe.read_end = -1
    for line in lines(3):
        made.write(line)

    assert health.lost == {("logs", "stream closed"): 3}


def test_a_reader_that_goes_while_lines_wait_is_counted(pipe, kernel):
    """What waits for a reader that will never come is given up, line by line."""
    pipe.fill()
    made = to(pipe)
    for line in lines(20):
        made.write(line)
    os.close(pipe.read_end)
    pipe.read_end = -1
    made.flush(10)

    assert health.lost == {("logs", "stream closed"): 20}
    assert made.waiting == 0


def test_a_closed_descriptor_is_never_written_to_again(pipe, tmp_path):
    """The number may stand for somebody's file by now."""
    made = to(pipe)
    number = pipe.write_end
    os.close(number)
    made.write(b"a\n")
    pipe.write_end = -1
    with open(tmp_path / "theirs", "wb", buffering=0) as theirs:
        assert theirs.fileno() == number
        made.check()
        made.write(b"b\n")

    assert (tmp_path / "theirs").read_bytes() == b""
    assert health.lost == {("logs", "stream closed"): 2}


def test_a_full_disk_is_survived(monkeypatch, tmp_path):
    """Lines wait for space, a line that was begun is completed, and then all goes on."""
    made = Writer(str(tmp_path / "log"), MOST)
    full = threading.Event()
    full.set()
    real = os.write

    def write(descriptor, data):
        if not full.is_set():
            return real(descriptor, data)
        if len(data) > 3 and data.startswith(b"0 "):
            return real(descriptor, data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "_write", write)
    for line in lines(10):
        made.write(line)
    time.sleep(0.05)
    full.clear()
    made.flush(10)
    made.write(b"last\n")

    assert (tmp_path / "log").read_bytes() == b"".join(lines(10)) + b"last\n"
    assert health.lost == {}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("most", [0, 250])
def test_a_disk_that_stays_full_is_counted(most):
    """Nothing is raised and nobody waits for ever; each line is in the count in the end."""
    made = Writer("/dev/full", most)
    for line in lines(10):
        made.write(line)
    made.close(0.05)

    assert sum(health.lost.values()) == 10


def test_a_file_at_its_largest_size_is_counted(tmp_path):
    """A limit of the process is no reason to fail."""
    import resource

    made = Writer(str(tmp_path / "log"), MOST)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (250, before[1]))
    try:
        for line in lines(5):
            made.write(line)
        made.flush(5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    made.write(b"after\n")
    made.flush(5)

    found = (tmp_path / "log").read_bytes()
    assert found.startswith(b"".join(lines(2)))
    assert found.endswith(b"\nafter\n")
    # Two whole lines, half a line that is counted as lost with the two behind it, and the last.
    assert [len(line) for line in found.splitlines()] == [99, 99, 50, 5]
    assert health.lost == {("logs", "write failed"): 3}


def test_a_file_that_was_moved_or_removed_is_made_anew(tmp_path):
    """Rotation needs no signal and no restart."""
    path = tmp_path / "log"
    made = Writer(str(path), MOST)
    made.write(b"one\n")
    path.rename(tmp_path / "log.1")
    made.check()
    made.write(b"two\n")
    path.unlink()
    made.check()
    made.write(b"three\n")
    made.check()
    made.write(b"four\n")

    assert (tmp_path / "log.1").read_bytes() == b"one\n"
    assert path.read_bytes() == b"three\nfour\n"
    assert health.internal_errors == {}


def test_a_folder_that_is_gone_leaves_the_old_file(tmp_path):
    """What cannot be opened again is reported, and lines go where they went."""
    folder = tmp_path / "folder"
    folder.mkdir()
    made = Writer(str(folder / "log"), MOST)
    folder.rename(tmp_path / "moved")
    made.check()
    made.write(b"one\n")

    assert (tmp_path / "moved" / "log").read_bytes() == b"one\n"
    assert health.internal_errors == {"logs.writer": 1}


def test_a_redirected_stream_is_followed(tmp_path, pipe):
    """A daemon that points its descriptors elsewhere means the lines as well."""
    made = to(pipe)
    with open(tmp_path / "new", "wb") as file:
        os.dup2(file.fileno(), pipe.write_end)
        made.check()
        made.write(b"hello\n")

    assert (tmp_path / "new").read_bytes() == b"hello\n"
    assert made.longest == sinks.LONGEST_IN_FILE


def test_a_child_leaves_the_queue_to_its_parent(pipe):
    """What waits is written once, by the process that logged it."""
    pipe.fill()
    made = to(pipe)
    for line in lines(50):
        made.write(line)
    pid = os.fork()
    if pid == 0:
        try:
            assert made.waiting == 0
            made.write(b"child\n")
            made.flush(10)
        finally:
            os._exit(0)
    seen = []
    reader = threading.Thread(target=lambda: seen.append(pipe.read()))
    reader.start()
    os.waitpid(pid, 0)
    made.write(b"last\n")
    reader.join()

    found = seen[0].splitlines(keepends=True)
    assert [line for line in found if line != b"child\n"] == [*lines(50), b"last\n"]
    assert found.count(b"child\n") == 1


@pytest.mark.parametrize("stalled", [False, True])
def test_forks_while_threads_log_never_hang(pipe, stalled):
    """No child waits for a lock that nobody in it holds; each of its lines comes once."""
    if stalled:
        pipe.fill()
    made = to(pipe, most=1 << 24, longest=4096)
    stop = threading.Event()
    seen = []
    threads = [
        threading.Thread(target=lambda: [made.write(b"thread\n") for _ in iter(stop.is_set, True)])
        for _ in range(3)
    ]
    reader = threading.Thread(target=lambda: seen.append(pipe.read()))
    for thread in threads:
        thread.start()
    if not stalled:
        reader.start()
    children = [fork(made, number) for number in range(20)]
    if stalled:
        reader.start()
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    stop.set()
    for thread in threads:
        thread.join()
    made.write(b"last\n")
    reader.join()

    found = seen[0].splitlines()
    assert set(found) == {b"thread", b"last", *(b"child %d" % number for number in range(20))}
    assert all(found.count(b"child %d" % number) == 1 for number in range(20))


def fork(made, number):
    """Let a child write one line; a child that hangs is killed and fails."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        made.write(b"child %d\n" % number)
        made.flush(15)
        os._exit(made.waiting > 0)
    return pid


@pytest.mark.parametrize("stalled", [False, True])
def test_a_signal_handler_may_log_at_any_moment(pipe, stalled):
    """A line within a line neither hangs nor tears."""
    if stalled:
        pipe.fill()
    made = to(pipe, most=1 << 26)
    seen = []
    reader = threading.Thread(target=lambda: seen.append(pipe.read()))
    if not stalled:
        reader.start()
    interrupts = []

    def handle(*_):
        interrupts.append(1)
        made.write(b"signal\n")

    previous = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    count = 0
    deadline = time.monotonic() + 0.3
    try:
        while time.monotonic() < deadline:
            made.write(b"ordinary\n")
            count += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    made.write(b"last\n")
    if stalled:
        reader.start()
    reader.join()

    found = seen[0].splitlines()
    assert found.count(b"ordinary") == count
    assert found.count(b"signal") == len(interrupts) > 0
    assert len(found) == count + len(interrupts) + 1


def test_finalizers_may_log_while_a_line_is_kept(pipe):
    """The garbage collector runs in the middle of anything."""
    pipe.fill()
    made = to(pipe)

    class Cycle:
        def __init__(self):
            self.me = self

        def __del__(self):
            made.write(b"gone\n")

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for line in lines(100):
            Cycle()
            made.write(line)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    made.write(b"last\n")

    found = pipe.read().splitlines(keepends=True)
    assert [line for line in found if line != b"gone\n"] == [*lines(100), b"last\n"]
    assert found.count(b"gone\n") == 100


def test_at_the_end_of_the_interpreter_the_caller_writes_what_waits(pipe, monkeypatch):
    """Where no thread can be started, lines are written within bounds of time."""

    def refuse(*_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(writer._thread, "start_new_thread", refuse)
    monkeypatch.setattr(writer, "LAST_SECONDS", 0.05)
    pipe.fill()
    made = to(pipe)
    made.write(b"one\n")
    assert made.waiting == 4
    assert os.read(pipe.read_end, 1 << 20).strip() == b""
    made.flush(5)
    made.write(b"last\n")

    assert pipe.read() == b"one\nlast\n"


def test_closing_counts_what_never_came_out(pipe):
    """What waits for a reader that sleeps for ever is in the counts at last."""
    pipe.fill()
    made = to(pipe)
    for line in lines(7):
        made.write(line)
    made.close(0.01)
    made.write(b"after\n")

    assert health.lost == {("logs", "stream stalled"): 7, ("logs", "stream closed"): 1}


def test_the_thread_ends_when_nothing_waits(pipe, monkeypatch):
    """A stall leaves no thread behind, and the next one starts one again."""
    monkeypatch.setattr(writer, "LINGER_SECONDS", 0.02)
    made = to(pipe)
    for _ in range(2):
        pipe.fill()
        made.write(b"last\n")
        assert made._draining
        assert pipe.read() == b"last\n"
        deadline = time.monotonic() + 10
        while made._draining and time.monotonic() < deadline:
            time.sleep(0.001)
        assert not made._draining


def test_a_terminal_is_asked_before(tmp_path):
    """A terminal that is stopped keeps nobody waiting."""
    outer, inner = os.openpty()
    made = Writer(f"fd:{inner}", MOST)
    assert made.is_terminal
    made.write(b"hello\n")
    assert os.read(outer, 100) == b"hello\r\n"
    made.close(1)
    os.close(outer)
    os.close(inner)


def test_a_file_is_never_taken_for_a_terminal(tmp_path):
    """Only a person reads on a terminal."""
    assert not Writer(str(tmp_path / "log"), MOST).is_terminal
    assert sinks.open_sink("/dev/null").kind is Kind.FILE


@contextlib.contextmanager
def errors_to(made):
    """Let a pipe be stderr."""
    kept = os.dup(2)
    os.dup2(made.write_end, 2)
    yield
    os.dup2(kept, 2)
    os.close(kept)


def test_the_end_does_not_wait_for_a_stream_that_stands(pipe, monkeypatch):
    """As long as it moves it is waited for."""
    monkeypatch.setattr(writer, "PATIENCE", 0.3)
    pipe.fill()
    made = to(pipe)
    made.write(b"one\n")
    begun = time.monotonic()
    made.flush(20)
    first = time.monotonic() - begun
    made.flush(20)

    assert 0.2 < first < 10
    assert time.monotonic() - begun - first < 5
    assert made.waiting == 4


def test_last_words_are_said_on_stderr(pipe):
    """How many lines are lost there, and what is said then, until the stream goes on."""
    pipe.fill()
    made, errors = to(pipe), Pipe()
    for line in lines(7):
        made.write(line)
    with errors_to(errors):
        made.give_up()
        made.write(b"spans were lost\n")
    told = errors.read(b"spans were lost\n")
    errors.close()
    os.set_blocking(pipe.read_end, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.read(pipe.read_end, 1 << 16)
    made.check()
    made.write(b"last\n")

    assert told == b"spans were lost\n"
    assert pipe.read() == b"last\n"
    assert health.lost == {("logs", "stream stalled"): 7}
    assert made.waiting == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_last_words_do_not_go_back_to_a_full_disk():
    """It never says that it has no room, so asking it tells nothing."""
    made, errors = Writer("/dev/full", MOST), Pipe()
    for line in lines(7):
        made.write(line)
    with errors_to(errors):
        made.give_up()
        made.check()
        made.write(b"lines were lost\n")
    told = errors.read(b"lines were lost\n")
    errors.close()
    made.close(0.05)

    assert told == b"lines were lost\n"
    assert health.lost == {("logs", "stream stalled"): 7}


def test_without_anything_waiting_nothing_is_given_up(pipe):
    """Lines go where they went."""
    made = to(pipe)
    made.give_up()
    made.write(b"last\n")

    assert pipe.read() == b"last\n"
    assert health.lost == {}
