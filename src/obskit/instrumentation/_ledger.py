"""The ledger: which row is on, what it has been put around, and why something was not."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

from obskit import health
from obskit.errors import UnknownInstrumentation
from obskit.instrumentation import _catalog, _imports, _patch
from obskit.instrumentation._catalog import Row
from obskit.instrumentation._drive import HookFunction, Switch, Target, targets

State = Literal["known", "armed", "hooked", "failed", "disarmed"]

# Written in place of names: nothing is instrumented.
NONE = "none"


class Entry:
    """What has become of one row."""

    __slots__ = (
        "applied",
        "attached",
        "error",
        "is_loaded",
        "is_watched",
        "late",
        "missing",
        "row",
        "switch",
        "was_on",
    )

    def __init__(self, row: Row, switch: Switch) -> None:
        self.row = row
        self.switch = switch
        self.is_watched = False
        self.is_loaded = False
        self.was_on = False
        self.error = ""
        self.applied: list[str] = []
        self.missing: dict[str, str] = {}
        self.attached: list[Generator[Any, None, None]] = []
        self.late: dict[str, list[str]] = {}

    @property
    def state(self) -> State:
        """Where in its life the row is."""
        if not self.switch.on:
            return "disarmed" if self.was_on else "known"
        if self.error or (self.missing and not self.applied):
            return "failed"
        return "hooked" if self.is_loaded else "armed"


entries: dict[str, Entry] = {}

# Off while nothing at all is to be observed; explicit middlewares and foreign hooks ask too.
live = Switch("all")


def know(rows: Iterable[Row]) -> None:
    """Enter *rows*; the first of a name stays."""
    for row in rows:
        entries.setdefault(row.name, Entry(row, Switch(row.name, row.options)))


def known() -> dict[str, Entry]:
    """Return all entries, those of other distributions included."""
    if not entries:
        know(_catalog.ROWS)
        know(_catalog.foreign_rows())
    return entries


def look_up(names: Iterable[str]) -> list[Entry]:
    """Return the entries called *names*.

    Raises:
        UnknownInstrumentation: There is no such row.
    """
    everything = known()
    wanted = list(names)
    for name in wanted:
        if name not in everything:
            raise UnknownInstrumentation(
                f"no instrumentation is called {name!r}; there are {', '.join(sorted(everything))}"
            )
    return [everything[name] for name in wanted]


def chosen(setting: Iterable[str]) -> list[Entry]:
    """Return the entries that a setting of names and ``-name`` chooses; `unknown` has the rest."""
    everything = known()
    names = [name for name in setting if not name.startswith("-")]
    left_out = {name[1:] for name in setting if name.startswith("-")}
    wanted = names or everything
    return [everything[name] for name in wanted if name in everything and name not in left_out]


def unknown(setting: Iterable[str]) -> list[str]:
    """Return the names in a setting of names and ``-name`` that no entry has."""
    names = dict.fromkeys(name.removeprefix("-") for name in setting)
    return [name for name in names if name != NONE and name not in known()]


def arm(entry: Entry) -> None:
    """Switch *entry* on, and wait for its library to be imported."""
    live.on = True
    entry.switch.on = entry.was_on = True
    was_loaded = entry.is_loaded
    if not entry.is_watched:
        entry.is_watched = True
        load = partial(_load, entry)
        for trigger in entry.row.imports:
            _imports.when_imported(trigger, load)
    if was_loaded or not entry.row.imports:
        entry.is_loaded = True
        _attach_again(entry)
    elif any(map(_imports.is_imported, entry.row.imports)):
        _load(entry, None)


def disarm(entry: Entry) -> None:
    """Switch *entry* off: its wrappers stay and pass through, what it attached is detached."""
    entry.switch.on = False
    attached, entry.attached = entry.attached, []
    for steps in attached:
        try:
            next(steps, None)
        except Exception as error:
            health.internal_error(f"instrumentation.{entry.row.name}", error)


def _load(entry: Entry, module: ModuleType | None) -> None:
    """Import the hooks of a row, now that its library is there, and put them in place."""
    if entry.is_loaded or not entry.switch.on:
        return
    entry.is_loaded = True
    try:
        found = targets(import_module(entry.row.home))
    except Exception as error:
        entry.error = f"{type(error).__name__}: {error}"
        health.internal_error(f"instrumentation.{entry.row.name}", error)
        return
    for hook, target in found:
        _imports.when_imported(target.module, partial(_apply, entry, hook, target))


def _apply(entry: Entry, hook: HookFunction, target: Target, module: ModuleType) -> None:
    name = f"{target.module}:{target.path}" if target.path else target.module
    try:
        if target.make is not None:
            _replace(entry, hook, target, module)
        elif entry.switch.on:
            _attach(entry, hook, module)
        else:
            return
    except Exception as error:
        entry.missing[name] = f"{error}" if isinstance(error, _patch.Missing) else repr(error)
        if not isinstance(error, _patch.Missing):
            health.internal_error(f"instrumentation.{entry.row.name}", error)
        return
    entry.missing.pop(name, None)
    if name not in entry.applied:
        entry.applied.append(name)


def _replace(entry: Entry, hook: HookFunction, target: Target, module: ModuleType) -> None:
    if target.word == "replaces":
        _note_late(entry, target, module)
    key = (entry.row.name, hook.__name__, target.word, target.module, target.path)

    def make(original: Any, in_class: bool) -> Any:
        assert target.make is not None
        return target.make(original, in_class, hook, entry.switch)

    _patch.replace(module, target.path, key, make)


def _note_late(entry: Entry, target: Target, module: ModuleType) -> None:
    from obskit.instrumentation import _replaces

    original = _patch.find(module, target.path)[2]
    holders = _replaces.holders(original, target.module.partition(".")[0])
    if holders:
        entry.late[f"{target.module}:{target.path}"] = holders


def _attach(entry: Entry, hook: HookFunction, module: ModuleType) -> None:
    steps = hook(module)
    next(steps)
    entry.attached.append(steps)


def _attach_again(entry: Entry) -> None:
    """Attach what was detached when the row was switched off."""
    if entry.attached or not entry.row.imports:
        return
    for hook, target in targets(import_module(entry.row.home)):
        module = _imports.imported(target.module)
        if target.make is None and module is not None:
            _apply(entry, hook, target, module)


_foreign: set[tuple[str, str, Any]] = set()


def hook(module: str, path: str, wrapper: Callable[..., Any]) -> None:
    """Put *wrapper*, a function of wrapt's signature, around *path* once *module* is imported."""
    key = (module, path, wrapper)
    if key in _foreign:
        return
    _foreign.add(key)

    def make(original: Any, in_class: bool) -> Any:
        def passing(
            wrapped: Callable[..., Any],
            instance: Any,
            args: tuple[Any, ...],
            kwargs: dict[str, Any],
        ) -> Any:
            if not live.on:
                return wrapped(*args, **kwargs)
            return wrapper(wrapped, instance, args, kwargs)

        return _patch.wrapper(original, passing, in_class)

    _imports.when_imported(module, lambda loaded: _patch.replace(loaded, path, key, make))
