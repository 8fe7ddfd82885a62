"""Account for what was logged: how far each destination is, and what has become of the entries.

The ledger of a destination is a file ``<destination>.ledger`` of two halves, in turn written over:
each is a JSON object filled up with spaces, with a serial number and a CRC-32; the newer one that
is whole counts. Nothing is renamed or grows, which takes a file system long, or fails on a full
disk. In it and at any time ``logged = taken + dead + sum of dropped``; what is behind its cursors
is waiting.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from time import time
from typing import Any
from zlib import crc32

from obskit.record import Record
from obskit.shipping.dead import DeadLetters, file_name
from obskit.shipping.spool import segments
from obskit.shipping.spool.room import FULL
from obskit.shipping.spool.segments import Segment

ENDING = ".ledger"
BLOCK = 4096
# A cursor at this place has nothing before it any more.
DONE = -1
START = (0, 0)
# So long what no settings name any more is kept for people to see.
STALE_SECONDS = 7 * 86400.0
# A file that somebody is about to name is not left without a name for so long.
UNNAMED_SECONDS = 86400.0


class State:
    """How far one destination is.

    *cursors* has, by the id of a segment, the next byte and the number of what is before it.
    """

    __slots__ = ("cursors", "dead", "dropped", "kind", "logged", "serial", "taken")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.serial = 0
        self.cursors: dict[str, tuple[int, int]] = {}
        self.logged = self.taken = self.dead = 0
        self.dropped: dict[str, int] = {}

    def drop(self, reason: str, count: int) -> None:
        """Count *count* more as dropped."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count


def path_of(folder: str, destination: str) -> str:
    """Return the file of a destination's ledger."""
    return os.path.join(folder, file_name(destination) + ENDING)


def load(folder: str, destination: str) -> State | None:
    """Return what the ledger of a destination says; None if it is absent or damaged.

    Raises:
        OSError: It is there and cannot be read.
    """
    found = _load(path_of(folder, destination))
    return found[1] if found else None


def _load(path: str) -> tuple[str, State] | None:
    """Return what a ledger says, and whose it is."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return None
    half = len(data) // 2
    found = [one for one in (_decode(data[:half]), _decode(data[half:])) if one]
    return max(found, key=lambda one: one[1].serial, default=None)


def _decode(data: bytes) -> tuple[str, State] | None:
    import orjson

    try:
        told = orjson.loads(data)
        if told.pop("crc") != crc32(orjson.dumps(told)):
            return None
        state = State(told["kind"])
        state.serial = told["serial"]
        state.cursors = {name: (place, number) for name, (place, number) in told["cursors"].items()}
        state.logged, state.taken, state.dead = told["logged"], told["taken"], told["dead"]
        state.dropped = told["dropped"]
        return told["destination"], state
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def save(folder: str, destination: str, state: State) -> None:
    """Write the ledger of a destination.

    Raises:
        OSError: It cannot be written; what was there before is still there.
    """
    import orjson

    state.serial += 1
    told: dict[str, Any] = {
        "destination": destination,
        "serial": state.serial,
        "kind": state.kind,
        "logged": state.logged,
        "taken": state.taken,
        "dead": state.dead,
        "dropped": state.dropped,
        "cursors": state.cursors,
    }
    told["crc"] = crc32(orjson.dumps(told))
    path, data = path_of(folder, destination), orjson.dumps(told)
    if not _overwrite(path, data, state.serial % 2):
        _replace(path, data)


def _overwrite(path: str, data: bytes, which: int) -> bool:
    """Write one half of a ledger; tell whether there is one, with halves large enough."""
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return False
    try:
        half = os.fstat(descriptor).st_size // 2
        if half < len(data):
            return False
        data = data.ljust(half - 1) + b"\n"
        if os.pwrite(descriptor, data, which * half) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return True
    finally:
        os.close(descriptor)


def _replace(path: str, data: bytes) -> None:
    """Make a ledger whose halves have room for twice as much."""
    half = data.ljust(BLOCK * -(-2 * len(data) // BLOCK) - 1) + b"\n"
    early = path + ".new"
    try:
        os.makedirs(os.path.dirname(path), segments.FOLDER_MODE, exist_ok=True)
        with open(early, "wb", buffering=0, opener=_private) as file:
            segments.write_all(file.fileno(), half + half)
        os.replace(early, path)
    except OSError:
        segments.remove(early)
        raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, segments.FILE_MODE)


class Standing(Record):
    """How one destination stands: ``logged = taken + dead + sum of dropped + waiting``.

    What is waiting is not looked at: it may turn out to be dropped, or damaged, when its turn
    comes. *bytes* is the size of the files behind the cursors.
    """

    destination: str
    kind: str
    logged: int
    taken: int
    dead: int
    dropped: dict[str, int]
    waiting: int
    bytes: int


class Ledger(Record):
    """What is in a spool and how its destinations stand; *unknown* are files of a newer version."""

    segments: int
    bytes: int
    standings: tuple[Standing, ...]
    unknown: tuple[str, ...]


def ledger(folder: str | os.PathLike[str]) -> Ledger:
    """Return the account of a service's spool, for all destinations that ever read it."""
    folder = os.fspath(folder)
    files = segments.listing(folder)
    standings = [_standing(folder, name, state, files) for name, state in _all(folder)]
    unknown = tuple(os.path.basename(one.path) for one in files if not segments.is_known(one))
    size = sum(one.size for one in files)
    return Ledger(len(files), size, tuple(standings), unknown)


def _all(folder: str) -> list[tuple[str, State]]:
    """Return what the ledgers in a folder say, by the names of the destinations."""
    found = [_readable(path) for path in _files(folder, ENDING)]
    return [one for one in found if one is not None]


def _readable(path: str) -> tuple[str, State] | None:
    """Return what a ledger says, as `_load`; None where it cannot be read, too."""
    try:
        return _load(path)
    except OSError:
        return None


def _files(folder: str, ending: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [os.path.join(folder, name) for name in sorted(names) if name.endswith(ending)]


def _standing(folder: str, name: str, state: State, files: list[Segment]) -> Standing:
    dropped, waiting, size = dict(state.dropped), 0, 0
    logged = state.logged
    for one in files:
        place, number = state.cursors.get(one.id, START)
        if one.kind != state.kind or place == DONE:
            continue
        more = max(0, (_total(one, place, number) or 0) - number)
        logged += more
        if one.gone and more:
            dropped[FULL] = dropped.get(FULL, 0) + more
        elif not one.gone:
            waiting += more
            size += max(0, one.size - place)
    revived = min(state.dead, DeadLetters(folder, name).revived)
    taken, letters = state.taken + revived, state.dead - revived
    return Standing(name, state.kind, logged, taken, letters, dropped, waiting, size)


def _total(segment: Segment, place: int, number: int) -> int | None:
    try:
        return segments.total(segment, place, number)
    except OSError:
        return None


def sweep(folder: str, known: Collection[str]) -> None:
    """Delete the segments that all *known* destinations have behind them.

    One that is not known does not hold them back: nobody will send to it. Its ledger is deleted
    when it is a week old.
    """
    states = [_readable(path_of(folder, name)) for name in known]
    if None not in states:
        for one in segments.listing(folder):
            cursors = [each[1].cursors for each in states if each and each[1].kind == one.kind]
            if cursors and all(own.get(one.id, START)[0] == DONE for own in cursors):
                segments.remove(one.path)
    names = {path_of(folder, name) for name in known}
    for path in _files(folder, ENDING):
        if path not in names and _age(path) > STALE_SECONDS:
            segments.remove(path)
    for path in _files(folder, ".new"):
        if _age(path) > UNNAMED_SECONDS:
            segments.remove(path)


def _age(path: str) -> float:
    try:
        return time() - os.stat(path).st_mtime
    except OSError:
        return 0.0
