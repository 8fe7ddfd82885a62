"""Print through `logging`, as programs do without obskit: before `init`, and where it is off."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from obskit import health
from obskit.logs.redaction import MARKER, is_secret

if TYPE_CHECKING:
    from obskit.logs.exceptions import Description


def by_logging(
    level: int,
    logger: str,
    message: object,
    fields: Mapping[str, Any],
    error: BaseException | Description | None,
    stack: str | None,
) -> None:
    """Hand a line to `logging`, with its fields as text behind the message."""
    try:
        target = logging.getLogger(logger)
        if target.isEnabledFor(level):
            text = " ".join((str(message), *(_shown(*item) for item in fields.items())))
            text += f"\n{stack}" if stack else ""
            shown = error if isinstance(error, BaseException) else None
            target.log(level, "%s", text, exc_info=shown, stacklevel=_frames())
    except Exception as fault:
        health.lose("logs", "internal error")
        health.internal_error("logs.bare", fault)


def _shown(name: str, value: object) -> str:
    return f"{name}={MARKER if is_secret(name) else repr(value)}"


def _frames() -> int:
    """Return how many frames of ours stand between the caller and `logging`."""
    count, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("obskit."):
        count, frame = count + 1, frame.f_back
    return count
