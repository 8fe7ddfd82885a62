"""Read what the processes of a program have reported, and put it together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obskit.cli._masking import mask
from obskit.cli._sheet import Library
from obskit.settings import FIELDS

Report = Mapping[str, Any]

# What one process says goes before what another says of the same library.
_RANK = ("failed", "hooked", "disarmed", "armed", "known")


@dataclass(slots=True)
class Observed:
    """The reports of all processes, that of the program itself first."""

    reports: list[Report]

    @property
    def main(self) -> Report:
        """What the first process that is no helper says; empty if there is none."""
        return next((one for one in self.reports if one.get("process") != "helper"), {})

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings in force, empty if nobody has reported."""
        found: Mapping[str, Any] = self.main.get("settings", {})
        return found

    @property
    def processes(self) -> dict[int, list[str]]:
        """Process IDs with the words that they were started with."""
        return {one["pid"]: list(one["program"]) for one in self.reports}

    def problems(self) -> list[str]:
        """Return what was not understood in the settings."""
        return list(dict.fromkeys(text for one in self.reports for text in one.get("problems", ())))

    def troubles(self) -> Iterator[str]:
        """Yield which rooms failed, and why."""
        seen = set()
        for report in self.reports:
            for room, state in report.get("rooms", {}).items():
                if state != "on" and (room, state) not in seen:
                    seen.add((room, state))
                    yield f"{room} {state}"

    def internal_errors(self) -> dict[str, tuple[int, str]]:
        """Return count and last text of the errors that obskit contained, by place."""
        counts: Counter[str] = Counter()
        texts: dict[str, str] = {}
        for report in self.reports:
            counts.update(report.get("internal_errors", {}))
            texts.update(report.get("last_errors", {}))
        return {where: (count, texts.get(where, "")) for where, count in counts.items()}

    def lost(self) -> dict[str, int]:
        """Return how much was lost, by signal and reason."""
        counts: Counter[str] = Counter()
        for report in self.reports:
            counts.update(report.get("lost", {}))
        return dict(counts)

    def spans(self) -> dict[str, list[dict[str, Any]]]:
        """Return what each process says of the spans that it sends, by where they go."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for report in self.reports:
            for row in report.get("spans", {}).values():
                rows.setdefault(row["to"], []).append(row)
        return rows

    def seen(self) -> Counter[str]:
        """Return the units of work that were observed, by library."""
        counts: Counter[str] = Counter()
        for report in self.reports:
            counts.update(report.get("seen", {}))
        return counts

    def libraries(self) -> list[Library]:
        """Return what has become of each row of the catalog."""
        rows: dict[str, dict[str, Any]] = {}
        for report in self.reports:
            for row in report.get("instrumentation", ()):
                best = rows.get(row["name"])
                if best is None or _RANK.index(row["state"]) < _RANK.index(best["state"]):
                    rows[row["name"]] = row
        seen = self.seen()
        return [library_of(row, seen[row["name"]]) for row in rows.values()]


def library_of(row: Mapping[str, Any], seen: int = 0) -> Library:
    """Return what *row*, a row of `obskit.status()`, says to people."""
    state, why = row["state"], row["reason"]
    if row["requires"] and row["version"] is None:
        state, why = "absent", "not installed"
    elif state == "failed":
        why = "; ".join(filter(None, (why, *_missing(row))))
    elif state in ("known", "disarmed"):
        state, why = "skipped", "left out by OBSKIT_INSTRUMENT"
    elif state == "armed":
        state, why = "skipped", why or "not imported"
    elif row["missing"] or row["late"]:
        state, why = "failed", "; ".join((why, *_missing(row)))
    elif not row["tested"]:
        state, why = "untested", f"tested are {row['requires']} to {row['newest_tested']}"
    return Library(row["name"], row["version"], state, mask(why), seen)


def _missing(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{target}: {why}" for target, why in row["missing"].items())
    yield from (f"{target} is held by {', '.join(who)}" for target, who in row["late"].items())


def read(folder: Path, first: int) -> Observed:
    """Return the reports in *folder*; that of process *first* comes first."""
    reports = [json.loads(path.read_text("utf-8")) for path in _reports(folder)]
    reports.sort(key=lambda report: (report["pid"] != first, report["pid"]))
    return Observed(reports)


def _reports(folder: Path) -> Iterable[Path]:
    return (path for path in folder.iterdir() if path.suffix[1:].isdigit())


def settings_of(values: Mapping[str, Any], sources: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the settings for people; what only obskit itself sets is not among them."""
    shown = []
    for name, value in values.items():
        if name not in FIELDS or FIELDS[name].hidden:
            continue
        value = list(value) if isinstance(value, (list, tuple)) else value
        shown.append(
            {
                "name": name,
                "value": mask(value) if isinstance(value, str) else value,
                "source": sources.get(name, "default"),
            }
        )
    return shown
