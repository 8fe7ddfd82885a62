"""Keep a line within its budget: shorten the values that need it most, never the bytes.

What was encoded is never cut, so the line stays valid whatever is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from obskit.logs.exceptions import shorten
from obskit.logs.formats import json
from obskit.logs.line import Error, carefully
from obskit.logs.shortening import cost, cut

if TYPE_CHECKING:
    from obskit.context import Context

Encode = Callable[[Any], bytes]

TRUNCATED = "obskit_truncated"
# ,"obskit_truncated":1234567890
RESERVE = len(TRUNCATED) + 14
# So much of a stack is worth more than the ends of long values.
LEAST_STACK = 1200
# IDs are short; what is shorter than this is left alone as long as possible.
LEAST_VALUE = 64
STACK = "error_stack"
_ERROR = frozenset({"error_type", "error_message", "error_fingerprint", STACK})


def line(
    longest: int,
    here: Context | None,
    head: bytes,
    place: str,
    message: Any,
    fields: Mapping[str, Any],
    values: dict[str, Any] | None = None,
    error: Error | None = None,
) -> bytes:
    """Return a line of at most *longest* bytes, newline included.

    Args:
        longest: Bytes that it may have.
        here: The context, whose bound fields belong to it.
        head: What stands before the message.
        place: What stands between the message and the fields.
        message: The message.
        fields: What the caller has given.
        values: All fields, if they have been made with care already.
        error: The error that the line tells of, unless it is in *values*.
    """
    if values is None:
        message, values = carefully(here, message, fields, error, None)
    middle = place.encode()
    room = longest - len(head) - len(middle) - 2
    message, values = fit(message, values, room, json.dumps)
    comma = b"," if values else b""
    body = json.dumps(values, None, json.NEWLINE)
    return b"".join((head, json.dumps(message), middle, comma, body[1:]))


def ready_line(
    longest: int, here: Context | None, time: str, start: str, place: str, body: str
) -> bytes:
    """Return a line that was ready, of at most *longest* bytes.

    Args:
        longest: Bytes that it may have, newline included.
        here: The context, whose bound fields belong to it.
        time: Its beginning, up to the microseconds.
        start: Level, message and logger.
        place: What stands between the logger and the fields.
        body: The fields, without the braces.
    """
    said = json.loads('{"":"' + start + "}")
    head = f'{time}Z","level":"{said["level"]}","message":'.encode()
    place = json.piece({"logger": said["logger"]}) + place
    fields = json.loads("{" + body + "}")
    return line(longest, here, head, place, said["message"], fields)


def fit(
    message: str, fields: dict[str, Any], room: int, encode: Encode
) -> tuple[str, dict[str, Any]]:
    """Return *message* and *fields* shortened so that both take at most *room* bytes as JSON.

    Args:
        message: The message of the line.
        fields: Plain values by name; it is not changed.
        room: Bytes for the message with its quotes, and for the fields without the braces.
        encode: Returns a plain value as JSON.
    """
    fields = dict(fields)
    sizes = {name: _size(name, value, encode) for name, value in fields.items()}
    text = cost(message) + 2
    before = text + sum(sizes.values())
    if before <= room:
        return message, fields
    room -= RESERVE
    over = before - room
    if over > 0 and isinstance(fields.get(STACK), str):
        most = max(cost(fields[STACK]) - over, LEAST_STACK)
        _put(fields, sizes, STACK, shorten(fields[STACK], most), encode)
    message = _level_out(message, fields, sizes, room, encode)
    _drop(message, fields, sizes, room)
    after = cost(message) + 2 + sum(sizes.values())
    fields[TRUNCATED] = before - after
    return message, fields


def _size(name: str, value: Any, encode: Encode) -> int:
    """Return what a field takes, with its name, colon and comma."""
    return cost(name) + 4 + len(encode(value))


def _put(
    fields: dict[str, Any], sizes: dict[str, int], name: str, value: Any, encode: Encode
) -> None:
    fields[name] = value
    sizes[name] = _size(name, value, encode)


def _level_out(
    message: str, fields: dict[str, Any], sizes: dict[str, int], room: int, encode: Encode
) -> str:
    """Cut all that is longer than some length to this length, so that the whole fits."""
    values = {name: len(encode(value)) for name, value in fields.items() if _can_shrink(value)}
    lengths = sorted([cost(message), *values.values()])
    fixed = 2 + sum(sizes.values()) - sum(values.values())
    most = max(_waterline(lengths, room - fixed), LEAST_VALUE)
    if sum(lengths) + fixed <= room:
        return message
    for name, length in values.items():
        if length > most:
            shorter = (
                shorten(fields[name], most - 2)
                if name == STACK and isinstance(fields[name], str)
                else shortened(fields[name], most, encode)
            )
            _put(fields, sizes, name, shorter, encode)
    return cut(message, most)


def _can_shrink(value: Any) -> bool:
    return isinstance(value, (str, list, dict))


def _waterline(lengths: list[int], room: int) -> int:
    """Return the length to which the longest must be cut so that all take *room* together."""
    left = room
    for index, length in enumerate(lengths):
        share = left // (len(lengths) - index)
        if length > share:
            return share
        left -= length
    return lengths[-1]


def shortened(value: Any, most: int, encode: Encode) -> Any:
    """Return the beginning of *value*, of the same type, in at most *most* bytes."""
    if isinstance(value, str):
        return cut(value, most - 2)
    if not _can_shrink(value) or len(encode(value)) <= most:
        return value
    pairs = list(value.items()) if isinstance(value, dict) else [(None, item) for item in value]
    kept: list[tuple[Any, Any]] = []
    left = most - 2
    for key, item in pairs:
        name = 0 if key is None else cost(key) + 3
        size = len(encode(item))
        if size + name + 1 > left:
            if _can_shrink(item) and left > LEAST_VALUE + name:
                kept.append((key, shortened(item, left - name - 1, encode)))
            break
        kept.append((key, item))
        left -= size + name + 1
    return dict(kept) if isinstance(value, dict) else [item for _, item in kept]


def _drop(message: str, fields: dict[str, Any], sizes: dict[str, int], room: int) -> None:
    """Leave whole fields out, the last ones first, where there are too many."""
    total = cost(message) + 2 + sum(sizes.values())
    ordinary = [name for name in reversed(fields) if name not in _ERROR]
    for name in (*ordinary, *_ERROR.intersection(fields)):
        if total <= room:
            return
        total -= sizes.pop(name)
        del fields[name]
