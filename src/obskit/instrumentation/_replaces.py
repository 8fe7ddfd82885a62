"""Hooks on methods of classes written in C, which refuse to be patched."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from obskit.instrumentation import _drive
from obskit.instrumentation._drive import HookFunction, Switch, Target

H = TypeVar("H", bound=HookFunction)


def replaces(module: str, path: str, method: str) -> Callable[[H], H]:
    """Put a subclass in place of a class, with a hook around its *method*. May be stacked.

    Use it for C types only: whoever has imported the class before has the original, and
    `status` says who.

    Args:
        module: The module from which the class is imported, dotted.
        path: The name of the class.
        method: The method that the hook stands around.
    """

    def make(original: type, in_class: bool, hook: HookFunction, switch: Switch) -> type:
        return subclass(original, method, hook, switch, module.partition(".")[0])

    return lambda hook: _drive.mark(hook, Target("replaces", module, path, make))


def subclass(original: type, method: str, hook: HookFunction, switch: Switch, library: str) -> type:
    """Return a class that can stand for *original* and observes *method*."""
    inherited = getattr(original, method)
    is_async = inspect.iscoroutinefunction(inherited)
    around = _drive.driver(hook, switch, library, is_async=is_async)

    def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        return around(inherited.__get__(self), self, args, kwargs)

    observed.__name__ = method
    observed.__doc__ = inherited.__doc__
    names = {"__module__", "__qualname__", "__doc__"}
    namespace = {name: getattr(original, name) for name in names}
    return type(original)(
        original.__name__, (original,), {**namespace, "__wrapped__": original, method: observed}
    )


def holders(original: type, library: str) -> list[str]:
    """Return the modules outside of *library* that hold *original* under some name."""
    return sorted(
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] != library
        and any(value is original for value in list(getattr(module, "__dict__", {}).values()))
    )
