"""Put one wrapper around one callable, so that it still looks like what it was."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import update_wrapper
from types import FunctionType, MethodType, ModuleType
from typing import Any

# wrapt's signature: what is called, the instance it is bound to, its arguments.
Around = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
# Gets the original, and whether it stands in a class; returns what takes its place.
Make = Callable[[Any, bool], Any]

_MARK = "_self_obskit"


class Missing(LookupError):
    """A target is not there: another version of the library, or a part that was left out."""


def replace(module: ModuleType, path: str, key: object, make: Make) -> None:
    """Replace *path* (``Class.method`` or ``function``) in *module*, once for each *key*.

    Raises:
        Missing: There is no such thing.
    """
    owner, name, original = find(module, path)
    if is_replaced(original, key):
        return
    replacement = make(original, isinstance(owner, type))
    setattr(replacement, _MARK, key)
    setattr(owner, name, replacement)


def find(module: ModuleType, path: str) -> tuple[Any, str, Any]:
    """Return what holds the last name of *path*, that name, and the object as it is kept."""
    owner: Any = module
    *steps, name = path.split(".")
    try:
        for step in steps:
            owner = getattr(owner, step)
        # Read past the descriptors: classmethods and C methods change when they are looked up.
        return owner, name, inspect.getattr_static(owner, name)
    except AttributeError as error:
        raise Missing(f"{module.__name__} has no {path}") from error


def is_replaced(found: Any, key: object) -> bool:
    """Tell whether what was made for *key* is somewhere around *found*."""
    while found is not None:
        if getattr(found, _MARK, None) == key:
            return True
        found = getattr(found, "__wrapped__", None)
    return False


def wrapper(original: Any, around: Around, in_class: bool) -> Any:
    """Return a stand-in for *original* that calls *around*.

    A plain function gets a plain function: pickle, servers and frameworks treat it as they
    treated the original, and it costs less. Everything else gets wrapt's proxy.
    """
    if not is_plain(original):
        from wrapt import FunctionWrapper

        return FunctionWrapper(original, around)
    if inspect.iscoroutinefunction(original):
        make = _coroutine_method if in_class else _coroutine_function
    else:
        make = _method if in_class else _function
    return update_wrapper(make(original, around), original)


def is_plain(original: Any) -> bool:
    """Tell whether *original* is a function or coroutine function written in Python."""
    return (
        type(original) is FunctionType
        and not inspect.isgeneratorfunction(original)
        and not inspect.isasyncgenfunction(original)
    )


def _method(original: Callable[..., Any], around: Around) -> Callable[..., Any]:
    def replacement(*args: Any, **kwargs: Any) -> Any:
        if not args:
            return original(**kwargs)
        return around(MethodType(original, args[0]), args[0], args[1:], kwargs)

    return replacement


def _function(original: Callable[..., Any], around: Around) -> Callable[..., Any]:
    def replacement(*args: Any, **kwargs: Any) -> Any:
        return around(original, None, args, kwargs)

    return replacement


def _coroutine_method(original: Callable[..., Any], around: Around) -> Callable[..., Any]:
    async def replacement(*args: Any, **kwargs: Any) -> Any:
        if not args:
            return await original(**kwargs)
        return await around(MethodType(original, args[0]), args[0], args[1:], kwargs)

    return replacement


def _coroutine_function(original: Callable[..., Any], around: Around) -> Callable[..., Any]:
    async def replacement(*args: Any, **kwargs: Any) -> Any:
        return await around(original, None, args, kwargs)

    return replacement
