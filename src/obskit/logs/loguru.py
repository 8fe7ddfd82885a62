"""Let loguru's sinks on the console join; files and other sinks stay as they are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from obskit import health
from obskit.logs import consoles, levels, pipeline, stdlib
from obskit.logs.capture.handlers import passing
from obskit.logs.capture.said import speaker

# On records that are a line already: each console sink gets the same one.
MARK = "_obskit_taken"
MARK_OF_HOOK = "_obskit_joined"
# The sink that loguru makes itself when it is imported, and its level.
DEFAULT_SINK, DEFAULT_LEVEL = 0, 10


def adopt(module: Any) -> None:
    """Hook loguru, which has just been imported."""
    handler, logger = module._handler.Handler, module._logger.Logger
    if hasattr(handler.emit, MARK_OF_HOOK):
        return
    handler.emit = _emitting(handler.emit, module._simple_sinks.StreamSink)
    setattr(handler.emit, MARK_OF_HOOK, True)
    logger._log = _logging(logger._log)


def _emitting(previous: Callable[..., None], streams: Any) -> Callable[..., None]:
    @functools.wraps(previous)
    def emit(
        self: Any, record: Any, level_id: Any, from_decorator: Any, is_raw: Any, *more: Any
    ) -> None:
        if not isinstance(self._sink, streams) or not consoles.joins(self._sink._stream):
            previous(self, record, level_id, from_decorator, is_raw, *more)
            return
        if is_raw:
            # It may be a part of a line, which is printed; the name of its logger goes along.
            token = speaker.set(_name(record))
            try:
                previous(self, record, level_id, from_decorator, is_raw, *more)
            finally:
                speaker.reset(token)
            return
        try:
            if _is_wanted(self, record):
                record[MARK] = True
                _write(record, _is_default(self))
            done = not pipeline.is_beside()
        except Exception as error:
            health.internal_error("logs.loguru", error)
            done = False
        if not done:
            previous(self, record, level_id, from_decorator, is_raw, *more)

    return emit


def _is_wanted(handler: Any, record: Any) -> bool:
    """Tell whether *handler* writes the record, and no other has."""
    level = record["level"].no
    if MARK in record or passing.get() or handler._stopped or handler._levelno > level:
        return False
    if _is_default(handler):
        # Nobody has said which levels are wanted here.
        if not pipeline.enabled(_name(record), level) and not levels.wanted():
            return False
    return handler._filter is None or bool(handler._filter(record))


def _is_default(handler: Any) -> bool:
    return bool(handler._id == DEFAULT_SINK and handler._levelno == DEFAULT_LEVEL)


def _write(record: Any, by_default: bool) -> None:
    level, exception, name = record["level"], record["exception"], _name(record)
    levels.call(level.no, level.name)
    emit, watch = pipeline.emit, levels.watch
    if watch is not None and by_default and not pipeline.enabled(name, level.no):
        emit = watch.take
    emit(
        level.no,
        name,
        record["message"],
        record["extra"],
        error=None if exception is None else exception.value,
        when_ns=int(record["time"].timestamp() * 1e9),
    )


def _name(record: Any) -> str:
    return record["name"] or "loguru"


def _logging(previous: Callable[..., None]) -> Callable[..., None]:
    """Let a log call whose arguments do not fit its message not raise."""

    @functools.wraps(previous)
    def log(
        self: Any,
        level: Any,
        from_decorator: Any,
        options: Any,
        message: Any,
        args: Any,
        kwargs: Any,
    ) -> None:
        exception, depth, *rest = options
        deeper = (exception, depth + 1, *rest)
        try:
            previous(self, level, from_decorator, deeper, message, args, kwargs)
        except Exception:
            if not pipeline.is_on() or not _does_not_fit(message, args, kwargs):
                raise
            extra = {**rest[-1], **kwargs, **({"args": args} if args else {})}
            plain = (exception, depth + 1, *rest[:-1], extra)
            previous(self, level, from_decorator, plain, stdlib.text_of(message), (), {})

    return log


def _does_not_fit(message: Any, args: Any, kwargs: Any) -> bool:
    try:
        message.format(*args, **kwargs)
    except Exception:
        return True
    return False
