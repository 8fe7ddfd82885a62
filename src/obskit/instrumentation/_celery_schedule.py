"""An operation that a schedule begins: each task that beat sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obskit import context, health, observation
from obskit.observation import Kind, Observation

SOURCE = "schedule"


def due(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call *wrapped* for an entry of a schedule, in an operation of its own."""
    here = context.current()
    if here is not None and here.unit.running and here.correlation_source == SOURCE:
        return wrapped(*args, **kwargs)
    work = _begin(args[0] if args else kwargs.get("entry"))
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        _end(work, error)
        raise
    _end(work, None)
    return result


def _begin(entry: Any) -> Observation | None:
    try:
        name = f"schedule {getattr(entry, 'name', '')}"
        work = Observation(name, Kind.INTERNAL, labels={"name": name}, library="celery")
        # Nobody has asked for this, whatever was going on here before.
        work.entry = True
        work.source = SOURCE
        observation.start(work)
        return work
    except Exception as error:
        health.internal_error("celery.schedule", error)
        return None


def _end(work: Observation | None, error: BaseException | None) -> None:
    if work is None:
        return
    if error is None and work.context is not None:
        # Beat says that it could not send, and goes on.
        failed = work.context.unit.failed_call
        error = failed.error if failed is not None else None
    observation.end(work, error)
