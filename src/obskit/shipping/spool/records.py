"""The bytes of a segment: a head, then records, of which each can be judged by itself.

All numbers are little-endian. The head has 16 bytes: ``\\xf9OBSKIT\\n``, the version of the format
(u32, 1), and the CRC-32 of these twelve (u32). A reader leaves a segment of a version that it does
not know alone; a head that is damaged is taken for one of this version, for each record is checked.

A record has 19 bytes and its body:

=======  ====  =====================================================================
bytes    type
=======  ====  =====================================================================
0-1            ``\\xf9\\xfa``, which no text in UTF-8 contains
2-5      u32   CRC-32 of all that follows, begun with the CRC-32 of the segment's id
6        u8    kind: ``L`` line, ``S`` span, ``D`` dropped, ``Z`` end of the segment
7-10     u32   length of the body
11-18    u64   number: how many were logged into this segment before this record
19-            body
=======  ====  =====================================================================

A line or span counts as one. A ``D`` has the body ``{"reason":"...","count":n}`` and counts as n:
so many were accepted and could not be kept. The end counts as none and has no body. So the number
of a record is known from those before it, and a hole tells how many are lost.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from zlib import crc32

from obskit.pointers import base36
from obskit.record import Record
from obskit.shipping.entry import Entry

VERSION = 1
LINE, SPAN, DROPPED, END = b"LSDZ"
CODES = {"line": LINE, "span": SPAN}
_DATA = (LINE, SPAN)
LONGEST_BODY = 64 * 1024 * 1024

_SIGN = b"\xf9OBSKIT\n"
_HEAD = struct.Struct("<8sII")
_MAGIC = b"\xf9\xfa"
_RECORD = struct.Struct("<2sIBIQ")
_FRONT = struct.Struct("<2sI")
_REST = struct.Struct("<BIQ")
HEAD_SIZE = _HEAD.size
RECORD_SIZE = _RECORD.size
_KIND_AT = 6


def head(version: int = VERSION) -> bytes:
    """Return the beginning of a segment."""
    return _HEAD.pack(_SIGN, version, crc32(_SIGN + version.to_bytes(4, "little")))


def version_of(data: bytes) -> int:
    """Return the version of a segment that begins with *data*; this one where it cannot be told."""
    if len(data) < HEAD_SIZE:
        return VERSION
    sign, version, crc = _HEAD.unpack_from(data)
    return version if sign == _SIGN and crc == crc32(data[: HEAD_SIZE - 4]) else VERSION


def seed_of(segment: str) -> int:
    """Return what the checksums of a segment's records begin with."""
    return crc32(segment.encode())


def encode(kind: int, number: int, body: bytes, seed: int) -> bytes:
    """Return one record."""
    rest = _REST.pack(kind, len(body), number) + body
    return _FRONT.pack(_MAGIC, crc32(rest, seed)) + rest


def encode_all(kind: int, number: int, bodies: Sequence[bytes], seed: int) -> bytes:
    """Return a record for each of *bodies*."""
    return b"".join([encode(kind, number + i, body, seed) for i, body in enumerate(bodies)])


def encode_drop(number: int, reason: str, count: int, seed: int) -> bytes:
    """Return the record that *count* were dropped."""
    import orjson

    return encode(DROPPED, number, orjson.dumps({"reason": reason, "count": count}), seed)


class Harvest:
    """What is read of a spool.

    Args:
        most: Entries to be kept; 0 to count only.
        most_bytes: Bytes of their bodies, unless a single one has more.
    """

    __slots__ = ("dropped", "entries", "left", "most")

    def __init__(self, most: int, most_bytes: int) -> None:
        self.most = most
        self.left = most_bytes
        self.entries: list[Entry] = []
        self.dropped: dict[str, int] = {}

    @property
    def is_full(self) -> bool:
        """Whether no more is wanted."""
        return 0 < self.most <= len(self.entries) or self.left < 0


class Parsed(Record):
    """How far a parser came.

    *end* is the first byte that it did not understand or want, *number* what is to come next,
    *lost* how many are missing, *ended* whether the end of the segment was read.
    """

    end: int
    number: int
    lost: int
    ended: bool


def parse(data: bytes, segment: str, origin: int, number: int, harvest: Harvest) -> Parsed:
    """Read the records that *data* begins with.

    Args:
        data: Part of a segment, from the beginning of a record on.
        segment: Its id.
        origin: Where in the segment *data* begins.
        number: What the first record is expected to have.
        harvest: What is found, and how much more is wanted; it must not be full.
    """
    view, seed, pairs = memoryview(data), seed_of(segment), _pairs()
    unpack, size, entries, make = _RECORD.unpack_from, len(data), harvest.entries, tuple.__new__
    page, prefix = -1, ""
    most, left, at, lost = harvest.most, harvest.left, 0, 0
    last = size - RECORD_SIZE
    while at <= last:
        magic, crc, kind, length, found = unpack(data, at)
        end = at + RECORD_SIZE + length
        if magic != _MAGIC or end > size or crc32(view[at + _KIND_AT : end], seed) != crc:
            break
        if most and kind in _DATA:
            left -= length
            if left < 0 and entries:
                break
            here, low = divmod(origin + at, 1296)
            if here != page:
                page, prefix = here, f"{segment}-{base36(here)}"
            entries.append(make(Entry, (prefix + pairs[low], data[at + RECORD_SIZE : end])))
        if found > number:
            lost += found - number
            number = found
        if kind in _DATA:
            number += 1
        elif kind == END:
            return Parsed(end, number, lost, True)
        else:
            number += _count_drop(data[at + RECORD_SIZE : end], harvest.dropped)
        at = end
        if 0 < most <= len(entries):
            break
    harvest.left = left
    return Parsed(at, number, lost, False)


@cache
def _pairs() -> list[str]:
    """Return the last two digits of numbers in base 36."""
    return [base36(number).rjust(2, "0") for number in range(1296)]


def _count_drop(body: bytes, dropped: dict[str, int]) -> int:
    """Count what was dropped; a record of an unknown kind is one that we cannot deliver."""
    import orjson

    try:
        told = orjson.loads(body)
        reason, count = str(told["reason"]), int(told["count"])
    except (ValueError, TypeError, KeyError):
        reason, count = "unknown", 1
    dropped[reason] = dropped.get(reason, 0) + count
    return count


def find(data: bytes, seed: int) -> int:
    """Return where the first whole record in *data* is, -1 if there is none."""
    view, size = memoryview(data), len(data)
    at = data.find(_MAGIC)
    while 0 <= at <= size - RECORD_SIZE:
        _, crc, _, length, _ = _RECORD.unpack_from(data, at)
        end = at + RECORD_SIZE + length
        if end <= size and crc32(view[at + _KIND_AT : end], seed) == crc:
            return at
        at = data.find(_MAGIC, at + 1)
    return -1


def torn(data: bytes) -> int:
    """Return how many records are lost where a segment ends with *data*: one, or only its end."""
    kind = data[_KIND_AT] if len(data) > _KIND_AT else END
    return int(kind in (LINE, SPAN, DROPPED) or (kind != END and len(data) > RECORD_SIZE))
