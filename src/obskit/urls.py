"""Show text without what the URLs in it give away: who logs in, and what was asked for."""

from __future__ import annotations

import re

from obskit.pattern import Pattern

MARKER = "[redacted]"

# Both stop where the next attempt would begin, so no text takes them long.
_WORD = Pattern(r"""[^\s"'<>]+""")
_USERINFO = Pattern(r"""(?<=://)[^\s"'<>/?#]*@""")


def masked(text: str) -> str:
    """Return *text* without queries and userinfo, as clients put them into their errors."""
    if "?" in text:
        text = _WORD.sub(_without_query, text)
    if "@" in text:
        text = _USERINFO.sub(f"{MARKER}@", text)
    return text


def _without_query(word: re.Match[str]) -> str:
    path, _, query = word[0].partition("?")
    if query and ("/" in path or "=" in query):
        return f"{path}?{MARKER}"
    return word[0]
