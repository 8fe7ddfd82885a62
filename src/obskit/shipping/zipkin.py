"""Deliver encoded spans to the HTTP API v2 of Zipkin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from obskit.shipping import verdict
from obskit.shipping.verdict import Verdict

if TYPE_CHECKING:
    from obskit.http import Client

PATH = "/api/v2/spans"
_HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
_GZIP = 31
# What an encoded span takes beside its text, as long as it waits.
WEIGHT = 150


def shown(url: str) -> str:
    """Return *url* without user and password, for people."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


class Zipkin:
    """One Zipkin server.

    Args:
        url: Its base URL.
        encode: Turns a span into JSON.
    """

    def __init__(self, url: str, encode: Callable[[Any], bytes]) -> None:
        self._base = url.removesuffix(PATH)
        self.url = shown(self._base)
        self._encode = encode
        self._client: Client | None = None

    def pack(self, item: Any) -> tuple[bytes, int]:
        """Return a span as it is sent, and how many bytes it takes."""
        encoded = self._encode(item)
        return encoded, len(encoded) + WEIGHT

    def send(self, batch: Sequence[bytes], seconds: float) -> Verdict:
        """Send *batch* as one list. Never raises what the network can be at fault for."""
        import zlib
        from http.client import HTTPException

        if self._client is None:
            from obskit.http import Client

            self._client = Client(self._base)
        self._client.timeout = seconds
        body = zlib.compress(b"[" + b",".join(batch) + b"]", 1, _GZIP)
        try:
            answer = self._client.post(PATH, body, _HEADERS)
        # A host or a path that no request can have is found by nobody before.
        except (OSError, HTTPException, ValueError) as error:
            return verdict.of_error(error)
        return verdict.of_answer(answer.status, answer.headers)

    def forget(self) -> None:
        """Leave the connection to the parent, after a fork."""
        client, self._client = self._client, None
        if client is not None:
            client.forget()

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
