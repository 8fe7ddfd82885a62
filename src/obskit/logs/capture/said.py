"""Make lines of what was captured."""

from __future__ import annotations

from typing import Any

from obskit.logs import exceptions, pipeline
from obskit.logs.capture.tracebacks import START, Text

INFO, WARNING, ERROR = 20, 30, 40

# What is printed has no level, so it is written whatever the levels are.
_LEVELS = {"stdout": INFO, "stderr": WARNING}


def text(stream: str, said: Text) -> None:
    """Write what was printed to the stream of that name, in the operation that printed it."""
    if said.is_traceback:
        described = _described(said.text)
        if described is not None:
            first = said.text.partition("\n")[0]
            message = f"{described.type}: {described.message}" if START.match(first) else first
            pipeline.emit(ERROR, stream, message, {}, error=described)
            return
    level = ERROR if said.is_traceback else _LEVELS.get(stream, INFO)
    pipeline.emit(level, stream, said.text, {})


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
