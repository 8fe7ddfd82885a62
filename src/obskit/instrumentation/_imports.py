"""Call back when a module has been imported, without importing anything.

wrapt has such hooks too, but to import wrapt is to import asyncio and ssl: 60 ms, and too
early for gevent. So wrapt is imported when there is something to wrap that needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from obskit import health

Prepare = Callable[[ModuleType], None]

# They stay here after they were called: a module that is reloaded has new classes.
_waiting: dict[str, list[Prepare]] = {}


def when_imported(module: str, prepare: Prepare) -> None:
    """Call *prepare* with *module* now if it is imported, and each time it will be.

    Both come from sources that a user's import must not suffer from: what *prepare* raises
    is contained. The same pair is registered once.
    """
    waiting = _waiting.setdefault(module, [])
    if prepare in waiting:
        return
    waiting.append(prepare)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    loaded = sys.modules.get(module)
    if loaded is not None:
        _call(prepare, loaded)


def forget(module: str, prepare: Prepare) -> None:
    """Do not call *prepare* any more."""
    waiting = _waiting.get(module, [])
    if prepare in waiting:
        waiting.remove(prepare)


def _call(prepare: Prepare, module: ModuleType) -> None:
    try:
        prepare(module)
    except Exception as error:
        # An exception in here would become one of the user's import statement.
        health.internal_error(f"instrumentation.{module.__name__}", error)


class _Loader:
    """Load a module as its own loader does, then tell those who wait for it."""

    def __init__(self, loader: Any, name: str) -> None:
        self._loader = loader
        self._name = name

    # Some look at the type of a module's loader before the module is executed.
    __class__ = property(lambda self: type(self._loader))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        create: Callable[[ModuleSpec], ModuleType | None] | None
        create = getattr(self._loader, "create_module", None)
        return None if create is None else create(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        # A module may have put something else in its own place.
        loaded = sys.modules.get(self._name, module)
        for prepare in list(_waiting.get(self._name, ())):
            _call(prepare, loaded)


class _Finder:
    """Let the other finders find a module that somebody waits for, and watch its loading."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _waiting:
            return None
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(fullname, path, target)
            if spec is not None:
                return _watched(spec, fullname)
        return None


def _watched(spec: ModuleSpec, name: str) -> ModuleSpec:
    loader: Any = spec.loader
    if hasattr(loader, "exec_module") and type(loader) is not _Loader:
        spec.loader = _Loader(loader, name)  # type: ignore[assignment]
    return spec


_finder: Any = _Finder()


def imported(module: str) -> ModuleType | None:
    """Return *module* if it has been imported."""
    return sys.modules.get(module)


def is_imported(module: str) -> bool:
    """Tell whether *module* has been imported."""
    return sys.modules.get(module) is not None
