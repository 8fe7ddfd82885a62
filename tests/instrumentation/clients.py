"""Clients of HTTP, each asked in the same way: `test_clients.py` says what holds for all."""

import asyncio
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import urllib3

from tests.instrumentation.far_end import CERTIFICATE

PARTS = [b"one, ", b"two, ", b"three"]


@dataclass(frozen=True)
class Wish:
    """A request: a POST where it has *parts* of a body; *timeout* is in seconds."""

    url: str
    headers: Mapping[str, str] | None = None
    parts: Iterable[bytes] | None = None
    timeout: float | None = None
    proxy: str | None = None

    @property
    def method(self) -> str:
        """The method."""
        return "POST" if self.parts else "GET"


@dataclass(frozen=True)
class Client:
    """One library in use.

    Args:
        send: Returns status and body, and raises what the library raises.
        library: The module root that its observations name.
    """

    send: Callable[[Wish], tuple[int, bytes]]
    library: str

    def ask(self, url: str, headers: Mapping[str, str] | None = None, **more: Any) -> Any:
        """Send a request that is made of what `Wish` takes."""
        return self.send(Wish(url, headers, **more))


def _urllib3(wish: Wish) -> tuple[int, bytes]:
    options = {"retries": urllib3.Retry(3, connect=0, read=0, other=0), "ca_certs": CERTIFICATE}
    proxy = wish.proxy
    manager = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    with manager:
        more: Any = {"body": wish.parts, "chunked": True} if wish.parts else {}
        if wish.timeout:
            more["timeout"] = wish.timeout
        response = manager.request(wish.method, wish.url, headers=wish.headers, **more)
        return response.status, response.data


def _urllib(wish: Wish) -> tuple[int, bytes]:
    trusting = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=CERTIFICATE))
    proxies = {"http": wish.proxy, "https": wish.proxy} if wish.proxy else {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), trusting)
    request = urllib.request.Request(wish.url, wish.parts, wish.headers or {})
    try:
        with opener.open(request, timeout=wish.timeout) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


async def _ask(wish: Wish) -> tuple[int, bytes]:
    async def body() -> Any:
        for part in wish.parts or ():
            yield part

    more: dict[str, Any] = {"headers": wish.headers, "proxy": wish.proxy}
    if wish.parts:
        more["data"] = body()
    if wish.timeout:
        more["timeout"] = aiohttp.ClientTimeout(total=wish.timeout)
    if wish.url.startswith("https"):
        more["ssl"] = ssl.create_default_context(cafile=CERTIFICATE)
    async with aiohttp.ClientSession() as session:
        async with session.request(wish.method, wish.url, **more) as response:
            answer = response.status, await response.read()
    if wish.url.startswith("https"):
        # TLS needs a moment to close, says aiohttp's documentation.
        await asyncio.sleep(0.1)
    return answer


def _aiohttp(wish: Wish) -> tuple[int, bytes]:
    return asyncio.run(_ask(wish))


CLIENTS = {
    "urllib3": Client(_urllib3, "urllib3"),
    "urllib": Client(_urllib, "urllib"),
    "aiohttp_client": Client(_aiohttp, "aiohttp"),
}
