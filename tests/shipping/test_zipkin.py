"""Batches go to the HTTP API of Zipkin as it wants them."""

import json

import pytest

from obskit.shipping import zipkin as room
from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN
from obskit.shipping.zipkin import Zipkin


def encode(name):
    """Return a span."""
    return json.dumps({"name": name}).encode()


def test_a_batch_is_one_compressed_list(server):
    """On a connection that is kept."""
    one = Zipkin(server.url, encode)
    for name in ("a", "b"):
        packed, size = one.pack(name)
        assert size == len(packed) + room.WEIGHT
        assert one.send([packed, encode("more")], 5).kind == TAKEN
    one.close()

    assert [span["name"] for span in server.spans] == ["a", "more", "b", "more"]
    assert server.connections == 1
    first = server.requests[0]
    assert first[":line"] == "POST /api/v2/spans HTTP/1.1"
    assert (first["content-type"], first["content-encoding"]) == ("application/json", "gzip")


def test_the_url_may_have_a_path_and_a_password(server):
    """The path is kept, the password is sent and never shown."""
    url = server.url.replace("//", "//user:p%40ss@") + "/behind/proxy"
    for one in (Zipkin(url, encode), Zipkin(url + room.PATH, encode)):
        one.send([encode("a")], 5)
        one.close()
        assert one.url == server.url + "/behind/proxy"
    for request in server.requests:
        assert request[":line"] == "POST /behind/proxy/api/v2/spans HTTP/1.1"
        assert request["authorization"] == "Basic dXNlcjpwQHNz"
        assert request["host"] == server.url.partition("//")[2]


def test_what_goes_wrong_is_a_verdict(server, nobody):
    """Nobody there, no answer in time, no HTTP, a status."""
    cases = [("drop", AGAIN), ("babble", AGAIN), ("hang", AGAIN), (400, REFUSED), (503, AGAIN)]
    for mode, kind in cases:
        server.mode = mode
        one = Zipkin(server.url, encode)
        assert one.send([encode("a")], 0.3).kind == kind, mode
        one.close()
    assert Zipkin(nobody, encode).send([encode("a")], 0.3).why == "no connection"


def test_the_connection_is_left_to_the_parent(server):
    """A child has another one."""
    one = Zipkin(server.url, encode)
    one.send([encode("a")], 5)
    one.forget()
    one.forget()
    one.send([encode("a")], 5)
    one.close()

    assert server.connections == 2


@pytest.mark.parametrize("url", ["http://a..b:1", "http://127.0.0.1:PORT/\u043f"])
def test_an_address_that_there_cannot_be_is_trouble_like_any_other(server, url):
    """It is said, and spans wait."""
    one = Zipkin(url.replace("PORT", server.url.rpartition(":")[2]), encode)

    assert one.send([encode("a")], 5).kind == AGAIN
    one.close()
