"""The engine for websockets, without a server."""

import pytest

from obskit import context
from obskit.asgi import Middleware
from tests.instrumentation.calling import Call, scope

ACCEPT = {"type": "websocket.accept", "headers": [(b"a", b"1")]}
CONNECT = {"type": "websocket.connect"}


def text(number):
    return {"type": "websocket.receive", "text": str(number)}


def closing(code):
    return {"type": "websocket.disconnect", "code": code}


async def connect(app, *messages, **changes):
    """Call the application with a connection."""
    one = Call(scope(**changes) | {"type": "websocket", "scheme": "ws"}, [CONNECT, *messages])
    del one.scope["method"]
    await Middleware(app, route=lambda scope: "/chat/{room}")(one.scope, one.receive, one.send)
    return one


async def echo(scope, receive, send):
    """Accept, answer each message, and stop when the client leaves."""
    await receive()
    await send(ACCEPT)
    echo.seen = []
    while (message := await receive())["type"] == "websocket.receive":
        echo.seen.append((context.correlation_id(), context.get().fields.get("message_seq")))
        await send({"type": "websocket.send", "text": message["text"]})


async def test_a_connection_is_one_unit_of_work(observed):
    """From handshake to close there is one observation, and it is no HTTP duration."""
    await connect(echo, text(1), text(2), closing(1000), headers=[("x-correlation-id", "abc")])
    work = observed[0]

    assert (len(observed), work.name) == (1, "WEBSOCKET /chat/{room}")
    assert (work.protocol, work.status, work.outcome) == ("websocket", 101, "ok")
    assert work.attributes["websocket_close_code"] == 1000
    assert work.attributes["websocket_messages"] == 2
    assert context.get() is None


async def test_messages_are_told_apart(observed):
    """All have the connection's ID, and each its number."""
    await connect(echo, text(1), text(2), closing(1000), headers=[("x-correlation-id", "abc")])

    assert echo.seen == [("abc", 1), ("abc", 2)]


async def test_the_handshake_is_answered_with_the_id(observed):
    """The accept message has the header once, beside those of the application."""
    one = await connect(echo, closing(1000))

    assert one.sent[0]["headers"][0] == (b"a", b"1")
    assert one.header("x-correlation-id") == [observed[0].context.correlation_id]
    assert ACCEPT["headers"] == [(b"a", b"1")]


@pytest.mark.parametrize(
    ("code", "outcome"), [(1000, "ok"), (1001, "ok"), (1005, "ok"), (1006, "client_gone")]
)
async def test_the_close_code_tells_how_the_client_left(observed, code, outcome):
    """Going away is a normal end, a broken connection is not."""
    await connect(echo, closing(code))

    assert observed[0].outcome == outcome


async def test_a_refused_connection_is_a_client_error(observed):
    """Closing before accepting is answered with 403 by the server."""

    async def refuse(scope, receive, send):
        await send({"type": "websocket.close", "code": 4401})

    await connect(refuse)

    assert (observed[0].status, observed[0].outcome) == (403, "client_error")
    assert observed[0].attributes["websocket_close_code"] == 4401


async def test_a_refusal_may_be_a_response(observed):
    """With the denial extension the answer has a status and our header."""

    async def refuse(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})

    one = await connect(refuse)

    assert (observed[0].status, observed[0].outcome) == (401, "client_error")
    assert len(one.header("x-correlation-id")) == 1


async def test_an_error_is_a_server_error(observed):
    """Before the handshake it is a 500, later the connection breaks."""

    async def early(scope, receive, send):
        raise LookupError

    async def late(scope, receive, send):
        await send(ACCEPT)
        raise LookupError

    for app in (early, late):
        with pytest.raises(LookupError):
            await connect(app)

    assert [(work.status, work.outcome) for work in observed] == [
        (500, "server_error"),
        (101, "server_error"),
    ]


class WebSocketDisconnect(Exception):
    """As frameworks have it."""


async def test_a_disconnect_that_nobody_catches_is_no_server_error(observed):
    """Waiting for the next message until the client leaves is how most handlers end."""

    async def handler(scope, receive, send):
        await send(ACCEPT)
        await receive()
        if (await receive())["type"] == "websocket.disconnect":
            raise WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect):
        await connect(handler, closing(1000))

    assert (observed[0].outcome, observed[0].error) == ("ok", None)


async def test_malformed_messages_go_to_the_server_as_they_are(observed, broken):
    """What the application does wrong is the server's to say."""

    async def strange(scope, receive, send):
        await send({"type": "websocket.http.response.start"})

    one = await connect(strange)

    assert one.sent == [{"type": "websocket.http.response.start"}]
    assert broken == {"asgi.websocket": 1}


async def test_a_scope_that_cannot_be_read_is_served_unobserved(observed, broken):
    """A strange server serves on."""
    await connect(echo, closing(1000), client=7)

    assert broken == {"asgi.begin": 1}
    assert not observed
