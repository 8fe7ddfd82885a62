"""Tasks of Celery: sent, carried out, retried, revoked, lost, and sent by beat."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any

from obskit import clock, context, conventions
from obskit.instrumentation import _celery_message as message
from obskit.instrumentation import _celery_run, _celery_schedule, _celery_worker
from obskit.instrumentation._drive import Call, Hook, Switch, around, attaches, instead, wraps


@wraps("celery.app.base", "Celery.send_task")
def publish(call: Call) -> Hook:
    """Observe the sending of one task, from looking for a connection until the broker has it."""
    app = call.instance
    # No carrier: what is said on the way (of a broker that is away) comes before the message.
    work = conventions.producer("celery", "", peer=message.broker(app), library="celery")
    work.attributes["task_name"] = str(call.argument(0, "name"))
    before = message.sending.get()
    message.sending.set(work)
    try:
        yield work
    except Exception:
        message.fail(work, app, call.kwargs)
        raise
    finally:
        message.sending.set(before)


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
