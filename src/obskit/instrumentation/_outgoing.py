"""The headers of an outgoing HTTP request, as a carrier that gives back what it took."""

from __future__ import annotations

from collections.abc import MutableMapping

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
        self._theirs = theirs
        members = [item for item in theirs.split(",") if not item.strip().startswith(_OURS)]
        return ",".join((value, *(item for item in members if item.strip() not in value)))

    def take_back(self) -> None:
        """Remove what was set: a redirect copies these headers, perhaps to a foreign host."""
        for name in self._names:
            self._headers.pop(name, None)
        if self._theirs is not None:
            self._headers["baggage"] = self._theirs
