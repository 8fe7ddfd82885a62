"""What is handed over is delivered once, or counted; and whoever hands over never waits."""

import contextlib
import json
import os
import signal
import threading
import time

import pytest

from obskit import health
from obskit.shipping import sender as room
from obskit.shipping.sender import Sender
from obskit.shipping.verdict import AGAIN, ALL_TAKEN, REFUSED, Verdict
from obskit.shipping.zipkin import WEIGHT, Zipkin


def encode(item):
    """Return a span with the name *item*."""
    return json.dumps({"traceId": "a" * 32, "id": "b" * 16, "name": item}).encode()


SIZE = len(encode("error")) + WEIGHT


def is_precious(item):
    """Say that those of errors are to be lost last."""
    return item.startswith("error")


@pytest.fixture
def make(said):
    """Give what makes senders that say what they say to ``said``."""
    made = []

    def start(destination, most=1_000_000):
        if isinstance(destination, str):
            destination = Zipkin(destination, encode)
        made.append(Sender(destination, is_precious, most, lambda *one: said.append(one)))
        return made[-1]

    yield start
    for one in made:
        one.close()
        deadline = time.monotonic() + 2
        while one._running and time.monotonic() < deadline:
            time.sleep(0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Let pauses be short."""
    monkeypatch.setattr(room, "LINGER_SECONDS", 0.02)
    monkeypatch.setattr(room, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(room, "LONGEST_PAUSE", 0.05)


def until(condition, seconds=10.0):
    """Wait until *condition* is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def lost():
    """Return how many spans were lost, by reason."""
    return {reason: count for (signal, reason), count in health.lost.items() if signal == "spans"}


class Scripted:
    """A destination that answers what it is told to, and keeps what it took."""

    url = "scripted"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.taken, self.sizes, self.forgotten = [], [], 0

    def pack(self, item):
        """Refuse to encode one of them."""
        if item == "unfit":
            raise ValueError(item)
        return item, 100

    def send(self, batch, seconds):
        """Answer."""
        self.sizes.append(len(batch))
        answer = self.answers.pop(0) if self.answers else ALL_TAKEN
        if answer is ALL_TAKEN:
            self.taken += batch
        return answer

    def forget(self):
        """Note it."""
        self.forgotten += 1

    def close(self):
        """Do nothing."""


def test_items_are_sent_together_after_a_while(make, server):
    """One request for many, on one connection, without anybody asking for it."""
    one = make(server.url)
    for _ in range(3):
        for number in range(100):
            one.take(f"span {number}")
        until(lambda: not one.pending)

    assert len(server.spans) == 300
    assert len(server.batches) <= 6
    assert server.connections == 1
    assert one.sent == 300
    assert not lost()


def test_no_batch_is_too_large(make, monkeypatch):
    """Neither by its number of spans nor by its bytes."""
    monkeypatch.setattr(room, "MOST_IN_BATCH", 10)
    scripted = Scripted()
    one = make(scripted)
    for number in range(100):
        one.take(f"span {number}")
    assert one.flush(5)
    assert max(scripted.sizes) <= 10
    scripted.sizes.clear()
    monkeypatch.setattr(room, "LARGEST_BATCH", 300)
    for number in range(100):
        one.take(f"span {number}")
    assert one.flush(5)
    assert max(scripted.sizes) <= 3
    assert len(scripted.taken) == 200


def test_a_thread_rests_while_there_is_nothing_to_do(make, server):
    """It does not wake up from time to time, and wakes up for the next span."""
    one = make(server.url)
    one.take("first")
    until(lambda: one._resting)
    time.sleep(0.1)
    assert one._resting
    one.take("second")
    until(lambda: len(server.spans) == 2)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_server_gets_the_batch_again(make, server, said, status):
    """Nothing is lost and nothing comes twice; one line says it, another one that it is over."""
    server.statuses = [status, status, status]
    one = make(server.url)
    one.take("span")
    until(lambda: not one.pending)

    assert [span["name"] for span in server.spans] == ["span"]
    assert not lost()
    assert [message for message, _ in said] == ["spans cannot be sent", "spans are sent again"]
    assert said[0][1] == {"obskit_to": server.url, "obskit_reason": f"status {status}"}


def test_the_server_says_how_long_to_wait(make, server):
    """Retry-After is longer than the pause of our own."""
    server.statuses, server.headers = [429], {"retry-after": "1"}
    one = make(server.url)
    one.take("span")
    until(lambda: server.requests)
    begun = time.monotonic()
    until(lambda: server.spans)

    assert time.monotonic() - begun > 0.8


@pytest.mark.parametrize("mode", ["drop", "babble"])
def test_a_broken_answer_is_no_answer(make, server, mode):
    """The batch goes out again."""
    server.mode = mode
    one = make(server.url)
    one.take("span")
    until(lambda: one.trouble)
    server.mode = "ok"
    until(lambda: server.spans)
    assert not lost()


def test_a_server_that_comes_later_gets_what_waited(make, nobody, server, said):
    """As long as there is room for it."""
    destination = Zipkin(nobody, encode)
    one = make(destination)
    for number in range(50):
        one.take(f"span {number}")
    until(lambda: one.trouble == "no connection")
    destination.forget()
    destination._base = server.url
    until(lambda: len(server.spans) == 50)
    assert not lost()


@pytest.mark.parametrize("status", [301, 401, 403, 404, 415])
def test_a_server_that_will_not_take_any_costs_the_batch(make, server, said, status):
    """It is not asked for each span; the loss is counted and said once."""
    server.mode = status
    one = make(server.url)
    for number in range(10):
        one.take(f"span {number}")
    until(lambda: not one.pending)

    assert lost() == {f"refused: status {status}": 10}
    assert len(server.requests) <= 2
    assert said[0][0] == "spans were refused"


def test_one_bad_span_costs_one_span(make, server):
    """The others of its batch arrive, once each."""
    server.poison = "span 17"
    one = make(server.url)
    for number in range(100):
        one.take(f"span {number}")
    until(lambda: not one.pending)

    assert lost() == {"refused: status 400": 1}
    assert len({span["name"] for span in server.spans}) == len(server.spans) == 99


def test_many_bad_spans_do_not_flood_the_server(make, server):
    """The number of requests for one batch is bounded."""
    server.poison = "bad"
    one = make(server.url)
    for _ in range(400):
        one.take("bad")
    until(lambda: not one.pending)

    assert sum(lost().values()) == 400
    assert len(server.requests) < 4 * room.MOST_PARTS


def test_a_part_that_has_to_wait_is_sent_again(make):
    """What had been delivered of the batch already is not."""
    bad, wait = Verdict(REFUSED, "status 400", part=True), Verdict(AGAIN, "status 503")
    scripted = Scripted(bad, ALL_TAKEN, wait)
    one = make(scripted)
    one._one.acquire()  # no thread
    for number in range(4):
        one.take(str(number))
    one._deliver()
    one._deliver()

    assert sorted(scripted.taken) == ["0", "1", "2", "3"]
    assert not one.pending
    assert one.backlog.size == 0
    one._one.release()


def test_a_batch_that_a_server_always_fails_at_is_given_up(make, monkeypatch):
    """It does not block what comes behind it for ever."""
    monkeypatch.setattr(room, "MOST_TRIES", 3)
    scripted = Scripted(*[Verdict(AGAIN, "status 500", part=True)] * 3)
    one = make(scripted)
    one.take("poison")
    until(lambda: not one.pending)
    one.take("good")
    until(lambda: not one.pending)

    assert scripted.taken == ["good"]
    assert lost() == {"refused: status 500": 1}


def test_what_cannot_be_encoded_is_counted(make):
    """The others go."""
    scripted = Scripted()
    one = make(scripted)
    for name in ("a", "unfit", "b"):
        one.take(name)
    assert one.flush(5)

    assert scripted.taken == ["a", "b"]
    assert lost() == {"encoding": 1}
    assert one.backlog.size == 0


@pytest.mark.parametrize("mode", ["hang", "deaf", "drip", "refuse", "silent", 503])
def test_a_server_that_is_away_costs_nobody_time_or_memory(make, server, nobody, silent, mode):
    """Handing over takes microseconds, what waits stays within its bound, the rest is counted."""
    urls = {"refuse": nobody, "silent": silent}
    server.mode = mode
    one = make(urls.get(mode, server.url), most=100 * SIZE)
    times = []
    for number in range(5000):
        begun = time.perf_counter()
        one.take("error" if number % 100 == 0 else "span")
        times.append(time.perf_counter() - begun)
        assert one.backlog.size <= 100 * SIZE
    times.sort()

    assert times[len(times) // 2] < 0.0005
    assert one.pending <= 101
    assert lost()["queue full"] + one.pending + one.sent == 5000
    kept = [item for _, item in (*one.backlog._precious, *one._batch)]
    kept += [encode(span["name"]) for span in server.spans]
    assert sum(item in ("error", encode("error")) for item in kept) == 50


def test_what_is_on_its_way_leaves_room_for_errors(make, monkeypatch):
    """A batch of ordinary ones that hangs must not keep them out."""
    monkeypatch.setattr(room, "LINGER_SECONDS", 0.0)
    scripted = Scripted()
    one = make(scripted, most=10_000)
    one._one.acquire()
    for _ in range(100):
        one.take("span")
    one._fill()
    for _ in range(60):
        one.take("error")

    assert len(one._batch) <= 26
    assert len(one.backlog._precious) == 60
    one._one.release()


def test_flush_waits_for_what_is_on_its_way(make, server):
    """And tells that all is out."""
    one = make(server.url)
    for number in range(100):
        one.take(f"span {number}")

    assert one.flush(5)
    assert len(server.spans) == 100


@pytest.mark.parametrize("mode", ["hang", "deaf", "drip", "silent"])
def test_flush_has_an_end(make, server, silent, mode):
    """A server that never answers is waited for as long as was said."""
    server.mode = mode
    one = make(silent if mode == "silent" else server.url)
    one.take("span")
    begun = time.monotonic()

    assert not one.flush(0.5)
    assert 0.4 < time.monotonic() - begun < 1.5


def test_flush_soon_gives_up_where_nobody_is(make, nobody):
    """Programs that end do not wait for a server that refuses connections."""
    one = make(nobody)
    one.take("span")
    begun = time.monotonic()

    assert not one.flush(5)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("waits", [True, False])
def test_flush_does_not_hope_for_a_server_that_is_known_to_be_away(
    make, server, monkeypatch, waits
):
    """It hangs since long before the end, or has failed already."""
    server.mode = "hang" if waits else 503
    monkeypatch.setattr(room, "PATIENCE", 0.3)
    monkeypatch.setattr(room, "LAST_CHANCE", 0.2)
    one = make(server.url)
    one.take("span")
    until(lambda: one._asked_at if waits else one.trouble)
    time.sleep(0.5)
    begun = time.monotonic()

    assert not one.flush(20)
    assert time.monotonic() - begun < 5


def test_flush_sends_by_itself_where_no_thread_can_be(make, server, monkeypatch):
    """As at the end of the interpreter."""

    def none(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(room, "start_new_thread", none)
    one = make(server.url)
    one.take("span")
    one.take("span")
    assert one.flush(5)
    assert len(server.spans) == 2


def test_flush_in_a_signal_handler_finds_no_lock_taken(make, server):
    """Wherever the main thread is when the signal comes."""
    one = make(server.url)
    flushed = []
    before = signal.signal(signal.SIGALRM, lambda *_: flushed.append(one.flush(5)))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        deadline = time.monotonic() + 1
        count = 0
        while time.monotonic() < deadline:
            one.take("span")
            count += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert one.flush(10)
    assert flushed
    assert all(flushed)
    assert len(server.spans) + sum(lost().values()) == count


def test_many_threads_hand_over_at_once(make, server):
    """No span is lost between them, and the account is even at the end."""
    one = make(server.url, most=10**8)
    threads = [
        threading.Thread(target=lambda: [one.take("span") for _ in range(2000)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.flush(20)

    assert len(server.spans) == 16_000
    assert one.backlog.size == 0
    assert not lost()


def test_what_is_abandoned_is_counted_and_said(make, nobody, said):
    """What comes afterwards is counted, too."""
    one = make(nobody)
    for _ in range(3):
        one.take("span")
    one.abandon("process ended")
    one.take("late")

    assert lost() == {"process ended": 4}
    assert said[-1] == (
        "spans were lost",
        {"obskit_to": nobody, "obskit_lost": 3, "obskit_reason": "process ended"},
    )


def test_how_many_wait_can_be_read_by_others(make, server, monkeypatch):
    """Sent, refused, dropped for lack of room or given up: none of these wait any more."""
    monkeypatch.setattr(health, "unsent", [0.0])
    one = make(server.url, most=2000)
    server.mode = "hang"
    for number in range(20):
        one.take("precious" if number > 15 else "span")
        assert health.unsent[0] == one.pending
    assert lost() == {"queue full": 20 - one.pending}
    server.mode = 400
    other = make(server.url)
    other.take("bad")
    assert not other.flush(0.0)
    until(lambda: not other.pending)
    assert health.unsent[0] == one.pending > 0
    one.abandon("process ended")

    assert health.unsent[0] == 0


def test_an_answer_after_the_end_counts_nothing(make, server, monkeypatch):
    """What was on its way is counted as lost by then, and once."""
    monkeypatch.setattr(health, "unsent", [0.0])
    one = make(server.url)
    server.mode = "drip"
    one.take("span")
    until(lambda: server.requests)
    one.abandon("process ended")
    until(lambda: not one._running)

    assert (one.sent, health.unsent[0], lost()) == (0, 0, {"process ended": 1})


def test_a_child_begins_with_nothing(make, server):
    """What waits is the parent's; the child sends its own on a connection of its own."""
    one = make(server.url)
    one.take("warm up")
    assert one.flush(5)
    server.mode = "hang"
    one.take("of the parent")
    pid = os.fork()
    if not pid:
        server.mode = "ok"
        good = one.pending == 0 and one.backlog.size == 0
        os._exit(0 if good else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert one.pending == 1


def test_forks_at_any_moment_leave_children_that_can_send(make, server):
    """Other threads hand over all the time meanwhile."""
    one = make(server.url)
    over = threading.Event()

    def work():
        while not over.is_set():
            one.take("of the parent")
            time.sleep(0.0005)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        pid = os.fork()
        if not pid:
            with contextlib.suppress(BaseException):
                one.take("of the child")
                os._exit(0 if one.flush(10) else 1)
            os._exit(2)
        assert os.waitpid(pid, 0)[1] == 0
    over.set()
    for thread in threads:
        thread.join()
    assert one.flush(10)
    assert [span["name"] for span in server.spans].count("of the child") == 20


def test_an_error_of_the_thread_does_not_end_the_sending(make, monkeypatch):
    """The next span starts another thread."""
    scripted = Scripted()
    one = make(scripted)
    monkeypatch.setattr(scripted, "send", lambda *_: 1 / 0)
    one.take("first")
    until(lambda: health.internal_errors.get("shipping.spans"))
    until(lambda: not one._running)
    monkeypatch.undo()
    one.take("second")
    until(lambda: time.monotonic() > one._no_thread_until)
    one.take("third")
    until(lambda: scripted.taken == ["first", "second", "third"])


def test_an_error_that_stays_costs_few_threads(make, monkeypatch):
    """Not one for each span that comes."""
    scripted, started = Scripted(), []
    start = room.start_new_thread
    monkeypatch.setattr(room, "start_new_thread", lambda *a: started.append(a) or start(*a))
    monkeypatch.setattr(room, "FIRST_PAUSE", 60.0)
    monkeypatch.setattr(scripted, "send", lambda *_: 1 / 0)
    one = make(scripted)
    one.take("first")
    until(lambda: health.internal_errors.get("shipping.spans"))
    until(lambda: not one._running)
    for _ in range(100):
        one.take("span")
        time.sleep(0.001)

    assert len(started) == 1
    assert one.pending == 101


def test_the_sending_observes_nothing(make):
    """Not even where the client were an instrumented one."""
    from obskit import observation

    seen = []

    class Watching(Scripted):
        def send(self, batch, seconds):
            seen.append(observation.is_suppressed())
            return ALL_TAKEN

    one = make(Watching())
    one.take("span")
    assert one.flush(5)
    assert seen
    assert all(seen)
