"""``obskit fields``: which fields services write, of which type, and where they disagree."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from obskit.cli import _output

if TYPE_CHECKING:
    from obskit.story import Counts

# By field, and by type of its values: the services that write it so.
Map = dict[str, dict[str, set[str]]]
OURS = "obskit"
MOST_NAMES = 100_000


class WrongUse(Exception):
    """The words after ``obskit fields`` cannot be followed; the text says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    from obskit.schemas.elastic import PRODUCTS, SCHEMAS

    # Else argparse takes no source after an option: `obskit fields --json logs`.
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="lines in any format of obskit: files, also gzipped, folders, or - for standard input"
        " (the default where it is piped and there is no --map)",
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FILE",
        help="add what an earlier --save has written, such as that of another service; repeatable",
    )
    parser.add_argument(
        "--save",
        metavar="FILE",
        help="write the map to a file, for --map and for OBSKIT_FIELD_TYPES",
    )
    parser.add_argument(
        "--template",
        choices=PRODUCTS,
        help="write an index template with these types instead of the map",
    )
    parser.add_argument(
        "--schema",
        choices=SCHEMAS,
        default="json",
        help="the format of the lines that the template is for (default: json)",
    )
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(arguments: argparse.Namespace) -> int:
    """Write the map, or the template, and return the exit code."""
    from obskit import story

    counts = story.Counts()
    try:
        found = _found(arguments, counts)
        if arguments.save:
            _save(found, arguments.save)
    except (story.SourceError, WrongUse) as error:
        sys.stderr.write(f"obskit fields: {error}\n")
        return 2
    finally:
        for path in counts.cut_off:
            sys.stderr.write(f"obskit fields: {path} is cut off: its last lines are missing\n")
    bad = conflicts(found)
    if arguments.template:
        _output.write(_template(found, arguments) + "\n")
        for text in bad:
            sys.stderr.write(f"obskit fields: {text}\n")
    elif arguments.json:
        told = {"fields": as_data(found), "conflicts": bad}
        _output.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    else:
        _output.write(as_text(found, bad))
    return 1 if bad else 0


def _found(arguments: argparse.Namespace, counts: Counts) -> Map:
    from obskit import story
    from obskit.story.search import nothing_of_ours

    sources: list[str] = arguments.sources
    if not sources and not arguments.map:
        if sys.stdin is None or sys.stdin.isatty():
            raise WrongUse("no logs: name files or folders, pipe lines in, or give a --map")
        sources = ["-"]
    found: Map = {}
    for path in arguments.map:
        merge(found, read_map(path))
    merge(found, of_lines(story.read(sources, counts=counts)))
    if sources and not counts.ours:
        raise WrongUse(nothing_of_ours(counts))
    return found


def of_lines(lines: Iterable[dict[str, Any]]) -> Map:
    """Return the map of the fields on canonical *lines*; obskit's own only where they differ."""
    from obskit.fields import LINE
    from obskit.logs.kinds import KINDS

    own = {field.name: "number" if field.type == "integer" else field.type for field in LINE}
    found: Map = {}
    for line in lines:
        service = line.get("service")
        for name, value in line.items():
            kind = KINDS.get(type(value))
            if kind is None or own.get(name) == kind:
                continue
            if name not in found and len(found) >= MOST_NAMES:
                raise WrongUse(f"more than {MOST_NAMES:,} names of fields: something makes them up")
            types = found.setdefault(name, {own[name]: {OURS}} if name in own else {})
            types.setdefault(kind, set()).add(service if isinstance(service, str) else "?")
    return found


def merge(into: Map, other: Map) -> None:
    """Add the map *other* to *into*."""
    for name, types in other.items():
        here = into.setdefault(name, {})
        for kind, services in types.items():
            here.setdefault(kind, set()).update(services)


def read_map(path: str) -> Map:
    """Return the map in the file at *path*.

    Raises:
        WrongUse: There is none.
    """
    from obskit.logs.kinds import declared

    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        declared(found)
    except OSError as error:
        raise WrongUse(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise WrongUse(f"{path} is no map of types: {error}") from None
    return {
        name: {types: set()}
        if isinstance(types, str)
        else {kind: {str(service) for service in who or ()} for kind, who in types.items()}
        for name, types in found.items()
    }


def _save(found: Map, path: str) -> None:
    """Write the map to *path*, whole or not at all: services may read it at the same time."""
    try:
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(json.dumps(as_data(found), indent=2, ensure_ascii=False) + "\n")
        os.replace(f"{path}.new", path)
    except OSError as error:
        raise WrongUse(f"cannot write {path}: {error.strerror}") from None


def as_data(found: Map) -> dict[str, dict[str, list[str]]]:
    """Return the map as it stands in a file."""
    return {
        name: {kind: sorted(services) for kind, services in sorted(types.items())}
        for name, types in sorted(found.items())
    }


def conflicts(found: Map) -> list[str]:
    """Return what is to say of each field that has several types."""
    return [
        f"{name} is " + ", ".join(f"{kind} {_who(services)}" for kind, services in types.items())
        for name, types in as_data(found).items()
        if len(types) > 1
    ]


def _who(services: list[str]) -> str:
    return f"in {' and '.join(services)}" if services else "as declared"


def as_text(found: Map, bad: list[str]) -> str:
    """Return a table, and what is wrong below it."""
    from obskit.story.words import clean

    rows = [("field", "type", "services")]
    for name, types in as_data(found).items():
        for number, (kind, services) in enumerate(types.items()):
            rows.append((clean(name) if not number else "", kind, clean(", ".join(services))))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [
        f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {who}".rstrip() for name, kind, who in rows
    ]
    end = f"Conflicts ({len(bad)}):" if bad else "No conflicts."
    return "\n".join([*lines, "", end, *(f"  {clean(text)}" for text in bad), ""])


def _template(found: Map, arguments: argparse.Namespace) -> str:
    from obskit.logs.kinds import declared
    from obskit.schemas import elastic

    types = dict(declared(as_data(found)))
    return json.dumps(
        elastic.template(types, arguments.schema, arguments.template), indent=2, ensure_ascii=False
    )
