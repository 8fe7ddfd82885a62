"""Send requests to a server: with our credential, compressed, within a time, never raising.

What it takes to speak HTTP is imported by the thread that sends, not by the start of a service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from obskit.shipping import verdict
from obskit.shipping.credential import MissingError
from obskit.shipping.target import Target
from obskit.shipping.verdict import AGAIN, Verdict

if TYPE_CHECKING:
    from obskit.http import Answer, Client, Tls

_GZIP = 31
_MOST_READ = 64 * 1024
# A smaller body grows by it, and is not worth the time.
_WORTH_IT = 500


def tls(target: Target) -> Tls:
    """Return how the server of *target* is checked."""
    from obskit.http import Tls

    options = target.options
    return Tls(
        options.get("ca", ""), options.get("cert", ""), options.get("key", ""),
        target.flag("insecure"),
    )  # fmt: skip


class Exchange:
    """The way to one server by HTTP.

    Args:
        target: Where it is, and who we are.
        endpoint: A path of the product's that people may have put into the URL.
        word: What goes before a token in the header ``Authorization``.
        most_read: Most bytes of an answer that are read.
    """

    def __init__(
        self,
        target: Target,
        endpoint: str = "",
        word: str = "Bearer",
        most_read: int = _MOST_READ,
    ) -> None:
        self._target = target
        self._address = target.address.removesuffix(endpoint)
        self._word = word
        self._header = target.options.get("auth_header", "Authorization")
        self._is_compressed = target.flag("gzip", True)
        self._longest = target.number("timeout", 0)
        self._most_read = most_read
        self._client: Client | None = None

    def post(
        self, path: str, body: bytes, seconds: float, headers: Mapping[str, str]
    ) -> Answer | Verdict:
        """Send *body* to *path*; return the answer, or what the lack of one means."""
        import zlib
        from http.client import HTTPException

        if self._is_compressed and len(body) > _WORTH_IT:
            body = zlib.compress(body, 1, _GZIP)
            headers = {**headers, "Content-Encoding": "gzip"}
        client = self._client
        if client is None:
            client = self._client = self._connected()
        client.timeout = min(seconds, self._longest or seconds)
        try:
            return client.post(path, body, headers)
        except MissingError as error:
            return Verdict(AGAIN, "no credential", answer=str(error))
        except (OSError, HTTPException) as error:
            return verdict.of_error(error)

    def _connected(self) -> Client:
        from obskit.http import Client

        target = self._target
        return Client(
            self._address,
            credential=lambda: target.credential.headers(self._word, self._header),
            tls=tls(target) if target.scheme == "https" else None,
            most_read=self._most_read,
        )

    def judge(self, answer: Answer | Verdict) -> Verdict:
        """Return what an answer means for the whole batch, without our secret in it."""
        if isinstance(answer, Verdict):
            return answer
        if 200 <= answer.status < 300 and "html" in answer.headers.get("content-type", ""):
            # A page to log in, by somebody on the way: none of these servers says yes like that.
            return self.hide(Verdict(AGAIN, "not understood", answer=verdict.said(answer.body)))
        return self.hide(verdict.of_reply(answer.status, answer.headers, answer.body))

    def hide(self, found: Verdict) -> Verdict:
        """Return *found* without our secret in what the server said."""
        if not found.answer:
            return found
        return found._replace(answer=self._target.credential.hide(found.answer))

    def forget(self) -> None:
        """Leave the connection to the parent, after a fork."""
        client, self._client = self._client, None
        if client is not None:
            client.forget()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._client is not None:
            self._client.close()


class OverHttp:
    """What backends that speak HTTP have in common: one way to their server."""

    _exchange: Exchange

    def forget(self) -> None:
        """Leave the connection to the parent, after a fork."""
        self._exchange.forget()

    def close(self) -> None:
        """Close the connection."""
        self._exchange.close()
