"""Know the lowest level that each logger writes; it can change while the process runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from obskit import health

if TYPE_CHECKING:
    from obskit.logs.held import Watch

MOST_NAMES = 10_000
NAMES = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
# What these say at INFO about each call, or at length about each connection, is on spans and in
# metrics.
OBSERVED = {"httpx": ("httpx", "httpcore"), "pika": ("pika",), "urllib3": ("urllib3",)}
"""By library that obskit observes: the loggers that need WARNING unless somebody says else."""


class Threshold:
    """The lowest level of one logger name, shared by all loggers that have it."""

    __slots__ = ("level",)

    def __init__(self, level: int) -> None:
        self.level = level


watch: Watch | None = None
"""Takes lines below the level of their loggers; None while nobody has a use for any."""

_thresholds: dict[str, Threshold] = {}
_root = 0
_rules: dict[str, int] = {}
# Loggers that need WARNING at least, where no rule is about them.
_quiet: tuple[str, ...] = ()
_listeners: list[Callable[[], None]] = []
# What the signal switches back to, while it has switched to DEBUG.
_before: tuple[int, dict[str, int]] | None = None
_signal: int | None = None


def parse(text: str) -> tuple[int, dict[str, int]]:
    """Return the level of all loggers and those of single names, from ``INFO,name=DEBUG``."""
    root, rules = logging.INFO, {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, _, level = item.rpartition("=")
        if name.strip() not in ("", "root"):
            rules[name.strip()] = number(level)
        else:
            root = number(level)
    return root, rules


def number(level: str | int) -> int:
    """Return the number of a level given by name or number; INFO where it is unknown."""
    if isinstance(level, int):
        return level
    word = level.strip().upper()
    if word.isascii() and word.isdecimal():
        return int(word)
    return logging.getLevelNamesMapping().get(word, logging.INFO)


def configure(text: str, instrument: tuple[str, ...] = ("none",)) -> None:
    """Put the levels that *text* names in force.

    What a library of `OBSERVED` logs about each call needs WARNING if it is one to *instrument*
    (names, or ``-name`` to leave one out), unless *text* or the application has set a level.
    """
    global _before, _quiet
    _before = None
    names = [name for name in instrument if name[:1] != "-"]
    _quiet = tuple(
        logger
        for library, loggers in OBSERVED.items()
        if f"-{library}" not in instrument and (library in names or not names)
        for logger in loggers
    )
    put(*parse(text))


def listen(name: str) -> None:
    """Let the signal called *name* switch between DEBUG and the levels in force.

    A signal that the program or its server handles is left to them; no name ends it.
    """
    global _signal
    from obskit.settings import signal_number

    _stop_listening()
    if not name:
        return
    import signal

    number = signal_number(name)
    try:
        if signal.getsignal(number) is not signal.SIG_DFL:
            raise ValueError(f"{name} is handled by the program")
        signal.signal(number, _switch)
        _signal = number
    except (ValueError, OSError) as error:
        health.internal_error("logs.levels", error)


def _stop_listening() -> None:
    global _signal, _before
    _before = None
    number, _signal = _signal, None
    if number is None:
        return
    import signal

    try:
        if signal.getsignal(number) is _switch:
            signal.signal(number, signal.SIG_DFL)
    except ValueError as error:  # not in the main thread
        health.internal_error("logs.levels", error)


def _switch(number: int, frame: Any) -> None:
    global _before
    if _before is None:
        _before = _root, _rules
        put(logging.DEBUG, _rules)
    else:
        before, _before = _before, None
        put(*before)


def put(root: int, rules: dict[str, int]) -> None:
    """Put levels in force, for loggers that exist as well."""
    global _root, _rules
    _root, _rules = root, rules
    for name, threshold in list(_thresholds.items()):
        threshold.level = _level_of(name)
    for listener in list(_listeners):
        listener()


def forget() -> None:
    """Let all levels through, and tell nobody."""
    global _quiet
    _quiet = ()
    _stop_listening()
    _listeners.clear()
    put(0, {})


def in_force() -> tuple[int, dict[str, int]]:
    """Return the level of all loggers and those of single names."""
    return _root, dict(_rules)


def by_default() -> dict[str, int]:
    """Return the levels of single names that nobody has asked for."""
    return {name: max(_root, logging.WARNING) for name in _quiet if name not in _rules}


def on_change(listener: Callable[[], None]) -> None:
    """Call *listener* whenever levels are put in force."""
    if listener not in _listeners:
        _listeners.append(listener)


def of(name: str) -> Threshold:
    """Return the threshold of loggers called *name*."""
    threshold = _thresholds.get(name)
    if threshold is None:
        threshold = Threshold(_level_of(name))
        if len(_thresholds) < MOST_NAMES:
            threshold = _thresholds.setdefault(name, threshold)
    return threshold


def _level_of(name: str) -> int:
    while _rules or _quiet:
        level = _rules.get(name)
        if level is not None:
            return level
        if name in _quiet:
            return max(_root, logging.WARNING)
        name, dot, _ = name.rpartition(".")
        if not dot:
            break
    return _root


def enabled(logger: str, level: int) -> bool:
    """Tell whether *logger* writes lines of *level*."""
    return level >= of(logger).level


def wanted() -> bool:
    """Tell whether lines below the level have a use for what this task works at."""
    return watch is not None and watch.wants()


def call(level: int, name: str) -> None:
    """Let a level have a name on lines, unless it has one: another library's own levels."""
    if level not in NAMES and len(NAMES) < MOST_NAMES:
        NAMES[level] = name.lower()


def name_of(level: int) -> str:
    """Return the name of a level as it stands on a line."""
    return NAMES.get(level) or logging.getLevelName(level).lower()
