"""The explicit middleware for ASGI, around an application that obskit does not know."""

import inspect

import pytest

from obskit import context, instrumentation
from obskit.asgi import Middleware
from obskit.observation import suppress
from tests.instrumentation.calling import Call, call, scope


@pytest.fixture
def live(ended):
    """Switch observing on, and give the observations that have ended."""
    instrumentation.instrument("asgi")
    yield ended
    instrumentation.uninstrument()


async def shop(scope, receive, send):
    """Answer with the ID that is known inside."""
    shop.seen = context.correlation_id()
    shop.scope = scope
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        return
    if scope["type"] == "lifespan":
        return
    scope["route"] = "/orders/{id}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_a_request_is_observed(live):
    """The ID inside is on the answer; without a route function the route is unmatched."""
    one = await call(Middleware(shop), "/orders/7")

    assert one.header("x-correlation-id") == [shop.seen] == [live[0].context.correlation_id]
    assert (live[0].name, live[0].labels["http_route"]) == ("GET", "__unmatched__")
    assert live[0].library == "asgi"


async def test_a_route_function_names_the_route(live):
    """It is asked at the end, when the application has left it in the scope."""
    await call(Middleware(shop, route=lambda scope: scope["route"]), "/orders/7")

    assert live[0].name == "GET /orders/{id}"


async def test_a_websocket_is_observed(live):
    """One connection is one unit of work."""
    one = Call({**scope("/chat"), "type": "websocket"}, [])
    await Middleware(shop)(one.scope, one.receive, one.send)

    assert (live[0].name, live[0].protocol) == ("WEBSOCKET", "websocket")
    assert one.header("x-correlation-id") == [shop.seen]


@pytest.mark.parametrize("kind", ["lifespan", "something.new"])
async def test_what_is_no_request_passes(live, kind):
    """Start and stop of the application, and whatever servers will invent."""
    one = Call({"type": kind}, [])
    try:
        await Middleware(shop)(one.scope, one.receive, one.send)
    except KeyError:
        assert kind == "something.new"

    assert live == []
    assert shop.scope is one.scope


async def test_two_of_them_observe_once(live):
    """The outer one owns the request."""
    one = await call(Middleware(Middleware(shop)))

    assert len(live) == 1
    assert one.header("x-correlation-id") == [shop.seen]


async def test_it_is_inert_while_obskit_is_off(ended):
    """Before `init` and after `uninstrument` the answer is the application's own."""
    instrumentation.uninstrument()
    one = await call(Middleware(shop))

    assert (one.status, one.header("x-correlation-id"), shop.seen) == (200, [], None)
    assert ended == []


async def test_it_is_inert_while_suppressed(live):
    """Our own servers are no part of the service's work."""
    with suppress():
        one = await call(Middleware(shop))

    assert (one.header("x-correlation-id"), live) == ([], [])


def test_servers_take_it_for_an_asgi_3_application():
    """Its call is a coroutine function with three arguments."""
    assert inspect.iscoroutinefunction(Middleware(shop).__call__)
    assert list(inspect.signature(Middleware(shop)).parameters) == ["scope", "receive", "send"]
    assert Middleware(shop).app is shop
