"""Django on real servers: gunicorn, uvicorn, hypercorn and daphne."""

import time

import pytest

SOURCE = """
import asyncio, os, time
import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.utils.decorators import async_only_middleware, sync_only_middleware

log = logging.getLogger("app")
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=["app.outer", "app.inner"],
    ROOT_URLCONF="app",
    SECRET_KEY="of tests alone",
)


@sync_only_middleware
def outer(get_response):
    def middleware(request):
        context.bind(outer=context.correlation_id())
        return get_response(request)

    return middleware


@async_only_middleware
def inner(get_response):
    async def middleware(request):
        context.bind(inner=context.correlation_id())
        return await get_response(request)

    return middleware


def ok(request, number):
    context.bind(number=number)
    log.info("inside")
    return HttpResponse(context.correlation_id())


async def wait(request, number):
    context.bind(number=number)
    await asyncio.sleep(0.05)
    await sync_to_async(log.info)("inside")
    return HttpResponse(context.correlation_id())


def boom(request):
    raise LookupError("boom")


def code(request, number):
    return HttpResponse("said", status=number)


def body(request):
    return HttpResponse(f"{context.correlation_id()} {len(request.body)}")


def chunks(pause, number=3):
    for _ in range(number):
        time.sleep(pause)
        yield context.correlation_id() + " "


async def async_chunks(pause, number=3):
    for _ in range(number):
        await asyncio.sleep(pause)
        yield context.correlation_id() + " "


def stream(request, pause):
    kind = chunks if "{over}" == "wsgi" else async_chunks
    return StreamingHttpResponse(kind(pause / 1000, 60 if pause else 3))


async def slow(request):
    await asyncio.sleep(20)


def file(request):
    return FileResponse(open(__file__, "rb"))


urlpatterns = [
    path("ok/<int:number>", ok),
    path("wait/<int:number>", wait),
    path("boom", boom),
    path("code/<int:number>", code),
    path("body", body),
    path("stream/<int:pause>", stream),
    path("slow", slow),
    path("file", file),
]

from django.core.{over} import get_{over}_application

app = get_{over}_application()
"""
PATHS = [
    ("/ok/7", 200, "ok", "GET /ok/<int:number>"),
    ("/wait/7", 200, "ok", "GET /wait/<int:number>"),
    ("/nowhere", 404, "client_error", "GET"),
    ("/code/422", 422, "client_error", "GET /code/<int:number>"),
    ("/boom", 500, "server_error", "GET /boom"),
    ("/code/503", 503, "server_error", "GET /code/<int:number>"),
    ("/stream/0", 200, "ok", "GET /stream/<int:pause>"),
    ("/file", 200, "ok", "GET /file"),
]
SERVERS = {
    "gunicorn": ("wsgi", "--worker-class", "gthread", "--threads", "2"),
    "uvicorn": ("asgi",),
    "hypercorn": ("asgi",),
    "daphne": ("asgi",),
}


@pytest.fixture(params=SERVERS)
def served(request):
    """Give the site on each server."""
    over, *args = SERVERS[request.param]
    start = request.getfixturevalue(request.param)
    return start(source(over), *args)


def source(over):
    """Return the site for one kind of servers."""
    return SOURCE.replace("{over}", over)


def test_one_request_one_id_one_observation(served):
    """Of each status, with the route as a template, and one ID in middlewares, views, lines."""
    for count, (path, status, outcome, name) in enumerate(PATHS, 1):
        response = served.get(path)
        work = served.ended(count)[-1]

        assert response.status_code == status, path
        assert response.headers.get_list("x-correlation-id") == [work["id"]], path
        assert (work["outcome"], work["ended"]) == (outcome, name), path
        assert work["error"] == ("LookupError" if path == "/boom" else None)
        assert work["fields"]["outer"] == work["fields"]["inner"] == work["id"]
        if path.endswith("/7"):
            assert response.text == work["id"]
            assert work["fields"]["number"] == 7
        if path.startswith("/stream"):
            assert response.text.split() == [work["id"]] * 3
    ids = {work["id"] for work in served.ended(len(PATHS))}
    assert len(ids) == len(PATHS)
    assert {line["id"] for line in served.logged("app", 2)} < ids
    [error] = served.logged("django.request", with_error=True)
    assert error["message"] == "Internal Server Error: /boom"
    assert error["id"] in ids


def test_requests_of_one_connection_do_not_mix(served):
    """Also after a body so large that reading was paused."""
    import httpx

    with httpx.Client(base_url=served.url, trust_env=False, timeout=20) as client:
        for _ in range(5):
            response = client.post("/body", content=b"x" * 400_000)
            assert response.text == f"{response.headers['x-correlation-id']} 400000"
    assert len({work["id"] for work in served.ended(5)}) == 5


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_a_stream_that_the_client_leaves(request, server):
    """It is ended, with the outcome that it deserves."""
    over, *args = SERVERS[server]
    served = request.getfixturevalue(server)(source(over), *args)
    with served.connect() as connection:
        connection.sendall(b"GET /stream/50 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(0.4)
    [work] = served.ended()

    assert (work["outcome"], work["ended"]) == ("client_gone", "GET /stream/<int:pause>")


def test_a_view_that_the_client_leaves(uvicorn):
    """Django calls it off where it listens: since 5.0."""
    django = pytest.importorskip("django", minversion="5.0")
    served = uvicorn(source("asgi"))
    with served.connect() as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(0.4)
    [work] = served.ended()

    assert work["outcome"] == "client_gone", django.VERSION
    assert work["ms"] < 15_000
