"""``obskit ship``: send the lines of any program, and what waits in the spool of a service."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from select import select
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, BinaryIO

from obskit.cli import _output

if TYPE_CHECKING:
    from obskit.settings import Settings
    from obskit.shipping.road import Road
    from obskit.shipping.target import Target

ENDED = "process ended"
TICK_SECONDS = 0.05
REST_SECONDS = 0.5
MOST_LINES, MOST_BYTES = 1000, 256 * 1024
# What has no end is no line: it is sent in pieces of this size.
LONGEST_LINE = 32 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    # Else argparse takes no source after an option: `obskit ship --json logs`.
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="files whose lines are sent, or - for standard input (the default where it is piped);"
        " without any, what waits in the spool is sent",
    )
    parser.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="URL",
        help="a destination, as in OBSKIT_SHIP, which is the default; can be repeated",
    )
    parser.add_argument("--service", help="the service whose lines these are (OBSKIT_SERVICE)")
    parser.add_argument(
        "--wait",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="after the last line, wait so long for servers that are away (default: 30)",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="go on sending what the processes of the service put into the spool, until SIGTERM",
    )
    parser.add_argument(
        "--status", action="store_true", help="show what was sent, refused, dropped, and waits"
    )
    parser.add_argument(
        "--retry-dead",
        action="store_true",
        help="send again what servers have refused, and keep what they refuse again",
    )
    parser.add_argument("--json", action="store_true", help="write JSON")


class WrongUse(Exception):
    """The words after ``obskit ship`` cannot be followed; the text says why."""


def run(arguments: argparse.Namespace) -> int:
    """Send, or say how it stands, and return the exit code."""
    from obskit.cli import _spools

    try:
        settings = _settings(arguments)
        if arguments.status:
            return _spools.show(settings, arguments.service, as_json=arguments.json)
        chosen = _targets(settings)
        if arguments.retry_dead:
            return _spools.retry(settings, chosen, as_json=arguments.json)
        return _ship(arguments, settings, chosen)
    except (WrongUse, _spools.NoSpool) as error:
        problem = str(error)
    except PermissionError as error:
        problem = f"cannot read {error.filename}: {error.strerror}"
    sys.stderr.write(f"obskit ship: {problem}\n")
    return 2


def _settings(arguments: argparse.Namespace) -> Settings:
    from obskit.settings import resolve

    settings = resolve({"service": arguments.service})
    if arguments.service:
        settings = settings.but(service=arguments.service)
    elif not arguments.status and settings.sources.get("service") == "program":
        raise WrongUse("whose lines are they? say --service NAME or set OBSKIT_SERVICE")
    for problem in settings.problems:
        sys.stderr.write(f"obskit ship: {problem}\n")
    return settings.but(ship=" ".join(arguments.to)) if arguments.to else settings


def _targets(settings: Settings) -> dict[str, Target]:
    from obskit._bootstrap import lines

    chosen = lines.targets(settings.ship)
    if lines.problems:
        raise WrongUse("; ".join(lines.problems))
    if not chosen:
        raise WrongUse(
            "where to? say --to URL or set OBSKIT_SHIP, as elasticsearch+http://host:9200"
        )
    return chosen


def _ship(arguments: argparse.Namespace, settings: Settings, chosen: dict[str, Target]) -> int:
    from obskit._bootstrap import lines

    ended = _listen()
    road = lines.open_road(settings, chosen, spares=True)
    if road.trouble:
        sys.stderr.write(f"obskit ship: {road.trouble}; what waits is in memory only\n")
    read = 0
    try:
        goes_on = _until(ended, road)
        for bodies in _read(arguments.sources, lines.facts(settings), goes_on):
            read += len(bodies)
            _store(road, bodies, ended)
        _follow(road, arguments, ended)
    finally:
        left = _left(road)
        road.abandon(ENDED)
        road.close()
    return _tell(road, read, left, as_json=arguments.json)


def _listen() -> list[int]:
    """Return what has something in it as soon as the command is asked to end."""
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: ended.append(number))
    return ended


def _until(ended: list[int], road: Road) -> Callable[[BinaryIO], bool]:
    """Return what waits for a file to have more, and tells whether it is to be read."""

    def goes_on(file: BinaryIO) -> bool:
        while not ended:
            # Who writes nothing into the pipe does not hold up what waits in the spool.
            road.tend()
            if select([file], [], [], REST_SECONDS)[0]:
                return True
        return False

    return goes_on


def _read(
    sources: list[str], facts: dict[str, str], goes_on: Callable[[BinaryIO], bool]
) -> Iterator[list[bytes]]:
    """Yield canonical lines, as many as come together."""
    from obskit.shipping.foreign import adopted

    if not sources and not (sys.stdin is None or sys.stdin.isatty()):
        sources = ["-"]
    for source in sources:
        try:
            with sys.stdin.buffer if source == "-" else open(source, "rb") as file:
                for lines in _chunks(file, goes_on):
                    yield [adopted(line, facts) for line in lines]
        except OSError as error:
            raise WrongUse(f"cannot read {source}: {error.strerror}") from None


def _chunks(file: BinaryIO, goes_on: Callable[[BinaryIO], bool]) -> Iterator[list[bytes]]:
    """Yield the lines of *file* as they come; of a pipe, what is there."""
    rest = b""
    read = getattr(file, "read1", file.read)
    while goes_on(file) and (data := read(MOST_BYTES)):
        *lines, rest = (rest + data).split(b"\n")
        for index in range(0, len(lines), MOST_LINES):
            if found := [line for line in lines[index : index + MOST_LINES] if line.strip()]:
                yield found
        if len(rest) > LONGEST_LINE:
            yield [rest]
            rest = b""
    if rest.strip():
        yield [rest]


def _store(road: Road, bodies: list[bytes], ended: list[int]) -> None:
    """Put *bodies* into the spool, waiting for room: who writes into the pipe waits then, too."""
    while bodies and not ended:
        count = road.put(bodies)
        bodies = bodies[count:]
        if not count:
            sleep(TICK_SECONDS)


def _follow(road: Road, arguments: argparse.Namespace, ended: list[int]) -> None:
    """Send until all is out, or the time is up; with ``--follow`` until a signal comes."""
    until = monotonic() + max(0.0, arguments.wait)
    while not ended and (arguments.follow or monotonic() < until):
        road.tend()
        if not arguments.follow and not _left(road):
            return
        sleep(TICK_SECONDS)
    road.flush(monotonic() + 3.0)


def _left(road: Road) -> int:
    """Return how many entries are waiting, for the destination with the most of them."""
    return max(road.left().values(), default=0)


def _tell(road: Road, read: int, left: int, *, as_json: bool) -> int:
    status = road.status()
    lost = _lost()
    is_bad = bool(left or lost) or any(_is_bad(one, read) for one in status.values())
    if as_json:
        told = {"read": read, "waiting": left, "lost": lost, "destinations": status}
        _output.write(json.dumps(told, indent=2) + "\n")
        return int(is_bad)
    for one in status.values():
        parts = [f"{one['sent']} sent"]
        parts += [f"{one['refused']} refused"] if one["refused"] else []
        parts += [f"{left} wait"] if left else []
        parts += [f"{count} lost: {reason}" for reason, count in lost.items()]
        parts += [f"trouble: {one['trouble']}"] if one["trouble"] else []
        _output.write(f"{one['to']}: {', '.join(parts)}\n")
    return int(is_bad)


def _is_bad(one: dict[str, Any], read: int) -> bool:
    """Tell whether a destination has refused any, or nobody knows what waits for it."""
    return bool(one["refused"] or (one["trouble"] and one["sent"] < max(read, 1)))


def _lost() -> dict[str, int]:
    """Return how many of our own lines are lost, by reason; those that wait in memory are not."""
    from obskit import health

    return {
        reason: count
        for (signal_, reason), count in health.lost.items()
        if signal_ == "logs" and reason != ENDED
    }


def as_table(rows: list[tuple[Any, ...]]) -> str:
    """Return *rows* below each other, numbers to the right."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = []
    for row in texts:
        cells = [
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)
