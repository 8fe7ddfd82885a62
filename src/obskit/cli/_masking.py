"""Show raw text to people without the secrets in it: queries, passwords, tokens."""

from __future__ import annotations

import re
import shlex

MASK = "***"
LONGEST = 160

_NAMED = (
    r"[\w-]*(?:passw|pwd|secret|token|authori[sz]ation|api[_-]?key|access[_-]?key|credential"
    r"|cookie|session[_-]?id|private[_-]?key|signature)[\w-]*"
)
_QUERY = re.compile(r"(?<=[\w/.~%-])\?[\w.%~+\[\]-]+=[^\s\"'<>]*")
_USERINFO = re.compile(r"(?<=://)[^/\s\"'<>]*@")
_VALUE = re.compile(
    rf"""({_NAMED}["']?\s*(?:=>|[:=])\s*(?:(?:bearer|basic|token)\s+)?)"""
    r"""("[^"]*"?|'[^']*'?|[^\s,;&}\])]+)""",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"(?<=\bBearer\s)\S+|(?<=\bBasic\s)\S+", re.IGNORECASE)
_OPTION = re.compile(rf"--?{_NAMED}", re.IGNORECASE)


def mask(text: str) -> str:
    """Return *text* without query strings, userinfo of URLs and values of secret names."""
    text = _QUERY.sub("?" + MASK, text)
    text = _USERINFO.sub(MASK + "@", text)
    text = _VALUE.sub(lambda match: match[1] + MASK, text)
    return _SCHEME.sub(MASK, text)


def excerpt(raw: bytes) -> str:
    """Return the beginning of a raw line on one line, masked, for people."""
    text = mask(raw[: 4 * LONGEST].decode("utf-8", "backslashreplace"))
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 3] + "..."


def command_line(words: list[str]) -> str:
    """Return the words of a command as people type them, without the secrets in them."""
    shown = []
    hide = False
    for word in words:
        shown.append(MASK if hide else mask(word))
        hide = _OPTION.fullmatch(word) is not None
    return " ".join(map(_quoted, shown))


def _quoted(word: str) -> str:
    """Quote a word for a shell; the mask needs no quotes."""
    plain = word.replace(MASK, "x")
    return word if shlex.quote(plain) == plain else shlex.quote(word)
