"""asgi-correlation-id around a whole application: each answer has one correlation ID, ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obskit import health
from obskit.instrumentation._asgi import Message, Receive, Scope, Send
from obskit.instrumentation._drive import Switch, instead
from obskit.instrumentation._served import MARK, Served


@instead("asgi_correlation_id.middleware", "CorrelationIdMiddleware.__call__")
def answer(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
    """Take out what it appends where the application within has answered with our header.

    Added to an application it is within what we observe, where our header has the last word.
    """

    async def replacement(self: Any, scope: Scope, receive: Receive, send: Send) -> Any:
        if not switch.on or MARK in scope:
            return await original(self, scope, receive, send)

        async def send_on(message: Message) -> None:
            await send(_with_one(scope, message))

        return await original(self, scope, receive, send_on)

    return replacement


def _with_one(scope: Scope, message: Message) -> Message:
    """Return *message* with one header of our name, if it is the start of an observed answer."""
    try:
        if message["type"] == "http.response.start" and MARK in scope:
            served: Served = scope[MARK]
            name, work = served.wire.correlation_bytes, served.observation
            others = [pair for pair in message["headers"] if pair[0].lower() != name]
            more_than_one = len(message["headers"]) - len(others) > 1
            if more_than_one and served.wire.says_id and work.context is not None:
                ours = (name, work.context.unit.correlation_id.encode())
                return {**message, "headers": [*others, ours]}
    except Exception as error:
        health.internal_error("asgi_correlation_id.answer", error)
    return message
