"""Find out what this process is, and which of its streams belong to the log."""

from __future__ import annotations

import sys

from obskit import settings

Kind = str
"""``service``; ``helper`` of multiprocessing; ``captured``: a parent reads its output."""

HELPERS = ("from multiprocessing.resource_tracker", "from multiprocessing.forkserver")


def kind() -> Kind:
    """Tell a service from the helpers that multiprocessing starts."""
    code = " ".join(sys.orig_argv[1:])
    return "helper" if any(words in code for words in HELPERS) else "service"


def own_stream(wanted: str) -> str | None:
    """Return where lines may go without being read as a child's answer; None for nowhere.

    A log that is bare goes to stderr: where that is read by a parent, none of it may change.
    A stream that is closed is nobody's.
    """
    own = settings.launch().streams
    if not own or (wanted not in ("stdout", "stderr") and not wanted.startswith("fd:")):
        return wanted
    errors = settings.stream_name(2)
    if errors and errors not in own:
        return None
    descriptor = {"stdout": 1, "stderr": 2}.get(wanted) or int(wanted[3:])
    if settings.stream_name(descriptor) in own:
        return wanted
    if errors:
        return "stderr"
    return "stdout" if settings.stream_name(1) in own else None
