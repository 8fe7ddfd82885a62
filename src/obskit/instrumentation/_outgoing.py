"""The headers of an outgoing HTTP request, as a carrier that gives back what it took."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OURS = "obskit."


class Outgoing:
    """Set headers on a request; *headers* knows no case, as those of HTTP clients."""

    __slots__ = ("_headers", "_names", "_theirs")

    def __init__(self, headers: MutableMapping[str, str]) -> None:
        self._headers = headers
        self._names: list[str] = []
        self._theirs: str | None = None

    def __setitem__(self, name: str, value: str) -> None:
        if name == "baggage":
            value = self._with_theirs(value)
        self._names.append(name)
        self._headers[name] = value

    def _with_theirs(self, value: str) -> str:
        """Keep what the caller himself has put into the baggage of this one request."""
        theirs = self._headers.get("baggage")
        if not theirs:
            return value
        every = getattr(self._headers, "getall", None)
        if every is not None:
            theirs = ",".join(every("baggage"))
        self._theirs = theirs
        return _joined(value, theirs)

    def take_back(self) -> None:
        """Remove what was set: a redirect copies these headers, perhaps to a foreign host."""
        for name in self._names:
            self._headers.pop(name, None)
        if self._theirs is not None:
            self._headers["baggage"] = self._theirs


class Copied:
    """Set headers on a copy, for one attempt alone; any spelling of a name is the same name.

    Args:
        headers: A mapping of any kind, whose names may be bytes; it is left alone.
    """

    __slots__ = ("_known", "headers")

    def __init__(self, headers: Mapping[Any, Any]) -> None:
        copy = getattr(headers, "copy", None)
        self.headers: MutableMapping[Any, Any] = dict(headers) if copy is None else copy()
        self._known = {_lower(name) for name in headers}

    def __setitem__(self, name: str, value: str) -> None:
        key = name.lower()
        if key in self._known:
            value = self._instead(key, value)
        self.headers[name] = value

    def _instead(self, key: str, value: str) -> str:
        """Take out what is called *key*, and return *value* with baggage of the caller's own."""
        for name in [name for name in self.headers if _lower(name) == key]:
            if key == "baggage":
                value = _joined(value, self.headers[name])
            del self.headers[name]
        return value


def _joined(ours: str, theirs: str | bytes) -> str:
    """Return our baggage and what others have in theirs; stale entries of ours are left out."""
    if isinstance(theirs, bytes):
        theirs = theirs.decode("latin-1")
    members = [item for item in theirs.split(",") if not item.strip().startswith(_OURS)]
    return ",".join((ours, *(item for item in members if item.strip() not in ours)))


def _lower(name: str | bytes) -> str:
    return (name if isinstance(name, str) else name.decode("latin-1")).lower()
