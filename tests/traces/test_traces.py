"""The room: entered by `init`, left by the kill switch."""

import inspect
import subprocess
import sys

import pytest
from fastapi import FastAPI

from obskit import observation, traces
from obskit.observation import Kind, Observation
from obskit.settings import Settings
from obskit.traces.recorder import state


def test_the_room_is_entered_and_left(joined):
    """Nobody listens after that."""
    traces.undo()
    assert not state.on
    traces.configure(Settings())
    assert state.on


def test_spans_are_readable_by_anybody(joined):
    """This is the public way to look at them."""
    with traces.collected() as spans:
        work = Observation("GET", Kind.SERVER, carrier={})
        observation.start(work)
        observation.end(work)
    assert isinstance(spans[0], traces.Span)


@pytest.mark.skipif(
    "telemetry" not in inspect.signature(FastAPI.__init__).parameters,
    reason="this FastAPI has no telemetry of its own",
)
def test_one_provider_for_one_fastapi_application():
    """The SERVER span is in it, once, and metrics of others stay theirs."""
    code = """
import asyncio, obskit
obskit.init(metrics_port="off", log_stream="stderr")
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
app = FastAPI(telemetry={"tracer_provider": provider})
@app.get("/x/{n}")
async def x(n: int):
    with obskit.observe("step"): return n
scope = {"type": "http", "method": "GET", "path": "/x/1", "headers": [], "query_string": b"",
         "asgi": {"version": "3.0"}, "scheme": "http", "server": ("x", 80)}
async def receive(): return {"type": "http.request", "body": b""}
async def send(message): pass
asyncio.run(app(scope, receive, send))
print([(span.name, span.kind.name) for span in exporter.get_finished_spans()])
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[('step', 'INTERNAL'), ('GET /x/{n}', 'SERVER')]"


def test_a_fork_waits_for_what_a_first_request_imports():
    """Else its child would inherit a module that nobody goes on importing."""
    code = """
import os, sys, obskit
obskit.init(metrics_port="off", log_stream="stderr")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
late = "obskit.traces.late"
def fork():
    if os.fork() == 0:
        os._exit(late in sys.modules)
    return os.wait()[1] != 0
print(fork(), trace.set_tracer_provider(TracerProvider()), late in sys.modules, fork())
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "False None False True"
