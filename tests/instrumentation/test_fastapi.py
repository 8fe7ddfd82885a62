"""What FastAPI serves."""

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.routing import Mount

from obskit import asgi, context, instrumentation
from tests.instrumentation.calling import Call, call, scope


def make(**options):
    """Return an application with routers, mounts and errors."""
    app = FastAPI(**options)
    inner = APIRouter(prefix="/v1")
    outer = APIRouter(prefix="/api")
    sub = FastAPI()

    @inner.get("/items/{number}")
    async def included(number: int):
        return context.correlation_id()

    @sub.get("/things/{number}")
    def mounted(number: int):
        return context.correlation_id()

    @app.get("/own/{number}")
    async def own(number: int):
        return context.correlation_id()

    @app.get("/missing")
    async def missing():
        raise HTTPException(404)

    @app.get("/boom")
    async def boom():
        raise LookupError("boom")

    @app.get("/gateway")
    async def gateway():
        try:
            raise LookupError("behind")
        except LookupError as error:
            raise HTTPException(502) from error

    @app.get("/background")
    async def background(tasks: BackgroundTasks):
        tasks.add_task(after)

    async def after():
        app.state.after = context.correlation_id()

    outer.include_router(inner)
    app.include_router(outer)
    app.mount("/sub", sub)
    return app


def body(one):
    return b"".join(message.get("body", b"") for message in one.sent).decode().strip('"')


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/own/7", 200, "/own/{number}"),
        ("GET", "/own/x", 422, "/own/{number}"),
        ("POST", "/own/7", 405, "__unmatched__"),
        ("GET", "/api/v1/items/7", 200, "/api/v1/items/{number}"),
        ("POST", "/api/v1/items/7", 405, "__unmatched__"),
        ("GET", "/sub/things/7", 200, "/sub/things/{number}"),
        ("GET", "/sub/nowhere", 404, "__unmatched__"),
        ("GET", "/nowhere", 404, "__unmatched__"),
        ("GET", "/missing", 404, "/missing"),
        ("GET", "/gateway", 502, "/gateway"),
        ("GET", "/openapi.json", 200, "/openapi.json"),
    ],
)
async def test_one_request_one_id_one_observation(observed, method, path, status, route):
    """Mounted and included or not: one header, equal to the ID inside, and a template."""
    one = await call(make(), path, method)

    assert one.status == status
    assert [work.labels["http_route"] for work in observed] == [route]
    assert one.header("x-correlation-id") == [observed[0].context.correlation_id]
    if status == 200 and "openapi" not in path:
        assert body(one) == observed[0].context.correlation_id


@pytest.mark.parametrize("wrap", [asgi.Middleware, lambda app: Starlette(routes=[Mount("/", app)])])
async def test_whatever_is_around_it_there_is_one_owner(observed, wrap):
    """An explicit middleware or another application outside: one observation, with the route."""
    one = await call(wrap(make()), "/api/v1/items/7")

    assert [work.name for work in observed] == ["GET /api/v1/items/{number}"]
    assert len(one.header("x-correlation-id")) == 1


async def test_an_unhandled_error_is_known(observed):
    """The 500 has the header, the server gets the error."""
    one = Call(scope("/boom"), [])
    with pytest.raises(LookupError):
        await make()(one.scope, one.receive, one.send)

    assert one.header("x-correlation-id") == [observed[0].context.correlation_id]
    assert (observed[0].status, str(observed[0].error)) == (500, "boom")


async def test_what_led_to_an_http_error_is_known(observed):
    """HTTPException(502) is an answer; the error behind it says why."""
    await call(make(), "/gateway")

    assert str(observed[0].error) == "behind"


async def test_background_tasks_are_linked(observed):
    """They are Starlette's."""
    app = make()
    await call(app, "/background")

    assert [work.name for work in observed] == ["GET /background", "background after"]
    assert app.state.after == observed[0].context.correlation_id


@pytest.fixture
def telemetry():
    """Give an OpenTelemetry SDK for FastAPI's own telemetry, and what it has exported."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing, metering = TracerProvider(), MeterProvider([reader])
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    yield {"tracer_provider": tracing, "meter_provider": metering}, spans, reader
    tracing.shutdown()
    metering.shutdown()


def metric_names(reader):
    data = reader.get_metrics_data()
    if data is None:
        return set()
    return {
        metric.name
        for resource in data.resource_metrics
        for scope_ in resource.scope_metrics
        for metric in scope_.metrics
    }


def has_telemetry():
    import inspect

    return "telemetry" in inspect.signature(FastAPI.__init__).parameters


needs_telemetry = pytest.mark.skipif(
    not has_telemetry(), reason="this FastAPI has no telemetry of its own"
)


@needs_telemetry
async def test_there_is_one_server_span_and_its_metrics_stay(observed, telemetry):
    """Of FastAPI's own telemetry the tracing is silenced, and nothing else."""
    config, spans, reader = telemetry
    app = make(telemetry=config)
    for _ in range(2):
        one = await call(app, "/own/7")

    assert one.status == 200
    assert spans.get_finished_spans() == ()
    assert "http.server.request.duration" in metric_names(reader)
    assert len(observed) == 2


@needs_telemetry
async def test_its_tracing_goes_on_where_we_do_not_observe(observed, telemetry):
    """Switched off, FastAPI's spans are back: the application's configuration is untouched."""
    config, spans, _ = telemetry
    app = make(telemetry=config)
    await call(app, "/own/7")
    instrumentation.uninstrument()
    await call(app, "/own/7")

    assert "GET /own/{number}" in [span.name for span in spans.get_finished_spans()]
    assert app._telemetry["tracing"] is True


@needs_telemetry
def test_fastapi_still_has_the_private_border_that_we_use(observed):
    """If this fails, FastAPI has changed how its telemetry is called: look at the row."""
    from fastapi.telemetry._asgi import NativeTelemetry

    app = FastAPI()
    assert type(app._native_telemetry) is NativeTelemetry
    assert app._native_telemetry.config["tracing"] is True
    status = next(one for one in instrumentation.status() if one.name == "fastapi")
    assert status.missing == {}


@needs_telemetry
async def test_a_telemetry_that_we_do_not_know_goes_its_own_way(observed, broken, monkeypatch):
    """Another version may keep its configuration otherwise: it is asked as without us."""
    app = make()
    monkeypatch.setattr(app._native_telemetry, "config", {"tracing": 0, "metrics": 0, "logs": 0})
    one = await call(app, "/own/7")

    assert one.status == 200
    assert broken == {"fastapi.telemetry": 1}
