"""Write to stdout, and know when nobody takes it."""

from __future__ import annotations

import contextlib
import os
import sys


class Unwritten(Exception):
    """The answer of a command did not get out; *reason* is empty where nobody wants to read on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def write(text: str, *, now: bool = False) -> None:
    """Write *text* in whatever encoding stdout has; with *now* it does not wait for more.

    Raises:
        Unwritten: Stdout is closed, full, or a pipe that nobody reads any more.
    """
    if sys.stdout is None:
        raise Unwritten("it is closed")
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding, "replace"))
        if now:
            sys.stdout.flush()
    except BrokenPipeError:
        raise Unwritten("") from None
    except (OSError, ValueError) as error:
        raise Unwritten(str(getattr(error, "strerror", None) or error)) from None


def is_terminal() -> bool:
    """Tell whether people read what is written."""
    return sys.stdout is not None and sys.stdout.isatty()


def finish() -> None:
    """Write what still waits to be written.

    Raises:
        Unwritten: As `write`.
    """
    if sys.stdout is not None:
        write("", now=True)


def give_up() -> None:
    """See that the interpreter does not try again at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
