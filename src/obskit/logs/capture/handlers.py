"""Take the records that other set-ups of logging write to the console.

Nobody's handlers are removed and nobody's loggers changed, so whatever a server, a
framework or a later ``dictConfig`` sets up goes on as it was told. Only handlers that would
write text to stdout or stderr are passed over: the record becomes one line instead.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from obskit import context, health

Take = Callable[[logging.LogRecord], None]
Undo = Callable[[], None]

summarised: ContextVar[bool] = ContextVar("obskit_summarised", default=False)
"""True while a server writes its access line of a request that has a summary line."""

# uvicorn writes its access line in the task of the request: the context says enough.
ACCESS_IN_CONTEXT = "uvicorn.access"

# On records that others handle too: a queue may bring them to a console handler later.
TAKEN = "_obskit_taken"

_ours: set[int] = set()


def install(take: Take, door: logging.Handler | None, *, replace_access: bool) -> Undo:
    """Send console records to *take*; return what ends that.

    Args:
        take: Writes a record as a line.
        door: The handler of ours at the root logger, if there is one; it is not called, as
            each record is taken once.
        replace_access: Whether the summary line stands for the server's own access line.
    """
    call_handlers = _calling_handlers(logging.Logger.callHandlers, take, door, replace_access)
    undos = [
        _replace(logging.Logger, "callHandlers", call_handlers),
        _replace(logging.StreamHandler, "handle", _handling(logging.StreamHandler.handle, take)),
    ]

    def undo() -> None:
        for step in undos:
            step()

    return undo


def _calling_handlers(
    previous: Callable[..., None],
    take: Take,
    door: logging.Handler | None,
    replace_access: bool,
) -> Callable[..., None]:
    @functools.wraps(previous)
    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        try:
            wanted, others = _sort(self, record, door)
            if wanted and not (replace_access and _has_summary(self.name)):
                take(record)
        except Exception as error:
            health.internal_error("logs.capture.handlers", error)
            previous(self, record)
            return
        if others:
            setattr(record, TAKEN, wanted)
        for handler in others:
            handler.handle(record)

    return call_handlers


def _handling(previous: Callable[..., Any], take: Take) -> Callable[..., Any]:
    """Take a record that comes to a console handler by a queue, unless it was taken before."""

    @functools.wraps(previous)
    def handle(self: Any, record: logging.LogRecord) -> Any:
        if not writes_to_console(self):
            return previous(self, record)
        passed = self.filter(record)
        if passed and not getattr(record, TAKEN, False):
            take(record)
        return passed

    return handle


def _replace(owner: Any, name: str, new: Any) -> Undo:
    old = owner.__dict__.get(name)
    setattr(owner, name, new)

    def undo() -> None:
        if owner.__dict__.get(name) is not new:
            return
        if old is None:
            delattr(owner, name)
        else:
            setattr(owner, name, old)

    return undo


def _sort(
    logger: logging.Logger, record: logging.LogRecord, door: logging.Handler | None
) -> tuple[bool, list[logging.Handler]]:
    """Tell whether *record* would have come out on the console, and who else handles it."""
    wanted, found, others = False, False, []
    level = record.levelno
    here: logging.Logger | None = logger
    while here is not None:
        for handler in here.handlers:
            if handler is door:
                wanted = True
                continue
            found = True
            if level < handler.level:
                continue
            if writes_to_console(handler):
                wanted = wanted or bool(handler.filter(record))
            else:
                others.append(handler)
        if here.parent is None:
            wanted = True
        here = here.parent if here.propagate else None
    last = logging.lastResort
    return wanted or (not found and last is not None and level >= last.level), others


def writes_to_console(handler: logging.Handler) -> bool:
    """Tell whether *handler* writes text to stdout or stderr."""
    stream = getattr(handler, "stream", None)
    if stream is None:
        stream = getattr(getattr(handler, "console", None), "file", None)
    return id(stream) in _ours


def know_streams(*streams: Any) -> None:
    """Remember streams that lead to the console: handlers keep those they were made with."""
    _ours.update(id(stream) for stream in streams if stream is not None)


def forget_streams() -> None:
    """Know no streams."""
    _ours.clear()


def _has_summary(logger: str) -> bool:
    return summarised.get() or (logger == ACCESS_IN_CONTEXT and context.current() is not None)
