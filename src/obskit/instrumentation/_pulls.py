"""Hooks on calls that fetch a message: the loop's body works in the message's context."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from obskit import context, health, observation
from obskit.context import Context
from obskit.instrumentation import _drive, _leaving, _patch
from obskit.instrumentation._drive import Call, HookFunction, Switch, Target
from obskit.instrumentation._patch import Around
from obskit.observation import Observation

H = TypeVar("H", bound=HookFunction)


def _being_handled() -> BaseException | None:
    error = sys.exception()
    # The end of a generator is nothing that went wrong; what has led to it may be.
    return error.__context__ if isinstance(error, GeneratorExit) else error


class Held:
    """A message that was handed out and is worked on until the next pull by the same *path*."""

    __slots__ = ("handled", "path", "work")

    def __init__(self, path: str, work: Observation) -> None:
        self.path = path
        self.work = work
        # What the caller was handling already has nothing to do with this message.
        self.handled = _being_handled()

    def is_in(self, here: Context) -> bool:
        """Tell whether *here* is within the work."""
        return self.work.context is not None and self.work.context.unit is here.unit


# What each consumer has handed out; what was fetched while another is worked on comes last.
_held: WeakKeyDictionary[Any, list[Held]] = WeakKeyDictionary()

# Whether anything was ever handed out; who has other ways to bring messages may ask first.
in_use = False


def pulls(
    module: str, path: str, awaits: bool | None = None, *, close: str = ""
) -> Callable[[H], H]:
    """Hold the context of each message that *path* fetches until the next pull. May be stacked.

    Use it for consumers whose messages are worked on in the caller's loop. The hook is a
    function that gets the `Call` and the message and returns the observation of the work, or
    None. It is over at the next pull, at *close*, or when a pull brings None. Of a generator
    function each item is such a message, and the last one is over when its loop is left.
    Where an async pull is awaited in a task of its own (`asyncio.wait_for` before Python
    3.12), its context ends with that task; `obskit.message_context` helps there.

    Args:
        module: Where the target is defined, dotted.
        path: ``Class.method``; the consumer must allow weak references.
        awaits: True for a plain method that returns an awaitable; None finds out.
        close: The method that closes the consumer, ``Class.method``.
    """

    def make(original: Any, in_class: bool, hook: HookFunction, switch: Switch) -> Any:
        is_async = inspect.iscoroutinefunction(original) if awaits is None else awaits
        drive = _async_pull if is_async else _pull
        if inspect.isgeneratorfunction(original):
            drive = _loop
        source = Source(hook, switch, module.partition(".")[0], path)
        return _patch.wrapper(original, drive(source), in_class)

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


def count(consumer: Any) -> int:
    """Return on how many messages of *consumer* the work goes on."""
    return len(_held.get(consumer, ())) if _held else 0


def let_go(consumer: Any, path: str = "", *, since: int = 0) -> None:
    """End the work on the messages that *consumer* has handed out.

    With *path* only on the one that was pulled by it, and on those that were fetched meanwhile;
    with *since* only on those after that many. An error that is being handled now and was not
    before is what became of them.
    """
    try:
        works = _held.get(consumer) if _held else None
        if not works:
            return
        error = _being_handled()
        if path:
            since = next((at for at, one in enumerate(works) if one.path == path), len(works))
        for one in reversed(works[since:]):
            works.remove(one)
            observation.end(one.work, None if error is one.handled else error)
    except Exception as fault:
        health.internal_error("instrumentation.pulls", fault)


def let_go_of_lost(is_lost: Callable[[Any], bool]) -> None:
    """End what this task works on if its consumer is lost, and no pull of it can come any more."""
    here = context.get() if _held else None
    if here is None:
        return
    try:
        # A copy at once: other threads have consumers of their own.
        for consumer in [key() for key in _held.keyrefs()]:
            works = _held.get(consumer) if consumer is not None else None
            if works and works[-1].is_in(here) and is_lost(consumer):
                let_go(consumer)
    except Exception as fault:
        health.internal_error("instrumentation.pulls", fault)


class Source:
    """A target that brings messages, and what is to be done with each."""

    __slots__ = ("_hook", "_library", "_switch", "path")

    def __init__(self, hook: HookFunction, switch: Switch, library: str, path: str) -> None:
        self._hook = hook
        self._switch = switch
        self._library = library
        self.path = path

    def hold(self, call: Call, message: Any) -> Observation | None:
        """Begin the work on *message*, if it is one."""
        if message is None or not self._switch.on or observation.is_suppressed():
            return None
        global in_use
        in_use = True
        call.options = self._switch.options
        try:
            work: Observation | None = self._hook(call, message)
            if work is None:
                return None
            work.library = work.library or self._library
            _held.setdefault(call.instance, []).append(Held(self.path, work))
            observation.start(work)
        except Exception as error:
            health.internal_error(f"hook.{self._hook.__name__}", error)
            return None
        return work


def _pull(source: Source) -> Around:
    def drive(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        let_go(instance, source.path)
        message = wrapped(*args, **kwargs)
        source.hold(Call(instance, args, kwargs), message)
        return message

    return drive


def _async_pull(source: Source) -> Around:
    async def drive(
        wrapped: Callable[..., Awaitable[Any]],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        let_go(instance, source.path)
        message = await wrapped(*args, **kwargs)
        source.hold(Call(instance, args, kwargs), message)
        return message

    return drive


def _loop(source: Source) -> Around:
    def drive(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        messages = wrapped(*args, **kwargs)
        return _steps(source, Call(instance, args, kwargs), messages)

    return drive


def _steps(
    source: Source, call: Call, messages: Generator[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    """Yield *messages* and hold each while the loop's body has it; then it is over."""
    consumer, path = call.instance, source.path
    advance: Callable[[Any], Any] = messages.send
    given: Any = None
    let_go(consumer, path)
    while True:
        try:
            message = advance(given)
        except StopIteration as end:
            return end.value
        asked_at = _leaving.place()
        work = source.hold(call, message)
        try:
            given = yield message
        except GeneratorExit:
            why = _leaving.why(asked_at)
            if why == "failed" and work is not None:
                _fail(work, _leaving.error())
            if why != "one":
                let_go(consumer, path)
            messages.close()
            raise
        except BaseException as error:
            let_go(consumer, path)
            advance, given = messages.throw, error
        else:
            let_go(consumer, path)
            advance = messages.send


def _fail(work: Observation, error: BaseException | None) -> None:
    """Note that the work has failed, also by an *error* that nobody here gets to see."""
    if error is not None:
        work.error = error
        return
    here = work.context
    is_theirs = here is not None and here.unit.failed_calls
    work.outcome = "dependency" if is_theirs else "server_error"
