"""Regular expressions that cost a start-up nothing: few processes use all of them."""

from __future__ import annotations

import re
from collections.abc import Callable

Match = re.Match[str] | None


class Pattern:
    """A regular expression that is compiled when it is first used.

    From then on its methods are those of the compiled one, without a detour.
    """

    __slots__ = ("findall", "flags", "fullmatch", "match", "search", "sub", "text")

    findall: Callable[[str], list[str]]
    fullmatch: Callable[[str], Match]
    match: Callable[[str], Match]
    search: Callable[[str], Match]
    sub: Callable[[str | Callable[[re.Match[str]], str], str], str]

    def __init__(self, text: str, flags: int = 0) -> None:
        self.text = text
        self.flags = flags

    def __getattr__(self, name: str) -> object:
        compiled = re.compile(self.text, self.flags)
        for method in ("findall", "fullmatch", "match", "search", "sub"):
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)
