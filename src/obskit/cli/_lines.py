"""Judge raw output by an independent reading of the line format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from obskit import fields, schemas

REQUIRED = tuple(item.name for item in fields.LINE if item.when == "always")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
}
_KNOWN = {item.name: _TYPES[item.type] for item in fields.LINE}
_FORMS = {item.name: re.compile(item.pattern) for item in fields.LINE if item.pattern}
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)

# Who writes such text, where nothing has made a line of it.
WRITERS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (
        re.compile(rb'Traceback \(most recent call last\):|  File "|  \S|\w+(?:Error|Exception)\b'),
        "a traceback that was printed past Python's hooks",
    ),
    (re.compile(rb"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] \["), "gunicorn's logger"),
    (re.compile(rb"(?:INFO|WARNING|ERROR|DEBUG|CRITICAL|TRACE): {2,}"), "uvicorn's logger"),
    (re.compile(rb'\S+ - \S* ?\[.*?\] "|\S+:\d+ - "'), "a server's access log"),
    (re.compile(rb"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):\S+:"), "logging.basicConfig"),
    (re.compile(rb"[\w/.<>-]+:\d+: \w*Warning: "), "Python's warnings"),
    (re.compile(rb"\{"), "a line that another writer has torn, or another JSON logger"),
)
UNKNOWN = "print before obskit was there, C code, or a child that is not Python"


class Verdict(NamedTuple):
    """A line of output, what it says, and what is wrong with it."""

    raw: bytes
    line: dict[str, Any] | None
    fault: str = ""
    number: int = 0


def read(output: bytes, form: str = "json") -> Iterator[Verdict]:
    """Yield a verdict on each line of *output*, which has the *form* of the settings."""
    for number, raw in enumerate(output.split(b"\n"), 1):
        if raw:
            yield judge(raw, form)._replace(number=number)


def judge(raw: bytes, form: str = "json") -> Verdict:
    """Return the verdict on one line without its end; what it says is told canonically."""
    if form in schemas.NAMES:
        return _judge_as(raw, form)
    try:
        line = json.loads(raw.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        return Verdict(raw, None, _reason(error))
    if not isinstance(line, dict):
        return Verdict(raw, None, "no JSON object")
    return Verdict(raw, line, _fault(line))


def _judge_as(raw: bytes, form: str) -> Verdict:
    try:
        text = raw.decode("utf-8")
        found = text
        if form != "logfmt":
            found = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
            if not isinstance(found, dict):
                return Verdict(raw, None, "no JSON object")
        line = schemas.of(form).decode(found)
    except (ValueError, RecursionError) as error:
        return Verdict(raw, None, _reason(error))
    if line is None:
        return Verdict(raw, None, f"not in the format {form}")
    return Verdict(raw, line, _fault(line))


def writer(raw: bytes) -> str:
    """Guess who wrote a line that is none of ours."""
    for pattern, name in WRITERS:
        if pattern.match(raw):
            return name
    return UNKNOWN


def _reason(error: Exception) -> str:
    """Say what is wrong without quoting the line: it may hold anything."""
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON from character {error.pos} on" if error.pos else "no JSON"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _fault(line: dict[str, Any]) -> str:
    missing = [name for name in REQUIRED if name not in line]
    if missing:
        return f"without {', '.join(missing)}"
    if "correlation_id" not in line and line.get("scope") != "process":
        return "without correlation_id, and not marked as a line of the process"
    faults = (_fault_of(name, value) for name, value in line.items() if name in _KNOWN)
    return next(filter(None, faults), "")


def _fault_of(name: str, value: Any) -> str:
    allowed = _KNOWN[name]
    if not _is_one_of(value, allowed):
        return f"{name} is not of type {'/'.join(kind.__name__ for kind in allowed)}"
    if name == "timestamp" and not _TIMESTAMP.fullmatch(value):
        return "timestamp is not RFC 3339 in UTC with microseconds"
    if int in allowed and value < 0:
        return f"{name} is below 0"
    form = _FORMS.get(name)
    for text in value if isinstance(value, list) else [value]:
        if form and not (isinstance(text, str) and form.fullmatch(text)):
            return f"{name} has not the form {form.pattern}"
    return ""


def _is_one_of(value: object, allowed: tuple[type, ...]) -> bool:
    return isinstance(value, allowed) and (not isinstance(value, bool) or bool in allowed)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
