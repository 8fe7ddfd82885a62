"""Count what obskit itself lost or got wrong, so that nothing goes missing silently."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

LARGEST_REPORT = 500

Cells: TypeAlias = "list[float] | memoryview[float]"

internal_errors: dict[str, int] = {}
lost: dict[tuple[str, str], int] = {}
last_errors: dict[str, str] = {}

# One number: spans that were taken and are not sent yet. It may stand where others read it when
# this process is dead, so it is changed in place, by no expression with a call in it: then no
# other thread goes on in the middle.
unsent: Cells = [0.0]

_lock = threading.RLock()
_reporters: list[Callable[[str, str], None]] = []
_listeners: list[Callable[[str, tuple[str, ...], int], None]] = []


def internal_error(where: str, error: BaseException) -> None:
    """Count an error that was contained at *where*; report it the first time.

    Never raises: this is what the containment of hooks and observers ends in.
    """
    try:
        text = f"{type(error).__name__}: {error}"[:LARGEST_REPORT]
    except Exception:
        text = type(error).__name__
    with _lock:
        seen = internal_errors.get(where, 0)
        internal_errors[where] = seen + 1
        last_errors[where] = text
    if not seen:
        _report(where, text)
    _tell("internal_errors", (where,), 1)


def _report(where: str, text: str) -> None:
    for reporter in list(_reporters):
        try:
            reporter(where, text)
        except Exception:
            with _lock:
                internal_errors["health.report"] = internal_errors.get("health.report", 0) + 1


def lose(signal: str, reason: str, count: int = 1) -> None:
    """Count *count* items of *signal* (``logs``, ``spans``, ...) lost for *reason*."""
    key = (signal, reason)
    with _lock:
        lost[key] = lost.get(key, 0) + count
    _tell("lost", key, count)


def _tell(what: str, key: tuple[str, ...], count: int) -> None:
    for listener in _listeners:
        try:
            listener(what, key, count)
        except Exception:
            with _lock:
                internal_errors["health.listen"] = internal_errors.get("health.listen", 0) + 1


def on_first_error(reporter: Callable[[str, str], None]) -> None:
    """Call *reporter* with place and text when an error occurs at a place the first time."""
    _reporters.append(reporter)


def on_count(listener: Callable[[str, tuple[str, ...], int], None]) -> None:
    """Call *listener* with ``internal_errors`` or ``lost``, the key and what was added to it."""
    if listener not in _listeners:
        _listeners.append(listener)


def keep_unsent(cells: Cells) -> None:
    """Go on with the number of what is not sent in the first of *cells*; the old one becomes 0."""
    global unsent
    before = unsent
    cells[0] = before[0]
    unsent = cells
    before[0] = 0.0


def reset() -> None:
    """Forget all counts, reporters and listeners; for tests and for a new process configuration."""
    with _lock:
        internal_errors.clear()
        lost.clear()
        last_errors.clear()
        _reporters.clear()
        _listeners.clear()


def _after_fork() -> None:
    """Begin with nothing that waits, and leave the parent's number alone."""
    global _lock, unsent
    _lock = threading.RLock()
    unsent = [0.0]


def _register() -> None:
    import os

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)


_register()
