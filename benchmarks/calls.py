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


def _runners(library: str, needs: str, *client: str) -> tuple[Runner, ...]:
    return (
        Runner("bare", f"benchmarks.calls:{library}_bare", needs=client),
        Runner("obskit", f"benchmarks.calls:{library}_obskit", needs=client),
        Runner("OpenTelemetry", f"benchmarks.calls:{library}_otel", needs=(*client, needs)),
    )


HTTPX = _runners("httpx", "opentelemetry.instrumentation.httpx")
HTTPX_ASYNC = _runners("httpx_async", "opentelemetry.instrumentation.httpx")
REQUESTS = _runners("requests", "opentelemetry.instrumentation.requests")
URLLIB3 = _runners("urllib3", "opentelemetry.instrumentation.urllib3")
URLLIB = _runners("urllib", "opentelemetry.instrumentation.urllib")
AIOHTTP = _runners("aiohttp", "opentelemetry.instrumentation.aiohttp_client", "aiohttp")


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


def _urllib3() -> Timed:
    import urllib3

    class Answering:
        is_connected, is_closed, proxy = True, False, None
        timeout: Any = None

        def __init__(self, **_: Any) -> None:
            self.sock = None

        def request(self, *args: Any, **kwargs: Any) -> None:
            assert kwargs["headers"] is not None

        def getresponse(self) -> Any:
            return urllib3.HTTPResponse(io.BytesIO(b"ok"), status=200, preload_content=False)

        def close(self) -> None:
            """There is nothing to close."""

    pool = urllib3.HTTPConnectionPool("127.0.0.1", 80)
    pool.ConnectionCls = Answering  # type: ignore[misc,assignment]

    def timed(count: int) -> None:
        for _ in range(count):
            assert pool.request("GET", "/items/7").status == 200

    return timed


def _urllib() -> Timed:
    from email.message import Message
    from urllib.request import HTTPHandler, OpenerDirector, Request
    from urllib.response import addinfourl

    class Answer(addinfourl):
        reason = "OK"

    class Answering:
        sock = None

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            pass

        set_debuglevel = request = __init__

        def getresponse(self) -> Any:
            return Answer(io.BytesIO(b"ok"), Message(), "", 200)

    class Handler(HTTPHandler):
        def http_open(self, request: Request) -> Any:
            return self.do_open(Answering, request)  # type: ignore[arg-type]

    opener = OpenerDirector()
    opener.add_handler(Handler())

    def timed(count: int) -> None:
        for _ in range(count):
            assert opener.open("http://127.0.0.1/items/7").status == 200

    return timed


def _aiohttp() -> Timed:
    import aiohttp
    from aiohttp.client_proto import ResponseHandler

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    class Answering(asyncio.Transport):
        def __init__(self, protocol: ResponseHandler) -> None:
            super().__init__()
            self._protocol = protocol

        def write(self, data: Any) -> None:
            assert bytes(data[:3]) == b"GET"
            asyncio.get_running_loop().call_soon(self._protocol.data_received, answer)

        def is_closing(self) -> bool:
            return False

        def close(self) -> None:
            """There is nothing to close."""

    class Connector(aiohttp.BaseConnector):
        async def _create_connection(self, *args: Any, **kwargs: Any) -> ResponseHandler:
            protocol = ResponseHandler(asyncio.get_running_loop())
            protocol.connection_made(Answering(protocol))
            return protocol

    loop = asyncio.new_event_loop()

    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=Connector())

    session = loop.run_until_complete(make())

    async def many(count: int) -> None:
        for _ in range(count):
            async with session.get("http://127.0.0.1/items/7") as response:
                assert await response.read() == b"ok"

    return lambda count: loop.run_until_complete(many(count))


def httpx_bare() -> Timed:
    return _httpx()


def httpx_async_bare() -> Timed:
    return _httpx_async()


def requests_bare() -> Timed:
    return _requests()


def urllib3_bare() -> Timed:
    return _urllib3()


def urllib_bare() -> Timed:
    return _urllib()


def aiohttp_bare() -> Timed:
    return _aiohttp()


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


def urllib3_obskit() -> Timed:
    return _with_obskit(_urllib3)


def urllib_obskit() -> Timed:
    return _with_obskit(_urllib)


def aiohttp_obskit() -> Timed:
    return _with_obskit(_aiohttp)


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


def urllib3_otel() -> Timed:
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor

    _sdk()
    URLLib3Instrumentor().instrument()
    return _urllib3()


def urllib_otel() -> Timed:
    from opentelemetry.instrumentation.urllib import URLLibInstrumentor

    _sdk()
    URLLibInstrumentor().instrument()
    return _urllib()


def aiohttp_otel() -> Timed:
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor

    _sdk()
    AioHttpClientInstrumentor().instrument()
    return _aiohttp()
