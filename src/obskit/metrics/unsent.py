"""Keep the number of spans that wait where others find it when the process was killed.

Each slot has a small file: how many wait, how many its former holders have taken along, and who
has it now. A file is complete from its first moment on, as it takes the old one's place at once.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from pathlib import Path

from obskit import health
from obskit.metrics.family import Family
from obskit.record import Record

SIGNAL, REASON = "spans", "killed"
SUFFIX = ".unsent"

_numbers = struct.Struct("ddd")
_WRITE = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


class Content(Record):
    """What a file says: how many wait, how many were lost before, and whose the first are."""

    waiting: float
    lost: float
    pid: int


def begin(folder: Path, slot: int) -> None:
    """Count in the file of a slot that this process has, from now on.

    Raises:
        OSError: The file cannot be written.
    """
    end()
    path = folder / f"s{slot}{SUFFIX}"
    new = folder / f"s{slot}{SUFFIX}.new"
    before = Content(0.0, 0.0, 0)
    with contextlib.suppress(FileNotFoundError):
        before = _read(path)
    descriptor = os.open(new, _WRITE, 0o600)
    try:
        os.write(descriptor, _numbers.pack(0.0, before.lost + before.waiting, os.getpid()))
        cells = memoryview(mmap.mmap(descriptor, _numbers.size)).cast("d")
    finally:
        os.close(descriptor)
    new.replace(path)
    health.keep_unsent(cells)


def end() -> None:
    """Count in memory from now on."""
    health.keep_unsent([0.0])


def _read(path: Path) -> Content:
    waiting, lost, pid = _numbers.unpack(path.read_bytes())
    return Content(waiting, lost, int(pid))


def lost(family: Family) -> float:
    """Return how many spans the killed processes of *family* have taken along.

    What has changed hands meanwhile is read again, so it never becomes less.
    """
    found = {path: _read(path) for path in family.folder.glob(f"s*{SUFFIX}")}
    pids = {f"s{holder.slot}": holder.pid for holder in family.holders()}
    total = 0.0
    for path, content in found.items():
        total += content.lost
        if pids.get(path.stem) != content.pid:
            now = _read(path)
            total += now.lost - content.lost + (now.waiting if now.pid == content.pid else 0.0)
    return total
