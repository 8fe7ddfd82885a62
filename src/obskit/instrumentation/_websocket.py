"""The engine for websockets over ASGI: one observation for each connection."""

from __future__ import annotations

from obskit import context, health, observation
from obskit.instrumentation import _asgi, _served
from obskit.instrumentation._asgi import App, Message, Receive, Scope, Send
from obskit.instrumentation._served import Served, Template

SWITCHED = 101
DENIED = 403
_NORMAL_CODES = frozenset({1000, 1001, 1005})


async def connect(
    app: App,
    scope: Scope,
    receive: Receive,
    send: Send,
    templates: tuple[Template, ...],
    library: str,
) -> None:
    """Call *app* for a websocket connection and observe it as one unit of work.

    Lines about a message have its number in the field ``message_seq``.
    """
    served = _asgi.begin(scope, templates, library)
    if served is None:
        await app(scope, receive, send)
        return
    count = 0

    async def receive_on() -> Message:
        nonlocal count
        message = await receive()
        try:
            if message["type"] == "websocket.receive":
                count += 1
                _number(served, count)
            elif message["type"] == "websocket.disconnect":
                _left(served, message)
        except Exception as error:
            health.internal_error("asgi.websocket", error)
        return message

    async def send_on(message: Message) -> None:
        try:
            message = _sent(served, message)
        except Exception as error:
            health.internal_error("asgi.websocket", error)
        await send(message)

    try:
        await app(scope, receive_on, send_on)
    except BaseException as error:
        served.find_route(scope)
        if type(error).__name__ == "WebSocketDisconnect":
            # How frameworks tell an application that waits that its client has left.
            _served.finish(served)
        _served.fail(served, error)
        raise
    served.find_route(scope)
    served.observation.attributes["websocket_messages"] = count
    _served.finish(served)
    observation.leave(served.observation)


def _number(served: Served, count: int) -> None:
    attached, here = context.get(), served.observation.context
    if attached is not None and here is not None and attached.unit is here.unit:
        context.attach(context.with_fields(attached, {**attached.fields, "message_seq": count}))


def _left(served: Served, message: Message) -> None:
    code = message.get("code", 1005)
    served.observation.attributes.setdefault("websocket_close_code", code)
    served.gone = code not in _NORMAL_CODES


def _sent(served: Served, message: Message) -> Message:
    """Note how the handshake was answered, and by which code the connection was closed."""
    kind = message["type"]
    if kind == "websocket.accept":
        served.observation.status = SWITCHED
    elif kind == "websocket.http.response.start":
        served.observation.status = message["status"]
    elif kind == "websocket.close":
        if served.observation.status is None:
            served.observation.status = DENIED
        served.observation.attributes.setdefault("websocket_close_code", message.get("code", 1000))
        return message
    else:
        return message
    return {**message, "headers": _asgi.answered(served, message.get("headers") or ())}
