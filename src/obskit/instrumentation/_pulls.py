"""Hooks on calls that fetch a message: the loop's body works in the message's context."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from obskit import health, observation
from obskit.instrumentation import _drive, _patch
from obskit.instrumentation._drive import Call, HookFunction, Switch, Target
from obskit.instrumentation._patch import Around
from obskit.observation import Observation

H = TypeVar("H", bound=HookFunction)

# What each consumer has handed out last; it is worked on until the next pull.
_held: WeakKeyDictionary[Any, Observation] = WeakKeyDictionary()


def pulls(
    module: str, path: str, awaits: bool | None = None, *, close: str = ""
) -> Callable[[H], H]:
    """Hold the context of each message that *path* fetches until the next pull. May be stacked.

    Use it for consumers whose messages are worked on in the caller's loop. The hook is a
    function that gets the `Call` and the message and returns the observation of the work, or
    None. It is over at the next pull, at *close*, or when a pull brings None. Where an async
    pull is awaited in a task of its own (`asyncio.wait_for` before Python 3.12), its
    context ends with that task; `obskit.message_context` helps there.

    Args:
        module: Where the target is defined, dotted.
        path: ``Class.method``; the consumer must allow weak references.
        awaits: True for a plain method that returns an awaitable; None finds out.
        close: The method that closes the consumer, ``Class.method``.
    """

    def make(original: Any, in_class: bool, hook: HookFunction, switch: Switch) -> Any:
        is_async = inspect.iscoroutinefunction(original) if awaits is None else awaits
        drive = _async_pull if is_async else _pull
        return _patch.wrapper(original, drive(hook, switch, module.partition(".")[0]), in_class)

    def mark(hook: H) -> H:
        if close:
            _drive.mark(hook, Target("closes", module, close, _make_closing))
        return _drive.mark(hook, Target("pulls", module, path, make))

    return mark


def _make_closing(original: Any, in_class: bool, hook: HookFunction, switch: Switch) -> Any:
    def around(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        let_go(instance)
        return wrapped(*args, **kwargs)

    return _patch.wrapper(original, around, in_class)


def let_go(consumer: Any) -> None:
    """End the work on the message that *consumer* has handed out last."""
    try:
        work = _held.pop(consumer, None)
        if work is not None:
            observation.end(work)
    except Exception as error:
        health.internal_error("instrumentation.pulls", error)


def _hold(hook: HookFunction, call: Call, library: str, message: Any) -> None:
    if message is None:
        return
    try:
        work = hook(call, message)
        if work is None:
            return
        work.library = work.library or library
        _held[call.instance] = work
        observation.start(work)
    except Exception as error:
        health.internal_error(f"hook.{hook.__name__}", error)


def _pull(hook: HookFunction, switch: Switch, library: str) -> Around:
    def drive(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        let_go(instance)
        message = wrapped(*args, **kwargs)
        if switch.on and not observation.is_suppressed():
            _hold(hook, Call(instance, args, kwargs, switch.options), library, message)
        return message

    return drive


def _async_pull(hook: HookFunction, switch: Switch, library: str) -> Around:
    async def drive(
        wrapped: Callable[..., Awaitable[Any]],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        let_go(instance)
        message = await wrapped(*args, **kwargs)
        if switch.on and not observation.is_suppressed():
            _hold(hook, Call(instance, args, kwargs, switch.options), library, message)
        return message

    return drive
