"""A task while it runs, in a worker or eagerly in its caller."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from datetime import datetime
from types import ModuleType
from typing import Any

from obskit import context, conventions, health, observation
from obskit.instrumentation import _celery_message as message
from obskit.instrumentation import _patch
from obskit.instrumentation._drive import Switch
from obskit.observation import Kind, Message, Observation

Tracer = Callable[..., Any]

# What Celery raises to say how a task ended, and the state that it stands for.
_STATES = {"Retry": "RETRY", "Reject": "REJECTED", "Ignore": "IGNORED"}
_MARK = "_obskit_observed"

switches: list[Switch] = []
"""The switch of this row, once its hooks are in place."""


def observed(tracer: Tracer, task: Any, switch: Switch) -> Tracer:
    """Return what calls *tracer*, Celery's own function around each run of *task*.

    Around it, and not at its signals: so handlers of the application belong to the task
    whatever their order, and no handler that fails can keep us from the end.
    """
    if hasattr(tracer, _MARK):
        return tracer

    @functools.wraps(tracer)
    def trace_task(uuid: Any, args: Any, kwargs: Any, request: Any = None) -> Any:
        if not switch.on or observation.is_suppressed():
            return tracer(uuid, args, kwargs, request)
        work = _begin(task, uuid, request)
        if work is None:
            return tracer(uuid, args, kwargs, request)
        try:
            result = tracer(uuid, args, kwargs, request)
        except BaseException as error:
            if _is_ordered_to_end(error):
                observation.leave(work)
            else:
                _end(work, task, _STATES.get(type(error).__name__, "FAILURE"), error)
            raise
        info = getattr(result, "info", None)
        if info is None:
            observation.end(work)
        else:
            _end(work, task, info.state, info.retval)
        return result

    setattr(trace_task, _MARK, True)
    return trace_task


def _begin(task: Any, uuid: Any, request: Any) -> Observation | None:
    try:
        told = request if isinstance(request, dict) else {}
        if told.get("is_eager"):
            work = _eager(task.name)
            work.attributes["task_id"] = uuid
        else:
            work = of(task.name, uuid, told)
        start(work)
        return work
    except Exception as error:
        health.internal_error("celery.begin", error)
        return None


def _eager(name: str) -> Observation:
    """Return the observation of a task that is a plain call: a step of whoever makes it."""
    if context.current() is None:
        return Observation(name, Kind.INTERNAL, "task", {"task_name": name}, library="celery")
    return Observation(name, Kind.INTERNAL, "", {"name": name}, library="celery")


def of(name: str, uuid: Any, request: dict[str, Any]) -> Message:
    """Return the observation of a task that a message has asked for.

    Args:
        name: The registered name.
        uuid: Celery's ID of the task.
        request: The message's headers, and what the worker has added to them.
    """
    delivery = request.get("delivery_info") or {}
    work = conventions.task(
        name,
        "celery",
        message.destination(delivery.get("exchange"), delivery.get("routing_key")),
        carrier=message.told(request),
        library="celery",
        sent_at=_due(request.get("eta")),
        redelivered=delivery.get("redelivered"),
        attempt=(request.get("retries") or 0) + 1,
    )
    work.attributes["task_id"] = uuid
    work.source = message.source(request)
    return work


def start(work: Observation) -> None:
    """Begin *work*; an ID that was given to the message here is not said to be inherited."""
    observation.start(work)
    if work.carrier and message.NAMED_HERE in work.carrier and work.context is not None:
        work.context.unit.correlation_source = work.source


def _due(eta: Any) -> float | None:
    """Return when a task that had to wait was due: it has not been late before that."""
    if not isinstance(eta, str):
        return None
    try:
        due = datetime.fromisoformat(eta)
    except ValueError:
        return None
    return due.timestamp() if due.tzinfo is not None else None


def _is_ordered_to_end(error: BaseException) -> bool:
    """Tell whether the pool has sent this process away: its master says what that means."""
    if isinstance(error, Exception):
        return False
    common = sys.modules.get("billiard.common")
    return bool(getattr(common, "_should_have_exited", (False,))[0])


def _end(work: Observation, task: Any, state: str, error: Any) -> None:
    try:
        error = _judged(work, task, state, error)
    except Exception as fault:
        health.internal_error("celery.end", fault)
    observation.end(work, error if isinstance(error, BaseException) else None)


def _judged(work: Observation, task: Any, state: str, error: Any) -> Any:
    """Note how the task ended, and return the error that it is to blame for."""
    if state == "RETRY":
        if isinstance(work, Message):
            work.retried = True
        return getattr(error, "exc", None)
    if state == "REJECTED":
        work.rejected = True
        if isinstance(work, Message):
            work.retried = bool(getattr(error, "requeue", False))
            work.dead_lettered = not work.retried
        return getattr(error, "reason", None)
    if state == "IGNORED":
        return None
    # What a task lists in `throws` is no failure: it has said that this may happen.
    return None if isinstance(error, tuple(task.throws or ())) else error


def catch_up(trace: ModuleType) -> None:
    """Observe the tasks whose tracers were made already, and those that others will make.

    A module that took `build_tracer` by name before it was replaced goes on with its own.
    """
    replaced = _patch.find(trace, "build_tracer")[2]
    original = getattr(replaced, "__wrapped__", None)
    for name, holder in list(sys.modules.items()):
        if name.startswith("celery.") and original is not None:
            if getattr(holder, "__dict__", {}).get("build_tracer") is original:
                vars(holder)["build_tracer"] = replaced
    state: Any = sys.modules.get("celery._state")
    for app in list(getattr(state, "_apps", ())) if switches else ():
        for task in list(dict.values(app._tasks)) if isinstance(app._tasks, dict) else ():
            tracer = vars(task).get("__trace__")
            if tracer is not None:
                task.__trace__ = observed(tracer, task, switches[0])
