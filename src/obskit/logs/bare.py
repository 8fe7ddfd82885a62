"""Print through `logging`, as programs do without obskit: before `init`, and where it is off."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from obskit import health
from obskit.logs.redaction import MARKER, is_secret

if TYPE_CHECKING:
    from obskit.logs.exceptions import Description

# The frames between the caller and here: the logger's method, and emit.
FRAMES = 4


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
            target.log(level, "%s", text, exc_info=shown, stacklevel=FRAMES)
    except Exception as fault:
        health.internal_error("logs.bare", fault)


def _shown(name: str, value: object) -> str:
    return f"{name}={MARKER if is_secret(name) else repr(value)}"
