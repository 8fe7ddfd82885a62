"""Requests that aiohttp's client sends: each attempt and each hop of a redirect by itself.

Connecting, sending and waiting for the headers are three calls of aiohttp's. They make one
observation, which the first of them begins and the last one ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from obskit import conventions, observation, propagation
from obskit.instrumentation import _drive
from obskit.instrumentation._drive import Call, Hook, Switch, instead
from obskit.instrumentation._outgoing import REDIRECTS, Outgoing
from obskit.observation import Observation

Method = Callable[..., Any]


class Hop:
    """What is under way: one request to one host."""

    __slots__ = ("_others", "_steps", "_work", "request", "response")

    def __init__(self, request: Any, steps: Hook, work: Observation, others: list[Hop]) -> None:
        self.request = request
        self.response: Any = None
        self._steps = steps
        self._work = work
        self._others = others
        others.append(self)
        observation.start(work)

    def succeed(self, response: Any) -> None:
        """End it: the headers of *response* are there."""
        if self._is_last_word():
            _drive.resume(exchange, self._steps, response)
            observation.end(self._work)

    def fail(self, error: BaseException) -> None:
        """End it with *error*."""
        if self._is_last_word():
            _drive.fail(exchange, self._steps, self._work, error)

    def interrupt(self, error: BaseException) -> None:
        """End it with *error*, unless that becomes another one for the caller: a timeout."""
        if not (isinstance(error, asyncio.CancelledError) and self._ends_the_call()):
            self.fail(error)

    def _ends_the_call(self) -> bool:
        """Tell whether a cancellation is for the whole call, not for this attempt alone."""
        import aiohttp

        if not hasattr(aiohttp, "ClientMiddlewareType"):
            # Before 3.12 there are no middlewares, so nobody can try again.
            return True
        timer = getattr(self.request, "_timer", None)
        return getattr(timer, "_cancelled", False) is True

    def _is_last_word(self) -> bool:
        if self not in self._others:
            return False
        self._others.remove(self)
        return True


# What is under way for one call of the user's.
_hops: ContextVar[list[Hop] | None] = ContextVar("obskit_aiohttp_hops", default=None)


def exchange(call: Call) -> Hook:
    """Observe one request, from connecting until the headers of its response are there."""
    request = call.argument(0, "req")
    carrier = Outgoing(request.headers)
    work = conventions.http_client(request.method, request.url, carrier=carrier)
    response = yield work
    work.status = response.status
    propagation.hear(response.headers, work.peer)
    if response.status in REDIRECTS:
        carrier.take_back()


def _begin(connector: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hop | None:
    hops = _hops.get()
    if hops is None or observation.is_suppressed():
        return None
    call = Call(connector, args, kwargs)
    begun = _drive.prepare(exchange, call, "aiohttp")
    return None if begun is None else Hop(call.argument(0, "req"), *begun, hops)


@instead("aiohttp.client", "ClientSession._request")
def ask(original: Method, switch: Switch) -> Method:
    """End what is still under way when the user gets his response, or his error."""

    async def _request(*args: Any, **kwargs: Any) -> Any:
        if not switch.on:
            return await original(*args, **kwargs)
        outer, hops = _hops.get(), list[Hop]()
        _hops.set(hops)
        try:
            response = await original(*args, **kwargs)
        except BaseException as error:
            for hop in reversed(hops):
                hop.fail(error)
            raise
        finally:
            _hops.set(outer)
        for hop in reversed(hops):
            hop.succeed(response)
        return response

    return _request


@instead("aiohttp.connector", "BaseConnector.connect")
def connect(original: Method, switch: Switch) -> Method:
    """Begin a hop, and go on until there is a connection."""

    async def connect(*args: Any, **kwargs: Any) -> Any:
        hop = _begin(args[0], args[1:], kwargs) if switch.on and args else None
        try:
            return await original(*args, **kwargs)
        except BaseException as error:
            if hop is not None:
                hop.interrupt(error)
            raise

    return connect


@instead("aiohttp.client_reqrep", "ClientRequest.send")
def send(original: Method, switch: Switch) -> Method:
    """Go on until the request is sent."""

    async def send(*args: Any, **kwargs: Any) -> Any:
        hop = _of("request", args)
        try:
            response = await original(*args, **kwargs)
        except BaseException as error:
            if hop is not None:
                hop.interrupt(error)
            raise
        if hop is not None:
            hop.response = response
        return response

    return send


@instead("aiohttp.client_reqrep", "ClientResponse.start")
def start(original: Method, switch: Switch) -> Method:
    """Go on until the headers are there, and end the hop."""

    async def start(*args: Any, **kwargs: Any) -> Any:
        hop = _of("response", args)
        try:
            result = await original(*args, **kwargs)
        except BaseException as error:
            if hop is not None:
                hop.interrupt(error)
            raise
        if hop is not None:
            hop.succeed(hop.response)
        return result

    return start


def _of(name: str, args: tuple[Any, ...]) -> Hop | None:
    """Return the hop whose request or response this is; a proxy is asked with others."""
    for hop in _hops.get() or ():
        if args and getattr(hop, name) is args[0]:
            return hop
    return None
