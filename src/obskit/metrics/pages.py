"""Keep doubles, and exemplars, in files that siblings can read while they are written.

The layout of `Page` is the one that prometheus_client merges. Space is allocated before it
is mapped: writing to a mapped hole of a full disk would kill the process.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from obskit.metrics.values import Identity

FIRST_SIZE = 1 << 16
RECORD = 512
MOST_RECORDS = 4096

_count = struct.Struct("i")
_pair = struct.Struct("dd")


def _map(path: Path, size: int) -> mmap.mmap:
    """Map at least *size* bytes of the file at *path*, making sure that they exist."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size = max(size, os.fstat(descriptor).st_size)
        os.posix_fallocate(descriptor, 0, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


class Page:
    """One file of named doubles; names are found again when the next process takes it over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map = _map(path, FIRST_SIZE)
        self.cells = memoryview(self._map).cast("d")
        self._used = _count.unpack_from(self._map, 0)[0] or 8
        self._indexes = dict(self._read())

    def _read(self) -> Iterator[tuple[str, int]]:
        position = 8
        while position < self._used:
            length = _count.unpack_from(self._map, position)[0]
            start = position + _count.size
            position = start + length + _padding(length)
            yield bytes(self._map[start : start + length]).decode(), position // 8
            position += _pair.size

    def index(self, name: str) -> int:
        """Return where the number called *name* is among the cells, and make it if it is new.

        Raises:
            OSError: The disk is full.
        """
        found = self._indexes.get(name)
        return self._append(name) if found is None else found

    def _append(self, name: str) -> int:
        text = name.encode()
        padded = text + b" " * _padding(len(text))
        entry = _count.pack(len(text)) + padded + _pair.pack(0.0, 0.0)
        end = self._used + len(entry)
        if end > len(self._map):
            self._grow(end)
        self._map[self._used : end] = entry
        self._used = end
        # Readers look no further than this, so it is written when the entry is complete.
        self._map[0 : _count.size] = _count.pack(end)
        index = self._indexes[name] = (end - _pair.size) // 8
        return index

    def _grow(self, least: int) -> None:
        """Map more; cells that are held elsewhere stay good, since they map the same file."""
        size = len(self._map)
        while size < least:
            size *= 2
        self._map = _map(self._path, size)
        self.cells = memoryview(self._map).cast("d")


def _padding(length: int) -> int:
    return 8 - (length + _count.size) % 8


class ExemplarPage:
    """One file of exemplars: a record of fixed size for each number that has one.

    Those of the last process in the slot stay until the same number has a newer one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map = _map(path, FIRST_SIZE)
        self._positions: dict[Key, int] = {}
        self._end = 0
        for start, record in _records(self._map):
            self._end = start + RECORD
            if record is not None:
                sample, labels, *_ = record
                self._positions[sample, tuple(labels), tuple(labels.values())] = start

    def keep(self, identity: Identity, exemplar: Any) -> None:
        """Write *exemplar* in place of the last one; leave out what does not fit."""
        labels = dict(zip(identity.label_names, identity.label_values, strict=True))
        record = [identity.sample, labels, exemplar.labels, exemplar.value, exemplar.timestamp]
        text = json.dumps(record, separators=(",", ":")).encode()
        if len(text) >= RECORD:
            return
        key = identity.sample, identity.label_names, identity.label_values
        position = self._positions.get(key)
        if position is None:
            if self._end >= MOST_RECORDS * RECORD:
                return
            position = self._positions[key] = self._end
            self._end += RECORD
        if position + RECORD > len(self._map):
            self._map = _map(self._path, 2 * len(self._map))
        self._map[position : position + RECORD] = text.ljust(RECORD, b"\n")


Record = tuple[str, dict[str, str], dict[str, str], float, float]
Key = tuple[str, tuple[str, ...], tuple[str, ...]]


def read_exemplars(path: Path) -> Iterator[Record]:
    """Iterate over sample, its labels, the exemplar's labels, value and time in *path*."""
    for _, record in _records(path.read_bytes()):
        if record is not None:
            yield record


def _records(content: bytes | mmap.mmap) -> Iterator[tuple[int, Record | None]]:
    """Iterate over where records begin and what they say; None while one is being written."""
    for start in range(0, len(content), RECORD):
        text = content[start : start + RECORD].rstrip(b"\n")
        if not text or text[0] == 0:
            return
        try:
            yield start, cast(Record, tuple(json.loads(text)))
        except ValueError:
            yield start, None
