"""The port that metrics are served on."""

import socket
import threading
import time
from contextlib import ExitStack

import pytest

from obskit import health
from obskit.metrics import server as server_
from obskit.metrics.family import Family, name_for
from obskit.metrics.server import Server
from tests.services.ports import accepts, wait_until

pytestmark = pytest.mark.usefixtures("fresh")


@pytest.fixture
def start(free_port):
    """Give the starter of servers of this process."""
    started = []

    def run(port=None, family=None, host="127.0.0.1"):
        server = Server()
        started.append(server)
        port = port or free_port()
        server.configure(host, port, family)
        server.start()
        return server, port

    yield run
    for server in started:
        server.stop()


def listening(server, timeout=30):
    """Wait until a server listens."""
    wait_until(lambda: server.address, lambda: server.trouble or "not listening", timeout)


def test_metrics_are_served(start, get):
    """On the port that was asked for, again and again, until it is stopped."""
    server, port = start()
    server.start()
    listening(server)
    for _ in range(3):
        assert get(port).status == 200
    assert server.address == ("127.0.0.1", port)
    server.stop()

    assert not accepts(port)
    assert server.address is None


def test_a_taken_port_is_reported_once_and_tried_again(start, get, caplog):
    """One warning says which setting helps, and the port is had as soon as it is free."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        server, port = start(holder.getsockname()[1])
        wait_until(lambda: server.trouble, lambda: "no trouble", 10)
        time.sleep(2.5 * server_.PERIOD)
        assert f"not served on 127.0.0.1:{port}: Address already in use" in server.trouble
        assert "OBSKIT_METRICS_PORT" in server.trouble
        (said,) = [one for one in caplog.records if one.name == "obskit.metrics"]
        assert (said.levelname, said.getMessage()) == ("WARNING", server.trouble)
        assert not health.internal_errors
    listening(server)

    assert get(port).status == 200
    assert server.trouble == ""


@pytest.mark.parametrize("host", ["no such host", "192.0.2.1"])
def test_a_host_that_is_none_is_reported(start, host):
    """A wrong setting is no exception, and it is the one that is named."""
    server, _ = start(host=host)
    wait_until(lambda: server.trouble, lambda: "no trouble", 20)

    assert server.address is None
    assert server.trouble.endswith("; set OBSKIT_METRICS_HOST to an address of this machine")


def test_of_a_family_one_serves_and_another_takes_over(start, get, monkeypatch, tmp_path):
    """Both want the port; when its holder stops, the other has it about a second later."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    name = name_for("shop", "")
    first, port = start(family=Family(name))
    listening(first)
    second, _ = start(port, family=Family(name))
    time.sleep(1.5 * server_.PERIOD)
    assert second.address is None
    assert second.trouble == ""
    first.stop()
    listening(second)

    assert get(port).status == 200


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /met", b"\x00" * 100, b"GET / HTTP/1.1\r\nX: y\r\n"],
    ids=["nothing", "half", "garbage", "headers"],
)
def test_silent_clients_make_room_for_others(start, get, sent):
    """A hundred that never end their request keep no scraper from its answer."""

    def scrapes():
        return sum(thread.name == "obskit-scrape" for thread in threading.enumerate())

    server, port = start()
    listening(server)
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            client.sendall(sent)
        assert get(port).status == 200
        wait_until(lambda: scrapes() <= server_.MOST_TALKS, lambda: f"{scrapes()} threads", 30)
    assert not health.internal_errors


def test_a_slow_reader_holds_up_nobody(start, get):
    """Who asks and does not read is left alone with it."""
    server, port = start()
    listening(server)
    with ExitStack() as stack:
        for _ in range(4):
            client = socket.socket()
            stack.enter_context(client)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert get(port).status == 200


def test_a_fork_is_not_held_up_by_clients(start):
    """The threads rest at once, also where somebody is silent, and go on afterwards."""
    server, port = start()
    listening(server)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET")
        wait_until(lambda: server._talks, lambda: "nobody talks", 30)
        began = time.monotonic()
        server.rest(60.0)
        assert time.monotonic() - began < 30.0
        assert accepts(port), "who connects meanwhile waits"
        server.parent_after_fork()
    wait_until(lambda: server._turns is not None, lambda: "resting", 30)


def test_no_thread_no_harm(start, monkeypatch):
    """Where no thread can be started the service goes on, and it is counted."""

    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    server, _ = start()

    assert server.address is None
    assert health.internal_errors == {"metrics.server": 1}


def test_another_port_is_moved_to(start, get, free_port):
    """A server that is told of another port leaves the old one."""
    server, port = start()
    listening(server)
    other = free_port()
    server.configure("127.0.0.1", other, None)
    server.start()
    listening(server)

    assert get(other).status == 200
    assert not accepts(port)


def test_the_port_is_not_opened_before_the_start_is_over(free_port, monkeypatch):
    """Who wants the same port at the start has it; who comes later finds it taken."""
    over = threading.Event()
    monkeypatch.setattr(server_.Start, "ends", lambda self: over.is_set() or self.is_over)
    server = Server()
    server.configure("127.0.0.1", free_port(), None)
    server.begin()
    time.sleep(1.5 * server_.PERIOD)
    assert server.address is None
    assert server.is_due
    over.set()
    listening(server)
    server.stop()


def test_the_first_unit_of_work_ends_the_start(free_port, get, monkeypatch):
    """Whoever has served something has started, and is scraped from then on."""
    monkeypatch.setattr(server_.Start, "ends", lambda self: self.is_over)
    port = free_port()
    server = Server()
    server.configure("127.0.0.1", port, None)
    server.begin()
    assert server.is_due
    server.start()
    assert not server.is_due
    listening(server)
    assert get(port).status == 200
    server.stop()


@pytest.mark.parametrize("what", ["lock", "port"])
def test_who_was_stopped_meanwhile_keeps_nothing_open(what, free_port, monkeypatch, tmp_path):
    """A thread that hangs in a slow file system or name server gives back what it gets then."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    entered, go_on, opened = threading.Event(), threading.Event(), []

    def slow(function):
        def call(*arguments):
            entered.set()
            assert go_on.wait(30)
            opened.append(function(*arguments))
            return opened[-1]

        return call

    if what == "lock":
        monkeypatch.setattr(server_.locks, "take", slow(server_.locks.take))
    else:
        monkeypatch.setattr(server_, "_listen", slow(server_._listen))
    family = Family(name_for("shop", ""))
    port = free_port()
    server = Server()
    server.configure("127.0.0.1", port, family)
    server.start()
    assert entered.wait(30)
    thread = server._turns.thread
    monkeypatch.setattr(server_, "PERIOD", 0.05)
    server.stop()
    go_on.set()
    thread.join(30)

    assert opened
    assert not accepts(port)
    assert not server_.locks.is_held(family.folder / "port.lock")
    family.leave()
