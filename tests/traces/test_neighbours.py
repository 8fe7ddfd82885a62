"""Exactly one SERVER span, whoever else instruments the same application."""

import asyncio
import contextlib
import inspect
import json
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import httpx
import pytest
import requests
from fastapi import BackgroundTasks, FastAPI, HTTPException, WebSocket
from flask import Flask
from opentelemetry import baggage, metrics, propagate, trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from starlette.responses import StreamingResponse

from obskit import context, health, instrumentation
from tests.instrumentation.calling import Answer, Call, call, environ, scope
from tests.instrumentation.servers.applications import REQUESTS

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = ("traceparent", f"00-{TRACE}-{SPAN}-01")
HAS_TELEMETRY = "telemetry" in inspect.signature(FastAPI.__init__).parameters


@pytest.fixture(params=["light", "sdk"])
def recorded(request, joined, spans, sdk):
    """Give what says which spans have ended: ours, or those of the application's provider."""
    instrumentation.instrument()
    if request.param == "light":
        return lambda: [
            SimpleNamespace(
                name=one.name, kind=one.kind, id=one.span_id, trace=one.trace_id,
                parent=one.parent_id, status=one.status, attributes=one.attributes,
            )
            for one in spans
        ]  # fmt: skip
    exporter = sdk()
    return lambda: [
        SimpleNamespace(
            name=one.name, kind=one.kind.name.lower(),
            id=trace.format_span_id(one.context.span_id),
            trace=trace.format_trace_id(one.context.trace_id),
            parent=one.parent and trace.format_span_id(one.parent.span_id),
            status=one.status.status_code.name.lower(), attributes=one.attributes,
        )
        for one in exporter.get_finished_spans()
    ]  # fmt: skip


def application(**options):
    app = FastAPI(**options)

    @app.middleware("http")
    async def middleware(request, call_next):
        if request.url.path == "/middleware":
            raise LookupError("in the middleware")
        return await call_next(request)

    @app.get("/ok/{number}")
    async def ok(number: int):
        span = trace.get_current_span()
        span.set_attribute("number", number)
        carrier = {}
        propagate.inject(carrier)
        return {
            "line": context.get().span_id,
            "span": trace.format_span_id(span.get_span_context().span_id),
            "sent": carrier["traceparent"],
            "baggage": baggage.get_baggage("tenant"),
        }

    @app.get("/sync/{number}")
    def sync(number: int):
        return number

    @app.get("/missing")
    async def missing():
        raise HTTPException(404)

    @app.get("/boom")
    async def boom():
        raise LookupError("boom")

    @app.get("/stream")
    async def stream():
        async def chunks():
            for _ in range(3):
                yield "x"
                await asyncio.sleep(0)

        return StreamingResponse(chunks())

    @app.get("/background")
    async def background(tasks: BackgroundTasks):
        tasks.add_task(after)

    async def after():
        pass

    @app.get("/health")
    async def healthy():
        return "well"

    @app.websocket("/chat")
    async def chat(websocket: WebSocket):
        await websocket.accept()
        await websocket.receive_text()
        await websocket.send_text("x")
        await websocket.close()

    return app


@contextlib.contextmanager
def with_contrib(app):
    """Have OpenTelemetry's own instrumentation in *app*."""
    FastAPIInstrumentor.instrument_app(app)
    try:
        yield
    finally:
        FastAPIInstrumentor.uninstrument_app(app)


def plain(app):
    return contextlib.nullcontext(app)


NEIGHBOURS = pytest.mark.parametrize("neighbour", [plain, with_contrib], ids=["alone", "contrib"])


@NEIGHBOURS
@pytest.mark.parametrize(("method", "path", "status", "name", "outcome", "error"), REQUESTS)
async def test_each_request_has_one_server_span(
    recorded, neighbour, method, path, status, name, outcome, error
):
    """Whatever becomes of it: one, with the right outcome, in the caller's trace."""
    app = application()
    request = {"type": "http.request", "body": b""}
    one = Call(scope(path, method, headers=[PARENT]), [request], stays=True)
    with neighbour(app), contextlib.suppress(LookupError):
        await app(one.scope, one.receive, one.send)

    assert one.status == status
    servers = [span for span in recorded() if span.kind == "server"]
    assert [(span.name, span.trace, span.parent) for span in servers] == [(name, TRACE, SPAN)]
    assert servers[0].attributes["obskit.outcome"] == outcome
    assert servers[0].status == ("error" if error else "unset")
    assert health.internal_errors == {}


@NEIGHBOURS
async def test_a_websocket_has_one_server_span(recorded, neighbour):
    """From its handshake to its end."""
    app = application()
    messages = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "a"}]
    one = Call({**scope("/chat"), "type": "websocket", "subprotocols": []}, messages)
    with neighbour(app):
        await app(one.scope, one.receive, one.send)

    servers = [span for span in recorded() if span.kind == "server"]
    assert [span.name for span in servers] == ["WEBSOCKET /chat"]
    assert servers[0].attributes["obskit.outcome"] == "ok"


@NEIGHBOURS
async def test_a_client_that_leaves_has_one_server_span(recorded, neighbour):
    """Its span is no error."""
    app = application()
    one = Call(scope("/stream"), [])

    async def send(message):
        if message["type"] == "http.response.body":
            raise OSError("gone")

    with neighbour(app), contextlib.suppress(BaseException):
        await app(one.scope, one.receive, send)

    servers = [span for span in recorded() if span.kind == "server"]
    assert [span.attributes["obskit.outcome"] for span in servers] == ["client_gone"]
    assert servers[0].status == "unset"


@NEIGHBOURS
async def test_all_ids_agree(recorded, neighbour):
    """The current span, the line, what is sent and what is recorded are the same."""
    app = application()
    with neighbour(app):
        one = await call(app, "/ok/7", headers=[PARENT, ("baggage", "tenant=a")])
    answer = httpx.Response(200, content=one.sent[-1]["body"] or one.sent[1]["body"]).json()

    assert answer["line"] == answer["span"] == answer["sent"].split("-")[2]
    assert answer["sent"].split("-")[1] == TRACE
    assert answer["baggage"] == "a"
    numbered = [span for span in recorded() if span.attributes.get("number") == 7]
    assert [span.id for span in numbered] == [answer["span"]]


@NEIGHBOURS
async def test_a_health_check_has_none(recorded, neighbour):
    """Nor has what is done for it."""
    app = application()
    with neighbour(app):
        await call(app, "/health")
    assert recorded() == []


@pytest.mark.skipif(not HAS_TELEMETRY, reason="this FastAPI has no telemetry of its own")
async def test_fastapis_own_metrics_are_recorded_beside_our_span(recorded):
    """Of its telemetry only the tracing is silenced."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    app = application(telemetry={"meter_provider": meters})
    await call(app, "/ok/7")

    data = reader.get_metrics_data()
    names = {
        metric.name
        for resource in data.resource_metrics
        for found in resource.scope_metrics
        for metric in found.metrics
    }
    meters.shutdown()
    assert "http.server.request.duration" in names
    assert [span.kind for span in recorded()] == ["server"]
    assert isinstance(metrics.get_meter_provider(), metrics._internal._ProxyMeterProvider)


async def test_a_middleware_of_opentelemetry_outside_has_the_one_server_span(recorded):
    """It was there first: its span stands for the request, with our outcome on it."""
    app = OpenTelemetryMiddleware(application())
    for headers in ([PARENT], []):
        one = await call(app, "/ok/7", headers=headers)
        answer = httpx.Response(200, content=one.sent[1]["body"]).json()
        server = [span for span in recorded() if span.kind == "server"][-1]
        assert answer["line"] == answer["span"] == server.id
        assert one.header("x-correlation-id") == [server.trace]
        assert server.attributes["obskit.outcome"] == "ok"

    assert Counter(span.kind for span in recorded())["server"] == 2
    assert context.get() is None


@pytest.mark.parametrize("path", ["/ok", "/nowhere", "/boom"])
def test_flask_has_one_server_span_beside_opentelemetrys(recorded, path):
    """Its own one is below ours then."""
    app = Flask("shop")
    app.add_url_rule("/ok", view_func=lambda: context.get().span_id, endpoint="ok")
    app.add_url_rule("/boom", view_func=lambda: 1 / 0, endpoint="boom")
    FlaskInstrumentor().instrument_app(app)
    answer = Answer(app, environ(path, headers=[PARENT]))
    body = answer.read().decode()
    FlaskInstrumentor().uninstrument_app(app)

    servers = [span for span in recorded() if span.kind == "server"]
    assert [(span.trace, span.parent) for span in servers] == [(TRACE, SPAN)]
    inner = [span for span in recorded() if span.kind == "internal"]
    assert [span.parent for span in inner] == [servers[0].id]
    if path == "/ok":
        assert body == inner[0].id
    assert health.internal_errors == {}


@pytest.fixture
def callee(run_uvicorn):
    """Give the address of a server that answers with the headers that it got."""
    return run_uvicorn(
        "from fastapi import FastAPI, Request\n"
        "app = FastAPI()\n"
        "@app.get('/')\n"
        "async def echo(request: Request): return dict(request.headers)\n"
    ).url


def with_httpx(url):
    with httpx.Client(trust_env=False) as client:
        return client.get(url).json()


def with_requests(url):
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url).json()


CLIENTS = [(HTTPXClientInstrumentor, with_httpx), (RequestsInstrumentor, with_requests)]


def test_calls_beside_opentelemetrys_clients_agree(recorded, callee):
    """Theirs put around ours: one CLIENT span, which is the one that is sent."""
    for instrumentor, get in CLIENTS:
        instrumentor().instrument()
        try:
            with trace.get_tracer("x").start_as_current_span("job"):
                sent = get(callee)
        finally:
            instrumentor().uninstrument()
        clients = [span for span in recorded() if span.kind == "client"][-1:]
        assert [span.id for span in clients] == [sent["traceparent"].split("-")[2]]
        assert sent["x-correlation-id"] == clients[0].trace

    assert Counter(span.kind for span in recorded()) == {"client": 2, "internal": 2}
    assert health.internal_errors == {}


def test_calls_with_opentelemetrys_clients_inside_of_ours_agree(callee):
    """Put in place before us, theirs are below ours, and name what is sent."""
    sent = run_in_order(callee)
    assert sent["sent"] in sent["clients"]
    assert len({sent["trace"], *sent["traces"]}) == 1
    assert sent["correlated"]


def run_in_order(url):
    code = f"""
import json, httpx
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
HTTPXClientInstrumentor().instrument()
import obskit
obskit.init(metrics_port="off", log_stream="stderr")
with obskit.unit_of_work("job"):
    here = obskit.current()
    sent = httpx.Client(trust_env=False).get("{url}").json()
clients = [one for one in exporter.get_finished_spans() if one.kind.name == "CLIENT"]
print(json.dumps(dict(
    sent=sent["traceparent"].split("-")[2], trace=sent["traceparent"].split("-")[1],
    clients=[f"{{one.context.span_id:016x}}" for one in clients],
    traces=[f"{{one.context.trace_id:032x}}" for one in clients],
    correlated=sent["x-correlation-id"] == here.correlation_id,
)))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def test_what_an_exporter_sends_is_not_observed(recorded, callee):
    """OpenTelemetry's exporters suppress it: a span for each export would never end."""
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    with suppress_instrumentation():
        assert "traceparent" not in with_requests(callee)
    assert recorded() == []


def test_a_real_exporter_of_opentelemetry_is_not_observed(joined, run_uvicorn):
    """Its own requests are no spans, or each export would make the next one."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    server = run_uvicorn(
        "from fastapi import FastAPI\n"
        "app = FastAPI()\n"
        "@app.post('/v1/traces')\n"
        "async def take(): return {}\n"
    )
    instrumentation.instrument()
    ended = []
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{server.url}/v1/traces"))
    )
    processor = SimpleNamespace(
        on_start=lambda *_, **__: None,
        on_end=lambda span: ended.append(span.name),
        _on_ending=lambda span: None,
        shutdown=lambda: None,
        force_flush=lambda timeout: True,
    )
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    for _ in range(3):
        with trace.get_tracer("x").start_as_current_span("work"):
            pass
        provider.force_flush()
    provider.shutdown()

    assert ended == ["work"] * 3
    assert server.stop().stdout.count(b"POST /v1/traces") == 3
