"""Start programs as services, wait until they are ready, ask them for pages, and end them."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

READY_WITHIN = 60.0
STOPPED_WITHIN = 10.0
# Servers say a lot after the reason why they end.
LAST_WORDS = 6000
# Celery says of each task what the last line of a unit of work says too.
QUIET = "INFO,celery.worker.strategy=WARNING,celery.app.trace=WARNING"


@dataclass(frozen=True, slots=True)
class Program:
    """What is started as a service.

    Args:
        name: What the service is called.
        words: The command after ``python -m``.
        port: Where it answers requests, None if it does not: then it *says* that it is ready.
        environ: What it needs to know beside what this process was told.
    """

    name: str
    words: tuple[str, ...]
    port: int | None = None
    says: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service:
    """A program that runs; what it writes *begins* at this byte of its log."""

    program: Program
    process: subprocess.Popen[bytes]
    log: Path
    metrics_port: int | None = None
    begins: int = 0

    @property
    def name(self) -> str:
        """What it is called."""
        return self.program.name

    @property
    def url(self) -> str | None:
        """Where it is, None if nobody can call it."""
        return f"http://127.0.0.1:{self.program.port}" if self.program.port else None


class PortTaken(RuntimeError):
    """Somebody was faster: between finding a free port and using it there is a moment."""


def free_port() -> int:
    """Return a port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(
    program: Program,
    code: Path,
    folder: Path,
    *,
    observed: bool,
    inherited: tuple[int, ...] = (),
    again: bool = False,
) -> Service:
    """Start a program, and do not wait for it.

    Args:
        program: What is started.
        code: The folder with its modules.
        folder: Where its log goes.
        observed: Whether it runs under obskit.
        inherited: Descriptors that stay open as long as it runs.
        again: Whether its log goes on where an earlier run has ended.
    """
    given = dict(os.environ)
    environ = {name: value for name, value in given.items() if not name.startswith("OBSKIT_")}
    environ |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environ |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1") | dict(program.environ)
    command = [sys.executable, "-m", *program.words]
    metrics_port = None
    if observed:
        metrics_port = free_port()
        environ |= {"OBSKIT_SERVICE": program.name, "OBSKIT_METRICS_PORT": str(metrics_port)}
        environ |= {"OBSKIT_LOG_LEVEL": QUIET}
        command = [sys.executable, "-m", "obskit", "run", "--", *command]
    log = folder / f"{program.name}.log"
    with log.open("ab" if again else "wb") as stream:
        begins = stream.tell()
        process = subprocess.Popen(
            command,
            cwd=code,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=inherited,
        )
    return Service(program, process, log, metrics_port, begins)


def wait(service: Service) -> None:
    """Wait until a service is ready.

    Raises:
        PortTaken: Another process has its port.
        RuntimeError: It ended, or took too long; the text has its last lines.
    """
    deadline = time.monotonic() + READY_WITHIN
    while service.process.poll() is None and time.monotonic() < deadline:
        if _is_ready(service):
            return
        time.sleep(0.05)
    words = _log_of(service)
    kind = PortTaken if "ddress already in use" in words else RuntimeError
    raise kind(f"{service.name} did not start:\n{words[-LAST_WORDS:]}")


def _is_ready(service: Service) -> bool:
    if service.program.port:
        return get(service.program.port, "/health") is not None
    return service.program.says in _log_of(service)


def _log_of(service: Service) -> str:
    return service.log.read_bytes()[service.begins :].decode("utf-8", "replace")


def get(port: int, path: str) -> str | None:
    """Return the page at *path*; None where nobody answers it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        page = response.read().decode("utf-8")
        return page if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def stop(services: Iterable[Service]) -> None:
    """Ask the services to end, and see that they do, with all of their workers."""
    services = list(services)
    deadline = time.monotonic() + STOPPED_WITHIN
    try:
        for service in services:
            service.process.terminate()
        for service in services:
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        for service in services:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(service.process.pid, signal.SIGKILL)
            service.process.wait()
