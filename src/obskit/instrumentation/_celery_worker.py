"""What a worker's main process says and does about tasks that others carry out."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from time import time
from typing import Any

from obskit import clock, context, health, observation, propagation
from obskit.context import Context
from obskit.instrumentation import _celery_message as message
from obskit.instrumentation import _celery_run
from obskit.instrumentation._drive import Switch

_PLACE, _ENDED = "_obskit_place", "_obskit_ended"

# What a task ended in that its process could not end itself.
_LOST = frozenset({"WorkerLostError", "TimeLimitExceeded"})


class Place:
    """Where the lines about one message belong: the operation that it came from.

    The main process has a strand of its own in it; what a child writes is elsewhere.
    """

    __slots__ = ("context", "position")

    def __init__(self, headers: dict[str, Any]) -> None:
        told = propagation.readable(message.told(headers))
        unit, self.position, _ = propagation.take(told, None, message.source(headers), True)
        self.context = Context(unit, unit.root_span_id, unit.parent_span_id, {})


def place_of(received: Any) -> Place | None:
    """Return the place of a message, the same each time; None for one that has no headers."""
    known, headers = getattr(received, "__dict__", None), getattr(received, "headers", None)
    if known is None or not isinstance(headers, dict) or "task" not in headers:
        return None
    found: Place | None = known.get(_PLACE)
    if found is None:
        found = known[_PLACE] = Place(headers)
        message.name(headers, found.context)
    return found


def within(
    received: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call *function* at the place of the message *received*."""
    try:
        place = place_of(received)
    except Exception as error:
        health.internal_error("celery.place", error)
        place = None
    before = context.get()
    if place is None or before is place.context:
        return function(*args, **kwargs)
    position = clock.current()
    context.attach(place.context)
    clock.attach(place.position)
    try:
        return function(*args, **kwargs)
    finally:
        place.position = clock.current() or place.position
        context.attach(before)
        clock.attach(position)


def receiving(handler: Any, switch: Switch) -> Any:
    """Return what calls *handler*, which a worker has for the messages of one task."""
    if not callable(handler):
        return handler

    @functools.wraps(handler)
    def task_message_handler(received: Any, *args: Any, **kwargs: Any) -> Any:
        if not switch.on:
            return handler(received, *args, **kwargs)
        return within(received, handler, (received, *args), kwargs)

    return task_message_handler


def following(
    method: Callable[..., Any], request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a *method* of a worker's *request*, and end the task if nobody else has."""
    try:
        return within(getattr(request, "message", None), method, args, kwargs)
    finally:
        try:
            _conclude(method.__name__, request, args, kwargs)
        except Exception as error:
            health.internal_error("celery.conclude", error)


def _conclude(name: str, request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if name == "_announce_revoked":
        end(request, None, "cancelled")
    elif name == "on_failure":
        info = args[0] if args else kwargs.get("exc_info")
        error = getattr(info, "exception", None)
        # Billiard packs an error up together with the text of its traceback.
        error = getattr(error, "exc", error)
        is_lost = type(error).__name__ in _LOST and request.worker_pid != os.getpid()
        if is_lost and isinstance(error, BaseException):
            end(request, error)
    elif name == "on_timeout" and not (args[0] if args else kwargs.get("soft")):
        end(request, TimeoutError("hard time limit exceeded"))


def end(request: Any, error: BaseException | None, outcome: str = "ok") -> None:
    """Observe the end of a task that was revoked, or lost with its process; once."""
    known = vars(request)
    if known.get(_ENDED):
        return
    known[_ENDED] = True
    work = _celery_run.of(request.task.name, request.id, request.request_dict)
    cause = within(request.message, clock.header, (), {})
    if cause and work.carrier:
        # It comes after what was said here, not only after what the sender has said.
        work.carrier = {**work.carrier, propagation.policy().cause_header.lower(): cause}
    begun = request.time_start
    _celery_run.start(work)
    if begun:
        elapsed = max(0, int((time() - begun) * 1e9))
        work.started_ns -= elapsed
        work.started_at_ns -= elapsed
    work.outcome = outcome
    observation.end(work, error)
