"""A connection that is written to, secure where that is wanted."""

import os
import time

import pytest

from obskit.shipping.verdict import AGAIN, TAKEN
from tests.fakes.fake import CERTIFICATE

STREAMS = ("logstash tcp", "gelf tcp")


def stored(fake, count):
    """Return what a fake has, once it has so much."""
    deadline = time.monotonic() + 5
    while len(fake.stored) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return [one["message"] for one in fake.stored]


@pytest.mark.parametrize("name", STREAMS)
def test_a_secure_server_is_checked(name, start, lines):
    """By the authority that is named; without it nobody vouches for it."""
    fake, backend = start(name, f"ca={CERTIFICATE}", secure=True)
    assert backend.send(lines("one", "two"), 5).kind == TAKEN
    assert stored(fake, 2) == ["one", "two"]
    _, backend = start(name, "", secure=True)

    assert backend.send(lines("one"), 5)[:2] == (AGAIN, "certificate not trusted")


@pytest.mark.parametrize("name", STREAMS)
def test_a_server_may_want_to_know_who_we_are(name, start, lines):
    """By a certificate of ours."""
    mutual = f"ca={CERTIFICATE}&cert={CERTIFICATE}"
    fake, backend = start(name, mutual, secure=True, client_ca=CERTIFICATE)
    assert backend.send(lines("one"), 5).kind == TAKEN

    assert stored(fake, 1) == ["one"]


def test_much_is_written_within_the_time(start, lines):
    """Piece by piece."""
    fake, backend = start("logstash tcp", f"ca={CERTIFICATE}", secure=True)
    assert backend.send(lines(*["x" * 100_000] * 30), 10).kind == TAKEN

    deadline = time.monotonic() + 5
    while len(fake.received) < 30 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(fake.received) == 30


def test_a_child_leaves_the_connection_to_its_parent(start, lines):
    """Even a secure one, which would say that it is closed."""
    fake, backend = start("logstash tcp", f"ca={CERTIFICATE}", secure=True)
    backend.send(lines("one"), 5)
    child = os.fork()
    if child == 0:
        backend.forget()
        os._exit(0)
    os.waitpid(child, 0)
    backend.send(lines("two"), 5)

    assert stored(fake, 2) == ["one", "two"]
    assert fake.server.listener.connections == 1
