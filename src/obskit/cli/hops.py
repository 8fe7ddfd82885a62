"""``obskit hops``: on which edges between services the ID or the clock gets lost."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from obskit.cli import _output

if TYPE_CHECKING:
    from obskit.story.hops import Arrivals, Edge, Hops


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    # Else argparse takes no source after an option: `obskit hops --json logs`.
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="the lines of all services: files, also gzipped, folders, or - for standard input"
        " (the default where it is piped)",
    )
    parser.add_argument(
        "--entry",
        action="append",
        default=[],
        metavar="SERVICE",
        help="a service that is called from outside; can be repeated. What comes into the others"
        " without an ID is lost then",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.0,
        metavar="PERCENT",
        help="the exit code is 1 where an edge loses more than this (default: 0)",
    )
    parser.add_argument(
        "--min-calls",
        type=int,
        default=1,
        metavar="N",
        help="judge edges with so many calls or more (default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="write JSON")


class WrongUse(Exception):
    """The words after ``obskit hops`` cannot be followed; the text says why."""


def run(arguments: argparse.Namespace) -> int:
    """Write the edges and return the exit code."""
    from obskit import story

    counts = story.Counts()
    try:
        sources = _understood(arguments)
        found = story.hops(sources, entries=arguments.entry, counts=counts)
        _must_be_usable(found, arguments, counts)
    except (story.SourceError, WrongUse) as error:
        sys.stderr.write(f"obskit hops: {error}\n")
        return 2
    finally:
        for path in counts.cut_off:
            sys.stderr.write(f"obskit hops: {path} is cut off: its last lines are missing\n")
    bad = [edge for edge in found.edges if _is_bad(edge, arguments)]
    if arguments.json:
        _output.write(json.dumps(as_data(found, bad), indent=2) + "\n")
    else:
        _output.write(as_text(found, bad, arguments))
    return 1 if bad else 0


def _understood(arguments: argparse.Namespace) -> list[str]:
    if not 0 <= arguments.threshold <= 100:
        raise WrongUse("--threshold wants a percentage from 0 to 100")
    if arguments.min_calls < 1:
        raise WrongUse("--min-calls must be at least 1")
    sources: list[str] = arguments.sources
    if not sources and (sys.stdin is None or sys.stdin.isatty()):
        raise WrongUse("no logs: name the files or folders of all services, or pipe them in")
    names = [name for name in sources if name != "-" and not os.path.exists(name)]
    if names:
        raise WrongUse(f"no such file or folder: {names[0]}")
    return sources or ["-"]


def _must_be_usable(found: Hops, arguments: argparse.Namespace, counts: Any) -> None:
    from obskit.story.search import nothing_of_ours

    if not counts.ours:
        raise WrongUse(nothing_of_ours(counts))
    if not found.units:
        raise WrongUse(
            f"none of the {counts.ours:,} lines of obskit is the last one of a request, message"
            " or task: are they written at a level above INFO, or filtered?"
        )
    known = {edge.callee for edge in found.edges} | {one.service for one in found.outside}
    for name in arguments.entry:
        if name not in known:
            raise WrongUse(f"--entry {name}: there is no such service, only {_names(known)}")


def _names(names: set[str]) -> str:
    from obskit.story.words import clean

    return ", ".join(clean(name) for name in sorted(names)[:20])


def _is_bad(edge: Edge, arguments: argparse.Namespace) -> bool:
    enough = edge.calls >= arguments.min_calls
    return enough and bool(edge.lost) and edge.share * 100 > arguments.threshold


def as_data(found: Hops, bad: list[Edge]) -> dict[str, Any]:
    """Return the edges, and which of them are bad, as JSON has them."""
    return {
        "edges": [
            {
                "caller": edge.caller,
                "callee": edge.callee,
                "kind": edge.kind,
                "place": edge.place,
                "calls": edge.calls,
                "lost_id": edge.lost_id,
                "lost_clock": edge.lost_clock,
                "share": round(edge.share, 6),
                "bad": edge in bad,
                "examples": list(edge.examples),
            }
            for edge in found.edges
        ],
        "outside": [
            {
                "service": one.service,
                "kind": one.kind,
                "place": one.place,
                "count": one.count,
                "also_called_by": list(one.callers),
                "unclear": one.unclear,
                "examples": list(one.examples),
            }
            for one in found.outside
        ],
        "units": found.units,
        "unjudged": found.unjudged,
    }


def as_text(found: Hops, bad: list[Edge], arguments: argparse.Namespace) -> str:
    """Return the edges as people read them; *arguments* say which services are entries."""
    parts = [_verdict(found, bad)]
    if found.edges:
        parts.append(_table([_row(edge) for edge in found.edges]))
    if found.outside:
        rows = [_arrivals(one) for one in found.outside]
        parts.append("From outside, without a caller that is known here:\n" + _table(rows))
    doubtful = {one.service for one in found.outside if one.callers or one.unclear}
    if doubtful and not arguments.entry:
        parts.append(
            f"{_names(doubtful)}: called from outside and by services here, or so it seems.\n"
            "Name all that are called from outside by --entry:"
            " what comes into the others without an ID is lost then.\n"
        )
    if found.unjudged:
        parts.append(f"{found.unjudged:,} more lost ones were too many to be looked at.\n")
    return "\n".join(parts)


def _verdict(found: Hops, bad: list[Edge]) -> str:
    edges = _count(len(found.edges), "edge")
    if bad:
        return (
            f"{len(bad)} of {edges} {'loses' if len(bad) == 1 else 'lose'} the ID or the clock.\n"
        )
    if any(edge.lost for edge in found.edges):
        return f"No edge of {len(found.edges):,} loses more than it may.\n"
    units = _count(found.units, "unit")
    return f"No edge of {len(found.edges):,} loses anything ({units} of work).\n"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _row(edge: Edge) -> dict[str, str]:
    return {
        "edge": f"{edge.caller} -> {edge.callee}",
        "kind": f"{edge.kind} {edge.place}".strip(),
        "calls": f"{edge.calls:,}",
        "lost ID": f"{edge.lost_id:,}",
        "lost clock": f"{edge.lost_clock:,}",
        "share": f"{edge.share * 100:.4g} %",
        "examples": " ".join(edge.examples),
    }


def _arrivals(one: Arrivals) -> dict[str, str]:
    return {
        "service": one.service,
        "kind": f"{one.kind} {one.place}".strip(),
        "count": f"{one.count:,}",
        "also called by": ", ".join(one.callers),
        "unclear": f"{one.unclear:,}" if one.unclear else "",
        "examples": " ".join(one.examples[:1]),
    }


def _table(rows: list[dict[str, str]]) -> str:
    from obskit.story.words import clean

    shown = [{name: clean(value) for name, value in row.items()} for row in rows]
    names = [name for name in shown[0] if any(row[name] for row in shown)]
    widths = {name: max(len(name), *(len(row[name]) for row in shown)) for name in names}
    lines = [
        "  ".join(row[name].ljust(widths[name]) for name in names)
        for row in [{name: name for name in names}, *shown]
    ]
    return "".join(line.rstrip() + "\n" for line in lines)
