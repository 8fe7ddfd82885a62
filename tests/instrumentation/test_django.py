"""What Django serves, over WSGI and ASGI."""

import asyncio
import gc
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.exceptions import DisallowedHost
from django.core.signals import got_request_exception, request_finished, request_started
from django.test import Client, override_settings

from obskit import asgi, context, instrumentation, wsgi
from obskit.instrumentation import django as hooks
from obskit.observation import Kind
from tests.instrumentation import django_site as site
from tests.instrumentation.calling import Answer, environ, scope

pytestmark = [
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume"),
    # Before 6.1 Django leaves the body of a request open that ends in an error.
    pytest.mark.filterwarnings("ignore:Exception ignored in.*SpooledTemporaryFile"),
]

ROUTES = [
    ("GET", "/ok", 200, "/ok"),
    ("GET", "/orders/7/", 200, "/orders/<int:number>/"),
    ("GET", "/async/orders/7/", 200, "/async/orders/<int:number>/"),
    ("GET", "/shops/3/items/7/", 200, "/shops/<shop>/items/<item>/"),
    ("GET", "/shops/3/2026.html", 200, "/shops/<shop>/<year>.html"),
    ("POST", "/shops/3/items/7/", 405, "/shops/<shop>/items/<item>/"),
    ("GET", "/archive/2026/page-3/", 200, "/archive/<year>/page-<var>/"),
    ("GET", "/orders/7", 301, "__unmatched__"),
    ("GET", "/nowhere", 404, "__unmatched__"),
    ("GET", "/status/404", 404, "/status/<int:code>"),
    ("GET", "/status/422", 422, "/status/<int:code>"),
    ("GET", "/status/503", 503, "/status/<int:code>"),
    ("GET", "/fail/missing", 404, "/fail/<kind>"),
    ("GET", "/async/fail/forbidden", 403, "/async/fail/<kind>"),
    ("GET", "/fail/bad", 400, "/fail/<kind>"),
    ("GET", "/fail/suspicious", 400, "/fail/<kind>"),
    ("GET", "/fail/boom", 500, "/fail/<kind>"),
    ("GET", "/async/fail/boom", 500, "/async/fail/<kind>"),
    ("GET", "/stream/sync", 200, "/stream/<kind>"),
    ("GET", "/stream/async", 200, "/stream/<kind>"),
    ("HEAD", "/file", 200, "/file"),
]
OVER = pytest.mark.parametrize("over", ["wsgi", "asgi"])


@pytest.fixture(autouse=True)
def nothing_seen():
    """Begin with nothing seen."""
    site.seen.clear()


@pytest.fixture(autouse=True, scope="module")
def collected():
    """Leave nothing behind that is still open."""
    yield
    gc.collect()


def ask(over, path, method="GET", middlewares=(), app=None):
    """Ask the site for *path*; return the status, the IDs in the header, and the text."""
    if over == "wsgi":
        answer = Answer(app or site.wsgi(*middlewares), environ(path, method))
        body = answer.read().decode()
        return SimpleNamespace(
            status=int(answer.status[:3]), ids=answer.header("x-correlation-id"), body=body
        )
    one = asyncio.run(site.ask(app or site.asgi(*middlewares), path, method))
    return SimpleNamespace(status=one.status, ids=one.header("x-correlation-id"), body=one.body)


@OVER
@pytest.mark.parametrize(("method", "path", "status", "route"), ROUTES)
def test_one_request_one_id_one_observation(observed, broken, over, method, path, status, route):
    """Every answer has one header, and the route is a template."""
    answer = ask(over, path, method)

    assert answer.status == status
    servers = [work for work in observed if work.kind is Kind.SERVER]
    assert [work.labels["http_route"] for work in servers] == [route]
    assert answer.ids == [servers[0].context.correlation_id]
    assert {one for _, one in site.seen} <= set(answer.ids)
    assert servers[0].library == "django"
    assert broken == {}
    assert context.get() is None


@OVER
@pytest.mark.parametrize("path", ["/fail/boom", "/async/fail/boom"])
def test_errors_that_django_answers_are_known(observed, over, path):
    """Django turns an error into a 500 and goes on; the observation says which error it was."""
    ask(over, path)

    assert (observed[0].outcome, repr(observed[0].error)) == (
        "server_error", "LookupError('boom')",
    )  # fmt: skip


@OVER
@pytest.mark.parametrize("kind", ["missing", "forbidden", "bad", "suspicious"])
def test_errors_that_are_answers_are_no_errors(observed, over, kind):
    """What Django makes a 4xx of is the client's affair."""
    ask(over, f"/fail/{kind}")

    assert (observed[0].outcome, observed[0].error) == ("client_error", None)


@OVER
def test_errors_that_a_middleware_answers_are_known(observed, over):
    """Its process_exception has made a 503 of it."""
    answer = ask(over, "/fail/refused", middlewares=("Answering",))

    assert answer.status == 503
    assert type(observed[0].error) is site.Refused


@OVER
def test_errors_of_a_middleware_are_known(observed, over):
    """They come before any route."""
    answer = ask(over, "/broken", middlewares=("Answering",))

    assert answer.status == 500
    assert str(observed[0].error) == "of the middleware"
    assert observed[0].labels["http_route"] == "__unmatched__"


@OVER
def test_a_middleware_answers_before_any_route(observed, over):
    """It is counted, with one ID."""
    answer = ask(over, "/early", middlewares=("Answering",))

    assert answer.body == "early"
    assert [work.labels["http_route"] for work in observed] == ["__unmatched__"]
    assert answer.ids == [observed[0].context.correlation_id]


@OVER
@pytest.mark.parametrize("path", ["/orders/7/", "/async/orders/7/"])
@pytest.mark.parametrize(
    "middlewares",
    [
        ("sync_middleware",),
        ("async_middleware",),
        ("sync_middleware", "async_middleware"),
        ("async_middleware", "sync_middleware"),
        ("async_middleware", "sync_middleware", "async_middleware"),
    ],
)
def test_one_id_across_sync_and_async(observed, broken, over, path, middlewares):
    """Whatever thread or loop a middleware or view runs in, it sees the ID, and what it binds
    is on the request."""
    answer = ask(over, path, middlewares=middlewares)

    assert answer.status == 200
    [work] = [one for one in observed if one.kind is Kind.SERVER]
    assert {one for _, one in site.seen} == {work.context.correlation_id}
    assert len(site.seen) == 2 * len(middlewares) + (3 if "async" in path else 1)
    bound = work.context.unit.fields
    assert bound["order"] == 7
    assert {name.replace("_", " ") for name in bound} == {"order", *(who for who, _ in site.seen)}
    assert broken == {}
    assert context.get() is None


@OVER
def test_signals_are_in_the_request(observed, over):
    """Their receivers see the ID from the first to the last."""

    def receive(signal, **_):
        site.see("a receiver")

    signals = (request_started, got_request_exception, request_finished)
    for signal in signals:
        signal.connect(receive)
    try:
        ask(over, "/fail/boom")
    finally:
        for signal in signals:
            signal.disconnect(receive)

    assert site.seen == [("a receiver", observed[0].context.correlation_id)] * 3


@OVER
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_streams_have_the_id_in_each_chunk(observed, over, kind):
    """Iterators run after the view has returned, also those of the other kind."""
    answer = ask(over, f"/stream/{kind}")

    assert answer.body.split() == answer.ids * site.STEPS
    assert len([work for work in observed if work.kind is Kind.SERVER]) == 1


@OVER
def test_an_error_in_a_stream_arrives(observed, over):
    """The status was out already, and the server hears of the error."""
    with pytest.raises(LookupError, match="in the body"):
        ask(over, "/stream/broken")

    assert (observed[0].outcome, str(observed[0].error)) == ("server_error", "in the body")


def test_a_stream_that_is_closed_early(observed):
    """The server gives it up when the client is gone; the view's iterator is closed."""
    answer = Answer(site.wsgi(), environ("/stream/sync"))
    next(iter(answer.body))
    answer.close()

    assert [(work.outcome, work.error) for work in observed] == [("client_gone", None)]
    assert context.get() is None


def test_a_file_goes_by_the_servers_wrapper(observed):
    """It stays what the server has made, so that the system can send it."""

    class Wrapper:
        def __init__(self, file, size):
            self.close = file.close

        def __iter__(self):
            return iter(())

    answer = Answer(site.wsgi(), environ("/file", **{"wsgi.file_wrapper": Wrapper}))

    assert type(answer.body) is Wrapper
    answer.close()
    assert [work.labels["http_route"] for work in observed] == ["/file"]


async def test_a_client_that_leaves(observed):
    """Django calls the view off where it listens, since 5.0, and nobody is to blame."""
    one = site.Patient(scope("/slow"))
    task = asyncio.create_task(site.asgi()(one.scope, one.receive, one.send))
    await asyncio.sleep(0.1)
    one.left.set()
    await asyncio.wait([task], timeout=0.5)
    if not task.done():
        task.cancel()
        pytest.skip("this Django does not listen")

    assert [(work.outcome, work.error) for work in observed] == [("client_gone", None)]


async def test_a_client_that_leaves_while_it_sends(observed):
    """Django has not heard the whole request."""
    one = site.Patient(scope("/ok", "POST"))
    one._messages[0]["more_body"] = True
    one.left.set()
    await site.asgi()(one.scope, one.receive, one.send)

    assert [work.outcome for work in observed] == ["client_gone"]


async def test_requests_at_the_same_time_do_not_mix(observed):
    """Sync views of all requests share one thread each."""
    app = site.asgi()
    paths = ["/orders/7/", "/async/orders/8/"] * 10
    found = await asyncio.gather(*(site.ask(app, path) for path in paths))

    assert all(one.header("x-correlation-id") == [one.body] for one in found)
    assert len({one.body for one in found}) == 20
    numbers = sorted(work.context.unit.fields["order"] for work in observed if work.entry)
    assert numbers == [7] * 10 + [8] * 10


@OVER
def test_a_request_that_django_refuses(observed, over):
    """A strange host is a 400, found by a middleware."""
    with override_settings(ALLOWED_HOSTS=["shop.example"]):
        answer = ask(over, "/ok")

    assert answer.status == 400
    assert [work.outcome for work in observed] == ["client_error"]
    assert issubclass(DisallowedHost, Exception)


@OVER
def test_an_error_that_is_propagated_arrives(observed, over):
    """With DEBUG_PROPAGATE_EXCEPTIONS the error goes to the server, with the route known."""
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True):
        with pytest.raises(LookupError, match="boom"):
            ask(over, "/fail/boom")

    assert (observed[0].status, observed[0].labels["http_route"]) == (500, "/fail/<kind>")
    assert str(observed[0].error) == "boom"


@OVER
def test_the_handler_of_errors_fails(observed, over, monkeypatch):
    """It was to answer a 404; what is known is its own error."""

    def handler404(request, exception):
        raise ZeroDivisionError("in the handler")

    monkeypatch.setattr(site, "handler404", handler404, raising=False)
    site.django.urls.clear_url_caches()
    answer = ask(over, "/nowhere")
    monkeypatch.undo()
    site.django.urls.clear_url_caches()

    assert answer.status == 500
    assert str(observed[0].error) == "in the handler"


def test_an_explicit_middleware_around_django_is_the_owner(observed):
    """One observation, and Django names the route and the error."""
    plain = ask("wsgi", "/fail/boom", app=wsgi.Middleware(site.wsgi()))
    other = ask("asgi", "/fail/boom", app=asgi.Middleware(site.asgi()))

    assert (len(plain.ids), len(other.ids)) == (1, 1)
    servers = [work for work in observed if work.kind is Kind.SERVER]
    assert [work.name for work in servers] == ["GET /fail/<kind>"] * 2
    assert [str(work.error) for work in servers] == ["boom"] * 2


def test_django_in_a_mount_of_starlette(observed):
    """The prefix of the mount stands before the route, and the error is known."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    app = Starlette(routes=[Mount("/shop", app=site.asgi())])
    for path in ("/shop/orders/7/", "/shop/fail/boom"):
        ask("asgi", path, app=app)

    servers = [work for work in observed if work.kind is Kind.SERVER]
    assert [work.labels["http_route"] for work in servers] == [
        "/shop/orders/<int:number>/", "/shop/fail/<kind>",
    ]  # fmt: skip
    assert str(servers[1].error) == "boom"


def test_what_runserver_serves_itself_has_a_route(observed):
    """Static files belong to no route of the site."""
    handler = StaticFilesHandler(site.wsgi())
    paths = ("/static/calling.py", "/static/absent.css", "/ok")
    found = [ask("wsgi", path, app=handler) for path in paths]

    assert [answer.status for answer in found] == [200, 404, 200]
    routes = [work.labels["http_route"] for work in observed]
    assert routes == ["/static/<path:path>", "/static/<path:path>", "/ok"]


def test_djangos_own_test_client_works(observed):
    """It bypasses the handlers of servers: nothing is observed, and nothing harmed."""
    client = Client(raise_request_exception=False)

    assert [client.get(path).status_code for path in ("/ok", "/fail/boom")] == [200, 500]
    assert client.get("/ok").content == b"None"
    assert observed == []


def test_switched_off_nothing_is_remembered(observed):
    """Requests pass, errors and routes are nobody's."""
    instrumentation.uninstrument("django")
    answer = ask("wsgi", "/fail/boom", app=wsgi.Middleware(site.wsgi()))

    assert (answer.status, observed[0].error) == (500, None)
    assert observed[0].labels["http_route"] == "__unmatched__"


@pytest.mark.parametrize(
    "module",
    [
        "django.core.handlers.wsgi",
        "django.core.handlers.asgi",
        "django.core.handlers.base",
        "django.contrib.staticfiles.handlers",
        "django.test.client",
    ],
)
def test_whatever_is_imported_first_everything_is_hooked(module):
    """Some modules import others and are half made when these are there."""
    code = f"""
from obskit import instrumentation
from django.conf import settings
settings.configure()
instrumentation.instrument()
import {module}
import django.core.handlers.asgi, django.contrib.staticfiles.handlers
[row] = [one for one in instrumentation.status() if one.name == "django"]
print(len(row.targets), row.missing)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)

    assert told.stdout.split() == [b"6", b"{}"], told


def test_an_error_of_ours_is_contained(observed, broken, monkeypatch):
    """The request is served as ever."""
    monkeypatch.setattr(hooks, "_route", None)
    monkeypatch.setattr(hooks, "_routes", {})

    assert ask("wsgi", "/ok").status == 200
    assert broken == {"django.route": 1}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^$", ""),
        (r"^orders/(?P<number>\d+)/$", "orders/<number>/"),
        (r"^orders\.(?P<format>[a-z0-9]+)/?\Z", "orders.<format>/"),
        (r"^a/(\d+)/(x(y))/\w+$", r"a/<var>/<var>/\w"),
        (r"shops/<int:id>/^(?P<a>[^/()\]]+)(?=/x)(?i)/(?:b|c)$", "shops/<int:id>/<a>/b|c"),
        (r"^[]a)(]x/([)]y)$", "[]a)(]x/<var>"),
        (r"^broken/(?P<a", "broken/<a>"),
        (r"^broken/[a", "broken/[a"),
        ("broken\\", "broken"),
    ],
)
def test_regular_expressions_become_readable(pattern, text):
    """Anchors, quantifiers and what groups match are no part of a route."""
    assert hooks.readable(pattern) == text
    assert all(re.match(r"/\S*$", hooks._route(one)) for one in (pattern, text))


def test_few_routes_are_kept(monkeypatch):
    """A site that makes routes at run time costs time, and no memory."""
    monkeypatch.setattr(hooks, "_routes", {})
    monkeypatch.setattr(hooks, "_MOST_ROUTES", 2)
    found = [hooks._route(f"{number}/") for number in range(4)]

    assert found == ["/0/", "/1/", "/2/", "/3/"]
    assert len(hooks._routes) == 2
