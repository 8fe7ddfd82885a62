"""Take what `logging` is told: each record that comes as far as the root logger is a line.

No handler is put at the root logger: that would keep a later ``basicConfig`` from doing
anything, and each ``dictConfig`` would remove it. The place where `logging` calls handlers is
hooked instead, so whatever the application sets up works as it was told.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from obskit import health
from obskit.logs import levels, pipeline

if TYPE_CHECKING:
    from obskit.logs import events
    from obskit.logs.exceptions import Description

# What every record has; the rest was given by the caller as ``extra``.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message", "asctime", "taskName", "_obskit_taken",
}  # fmt: skip
# What uvicorn says once more, in colours.
STANDARD |= {"color_message"}
_STANDARD_COUNT = len(vars(logging.makeLogRecord({})))
_LAST_STANDARD = list(vars(logging.makeLogRecord({})))[-1:]

# On records of structlog: names of fields that its processors add and a line has anyway.
MADE = "_obskit_made"
TRACEBACK = "\nTraceback (most recent call last):\n"

_undos: list[Callable[[], None]] = []
# Levels that were set here: logger name -> (level before, level set).
_levels: dict[str, tuple[int, int]] = {}
_pid = os.getpid()


class Event(str):
    """A message of structlog that has been rendered, with what it was rendered from."""

    __slots__ = ("error", "fields", "message", "stack")

    message: object
    fields: Mapping[str, Any]
    error: BaseException | Description | None
    stack: str | None


def install() -> None:
    """Take records from now on; the levels in force count for `logging` as well."""
    set_levels()
    if _undos:
        return
    levels.on_change(set_levels)
    cls = logging.Logger
    _undos.append(replace(cls, "callHandlers", _calling_handlers(cls.callHandlers)))
    _undos.append(replace(cls, "makeRecord", _making_record(cls.makeRecord)))


def remove() -> None:
    """Take no records any more, and put levels back as they were found."""
    while _undos:
        _undos.pop()()
    for name in list(_levels):
        _put_back(name)


def replace(owner: Any, name: str, new: Any) -> Callable[[], None]:
    """Put *new* in the place of an attribute; return what undoes that if it is still there."""
    old = getattr(owner, name)
    setattr(owner, name, new)

    def undo() -> None:
        if getattr(owner, name) is new:
            setattr(owner, name, old)

    return undo


def foreign(function: Any) -> Callable[..., None] | None:
    """Return what somebody else has put in the place of one of logging's own, behind ours."""
    while True:
        name = getattr(function, "__globals__", {}).get("__name__", "")
        if not name.startswith("obskit."):
            return None if name == logging.__name__ else function
        function = function.__wrapped__


def _calling_handlers(previous: Callable[..., None]) -> Callable[..., None]:
    others = foreign(previous) is not None

    @functools.wraps(previous)
    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if not pipeline.is_on():
            previous(self, record)
            return
        here: logging.Logger | None = self
        handled, written = others, False
        while here is not None:
            handled = handled or bool(here.handlers)
            written = written or _is_written_by(here.handlers, record)
            if here.parent is None and not written:
                take(record)
            here = here.parent if here.propagate else None
        # Without handlers `logging` would write warnings to stderr, as its last resort.
        if handled:
            previous(self, record)

    return call_handlers


def _is_written_by(handlers: list[logging.Handler], record: logging.LogRecord) -> bool:
    """Tell whether one of *handlers* writes our line itself, where nothing is captured."""
    settings = pipeline.in_force()
    if not handlers or settings is None or settings.capture:
        return False
    return any(
        type(handler.formatter).__module__ == "obskit.logs.formatter"
        and record.levelno >= handler.level
        for handler in handlers
    )


def _making_record(previous: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    """Let a log call with a key in ``extra`` that `logging` has taken for itself not raise."""

    @functools.wraps(previous)
    def make_record(
        self: logging.Logger,
        name: str,
        level: int,
        fn: str,
        lno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        extra: Any = None,
        sinfo: str | None = None,
    ) -> logging.LogRecord:
        if extra is None:
            return previous(self, name, level, fn, lno, msg, args, exc_info, func, extra, sinfo)
        try:
            return previous(self, name, level, fn, lno, msg, args, exc_info, func, extra, sinfo)
        except Exception:
            if not pipeline.is_on():
                raise
            record = previous(self, name, level, fn, lno, msg, args, exc_info, func, None, sinfo)
            _add_extra(record, extra)
            return record

    return make_record


def _add_extra(record: logging.LogRecord, extra: Any) -> None:
    known = record.__dict__
    if not isinstance(extra, Mapping):
        known["extra"] = extra
        return
    try:
        for key, value in extra.items():
            known[f"field_{key}" if key in known or key in STANDARD else key] = value
    except Exception as error:
        health.internal_error("logs.stdlib.extra", error)


def take(record: logging.LogRecord) -> None:
    """Write *record* as a line, whatever the handlers of its logger are; never raises."""
    try:
        _write(record)
    except Exception as error:
        health.internal_error("logs.stdlib", error)
        health.lose("logs", "record")


def _write(record: logging.LogRecord) -> None:
    level, name, message, fields, error, stack, when_ns = read(record)
    template = None if isinstance(record.msg, (Event, dict)) else record.msg
    pipeline.emit(level, name, message, fields, template, error=error, stack=stack, when_ns=when_ns)


Told = tuple[int, str, str, dict[str, Any], "BaseException | Description | None", "str | None", int]


def read(record: logging.LogRecord) -> Told:
    """Return what *record* tells: level, logger, message, fields, error, stack, nanoseconds."""
    known = record.__dict__
    message: Any = record.msg
    fields: dict[str, Any] = {}
    if len(known) != _STANDARD_COUNT or type(record) is not logging.LogRecord:
        fields = _added(known)
        for name in fields.pop(MADE, ()):
            fields.pop(name, None)
    error: BaseException | Description | None = None
    stack = record.stack_info
    if type(message) is str:
        if record.args:
            message = formatted(message, _fit_for_a_line(record.name, record.args), fields)
    else:
        message, error, stack = _unusual(record, fields)
    if record.exc_info:
        error = _error(record.exc_info) or error
    elif error is None and (record.exc_text or TRACEBACK in message):
        message, error = _printed(message, record.exc_text)
    if message[-1:] == "\n":
        message = message.rstrip("\n")
    if record.process != _pid and record.process is not None:
        fields["record_pid"] = record.process
    return record.levelno, record.name, message, fields, error, stack, int(record.created * 1e9)


def _added(known: dict[str, Any]) -> dict[str, Any]:
    """Return what is not logging's own; what the caller has added stands behind that."""
    names = list(known)
    if names[_STANDARD_COUNT - 1 : _STANDARD_COUNT] == _LAST_STANDARD:
        del names[:_STANDARD_COUNT]
    added = {name: known[name] for name in names if name not in STANDARD}
    if "request" in added and known["name"].startswith("django."):
        # Its text has the query; what else is in it is on the summary line.
        del added["request"]
        added.pop("server_time", None)
    elif isinstance(added.get("data"), dict) and known["name"].startswith("celery."):
        # Beside what its text says: arguments and results of tasks.
        data = added.pop("data")
        added |= {"task_id": data.get("id"), "task_name": data.get("name")}
    return added


def _fit_for_a_line(logger: str, args: Any) -> Any:
    """Return *args*; what httpx says of each call is said without the secrets of its URL."""
    if logger != "httpx" or not isinstance(args, tuple):
        return args
    return tuple(
        arg.copy_with(query=None, userinfo=b"", fragment=None) if hasattr(arg, "copy_with") else arg
        for arg in args
    )


def formatted(message: str, args: Any, fields: dict[str, Any]) -> str:
    """Return *message* with *args* put in; where they do not fit, they become a field."""
    try:
        merged: str = message % args
    except Exception:
        fields.setdefault("args", args)
        return message
    return merged


def _unusual(
    record: logging.LogRecord, fields: dict[str, Any]
) -> tuple[str, BaseException | Description | None, str | None]:
    """Return message, error and stack of a record whose message is no plain text."""
    message: Any = record.msg
    if isinstance(message, Event):
        fields.update(message.fields)
        return text_of(message.message), message.error, message.stack or record.stack_info
    if isinstance(message, dict):
        event = _event(message, fields)
        return text_of(event.message), event.error, event.stack or record.stack_info
    error = message if isinstance(message, BaseException) else None
    text = text_of(message)
    return formatted(text, record.args, fields) if record.args else text, error, record.stack_info


def _event(message: dict[Any, Any], fields: dict[str, Any]) -> events.Event:
    """Return what an event dict says, whether structlog has made it or somebody else."""
    from obskit.logs import events

    made = fields.pop("_logger", None) is not None
    fields.pop("_name", None)
    event = events.read(message, {} if made else message, None)
    fields.update(event.fields)
    return event


def text_of(message: object) -> str:
    """Return *message* as text, whatever it does when it is asked for it."""
    try:
        text = str(message)
        return text if type(text) is str else str.__str__(text)
    except Exception as fault:
        return f"<{type(message).__name__} whose str failed: {type(fault).__name__}>"


def _error(exc_info: Any) -> BaseException | None:
    """Return the exception of what may stand for one in ``exc_info``."""
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1] if len(exc_info) > 1 else None
    return exc_info if isinstance(exc_info, BaseException) else None


def _printed(message: str, text: str | None) -> tuple[str, Description | None]:
    """Find the error that a queue or another process has made into text already."""
    from obskit.logs import exceptions

    head, found, tail = message.partition(TRACEBACK)
    if text:
        return head if found else message, exceptions.of_text(text)
    described = exceptions.of_text(found + tail)
    return (message, None) if described is None else (head, described)


def set_levels() -> None:
    """Set the levels in force, where the application has set none of its own."""
    root, rules = levels.in_force()
    quiet = levels.by_default()
    for name in [name for name in _levels if name and name not in rules and name not in quiet]:
        _put_back(name)
    if "" in _levels or (logging.root.level == logging.WARNING and not logging.root.handlers):
        _set(logging.root, "", root)
    for name, level in rules.items():
        _set(logging.getLogger(name), name, level)
    # A logger that is made before its library does so may be disabled by a `dictConfig`.
    known = logging.root.manager.loggerDict
    for name in [name for name in quiet if name in known]:
        if name in _levels or logging.getLogger(name).level == logging.NOTSET:
            _set(logging.getLogger(name), name, quiet[name])


def _set(logger: logging.Logger, name: str, level: int) -> None:
    before, ours = _levels.get(name, (logger.level, logger.level))
    if logger.level != ours:
        # Somebody else has spoken since.
        return
    logger.setLevel(level)
    _levels[name] = before, level


def _put_back(name: str) -> None:
    before, ours = _levels.pop(name)
    logger = logging.getLogger(name) if name else logging.root
    if logger.level == ours:
        logger.setLevel(before)


def _renew_pid() -> None:
    global _pid
    _pid = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_pid)
