"""``obskit story``: one operation in causal order, or a table of those that failed."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from typing import TYPE_CHECKING

from obskit.cli import _output

if TYPE_CHECKING:
    from obskit.story import Counts, Story

NARROWEST = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    # Else argparse takes no source after an option: `obskit story ID --json logs`.
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
    parser.add_argument(
        "words",
        nargs="*",
        metavar="ID SOURCE",
        help="a correlation ID or its beginning, a trace or span ID; then files, folders or -"
        " for standard input (the default where it is piped); without an ID, a table of failures",
    )
    parser.add_argument(
        "--field",
        metavar="NAME=VALUE",
        help="find the operation by a field of yours, as in order_id=CD-7, instead of by ID",
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--shiviz", action="store_true", help="write a log that ShiViz draws")
    parser.add_argument("--width", type=int, metavar="N", help="columns (default: the terminal's)")
    parser.add_argument(
        "--all",
        action="store_true",
        help="cut nothing, and show stacks and all fields; in the table, what went well too",
    )
    parser.add_argument(
        "--no-times",
        action="store_true",
        help="leave out what wall clocks say: the rest depends on causes only",
    )


def run(arguments: argparse.Namespace) -> int:
    """Tell the story and return the exit code."""
    from obskit import story

    counts = story.Counts()
    try:
        wanted, field, sources = _understood(arguments)
        if wanted is None:
            return _table(sources, arguments, counts)
        found = story.find(sources, wanted, field=field, counts=counts)
    except (story.NotFound, story.Ambiguous, story.SourceError, WrongUse) as error:
        sys.stderr.write(f"obskit story: {error}\n")
        return 2
    finally:
        for path in counts.cut_off:
            sys.stderr.write(f"obskit story: {path} is cut off: its last lines are missing\n")
    told = story.tell(found.lines, found.correlation_id)
    _output.write(_rendered(told, arguments))
    return 1 if told.is_bad_news else 0


class WrongUse(Exception):
    """The words after ``obskit story`` cannot be followed; the text says why."""


def _understood(arguments: argparse.Namespace) -> tuple[str | None, str | None, list[str]]:
    """Return what is looked for, in which field, and where."""
    words: list[str] = arguments.words
    if arguments.width is not None and arguments.width < NARROWEST:
        raise WrongUse(f"--width must be at least {NARROWEST}")
    wanted = field = None
    if arguments.field:
        field, equals, wanted = arguments.field.partition("=")
        if not equals or not field or not wanted:
            raise WrongUse("--field wants NAME=VALUE, as in --field order_id=CD-7")
    elif names := [word for word in words if not _is_source(word, alone=len(words) == 1)]:
        # Whichever comes first: `obskit story logs/ ID` means the same.
        wanted = words[0] if words[0] in names else names[0]
        words.remove(wanted)
    if not words and (sys.stdin is None or sys.stdin.isatty()):
        raise WrongUse("no logs: name files or folders, or pipe them in")
    return wanted, field, words or ["-"]


def _is_source(word: str, *, alone: bool) -> bool:
    """Tell whether the first word is no ID but a source: it exists, or looks like a path."""
    if word == "-" or os.path.exists(word):
        return True
    return alone and (os.sep in word or word.endswith((".log", ".gz", ".json", ".jsonl")))


def _rendered(told: Story, arguments: argparse.Namespace) -> str:
    from obskit import story

    times = not arguments.no_times
    if arguments.json:
        return story.render_json(told, times=times) + "\n"
    if arguments.shiviz:
        return story.render_shiviz(told)
    return story.render_text(
        told,
        width=_width(arguments),
        times=times,
        whole=arguments.all,
        color=_output.is_terminal(),
    )


def _width(arguments: argparse.Namespace) -> int:
    if arguments.width is not None:
        return int(arguments.width)
    return max(NARROWEST, shutil.get_terminal_size((120, 24)).columns)


def _table(sources: list[str], arguments: argparse.Namespace, counts: Counts) -> int:
    from obskit import story
    from obskit.story.search import nothing_of_ours

    stories = story.failures(sources, everything=arguments.all, counts=counts)
    if not counts.ours:
        raise WrongUse(nothing_of_ours(counts))
    rows = [_summary(one) for one in stories]
    if arguments.json:
        _output.write(json.dumps(rows, indent=2) + "\n")
    elif rows:
        cut = _output.is_terminal() or arguments.width
        _output.write(_as_text(rows, _width(arguments) if cut else 0))
    else:
        _output.write(f"No operation failed ({counts.ours:,} lines of obskit).\n")
    return 1 if any(one.culprit for one in stories) else 0


def _summary(told: Story) -> dict[str, str]:
    root, culprit = told.root, told.culprit
    when = str(told.events[0].line.get("timestamp") or "") if told.events else ""
    return {
        "id": told.correlation_id,
        "when": when,
        "what": root.name if root else "",
        "outcome": (root.outcome or "no last line") if root else "",
        "culprit": f"{culprit.name}: {culprit.fault}" if culprit else "",
    }


def _as_text(rows: list[dict[str, str]], width: int) -> str:
    """Return a table; nothing is cut where *width* is 0."""
    from obskit.story.words import clean, cut

    shown = [{name: clean(value) for name, value in row.items()} for row in rows]
    for row in shown:
        row["when"] = row["when"][:19].replace("T", " ")
    names = list(shown[0])
    widths = {name: max(len(name), *(len(row[name]) for row in shown)) for name in names}
    heading = {name: name for name in names}
    lines = [
        "  ".join(row[name].ljust(widths[name]) for name in names) for row in [heading, *shown]
    ]
    return "".join(cut(line.rstrip(), width or len(line)) + "\n" for line in lines)
