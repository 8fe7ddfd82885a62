"""Write what a process has to say: one line an event, each valid JSON, none lost in silence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from obskit import context
from obskit.logs import line
from obskit.logs.logger import get_logger
from obskit.logs.secret import Secret
from obskit.observation import failure

if TYPE_CHECKING:
    from obskit.settings import Settings

__all__ = ["ON_IMPORT", "Secret", "configure", "get_logger", "give_up", "shutdown", "undo"]


def _adopt_structlog(module: Any) -> None:
    from obskit.logs import structlog

    structlog.adopt(module)


def _adopt_loguru(module: Any) -> None:
    from obskit.logs import loguru

    loguru.adopt(module)


def _keep_quiet(module: Any) -> None:
    from obskit.logs import stdlib

    stdlib.set_levels()


ON_IMPORT: tuple[tuple[str, Callable[[Any], None]], ...] = (
    ("structlog", _adopt_structlog),
    ("loguru", _adopt_loguru),
    ("httpx", _keep_quiet),
    ("pika", _keep_quiet),
)
"""What is to be called when an application imports a library that logs in a way of its own."""


def configure(settings: Settings) -> None:
    """Write lines as *settings* say, from now on."""
    from obskit.logs import levels, pipeline, shortcut, stdlib

    if settings.in_app or "obskit.logs.frames" in sys.modules:
        from obskit.logs import frames

        frames.configure(settings.in_app)
    pipeline.configure(settings)
    if settings.storm or pipeline.gate is not None:
        from obskit.logs import storm

        storm.configure(settings.storm, settings.durable)
    context.on_debug, failure.describe = _look_below, line.described
    if settings.debug_ring or levels.watch is not None:
        from obskit.logs import held

        held.configure(settings.debug_ring, settings.durable)
    stdlib.install()
    shortcut.install()


def _look_below() -> None:
    """Take lines below the level as well, since an operation wants its own."""
    from obskit.logs import levels, pipeline

    settings = pipeline.in_force()
    if settings is not None and levels.watch is None:
        from obskit.logs import held

        held.configure(settings.debug_ring, settings.durable)


def shutdown(timeout: float) -> None:
    """Write out what waits for a stalled stream, for at most *timeout* seconds."""
    from obskit.logs import pipeline

    if pipeline.gate is not None:
        from obskit.logs import storm

        storm.tell(at_last=True)
    pipeline.shutdown(timeout)


def give_up() -> None:
    """Say on stderr what is lost with a stream that takes no lines, since the process ends."""
    from obskit.logs import pipeline

    pipeline.give_up()


def undo() -> None:
    """Write no lines any more; loggers print through `logging`, as before."""
    from obskit.logs import levels, pipeline, shortcut, stdlib

    shortcut.remove()
    stdlib.remove()
    if pipeline.gate is not None:
        from obskit.logs import storm

        storm.forget()
    context.on_debug = failure.describe = None
    if levels.watch is not None:
        from obskit.logs import held

        held.forget()
    pipeline.undo()
