"""Read lines from files, folders and standard input, one after another, however many."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import Any

from obskit.story.parsing import Assembler, Line, is_ours, parse

STDIN = "-"
LONGEST_LINE = 8 << 20
_GZIP = b"\x1f\x8b"


class SourceError(Exception):
    """A source cannot be read; the text says which and why."""


@dataclass(slots=True)
class Counts:
    """What was found on the way: *ours* are lines of obskit, *damaged* ones no longer JSON."""

    files: int = 0
    lines: int = 0
    ours: int = 0
    others: int = 0
    damaged: int = 0


def read(
    sources: Iterable[str | Path], *, needle: bytes = b"", counts: Counts | None = None
) -> Iterator[Line]:
    """Yield the lines of obskit in *sources*, as dicts, and pass over all other text.

    Use it on whatever holds logs: files, also gzipped, folders with all that is below, ``-``
    for standard input. Lines may be wrapped by Docker, a CRI, journald or a log shipper. Only
    one line is in memory at a time.

    Args:
        sources: Paths.
        needle: Bytes that a line must have; others are passed over unparsed.
        counts: Is filled on the way.

    Raises:
        SourceError: A path does not exist or cannot be read, or a folder has no files.
    """
    counts = Counts() if counts is None else counts
    for path in files(sources):
        counts.files += 1
        yield from _read_file(path, needle, counts)


def files(sources: Iterable[str | Path]) -> list[Path | str]:
    """Return the files that *sources* name, those of folders in the order of their names."""
    found: dict[Path | str, None] = {}
    for source in sources:
        if str(source) == STDIN:
            found[STDIN] = None
            continue
        path = Path(source)
        if path.is_dir():
            inside = list(_below(path))
            if not inside:
                raise SourceError(f"no log files in the folder {path}")
            found |= dict.fromkeys(inside)
        elif path.exists():
            found[path] = None
        else:
            raise SourceError(f"no such file or folder: {path}")
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _read_file(path: Path | str, needle: bytes, counts: Counts) -> Iterator[Line]:
    try:
        with _opened(path) as stream:
            if stream.peek(2)[:2] == _GZIP:
                with gzip.GzipFile(fileobj=stream) as inner:
                    yield from _read_stream(inner, needle, counts)
            else:
                yield from _read_stream(stream, needle, counts)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        counts.damaged += 1
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


def _opened(path: Path | str) -> BufferedReader:
    return _spooled_stdin() if path == STDIN else open(path, "rb")


_spool: list[str] = []


def _spooled_stdin() -> BufferedReader:
    """Return standard input from its beginning, however often it was asked for."""
    if not _spool:
        copy = tempfile.NamedTemporaryFile(prefix="obskit-story-")  # noqa: SIM115
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        _kept.append(copy)
        _spool.append(copy.name)
    return open(_spool[0], "rb")


# Closing a temporary file removes it: that happens when the command ends.
_kept: list[Any] = []


def _read_stream(stream: BufferedIOBase, needle: bytes, counts: Counts) -> Iterator[Line]:
    assembler = Assembler()
    while raw := stream.readline(LONGEST_LINE):
        counts.lines += 1
        text = assembler.whole(raw.strip())
        if not text or (needle and needle not in text):
            continue
        line = parse(text)
        if line and is_ours(line):
            counts.ours += 1
            yield line
        elif line is None and text.startswith(b"{"):
            counts.damaged += 1
        else:
            counts.others += 1
