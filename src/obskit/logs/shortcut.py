"""Write what `logging` is told without making a record of it, where nobody would see that.

To find the caller's place and to make a record takes longer than to write the line. Where no
filter, no handler, no factory and no hook of anybody else's is on the way of the record, only
obskit would look at it, and it looks at neither.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from obskit.logs import levels, pipeline, stdlib

# What a logger has by itself: whoever has put more there has something in mind.
_ATTRIBUTES = len(vars(logging.getLogger("obskit")))
_PLAIN = {str, int, float}
# httpx says its URLs with their secrets, Django adds its request; the others may be replaced by
# a summary line.
LEFT_ALONE = frozenset({
    "httpx", "uvicorn.access", "gunicorn.access", "hypercorn.access", "werkzeug",
    "django.server", "django.request", "django.security.csrf",
})  # fmt: skip


class _State:
    """The ways of a record, as they are while nobody but obskit has hooked them."""

    ways: tuple[Any, ...] = ()


_state = _State()
_undo: Callable[[], None] | None = None


def install() -> None:
    """Take the shortcut from now on; use it after `stdlib` is installed."""
    global _undo
    if _undo is None:
        cls: Any = logging.Logger
        _undo = stdlib.replace(cls, "_log", _logging(cls._log))
    look()


def remove() -> None:
    """Take it no more."""
    global _undo
    _state.ways = ()
    if _undo is not None:
        _undo()
        _undo = None


def look() -> None:
    """See who hooks `logging` now; use it whenever obskit has changed that itself."""
    cls = logging.Logger
    found = cls.callHandlers, cls.makeRecord, cls.handle, cls.filter
    is_ours = _undo is not None and not any(map(stdlib.foreign, found))
    _state.ways = found if is_ours else ()


def _logging(previous: Callable[..., None]) -> Callable[..., None]:
    cls, record, factory = logging.Logger, logging.LogRecord, logging.getLogRecordFactory
    emit, is_on, standard, made = pipeline.emit, pipeline.is_on, stdlib.STANDARD, record.__init__
    state, attributes, left_alone = _state, _ATTRIBUTES, LEFT_ALONE
    merged, below = _merged, levels

    def _log(
        self: logging.Logger, level: int, msg: Any, args: Any, exc_info: Any = None,
        extra: Any = None, stack_info: bool = False, stacklevel: int = 1,
    ) -> None:  # fmt: skip
        text = None
        try:
            if (
                type(msg) is str
                and not (exc_info or stack_info)
                and (cls.callHandlers, cls.makeRecord, cls.handle, cls.filter) == state.ways
                and factory() is record
                and record.__init__ is made
                and type(self) is cls
                and len(self.__dict__) == attributes
                and not (self.filters or self.disabled)
                and (extra is None or (type(extra) is dict and standard.isdisjoint(extra)))
                and self.name not in left_alone
                and is_on()
            ):
                here: logging.Logger | None = self
                while (
                    here is not None and not here.handlers and (here.propagate or not here.parent)
                ):
                    here = here.parent
                if here is None:
                    text = msg if not args else merged(msg, args)
                    if "\n" in text:
                        msg, args, text = text, (), None
        except Exception:
            text = None
        watch = below.watch
        if watch is not None and watch.is_below(self, level):
            if text is not None:
                watch.take(level, self.name, text, extra or {}, msg)
            else:
                watch.log(self, level, msg, args, exc_info, extra, stack_info)
        elif text is None:
            previous(self, level, msg, args, exc_info, extra, stack_info, stacklevel)
        else:
            emit(level, self.name, text, extra or {}, msg)

    return functools.wraps(previous)(_unseen(_log))


def _unseen(function: Any) -> FunctionType:
    """Return *function* as one whose frames are passed over by whoever looks for the caller.

    `logging` looks at the file of a frame, structlog's loggers at the name of its module: all
    other names that the function uses are its own.
    """
    there = logging.addLevelName.__code__.co_filename
    code = function.__code__.replace(co_filename=there)
    names = {"__name__": logging.__name__, "__builtins__": __builtins__}
    names |= {name: globals()[name] for name in code.co_names if name in globals()}
    made = FunctionType(code, names, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _merged(message: str, args: Any) -> str:
    """Return *message* with *args* put in, as a record would do it."""
    if len(args) == 1 and args[0] and type(args[0]) not in _PLAIN and isinstance(args[0], Mapping):
        args = args[0]
    merged: str = message % args
    return merged
