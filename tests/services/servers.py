"""Serve a small application by real web servers on free loopback ports."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.services.ports import accepts, reserve_port, wait_until
from tests.services.processes import Output, Process


@dataclass(frozen=True, slots=True)
class Server:
    """A web server that accepts connections."""

    process: Process
    port: int
    folder: Path

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self, timeout: float = 20.0) -> Output:
        """Send SIGTERM, and return everything the server and its workers wrote."""
        return self.process.stop(timeout=timeout)


def wait_until_listening(process: Process, port: int, timeout: float = 30.0) -> None:
    """Wait until a process accepts connections; raise with its output if it ends or never does."""

    def listening() -> bool:
        if not process.running:
            raise AssertionError(f"the server ended: {process.wait()}")
        return accepts(port)

    wait_until(listening, lambda: f"no listener: {process.stdout!r} {process.stderr!r}", timeout)


@pytest.fixture
def serve(
    tmp_path_factory: pytest.TempPathFactory, start_process: Callable[..., Process]
) -> Callable[..., Server]:
    """Give the common part of all web servers: a folder, a port, a process that listens."""

    def run(source: str, command: Callable[[int], Sequence[str]], **options: Any) -> Server:
        folder = tmp_path_factory.mktemp("app")
        folder.joinpath("app.py").write_text(dedent(source), encoding="utf-8")
        port = reserve_port()
        launcher = options.pop("launcher", ())
        # Gunicorn puts its control socket below the home folder: one for all servers of a user.
        env = {"HOME": str(folder), **(options.pop("env", None) or {})}
        process = start_process(*launcher, *command(port), cwd=folder, env=env, **options)
        wait_until_listening(process, port)
        return Server(process, port, folder)

    return run


@pytest.fixture
def run_uvicorn(serve: Callable[..., Server]) -> Callable[..., Server]:
    """Give the starter of real uvicorn servers."""

    def run(app_source: str, *args: str, **options: Any) -> Server:
        def command(port: int) -> Sequence[str]:
            where = ("--host", "127.0.0.1", "--port", str(port))
            return (sys.executable, "-m", "uvicorn", "app:app", *where, *args)

        return serve(app_source, command, **options)

    return run


@pytest.fixture
def run_gunicorn(serve: Callable[..., Server]) -> Callable[..., Server]:
    """Give the starter of real gunicorn servers."""

    def run(app_source: str, *args: str, **options: Any) -> Server:
        def command(port: int) -> Sequence[str]:
            where = ("--bind", f"127.0.0.1:{port}")
            return (sys.executable, "-m", "gunicorn", *where, *args, "app:app")

        return serve(app_source, command, **options)

    return run
