import contextlib
import os
import socket
from pathlib import Path

import pika
import pytest
from _pytest.outcomes import Failed, Skipped
from pika.exceptions import AMQPConnectionError

from tests.services import binaries
from tests.services import rabbitmq as room
from tests.services.ports import accepts, wait_until


def touching(folder):
    """Return the command lines of the living processes that were started for a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(folder) in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes())
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return found


def listeners():
    """Return the addresses, as the kernel writes them, on which anything listens."""
    tables = [Path(f"/proc/net/tcp{version}") for version in ("", "6")]
    rows = [row.split() for table in tables for row in table.read_text().splitlines()[1:]]
    return {tuple(row[1].split(":")) for row in rows if row[3] == "0A"}


def test_a_message_waits_until_it_is_taken(rabbitmq):
    """What is published to a queue is counted, read back with its headers, and purged."""
    queue = rabbitmq.queue("orders")
    properties = pika.BasicProperties(headers={"traceparent": "00-1"})
    with rabbitmq.channel() as channel:
        channel.confirm_delivery()
        for body in (b"first", b"second"):
            channel.basic_publish("", queue, body, properties)
        assert rabbitmq.waiting(queue) == 2

        _, taken, body = channel.basic_get(queue, auto_ack=True)

    assert (taken.headers, body) == ({"traceparent": "00-1"}, b"first")
    rabbitmq.purge(queue)
    assert rabbitmq.waiting(queue) == 0


def test_a_broker_is_lost_and_comes_back_on_the_same_port(rabbitmq):
    """Clients notice the loss and are refused; afterwards a durable message is still there."""
    queue = rabbitmq.queue(durable=True)
    address = rabbitmq.url
    with rabbitmq.channel() as channel:
        channel.confirm_delivery()
        channel.basic_publish("", queue, b"kept", pika.BasicProperties(delivery_mode=2))
        rabbitmq.stop()
        with pytest.raises(AMQPConnectionError):
            channel.basic_publish("", queue, b"lost")

    assert not rabbitmq.running
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(pika.URLParameters(address))
    rabbitmq.start()
    assert rabbitmq.waiting(queue) == 1


def test_a_paused_broker_answers_nothing_until_it_goes_on(rabbitmq):
    """A connection to a frozen broker is accepted and hangs; later it gets its answer."""
    with contextlib.ExitStack() as stack:
        with rabbitmq.paused():
            address = ("127.0.0.1", rabbitmq.port)
            client = stack.enter_context(socket.create_connection(address, timeout=0.2))
            client.sendall(b"AMQP\x00\x00\x09\x01")
            with pytest.raises(TimeoutError):
                client.recv(1)

        client.settimeout(10.0)
        assert client.recv(1) == b"\x01"


def test_rabbitmqctl_reaches_the_broker(rabbitmq):
    """What AMQP cannot tell is asked by the tool of RabbitMQ."""
    queue = rabbitmq.queue()

    assert queue in rabbitmq.ctl("list_queues", "name").split()


@pytest.mark.slow
def test_a_broker_stays_on_loopback_and_leaves_nothing(tmp_path):
    """After a crash and a close neither a process nor a listener nor a name server is left."""
    before = listeners()
    with room.running_broker(tmp_path) as broker:
        running = touching(tmp_path)
        mine = {pair for pair in listeners() if int(pair[1], 16) in broker.ports}
        broker.kill()
        assert not accepts(broker.port)

    assert any(b"beam" in one for one in running)
    assert any(b"epmd" in one for one in running)
    assert len({port for _, port in mine}) == 3
    assert {address for address, _ in mine} <= {"0100007F", "0" * 24 + "01000000"}
    wait_until(lambda: not touching(tmp_path), lambda: repr(touching(tmp_path)), 5.0)
    assert not mine & listeners()
    assert not mine & before


def test_a_broker_that_cannot_start_shows_what_it_says(tmp_path):
    """A node that ends at once fails the test with its words instead of after the time limit."""
    broken = tmp_path / "rabbitmq-server"
    broken.write_text("#!/bin/sh\necho 'no room left'; exit 1\n")
    broken.chmod(0o755)
    broker = room.Broker(str(broken), tmp_path)

    try:
        with pytest.raises(AssertionError, match="no room left"):
            broker.start()
    finally:
        broker.close()


@pytest.mark.parametrize(("must", "outcome"), [("0", Skipped), ("1", Failed)])
def test_an_absent_broker_skips_or_fails(monkeypatch, tmp_path, must, outcome):
    """Without RabbitMQ a test is skipped, or fails where services are a must."""
    table = binaries.load_table()
    monkeypatch.setattr(table, "find", lambda name: None)
    monkeypatch.setattr(binaries, "load_table", lambda: table)
    monkeypatch.setenv("OBSKIT_REQUIRE_SERVICES", must)

    with pytest.raises(outcome, match="scripts/services install rabbitmq"):
        with room.running_broker(tmp_path):
            pass
