"""Run a real OpenSearch node that can be lost, brought back and paused."""

import contextlib
import json
import os
import shutil
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.services.binaries import require
from tests.services.ports import accepts, hold_port, wait_until
from tests.services.processes import Process, bare_environment

Rows = list[dict[str, Any]]

# A quarter of the start is compiling what runs once. The library for native calls finds nothing
# to load: with it OpenSearch refuses to run as root, as whom the tests run in containers.
JVM = (
    *("-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
    *("-Djava.security.manager=allow", "-Djna.nosys=true", "-Djna.nounpack=true"),
)
# What has a class loader of its own, as in the distribution: main class and jars, by their start.
MODULES = {
    "transport-netty4": ("transport.Netty4Plugin", "transport-netty4", "netty-"),
    "lang-painless": (
        "painless.PainlessPlugin",
        "lang-painless",
        "opensearch-script",
        "ant",
        "asm",
    ),
    "lang-mustache": ("script.mustache.MustachePlugin", "lang-mustache", "compiler-"),
    "ingest-common": (
        *("ingest.common.IngestCommonPlugin", "ingest-common"),
        *("opensearch-grok", "opensearch-dissect", "joni-", "jcodings-"),
    ),
    "analysis-common": ("analysis.common.CommonAnalysisPlugin", "analysis-common"),
    "mapper-extras": ("index.mapper.MapperExtrasPlugin", "mapper-extras"),
    "aggs-matrix-stats": ("search.aggregations.matrix.MatrixAggregationPlugin", "aggs-matrix"),
}
SCRIPTED = ("ingest-common", "analysis-common")
DESCRIPTOR = """
name={name}
description={name}
version={version}
opensearch.version={version}
java.version=11
classname=org.opensearch.{main}
extended.plugins={extended}
has.native.controller=false
"""
TRUSTED = "grant {\n  permission java.security.AllPermission;\n};\n"
CONFIGURATION = """
cluster.name: obskit-tests
discovery.type: single-node
network.host: 127.0.0.1
http.port: {port}
transport.port: {inner}
bootstrap.system_call_filter: false
cluster.routing.allocation.disk.threshold_enabled: false
action.destructive_requires_name: true
"""
LOGGING = """
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%p] %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered: the status, and the body as an object, or as text."""

    status: int
    body: Any


class OpenSearch:
    """An OpenSearch node on loopback ports of its own, with all of its files in one folder.

    It keeps its port while it is down: nobody else gets it, and connections are refused.
    """

    def __init__(self, jars: Path, java: str, folder: Path) -> None:
        self.folder = folder
        self._held = [hold_port(), hold_port()]
        self.port, inner = (held.getsockname()[1] for held in self._held)
        self._command = (java, *JVM, *lay_out(jars, folder))
        configuration = CONFIGURATION.format(port=self.port, inner=inner)
        folder.joinpath("config", "opensearch.yml").write_text(configuration, encoding="utf-8")
        self._server: Process | None = None
        self._streams: list[str] = []

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end; there are no users and no TLS."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the node is up, or paused."""
        return self._server is not None and self._server.running

    @property
    def log(self) -> str:
        """What the node wrote since its last start."""
        return self._server.stdout.decode(errors="replace") if self._server else ""

    def start(self, timeout: float = 60.0) -> None:
        """Start the node, with what it kept from before, and wait until it takes documents."""
        if self.running:
            return
        env = bare_environment(self.folder)
        options: dict[str, Any] = {"stdin": b"", "capture": "file", "merge": True}
        self._server = Process(self._command, env=env, cwd=self.folder, **options)
        wait_until(self._is_ready, lambda: f"not ready: {self.log}", timeout)

    def stop(self) -> None:
        """Shut the node down as an operator does; documents are kept."""
        if self._server is not None:
            self._server.stop(timeout=60.0)

    def kill(self) -> None:
        """Lose the node at once, as in a crash; what it has acknowledged is kept."""
        if self._server is not None:
            self._server.kill()

    def restart(self) -> None:
        """Stop the node and start it again on the same port."""
        self.stop()
        self.start()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Freeze the node: connections stay open, new ones are accepted, nothing answers."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGCONT)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/x-ndjson",
        **query: object,
    ) -> Answer:
        """Send a request, and return the answer, which may be a bad one.

        *content_type* is that of a body which is a text; any other body is sent as JSON.
        """
        address = f"{self.url}/{path.lstrip('/')}?{urllib.parse.urlencode(query)}"
        if body is not None and not isinstance(body, str | bytes):
            body, content_type = json.dumps(body), "application/json"
        data = body.encode() if isinstance(body, str) else body
        headers = {"content-type": content_type}
        request = urllib.request.Request(address, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30.0) as answer:
                return Answer(answer.status, decoded(answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, decoded(error.read()))

    def ask(self, method: str, path: str, body: object = None, **options: Any) -> Any:
        """Send a request that must be accepted, and return the body of the answer."""
        answer = self.call(method, path, body, **options)
        assert answer.status < 300, f"{method} {path}: {answer}"
        return answer.body

    def stream(self, prefix: str = "test", **template: object) -> str:
        """Return a new name of a data stream, which is made by the first document.

        *template* is what its index template has, as in ``stream(mappings={...})``. Stream and
        template are deleted after the test.
        """
        name = f"logs-{prefix}.{uuid.uuid4().hex[:8]}-test"
        wanted = {"index_patterns": [name], "data_stream": {}, "priority": 500}
        self.ask("PUT", f"_index_template/{name}", {**wanted, "template": template})
        self._streams.append(name)
        return name

    def documents(
        self,
        target: str,
        until: Callable[[Rows], object] = lambda rows: True,
        timeout: float = 10.0,
        **search: object,
    ) -> Rows:
        """Return all documents of an index or stream (*search*: ``query``, ``sort``), read again
        until *until* is true of them, or TimeoutError is raised."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.call("POST", f"{target}/_search", {"size": 10_000, **search})
            hits = found.body["hits"]["hits"] if found.status == 200 else []
            rows = [hit["_source"] for hit in hits]
            if until(rows):
                return rows
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {timeout:g} s {target} has {json.dumps(rows)}")
            time.sleep(0.05)
            self.call("POST", f"{target}/_refresh")

    def tidy(self) -> None:
        """Bring a lost node back, and delete the streams that were named here."""
        self.start()
        while self._streams:
            name = self._streams.pop()
            self.call("DELETE", f"_data_stream/{name}")
            self.call("DELETE", f"_index_template/{name}")

    def close(self) -> None:
        """End what was started, and give the ports back."""
        self.kill()
        for held in self._held:
            held.close()

    def _is_ready(self) -> bool:
        if not self.running:
            raise AssertionError(f"OpenSearch ended: {self.log}")
        if not accepts(self.port):
            return False
        health = self.call("GET", "_cluster/health", wait_for_status="yellow", timeout="1s")
        return health.status == 200


def decoded(body: bytes) -> Any:
    """Return an object if the body is JSON, else its text."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def lay_out(jars: Path, folder: Path) -> tuple[str, ...]:
    """Make a home like the one of the distribution, and return the further words for Java."""
    version = jars.name.rpartition("-")[2]
    shared = set(jars.glob("*.jar"))
    for name, (main, *starts) in MODULES.items():
        module = folder / "modules" / name
        module.mkdir(parents=True)
        own = {jar for jar in shared if jar.name.startswith(tuple(starts))}
        shared -= own
        for jar in own:
            shutil.copy(jar, module)
        extended = "lang-painless" if name in SCRIPTED else ""
        facts: Mapping[str, str] = {"name": name, "version": version, "main": main}
        words = DESCRIPTOR.format(extended=extended, **facts)
        module.joinpath("plugin-descriptor.properties").write_text(words, encoding="utf-8")
        module.joinpath("plugin-security.policy").write_text(TRUSTED, encoding="utf-8")
    for part in ("config", "plugins", "tmp"):
        folder.joinpath(part).mkdir()
    folder.joinpath("config", "log4j2.properties").write_text(LOGGING, encoding="utf-8")
    path = os.pathsep.join(str(jar) for jar in sorted(shared))
    home = (f"-Dopensearch.path.home={folder}", f"-Dopensearch.path.conf={folder}/config")
    return (
        *home,
        f"-Djava.io.tmpdir={folder}/tmp",
        "-cp",
        path,
        "org.opensearch.bootstrap.OpenSearch",
    )


@contextlib.contextmanager
def running_opensearch(folder: Path) -> Iterator[OpenSearch]:
    """Run a node of one's own in an empty folder; skip the test where OpenSearch is absent."""
    node = OpenSearch(Path(require("opensearch")), require("java"), folder)
    try:
        node.start()
        yield node
    finally:
        node.close()


@pytest.fixture(scope="session")
def shared_opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """Give the one node of the test run."""
    with running_opensearch(tmp_path_factory.mktemp("opensearch")) as node:
        yield node


@pytest.fixture
def opensearch(shared_opensearch: OpenSearch) -> Iterator[OpenSearch]:
    """Give a node that is up; the next test finds it up and tidy whatever this one does."""
    shared_opensearch.start()
    yield shared_opensearch
    shared_opensearch.tidy()
