"""Read the headers of messages, in whatever shape a library hands them over."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any


def pick(source: object, names: Container[str]) -> dict[str, str]:
    """Return the headers of *source* that have one of *names*, lower-case, as text.

    *source* is a mapping, pairs, or something that has ``headers`` (an attribute or a method)
    of such a shape; values are text or bytes. Of several values the last one counts: who
    sends a message on appends. What has another shape is left out.
    """
    picked: dict[str, str] = {}
    for name, value in _pairs(source):
        name = _text(name)
        if name is None or (name := name.lower()) not in names:
            continue
        if (text := _text(value)) is not None:
            picked[name] = text
    return picked


def _pairs(source: Any) -> Iterator[tuple[Any, Any]]:
    if hasattr(source, "headers"):
        source = source.headers() if callable(source.headers) else source.headers
    if isinstance(source, Mapping) or hasattr(source, "items"):
        source = source.items()
    if isinstance(source, (str, bytes)) or not isinstance(source, Iterable):
        return
    for pair in source:
        if isinstance(pair, (tuple, list)) and len(pair) == 2:
            yield pair[0], pair[1]


def _text(value: object) -> str | None:
    if isinstance(value, (list, tuple)) and value:
        value = value[-1]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("latin-1")
    return value if isinstance(value, str) else None
