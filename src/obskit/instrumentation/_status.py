"""Say what is instrumented, what is not, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import metadata

from obskit.instrumentation import _imports, _ledger
from obskit.instrumentation._catalog import Row
from obskit.instrumentation._ledger import Entry, State


@dataclass(frozen=True, slots=True)
class Status:
    """What has become of one row of the catalog.

    *state* is ``known`` (not asked for), ``armed`` (its library is not imported yet), ``hooked``,
    ``failed`` or ``disarmed``. *version* is the installed one, None if there is none; *tested*
    tells whether it lies in the tested range. *missing* says of each target that is not there
    why, *late* of each replaced class who had imported the original before.
    """

    name: str
    state: State
    version: str | None
    tested: bool
    requires: str = ""
    newest_tested: str = ""
    reason: str = ""
    targets: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
    late: dict[str, list[str]] = field(default_factory=dict)


def status() -> list[Status]:
    """Return the state of every row, in the order of the catalog."""
    return [_status(entry) for entry in _ledger.known().values()]


def _status(entry: Entry) -> Status:
    row = entry.row
    version = _version(row.distribution)
    tested = not row.requires or (version is not None and _is_tested(version, row))
    return Status(
        row.name,
        entry.state,
        version,
        tested,
        row.requires,
        row.tested,
        _reason(entry, version, tested),
        tuple(entry.applied),
        dict(entry.missing),
        {name: list(modules) for name, modules in entry.late.items()},
    )


def _reason(entry: Entry, version: str | None, tested: bool) -> str:
    row = entry.row
    if entry.error:
        return entry.error
    if row.requires and version is None and not entry.applied:
        return "not installed"
    if entry.late:
        return "imported before it could be replaced"
    if row.requires and version is not None and not tested:
        return f"version {version} is not tested"
    if entry.missing:
        return "not all targets are there"
    if entry.state == "armed" and not any(map(_imports.is_imported, row.imports)):
        return "not imported yet"
    return ""


def _version(distribution: str) -> str | None:
    if not distribution:
        return None
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _is_tested(version: str, row: Row) -> bool:
    """Tell whether *version* is neither below the lowest nor above the newest tested one."""
    found = _numbers(version)
    newest = _numbers(row.tested)
    return _numbers(row.lowest) <= found and (not newest or found[: len(newest)] <= newest)


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()
