"""The contract for authors, and the one driver of all hooks, sync and async.

A hook is a generator with one ``yield``: what stands before it happens before the call,
``yield`` hands over the observation and returns the call's result. A hook that returns
without a yield does not observe. The driver awaits, times, injects and extracts; whatever
a hook raises is contained and counted, and the wrapped call goes on unchanged.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator
from functools import update_wrapper
from types import ModuleType
from typing import Any, TypeVar

from obskit import context, health, observation
from obskit.instrumentation import _patch
from obskit.instrumentation._patch import Around
from obskit.observation import EXITS, Observation
from obskit.record import Record

Hook = Generator[Observation, Any, None]
HookFunction = Callable[..., Any]
H = TypeVar("H", bound=HookFunction)

_NOTHING: Any = object()


class Switch:
    """Say whether a row is on; its wrappers ask at each call, and are never taken off."""

    __slots__ = ("name", "on", "options")

    def __init__(self, name: str, options: Any = None) -> None:
        self.name = name
        self.on = False
        self.options = options


ALWAYS = Switch("")
"""What is on for those who have asked before."""

ALWAYS.on = True


class Target(Record):
    """A place in a library that a hook is put around.

    *make* gets the original, whether it stands in a class, the hook and its switch, and
    returns the replacement.
    """

    word: str
    module: str
    path: str
    make: Callable[[Any, bool, HookFunction, Switch], Any] | None = None


class Call:
    """A call that a hook stands around; *args* and *kwargs* may be assigned before the yield."""

    __slots__ = ("args", "instance", "kwargs", "options")

    def __init__(
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: Any = None
    ) -> None:
        self.instance = instance
        self.args = args
        self.kwargs = kwargs
        self.options = options

    def argument(self, position: int, name: str, default: Any = _NOTHING) -> Any:
        """Return the argument at *position* or called *name*.

        Raises:
            LookupError: It was not given and there is no *default*.
        """
        if position < len(self.args):
            return self.args[position]
        found = self.kwargs.get(name, default)
        if found is _NOTHING:
            raise LookupError(f"no argument {name}")
        return found

    def replace(self, position: int, name: str, value: Any) -> None:
        """Call with *value* at *position*, or as *name* if it was given so."""
        if position < len(self.args):
            self.args = (*self.args[:position], value, *self.args[position + 1 :])
        else:
            self.kwargs = {**self.kwargs, name: value}


def mark(hook: H, target: Target) -> H:
    """Note that *hook* belongs around *target*."""
    vars(hook).setdefault("obskit_targets", []).append(target)
    return hook


def targets(module: ModuleType) -> list[tuple[HookFunction, Target]]:
    """Return the hooks that a row's *module* defines, each with its targets."""
    return [
        (hook, target)
        for hook in list(vars(module).values())
        if inspect.isfunction(hook) and hook.__module__ == module.__name__
        for target in getattr(hook, "obskit_targets", ())
    ]


def wraps(module: str, path: str, awaits: bool | None = None) -> Callable[[H], H]:
    """Put a hook around each call of *path* in *module*. May be stacked.

    Use it for whatever is over when the call returns. The hook gets a `Call`.

    Args:
        module: Where the target is defined, dotted.
        path: ``function`` or ``Class.method``.
        awaits: True for a plain function that returns an awaitable; None finds out.
    """

    def make(original: Any, in_class: bool, hook: HookFunction, switch: Switch) -> Any:
        is_async = inspect.iscoroutinefunction(original) if awaits is None else awaits
        library = module.partition(".")[0]
        drive = driver(hook, switch, library, is_async=is_async)
        return _patch.wrapper(original, drive, in_class)

    return lambda hook: mark(hook, Target("wraps", module, path, make))


def around(module: str, path: str) -> Callable[[H], H]:
    """Put a function of wrapt's signature around *path*; it makes the call itself.

    Use it for what is no unit of work. It must let the call's result and errors through,
    and contain its own.
    """

    def make(original: Any, in_class: bool, hook: HookFunction, switch: Switch) -> Any:
        def passing(
            wrapped: Callable[..., Any],
            instance: Any,
            args: tuple[Any, ...],
            kwargs: dict[str, Any],
        ) -> Any:
            if not switch.on:
                return wrapped(*args, **kwargs)
            return hook(wrapped, instance, args, kwargs)

        return _patch.wrapper(original, passing, in_class)

    return lambda hook: mark(hook, Target("around", module, path, make))


def instead(module: str, path: str) -> Callable[[H], H]:
    """Put a function of its own in the place of *path*: one call more and no arguments packed.

    Use it for what is no unit of work and is called in each request. The hook gets the
    original and its switch, and returns the function; what goes for `around` goes for that.
    """

    def make(original: Any, in_class: bool, hook: HookFunction, switch: Switch) -> Any:
        return update_wrapper(hook(original, switch), original)

    return lambda hook: mark(hook, Target("instead", module, path, make))


def attaches(module: str) -> Callable[[H], H]:
    """Use a library's own extension points: signals, events, listeners, interceptors.

    The hook is a generator that gets the module, attaches, yields once and detaches.
    """
    return lambda hook: mark(hook, Target("attaches", module, ""))


def prepare(
    hook: HookFunction, call: Call, library: str
) -> tuple[Generator[Observation, Any, None], Observation] | None:
    """Run *hook* up to its yield; None if there is nothing to observe."""
    args, kwargs = call.args, call.kwargs
    try:
        steps = hook(call)
        if steps is None:
            return None
        work = next(steps)
        if work.kind in EXITS and (here := context.get()) is not None and here.exit:
            # A call within a call (requests uses urllib3): the outer one is announced.
            steps.close()
            return None
        if not work.library:
            work.library = library
    except StopIteration:
        return None
    except Exception as error:
        call.args, call.kwargs = args, kwargs
        health.internal_error(f"hook.{_name(hook)}", error)
        return None
    return steps, work


def resume(hook: HookFunction, steps: Hook, result: Any) -> None:
    """Give *result* to the rest of *hook*."""
    try:
        steps.send(result)
    except StopIteration:
        pass
    except Exception as error:
        health.internal_error(f"hook.{_name(hook)}", error)
    else:
        _yielded_twice(hook, steps)


def fail(hook: HookFunction, steps: Hook, work: Observation, error: BaseException) -> None:
    """Raise *error* at the yield of *hook*, which may look at it, and end its observation."""
    if isinstance(error, (StopIteration, StopAsyncIteration)):
        steps.close()
        observation.end(work)
        return
    traceback = error.__traceback__
    try:
        steps.throw(error)
    except StopIteration:
        pass
    except Exception as fault:
        if fault is not error:
            health.internal_error(f"hook.{_name(hook)}", fault)
    except BaseException as fault:
        if fault is not error:
            raise
    else:
        _yielded_twice(hook, steps)
    finally:
        # The user is to see his own frames, not those of the hook.
        error.__traceback__ = traceback
    observation.end(work, error)


def _yielded_twice(hook: HookFunction, steps: Hook) -> None:
    health.internal_error(f"hook.{_name(hook)}", RuntimeError("it yielded twice"))
    try:
        steps.close()
    except Exception as error:
        health.internal_error(f"hook.{_name(hook)}", error)


def _name(hook: HookFunction) -> str:
    return f"{hook.__module__.rpartition('.')[2]}.{hook.__name__}"


def driver(hook: HookFunction, switch: Switch, library: str, *, is_async: bool) -> Around:
    """Return what calls the original with *hook* around it."""
    return (_async if is_async else _sync)(hook, switch, library)


def _sync(hook: HookFunction, switch: Switch, library: str) -> Around:
    def drive(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if not switch.on or observation.is_suppressed():
            return wrapped(*args, **kwargs)
        call = Call(instance, args, kwargs, switch.options)
        begun = prepare(hook, call, library)
        if begun is None:
            return wrapped(*call.args, **call.kwargs)
        observation.start(begun[1])
        try:
            result = wrapped(*call.args, **call.kwargs)
        except BaseException as error:
            fail(hook, *begun, error)
            raise
        resume(hook, begun[0], result)
        observation.end(begun[1])
        return result

    return drive


def _async(hook: HookFunction, switch: Switch, library: str) -> Around:
    async def drive(
        wrapped: Callable[..., Awaitable[Any]],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if not switch.on or observation.is_suppressed():
            return await wrapped(*args, **kwargs)
        call = Call(instance, args, kwargs, switch.options)
        begun = prepare(hook, call, library)
        if begun is None:
            return await wrapped(*call.args, **call.kwargs)
        observation.start(begun[1])
        try:
            result = await wrapped(*call.args, **call.kwargs)
        except BaseException as error:
            fail(hook, *begun, error)
            raise
        resume(hook, begun[0], result)
        observation.end(begun[1])
        return result

    return drive
