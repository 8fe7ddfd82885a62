"""Lines go to Logstash by HTTP, which answers, or by TCP, which does not."""

import json
import socket
import time

from obskit.shipping import backends, target
from obskit.shipping.verdict import AGAIN, TAKEN


def wait_for(condition):
    """Wait until *condition* holds."""
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_a_request_is_one_array(start, lines):
    """Of which the codec makes an event each, at the time of the line."""
    fake, backend = start("logstash")
    entries = lines("one", "two")
    backend.send(entries, 5)
    sent = json.loads(fake.requests[0].body)

    assert [one["message"] for one in sent] == ["one", "two"]
    assert sent[0]["@timestamp"] == json.loads(entries[0].body)["timestamp"]
    assert not any("tags" in one for one in fake.stored)


def test_a_full_queue_is_waited_for(start, lines):
    """It says 429."""
    fake, backend = start("logstash")
    fake.faults.use("429", times=1)
    entries = lines("one")
    assert backend.send(entries, 5)[:2] == (AGAIN, "status 429")

    assert backend.send(entries, 5).kind == TAKEN


def test_lines_can_go_in_another_schema(start, lines):
    """Whose host is an object, which both inputs leave alone."""
    for name, mark in (("logstash", "&"), ("logstash tcp", "")):
        fake, backend = start(name, f"{mark}format=ecs")
        backend.send(lines("one"), 5)
        wait_for(lambda fake=fake: fake.stored)
        assert fake.stored[0]["host"] == {"hostname": "web-1"}


def test_by_tcp_each_event_is_a_line(start, lines):
    """On one connection that is kept."""
    fake, backend = start("logstash tcp")
    for name in ("one", "two\nthree"):
        assert backend.send(lines(name), 5).kind == TAKEN
    wait_for(lambda: len(fake.stored) == 2)

    assert fake.refused == []
    assert fake.server.listener.connections == 1


def test_nobody_there_is_noticed(start, lines):
    """And the batch sent again when somebody is."""
    fake, backend = start("logstash tcp")
    fake.faults.use("refused")
    entries = lines("one")
    assert backend.send(entries, 5)[:2] == (AGAIN, "no connection")
    fake.faults.clear()
    assert backend.send(entries, 5).kind == TAKEN
    wait_for(lambda: fake.stored)


def test_a_connection_that_was_closed_is_noticed(start, lines):
    """Before the next batch is written into the void."""
    fake, backend = start("logstash tcp")
    backend.send(lines("one"), 5)
    wait_for(lambda: fake.stored)
    fake.server.listener.drop()
    time.sleep(0.05)
    assert backend.send(lines("two"), 5).kind == TAKEN
    wait_for(lambda: len(fake.stored) == 2)

    assert fake.server.listener.connections == 2


def test_a_server_that_does_not_read_is_not_waited_for(lines):
    """Longer than it may take; what is too much for the buffers is sent again."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"logstash+tcp://127.0.0.1:{deaf.getsockname()[1]}"
        backend = backends.open(target.parse(url), {})
        begun = time.monotonic()
        found = backend.send(lines(*["x" * 1_000_000] * 20), 0.5)
        assert (found.kind, found.why) == (AGAIN, "timeout")
        assert time.monotonic() - begun < 2
        backend.close()
