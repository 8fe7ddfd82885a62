"""Make lines of what a process says beside the log: prints, warnings, errors, foreign set-ups.

Only what would reach the process's own stdout or stderr is taken, and only where lines go
to the same place; a file stays beside a console that is left as it was.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from obskit.logs.capture import errors, handlers, servers
from obskit.logs.capture.descriptors import Descriptor
from obskit.logs.capture.streams import LineStream, file_of
from obskit.logs.capture.tracebacks import Text
from obskit.settings import Settings

__all__ = ["HOOKS", "ON_IMPORT", "configure", "divert", "flush", "undo"]

HOOKS = servers.HOOKS
ON_IMPORT: tuple[tuple[str, Callable[[Any], None]], ...] = ()

_undos: list[Callable[[], None]] = []
_streams: list[LineStream] = []
_descriptors: list[Descriptor] = []
