"""Real servers with applications that report what is observed.

``uvicorn(source, *args) -> Served``, likewise ``gunicorn``, ``hypercorn`` and ``daphne``
    Serve *source* with the reporting beginning. A Served has ``url``, ``port``,
    ``get(path, **options)`` and ``request(method, path, **options)``, ``said()`` (all lines so
    far) and ``ended(count=1)`` (waits for so many SERVER observations and returns all lines
    about ended ones).
"""

import json
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from obskit import observation
from tests.services.servers import Server

REPORTING = Path(__file__).with_name("reporting.py").read_text(encoding="utf-8")


class Served:
    """A server whose application reports."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.url
        self.port = server.port

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request from outside of any observation."""
        with observation.suppress(), httpx.Client(timeout=20, trust_env=False) as client:
            return client.request(method, self.url + path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET request."""
        return self.request("GET", path, **options)

    def connect(self) -> Any:
        """Open a raw connection, to be used as a context manager."""
        return closing(socket.create_connection(("127.0.0.1", self.port), timeout=20))

    def said(self) -> list[dict[str, Any]]:
        """Return all lines so far."""
        lines = self.server.process.stdout.splitlines()
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def ended(self, count: int = 1, kind: str = "server") -> list[dict[str, Any]]:
        """Wait until *count* observations of a kind have ended; return them all."""
        deadline = time.monotonic() + 15
        while True:
            ended = [line for line in self.said() if line.get("kind") == kind]
            if len(ended) >= count:
                # One more would be one too many.
                time.sleep(0.05)
                return [line for line in self.said() if line.get("kind") == kind]
            assert time.monotonic() < deadline, (self.said(), self.server.process.stderr)
            time.sleep(0.01)

    def logged(
        self, logger: str, count: int = 1, *, with_error: bool = False
    ) -> list[dict[str, Any]]:
        """Wait for *count* lines of a logger and return them."""
        deadline = time.monotonic() + 15
        while True:
            lines = [line for line in self.said() if line.get("logger") == logger]
            lines = [line for line in lines if line["error"] or not with_error]
            if len(lines) >= count:
                return lines
            assert time.monotonic() < deadline, (self.said(), self.server.process.stderr)
            time.sleep(0.01)


Start = Callable[..., Served]


@pytest.fixture
def uvicorn(run_uvicorn: Callable[..., Server]) -> Start:
    """Give the starter of uvicorn."""
    return lambda source, *args: Served(run_uvicorn(_reporting(source), *args))


@pytest.fixture
def gunicorn(run_gunicorn: Callable[..., Server]) -> Start:
    """Give the starter of gunicorn."""
    return lambda source, *args: Served(run_gunicorn(_reporting(source), *args))


@pytest.fixture
def hypercorn(serve: Callable[..., Server]) -> Start:
    """Give the starter of hypercorn."""

    def run(source: str, *args: str) -> Served:
        def command(port: int) -> tuple[str, ...]:
            return (
                sys.executable,
                "-m",
                "hypercorn",
                "--bind",
                f"127.0.0.1:{port}",
                *args,
                "app:app",
            )

        return Served(serve(_reporting(source), command))

    return run


@pytest.fixture
def daphne(serve: Callable[..., Server]) -> Start:
    """Give the starter of daphne."""
    pytest.importorskip("daphne", reason="daphne is not installed")

    def run(source: str, *args: str) -> Served:
        def command(port: int) -> tuple[str, ...]:
            where = ("-b", "127.0.0.1", "-p", str(port))
            return (sys.executable, "-m", "daphne", *where, *args, "app:app")

        return Served(serve(_reporting(source), command))

    return run


def _reporting(source: str) -> str:
    from textwrap import dedent

    return REPORTING + dedent(source)
