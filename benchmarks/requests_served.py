"""A request served in process: one line logged in the handler, all four jobs done.

The stack of peers is asgi-correlation-id (django-structlog for Django), structlog, the
framework's Prometheus library and OpenTelemetry's instrumentation with a sampling SDK whose
spans go nowhere. What counts is the CPU time that each adds to the bare application.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from benchmarks.lines import _descriptor, _sink
from benchmarks.race import Runner

Timed = Callable[[int], None]

FASTAPI = (
    Runner("bare", "benchmarks.requests_served:fastapi_bare"),
    Runner("stack", "benchmarks.requests_served:fastapi_stack", needs=("asgi_correlation_id", "structlog", "opentelemetry.instrumentation.fastapi")),
    Runner("floor", "benchmarks.requests_served:fastapi_floor"),
    Runner("obskit", "benchmarks.requests_served:fastapi_obskit"),
    Runner("obskit, user's SDK", "benchmarks.requests_served:fastapi_obskit_sdk", needs=("opentelemetry.sdk",)),
    Runner("sentry", "benchmarks.requests_served:fastapi_sentry", needs=("sentry_sdk",)),
    Runner("logfire", "benchmarks.requests_served:fastapi_logfire", needs=("logfire",)),
)  # fmt: skip
FLASK = (
    Runner("bare", "benchmarks.requests_served:flask_bare"),
    Runner("stack", "benchmarks.requests_served:flask_stack", needs=("prometheus_flask_exporter", "structlog", "opentelemetry.instrumentation.flask")),
    Runner("obskit", "benchmarks.requests_served:flask_obskit"),
)  # fmt: skip
DJANGO = (
    Runner("bare", "benchmarks.requests_served:django_bare"),
    Runner("stack", "benchmarks.requests_served:django_stack", needs=("django_prometheus", "django_structlog", "opentelemetry.instrumentation.django")),
    Runner("obskit", "benchmarks.requests_served:django_obskit"),
)  # fmt: skip

HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"bench/1.0"),
    (b"accept", b"*/*"),
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
]


def _call_asgi(app: Any) -> Timed:
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "GET", "path": "/items/7", "raw_path": b"/items/7", "root_path": "", "scheme": "http",
        "query_string": b"", "headers": HEADERS, "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    status = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    async def many(count: int) -> None:
        for _ in range(count):
            await app({**scope, "headers": list(HEADERS)}, receive, send)

    loop = asyncio.new_event_loop()

    def timed(count: int) -> None:
        status.clear()
        loop.run_until_complete(many(count))
        assert status == [200] * count

    return timed


def _fastapi(log: Callable[[int], Any]) -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        log(item_id)
        return {"item": item_id}

    return app


def _stdlib_log(path: str) -> Callable[[int], Any]:
    log = logging.getLogger("shop")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(logging.FileHandler(path))
    return lambda item_id: log.info("item shown %s", item_id)


def fastapi_bare() -> Timed:
    return _call_asgi(_fastapi(_stdlib_log(_sink())))


def fastapi_floor() -> Timed:
    """Do the four jobs by hand, without any care: an ID, a line, two metrics, a response header."""
    import os
    import time

    import orjson
    from prometheus_client import Counter, Histogram

    descriptor = _descriptor()
    seconds = Histogram("floor_seconds", "Duration", ["route"]).labels("/items/{item_id}")
    total = Counter("floor_total", "Requests", ["route"]).labels("/items/{item_id}")
    app = _fastapi(_stdlib_log(_sink()))

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        began = time.perf_counter()
        identity = os.urandom(16).hex()

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-correlation-id", identity.encode()))
            await send(message)

        await app(scope, receive, answer)
        taken = time.perf_counter() - began
        seconds.observe(taken)
        total.inc()
        os.write(
            descriptor,
            orjson.dumps({"correlation_id": identity, "duration_ms": taken * 1e3}) + b"\n",
        )

    return _call_asgi(outer)


def _sdk() -> Any:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)
    return provider


def _structlog() -> Any:
    import orjson
    import structlog
    from asgi_correlation_id import correlation_id
    from opentelemetry import trace

    def identify(_: Any, __: str, event: Any) -> Any:
        event["correlation_id"] = correlation_id.get()
        span = trace.get_current_span().get_span_context()
        event["trace_id"], event["span_id"] = f"{span.trace_id:032x}", f"{span.span_id:016x}"
        return event

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            identify,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(open(_sink(), "ab")),  # noqa: SIM115
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger()


def fastapi_stack() -> Timed:
    from asgi_correlation_id import CorrelationIdMiddleware
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from prometheus_fastapi_instrumentator import Instrumentator

    log = _structlog()
    app = _fastapi(lambda item_id: log.info("item shown", item_id=item_id))
    app.add_middleware(CorrelationIdMiddleware)
    Instrumentator().instrument(app)
    _sdk()
    FastAPIInstrumentor.instrument_app(app)
    return _call_asgi(_with_access_line(app, log))


def _with_access_line(app: Any, log: Any) -> Any:
    """Write the one line a request that a server's access log would be."""
    import time

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        began = time.perf_counter()
        await app(scope, receive, send)
        log.info("request finished", path=scope["path"], duration=time.perf_counter() - began)

    return outer


def _init_obskit() -> Any:
    import obskit

    obskit.init(
        "invoice",
        version="1.0",
        env="production",
        log_format="json",
        log_stream=_sink(),
        metrics_port=False,
    )
    return obskit


def fastapi_obskit() -> Timed:
    _init_obskit()
    log = logging.getLogger("shop")
    return _call_asgi(_fastapi(lambda item_id: log.info("item shown", extra={"item_id": item_id})))


def fastapi_obskit_sdk() -> Timed:
    _init_obskit()
    _sdk()
    log = logging.getLogger("shop")
    return _call_asgi(_fastapi(lambda item_id: log.info("item shown", extra={"item_id": item_id})))


def fastapi_sentry() -> Timed:
    import sentry_sdk

    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0, transport=lambda event: None
    )
    return _call_asgi(_fastapi(_stdlib_log(_sink())))


def fastapi_logfire() -> Timed:
    import logfire

    logfire.configure(send_to_logfire=False, console=False)
    app = _fastapi(lambda item_id: logfire.info("item shown", item_id=item_id))
    logfire.instrument_fastapi(app)
    return _call_asgi(app)


def _call_wsgi(app: Any) -> Timed:
    import io

    def timed(count: int) -> None:
        for _ in range(count):
            status = []
            environ = {
                "REQUEST_METHOD": "GET", "PATH_INFO": "/items/7", "SCRIPT_NAME": "", "QUERY_STRING": "",
                "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1",
                "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8000",
                "HTTP_TRACEPARENT": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
                "wsgi.errors": io.StringIO(), "wsgi.multithread": False, "wsgi.multiprocess": True,
                "wsgi.run_once": False,
            }  # fmt: skip
            body = app(environ, lambda line, headers, exc_info=None: status.append(line))  # noqa: B023
            for _part in body:
                pass
            body.close()
            assert status[0].startswith("200")

    return timed


def _flask(log: Callable[[int], Any]) -> Any:
    from flask import Flask

    app = Flask("shop")

    @app.get("/items/<int:item_id>")
    def item(item_id: int) -> dict[str, int]:
        log(item_id)
        return {"item": item_id}

    return app


def flask_bare() -> Timed:
    return _call_wsgi(_flask(_stdlib_log(_sink())))


def flask_stack() -> Timed:
    import time

    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from prometheus_flask_exporter import PrometheusMetrics

    log = _structlog()
    app = _flask(lambda item_id: log.info("item shown", item_id=item_id))
    PrometheusMetrics(app, group_by="url_rule")
    _sdk()
    FlaskInstrumentor().instrument_app(app)

    def outer(environ: Any, start_response: Any) -> Any:
        began = time.perf_counter()
        body = app(environ, start_response)
        log.info(
            "request finished", path=environ["PATH_INFO"], duration=time.perf_counter() - began
        )
        return body

    return _call_wsgi(outer)


def flask_obskit() -> Timed:
    _init_obskit()
    log = logging.getLogger("shop")
    return _call_wsgi(_flask(lambda item_id: log.info("item shown", extra={"item_id": item_id})))


def _django(log: Callable[[int], Any], before: tuple[str, ...] = (), *after: str) -> None:
    """Set up a site as `startproject` does, without what needs a database."""
    import django
    from django.conf import settings
    from django.http import JsonResponse
    from django.urls import path

    def item(request: Any, item_id: int) -> JsonResponse:
        log(item_id)
        return JsonResponse({"item": item_id})

    class Site:
        urlpatterns = (path("items/<int:item_id>", item),)

    usual = ("security.SecurityMiddleware", "common.CommonMiddleware", "csrf.CsrfViewMiddleware")
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        MIDDLEWARE=[
            *before,
            *(f"django.middleware.{name}" for name in usual),
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            *after,
        ],
        ROOT_URLCONF=Site,
        SECRET_KEY="bench",
    )
    django.setup()


def _call_django() -> Timed:
    from django.core.wsgi import get_wsgi_application

    return _call_wsgi(get_wsgi_application())


def django_bare() -> Timed:
    _django(_stdlib_log(_sink()))
    return _call_django()


def django_stack() -> Timed:
    """Serve with django-structlog (two lines a request), django-prometheus, OpenTelemetry."""
    from opentelemetry.instrumentation.django import DjangoInstrumentor

    log = _structlog()
    _django(
        lambda item_id: log.info("item shown", item_id=item_id),
        ("django_prometheus.middleware.PrometheusBeforeMiddleware",),
        "django_structlog.middlewares.RequestMiddleware",
        "django_prometheus.middleware.PrometheusAfterMiddleware",
    )
    _sdk()
    DjangoInstrumentor().instrument()
    return _call_django()


def django_obskit() -> Timed:
    _init_obskit()
    log = logging.getLogger("shop")
    _django(lambda item_id: log.info("item shown", extra={"item_id": item_id}))
    return _call_django()
