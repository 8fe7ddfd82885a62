"""Log with key and value: structlog's surface, straight into the pipeline."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

from obskit import health
from obskit.logs import levels, pipeline
from obskit.logs.pipeline import LOST, contain

DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50

Log = Callable[..., None]


def get_logger(name: str | None = None, /, **fields: Any) -> Logger:
    """Return a logger whose lines carry *fields*.

    Use it at the top of a module, also before `init`. Its methods take a message and
    fields: ``log.info("order placed", order_id=7)``. Positional arguments are merged into
    the message by ``%``.

    Args:
        name: Stands on each line as ``logger``; the calling module's name by default.
        fields: What each line of this logger carries.
    """
    if name is None:
        name = sys._getframe(1).f_globals.get("__name__", "root")
    return Logger(name if isinstance(name, str) else str(name), fields)


def _method(level: int) -> Log:
    """Return the method that logs at *level*."""

    def log(self: Logger, message: object = None, /, *args: Any, **fields: Any) -> None:
        if level < self._threshold.level:
            watch = levels.watch
            if watch is None or not watch.wants():
                return
            emit = watch.take
        else:
            emit = _emit
        try:
            if (
                args
                or message is None
                or self._context
                or "exc_info" in fields
                or "stack_info" in fields
            ):
                _log(self, level, message, args, fields, emit)
            else:
                emit(level, self.name, message, fields)
        except Exception as error:
            try:
                contain(error)
            except Exception:
                # There is no room for one more call; what stands here needs none.
                health.lost[LOST] = health.lost.get(LOST, 0) + 1

    return log


def _async_method(level: int) -> Callable[..., Any]:
    log = _method(level)

    async def alog(self: Logger, message: object = None, /, *args: Any, **fields: Any) -> None:
        log(self, message, *args, **fields)

    return alog


_emit: Log = pipeline.emit


def _log(
    logger: Logger,
    level: int,
    message: object,
    args: tuple[Any, ...],
    fields: dict[str, Any],
    emit: Log,
) -> None:
    """Log what needs a second look: bound fields, arguments, an exception, a stack."""
    if message is None:
        message = fields.pop("event", "")
    template = message
    if args:
        message = _merged(message, args, fields)
    error = None
    if "exc_info" in fields:
        wanted = fields.pop("exc_info")
        error = error_of(wanted)
        if error is None and wanted and not isinstance(wanted, (bool, tuple)):
            fields["field_exc_info"] = wanted
    stack = None
    if "stack_info" in fields and fields.pop("stack_info"):
        stack = "".join(traceback.format_stack(sys._getframe(2))).rstrip()
    if logger._context:
        fields = {**logger._context, **fields}
    emit(level, logger.name, message, fields, template, error=error, stack=stack)


def _merged(message: object, args: tuple[Any, ...], fields: dict[str, Any]) -> object:
    """Return *message* with *args* in their places; where they do not fit, both are kept."""
    try:
        if len(args) == 1 and isinstance(args[0], dict) and args[0]:
            return str(message) % args[0]
        return str(message) % args
    except Exception:
        fields.setdefault("args", args)
        return message


def error_of(wanted: object) -> BaseException | None:
    """Return the exception that a value of ``exc_info`` means."""
    if isinstance(wanted, BaseException):
        return wanted
    if isinstance(wanted, tuple):
        found = wanted[1] if len(wanted) == 3 else None
        return found if isinstance(found, BaseException) else None
    return sys.exc_info()[1] if wanted else None


class Logger:
    """Log lines with bound fields; binding returns a new logger and changes none."""

    __slots__ = ("_context", "_threshold", "name")

    def __init__(self, name: str, context: dict[str, Any]) -> None:
        self.name = name
        self._context = context
        self._threshold = levels.of(name)

    def bind(self, **fields: Any) -> Logger:
        """Return a logger whose lines carry *fields* too."""
        return Logger(self.name, {**self._context, **fields})

    def new(self, **fields: Any) -> Logger:
        """Return a logger whose lines carry *fields* and nothing that was bound before."""
        return Logger(self.name, fields)

    def unbind(self, *names: str) -> Logger:
        """Return a logger without the fields called *names*.

        Raises:
            KeyError: One of them is not bound.
        """
        context = dict(self._context)
        for name in names:
            del context[name]
        return Logger(self.name, context)

    def try_unbind(self, *names: str) -> Logger:
        """Return a logger without the fields called *names*, whether they were bound or not."""
        context = {name: value for name, value in self._context.items() if name not in names}
        return Logger(self.name, context)

    debug, adebug = _method(DEBUG), _async_method(DEBUG)
    info, ainfo = _method(INFO), _async_method(INFO)
    msg, amsg = info, ainfo
    warning, awarning = _method(WARNING), _async_method(WARNING)
    warn, awarn = warning, awarning
    error, aerror = _method(ERROR), _async_method(ERROR)
    failure, err = error, error
    critical, acritical = _method(CRITICAL), _async_method(CRITICAL)
    fatal, afatal = critical, acritical

    def exception(self, message: object = None, /, *args: Any, **fields: Any) -> None:
        """Log an error with the exception that is being handled, or with ``exc_info``."""
        if self._threshold.level <= ERROR or levels.wanted():
            fields.setdefault("exc_info", True)
            self.error(message, *args, **fields)

    async def aexception(self, message: object = None, /, *args: Any, **fields: Any) -> None:
        """Do as `exception` does."""
        self.exception(message, *args, **fields)

    def log(self, level: int | str, message: object = None, /, *args: Any, **fields: Any) -> None:
        """Log at a level given by number or name."""
        number = levels.number(level)
        emit: Log = _emit
        if number < self._threshold.level:
            watch = levels.watch
            if watch is None or not watch.wants():
                return
            emit = watch.take
        try:
            _log(self, number, message, args, fields, emit)
        except Exception as error:
            try:
                contain(error)
            except Exception:
                # There is no room for one more call; what stands here needs none.
                health.lost[LOST] = health.lost.get(LOST, 0) + 1

    async def alog(
        self, level: int | str, message: object = None, /, *args: Any, **fields: Any
    ) -> None:
        """Do as `log` does."""
        self.log(level, message, *args, **fields)

    def is_enabled_for(self, level: int) -> bool:
        """Tell whether lines of *level* are written, or kept for when they are needed."""
        return level >= self._threshold.level or levels.wanted()

    isEnabledFor = is_enabled_for  # noqa: N815 - as in logging

    def get_effective_level(self) -> int:
        """Return the lowest level that is written."""
        return self._threshold.level

    getEffectiveLevel = get_effective_level  # noqa: N815 - as in logging

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Logger):
            return NotImplemented
        return self.name == other.name and self._context == other._context

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Logger {self.name!r} with {', '.join(self._context) or 'nothing'} bound>"
