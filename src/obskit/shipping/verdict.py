"""Judge what a server says to a batch: taken, to be sent again, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from time import time

from obskit.record import Record

LONGEST_WAIT = 120.0
TAKEN, AGAIN, REFUSED = "taken", "again", "refused"

_BUSY = frozenset({408, 425, 429})
# One item may be to blame for the whole batch.
_MAYBE_ONE = frozenset({400, 413, 422})
# The server may be well, and the batch its trouble.
_MAYBE_OURS = frozenset({500, 501})


class Verdict(Record):
    """What has become of a batch.

    *why* says it in words of few values, *wait* how many seconds the server asks to wait,
    *part* whether a smaller batch may fare better.
    """

    kind: str
    why: str = ""
    wait: float = 0.0
    part: bool = False


ALL_TAKEN = Verdict(TAKEN)


def of_answer(status: int, headers: Mapping[str, str]) -> Verdict:
    """Return what an HTTP answer means for the batch."""
    if 200 <= status < 300:
        return ALL_TAKEN
    why = f"status {status}"
    if status in _BUSY or status >= 500:
        wait = _seconds(headers.get("retry-after", ""))
        return Verdict(AGAIN, why, wait, status in _MAYBE_OURS)
    return Verdict(REFUSED, why, 0.0, status in _MAYBE_ONE)


def of_error(error: Exception) -> Verdict:
    """Return what a failed attempt means: nobody was there, or answered in time."""
    if isinstance(error, TimeoutError):
        return Verdict(AGAIN, "timeout")
    return Verdict(AGAIN, "no connection" if isinstance(error, OSError) else "no answer")


def _seconds(text: str) -> float:
    """Return what ``Retry-After`` asks for, seconds or a date, within reason."""
    text = text.strip()
    if not text:
        return 0.0
    if text.isascii() and text.isdecimal():
        return min(LONGEST_WAIT, float(text[:6]))
    from email.utils import parsedate_to_datetime

    try:
        return min(LONGEST_WAIT, max(0.0, parsedate_to_datetime(text).timestamp() - time()))
    except (ValueError, TypeError, OverflowError):
        return 0.0
