"""Tasks of Celery: sent, carried out, retried, revoked, lost, and sent by beat."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any

from obskit import clock, context, observation
from obskit.instrumentation import _celery_message as message
from obskit.instrumentation import _celery_run, _celery_schedule, _celery_worker
from obskit.instrumentation._drive import Switch, around, attaches, instead


@instead("celery.app.base", "Celery.send_task")
def publish(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
    """Observe the sending of one task, from looking for a connection until the broker has it."""

    def replacement(*args: Any, **kwargs: Any) -> Any:
        here = context.get()
        if not switch.on or (here is not None and here.exit) or observation.is_suppressed():
            return original(*args, **kwargs)
        work = message.to_send(args, kwargs)
        if work is None:
            return original(*args, **kwargs)
        before = message.sending.get()
        message.sending.set(work)
        observation.start(work)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            message.sending.set(before)
            message.fail(work, args[0], kwargs)
            observation.end(work, error)
            raise
        message.sending.set(before)
        observation.finish(work)
        observation.leave(work)
        return result

    return replacement


@attaches("celery.signals")
def addressed(signals: ModuleType) -> Generator[None, None, None]:
    """Put the operation's identity into a message's headers, which are Celery's own by then."""
    signal = signals.before_task_publish
    signal.connect(message.address, weak=False, dispatch_uid="obskit")
    yield
    signal.disconnect(dispatch_uid="obskit")


@instead("celery.app.trace", "build_tracer")
def carry_out(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
    """Observe each run of the tasks that a worker, or an eager call, prepares from now on."""

    def build_tracer(name: str, task: Any, *args: Any, **kwargs: Any) -> Any:
        tracer = original(name, task, *args, **kwargs)
        return _celery_run.observed(tracer, task, switch)

    _celery_run.switches[:] = [switch]
    return build_tracer


@attaches("celery.app.trace")
def catch_up(trace: ModuleType) -> Generator[None, None, None]:
    """Observe also the tasks that were prepared before anybody called us."""
    _celery_run.catch_up(trace)
    yield


@instead("celery.worker.strategy", "default")
def receive(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
    """Let what the worker says of a message it has received belong to the message's operation."""

    def default(*args: Any, **kwargs: Any) -> Any:
        return _celery_worker.receiving(original(*args, **kwargs), switch)

    return default


@around("celery.worker.request", "Request.revoked")
@around("celery.worker.request", "Request.on_accepted")
@around("celery.worker.request", "Request._announce_revoked")
@around("celery.worker.request", "Request.on_failure")
@around("celery.worker.request", "Request.on_timeout")
def follow(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Let what the worker's main process says of a task belong to its operation.

    Of a task that no child could end (killed, out of time, revoked) it is the end.
    """
    return _celery_worker.following(wrapped, instance, args, kwargs)


@around("celery.worker.consumer.consumer", "Consumer.on_unknown_message")
@around("celery.worker.consumer.consumer", "Consumer.on_unknown_task")
@around("celery.worker.consumer.consumer", "Consumer.on_invalid_task")
def refuse(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Let what is said of a message that is no task here belong to the message's operation."""
    refused = args[1] if len(args) > 1 else kwargs.get("message")
    return _celery_worker.within(refused, wrapped, args, kwargs)


@around("billiard.process", "BaseProcess._bootstrap")
@around("celery.utils.timer2", "Timer.run")
def begin(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Forget the operation in which a process of the pool, or a worker's timer, was started.

    The first task with a countdown starts the timer of them all.
    """
    context.attach(None)
    clock.attach(None)
    return wrapped(*args, **kwargs)


@around("celery.beat", "Scheduler.apply_entry")
@around("celery.beat", "Scheduler.apply_async")
def schedule(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Begin an operation with each task that is due."""
    return _celery_schedule.due(wrapped, args, kwargs)
