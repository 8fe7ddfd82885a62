"""Know the streams whose writers join the log."""

from __future__ import annotations

import sys
from typing import Any

from obskit.logs import pipeline
from obskit.logs.capture import console

STANDARD = (1, 2)


def joins(stream: Any) -> bool:
    """Tell whether what a logging library writes to *stream* is to be lines instead."""
    if not pipeline.is_on():
        return False
    for standard in (sys.stdout, sys.stderr):
        if stream is standard or stream is getattr(standard, "buffer", standard):
            return True
    if console.leads_there(stream):
        return True
    try:
        return stream.fileno() in STANDARD
    except Exception:  # such as a stream that is closed, or none of the system's
        return False
