"""Take the records that other set-ups of logging write to the console.

Nobody's handlers are removed and nobody's loggers changed, so whatever a server, a
framework or a later ``dictConfig`` sets up goes on as it was told. Only handlers that would
write text to stdout or stderr are passed over: the record becomes one line instead.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from obskit import context, health
from obskit.logs import shortcut, stdlib
from obskit.logs.capture.console import leads_there
from obskit.record import Record

Take = Callable[[logging.LogRecord], None]
Undo = Callable[[], None]

summarised: ContextVar[bool] = ContextVar("obskit_summarised", default=False)
"""True while a server writes its access line of a request that has a summary line."""

# uvicorn writes its access line in the task of the request: the context says enough.
ACCESS_IN_CONTEXT = "uvicorn.access"
ACCESS = frozenset(
    {ACCESS_IN_CONTEXT, "gunicorn.access", "hypercorn.access", "werkzeug", "django.server"}
)

# On records that others handle too: a queue may bring them to a console handler later.
TAKEN = "_obskit_taken"

passing: ContextVar[bool] = ContextVar("obskit_passing", default=False)
"""True while a record that is a line already goes to the other handlers: one of them may
hand it over to a logging library of its own that joins the log."""


class Way(Record):
    """How records become lines.

    *take* writes a record as a line. *is_beside* says that the console stays as it is, since
    lines go elsewhere. *replace_access* says that the summary line stands for the server's
    own access line.
    """

    take: Take
    is_beside: bool
    replace_access: bool


def install(way: Way) -> Undo:
    """Make lines of console records; return what ends that."""
    undos = [
        _replace(
            logging.Logger,
            "callHandlers",
            _calling_handlers(logging.Logger.callHandlers, way),
        )
    ]
    if not way.is_beside:
        handle = _handling(logging.StreamHandler.handle, way.take)
        undos.append(_replace(logging.StreamHandler, "handle", handle))
    shortcut.look()

    def undo() -> None:
        for step in undos:
            step()
        shortcut.look()

    return undo


def _calling_handlers(previous: Callable[..., None], way: Way) -> Callable[..., None]:
    take, replace_access = way.take, way.replace_access
    # An error tracker may have hooked this place before: it hears of all records still.
    foreign = stdlib.foreign(previous)

    @functools.wraps(previous)
    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        try:
            is_access = replace_access and self.name in ACCESS
            if foreign is None and not is_access and _is_plain(self):
                take(record)
                return
            wanted, others = _sort(self, record, way)
            if wanted is not None and not (is_access and _has_summary(self.name)):
                take(wanted)
        except Exception as error:
            health.internal_error("logs.capture.handlers", error)
            previous(self, record)
            return
        if foreign is not None:
            _pass_on(record, [functools.partial(foreign, self)], is_taken=wanted is not None)
        elif others:
            handles = [handler.handle for handler in others]
            _pass_on(record, handles, is_taken=wanted is not None)

    return call_handlers


def _is_plain(logger: logging.Logger) -> bool:
    """Tell whether nobody has set up anything, as is usual: the record is a line then."""
    here: logging.Logger | None = logger
    while here is not None:
        if here.handlers:
            return False
        if here.parent is None:
            return True
        here = here.parent if here.propagate else None
    return False


def _pass_on(
    record: logging.LogRecord, handles: Sequence[Callable[..., Any]], *, is_taken: bool
) -> None:
    if is_taken:
        setattr(record, TAKEN, True)
    token = passing.set(is_taken)
    try:
        for handle in handles:
            handle(record)
    finally:
        passing.reset(token)


def _handling(previous: Callable[..., Any], take: Take) -> Callable[..., Any]:
    """Take a record that comes to a console handler by a queue, unless it was taken before."""

    @functools.wraps(previous)
    def handle(self: Any, record: logging.LogRecord) -> Any:
        if not writes_to_console(self):
            return previous(self, record)
        passed = self.filter(record)
        if passed and not getattr(record, TAKEN, False):
            take(passed if isinstance(passed, logging.LogRecord) else record)
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
    logger: logging.Logger, record: logging.LogRecord, way: Way
) -> tuple[logging.LogRecord | None, list[logging.Handler]]:
    """Return *record* if it becomes a line, and the handlers that go on as ever.

    It does if a console handler would show it, or if it comes to the root logger and no
    console handler on its way is set up to leave it out. Django's own is not set up by anybody:
    in production it would leave out what went wrong, too.
    """
    shown: logging.LogRecord | None = None
    is_found = is_refused = is_at_root = False
    others: list[logging.Handler] = []
    here: logging.Logger | None = logger
    while here is not None:
        for handler in here.handlers:
            is_found = True
            if not writes_to_console(handler):
                if record.levelno >= handler.level:
                    others.append(handler)
                continue
            shown = shown or _shown_by(handler, record)
            is_refused = is_refused or (shown is None and not _is_for_debugging(handler, record))
            if way.is_beside and record.levelno >= handler.level:
                others.append(handler)
        is_at_root = here.parent is None
        here = here.parent if here.propagate else None
    if shown is None and (
        (is_at_root and not is_refused) or (not is_found and _is_for_last_resort(record))
    ):
        shown = record
    return shown, others


def _shown_by(handler: logging.Handler, record: logging.LogRecord) -> logging.LogRecord | None:
    if record.levelno < handler.level:
        return None
    passed: Any = handler.filter(record)
    if isinstance(passed, logging.LogRecord):
        return passed
    return record if passed else None


def _is_for_debugging(handler: logging.Handler, record: logging.LogRecord) -> bool:
    """Tell whether only Django's ``DEBUG = False`` keeps *handler* from writing of an error."""
    return record.levelno >= logging.ERROR and any(
        type(one).__name__ == "RequireDebugTrue" for one in handler.filters
    )


def _is_for_last_resort(record: logging.LogRecord) -> bool:
    last = logging.lastResort
    return last is not None and record.levelno >= last.level


def writes_to_console(handler: logging.Handler) -> bool:
    """Tell whether *handler* writes text to stdout or stderr, or would if these were open."""
    stream = getattr(handler, "stream", None)
    if stream is not None:
        return leads_there(stream)
    if isinstance(handler, logging.StreamHandler):
        return not isinstance(handler, logging.FileHandler)
    stream = getattr(getattr(handler, "console", None), "file", None)
    return stream is not None and leads_there(stream)


def _has_summary(logger: str) -> bool:
    return summarised.get() or (logger == ACCESS_IN_CONTEXT and context.current() is not None)
