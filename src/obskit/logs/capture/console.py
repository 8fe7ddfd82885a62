"""Know which streams lead to the console: those that belong to the log."""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakKeyDictionary

# Streams by identity; they are kept, so that an identity is not given out again.
_known: dict[int, Any] = {}
_files: set[tuple[int, int]] = set()
_verdicts: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def know(*streams: Any) -> None:
    """Remember streams that lead to the console, whatever they look like."""
    _known.update((id(stream), stream) for stream in streams if stream is not None)


def know_file(file: tuple[int, int]) -> None:
    """Remember what the console is by device and inode: `/dev/stdout` opens it once more."""
    _files.add(file)
    _verdicts.clear()


def forget() -> None:
    """Know no streams."""
    _known.clear()
    _files.clear()
    _verdicts.clear()


def leads_there(stream: Any) -> bool:
    """Tell whether what is written to *stream* comes out on the console."""
    if id(stream) in _known:
        return True
    if not _files:
        return False
    try:
        verdict = _verdicts.get(stream)
        if verdict is None:
            verdict = _verdicts[stream] = file_of(stream.fileno()) in _files
    except Exception:  # such as a stream that is closed, or none of the system's
        return False
    return verdict


def file_of(descriptor: int) -> tuple[int, int]:
    """Return device and inode of what *descriptor* is open for."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino
