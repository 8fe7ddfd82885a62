"""Write what a process has to say: one line an event, each valid JSON, none lost in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from obskit.logs.logger import get_logger
from obskit.logs.secret import Secret

if TYPE_CHECKING:
    from obskit.settings import Settings

__all__ = ["Secret", "configure", "get_logger", "shutdown", "undo"]


def configure(settings: Settings) -> None:
    """Write lines as *settings* say, from now on."""
    from obskit.logs import pipeline

    pipeline.configure(settings)


def shutdown(timeout: float) -> None:
    """Write out what waits for a stalled stream, for at most *timeout* seconds."""
    from obskit.logs import pipeline

    pipeline.shutdown(timeout)


def undo() -> None:
    """Write no lines any more; loggers print through `logging`, as before."""
    from obskit.logs import pipeline

    pipeline.undo()
