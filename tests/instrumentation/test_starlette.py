"""What Starlette serves."""

import asyncio
import time

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from obskit import context, instrumentation
from tests.instrumentation.calling import Call, call, scope


def here(request):
    """Answer with the ID that is seen inside."""
    return PlainTextResponse(context.correlation_id() or "none")


async def ahere(request):
    return here(request)


async def missing(request):
    raise HTTPException(404)


async def boom(request):
    raise LookupError("boom")


def body(one):
    return b"".join(message.get("body", b"") for message in one.sent).decode()


@pytest.fixture
def app(tmp_path, observed):
    tmp_path.joinpath("file.txt").write_text("x", encoding="utf-8")
    deep = Starlette(routes=[Route("/x", here)])
    return Starlette(
        routes=[
            Route("/sync/{number:int}", here),
            Route("/async/{number}", ahere, methods=["POST"]),
            Route("/missing/{number}", missing),
            Route("/boom", boom),
            Mount(
                "/shops/{shop}",
                routes=[Route("/orders/{order}", here), Mount("/deep", app=deep)],
            ),
            Mount("/static", StaticFiles(directory=tmp_path)),
            Host("api.example", app=Router([Route("/hosted", here)])),
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/sync/7", 200, "/sync/{number}"),
        ("HEAD", "/sync/7", 200, "/sync/{number}"),
        ("POST", "/async/7", 200, "/async/{number}"),
        ("GET", "/async/7", 405, "__unmatched__"),
        ("GET", "/missing/7", 404, "/missing/{number}"),
        ("GET", "/nowhere/7", 404, "__unmatched__"),
        ("GET", "/sync/x", 404, "__unmatched__"),
        ("GET", "/shops/3/orders/7", 200, "/shops/{shop}/orders/{order}"),
        ("GET", "/shops/3/deep/x", 200, "/shops/{shop}/deep/x"),
        ("GET", "/shops/3/nowhere", 404, "__unmatched__"),
        ("GET", "/static/file.txt", 200, "/static/{path}"),
        ("GET", "/static/absent.txt", 404, "/static/{path}"),
        ("GET", "/sync/7/", 307, "__unmatched__"),
    ],
)
async def test_routes_are_templates(app, observed, method, path, status, route):
    """Never a path with a number in it; what matches nothing has one name for all."""
    one = await call(app, path, method)

    assert one.status == status
    assert [work.labels["http_route"] for work in observed] == [route]
    assert len(one.header("x-correlation-id")) == 1


async def test_the_id_inside_is_that_of_the_answer(app):
    """Also in a sync endpoint, which runs in a thread."""
    for method, path in (("GET", "/sync/7"), ("POST", "/async/7")):
        one = await call(app, path, method)
        assert one.header("x-correlation-id") == [body(one)]


async def test_an_unhandled_error_is_a_500_with_id_and_error(app, observed):
    """The outermost error handler's answer has the header, and the error is known."""
    one = Call(scope("/boom"), [])
    with pytest.raises(LookupError, match="boom"):
        await app(one.scope, one.receive, one.send)

    assert one.status == 500
    assert one.header("x-correlation-id") == [observed[0].context.correlation_id]
    assert (observed[0].outcome, str(observed[0].error)) == ("server_error", "boom")
    assert observed[0].labels["http_route"] == "/boom"


async def test_an_app_made_before_is_observed(observed):
    """Patching the class covers instances that exist already."""
    instrumentation.uninstrument()
    app = Starlette(routes=[Route("/", here)])
    assert (await call(app)).header("x-correlation-id") == []
    instrumentation.instrument("starlette")

    assert len((await call(app)).header("x-correlation-id")) == 1
    assert len(observed) == 1


class Between(BaseHTTPMiddleware):
    """The middleware that cuts context variables in two."""

    async def dispatch(self, request, call_next):
        Between.before = context.correlation_id()
        response = await call_next(request)
        Between.after = context.correlation_id()
        return response


async def test_fields_bound_behind_a_base_http_middleware_reach_the_summary(observed):
    """The endpoint runs in a task of its own; what it binds is on the request all the same."""

    async def endpoint(request):
        context.bind(user_id=7)
        return PlainTextResponse(context.correlation_id())

    app = Starlette(routes=[Route("/", endpoint)], middleware=[Middleware(Between)])
    one = await call(app)

    assert observed[0].context.unit.fields == {"user_id": 7}
    assert Between.before == Between.after == body(one) == one.header("x-correlation-id")[0]


async def test_fields_bound_in_a_thread_reach_the_summary(observed):
    """Sync endpoints and what they call elsewhere share the bag of the request."""

    def endpoint(request):
        context.bind(user_id=7)
        return PlainTextResponse("")

    await call(Starlette(routes=[Route("/", endpoint)]))

    assert observed[0].context.unit.fields == {"user_id": 7}


class Failing(BaseHTTPMiddleware):
    """A middleware with a bug."""

    async def dispatch(self, request, call_next):
        raise LookupError("middleware")


async def test_an_error_in_a_middleware_is_known(observed):
    """Nothing was routed, and the answer is a 500 with the header."""
    app = Starlette(routes=[Route("/", here)], middleware=[Middleware(Failing)])
    one = Call(scope(), [])
    with pytest.raises(LookupError):
        await app(one.scope, one.receive, one.send)

    assert one.header("x-correlation-id") == [observed[0].context.correlation_id]
    assert (observed[0].status, str(observed[0].error)) == (500, "middleware")


def lines():
    """Return what writes down where a task runs."""
    seen = []

    async def task(name):
        await asyncio.sleep(0.02)
        seen.append((name, context.correlation_id(), dict(context.get().fields)))

    return seen, task


@pytest.mark.parametrize("is_sync", [False, True], ids=["async", "sync"])
async def test_background_tasks_are_observed_by_themselves(observed, is_sync):
    """The request ends before, the task has its ID, is linked, and knows what was bound."""
    seen, task = lines()

    async def endpoint(request):
        context.bind(order=7)
        return PlainTextResponse("", background=BackgroundTask(task, "mail"))

    def sync_endpoint(request):
        context.bind(order=7)
        return PlainTextResponse("", background=BackgroundTask(task, "mail"))

    await call(Starlette(routes=[Route("/", sync_endpoint if is_sync else endpoint)]))
    request, background = observed

    assert (request.name, background.name) == ("GET /", "background task")
    assert background.kind.value == "internal"
    assert background.links == ((request.context.trace_id, request.context.span_id),)
    assert request.duration_ns < background.duration_ns + 20_000_000
    assert background.duration_ns >= 20_000_000
    assert seen == [("mail", request.context.correlation_id, {"order": 7})]
    assert context.get() is None


async def test_a_background_task_that_fails_does_not_change_the_request(observed):
    """The request was fine, its task was not, and the error goes to the server."""

    def fail():
        raise LookupError("late")

    tasks = BackgroundTasks()
    tasks.add_task(fail)
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("", background=tasks))])
    with pytest.raises(LookupError, match="late"):
        await call(app)

    assert [(work.name, work.outcome) for work in observed] == [
        ("GET /", "ok"),
        ("background fail", "server_error"),
    ]
    assert context.correlation_id() == observed[0].context.correlation_id


async def test_names_of_background_tasks_are_those_of_functions(observed):
    """A partial is named for its function, a callable object for its type."""
    from functools import partial

    class Mailer:
        def __call__(self):
            pass

    tasks = BackgroundTasks()
    tasks.add_task(partial(print, end=""))
    tasks.add_task(Mailer())
    await tasks()

    assert [work.name for work in observed] == ["background print", "background Mailer"]


@pytest.mark.parametrize("is_sync", [False, True], ids=["async", "sync"])
async def test_each_chunk_of_a_stream_has_the_id(observed, is_sync):
    """Generators are run while the request lasts, sync ones in threads."""
    seen = []

    async def chunks():
        for number in range(3):
            seen.append(context.correlation_id())
            yield str(number)

    def sync_chunks():
        for number in range(3):
            seen.append(context.correlation_id())
            yield str(number)

    make = sync_chunks if is_sync else chunks
    app = Starlette(routes=[Route("/", lambda request: StreamingResponse(make()))])
    one = await call(app, asgi={"version": "3.0", "spec_version": "2.4"})

    assert body(one) == "012"
    assert seen == one.header("x-correlation-id") * 3
    assert (observed[0].outcome, len(observed)) == ("ok", 1)


async def test_two_hundred_requests_at_once_do_not_mix(observed):
    """Each has its own ID from start to end."""

    async def endpoint(request):
        before = context.correlation_id()
        await asyncio.sleep(0.01)
        await run_in_threadpool(time.sleep, 0)
        return PlainTextResponse(f"{before} {context.correlation_id()}")

    app = Starlette(routes=[Route("/", endpoint)])
    answers = await asyncio.gather(
        *(call(app, headers=[("x-correlation-id", f"id-{number}")]) for number in range(200))
    )

    assert [body(one) for one in answers] == [f"id-{n} id-{n}" for n in range(200)]
    assert [one.header("x-correlation-id") for one in answers] == [[f"id-{n}"] for n in range(200)]
    assert len({work.context.correlation_id for work in observed}) == 200


async def test_websockets_are_observed(observed):
    """The route is a template, the handshake is answered with the ID."""

    async def chat(websocket):
        await websocket.accept()
        await websocket.send_text(context.correlation_id())
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/chat/{room}", chat)])
    one = Call(scope("/chat/7") | {"type": "websocket"}, [{"type": "websocket.connect"}])
    await app(one.scope, one.receive, one.send)

    assert one.header("x-correlation-id") == [one.sent[1]["text"]]
    assert [work.name for work in observed] == ["WEBSOCKET /chat/{room}"]


async def test_a_route_that_cannot_be_named_is_served(observed, broken, monkeypatch):
    """Another version of the framework may have other routes."""
    app = Starlette(routes=[Route("/", here)])
    monkeypatch.delattr(app.routes[0], "path_format")

    assert (await call(app)).status == 200
    assert list(broken) == ["starlette.routing.route"]
