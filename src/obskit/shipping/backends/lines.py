"""Read canonical lines as backends need it: mostly by slicing, parsed only where there is no way.

A line begins ``{"timestamp":"YYYY-MM-DDTHH:MM:SS.ffffffZ","level":``. What does not, as the lines
of other programs, is parsed; what is no JSON object at all becomes the message of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from typing import Any

import orjson

from obskit.shipping.entry import Entry
from obskit.shipping.target import Target
from obskit.shipping.verdict import REFUSED, Verdict, of_items

PREFIX = b'{"timestamp":"'
_BEGIN = len(PREFIX)
_SECOND, _DOT, _ZONE = _BEGIN + 19, _BEGIN + 20, _BEGIN + 26

Encode = Callable[[bytes], bytes]


def is_canonical(body: bytes) -> bool:
    """Tell whether *body* is a line of ours, as far as slices of it go."""
    return body[_ZONE : _ZONE + 3] == b'Z",' and body.startswith(PREFIX) and b"\n" not in body


def record(body: bytes) -> dict[str, Any]:
    """Return the fields of a line, of whatever program, with a timestamp as ours are.

    What stands there and is none is kept as ``field_timestamp``; what is no JSON object becomes
    the message of one.
    """
    try:
        found = orjson.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        text = body.decode("utf-8", "replace")
        return {"timestamp": now(), "level": "info", "message": text}
    given = found.get("timestamp")
    time = _instant(given)
    if time is not None and time == given:
        return found
    kept = {} if given is None or time is not None else {"field_timestamp": given}
    return {**found, "timestamp": time or now(), **kept}


def _instant(given: Any) -> str | None:
    """Return a timestamp as ours are; None where it is none."""
    if not isinstance(given, str):
        return None
    try:
        if given[10:11] == "T" and given[19:20] == "." and given[26:] == "Z":
            _epoch(given[:19])
            int(given[20:26])
            return given
        found = datetime.fromisoformat(given)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{found:%Y-%m-%dT%H:%M:%S.%f}Z"


def now() -> str:
    """Return the time as lines have it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


@lru_cache(maxsize=1024)
def _epoch(second: str) -> int:
    return int(datetime.fromisoformat(f"{second}+00:00").timestamp())


def microseconds(timestamp: str) -> int:
    """Return a timestamp of ours as microseconds since 1970."""
    return _epoch(timestamp[:19]) * 1_000_000 + int(timestamp[20:26])


def seconds(body: bytes) -> bytes:
    """Return the time of a line as text in seconds since 1970, with all six digits."""
    if is_canonical(body):
        try:
            return b"%d.%b" % (_epoch(body[_BEGIN:_SECOND].decode()), body[_DOT:_ZONE])
        except ValueError:
            pass
    return b"%d.%06d" % divmod(microseconds(record(body)["timestamp"]), 1_000_000)


def renamed(body: bytes) -> bytes:
    """Return a line whose ``timestamp`` is called ``@timestamp``."""
    if is_canonical(body):
        return b'{"@timestamp":"' + body[_BEGIN:]
    found = record(body)
    return orjson.dumps({"@timestamp": found.pop("timestamp"), **found})


def whole(body: bytes) -> bytes:
    """Return a line as it is; of what is no line of ours, a JSON object on one line."""
    return body if is_canonical(body) else orjson.dumps(record(body))


def text(value: Any) -> str:
    """Return a value as the text that servers want for labels and tags."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def encoder(target: Target) -> Encode | None:
    """Return what writes a line in the format that *target* asks for; None if as it is."""
    name = target.options.get("format", "json")
    if name == "json":
        return None
    encode = import_module(f"obskit.schemas.{name}").encode

    def encoded(body: bytes) -> bytes:
        found = encode(record(body))
        if isinstance(found, bytes):
            return found
        return found.encode() if isinstance(found, str) else orjson.dumps(found)

    return encoded


def without_large(
    batch: Sequence[Entry], most: int, send: Callable[[Sequence[Entry]], Verdict]
) -> Verdict:
    """Send a batch but for the entries with more than *most* bytes, which are refused."""
    if all(len(entry.body) <= most for entry in batch):
        return send(batch)
    too_large = Verdict(REFUSED, "event too large", answer=f"more than {most} bytes")
    refused = [(index, too_large) for index, one in enumerate(batch) if len(one.body) > most]
    kept = [index for index, one in enumerate(batch) if len(one.body) <= most]
    if not kept:
        return of_items(len(batch), refused)
    found = send([batch[index] for index in kept])
    if found.kind != "taken":
        # What is too large is so the next time, too.
        return found
    others = [(kept[index], one) for index, one in found.items]
    return found._replace(items=tuple(sorted(others + refused)))
