"""Observe what libraries do: hooks by name, put in place when a library is imported."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from obskit.instrumentation._catalog import Row
    from obskit.instrumentation._drive import Call, Hook, around, attaches, instead, wraps
    from obskit.instrumentation._pulls import pulls
    from obskit.instrumentation._replaces import replaces
    from obskit.instrumentation._returns import returns
    from obskit.instrumentation._status import Status, status
    from obskit.instrumentation._stream import stream
    from obskit.observation import Observation
    from obskit.settings import Settings

__all__ = [
    "Call",
    "Hook",
    "Row",
    "Status",
    "add",
    "arm",
    "around",
    "attaches",
    "hook",
    "instead",
    "instrument",
    "pulls",
    "replaces",
    "returns",
    "status",
    "stream",
    "uninstrument",
    "when_imported",
    "when_provided",
    "wraps",
]

# What authors and reports need is no cost of a start.
_PLACES = {
    "Call": "_drive",
    "Hook": "_drive",
    "Row": "_catalog",
    "Status": "_status",
    "around": "_drive",
    "attaches": "_drive",
    "instead": "_drive",
    "pulls": "_pulls",
    "replaces": "_replaces",
    "returns": "_returns",
    "status": "_status",
    "stream": "_stream",
    "wraps": "_drive",
}


def arm(settings: Settings) -> None:
    """Observe what *settings* choose, from the moment that it is imported."""
    from obskit.instrumentation import _answer, _ledger

    _answer.configure(server_timing=settings.server_timing)
    _ledger.live.on = True
    wanted = _ledger.chosen(settings.instrument)
    for entry in _ledger.known().values():
        if entry in wanted:
            _ledger.arm(entry)
        elif entry.switch.on:
            _ledger.disarm(entry)


def problems(settings: Settings) -> list[str]:
    """Return what of *settings* names libraries that nobody knows, and which are known."""
    from obskit.instrumentation import _ledger

    unknown = _ledger.unknown(settings.instrument)
    if not unknown:
        return []
    given, allowed = ",".join(settings.instrument), ", ".join(sorted(_ledger.known()))
    problem = (
        f"OBSKIT_INSTRUMENT={given!r} names {', '.join(unknown)};"
        f" must be any of {allowed}, also with - in front, or {_ledger.NONE}"
    )
    return [problem]


def instrument(*names: str) -> None:
    """Observe the named libraries, or all that are known, from the moment that they are imported.

    Raises:
        UnknownInstrumentation: A name is in no catalog.
    """
    from obskit.instrumentation import _ledger

    _ledger.live.on = True
    for entry in _ledger.look_up(names or _ledger.known()):
        _ledger.arm(entry)


def uninstrument(*names: str) -> None:
    """Stop observing the named libraries, or everything.

    The wrappers stay and pass through: to take them off could take off somebody else's.

    Raises:
        UnknownInstrumentation: A name is in no catalog.
    """
    from obskit.instrumentation import _ledger

    if not names:
        _ledger.live.on = False
    for entry in _ledger.look_up(names or _ledger.known()):
        _ledger.disarm(entry)


def add(*rows: Row) -> None:
    """Make rows of a program's own known, and observe them if obskit is on.

    Use it for a library of the house that is not installed as a distribution; one that is
    announces its rows as entry points of the group ``obskit.instrumentation``. A name that is
    known already stays what it is.
    """
    from obskit.instrumentation import _ledger

    added = [row for row in rows if row.name not in _ledger.known()]
    _ledger.know(added)
    if _ledger.live.on:
        for row in added:
            _ledger.arm(_ledger.entries[row.name])


def hook(module: str, path: str, wrapper: Callable[..., Any]) -> None:
    """Put *wrapper* around *path* in *module* once that is imported; the same one only once.

    Args:
        module: Dotted name; it is not imported.
        path: ``function`` or ``Class.method``.
        wrapper: Gets ``(wrapped, instance, args, kwargs)`` and makes the call itself.
    """
    from obskit.instrumentation import _ledger

    _ledger.hook(module, path, wrapper)


def when_imported(module: str, function: Callable[[ModuleType], None]) -> None:
    """Call *function* with *module* once that is imported, or now; what it raises is contained."""
    from obskit.instrumentation import _imports

    _imports.when_imported(module, function)


def when_provided(function: Callable[[Observation, object], None]) -> None:
    """Call *function* with each request whose application alone has a tracer provider."""
    from obskit.instrumentation import _served

    if function not in _served.offers:
        _served.offers.append(function)


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{place}"), name)
    globals()[name] = value
    return value
