"""What is sent: one line or span out of the spool, under an id that it keeps."""

from __future__ import annotations

from obskit.record import Record


class Entry(Record):
    """One line or span.

    *id* is the same each time it is sent and unique in the world, *body* the canonical line
    without its newline, or the encoded span.
    """

    id: str
    body: bytes
