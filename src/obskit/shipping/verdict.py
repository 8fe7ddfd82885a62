"""Judge what a server says to a batch: taken, to be sent again, or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import time

from obskit.record import Record

LONGEST_WAIT = 120.0
LONGEST_ANSWER = 500
TAKEN, AGAIN, REFUSED = "taken", "again", "refused"
TIMEOUT = "timeout"

_BUSY = frozenset({408, 425, 429})
# One item may be to blame for the whole batch.
_MAYBE_ONE = frozenset({400, 413, 422})
# The server may be well, and the batch its trouble.
_MAYBE_OURS = frozenset({500, 501})


class Verdict(Record):
    """What has become of a batch.

    *why* says it in words of few values, *wait* how many seconds the server asks to wait,
    *part* whether a smaller batch may fare better, *answer* what the server said.

    Of a batch that is TAKEN, *items* are the entries that were not, by index, each with a verdict
    of its own (AGAIN or REFUSED, without items), and *lost* is how many of the others the server
    threw away without saying which: they must not be sent again.
    """

    kind: str
    why: str = ""
    wait: float = 0.0
    part: bool = False
    items: tuple[tuple[int, Verdict], ...] = ()
    answer: str = ""
    lost: int = 0


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


def of_reply(status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
    """Return what an answer means for lines, which are kept as long as they are not to blame.

    A wrong address, a missing index or a token that is being changed is put right by somebody
    while the lines wait; refused is what the server cannot take however often it is sent.
    """
    found = of_answer(status, headers)
    if found.kind == TAKEN:
        return found
    kind = REFUSED if status in _MAYBE_ONE else AGAIN
    return Verdict(kind, found.why, found.wait, found.part, (), said(body))


def of_items(count: int, items: Sequence[tuple[int, Verdict]]) -> Verdict:
    """Return what has become of a batch of *count* entries of which these *items* were not taken.

    Where nothing was taken and all of it is to be sent again, the batch as a whole is.
    """
    if not items:
        return ALL_TAKEN
    if count == 1:
        return items[0][1]
    again = [one for _, one in items if one.kind == AGAIN]
    if len(again) == count:
        wait = max(one.wait for one in again)
        return Verdict(AGAIN, again[0].why, wait, answer=again[0].answer)
    return Verdict(TAKEN, items=tuple(items))


def said(body: bytes) -> str:
    """Return what a server said, on one line, for people."""
    text = body[: 4 * LONGEST_ANSWER].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text)[:LONGEST_ANSWER].strip()


# The ssl module is not imported for its names.
_UNTRUSTED, _TLS = "SSLCertVerificationError", "SSLError"


def of_error(error: Exception) -> Verdict:
    """Return what a failed attempt means: nobody was there, or answered in time."""
    if isinstance(error, TimeoutError):
        return Verdict(AGAIN, TIMEOUT)
    if isinstance(error, FileNotFoundError):
        # No server is missing like that: `ca=`, `cert=` or `key=` is.
        return Verdict(AGAIN, "no certificate file")
    names = {kind.__name__ for kind in type(error).__mro__}
    if _UNTRUSTED in names:
        return Verdict(AGAIN, "certificate not trusted")
    if _TLS in names:
        return Verdict(AGAIN, "no secure connection")
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
