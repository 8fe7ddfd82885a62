"""Make lines of what was captured."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from obskit.logs import exceptions, pipeline
from obskit.logs.capture.tracebacks import START, Text

INFO, WARNING, ERROR = 20, 30, 40

# What is printed has no level, so it is written whatever the levels are.
_LEVELS = {"stdout": INFO, "stderr": WARNING}

speaker: ContextVar[str] = ContextVar("obskit_speaker", default="")
"""The name of a logger, while a library writes text of that logger's to a stream."""


def text(stream: str, said: Text) -> None:
    """Write what was printed to the stream of that name, in the operation that printed it."""
    logger = speaker.get() or stream
    if said.is_traceback:
        described = _described(said.text)
        if described is not None:
            first = said.text.partition("\n")[0]
            message = f"{described.type}: {described.message}" if START.match(first) else first
            pipeline.emit(ERROR, logger, message, {}, error=described)
            return
    level = ERROR if said.is_traceback else _LEVELS.get(stream, INFO)
    pipeline.emit(level, logger, said.text, {})


def _described(traceback: str) -> exceptions.Description | None:
    try:
        return exceptions.of_text(traceback)
    except ImportError:  # the interpreter is half gone
        return None


def event(
    logger: str, level: int, message: str, fields: dict[str, Any], error: BaseException | None
) -> None:
    """Write about an error or a warning that Python itself would have printed."""
    pipeline.emit(level, logger, message, fields, error=error)
