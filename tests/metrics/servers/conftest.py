"""Real servers whose metrics are scraped.

``uvicorn(source, *args) -> Watched``, likewise ``gunicorn``
    Serve *source* with metrics set up as ``obskit.init`` does. A Watched has ``url``, ``port``,
    ``server``, ``metrics_port``, ``get(path) -> int`` (the status), ``samples()`` and
    ``until(condition) -> samples`` (scrape until the samples satisfy it).
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import httpx
import pytest

from tests.metrics.conftest import SET_UP, read
from tests.services.servers import Server

Samples = dict[str, float]


class Watched:
    """A server and its metrics."""

    def __init__(self, server: Server, metrics_port: int) -> None:
        self.server = server
        self.url = server.url
        self.port = server.port
        self.metrics_port = metrics_port

    def get(self, path: str, **headers: str) -> int:
        """Send a request and return the status of its answer."""
        return httpx.get(self.url + path, headers=headers, timeout=20, trust_env=False).status_code

    def page(self, accept: str = "") -> str:
        """Return what a scrape gets."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        return httpx.get(url, headers={"accept": accept}, timeout=20, trust_env=False).text

    def samples(self) -> Samples:
        """Scrape once."""
        return read(self.page())

    def until(self, condition: Callable[[Samples], object], timeout: float = 20.0) -> Samples:
        """Scrape until *condition* holds."""
        deadline = time.monotonic() + timeout
        found: Samples = {}
        while True:
            with suppress(httpx.HTTPError):
                found = self.samples()
                if condition(found):
                    return found
            assert time.monotonic() < deadline, (found, self.server.process.stderr[-3000:])
            time.sleep(0.05)

    def workers(self) -> list[int]:
        """Return the process IDs of the server's children that serve."""
        with suppress(OSError):
            pid = self.server.process.pid
            listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return [int(child) for child in listed if _serves(int(child))]
        return []


def _serves(pid: int) -> bool:
    """Tell a worker from the helpers of multiprocessing."""
    with suppress(OSError):
        return b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Give the folder for temporary files of the servers."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    os.chmod(folder, 0o700)
    return folder


@pytest.fixture
def watched(temporary: Path, free_port: Callable[[], int]) -> Callable[..., Watched]:
    """Give what serves a source by a server's starter."""

    def run(start: Callable[..., Server], source: str, *args: str, **env: str) -> Watched:
        port = free_port()
        chosen = {"OBSKIT_METRICS_PORT": str(port), "TMPDIR": str(temporary), **env}
        return Watched(start(SET_UP + dedent(source), *args, env=chosen), port)

    return run


@pytest.fixture
def uvicorn(
    watched: Callable[..., Watched], run_uvicorn: Callable[..., Server]
) -> Callable[..., Watched]:
    """Give the starter of uvicorn."""
    return lambda source, *args, **env: watched(run_uvicorn, source, *args, **env)


@pytest.fixture
def gunicorn(
    watched: Callable[..., Watched], run_gunicorn: Callable[..., Server]
) -> Callable[..., Watched]:
    """Give the starter of gunicorn."""
    return lambda source, *args, **env: watched(run_gunicorn, source, *args, **env)
