"""Where spans go, and by whom they are sent."""

import gzip
import http.server
import json
import secrets
import sys
import threading
from types import SimpleNamespace

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from obskit import health, shipping
from obskit._bootstrap import destinations
from obskit.logs.redaction import MARKER
from obskit.settings import Settings
from obskit.shipping import Zipkin
from obskit.traces import exporters, finished
from obskit.traces import zipkin as zipkin_
from tests.services.ports import reserve_port

JOB = """
import obskit

obskit.init()
for number in range(20):
    with obskit.unit_of_work("job", number=number):
        pass
"""


@pytest.fixture(autouse=True)
def undone():
    """Leave nothing behind."""
    health.reset()
    yield
    destinations.disconnect()
    shipping.undo()
    health.reset()


class Collector(http.server.ThreadingHTTPServer):
    """Take what OTLP/HTTP allows, and nothing else."""

    def __init__(self):
        super().__init__(("127.0.0.1", reserve_port()), Handler)
        self.spans, self.faults, self.statuses = [], [], []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self):
        """Judge it."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if self.path != "/v1/traces" or self.headers["content-type"] != "application/x-protobuf":
            status = 404
            self.server.faults.append((self.path, dict(self.headers)))
        if status == 200:
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                facts = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.server.spans += [(facts, span) for span in scope.spans]
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def collector():
    """Give a collector that runs."""
    with Collector() as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield one
        one.shutdown()
        thread.join(5)


def test_without_a_server_there_is_no_destination():
    """Nothing is sent by default."""
    assert destinations.of(Settings()) == {}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"zipkin": "http://z"}, {"zipkin": Zipkin}),
        ({"zipkin": "http://z", "zipkin_exporter": "otel"}, {"zipkin": destinations.Exporter}),
        ({"otlp": "http://c"}, {"otlp": destinations.Exporter}),
        ({"zipkin": "http://z", "otlp": "http://c"},
         {"zipkin": Zipkin, "otlp": destinations.Exporter}),
    ],
)  # fmt: skip
def test_the_settings_choose(settings, expected):
    """Our own road by default, OpenTelemetry's by name, both at once."""
    found = destinations.of(Settings(**settings))

    assert {name: type(one) for name, one in found.items()} == expected


def test_what_no_line_shows_is_in_no_span(zipkin, start_process):
    """The key names of the settings count here, too, and the marker is the same."""
    service = f"secrets-{secrets.token_hex(6)}"
    code = """
import obskit
obskit.init(redact="shoe_size")
with obskit.unit_of_work("job", password="hunter2", shoe_size=44, colour="red"):
    pass
"""
    env = {"OBSKIT_ZIPKIN": zipkin.url, "OBSKIT_SERVICE": service, "OBSKIT_METRICS_PORT": "off"}
    start_process(sys.executable, "-c", code, env=env).wait()
    (span,) = zipkin.spans(service)

    chosen = {name: span["tags"][name] for name in ("password", "shoe_size", "colour")}
    assert chosen == {"password": MARKER, "shoe_size": MARKER, "colour": "red"}
    assert MARKER == zipkin_.MARKER


def test_an_extra_that_is_not_installed_is_reported(monkeypatch):
    """Spans take our own road where there is one."""
    monkeypatch.setattr(exporters, "is_installed", lambda module: False)
    found = destinations.of(Settings(zipkin="http://z", zipkin_exporter="otel", otlp="http://c"))

    assert list(map(type, found.values())) == [Zipkin]
    assert "pip install 'obskit[otel-zipkin]'" in health.last_errors["shipping.otel-zipkin"]
    assert "pip install 'obskit[otlp]'" in health.last_errors["shipping.otlp"]


def test_spans_are_heard_as_long_as_they_are_sent():
    """And by nobody twice."""
    settings = Settings(zipkin="http://127.0.0.1:1")
    for _ in range(2):
        destinations.connect(settings, lambda *_: None)
        assert len(finished.listeners) == 1
    destinations.connect(Settings(), lambda *_: None)
    assert not finished.listeners


def test_a_child_of_celery_leaves_its_last_words():
    """When its pool tells it to end; what goes wrong stays inside."""
    connected, called = [], []
    signal = SimpleNamespace(connect=lambda receiver, **_: connected.append(receiver))
    module = SimpleNamespace(worker_process_shutdown=signal)
    destinations.end_with_celery(lambda: called.append(1))(module)
    destinations.end_with_celery(lambda: 1 / 0)(module)
    for receiver in connected:
        receiver(sender=None, pid=1, exitcode=0)

    assert called == [1]
    assert "shipping.celery" in health.internal_errors


@pytest.mark.parametrize(("zipkin", "room"), [("", False), ("http://127.0.0.1:1", True)])
def test_a_start_imports_what_it_needs(start_process, zipkin, room):
    """Nothing of this where nothing is sent; what brings ssl along comes with the first span."""
    code = """
import os, sys
import obskit
obskit.init()
os.write(1, " ".join(sys.modules).encode())
"""
    env = {"OBSKIT_METRICS_PORT": "off", "OBSKIT_LOG_STREAM": "/dev/null", "OBSKIT_ZIPKIN": zipkin}
    loaded = set(start_process(sys.executable, "-c", code, env=env).wait().stdout.decode().split())

    assert ("obskit.shipping" in loaded) is room
    assert ("obskit.traces.zipkin" in loaded) is room
    assert not loaded & {"ssl", "http.client", "zlib", "email", "random", "obskit.http"}


def run(start_process, **environ):
    """Run the job with these settings; return its output."""
    program = start_process(
        sys.executable, "-c", JOB, env={"OBSKIT_METRICS_PORT": "off", **environ}
    )
    output = program.wait(40)
    assert output.returncode == 0, output
    lines = [json.loads(line) for line in output.lines if line.startswith(b"{")]
    return [line for line in lines if line["level"] != "info"]


def test_opentelemetrys_exporter_sends_to_zipkin(zipkin, start_process):
    """The real one has all spans, with their attributes."""
    service = f"otel-{secrets.token_hex(6)}"
    lines = run(
        start_process, OBSKIT_ZIPKIN=zipkin.url, OBSKIT_ZIPKIN_EXPORTER="otel",
        OBSKIT_SERVICE=service,
    )  # fmt: skip
    found = zipkin.spans(service, until=lambda spans: len(spans) >= 20)

    assert sorted(int(span["tags"]["number"]) for span in found) == list(range(20))
    assert lines == []


def test_a_collector_gets_the_spans(collector, start_process):
    """A strict one, by OTLP over HTTP, also if it is busy at first."""
    collector.statuses = [503]
    lines = run(start_process, OBSKIT_OTLP=collector.url, OBSKIT_SERVICE="shop", OBSKIT_ENV="test")

    assert collector.faults == []
    assert {span.name for _, span in collector.spans} == {"job"}
    assert len({span.span_id for _, span in collector.spans}) == 20
    facts, span = collector.spans[0]
    assert (facts["service.name"], facts["deployment.environment.name"]) == ("shop", "test")
    assert len(span.trace_id) == 16
    assert [line for line in lines if "lost" in line["message"]] == []


def test_a_collector_that_is_away_is_given_up(start_process):
    """The loss is counted, and the program ends with its own status, soon."""
    lines = run(start_process, OBSKIT_OTLP=f"http://127.0.0.1:{reserve_port()}")

    assert [line["obskit_lost"] for line in lines if line["message"] == "spans were lost"] == [20]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_pool_are_terminated_as_ever(start_process, tmp_path, method):
    """By the signal itself: no handler of ours runs in them, while other children keep it."""
    source = f"""
import multiprocessing, signal, obskit
obskit.init("shop", zipkin="http://127.0.0.1:9", metrics_port=False)

def handled(_=None):
    return signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL

def tell(queue):
    queue.put(handled())

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    with context.Pool(1) as pool:
        found = pool.map(handled, [1])
    queue = context.SimpleQueue()
    child = context.Process(target=tell, args=(queue,))
    child.start()
    print("handled:", found, queue.get())
    child.join()
"""
    (tmp_path / "script.py").write_text(source)
    output = start_process(sys.executable, "script.py").wait()

    assert output.returncode == 0, output
    assert b"handled: [False] True" in output.stdout
