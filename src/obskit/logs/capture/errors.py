"""Make one line of each error that nobody caught, and of each warning."""

from __future__ import annotations

import functools
import io
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

from obskit import health
from obskit.logs.capture.streams import LineStream

CRITICAL, ERROR, WARNING = 50, 40, 30

# (logger, level, message, fields, error) -> None
Report = Callable[[str, int, str, dict[str, Any], BaseException | None], None]
Undo = Callable[[], None]


def install(report: Report, *, beside: bool = False) -> list[Undo]:
    """Hook what Python calls for errors that nobody caught; return what takes the hooks away.

    A hook that was there before, such as a debugger's, is still called; with *beside* also
    Python's own, since the console is left as it was.
    """
    shown = _Shown(report, beside)
    return [
        _replace(sys, "excepthook", _uncaught(shown, sys.excepthook)),
        _replace(threading, "excepthook", _uncaught_in_thread(shown, threading.excepthook)),
        _replace(sys, "unraisablehook", _ignored(shown, sys.unraisablehook)),
        _replace(warnings, "showwarning", _warned(shown, warnings.showwarning)),
        _replace(logging.Handler, "handleError", _failed(shown, logging.Handler.handleError)),
        _replace(
            traceback.TracebackException, "print", _printed(traceback.TracebackException.print)
        ),
    ]


class _Shown:
    """Report, and tell whether the report stands for what Python would have printed."""

    __slots__ = ("_beside", "_report")

    def __init__(self, report: Report, beside: bool) -> None:
        self._report = report
        self._beside = beside

    def __call__(
        self,
        logger: str,
        level: int,
        message: str,
        fields: dict[str, Any],
        error: BaseException | None,
    ) -> bool:
        if sys.is_finalizing():
            # Nothing can be imported any more; what Python prints is captured as text.
            return False
        try:
            self._report(logger, level, message, fields, error)
        except Exception as fault:
            health.internal_error("logs.capture.errors", fault)
            return False
        return not self._beside


def _replace(owner: Any, name: str, new: Any) -> Undo:
    old = getattr(owner, name)
    setattr(owner, name, new)

    def undo() -> None:
        if getattr(owner, name) is new:
            setattr(owner, name, old)

    return undo


def _uncaught(shown: _Shown, previous: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(previous)
    def excepthook(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        interrupted = issubclass(kind, KeyboardInterrupt)
        level = WARNING if interrupted else CRITICAL
        message = "interrupted" if interrupted else "uncaught exception"
        done = shown("sys.excepthook", level, message, {}, _with_trace(kind, error, trace))
        if not done or previous is not sys.__excepthook__:
            previous(kind, error, trace)

    return excepthook


def _uncaught_in_thread(shown: _Shown, previous: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(previous)
    def excepthook(args: Any) -> None:
        if issubclass(args.exc_type, SystemExit):
            previous(args)
            return
        fields = {"error_thread": args.thread.name} if args.thread is not None else {}
        error = _with_trace(args.exc_type, args.exc_value, args.exc_traceback)
        done = shown("threading.excepthook", ERROR, "uncaught exception in thread", fields, error)
        if not done or previous is not threading.__excepthook__:
            previous(args)

    return excepthook


def _ignored(shown: _Shown, previous: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(previous)
    def unraisablehook(args: Any) -> None:
        fields = {"error_object": _represented(args.object)} if args.object is not None else {}
        error = _with_trace(args.exc_type, args.exc_value, args.exc_traceback)
        message = (args.err_msg or "exception ignored").lower()
        done = shown("sys.unraisablehook", ERROR, message, fields, error)
        if not done or previous is not sys.__unraisablehook__:
            previous(args)

    return unraisablehook


def _warned(shown: _Shown, previous: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(previous)
    def showwarning(
        message: Any,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        fields = {"warning_category": category.__name__, "warning_at": f"{filename}:{lineno}"}
        if file is not None or not shown("py.warnings", WARNING, str(message), fields, None):
            previous(message, category, filename, lineno, file, line)

    return showwarning


def _failed(shown: _Shown, previous: Callable[..., Any]) -> Callable[..., None]:
    """Say in one line that a handler of somebody's could not write a record."""

    @functools.wraps(previous)
    def handle_error(self: logging.Handler, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not logging.raiseExceptions or error is None or sys.stderr is None:
            previous(self, record)
            return
        fields = {"log_handler": type(self).__name__, "log_message": _represented(record.msg)}
        if not shown("logging", ERROR, "logging error", fields, error):
            previous(self, record)

    return handle_error


def _printed(previous: Callable[..., Any]) -> Callable[..., None]:
    """Hand a traceback that is printed to a stream of lines over as a whole."""

    @functools.wraps(previous)
    def print_(self: Any, *, file: Any = None, **options: Any) -> None:
        stream = sys.stderr if file is None else file
        if not isinstance(stream, LineStream):
            previous(self, file=file, **options)
            return
        text = io.StringIO()
        previous(self, file=text, **options)
        stream.take_traceback(text.getvalue())

    return print_


def _with_trace(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> BaseException:
    """Return the error; Python does not make one where a C function gave only the type."""
    if error is None:
        try:
            error = kind()
        except Exception:
            error = RuntimeError(kind.__name__)
    return error if error.__traceback__ is trace else error.with_traceback(trace)


def _represented(thing: Any) -> str:
    try:
        return repr(thing)[:200]
    except Exception:
        return f"<{type(thing).__name__} whose repr failed>"
