"""Let `logging` hand over lines below the level, where somebody has a use for them.

Loggers say that such a level is enabled while their task works for a unit of work that keeps
these lines or writes them. Handlers never see them; filters of loggers do, as of all records.
"""

from __future__ import annotations

import functools
import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any

from obskit.logs import levels, stdlib
from obskit.logs.losses import contain

_undo: Callable[[], None] | None = None


def install() -> None:
    """Ask who watches whenever a level is not enabled."""
    global _undo
    if _undo is None:
        cls: Any = logging.Logger
        _undo = stdlib.replace(cls, "isEnabledFor", _enabling(cls.isEnabledFor))


def remove() -> None:
    """Ask no more."""
    global _undo
    if _undo is not None:
        _undo()
        _undo = None


def _enabling(previous: Callable[..., bool]) -> Callable[..., bool]:
    @functools.wraps(previous)
    def isEnabledFor(self: logging.Logger, level: int) -> bool:  # noqa: N802 - as in logging
        # What has been found before, as `logging` itself does it.
        if self._cache.get(level) and not self.disabled:  # type: ignore[attr-defined]
            return True
        if previous(self, level):
            return True
        return not self.disabled and self.manager.disable < level and levels.wanted()

    return isEnabledFor


def is_below(logger: logging.Logger, level: int) -> bool:
    """Tell whether *logger*, which was asked before, writes nothing of *level*."""
    return logger._cache.get(level) is False  # type: ignore[attr-defined]


def log(
    logger: logging.Logger,
    level: int,
    message: object,
    args: Any,
    exc_info: Any,
    extra: Any,
    stack_info: bool,
) -> None:
    """Take what *logger* was told as a record, which its filters may change; never raises."""
    try:
        if isinstance(exc_info, BaseException):
            exc_info = type(exc_info), exc_info, exc_info.__traceback__
        elif exc_info and not isinstance(exc_info, tuple):
            exc_info = sys.exc_info()
        stack = "".join(traceback.format_stack(sys._getframe(3))).rstrip() if stack_info else None
        record = logger.makeRecord(
            logger.name, level, "", 0, message, args, exc_info, None, extra, stack
        )
        passed: Any = logger.filter(record)
        if passed and _reaches_root(logger):
            _take(passed if isinstance(passed, logging.LogRecord) else record)
    except Exception as fault:
        contain(fault)


def _reaches_root(logger: logging.Logger) -> bool:
    here: logging.Logger | None = logger
    while here is not None and here.parent is not None:
        here = here.parent if here.propagate else None
    return here is not None


def _take(record: logging.LogRecord) -> None:
    watch = levels.watch
    if watch is not None:
        level, name, message, fields, error, stack, when_ns = stdlib.read(record)
        watch.take(level, name, message, fields, error=error, stack=stack, when_ns=when_ns)
