"""Read lines from files, folders and standard input, one after another, however many."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase, BufferedReader, RawIOBase
from pathlib import Path
from typing import Any

from obskit.story.parsing import Assembler, Line, is_ours, parse

STDIN = "-"
LONGEST_LINE = 8 << 20
_GZIP = b"\x1f\x8b"
_WITH_HEADER = zlib.MAX_WBITS | 16
_PIECE = 1 << 16


class SourceError(Exception):
    """A source cannot be read; the text says which and why."""


@dataclass(slots=True)
class Counts:
    """What was found on the way: *ours* are lines of obskit, *damaged* ones no longer JSON.

    *cut_off* names the compressed files whose end is missing or cannot be read.
    """

    files: int = 0
    lines: int = 0
    ours: int = 0
    others: int = 0
    damaged: int = 0
    cut_off: list[str] = field(default_factory=list)


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
        if os.path.isdir(path):
            inside = list(_below(path))
            if not inside:
                raise SourceError(f"no log files in the folder {path}")
            found |= dict.fromkeys(inside)
        elif os.path.lexists(path):
            found[path] = None
        else:
            raise SourceError(f"no such file or folder: {path}")
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and _may_hold_lines(path):
                yield path


def _may_hold_lines(path: Path) -> bool:
    """Tell whether it is a file, also one that reading will find to be another's."""
    try:
        return path.is_file()
    except OSError:  # what a link leads to must not be looked at
        return True


def _read_file(path: Path | str, needle: bytes, counts: Counts) -> Iterator[Line]:
    try:
        with _opened(path) as stream:
            if stream.peek(2)[:2] != _GZIP:
                yield from _read_stream(stream, needle, counts)
                return
            inner = Unzipped(stream)
            yield from _read_stream(BufferedReader(inner), needle, counts)
            if inner.cut_off:
                counts.cut_off.append("standard input" if path == STDIN else str(path))
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


class Unzipped(RawIOBase):
    """What a gzipped file holds, up to where it can be read.

    gzip's own reader keeps to itself what it has read before the end that is missing.
    """

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._member = zlib.decompressobj(_WITH_HEADER)
        self._left = b""
        self.cut_off = False

    def readable(self) -> bool:
        """Say so."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer* as far as it goes; 0 is the end."""
        while not self.cut_off:
            data = self._left or self._file.read(_PIECE)
            self._left = b""
            if self._member.eof:  # another one follows, or the zeros that tapes are filled with
                data = data.lstrip(b"\0")
                if not data:
                    return 0
                self._member = zlib.decompressobj(_WITH_HEADER)
            text = self._unzipped(data, len(buffer))
            if text:
                buffer[: len(text)] = text
                return len(text)
            if not data and not self._member.eof:
                self.cut_off = True
        return 0

    def _unzipped(self, data: bytes, most: int) -> bytes:
        try:
            text = self._member.decompress(data, most)
        except zlib.error:
            self.cut_off = True
            return b""
        self._left = self._member.unconsumed_tail or self._member.unused_data
        return text


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
