"""Lines go to Graylog by HTTP, TCP and UDP."""

import os
import time

import pytest

from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN


def wait_for(condition):
    """Wait until *condition* holds."""
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@pytest.mark.parametrize("name", ["gelf", "gelf tcp", "gelf udp"])
def test_a_line_is_a_message(name, start, lines):
    """Whose fields have an underscore before their names."""
    fake, backend = start(name)
    backend.send(lines("one", level="error", order=7, correlation_id="c1", flag=True), 5)
    wait_for(lambda: fake.stored)
    (found,) = fake.stored

    assert (found["version"], found["host"], found["short_message"]) == ("1.1", "web-1", "one")
    assert (found["level"], found["_order"], found["_correlation_id"]) == (3, 7, "c1")
    assert found["timestamp"] == pytest.approx(time.time(), abs=60)


def test_by_http_each_message_is_a_request(start, lines):
    """Inputs take no more than one unless they are told to."""
    fake, backend = start("gelf")
    backend.send(lines("one", "two"), 5)

    assert [one.path for one in fake.requests] == ["/gelf", "/gelf"]
    assert fake.server.listener.connections == 1


def test_in_bulk_each_message_is_a_line(start, lines):
    """For inputs with that option."""
    fake, backend = start("gelf", "&bulk=1")
    fake.product.is_bulk = True
    backend.send(lines("one", "two\nthree"), 5)

    assert len(fake.requests) == 1
    assert len(fake.stored) == 2
    assert backend.most_bytes < fake.product.most_bytes


def test_what_follows_a_fault_is_sent_again_and_nothing_before_it(start, lines):
    """One message after the other is decided."""
    fake, backend = start("gelf")
    post, calls = backend._post, []

    def failing(body, seconds):
        calls.append(body)
        if len(calls) == 3:
            fake.faults.use("503")
        return post(body, seconds)

    backend._post = failing
    fake.faults.poison = "p0ison"
    found = backend.send(lines("one", "p0ison", "three", "four"), 5)

    assert [(index, one.kind) for index, one in found.items] == [
        (1, REFUSED),
        (2, AGAIN),
        (3, AGAIN),
    ]
    assert len(calls) == 3


def test_a_message_that_is_too_large_is_refused(start, lines):
    """By the server over HTTP, by us where nobody would say so."""
    noise = os.urandom(1_200_000).hex()
    for name in ("gelf", "gelf tcp", "gelf udp"):
        fake, backend = start(name)
        found = backend.send([*lines("one"), *lines(noise), *lines("two")], 5)
        assert [(index, one.kind) for index, one in found.items] == [(1, REFUSED)], name
        wait_for(lambda fake=fake: len(fake.stored) == 2)
        assert backend.send(lines(noise), 5).kind == REFUSED


def test_a_message_has_at_most_128_datagrams(start, lines):
    """With one more the server would forget it."""
    fake, backend = start("gelf udp", "&gzip=0&datagram=300")
    room = 128 * (300 - 12)
    assert backend.send(lines("x" * (room - 300)), 5).kind == TAKEN
    assert backend.send(lines("x" * (room + 300)), 5).kind == REFUSED
    wait_for(lambda: fake.stored)

    assert len(fake.product.sizes) == 128


@pytest.mark.parametrize(("options", "size"), [("", 1420), ("datagram=8154", 8154)])
@pytest.mark.parametrize("gzip", ["", "&gzip=0"])
def test_a_long_message_goes_in_several_datagrams(options, size, gzip, start, lines):
    """Each as large as is allowed, put together again by the server."""
    fake, backend = start("gelf udp", options + gzip)
    text = os.urandom(9000).hex()
    assert backend.send(lines(text), 5).kind == TAKEN
    wait_for(lambda: fake.stored)

    assert fake.stored[0]["short_message"] == text
    assert len(fake.product.sizes) > 1
    assert max(fake.product.sizes) <= size


def test_what_fits_when_compressed_is_one_datagram(start, lines):
    """What fits as it is, is sent so."""
    fake, backend = start("gelf udp")
    backend.send(lines("short", "long " * 1000), 5)
    wait_for(lambda: len(fake.stored) == 2)

    assert len(fake.product.sizes) == 2


def test_nobody_there_is_noticed_late_by_udp(start, lines):
    """The second datagram hears of the first one's fate; after that it begins anew."""
    fake, backend = start("gelf udp")
    fake.faults.use("refused")
    found = backend.send(lines("one", "two", "three"), 5)
    assert found.kind in (TAKEN, AGAIN)
    fake.faults.clear()
    for _ in range(2):
        found = backend.send(lines("four"), 5)
    wait_for(lambda: fake.stored)

    assert found.kind == TAKEN
