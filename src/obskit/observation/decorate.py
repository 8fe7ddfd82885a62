"""Observe each call of a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from obskit.observation.lifecycle import end, start
from obskit.observation.record import Observation

F = TypeVar("F", bound=Callable[..., Any])


def decorate(function: F, new: Callable[[], Observation]) -> F:
    """Return *function* with each call observed by what *new* makes."""
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(
            "a generator cannot be decorated, since it is suspended between its steps:"
            " use the context manager inside it"
        )
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            observation = new()
            start(observation)
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                end(observation, error)
                raise
            end(observation)
            return result

        return run_async  # type: ignore[return-value]

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        observation = new()
        start(observation)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            end(observation, error)
            raise
        end(observation)
        return result

    return run  # type: ignore[return-value]
