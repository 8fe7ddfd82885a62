"""Find obskit's lines in what log collectors made of them."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from obskit import schemas

Line = dict[str, Any]

# Under these names other tools wrap a whole line (Docker, Fluent Bit, journald, Splunk, ...).
WRAPPINGS = ("log", "message", "line", "MESSAGE", "_raw", "@message", "msg", "event", "body")
FOLDERS = ("_source", "result", "fields", "attributes", "jsonPayload")
DEEPEST = 4
LOGFMT = "timestamp="
_CRI = re.compile(rb"\d{4}-\S+ (stdout|stderr) ([PF])(?::\S*)? (.*)", re.DOTALL)


class Assembler:
    """Put together again what Docker and the CRI cut at 16 KiB; one for each file."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[str, bytes] = {}

    def whole(self, raw: bytes) -> bytes | None:
        """Return the line that ends with *raw*, or None while more of it is to come."""
        if raw[:1].isdigit():
            match = _CRI.match(raw)
            if match is not None:
                return self._add(match[1].decode(), match[3], more=match[2] == b"P")
        elif raw.startswith(b'{"log":'):
            wrapped = _load(raw)
            if wrapped is not None and isinstance(wrapped.get("log"), str) and "stream" in wrapped:
                text = wrapped["log"]
                stream = str(wrapped["stream"])
                part = text.removesuffix("\n").encode("utf-8", "surrogatepass")
                return self._add(stream, part, more=not text.endswith("\n"))
        return raw

    def _add(self, stream: str, part: bytes, *, more: bool) -> bytes | None:
        text = self._parts.pop(stream, b"") + part
        if not more:
            return text
        self._parts[stream] = text
        return None


def parse(raw: bytes) -> Line | None:
    """Return the line of obskit in *raw*, an empty dict for other JSON, None for other text.

    It may be written in any schema that obskit writes: the canonical line is returned.
    """
    if raw.startswith(LOGFMT.encode()):
        return _of_logfmt(raw.decode("utf-8", "replace"))
    start = raw.find(b"{")
    if start < 0:
        return None
    found = _load(raw[start:])
    if found is None and not raw.rstrip().endswith(b"}"):
        found = _load(raw[start : raw.rfind(b"}") + 1])
    return None if found is None else _unwrap(found, DEEPEST) or {}


def is_ours(line: Line) -> bool:
    """Tell whether obskit wrote *line*, or somebody who put a correlation ID on it."""
    if isinstance(line.get("correlation_id"), str):
        return True
    return line.get("scope") == "process" or "lc_at" in line


def _of_logfmt(text: str) -> Line | None:
    found: Line | None = schemas.of("logfmt").decode(text)
    return found if found is not None and is_ours(found) else None


def _unwrap(found: Line, depth: int) -> Line | None:
    record = schemas.recognised(found)
    if record is not None and is_ours(record):
        return record
    if is_ours(found):
        return found
    if not depth:
        return None
    for name in WRAPPINGS:
        text = found.get(name)
        if isinstance(text, str) and text.startswith(LOGFMT):
            if line := _of_logfmt(text):
                return line
        elif isinstance(text, str) and "{" in text:
            inner = _load(text[text.index("{") :].strip().encode("utf-8", "replace"))
            if inner is not None and (line := _unwrap(inner, depth - 1)):
                return line
    for name in (*WRAPPINGS, *FOLDERS):
        inner = found.get(name)
        if isinstance(inner, dict) and (line := _unwrap(inner, depth - 1)):
            return line
    return None


def _load(raw: bytes) -> Line | None:
    try:
        found = orjson.loads(raw)
    except ValueError:
        found = _load_carefully(raw)
    return found if isinstance(found, dict) else None


def _load_carefully(raw: bytes) -> Any:
    """Read what is not quite JSON: wrong UTF-8, NaN, control characters, huge numbers."""
    if not raw.rstrip().endswith(b"}"):
        return None
    try:
        return json.loads(raw.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return None
