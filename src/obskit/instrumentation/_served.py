"""A request while it is served: what engine, framework and server say to each other about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obskit import clock, context, health
from obskit.clock import current as position
from obskit.context import get as attached_context
from obskit.conventions import set_route
from obskit.instrumentation._wire import Wire
from obskit.observation import Observation
from obskit.observation import finish as end_observation
from obskit.observation import leave as leave_observation

# The key in an ASGI scope or a WSGI environ; PEP 3333 wants a dot in names of what is no text.
# Who finds it there lets the request pass: it has an owner. Whoever writes access lines sees
# that this request has a summary line.
MARK = "obskit.served"

# Gets the scope or environ, returns the template of the route that the request has matched.
Template = Callable[[Any, "Served"], str | None]

Place = tuple[context.Context | None, clock.Position | None]

# Where the correlation ID of a caller who spoke of an operation came from.
SPOKEN = ("inherited", "baggage")


class Served:
    """One request or connection and its observation.

    Whatever routes a request names the route here. *prefix* is what outer mounts have matched,
    *blamed* the error that has made the answer what it is. Of a body over WSGI *expected* is
    how many bytes are still to come, where that is known, and *place* where it goes on, if it
    does so somewhere else.
    """

    # No slots, and what is mostly so stands here: each request makes one.
    prefix = ""
    routed = False
    gone = False
    failed = False
    trailers = False
    blamed: BaseException | None = None
    expected: int | None = None
    place: Place = (None, None)

    def __init__(self, work: Observation, wire: Wire, templates: tuple[Template, ...]) -> None:
        self.observation = work
        self.wire = wire
        # Asked in this order where no route has named itself; applications within add theirs.
        self.templates = templates
        self.position = position()

    def route(self, template: str) -> None:
        """Note that the request has matched *template* (``/orders/{id}``)."""
        self.routed = True
        set_route(self.observation, self.prefix + template)

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
                self.routed = True
                set_route(self.observation, self.prefix + found)
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
        self.blamed = error


def finish(served: Served, error: BaseException | None = None) -> None:
    """End the observation at the end of the response; only the first call counts."""
    work = served.observation
    if work.finished:
        return
    work.client_gone = served.gone
    here, attached = work.context, attached_context()
    if (
        attached is here
        or here is None
        or (attached is not None and attached.span_id == here.span_id)
    ):
        end_observation(work, error or served.blamed)
    else:
        _finish_elsewhere(served, here, attached, error or served.blamed)


def _finish_elsewhere(
    served: Served,
    here: context.Context,
    attached: context.Context | None,
    error: BaseException | None,
) -> None:
    """End a response that ends in a step, task or thread of its own; its line is the request's."""
    here_before = position()
    inside = attached is not None and attached.unit is here.unit
    context.attach(here)
    if not inside:
        clock.attach(served.position)
    try:
        end_observation(served.observation, error)
    finally:
        context.attach(attached)
        if not inside:
            clock.attach(here_before)


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
    work = served.observation
    outer, here = work.previous, work.context
    if outer is None and here is not None:
        # All that leaving means where the context stays and nothing was there before it.
        here.unit.running = False
    else:
        leave_observation(work, keep=outer is None or not outer.unit.running)


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


def clear_leaks(attached: context.Context) -> None:
    """Clear what a finished request has left, where *attached* is its context."""
    if attached.unit is context.PROCESS or (attached.unit.running and not attached.unit.answered):
        return
    for clear in leak_cleaners:
        try:
            clear()
        except Exception as error:
            health.internal_error("instrumentation.leak", error)
