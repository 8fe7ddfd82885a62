"""An outgoing call over a transport that answers at once: what is added to the bare client."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from typing import Any

from benchmarks.race import Runner
from benchmarks.requests_served import _init_obskit, _sdk

Timed = Callable[[int], None]


def _runners(library: str, needs: str) -> tuple[Runner, ...]:
    return (
        Runner("bare", f"benchmarks.calls:{library}_bare"),
        Runner("obskit", f"benchmarks.calls:{library}_obskit"),
        Runner("OpenTelemetry", f"benchmarks.calls:{library}_otel", needs=(needs,)),
    )


HTTPX = _runners("httpx", "opentelemetry.instrumentation.httpx")
HTTPX_ASYNC = _runners("httpx_async", "opentelemetry.instrumentation.httpx")
REQUESTS = _runners("requests", "opentelemetry.instrumentation.requests")


def _in_request() -> None:
    from obskit import observation

    observation.start(observation.Observation("GET /", observation.Kind.SERVER))


def _httpx() -> Timed:
    import httpx

    class Answering:
        def handle_request(self, request: Any) -> Any:
            from httpcore import Response

            return Response(200, headers=[(b"content-length", b"2")], content=b"ok")

    client = httpx.Client()
    client._transport._pool = Answering()  # type: ignore[attr-defined]

    def timed(count: int) -> None:
        for _ in range(count):
            assert client.get("http://127.0.0.1/items/7").status_code == 200

    return timed


def _httpx_async() -> Timed:
    import httpx

    class Answering:
        async def handle_async_request(self, request: Any) -> Any:
            from httpcore import Response

            return Response(200, headers=[(b"content-length", b"2")], content=b"ok")

    client = httpx.AsyncClient()
    client._transport._pool = Answering()  # type: ignore[attr-defined]

    async def many(count: int) -> None:
        for _ in range(count):
            assert (await client.get("http://127.0.0.1/items/7")).status_code == 200

    loop = asyncio.new_event_loop()
    return lambda count: loop.run_until_complete(many(count))


def _requests() -> Timed:
    import requests
    import urllib3

    session = requests.Session()
    adapter = session.get_adapter("http://")

    class Pool:
        def urlopen(self, **kwargs: Any) -> Any:
            return urllib3.HTTPResponse(body=io.BytesIO(b"ok"), status=200, preload_content=False)

    adapter.get_connection_with_tls_context = lambda *a, **k: Pool()  # type: ignore[attr-defined]

    def timed(count: int) -> None:
        for _ in range(count):
            assert session.get("http://127.0.0.1/items/7").status_code == 200

    return timed


def httpx_bare() -> Timed:
    return _httpx()


def httpx_async_bare() -> Timed:
    return _httpx_async()


def requests_bare() -> Timed:
    return _requests()


def _with_obskit(make: Callable[[], Timed]) -> Timed:
    _init_obskit()
    # At INFO, which bare programs do not show, httpx writes a line of its own about each call.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    timed = make()
    _in_request()
    return timed


def httpx_obskit() -> Timed:
    return _with_obskit(_httpx)


def httpx_async_obskit() -> Timed:
    return _with_obskit(_httpx_async)


def requests_obskit() -> Timed:
    return _with_obskit(_requests)


def httpx_otel() -> Timed:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    _sdk()
    HTTPXClientInstrumentor().instrument()
    return _httpx()


def httpx_async_otel() -> Timed:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    _sdk()
    HTTPXClientInstrumentor().instrument()
    return _httpx_async()


def requests_otel() -> Timed:
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    _sdk()
    RequestsInstrumentor().instrument()
    return _requests()
