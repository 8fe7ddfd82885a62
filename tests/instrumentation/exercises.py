"""How each row of the catalog is used: the conformance test makes its cases from this table.

A new row needs one exercise. Its functions run outside of any event loop; *derive* returns the
class that it is given, or a subclass that overrides the named method and calls the inherited one.
"""

import asyncio
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from obskit import context
from tests.instrumentation.calling import Answer, Call, environ, scope

Derive = Callable[[type, str], type]

# What servers are sent and clients have to send.
SENT = "conformance-1"
DELAY = 0.02


class Failure(Exception):
    """What the user's own code raises."""


FAILURE = Failure("mine")


@dataclass(frozen=True)
class Exercise:
    """One row in use.

    Args:
        run: Uses the library and returns what its user gets, and the ID that is known at the
            far end: in the handler, on the wire, in the thread.
        fail: Uses it so that it raises.
        side: ``server`` or ``client`` where it makes an observation of that kind.
        picklable: Makes objects that can be pickled without us.
    """

    run: Callable[[Derive], tuple[Any, str | None]]
    fail: Callable[[], Any] | None = None
    side: str = ""
    picklable: Callable[[], list[Any]] = list


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        threading.Event().wait(DELAY)
        body = self.headers.get("x-correlation-id", "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def echo() -> Iterator[str]:
    """Serve the correlation ID of each request."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def _asgi(app: Any, path: str = "/ok", kind: str = "http") -> tuple[Any, str]:
    headers = [("x-correlation-id", SENT)]
    first = {"type": "http.request" if kind == "http" else "websocket.connect"}
    one = Call({**scope(path, headers=headers), "type": kind}, [first])
    asyncio.run(app(one.scope, one.receive, one.send))
    body = b"".join(message.get("body", b"") for message in one.sent)
    return [message["type"] for message in one.sent], body.decode()


def _all_asgi(app: Any) -> tuple[Any, str]:
    """Ask for whatever a framework can match, and for what it cannot."""
    kinds, told = _asgi(app)
    others = [_asgi(app, path)[0] for path in ("/nowhere", "/deep/ok", "/later")]
    return [kinds, *others, _asgi(app, "/chat", "websocket")[0]], told


def _wsgi(app: Any, path: str = "/ok") -> tuple[Any, str]:
    answer = Answer(app, environ(path, headers=[("x-correlation-id", SENT)]))
    return answer.status, answer.read().decode()


async def _ok(request: Any) -> Any:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(str(context.correlation_id()))


async def _later(request: Any) -> Any:
    from starlette.background import BackgroundTask
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("later", background=BackgroundTask(str, 7))


async def _fail(request: Any) -> Any:
    raise FAILURE


async def _chat(websocket: Any) -> None:
    await websocket.accept()
    await websocket.close()


def _asgi_app(kind: type) -> Any:
    """Return a Starlette or FastAPI application with routes of each kind."""
    from starlette.routing import Mount, Route, WebSocketRoute

    ok, later, fail = Route("/ok", _ok), Route("/later", _later), Route("/fail", _fail)
    deep = Mount("/deep", routes=[Route("/ok", _ok)])
    return kind(routes=[ok, later, fail, deep, WebSocketRoute("/chat", _chat)])


def _starlette(derive: Derive) -> tuple[Any, str]:
    from starlette.applications import Starlette

    return _all_asgi(_asgi_app(derive(Starlette, "__call__")))


def _starlette_fail() -> None:
    from starlette.applications import Starlette

    _asgi(_asgi_app(Starlette), "/fail")


def _asgi_correlation_id(derive: Derive) -> tuple[Any, str]:
    """Ask an application that it stands around, under the name of our header."""
    from asgi_correlation_id import CorrelationIdMiddleware
    from starlette.applications import Starlette

    kind = derive(CorrelationIdMiddleware, "__call__")
    app = kind(_asgi_app(Starlette), header_name="X-Correlation-ID", validator=None)
    headers = [("x-correlation-id", SENT)]
    one = Call(scope("/later", headers=headers), [{"type": "http.request"}])
    asyncio.run(app(one.scope, one.receive, one.send))
    return [message["type"] for message in one.sent], one.header("x-correlation-id")[0]


def _asgi_correlation_id_fail() -> None:
    from asgi_correlation_id import CorrelationIdMiddleware
    from starlette.applications import Starlette

    _asgi(CorrelationIdMiddleware(_asgi_app(Starlette)), "/fail")


def _fastapi(derive: Derive) -> tuple[Any, str]:
    from fastapi import BackgroundTasks, FastAPI, Request

    app = _asgi_app(derive(FastAPI, "__call__"))

    @app.get("/orders/{number}")
    async def order(number: int, request: Request, tasks: BackgroundTasks) -> dict[str, int]:
        tasks.add_task(str, 7)
        return {"number": number}

    kinds, told = _all_asgi(app)
    return [*kinds, _asgi(app, "/orders/7"), _asgi(app, "/orders/x")[0]], told


def _fastapi_fail() -> None:
    from fastapi import FastAPI

    _asgi(_asgi_app(FastAPI), "/fail")


def _flask_app(kind: type) -> Any:
    app = kind("shop")

    @app.get("/ok")
    def ok() -> str:
        return str(context.correlation_id())

    @app.get("/fail")
    def fail() -> None:
        raise FAILURE

    @app.errorhandler(Failure)
    def handle(error: Failure) -> tuple[str, int]:
        return "handled", 409

    @app.get("/bug")
    def bug() -> None:
        raise ZeroDivisionError

    return app


def _flask(derive: Derive) -> tuple[Any, str]:
    from flask import Flask

    app = _flask_app(derive(Flask, "__call__"))
    app.logger.disabled = True
    status, told = _wsgi(app)
    return [status, *(_wsgi(app, path) for path in ("/nowhere", "/fail", "/bug"))], told


def _flask_fail() -> None:
    from flask import Flask

    app = _flask_app(Flask)
    app.error_handler_spec.clear()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    _wsgi(app, "/fail")


def _django(derive: Derive) -> tuple[Any, str]:
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    from tests.instrumentation import django_site

    headers = [("x-correlation-id", SENT)]
    plain = django_site.wsgi(kind=derive(WSGIHandler, "__call__"))
    over_asgi = django_site.asgi(kind=derive(ASGIHandler, "__call__"))
    status, told = _wsgi(plain)
    static = _wsgi(StaticFilesHandler(plain), "/static/calling.py")
    failed = [_wsgi(plain, path) for path in ("/nowhere", "/fail/boom")]
    one = asyncio.run(django_site.ask(over_asgi, "/ok", headers=headers))
    other = asyncio.run(django_site.ask(over_asgi, "/fail/boom", headers=headers))
    assert one.body == told
    return [status, static, *failed, one.status, other.status, other.body], told


def _django_fail() -> None:
    from django.test import override_settings

    from tests.instrumentation import django_site

    django_site.FAILURES[:] = [FAILURE]
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True):
        _wsgi(django_site.wsgi(), "/fail/mine")


def _any_asgi(derive: Derive) -> tuple[Any, str]:
    from starlette.middleware.wsgi import WSGIMiddleware

    from obskit.asgi import Middleware

    return _asgi(derive(Middleware, "__call__")(WSGIMiddleware(_any_wsgi_app)))


def _any_asgi_fail() -> None:
    from obskit.asgi import Middleware

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise FAILURE

    _asgi(Middleware(app))


def _any_wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/fail":
        raise FAILURE
    body = str(context.correlation_id()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def _any_wsgi(derive: Derive) -> tuple[Any, str]:
    from obskit.wsgi import Middleware

    return _wsgi(derive(Middleware, "__call__")(_any_wsgi_app))


def _any_wsgi_fail() -> None:
    from obskit.wsgi import Middleware

    _wsgi(Middleware(_any_wsgi_app), "/fail")


def _httpx(derive: Derive) -> tuple[Any, str]:
    import httpx

    async def ask(url: str) -> Any:
        transport = derive(httpx.AsyncHTTPTransport, "handle_async_request")()
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.get(url)

    with echo() as url:
        transport = derive(httpx.HTTPTransport, "handle_request")()
        with httpx.Client(transport=transport) as client:
            plain = client.get(url)
        awaited = asyncio.run(ask(url))
    assert plain.text == awaited.text
    return (plain.status_code, awaited.status_code), plain.text


def _httpx_fail() -> None:
    import httpx

    with httpx.Client(trust_env=False) as client:
        client.get("http://127.0.0.1:9/")


def _httpx_picklable() -> list[Any]:
    import httpx

    return [httpx.Request("GET", "http://a/"), httpx.Headers({"a": "b"})]


def _requests(derive: Derive) -> tuple[Any, str]:
    import requests
    from requests.adapters import HTTPAdapter

    with echo() as url, requests.Session() as session:
        session.trust_env = False
        session.mount("http://", derive(HTTPAdapter, "send")())
        response = session.get(url)
        return response.status_code, response.text


def _requests_fail() -> None:
    import requests

    with requests.Session() as session:
        session.trust_env = False
        session.get("http://127.0.0.1:9/")


def _requests_picklable() -> list[Any]:
    import requests

    return [requests.Session(), requests.Session().get_adapter("http://"), requests.Request("GET")]


def _urllib3(derive: Derive) -> tuple[Any, str]:
    import urllib3
    from urllib3.connectionpool import HTTPConnectionPool

    with echo() as url, urllib3.PoolManager() as manager:
        pools = {"http": derive(HTTPConnectionPool, "_make_request")}
        manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, **pools}
        response = manager.request("GET", url)
        return response.status, response.data.decode()


def _urllib3_fail() -> None:
    import urllib3

    with urllib3.PoolManager() as manager:
        manager.request("GET", "http://127.0.0.1:9/", retries=False)


def _urllib3_picklable() -> list[Any]:
    from urllib3 import Retry
    from urllib3._collections import HTTPHeaderDict

    return [HTTPHeaderDict({"a": "b"}), Retry()]


def _urllib(derive: Derive) -> tuple[Any, str]:
    from urllib.request import HTTPHandler, ProxyHandler, build_opener

    opener = build_opener(ProxyHandler({}), derive(HTTPHandler, "do_open"))
    with echo() as url, opener.open(url) as response:
        return response.status, response.read().decode()


def _urllib_fail() -> None:
    from urllib.request import ProxyHandler, build_opener

    build_opener(ProxyHandler({})).open("http://127.0.0.1:9/")


def _urllib_picklable() -> list[Any]:
    from urllib.request import HTTPHandler, Request

    return [Request("http://a/", headers={"a": "b"}), HTTPHandler()]


def _aiohttp_client(derive: Derive) -> tuple[Any, str]:
    import aiohttp

    async def ask(url: str) -> Any:
        connector = derive(aiohttp.TCPConnector, "connect")()
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(url) as response:
                return response.status, await response.text()

    with echo() as url:
        status, text = asyncio.run(ask(url))
        return status, text


def _aiohttp_client_fail() -> None:
    import aiohttp

    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            await session.get("http://127.0.0.1:9/")

    asyncio.run(ask())


def _aiohttp_client_picklable() -> list[Any]:
    import aiohttp

    return [aiohttp.ClientTimeout(total=1)]


def _celery(derive: Derive) -> tuple[Any, str | None]:
    from celery import Celery

    from tests.instrumentation.celery_site import Site

    site = Site(derive(Celery, "send_task"), queue="conformance")
    given = {"x-mine": "kept"}
    site.tell.apply_async(headers=given)
    site.work()
    [request] = site.requests
    mine = request.request_dict["x-mine"]
    return (len(site.told), mine, given, request.acknowledged), site.told[0]


def _celery_fail() -> None:
    from tests.instrumentation.celery_site import Site

    def fail() -> None:
        raise FAILURE

    Site().task(name="fail")(fail).apply(throw=True)


def _celery_picklable() -> list[Any]:
    from tests.instrumentation.celery_site import Site

    task = Site().tell
    return [task.s(1, 2), task.s(1) | task.s(2)]


def _threads(derive: Derive) -> tuple[Any, str]:
    seen: list[Any] = []
    kind = derive(threading.Thread, "start")
    thread = kind(target=lambda: seen.append(context.correlation_id()), name="one")
    thread.start()
    thread.join()
    timer = derive(threading.Timer, "run")(0, lambda: seen.append(context.correlation_id()))
    timer.start()
    timer.join()
    assert seen[0] == seen[1]
    return (thread.name, thread.is_alive()), seen[0]


def _threads_fail() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    thread.start()


def _executors(derive: Derive) -> tuple[Any, str]:
    def job(a: int, *, b: int) -> Any:
        return a + b, context.correlation_id()

    with derive(ThreadPoolExecutor, "submit")(1) as pool:
        result, seen = pool.submit(job, 1, b=2).result()
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
    methods = multiprocessing.get_context("fork")
    with derive(ProcessPoolExecutor, "submit")(1, methods) as processes:
        sent = processes.submit(context.correlation_id).result()
    return result, seen if sent == seen else f"{seen} and {sent}"


def _executors_fail() -> None:
    def job() -> None:
        raise FAILURE

    with ThreadPoolExecutor(1) as pool:
        pool.submit(job).result()


def _child(writer: Any) -> None:
    writer.send(context.correlation_id())
    writer.close()


def _multiprocessing(derive: Derive) -> tuple[Any, str | None]:
    methods = multiprocessing.get_context("fork")
    reader, writer = methods.Pipe(duplex=False)
    child = derive(methods.Process, "run")(target=_child, args=(writer,))
    child.start()
    writer.close()
    seen = reader.recv()
    child.join()
    reader.close()
    return child.exitcode, seen


def _multiprocessing_fail() -> None:
    multiprocessing.Process(target=print).join()


def _structlog(derive: Derive) -> tuple[Any, None]:
    from structlog.contextvars import bound_contextvars, get_contextvars

    with bound_contextvars(a=1):
        return get_contextvars(), None


def _pika(derive: Derive) -> tuple[Any, str | None]:
    """Send and get messages in all ways that there are."""
    from pika.adapters.blocking_connection import BlockingChannel
    from pika.channel import Channel

    from tests.instrumentation.amqp_loopback import Wire, blocking

    told: list[Any] = []
    bodies: list[bytes] = []

    def work(channel: Any, method: Any, properties: Any, body: bytes) -> None:
        told.append((properties.headers or {}).get("x-correlation-id"))
        bodies.append(body)
        if body == b"bad":
            channel.basic_nack(method.delivery_tag, requeue=False)
        else:
            channel.basic_ack(method.delivery_tag)
        if len(bodies) == 2:
            channel.stop_consuming()

    channel = blocking(derive(BlockingChannel, "basic_publish"))
    for body in (b"bad", b"good", b"third", b"fourth", b"fifth"):
        channel.basic_publish("", "orders", body)
    channel.basic_consume("orders", work)
    channel.start_consuming()
    for method, properties, body in channel.consume("orders"):
        work(channel, method, properties, body)
        break
    channel.cancel()
    channel.connection.add_callback_threadsafe(lambda: bodies.append(b"called"))
    channel.connection.process_data_events()
    work(channel, *channel.basic_get("orders"))
    last = channel.basic_get("orders")
    channel.basic_reject(last[0].delivery_tag, requeue=False)
    bodies.append(last[2])
    bodies.append(channel.basic_get("orders"))
    channel.close()

    wire = Wire()
    below = wire.open(derive(Channel, "basic_publish"))
    for body in (b"a", b"b"):
        below.basic_publish("", "orders", body)
    below.basic_get("orders", work)
    below.basic_consume("orders", work)
    wire.pump()
    assert len(set(told)) == 1
    return bodies, told[0]


def _pika_fail() -> None:
    from tests.instrumentation.amqp_loopback import blocking

    channel = blocking()
    channel._impl._set_state(channel._impl.CLOSED)
    channel.basic_publish("", "orders", b"lost")


def _pika_picklable() -> list[Any]:
    from pika import BasicProperties, ConnectionParameters

    return [BasicProperties(headers={"a": "b"}), ConnectionParameters("broker")]


EXERCISES: dict[str, Exercise] = {
    "asgi": Exercise(_any_asgi, _any_asgi_fail, "server"),
    "wsgi": Exercise(_any_wsgi, _any_wsgi_fail, "server"),
    "starlette": Exercise(_starlette, _starlette_fail, "server"),
    "fastapi": Exercise(_fastapi, _fastapi_fail, "server"),
    "flask": Exercise(_flask, _flask_fail, "server"),
    "django": Exercise(_django, _django_fail, "server"),
    "httpx": Exercise(_httpx, _httpx_fail, "client", _httpx_picklable),
    "requests": Exercise(_requests, _requests_fail, "client", _requests_picklable),
    "urllib3": Exercise(_urllib3, _urllib3_fail, "client", _urllib3_picklable),
    "urllib": Exercise(_urllib, _urllib_fail, "client", _urllib_picklable),
    "aiohttp_client": Exercise(
        _aiohttp_client, _aiohttp_client_fail, "client", _aiohttp_client_picklable
    ),
    "pika": Exercise(_pika, _pika_fail, "producer", _pika_picklable),
    "celery": Exercise(_celery, _celery_fail, "producer", _celery_picklable),
    "threads": Exercise(_threads, _threads_fail),
    "executors": Exercise(_executors, _executors_fail),
    "multiprocessing": Exercise(_multiprocessing, _multiprocessing_fail),
    "structlog": Exercise(_structlog),
    "asgi_correlation_id": Exercise(_asgi_correlation_id, _asgi_correlation_id_fail),
}
