"""Run a program for a short time: until it ends, or until it listens and has answered."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from obskit.cli import _processes
from obskit.cli._request import Answer, ask, scrape

GRACE = 10.0
SETTLES_WITHIN = 0.6
SCRAPED_WITHIN = 4.0
REQUESTS = 4
MOST_KEPT = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with a program.

    Args:
        program: Path of the program.
        command: Its words, the first one too.
        environ: Makes its environment, given the descriptors that become its streams.
        seconds: How long it may run before it is told to end.
        path: What is asked for once it listens; None for no request.
        header: Says what its header with the correlation ID is called.
        metrics_port: The port that is not the program's own; None for no metrics.
    """

    program: str
    command: list[str]
    environ: Callable[[tuple[int, int]], Mapping[str, str]]
    seconds: float
    path: str | None
    header: Callable[[], str]
    metrics_port: int | None


@dataclass(slots=True)
class Trial:
    """What a program left behind: its raw output, how it ended, what it answered.

    *pythons* are the process IDs and words of the Python processes that ran at the end,
    *cut* tells whether so much was written that its end was not kept.
    """

    pid: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    cut: bool = False
    exit_code: int = 0
    seconds: float = 0.0
    stopped: bool = False
    killed: bool = False
    answers: list[Answer] = field(default_factory=list)
    metrics: str = ""
    ports: list[int] = field(default_factory=list)
    pythons: dict[int, list[str]] = field(default_factory=dict)


class Reader(threading.Thread):
    """Read a pipe until its last writer has closed it; keep the first bytes of it."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self._descriptor = descriptor
        self.kept = bytearray()
        self.cut = False

    def run(self) -> None:
        """Read; who writes is never kept waiting."""
        while chunk := os.read(self._descriptor, 65536):
            if len(self.kept) < MOST_KEPT:
                self.kept += chunk
            else:
                self.cut = True
        os.close(self._descriptor)


def hold(plan: Plan) -> Trial:
    """Run a program and return what came of it; none of its processes is left.

    Raises:
        OSError: The system does not start it.
    """
    trial = Trial()
    process, readers = _start(plan)
    trial.pid = process.pid
    begun = time.monotonic()
    try:
        _watch(trial, process, plan, begun + plan.seconds)
        _stop(trial, process)
    finally:
        _processes.kill(process.pid)
        trial.exit_code = process.wait()
        trial.seconds = time.monotonic() - begun
    for reader in readers:
        reader.join(GRACE)
    trial.stdout, trial.stderr = (bytes(reader.kept) for reader in readers)
    trial.cut = any(reader.cut for reader in readers)
    return trial


def _start(plan: Plan) -> tuple[subprocess.Popen[bytes], list[Reader]]:
    """Start the program with pipes that are known before: it is told that they are its own."""
    pipes = [os.pipe(), os.pipe()]
    out, err = (write for _, write in pipes)
    try:
        process = subprocess.Popen(
            plan.command,
            executable=plan.program,
            env=dict(plan.environ((out, err))),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    except OSError:
        for read, _ in pipes:
            os.close(read)
        raise
    finally:
        os.close(out)
        os.close(err)
    readers = [Reader(read) for read, _ in pipes]
    for reader in readers:
        reader.start()
    return process, readers


def _watch(trial: Trial, process: subprocess.Popen[bytes], plan: Plan, deadline: float) -> None:
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
        ports = _processes.listening(process.pid)
        trial.ports = [port for port in ports if port != plan.metrics_port]
        if trial.ports:
            _talk(trial, plan, max(1.0, deadline - time.monotonic()))
            break
    if process.poll() is None:
        trial.pythons = _processes.pythons(process.pid)


def _talk(trial: Trial, plan: Plan, patience: float) -> None:
    """Send requests to the first port that answers any, and read the metrics."""
    if plan.path is not None:
        for port in trial.ports:
            trial.answers = [ask(port, plan.path, plan.header(), patience)]
            if trial.answers[0].status is not None:
                break
        else:
            return
        for _ in range(REQUESTS - 1):  # where there are several workers, they take turns
            trial.answers.append(ask(trial.answers[0].port, plan.path, plan.header(), patience))
    time.sleep(SETTLES_WITHIN)
    if plan.metrics_port is not None:
        trial.metrics = _scraped(plan.metrics_port, SCRAPED_WITHIN)


def _scraped(port: int, patience: float) -> str:
    """Return the page of metrics; without a request it is there when the start is over."""
    deadline = time.monotonic() + patience
    while not (page := scrape(port)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return page


def _stop(trial: Trial, process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    trial.stopped = True
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        trial.killed = True
