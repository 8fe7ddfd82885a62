"""A real service under `obskit run`, with OpenTelemetry's SDK set up by its own code."""

import asyncio
import contextlib
import json
import socket
import struct
import time

import httpx
import pytest
import websockets

from obskit import observation
from tests.instrumentation.servers.applications import FASTAPI, REQUESTS

EXPORTING = """
import json
import logging

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from obskit import context

tracer = trace.get_tracer(__name__)


class File(SpanExporter):
    def export(self, spans):
        with open("spans.jsonl", "a") as file:
            for span in spans:
                parent = span.parent and trace.format_span_id(span.parent.span_id)
                file.write(json.dumps(dict(
                    name=span.name, kind=span.kind.name, parent=parent,
                    id=trace.format_span_id(span.context.span_id),
                    trace=trace.format_trace_id(span.context.trace_id),
                    status=span.status.status_code.name, attributes=dict(span.attributes),
                )) + "\\n")
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(File()))
trace.set_tracer_provider(provider)
"""

CHARGE = """

@app.get("/charge")
def charge():
    with tracer.start_as_current_span("charge"):
        log.warning("charging")
"""

CASES = [*REQUESTS, ("GET", "/charge", 200, "GET /charge", "ok", None)]


class Service:
    """The service, what it has exported and what it has written."""

    def __init__(self, server):
        self.server = server

    def spans(self, kind="SERVER"):
        """Return the exported spans of a kind."""
        path = self.server.folder / "spans.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [span for span in map(json.loads, lines) if span["kind"] == kind]

    def wait_for(self, count, kind="SERVER"):
        """Wait until so many have been exported."""
        deadline = time.monotonic() + 20
        while len(self.spans(kind)) < count:
            assert time.monotonic() < deadline, self.server.process.stdout
            time.sleep(0.01)
        return self.spans(kind)

    def lines(self):
        """Return the lines of the log."""
        return [json.loads(line) for line in self.server.process.stdout.splitlines()]

    def request(self, method, path):
        """Send a request from outside."""
        with observation.suppress(), httpx.Client(timeout=20, trust_env=False) as client:
            return client.request(method, self.server.url + path)


@pytest.fixture
def service(run_uvicorn, obskit_command):
    """Start it."""
    launcher = (*obskit_command, "run", "--")
    source = EXPORTING + FASTAPI + CHARGE
    return Service(run_uvicorn(source, launcher=launcher, env={"OBSKIT_METRICS_PORT": "off"}))


def test_each_request_is_one_span_and_one_line(service):
    """In the application's own exporter, with the outcome and the IDs of the summary line."""
    for count, (method, path, status, name, outcome, error) in enumerate(CASES, 1):
        response = service.request(method, path)
        span = service.wait_for(count)[-1]

        assert len(service.spans()) == count, path
        assert response.status_code == status, path
        assert (span["name"], span["status"]) == (name, "ERROR" if error else "UNSET"), path
        assert span["attributes"]["obskit.outcome"] == outcome, path
        assert span["trace"] == response.headers["x-correlation-id"], path
    service.server.stop()

    by_id = {line["span_id"]: line for line in service.lines() if line.get("outcome")}
    for span, (_, path, _, _, outcome, _) in zip(service.spans(), CASES, strict=True):
        assert by_id[span["id"]]["outcome"] == outcome, path
    charge = next(span for span in service.spans("INTERNAL") if span["name"] == "charge")
    charging = next(line for line in service.lines() if line["message"] == "charging")
    assert (charging["span_id"], charging["trace_id"]) == (charge["id"], charge["trace"])
    assert charge["parent"] == service.spans()[-1]["id"]


async def test_a_websocket_is_one_span(service):
    """From the handshake to the close."""
    url = f"ws://127.0.0.1:{service.server.port}/chat/7"
    async with websockets.connect(url) as connection:
        await connection.send("hello")
        with contextlib.suppress(websockets.ConnectionClosed):
            await connection.recv()
    await asyncio.to_thread(service.wait_for, 1)

    (span,) = service.spans()
    assert (span["name"], span["attributes"]["obskit.outcome"]) == ("WEBSOCKET /chat/{room}", "ok")


def test_a_client_that_leaves_is_one_span(service):
    """It is no error of ours."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", service.server.port))) as one:
        one.sendall(b"GET /stream?pause=0.3 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    (span,) = service.wait_for(1)

    assert (span["attributes"]["obskit.outcome"], span["status"]) == ("client_gone", "UNSET")
