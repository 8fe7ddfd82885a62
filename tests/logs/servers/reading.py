"""Read raw output: as lines of obskit, and as what a program prints without it."""

import json
import re
from collections import Counter
from typing import Any

import jsonschema

from tests.source import ROOT

SCHEMA = json.loads((ROOT / "docs/reference/line.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

_TRACEBACK = re.compile(r"(?:  \+ Exception Group )?Traceback \(most recent call last\):")
_CHAIN = re.compile(r"(?:During handling of|The above exception was)")
_HEADING = re.compile(r"Exception (?:ignored|in thread)")
_PREFIXES = (
    re.compile(r"[A-Z]+: +"),  # uvicorn
    re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] \[[A-Z]+\] "),  # gunicorn
    re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[\w+ *\] "),  # structlog
    re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \| \w+ +\| \S+ - "),  # loguru
    re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+\] \w+ in \w+: "),  # Flask
    re.compile(r"\S+\.py:\d+: \w+Warning: "),
    re.compile(r"[A-Z][a-z]+ \d\d, \d{4} - \d\d:\d\d:\d\d"),  # Django
)
_ACCESS = re.compile(r'.*"[A-Z]+ /\S* (?:HTTP/)?[\d.]+" \d{3}|.*"WebSocket /\S*" ')
# What is said in place of Python's own headings, and at the start.
OURS = {
    "process started",
    "uncaught exception",
    "uncaught exception in thread",
    "exception ignored",
    "interrupted",
}
_COLOURS = re.compile(r"\x1b\[[\d;]*m")
_NUMBERS = re.compile(r"\d{3,}")


def lines(raw: bytes) -> list[dict[str, Any]]:
    """Return the lines of *raw*; each must be valid JSON by the book, and fit the schema."""
    found = []
    assert not raw or raw.endswith(b"\n"), raw[-200:]
    for line in raw.split(b"\n")[:-1]:
        try:
            read = json.loads(
                line.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_unique
            )
        except ValueError as error:
            raise AssertionError(f"{error}: {line!r}") from None
        VALIDATOR.validate(read)
        found.append(read)
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


def bare_messages(*raw: bytes, access: bool = False) -> Counter[str]:
    """Count the messages in what a program printed without obskit.

    Of tracebacks the last line counts. Access lines count on demand only.
    """
    found: Counter[str] = Counter()
    for stream in raw:
        for text in _without_frames(stream.decode().splitlines()):
            text = _COLOURS.sub("", text)
            if text.strip() and (access or not _ACCESS.match(text)):
                found[normal(text)] += 1
    return found


def _without_frames(texts: list[str]) -> list[str]:
    kept: list[str] = []
    inside = is_code = False
    for text in texts:
        if _TRACEBACK.match(text):
            inside = True
        elif inside:
            inside = text.startswith(" ") or not text
            if not inside and not _CHAIN.match(text):
                kept.append(text)
        elif is_code and text.startswith("  "):
            is_code = False
        elif text.startswith(("  File ", "    ")):
            pass  # two processes print their tracebacks into one stream, in pieces
        elif not _CHAIN.match(text) and not _HEADING.match(text):
            kept.append(text)
            is_code = bool(re.match(r"\S+\.py:\d+: \w+Warning: ", text))
    return kept


def messages(found: list[dict[str, Any]]) -> Counter[str]:
    """Count the messages of lines and of the errors on them.

    A reloader says by chance that Python has written its caches.
    """
    counted: Counter[str] = Counter()
    for line in found:
        if line["logger"] in ("obskit.summary", "watchfiles.main"):
            continue
        texts = {normal(text) for text in line["message"].splitlines()}
        if "error_type" in line and line.get("error_message") not in (line["message"], ""):
            said = f": {line['error_message']}" if "error_message" in line else ""
            texts.add(normal(line["error_type"] + said))
        counted.update(texts)
    return counted


def normal(text: str) -> str:
    """Return *text* without what differs from run to run: process IDs, ports, times, colours."""
    text = _COLOURS.sub("", text)
    for prefix in _PREFIXES:
        text = prefix.sub("", text, count=1) if prefix.match(text) else text
    return _NUMBERS.sub("N", re.sub(r"/app\d+", "/app", " ".join(text.split())))


def assert_all_there(found: list[dict[str, Any]], bare: Counter[str]) -> None:
    """Check that each message of the bare run is there as often as it was printed."""
    counted = messages(found)
    wrong = {text: (n, counted[text]) for text, n in bare.items() if counted[text] != n}
    added = {text for text in counted if text not in bare and text not in OURS}
    assert not wrong, (wrong, sorted(counted))
    assert not added, added


def twice(pattern: bytes) -> bytes:
    """Return what matches *pattern* as two workers write it."""
    return b"(?s)" + pattern + b".*" + pattern
