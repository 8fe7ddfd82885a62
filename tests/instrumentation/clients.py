"""Clients of HTTP, each asked in the same way: `test_clients.py` says what holds for all."""

import asyncio
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
class Client:
    """One library in use.

    Args:
        ask: Gets address, headers, parts of a body, seconds until it gives up and the address
            of a proxy; returns status and body, and raises what the library raises.
        library: The module root that its observations name.
    """

    ask: Callable[..., tuple[int, bytes]]
    library: str


def _urllib3(
    url: str,
    headers: Mapping[str, str] | None = None,
    parts: Iterable[bytes] | None = None,
    timeout: float | None = None,
    proxy: str | None = None,
) -> tuple[int, bytes]:
    options = {"retries": urllib3.Retry(3, connect=0, read=0, other=0), "ca_certs": CERTIFICATE}
    manager = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    with manager:
        more: Any = {"body": parts, "chunked": True} if parts else {}
        if timeout:
            more["timeout"] = timeout
        method = "POST" if parts else "GET"
        response = manager.request(method, url, headers=headers, **more)
        return response.status, response.data


def _urllib(
    url: str,
    headers: Mapping[str, str] | None = None,
    parts: Iterable[bytes] | None = None,
    timeout: float | None = None,
    proxy: str | None = None,
) -> tuple[int, bytes]:
    import ssl

    trusting = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=CERTIFICATE))
    proxies = urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {})
    opener = urllib.request.build_opener(proxies, trusting)
    request = urllib.request.Request(url, parts, headers or {})
    try:
        with opener.open(request, timeout=timeout) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


async def _ask(
    url: str,
    headers: Mapping[str, str] | None = None,
    parts: Iterable[bytes] | None = None,
    timeout: float | None = None,
    proxy: str | None = None,
) -> tuple[int, bytes]:
    import ssl

    async def body() -> Any:
        for part in parts or ():
            yield part

    more: dict[str, Any] = {"data": body(), "headers": headers} if parts else {"headers": headers}
    if timeout:
        more["timeout"] = aiohttp.ClientTimeout(total=timeout)
    if url.startswith("https"):
        more["ssl"] = ssl.create_default_context(cafile=CERTIFICATE)
    async with aiohttp.ClientSession() as session:
        method = "POST" if parts else "GET"
        async with session.request(method, url, proxy=proxy, **more) as response:
            answer = response.status, await response.read()
    if url.startswith("https"):
        # TLS needs a moment to close, says aiohttp's documentation.
        await asyncio.sleep(0.1)
    return answer


def _aiohttp(*args: Any, **kwargs: Any) -> tuple[int, bytes]:
    return asyncio.run(_ask(*args, **kwargs))


CLIENTS = {
    "urllib3": Client(_urllib3, "urllib3"),
    "urllib": Client(_urllib, "urllib"),
    "aiohttp_client": Client(_aiohttp, "aiohttp"),
}
