"""The forms that a line can have: the canonical one, one for people, and other people's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from obskit import settings as settings_

if TYPE_CHECKING:
    from obskit.logs.writer import Writer

UNLIMITED = 2**62


def chosen(name: str, writer: Writer) -> tuple[Callable[[bytes], None], int]:
    """Return what writes canonical lines to *writer*, and how long they may be.

    Args:
        name: The form that is wanted, or nothing for what suits whoever reads.
        writer: Writes finished lines.
    """
    if name == "console" or (not name and writer.is_terminal):
        return _for_people(writer), UNLIMITED
    if name in ("", "json"):
        return writer.write, writer.longest
    from obskit.logs.formats import foreign

    return foreign.writer(name, writer.write, lambda: writer.longest), writer.longest


def _for_people(writer: Writer) -> Callable[[bytes], None]:
    from obskit.logs.formats import console, json

    render = console.renderer(settings_.colours(writer.is_terminal))

    def write(line: bytes) -> None:
        writer.write(render(json.loads(line)).encode("utf-8", "backslashreplace"))

    return write
