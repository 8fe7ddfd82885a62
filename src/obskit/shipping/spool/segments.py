"""The files of a spool: their names, who writes them, and what is in them.

A segment is named ``<id>.<kind><stream>``: its id has 22 characters, of which the first six count
the segments of the folder in base 36, so that names sort by age whatever the clocks say; the kind
is ``l`` for lines or ``s`` for spans, the stream ``d`` (durable) or ``b`` (best effort). A segment
that was given up for lack of room is named ``<id>.<kind><stream>.gone`` and has only its end left.

Whoever writes a segment holds a lock on it (flock: it belongs to the open file, so that reading
the same file in the same process and closing it does not let it go, as a POSIX lock would).
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from obskit.pointers import base36
from obskit.record import Record
from obskit.shipping.spool import records
from obskit.shipping.spool.records import HEAD_SIZE, RECORD_SIZE, Harvest

fcntl: Any
try:
    import fcntl
except ImportError:  # no Unix
    fcntl = None

GONE = ".gone"
CHUNK = 512 * 1024
_AGE_SIZE, _ID_SIZE = 6, 22
_LETTERS = {"line": "l", "span": "s"}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}
_DIGITS = frozenset("0123456789abcdefghijklmnopqrstuvwxyz")
_MOST_TRIES = 5
FILE_MODE, FOLDER_MODE = 0o600, 0o700


class Segment(Record):
    """One file of a spool, as it was when the folder was listed."""

    path: str
    id: str
    kind: str
    durable: bool
    gone: bool
    size: int

    @property
    def seed(self) -> int:
        """What the checksums begin with."""
        return records.seed_of(self.id)


def listing(folder: str) -> list[Segment]:
    """Return the segments in *folder*, the oldest first; none where it does not exist."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                segment = _recognise(entry)
                if segment is not None:
                    found.append(segment)
    except FileNotFoundError:
        return []
    found.sort(key=lambda one: one.id)
    return found


def _recognise(entry: os.DirEntry[str]) -> Segment | None:
    name, _, rest = entry.name.partition(".")
    stream = rest.removesuffix(GONE)
    if len(name) != _ID_SIZE or not _DIGITS.issuperset(name) or len(stream) != 2:
        return None
    if stream[0] not in _KINDS or stream[1] not in "db":
        return None
    try:
        found = entry.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    kind, durable = _KINDS[stream[0]], stream[1] == "d"
    return Segment(entry.path, name, kind, durable, rest != stream, found.st_size)


def prepare(folder: str) -> None:
    """Make *folder* where it is absent.

    Raises:
        OSError: That cannot be done, or it cannot be written.
    """
    os.makedirs(folder, FOLDER_MODE, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)


def make(folder: str, kind: str, durable: bool) -> tuple[int, str, str]:
    """Make a segment that is this process's to write; return descriptor, path and id.

    It gets its name when it is locked: nobody ever finds one whose writer seems to be gone.

    Raises:
        OSError: The folder cannot be made or written.
    """
    for _ in range(_MOST_TRIES):
        prepare(folder)
        name = _new_id(_latest_age(folder))
        path = os.path.join(folder, f"{name}.{_LETTERS[kind]}{'d' if durable else 'b'}")
        try:
            return put(path, records.head()), path, name
        except FileNotFoundError:
            continue  # the folder was removed meanwhile
    raise FileNotFoundError(f"cannot keep a file in {folder}")


def _latest_age(folder: str) -> int:
    """Return the age of the newest segment: by the names alone, for there may be thousands."""
    try:
        names = [name for name in os.listdir(folder) if name[_ID_SIZE : _ID_SIZE + 1] == "."]
    except FileNotFoundError:
        return 0
    ages = (name[:_AGE_SIZE] for name in names if _DIGITS.issuperset(name[:_ID_SIZE]))
    return int(max(ages, default="0"), 36)


def _new_id(latest: int) -> str:
    """Return an id that sorts behind those of the age *latest*, unless there can be none."""
    age = min(latest + 1, 36**_AGE_SIZE - 1)
    tail = base36(int.from_bytes(os.urandom(11), "little")).rjust(_ID_SIZE, "0")
    return base36(age).rjust(_AGE_SIZE, "0") + tail[-(_ID_SIZE - _AGE_SIZE) :]


def put(path: str, data: bytes) -> int:
    """Make the file *path* of *data*, locked for this process; return its descriptor."""
    early = path + ".new"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(early, flags, FILE_MODE)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        write_all(descriptor, data)
        os.rename(early, path)
    except BaseException:
        os.close(descriptor)
        remove(early)
        raise
    return descriptor


def write_all(descriptor: int, data: bytes) -> None:
    """Write *data*, though it may take several writes."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])


def remove(path: str) -> None:
    """Remove a file, if it is there and that can be done."""
    try:
        os.unlink(path)
    except OSError:
        pass


def is_written(descriptor: int) -> bool:
    """Tell whether a living process writes the segment; of ourselves, through another file."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError:
        return True
    return False


class Reading(Record):
    """How far a segment was read: the next byte, the next number, and whether nothing follows."""

    offset: int
    number: int
    lost: int
    done: bool


def total(segment: Segment, offset: int = 0, number: int = 0) -> int | None:
    """Return how many were logged into a segment, of which *number* are before *offset*.

    Returns:
        None if it is of a version that is unknown here, or not there any more.
    """
    try:
        descriptor = _open(segment.path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return _total(descriptor, segment.id, offset, number)
    finally:
        os.close(descriptor)


def _total(descriptor: int, name: str, offset: int, number: int) -> int | None:
    if not _is_ours(descriptor):
        return None
    harvest = Harvest(0, 0)
    last = os.fstat(descriptor).st_size - RECORD_SIZE
    if last >= HEAD_SIZE:
        found = records.parse(os.pread(descriptor, RECORD_SIZE, last), name, last, 0, harvest)
        if found.ended:
            return found.number
    return _read(descriptor, name, max(offset, HEAD_SIZE), number, harvest).number


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_CLOEXEC", 0))


def _is_ours(descriptor: int) -> bool:
    return records.version_of(os.pread(descriptor, HEAD_SIZE, 0)) == records.VERSION


def read(segment: Segment, offset: int, number: int, harvest: Harvest) -> Reading | None:
    """Read a segment from *offset* on until its end or until the harvest is full.

    Args:
        segment: Which one.
        offset: Where a record begins.
        number: That of this record.
        harvest: What is found, and how much more is wanted; it must not be full.

    Returns:
        None if it is of a version that is unknown here, or not there any more.

    Raises:
        OSError: It cannot be read.
    """
    try:
        descriptor = _open(segment.path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        if not _is_ours(descriptor):
            return None
        return _read(descriptor, segment.id, max(offset, HEAD_SIZE), number, harvest)
    finally:
        os.close(descriptor)


def _read(descriptor: int, name: str, offset: int, number: int, harvest: Harvest) -> Reading:
    lost = 0
    # Asked first: what is there then, of a writer that is gone, is all that will be.
    written = is_written(descriptor)
    while data := os.pread(descriptor, CHUNK, offset):
        found = records.parse(data, name, offset, number, harvest)
        if not found.end and not harvest.is_full:
            # A record that is damaged, that is longer than the chunk, or that is being written.
            data = rest(descriptor, offset)
            start = records.find(data, records.seed_of(name))
            if start < 0:
                torn = 0 if written else records.torn(data)
                end = offset if written else offset + len(data)
                return Reading(end, number + torn, lost + torn, not written)
            offset += start
            found = records.parse(data[start:], name, offset, number, harvest)
        offset, number, lost = offset + found.end, found.number, lost + found.lost
        if found.ended or harvest.is_full:
            return Reading(offset, number, lost, found.ended)
    return Reading(offset, number, lost, not written)


def rest(descriptor: int, offset: int) -> bytes:
    """Return all of a file from *offset* on."""
    parts = []
    while part := os.pread(descriptor, 8 * CHUNK, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def is_known(segment: Segment) -> bool:
    """Tell whether a segment is of a version that can be read here."""
    try:
        descriptor = _open(segment.path, os.O_RDONLY)
    except OSError:
        return True
    try:
        return _is_ours(descriptor)
    finally:
        os.close(descriptor)


def give_up(segment: Segment) -> bool:
    """Give the room of a segment free that is finished, but for the number of what was in it.

    Returns:
        Whether that could be done: not of one that is being written, or is gone already.
    """
    try:
        descriptor = _open(segment.path, os.O_RDWR)
    except OSError:
        return False
    try:
        count = None if is_written(descriptor) else _total(descriptor, segment.id, 0, 0)
        if count is None:
            return False
        # From here on it is given up, even if this process ends in the middle.
        os.rename(segment.path, segment.path + GONE)
        end = records.encode(records.END, count, b"", segment.seed)
        os.pwrite(descriptor, end, HEAD_SIZE)
        os.ftruncate(descriptor, HEAD_SIZE + len(end))
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
