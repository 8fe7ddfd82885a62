"""Run a real Zipkin server that keeps its traces in memory."""

import contextlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.services.binaries import require
from tests.services.ports import reserve_port, wait_until
from tests.services.processes import Process, bare_environment

Rows = list[dict[str, Any]]
Until = Callable[[Rows], object]

DAY = 86_400_000
# Half of the start is compiling what runs once; the other options leave nothing outside.
JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")


@dataclass(frozen=True, slots=True)
class Zipkin:
    """A Zipkin server that is ready; all tests of a run share it and its traces.

    What is asked for is asked again until *until* is true of the answer (default: until there is
    one), for at most *timeout* seconds; then TimeoutError shows the last answer.
    """

    process: Process
    url: str

    def get(self, path: str, **query: object) -> Any:
        """Return an answer of the HTTP API below /api/v2."""
        address = f"{self.url}/api/v2/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10.0) as answer:
            return json.load(answer)

    def send(self, spans: Sequence[dict[str, Any]]) -> None:
        """Report spans in the v2 JSON format."""
        headers = {"content-type": "application/json"}
        body = json.dumps(spans).encode()
        request = urllib.request.Request(f"{self.url}/api/v2/spans", body, headers)
        with urllib.request.urlopen(request, timeout=10.0) as answer:
            answer.read()

    def trace(self, trace_id: str, until: Until = bool, timeout: float = 10.0) -> Rows:
        """Return the spans of a trace."""
        return poll(lambda: self._trace(trace_id), until, timeout)

    def spans(self, service: str, until: Until = bool, timeout: float = 10.0) -> Rows:
        """Return the spans that a service has reported, of all traces."""

        def read() -> Rows:
            traces = self.get("traces", serviceName=service, limit=10_000, **around_now())
            return [span for trace in traces for span in trace if reporter(span) == service.lower()]

        return poll(read, until, timeout)

    def dependencies(self, *services: str, until: Until = bool, timeout: float = 10.0) -> Rows:
        """Return the links (parent, child, callCount, errorCount) of services, of all if none."""
        names = {service.lower() for service in services}

        def read() -> Rows:
            links: Rows = self.get("dependencies", **around_now())
            return [one for one in links if not names or names & {one["parent"], one["child"]}]

        return poll(read, until, timeout)

    def _trace(self, trace_id: str) -> Rows:
        try:
            found: Rows = self.get(f"trace/{trace_id}")
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 404:
                    raise
            return []
        return found


def poll(read: Callable[[], Rows], until: Until, timeout: float) -> Rows:
    """Read until *until* is true of what was read, and return that."""
    deadline = time.monotonic() + timeout
    while not until(found := read()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout:g} s Zipkin has {json.dumps(found)}")
        time.sleep(0.05)
    return found


def around_now() -> dict[str, int]:
    """Return query parameters for all that happened within a day of now, also ahead of us."""
    return {"endTs": int(time.time() * 1000) + DAY, "lookback": 2 * DAY}


def reporter(span: dict[str, Any]) -> str | None:
    """Return the name of the service that has reported a span, as Zipkin keeps it: lower case."""
    name: str | None = span.get("localEndpoint", {}).get("serviceName")
    return name


def command(folder: Path, port: int) -> tuple[str, ...]:
    """Return the words that start a server on a loopback port."""
    return (
        require("java"),
        *JVM,
        f"-Djava.io.tmpdir={folder}",
        "-jar",
        require("zipkin"),
        "--armeria.ports[0].ip=127.0.0.1",
        f"--armeria.ports[0].port={port}",
        "--armeria.ports[0].protocols[0]=http",
        "--spring.main.banner-mode=off",
    )


def is_healthy(process: Process, url: str) -> bool:
    """Tell whether the server has said that it is up."""
    if not process.running:
        raise AssertionError(f"Zipkin ended: {process.wait()}")
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5.0) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


@contextlib.contextmanager
def running_zipkin(folder: Path) -> Iterator[Zipkin]:
    """Run a server of one's own; skip the test where Java or Zipkin is absent."""
    port = reserve_port()
    words = command(folder, port)
    env = bare_environment(folder)
    process = Process(words, env=env, cwd=folder, stdin=b"", capture="file", merge=True)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: is_healthy(process, url), lambda: repr(process.stdout), 60.0)
        yield Zipkin(process, url)
    finally:
        process.kill()


@pytest.fixture(scope="session")
def zipkin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zipkin]:
    """Give the one Zipkin server of the test run."""
    with running_zipkin(tmp_path_factory.mktemp("zipkin")) as server:
        yield server
