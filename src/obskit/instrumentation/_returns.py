"""Hooks on methods of what a call returns: connections, cursors, sessions of C libraries."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from obskit.instrumentation import _drive, _patch
from obskit.instrumentation._drive import HookFunction, Switch, Target
from obskit.instrumentation._proxy import Proxy

H = TypeVar("H", bound=HookFunction)
Drive = Callable[[bool], _patch.Around]


def returns(module: str, path: str, *methods: str) -> Callable[[H], H]:
    """Put a hook around a method of what *path* returns. May be stacked.

    Use it where the objects themselves cannot be patched. The results of all *methods* but
    the last are wrapped again; the hook stands around calls of the last:
    ``@returns("sqlite3", "connect", "cursor", "execute")``.

    Args:
        module: Where the target is defined, dotted.
        path: ``function`` or ``Class.method``.
        methods: The way from the result to the method that is observed.
    """
    library = module.partition(".")[0]

    def make(original: Any, in_class: bool, hook: HookFunction, switch: Switch) -> Any:
        def drive(is_async: bool) -> _patch.Around:
            return _drive.driver(hook, switch, library, is_async=is_async)

        def around(
            wrapped: Callable[..., Any],
            instance: Any,
            args: tuple[Any, ...],
            kwargs: dict[str, Any],
        ) -> Any:
            return _wrapped_again(wrapped(*args, **kwargs), methods, drive)

        return _patch.wrapper(original, around, in_class)

    return lambda hook: _drive.mark(hook, Target("returns", module, path, make))


def _wrapped_again(result: Any, methods: tuple[str, ...], drive: Drive) -> Any:
    if not inspect.isawaitable(result):
        return Result(result, methods, drive)

    async def awaited(pending: Awaitable[Any] = result) -> Any:
        return Result(await pending, methods, drive)

    return awaited()


class Result(Proxy):
    """An object of which one method is observed."""

    def __init__(self, wrapped: Any, methods: tuple[str, ...], drive: Drive) -> None:
        super().__init__(wrapped)
        self._self_methods = methods
        self._self_drive = drive

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__wrapped__, name)
        method, *rest = self._self_methods
        if name != method:
            return found
        if rest:
            return lambda *args, **kwargs: _wrapped_again(
                found(*args, **kwargs), tuple(rest), self._self_drive
            )
        around = self._self_drive(inspect.iscoroutinefunction(found))
        return lambda *args, **kwargs: around(found, self.__wrapped__, args, kwargs)

    def __enter__(self) -> Any:
        return self._same(self.__wrapped__.__enter__())

    def __iter__(self) -> Any:
        return self._same(iter(self.__wrapped__))

    def __next__(self) -> Any:
        return next(self.__wrapped__)

    async def __aenter__(self) -> Any:
        return self._same(await self.__wrapped__.__aenter__())

    async def __aexit__(self, *error: object) -> Any:
        return await self.__wrapped__.__aexit__(*error)

    def __aiter__(self) -> Any:
        return self._same(self.__wrapped__.__aiter__())

    async def __anext__(self) -> Any:
        return await self.__wrapped__.__anext__()

    def _same(self, result: Any) -> Any:
        return self if result is self.__wrapped__ else result
