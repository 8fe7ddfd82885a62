"""Keep what a destination refuses for good, with its answer, until somebody has it sent again.

The dead letters of a destination are a file ``dead/<destination>.ndjson`` in the folder of the
service, one JSON object a letter: ``at`` (when), ``to`` (URL without secrets), ``why``, ``answer``
(what the server said), ``id`` and ``line`` (the entry).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

from obskit.pattern import Pattern
from obskit.record import Record
from obskit.shipping.entry import Entry
from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN, Verdict

fcntl: Any
try:
    import fcntl
except ImportError:  # no Unix
    fcntl = None

FOLDER = "dead"
LONGEST_ANSWER = 500
# Letters may fill so much for each destination; who has more of them has another trouble.
MOST_BYTES = 64 * 1024 * 1024
MOST_IN_BATCH = 500
_SAFE = Pattern(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", re.ASCII)
_UNSAFE = Pattern(r"[^A-Za-z0-9_-]", re.ASCII)

Send = Callable[[Sequence[Entry]], Verdict]


class Letter(Record):
    """One entry that was refused."""

    at: str
    to: str
    why: str
    answer: str
    entry: Entry


class Retried(Record):
    """What has become of dead letters: taken, refused again, or not sent as nobody answered."""

    taken: int
    refused: int
    left: int


def file_name(destination: str) -> str:
    """Return the name of a destination as a file may have it."""
    if _SAFE.fullmatch(destination):
        return destination
    safe = _UNSAFE.sub("_", destination)[:80]
    return f"{safe}.{crc32(destination.encode()):08x}"


class DeadLetters:
    """The letters of one destination.

    Args:
        folder: That of the service's spool.
        destination: The name of the destination.
        most: Bytes that their file may have.
    """

    def __init__(
        self, folder: str | os.PathLike[str], destination: str, most: int = MOST_BYTES
    ) -> None:
        stem = os.path.join(os.fspath(folder), FOLDER, file_name(destination))
        self.path = stem + ".ndjson"
        # What is being sent again, or was when a process ended.
        self._claimed = stem + ".retry"
        self._lock = stem + ".lock"
        self._counted = stem + ".revived"
        self._most = most

    def write(self, to: str, entry: Entry, verdict: Verdict) -> bool:
        """Add a letter; tell whether there was room for it. See `write_all`."""
        return self.write_all(to, [(entry, verdict)]) == 1

    def write_all(self, to: str, refused: Sequence[tuple[Entry, Verdict]]) -> int:
        """Add letters; they are in the file when this returns.

        Args:
            to: The URL of the destination, without secrets.
            refused: The entries, each with what was said to it.

        Returns:
            How many were written: all, or the first ones if there is no more room.

        Raises:
            OSError: The file cannot be written; none of them is in it then.
        """
        from datetime import UTC, datetime

        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        letters = [_letter(at, to, entry, verdict) for entry, verdict in refused]
        os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
        return _append(self.path, [_encode(letter) for letter in letters], self._most)

    def read(self) -> list[Letter]:
        """Return all letters, each once, the oldest first."""
        return list((_letters(self._claimed) | _letters(self.path)).values())

    def retry(self, to: str, send: Send) -> Retried:
        """Send all letters again; what is refused again stays a letter.

        Args:
            to: The URL of the destination, without secrets.
            send: Sends entries, of which there is at least one, and judges what the server says.

        Raises:
            OSError: The files cannot be read or written; no letter is lost.
            BlockingIOError: Another process is at it.
        """
        if not self.read():
            return Retried(0, 0, 0)
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._retry(to, send)
        finally:
            os.close(lock)

    def _retry(self, to: str, send: Send) -> Retried:
        self._claim()
        letters = list(_letters(self._claimed).values())
        attempt = _Attempt(to, send)
        try:
            attempt.go(letters)
        finally:
            taken = len(attempt.taken)
            kept = [one for one in letters if one.entry.id not in attempt.taken]
            again = [attempt.refused.get(one.entry.id, one) for one in kept]
            _append(self.path, [_encode(one) for one in again], sys.maxsize)
            self._count(taken)
            os.unlink(self._claimed)
        return Retried(taken, len(attempt.refused), len(kept) - len(attempt.refused))

    def _claim(self) -> None:
        """Put the letters, and what an earlier attempt has left, where nobody adds any more."""
        descriptor = _open_locked(self.path)
        try:
            if os.path.exists(self._claimed):
                data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
                _append(self._claimed, [data] if data else [], sys.maxsize)
                os.ftruncate(descriptor, 0)
            else:
                os.rename(self.path, self._claimed)
        finally:
            os.close(descriptor)

    @property
    def revived(self) -> int:
        """How many letters were taken when they were sent again."""
        try:
            with open(self._counted, "rb") as file:
                return int(file.read())
        except (OSError, ValueError):
            return 0

    def _count(self, taken: int) -> None:
        if taken:
            early = self._counted + ".new"
            with open(early, "wb") as file:
                file.write(b"%d" % (self.revived + taken))
            os.replace(early, self._counted)


def _letter(at: str, to: str, entry: Entry, verdict: Verdict) -> Letter:
    return Letter(at, to, verdict.why, verdict.answer[:LONGEST_ANSWER], entry)


def _encode(letter: Letter) -> bytes:
    import orjson

    told = {"at": letter.at, "to": letter.to, "why": letter.why, "answer": letter.answer}
    told["id"] = letter.entry.id
    try:
        told["line"] = letter.entry.body.decode()
    except UnicodeDecodeError:
        told["hex"] = letter.entry.body.hex()
    return orjson.dumps(told) + b"\n"


def _decode(line: bytes) -> Letter | None:
    import orjson

    try:
        told = orjson.loads(line)
        body = bytes.fromhex(told["hex"]) if "hex" in told else told["line"].encode()
        entry = Entry(str(told["id"]), body)
        return Letter(told["at"], told["to"], told["why"], told["answer"], entry)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _append(path: str, lines: list[bytes], most: int) -> int:
    descriptor = _open_locked(path)
    try:
        size = os.fstat(descriptor).st_size
        data, count = _that_fit(lines, most - size)
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            data = b"\n" + data  # the last one is torn
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except BaseException:
            os.ftruncate(descriptor, size)
            raise
        return count
    finally:
        os.close(descriptor)


def _that_fit(lines: list[bytes], room: int) -> tuple[bytes, int]:
    for count, line in enumerate(lines):
        room -= len(line)
        if room < 0:
            return b"".join(lines[:count]), count
    return b"".join(lines), len(lines)


def _open_locked(path: str) -> int:
    """Open a file of letters for this process alone, and see that it is still the one there."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    while True:
        descriptor = os.open(path, flags, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _letters(path: str) -> dict[str, Letter]:
    try:
        with open(path, "rb") as file:
            found = [_decode(line) for line in file]
    except FileNotFoundError:
        return {}
    return {letter.entry.id: letter for letter in found if letter is not None}


class _Attempt:
    """One attempt to send letters."""

    def __init__(self, to: str, send: Send) -> None:
        self._to = to
        self._send = send
        self.taken: set[str] = set()
        self.refused: dict[str, Letter] = {}

    def go(self, letters: list[Letter]) -> None:
        """Send all, until nobody answers."""
        parts = [letters[at : at + MOST_IN_BATCH] for at in range(0, len(letters), MOST_IN_BATCH)]
        parts.reverse()
        while parts:
            part = parts.pop()
            verdict = self._send([letter.entry for letter in part])
            if verdict.kind == AGAIN:
                return
            if verdict.kind == TAKEN:
                self._take(part, dict(verdict.items))
            elif verdict.part and len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                self._take(part, dict.fromkeys(range(len(part)), verdict))

    def _take(self, part: list[Letter], others: dict[int, Verdict]) -> None:
        """Note what is taken, and what is not for reasons of its own."""
        for index, letter in enumerate(part):
            verdict = others.get(index)
            if verdict is None:
                self.taken.add(letter.entry.id)
            elif verdict.kind == REFUSED:
                refused = _letter(letter.at, self._to, letter.entry, verdict)
                self.refused[letter.entry.id] = refused
