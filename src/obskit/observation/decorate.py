"""Observe each call of a function: plain, async, generator and async generator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any, TypeVar, cast

from obskit import clock, context
from obskit.observation.lifecycle import end, is_suppressed, start
from obskit.observation.record import Observation

F = TypeVar("F", bound=Callable[..., Any])
New = Callable[[], Observation]
Wrapper = Callable[[Callable[..., Any], New], Callable[..., Any]]


def decorate(function: F, new: New) -> F:
    """Return *function* with each call observed by what *new* makes.

    The observation of a generator lasts from its first step until it is exhausted, closed or
    fails; each step runs in its context, and what runs between the steps does not.
    """
    if isinstance(function, (staticmethod, classmethod)):
        return cast(F, type(function)(decorate(function.__func__, new)))
    if inspect.isclass(function) or not callable(function):
        raise TypeError(f"only functions can be observed, not {function!r}")
    return cast(F, _wrapper_for(function)(function, new))


def _wrapper_for(function: Callable[..., Any]) -> Wrapper:
    plain = inspect.isroutine(function) or isinstance(function, functools.partial)
    called = function if plain else getattr(function, "__call__", function)  # noqa: B004
    if inspect.isasyncgenfunction(called):
        return _async_generator
    if inspect.isgeneratorfunction(called):
        return _generator
    return _coroutine if inspect.iscoroutinefunction(called) else _plain


def _plain(function: Callable[..., Any], new: New) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if is_suppressed():
            return function(*args, **kwargs)
        observation = new()
        start(observation)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            end(observation, error)
            raise
        end(observation)
        return result

    return run


def _coroutine(function: Callable[..., Any], new: New) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        if is_suppressed():
            return await function(*args, **kwargs)
        observation = new()
        start(observation)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            end(observation, error)
            raise
        end(observation)
        return result

    return run


class Steps:
    """Keep the context of an observation apart from that of whoever drives the steps."""

    __slots__ = ("_context", "_idle", "_observation", "_outer", "_outer_position", "_position")

    def __init__(self, observation: Observation) -> None:
        self._observation = observation
        self._idle = is_suppressed()
        self._look_around()
        if not self._idle:
            start(observation)
        self.__exit__(None, None, None)

    def _look_around(self) -> None:
        self._outer = context.get()
        self._outer_position = clock.current()

    def __enter__(self) -> None:
        if self._idle:
            return
        self._look_around()
        context.attach(self._context)
        if self._is_elsewhere():
            clock.attach(self._position)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._idle:
            return
        self._context, self._position = context.get(), clock.current()
        context.attach(self._outer)
        if self._is_elsewhere():
            clock.attach(self._outer_position)

    def _is_elsewhere(self) -> bool:
        """Tell whether the steps belong to another unit of work than what is around them.

        If not, both write on one strand, and its clock runs through.
        """
        here = self._observation.context
        return here is None or self._outer is None or self._outer.unit is not here.unit

    def end(self, error: BaseException | None) -> None:
        """End the observation; a generator that is closed early has done what was wanted."""
        if self._idle:
            return
        with self:
            end(self._observation, None if isinstance(error, GeneratorExit) else error)


def _generator(function: Callable[..., Any], new: New) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        steps = Steps(new())
        step, value = generator.send, None
        try:
            while True:
                with steps:
                    item = step(value)
                try:
                    step, value = generator.send, (yield item)
                except BaseException as error:
                    step, value = generator.throw, error
        except StopIteration as stop:
            steps.end(None)
            return stop.value
        except BaseException as error:
            steps.end(error)
            raise

    return run


def _async_generator(function: Callable[..., Any], new: New) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        steps = Steps(new())
        step, value = generator.asend, None
        try:
            while True:
                with steps:
                    item = await step(value)
                try:
                    step, value = generator.asend, (yield item)
                except BaseException as error:
                    step, value = generator.athrow, error
        except StopAsyncIteration:
            steps.end(None)
        except BaseException as error:
            steps.end(error)
            raise

    return run
