"""Hooks around calls that return a stream: what is observed lasts as long as the stream."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

from obskit import observation
from obskit.instrumentation import _drive, _patch
from obskit.instrumentation._drive import Call, HookFunction, Switch, Target
from obskit.instrumentation._patch import Around
from obskit.instrumentation._proxy import Proxy
from obskit.observation.decorate import Steps

H = TypeVar("H", bound=HookFunction)


def stream(module: str, path: str, awaits: bool | None = None) -> Callable[[H], H]:
    """Put a hook around each call of *path* that returns an iterator, plain or async.

    Use it for streamed answers. The hook goes on after its yield when the call has returned;
    the observation ends when the stream is exhausted, closed, collected or fails. Each step
    runs in its context, and what runs between the steps does not.

    Args:
        module: Where the target is defined, dotted.
        path: ``function`` or ``Class.method``.
        awaits: True where the stream has to be awaited; None finds out.
    """

    def make(original: Any, in_class: bool, hook: HookFunction, switch: Switch) -> Any:
        is_async = inspect.iscoroutinefunction(original) if awaits is None else awaits
        drive = _async if is_async else _sync
        return _patch.wrapper(original, drive(hook, switch, module.partition(".")[0]), in_class)

    return lambda hook: _drive.mark(hook, Target("stream", module, path, make))


class Opening:
    """The call that opens a stream, between the yield of its hook and the stream."""

    def __init__(self, hook: HookFunction, call: Call, library: str) -> None:
        self._hook = hook
        self._prepared = _drive.prepare(hook, call, library)
        self.steps = None if self._prepared is None else Steps(self._prepared[1])

    def fail(self, error: BaseException) -> None:
        """Note that there will be no stream."""
        if self._prepared is not None and self.steps is not None:
            with self.steps:
                _drive.fail(self._hook, *self._prepared, error)

    def succeed(self, result: Any) -> Any:
        """Return the stream, observed."""
        if self._prepared is None or self.steps is None:
            return result
        with self.steps:
            _drive.resume(self._hook, self._prepared[0], result)
        return Stream(result, self.steps)


def _sync(hook: HookFunction, switch: Switch, library: str) -> Around:
    def drive(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if not switch.on or observation.is_suppressed():
            return wrapped(*args, **kwargs)
        call = Call(instance, args, kwargs, switch.options)
        opening = Opening(hook, call, library)
        if opening.steps is None:
            return wrapped(*call.args, **call.kwargs)
        try:
            with opening.steps:
                result = wrapped(*call.args, **call.kwargs)
        except BaseException as error:
            opening.fail(error)
            raise
        return opening.succeed(result)

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
        opening = Opening(hook, call, library)
        if opening.steps is None:
            return await wrapped(*call.args, **call.kwargs)
        try:
            with opening.steps:
                result = await wrapped(*call.args, **call.kwargs)
        except BaseException as error:
            opening.fail(error)
            raise
        return opening.succeed(result)

    return drive


class Stream(Proxy):
    """A stream that tells when it is over."""

    def __init__(self, wrapped: Any, steps: Steps) -> None:
        super().__init__(wrapped)
        self._self_steps = steps

    def __iter__(self) -> Iterator[Any]:
        inner = self._step(iter, self.__wrapped__)
        return self if inner is self.__wrapped__ else Stream(inner, self._self_steps)

    def __next__(self) -> Any:
        return self._step(next, self.__wrapped__)

    def send(self, value: Any) -> Any:
        """Send *value* into a generator."""
        return self._step(self.__wrapped__.send, value)

    def throw(self, *error: Any) -> Any:
        """Raise an error in a generator."""
        return self._step(self.__wrapped__.throw, *error)

    def close(self) -> Any:
        """Close the stream before its end."""
        result = self._step(self.__wrapped__.close)
        if inspect.isawaitable(result):
            return self._closed(result)
        self._self_steps.end(None)
        return result

    def __aiter__(self) -> AsyncIterator[Any]:
        inner = self.__wrapped__.__aiter__()
        return self if inner is self.__wrapped__ else Stream(inner, self._self_steps)

    async def __anext__(self) -> Any:
        return await self._async_step(self.__wrapped__.__anext__)

    async def asend(self, value: Any) -> Any:
        """Send *value* into an async generator."""
        return await self._async_step(self.__wrapped__.asend, value)

    async def athrow(self, *error: Any) -> Any:
        """Raise an error in an async generator."""
        return await self._async_step(self.__wrapped__.athrow, *error)

    async def aclose(self) -> Any:
        """Close an async stream before its end."""
        return await self._closed(self.__wrapped__.aclose())

    async def _closed(self, closing: Awaitable[Any]) -> Any:
        async def close() -> Any:
            return await closing

        result = await self._async_step(close)
        self._self_steps.end(None)
        return result

    def __del__(self) -> None:
        self._self_steps.end(None)

    def _step(self, step: Callable[..., Any], *args: Any) -> Any:
        steps = self._self_steps
        try:
            with steps:
                return step(*args)
        except BaseException as error:
            steps.end(None if isinstance(error, StopIteration) else error)
            raise

    async def _async_step(self, step: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        steps = self._self_steps
        try:
            with steps:
                return await step(*args)
        except BaseException as error:
            steps.end(None if isinstance(error, StopAsyncIteration) else error)
            raise
