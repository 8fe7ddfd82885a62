"""Requests that urllib3 sends over the network: each retry and each hop of a redirect by itself."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from obskit import context, conventions, health, observation, propagation
from obskit.instrumentation._drive import Call, Hook, around, wraps
from obskit.instrumentation._outgoing import Copied


class Place:
    """Where a pool connects to, in the words of a URL."""

    __slots__ = ("host", "path", "port", "scheme")

    def __init__(self, pool: Any, path: str = "") -> None:
        self.scheme: str = pool.scheme
        self.host: str = pool.host
        self.port: int | None = pool.port
        self.path = path


@wraps("urllib3.connectionpool", "HTTPConnectionPool._make_request")
def send(call: Call) -> Hook:
    """Observe one attempt, from connecting until its answer is there.

    These are the headers; urllib3 2 reads the body in here too, unless it is to be streamed.
    """
    if _is_within():
        return
    url = call.argument(2, "url")
    # Through a proxy that makes no tunnel the pool is that of the proxy, and the URL complete.
    place = Place(call.instance, url.partition("?")[0]) if url[:1] == "/" else url
    carrier, headers = None, call.kwargs.get("headers")
    if headers is not None:
        carrier = Copied(headers)
        call.kwargs = {**call.kwargs, "headers": carrier.headers}
    work = conventions.http_client(call.argument(1, "method"), place, carrier=carrier)
    try:
        response = yield work
    except Exception as error:
        observation.finish(work, _cause(error))
        raise
    work.status = response.status
    propagation.hear(response.headers, work.peer)


@around("urllib3.connectionpool", "HTTPSConnectionPool._prepare_proxy")
def tunnel(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Observe the tunnel through a proxy that fails: there is no attempt then."""
    began_ns = perf_counter_ns()
    try:
        return wrapped(*args, **kwargs)
    except BaseException as error:
        _note_failure(instance, perf_counter_ns() - began_ns, error)
        raise


def _note_failure(pool: Any, duration_ns: int, error: BaseException) -> None:
    if observation.is_suppressed() or _is_within():
        return
    try:
        work = conventions.http_client("CONNECT", Place(pool), library="urllib3")
        observation.start(work)
        work.started_ns -= duration_ns
        work.started_at_ns -= duration_ns
        observation.end(work, _cause(error))
    except Exception as fault:
        health.internal_error("hook.urllib3.tunnel", fault)


def _cause(error: BaseException) -> BaseException:
    """Return what has happened: a refused connection is a kind of timeout in urllib3's words."""
    if any(kind.__name__ == "NewConnectionError" for kind in type(error).__mro__):
        return error.__cause__ or error.__context__ or error
    return error


def _is_within() -> bool:
    """Tell whether another client makes this call: requests uses urllib3."""
    here = context.get()
    return here is not None and here.exit
