"""Hand out loopback ports and wait until something listens on them."""

import socket
import time
from collections.abc import Callable

import pytest

_given: set[int] = set()


def reserve_port() -> int:
    """Return a loopback port that is free now and was not handed out before."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def hold_port() -> socket.socket:
    """Return a socket that keeps a free loopback port for a server that comes and goes.

    A server that sets SO_REUSEADDR gets the port, nobody else does; without one, connections are
    refused.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _given.add(held.getsockname()[1])
    return held


def accepts(port: int) -> bool:
    """Tell whether something accepts connections on the loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


def wait_until(happened: Callable[[], object], what: Callable[[], str], timeout: float) -> None:
    """Poll until *happened* is true; after *timeout* seconds raise TimeoutError saying *what*."""
    deadline = time.monotonic() + timeout
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout:g} s: {what()}")
        time.sleep(0.02)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Give the source of free loopback ports."""
    return reserve_port
