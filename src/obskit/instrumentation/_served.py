"""A request while it is served: what engine, framework and server say to each other about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obskit import clock, context, conventions, health, observation
from obskit.instrumentation._wire import Wire
from obskit.observation import Observation

# The key in an ASGI scope or a WSGI environ; PEP 3333 wants a dot in names of what is no text.
# Who finds it there lets the request pass: it has an owner. Whoever writes access lines sees
# that this request has a summary line.
MARK = "obskit.served"

# Gets the scope or environ, returns the template of the route that the request has matched.
Template = Callable[[Any, "Served"], str | None]


class Served:
    """One request or connection and its observation.

    Whatever routes a request names the route here. *prefix* is what outer mounts have matched,
    *is_ours* whether the caller spoke of an operation and can be told of its clock.
    """

    __slots__ = (
        "error",
        "gone",
        "is_ours",
        "observation",
        "position",
        "prefix",
        "routed",
        "templates",
        "wire",
    )

    def __init__(self, work: Observation, wire: Wire, template: Template) -> None:
        self.observation = work
        self.wire = wire
        # Asked in this order where no route has named itself; applications within add theirs.
        self.templates: tuple[Template, ...] = (template,)
        self.position = clock.current()
        self.prefix = ""
        self.routed = False
        self.is_ours = False
        self.gone = False
        self.error: BaseException | None = None

    def route(self, template: str) -> None:
        """Note that the request has matched *template* (``/orders/{id}``)."""
        self.routed = True
        conventions.set_route(self.observation, self.prefix + template)

    def find_route(self, request: Any) -> None:
        """Ask for the route of *request*, a scope or an environ, unless it has named itself."""
        if self.routed:
            return
        for template in self.templates:
            try:
                found = template(request, self)
            except Exception as error:
                health.internal_error("instrumentation.route", error)
                continue
            if found:
                self.route(found)
                return

    def blame(self, error: BaseException | None, status: int) -> None:
        """Note that *error* has made the answer a *status*.

        An error that is an answer itself (HTTPException) tells nothing; what led to it does.
        """
        while error is not None and status in (
            getattr(error, "status_code", None),
            getattr(error, "code", None),
        ):
            error = error.__cause__ or error.__context__
        self.error = error


def begin(work: Observation, headers: dict[str, str], wire: Wire, template: Template) -> Served:
    """Start the observation of a request with *headers*."""
    attached = context.get()
    if attached is not None and (attached.unit.answered or not attached.unit.running):
        _clear_leaks(attached)
    observation.start(work)
    served = Served(work, wire, template)
    here = work.context
    if here is not None and here.unit.trusted:
        source = here.unit.correlation_source
        served.is_ours = source == "inherited" or source == "baggage" or wire.cause in headers
    return served


def finish(served: Served, error: BaseException | None = None) -> None:
    """End the observation at the end of the response; only the first call counts."""
    work = served.observation
    if work.finished:
        return
    work.client_gone = served.gone
    error = error or served.error
    here, attached = work.context, context.get()
    if here is None or (attached is not None and attached.span_id == here.span_id):
        observation.finish(work, error)
    else:
        _finish_elsewhere(served, here, attached, error)


def _finish_elsewhere(
    served: Served,
    here: context.Context,
    attached: context.Context | None,
    error: BaseException | None,
) -> None:
    """End a response that ends in a step, task or thread of its own; its line is the request's."""
    position = clock.current()
    inside = attached is not None and attached.unit is here.unit
    context.attach(here)
    if not inside:
        clock.attach(served.position)
    try:
        observation.finish(served.observation, error)
    finally:
        context.attach(attached)
        if not inside:
            clock.attach(position)


def fail(served: Served, error: BaseException) -> None:
    """End the observation by an error that goes to the server; its line about it has the ID."""
    work = served.observation
    if not work.finished:
        if work.status is None and isinstance(error, Exception) and not served.gone:
            work.status = 500
        finish(served, error)
    leave(served)


def leave(served: Served) -> None:
    """Leave the request, but keep its context for what the server has to say about it.

    In-process callers (test clients, gateways) go on with a context of their own.
    """
    outer = served.observation.previous
    nested = outer is not None and outer.unit.running
    observation.leave(served.observation, keep=not nested)


offers: list[Callable[[Observation, object], None]] = []
"""Called with a request and the tracer provider that its application alone was given."""


def offer(served: Served, provider: object) -> None:
    """Offer *provider* to whoever records spans: the one SERVER span belongs there."""
    for take in offers:
        try:
            take(served.observation, provider)
        except Exception as error:
            health.internal_error("instrumentation.offer", error)


leak_cleaners: list[Callable[[], Any]] = []
"""Called where a request finds the context of a finished one: asyncio's loop hands it over
from request to request of one connection when a body was so large that reading was paused."""


def _clear_leaks(attached: context.Context) -> None:
    if attached.unit is context.PROCESS:
        return
    for clear in leak_cleaners:
        try:
            clear()
        except Exception as error:
            health.internal_error("instrumentation.leak", error)
