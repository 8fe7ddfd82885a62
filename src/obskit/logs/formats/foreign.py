"""Write lines in other people's schemas, within the same budget of bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from obskit import health, schemas
from obskit import settings as settings_
from obskit.logs.formats import json
from obskit.logs.line import RESERVED

Record = dict[str, Any]
Made = Callable[[Record], bytes]
Write = Callable[[bytes], None]

TRUNCATED = "obskit_truncated"
_MAY_SHRINK = frozenset(
    {"error_type", "error_message", "error_fingerprint", "error_stack", TRUNCATED}
)
# What says where a line belongs is never shortened.
_FIXED = RESERVED - _MAY_SHRINK
_MOST_TRIES = 8
_LESS = 0.97


def writer(name: str, write: Write, longest: Callable[[], int]) -> Write:
    """Return what writes canonical lines in the schema called *name*.

    Args:
        name: One of `schemas.NAMES`.
        write: Writes a line that is finished.
        longest: Says how many bytes a line may have.
    """
    make = maker(name)

    def write_as(line: bytes) -> None:
        try:
            line = encoded(line, make, longest())
        except Exception as error:  # the canonical line says it all the same
            health.internal_error("logs.format", error)
        write(line)

    return write_as


def maker(name: str) -> Made:
    """Return what makes a line, newline included, of a canonical record."""
    encode: Callable[..., Any] = schemas.of(name).encode
    if name == "logfmt":
        return lambda record: (encode(record) + "\n").encode()
    if name == "gcp":
        encode = partial(encode, project=settings_.google_project())
    return lambda record: json.dumps(encode(record), None, json.NEWLINE)


def encoded(line: bytes, make: Made, longest: int) -> bytes:
    """Return the canonical *line* as *make* writes it, in at most *longest* bytes."""
    record = json.loads(line)
    made = make(record)
    return made if len(made) <= longest else _shortened(record, make, longest, len(made))


def _shortened(record: Record, make: Made, longest: int, size: int) -> bytes:
    """Return a line of *record* with its values so short that it fits.

    A value may take more bytes in a schema than in the canonical line: how much shorter it
    must be there is found by trying.
    """
    from obskit.logs import budget

    before = record.get(TRUNCATED)
    before = before if isinstance(before, int) else 0
    fixed = {name: value for name, value in record.items() if name in _FIXED}
    fields = {name: value for name, value in record.items() if name not in _FIXED}
    fields.pop(TRUNCATED, None)
    message = str(record.get("message", ""))
    bare = len(make(fixed | {"message": "", TRUNCATED: 10**9}))
    room = whole = len(json.dumps(message)) + len(json.dumps(fields))
    for _ in range(_MOST_TRIES):
        room = int(room * _LESS * max(longest - bare, 1) / max(size - bare, 1))
        words, kept = budget.fit(message, fields, room, json.dumps)
        kept[TRUNCATED] = kept.get(TRUNCATED, 0) + before
        made = make(fixed | {"message": words} | kept)
        size = len(made)
        if size <= longest:
            return made
    return make(fixed | {"message": "", TRUNCATED: whole + before})
