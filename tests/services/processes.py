"""Start real subprocesses, keep what they write byte for byte, and leave none behind."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pytest

from tests.services.ports import wait_until

ROOT = Path(__file__).parents[2]
Capture = Literal["pipe", "file", "tty"]


@dataclass(frozen=True, slots=True)
class Output:
    """What an ended process left."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def lines(self) -> list[bytes]:
        """The lines of stdout, then those of stderr."""
        return self.stdout.splitlines() + self.stderr.splitlines()


class Stream:
    """One captured output stream: the end that the child writes to, and what came out of it."""

    def __init__(self, capture: Capture) -> None:
        self._seen = bytearray()
        self._reader: threading.Thread | None = None
        self._file: IO[bytes] | None = None
        if capture == "file":
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
            self.write_end = os.dup(self._file.fileno())
            return
        read_end, self.write_end = os.pipe() if capture == "pipe" else os.openpty()
        self._reader = threading.Thread(target=self._drain, args=(read_end,), daemon=True)
        self._reader.start()

    def _drain(self, read_end: int) -> None:
        with contextlib.suppress(OSError):
            while chunk := os.read(read_end, 65536):
                self._seen += chunk
        os.close(read_end)

    @property
    def content(self) -> bytes:
        """Everything written so far."""
        if self._file is None:
            return bytes(self._seen)
        return os.pread(self._file.fileno(), os.fstat(self._file.fileno()).st_size, 0)

    def close(self) -> None:
        """Wait until all is read, after every writer has ended."""
        if self._reader is not None:
            self._reader.join(timeout=5.0)
        if self._file is not None:
            self._seen += self.content
            self._file.close()
            self._file = None


class Process:
    """A running subprocess in a process group of its own."""

    def __init__(
        self,
        command: tuple[str, ...],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: bytes,
        capture: Capture,
        merge: bool,
    ) -> None:
        self._streams = [Stream(capture)] if merge else [Stream(capture), Stream(capture)]
        ends = [stream.write_end for stream in self._streams]
        try:
            with tempfile.TemporaryFile() as given:
                given.write(stdin)
                given.seek(0)
                self._popen = subprocess.Popen(
                    command,
                    env=dict(env),
                    cwd=cwd,
                    stdin=given,
                    stdout=ends[0],
                    stderr=ends[-1],
                    start_new_session=True,
                )
        finally:
            for end in ends:
                os.close(end)
        self.pid = self._popen.pid

    @property
    def running(self) -> bool:
        """Whether the process (not its children) is alive."""
        return self._popen.poll() is None

    @property
    def stdout(self) -> bytes:
        """What was written to stdout so far."""
        return self._streams[0].content

    @property
    def stderr(self) -> bytes:
        """What was written to stderr so far; empty where both streams are merged."""
        return self._streams[1].content if len(self._streams) > 1 else b""

    def wait_for(self, pattern: bytes, timeout: float = 20.0) -> re.Match[bytes]:
        """Wait until a regular expression is found in either stream."""
        found: list[re.Match[bytes]] = []

        def seen() -> bool:
            ended = not self.running
            found.extend(filter(None, (re.search(pattern, s.content) for s in self._streams)))
            if ended and not found:
                raise AssertionError(f"ended without {pattern!r}: {self.wait()}")
            return bool(found)

        wait_until(seen, lambda: f"no {pattern!r} in {self.stdout!r} {self.stderr!r}", timeout)
        return found[0]

    def send(self, number: int) -> None:
        """Send a signal to the process, not to its children."""
        self._popen.send_signal(number)

    def wait(self, timeout: float = 20.0) -> Output:
        """Wait until the process ends by itself; its remaining children are killed."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            output = self.kill()
            raise TimeoutError(f"still running after {timeout:g} s: {output}") from None
        return self.kill()

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20.0) -> Output:
        """End the process as an operator would, and return all that it wrote."""
        self.send(number)
        return self.wait(timeout)

    def kill(self) -> Output:
        """End the process and all of its children at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        returncode = self._popen.wait(timeout=10.0)
        for stream in self._streams:
            stream.close()
        return Output(returncode, self.stdout, self.stderr)


def environment(changes: Mapping[str, str | None] | None) -> dict[str, str]:
    """Return our environment without anything that steers Python or telemetry, then *changes*."""
    foreign = ("OBSKIT_", "OTEL_", "PYTHON", "PYTEST_")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    clean["PYTHONPATH"] = str(ROOT / "src")
    merged = clean | dict(changes or {})
    return {key: value for key, value in merged.items() if value is not None}


def bare_environment(home: Path, **names: str) -> dict[str, str]:
    """Return an environment with a search path, a home folder and *names*, and nothing of ours."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", **names}


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let what tests start hear SIGINT, which shells have commands in the background ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Give the starter of subprocesses; what still runs after the test is killed."""
    started: list[Process] = []

    def start(
        *command: str,
        env: Mapping[str, str | None] | None = None,
        cwd: Path = tmp_path,
        **options: Any,
    ) -> Process:
        defaults = {"stdin": b"", "capture": "pipe", "merge": False}
        process = Process(command, env=environment(env), cwd=cwd, **(defaults | options))
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def obskit_command() -> tuple[str, ...]:
    """Give the words that start the command line interface in this interpreter."""
    return (sys.executable, "-m", "obskit")
