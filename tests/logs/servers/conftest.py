"""Real servers, run bare and under ``obskit run``, with all that they write to 1 and 2.

``spoken(start) -> Spoken``
    Call ``start(launcher=..., env=...)`` and give what it starts with ``get(path)``, ``url``,
    ``port``, ``lines()`` (all so far, each checked against the schema), ``wait_lines(count,
    **fields)`` and ``stop() -> list`` (all lines of the whole run).
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from obskit import observation
from tests.logs.servers.reading import lines
from tests.services.processes import Output
from tests.services.servers import Server

# Without a buffer that a fork could double.
ENV = {"OBSKIT_METRICS_PORT": "off", "PYTHONUNBUFFERED": "1"}


def request(url: str, method: str = "GET", **options: Any) -> httpx.Response:
    """Send a request over a connection of its own, from outside of any operation."""
    with observation.suppress(), httpx.Client(timeout=30, trust_env=False) as client:
        return client.request(method, url, **options)


class Spoken:
    """A server under ``obskit run`` and its lines."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.url
        self.port = server.port

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET request."""
        return request(self.url + path, **options)

    def lines(self) -> list[dict[str, Any]]:
        """Return all whole lines so far."""
        found: list[dict[str, Any]] = []
        for stream in (self.server.process.stdout, self.server.process.stderr):
            found += lines(stream[: stream.rfind(b"\n") + 1])
        return found

    def wait_lines(self, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        """Wait for *count* lines that have *fields*, and return all that have them."""
        deadline = time.monotonic() + 20
        while True:
            found = [line for line in self.lines() if fields.items() <= line.items()]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, (fields, self.lines())
            time.sleep(0.02)

    def summary(self, response: httpx.Response) -> dict[str, Any]:
        """Return the one summary line of a request, found by the header of its response."""
        [correlation_id] = response.headers.get_list("x-correlation-id")
        [line] = self.wait_lines(correlation_id=correlation_id, logger="obskit.summary")
        return line

    def stop(self) -> list[dict[str, Any]]:
        """End the server and return all of its lines."""
        output = self.server.stop()
        return lines(output.stdout) + lines(output.stderr)


@pytest.fixture
def spoken(obskit_command: tuple[str, ...]) -> Callable[..., Spoken]:
    """Give the starter of servers under ``obskit run``."""

    def run(start: Callable[..., Server], *args: Any, env: Any = None, **options: Any) -> Spoken:
        launcher = (*obskit_command, "run", "--")
        return Spoken(start(*args, launcher=launcher, env={**ENV, **(env or {})}, **options))

    return run


@pytest.fixture
def both(spoken: Callable[..., Spoken]) -> Callable[..., tuple[list[dict[str, Any]], Output]]:
    """Give what runs a server bare and spoken, with the same *traffic*."""

    def run(
        start: Callable[..., Server],
        *args: Any,
        traffic: Callable[[str], None],
        ready: bytes,
        env: Any = None,
        **options: Any,
    ) -> tuple[list[dict[str, Any]], Output]:
        outputs = []
        for begin in (start, lambda *a, **o: spoken(start, *a, **o).server):
            server = begin(*args, env={**ENV, **(env or {})}, **options)
            server.process.wait_for(ready)
            traffic(server.url)
            time.sleep(0.3)
            outputs.append(server.stop())
        bare, ours = outputs
        assert bare.returncode == ours.returncode
        return lines(ours.stdout) + lines(ours.stderr), bare

    return run


def _run_module(serve: Callable[..., Server], words: Callable[[int], Sequence[str]]) -> Any:
    def run(source: str, *args: str, **options: Any) -> Server:
        def command(port: int) -> Sequence[str]:
            return (sys.executable, "-m", *words(port), *args)

        return serve(source, command, **options)

    return run


@pytest.fixture
def run_hypercorn(serve: Callable[..., Server]) -> Callable[..., Server]:
    """Give the starter of hypercorn."""
    return _run_module(serve, lambda port: ("hypercorn", "app:app", "-b", f"127.0.0.1:{port}"))


@pytest.fixture
def run_flask(serve: Callable[..., Server]) -> Callable[..., Server]:
    """Give the starter of ``flask run``."""
    return _run_module(serve, lambda port: ("flask", "--app", "app:app", "run", "-p", str(port)))
