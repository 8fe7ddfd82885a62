"""What ``obskit doctor`` has found, for people and as JSON."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from obskit.fields import VERSION

Verdict = Literal["ok", "note", "bad"]
WIDTH = 100
_LABELS = {"ok": "ok", "note": "note", "bad": "BAD"}
_INDENT = 21


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; *details* are further lines, for what is not well."""

    name: str
    verdict: Verdict
    says: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Library:
    """What has become of one row of the catalog, over all processes.

    *state* is ``hooked``, ``untested`` (hooked, in a version that no test has seen),
    ``skipped``, ``absent`` or ``failed``; *seen* counts its units of work.
    """

    name: str
    version: str | None
    state: str
    why: str = ""
    seen: int = 0


@dataclass(slots=True)
class Sheet:
    """Everything that was found."""

    subject: str
    checks: list[Check] = field(default_factory=list)
    libraries: list[Library] = field(default_factory=list)
    settings: list[dict[str, Any]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether no check has bad news."""
        return all(check.verdict != "bad" for check in self.checks)


def as_json(sheet: Sheet) -> str:
    """Return the sheet as one JSON object."""
    found = dataclasses.asdict(sheet)
    more = found.pop("more")
    return json.dumps({"obskit": VERSION, "well": sheet.is_well, **found, **more}, indent=2)


def as_text(sheet: Sheet) -> str:
    """Return the sheet as people read it."""
    return "\n".join([sheet.subject, "", *_body(sheet), "", _conclusion(sheet), ""])


def _body(sheet: Sheet) -> Iterator[str]:
    for check in sheet.checks:
        yield from _hanging(f"  {_LABELS[check.verdict]:<5} {check.name:<13}", check.says)
        for detail in check.details:
            yield from _hanging(" " * _INDENT + "- ", detail, _INDENT + 2)
    if sheet.libraries:
        yield from ("", "Libraries")
        yield from _libraries(sheet.libraries)
    if sheet.settings:
        yield from ("", "Settings that are not the default")
        yield from _settings(sheet.settings)


def _hanging(first: str, text: str, indent: int = _INDENT) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=" " * indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _libraries(libraries: list[Library]) -> Iterator[str]:
    absent = [library.name for library in libraries if library.state == "absent"]
    for library in libraries:
        if library.state != "absent":
            count = f"{library.seen} seen" if library.seen else ""
            told = "  ".join(part for part in (library.why, count) if part)
            row = f"  {library.name:<17} {library.version or '':<10} {library.state:<9} {told}"
            yield row.rstrip()
    if absent:
        yield from _hanging("  ", f"not installed: {', '.join(absent)}", 4)


def _settings(settings: list[dict[str, Any]]) -> Iterator[str]:
    chosen = [setting for setting in settings if setting["source"] != "default"]
    for setting in chosen:
        value = setting["value"]
        shown = ",".join(map(str, value)) if isinstance(value, list) else value
        yield f"  {setting['name']:<17} {shown}  (from {setting['source']})"
    if not chosen:
        yield "  none"


def _conclusion(sheet: Sheet) -> str:
    bad = [check.name for check in sheet.checks if check.verdict == "bad"]
    return f"Look at: {', '.join(bad)}." if bad else "All is well."
