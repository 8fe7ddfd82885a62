import socket

import pytest

from tests.services.ports import accepts, hold_port, reserve_port, wait_until


def test_free_port_is_free_and_never_repeated(free_port):
    """Ports can be bound at once and differ from each other."""
    ports = {free_port() for _ in range(20)}

    assert len(ports) == 20
    for port in ports:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))


def test_accepts_tells_a_listener_from_none(free_port):
    """Only a port with a listener accepts connections."""
    port = free_port()
    assert not accepts(port)

    with socket.create_server(("127.0.0.1", port)):
        assert accepts(port)


def test_a_held_port_waits_for_its_server():
    """It refuses connections until a server that allows sharing listens on it, again and again."""
    with hold_port() as held:
        port = held.getsockname()[1]
        for _ in range(2):
            assert not accepts(port)
            with socket.create_server(("127.0.0.1", port)):
                assert accepts(port)


def test_a_held_port_is_nobody_elses():
    """A program that does not ask for sharing cannot take it, and it is never handed out."""
    with hold_port() as held, socket.socket() as other:
        port = held.getsockname()[1]
        with pytest.raises(OSError):
            other.bind(("127.0.0.1", port))
        assert port not in {reserve_port() for _ in range(20)}


def test_wait_until_says_what_did_not_happen():
    """A wait that fails names what it waited for."""
    with pytest.raises(TimeoutError, match=r"after 0\.05 s: the moon"):
        wait_until(lambda: False, lambda: "the moon", 0.05)
