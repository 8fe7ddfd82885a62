"""HTTP with one scraper."""

import gzip
import socket
import threading
import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from obskit import health
from obskit.metrics import talk
from obskit.metrics.talk import Talk, parse, read_head, respond

pytestmark = pytest.mark.usefixtures("fresh")


def split(reply):
    """Return status, headers and body of the bytes of a response."""
    head, _, body = reply.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = dict(line.split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), pairs, body


def test_the_page_is_at_metrics():
    """With or without a slash at the end, or a query."""
    for target in ("/metrics", "/metrics/", "/metrics?name[]=up"):
        status, headers, body = split(respond(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()))
        assert status == 200
        assert len(body) == int(headers["Content-Length"])
        assert headers["Connection"] == "close"


def test_headers_are_read_whatever_their_case():
    """Format and compression are chosen by them."""
    asked = b"GET /metrics HTTP/1.1\r\nACCEPT: application/openmetrics-text\r\naccept-encoding:gzip"
    _, headers, body = split(respond(asked + b"\r\n\r\n"))

    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert gzip.decompress(body).endswith(b"# EOF\n")


@pytest.mark.parametrize("target", ["/metrics", "/", "/nothing"])
def test_head_has_no_body(target):
    """It says how long the body would be."""
    status, headers, body = split(respond(f"HEAD {target} HTTP/1.0\r\n\r\n".encode()))

    assert status in (200, 404)
    assert body == b""
    assert int(headers["Content-Length"]) > 0


def test_people_find_their_way():
    """The root and wrong paths say where the metrics are."""
    for target, expected in (("/", 200), ("/metric", 404), ("/metrics/x", 404)):
        status, _, body = split(respond(f"GET {target} HTTP/1.1\r\n\r\n".encode()))
        assert status == expected
        assert b"/metrics" in body


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET /metrics HTTP/2.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n",
        b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000,
    ],
)
def test_garbage_is_no_request(head):
    """It gets a short refusal."""
    status, _, body = split(respond(head))

    assert status == 400
    assert len(body) < 100


@given(st.binary(max_size=200))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_sent_is_answered(head):
    """No bytes raise."""
    parse(head + b"\n\n")
    assert respond(head + b"\r\n\r\n").startswith(b"HTTP/1.1 ")


def connected():
    """Return two ends of a connection."""
    here, there = socket.socketpair()
    there.settimeout(10)
    return here, there


def test_a_request_in_pieces_is_put_together():
    """The network cuts where it likes."""
    here, there = connected()
    with here, there:
        for piece in (b"GET /met", b"rics HTTP/1.1\r\n", b"Host: x\r\n\r", b"\n"):
            there.sendall(piece)
        assert parse(read_head(here, 5)).target == "/metrics"


def test_who_drips_is_not_waited_for():
    """The time is for the whole request: a byte now and then does not renew it."""
    here, there = connected()
    stop = threading.Event()

    def drip():
        while not stop.wait(0.02):
            there.sendall(b"x")

    dripper = threading.Thread(target=drip)
    with here, there:
        dripper.start()
        head = read_head(here, 0.2)
        stop.set()
        dripper.join()
    assert head is None


def test_who_ends_early_gets_nothing():
    """Half a request and a closed connection is no request."""
    here, there = connected()
    with here:
        there.sendall(b"GET /metrics HT")
        there.close()
        assert read_head(here, 5) is None


def test_a_talk_is_over_when_it_is_answered():
    """The answer comes whole, the connection is closed, and whoever keeps count is told."""
    here, there = connected()
    over = []
    one = Talk(here, over.append)
    one.thread.start()
    there.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    received = b""
    while chunk := there.recv(65536):
        received += chunk
    there.close()
    one.thread.join(10)

    assert split(received)[0] == 200
    assert over == [one]
    assert here.fileno() == -1


@pytest.mark.parametrize("how", ["hang_up", "rest"])
def test_a_silent_talk_can_be_ended(how):
    """It makes room for others, and holds up no fork."""
    here, there = connected()
    over = []
    one = Talk(here, over.append)
    one.thread.start()
    began = time.monotonic()
    getattr(one, how)(*([5.0] if how == "rest" else []))
    one.thread.join(10)

    assert time.monotonic() - began < talk.PATIENCE
    assert over == [one]
    there.close()


def test_an_error_of_ours_ends_the_talk_alone(monkeypatch):
    """It is counted, and the connection closed."""
    monkeypatch.setattr(talk, "respond", lambda head: 1 / 0)
    here, there = connected()
    one = Talk(here, lambda _: None)
    one.thread.start()
    there.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    one.thread.join(10)

    assert there.recv(10) == b""
    assert health.internal_errors == {"metrics.server": 1}
    there.close()
