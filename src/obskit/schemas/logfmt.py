"""logfmt: ``name=value`` with blanks between, under the names that the line has anyway.

Text that looks like a number, a boolean or null stands in quotes, so that what stands without
is one.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

from obskit.schemas import own

RENAMED, TEXTS = "obskit_renamed", "obskit_json"
_UNFIT = re.compile('[\x00-\x20\x7f-\x9f="\\\\,\u2028\u2029\ufffd]|\\s')
_NEEDS_QUOTES = re.compile('[\x00-\x20\x7f-\x9f="\\\\\u2028\u2029\ufffd]|\\s|^$')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WORDS = {"true": True, "false": False, "null": None}
_PAIR = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$)', re.DOTALL)
_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029]")
_LONGEST_NUMBER = 400


def encode(record: Mapping[str, Any]) -> str:
    """Return *record* as one line of logfmt without its end; never raises."""
    fields, renamed = own.named(record, _fit, (RENAMED, TEXTS))
    texts = [name for name, value in fields.items() if isinstance(value, (dict, list))]
    fields |= {name: own.as_json(fields[name]) for name in texts}
    if renamed:
        fields[RENAMED] = own.as_json(renamed)
    if texts:
        fields[TEXTS] = ",".join(texts)
    return " ".join(f"{name}={_shown(value)}" for name, value in fields.items())


@functools.lru_cache(maxsize=4096)
def _fit(name: str) -> str:
    return _UNFIT.sub("_", name) or "_"


def _shown(value: Any) -> str:
    if not isinstance(value, str):
        return str(value) if type(value) is int else json.dumps(value)
    if value.isidentifier() and value not in _WORDS:  # as most are
        return value
    if _NEEDS_QUOTES.search(value) or value in _WORDS or _NUMBER.fullmatch(value):
        return _CONTROLS.sub(_escaped, json.dumps(value, ensure_ascii=False))
    return value


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def decode(found: str) -> dict[str, Any] | None:
    """Return the record in the line *found*, or None where it is none of ours."""
    fields: dict[str, Any] = {}
    at, text = 0, found.strip()
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            break  # it is cut off, or something else
        fields[pair[1]] = _read(pair[2])
        at = pair.end()
    if "timestamp" not in fields or "level" not in fields:
        return None
    renamed, texts = fields.pop(RENAMED, None), fields.pop(TEXTS, None)
    own.of_json(fields, str(texts).split(","))
    notes = {RENAMED: renamed}
    own.of_json(notes, [RENAMED])
    return own.unnamed(fields, notes[RENAMED])


def _read(shown: str) -> Any:
    if shown.startswith('"'):
        try:
            return json.loads(shown, strict=False)
        except ValueError:
            return shown[1:-1]
    if shown in _WORDS:
        return _WORDS[shown]
    number = _NUMBER.fullmatch(shown) if len(shown) < _LONGEST_NUMBER else None
    if number is None:
        return shown
    return float(shown) if number[1] or number[2] else int(shown)
