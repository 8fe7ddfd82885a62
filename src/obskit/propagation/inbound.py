"""Decide what is believed from outside and what may leave: the trust boundary."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

INTERNAL_SUFFIXES = (".local", ".internal", ".svc", ".svc.cluster.local", ".localhost")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_FORWARDED_FOR = re.compile(r"for=\"?\[?([^\];,\"]+)", re.IGNORECASE)


class Boundary:
    """Answer which peers are ours: loopback, private, link-local and listed ones."""

    def __init__(self, extra: Sequence[str] = ()) -> None:
        self._suffixes = tuple(_suffixes(extra))
        self._networks = tuple(_networks(extra))
        self.is_internal_host = lru_cache(maxsize=1024)(self._is_internal_host)
        self.is_internal_address = lru_cache(maxsize=1024)(self._is_internal_address)

    def trusts(self, peer: str | None, headers: Mapping[str, str]) -> bool:
        """Tell whether a request comes from inside: the peer and all that it forwards for.

        A peer without an address (a Unix socket, an in-process client) is inside.
        """
        if peer and not self.is_internal_address(peer):
            return False
        forwarded = headers.get("x-forwarded-for")
        if forwarded and not all(map(self.is_internal_address, _addresses(forwarded))):
            return False
        forwarded = headers.get("forwarded")
        return not forwarded or all(
            map(self.is_internal_address, _FORWARDED_FOR.findall(forwarded))
        )

    def _is_internal_address(self, text: str) -> bool:
        address = _parse_address(text)
        if address is None:
            return _is_obfuscated(text)
        return _is_ours(address) or any(address in network for network in self._networks)

    def _is_internal_host(self, host: str) -> bool:
        host = host.strip("[]").rstrip(".").lower()
        address = _parse_address(host)
        if address is not None:
            return self._is_internal_address(host)
        return bool(host) and ("." not in host or host.endswith(self._suffixes))


def _suffixes(extra: Sequence[str]) -> list[str]:
    names = [entry for entry in extra if _parse_network(entry) is None]
    return [*INTERNAL_SUFFIXES, *("." + name.lstrip("*.").lower() for name in names if name)]


def _networks(extra: Sequence[str]) -> list[Network]:
    return [network for entry in extra if (network := _parse_network(entry)) is not None]


def _parse_network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _addresses(forwarded: str) -> list[str]:
    return [item for part in forwarded.split(",") if (item := part.strip())]


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    text = text.strip().strip("[]")
    for candidate in (text, text.partition("]")[0], text.rpartition(":")[0]):
        try:
            return ipaddress.ip_address(candidate.partition("%")[0])
        except ValueError:
            continue
    return None


def _is_obfuscated(text: str) -> bool:
    """Tell whether a name stands where an address should (``unknown``, ``_hidden``)."""
    return text.startswith("_") or text in ("unknown", "testclient")


def _is_ours(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_loopback or address.is_private or address.is_link_local
