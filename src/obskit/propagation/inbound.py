"""Decide what is believed from outside and what may leave: the trust boundary."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from obskit.pattern import Pattern

INTERNAL_SUFFIXES = (".local", ".internal", ".svc", ".svc.cluster.local", ".localhost")
LONGEST_HOST = 255

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Spelled out, because what `is_private` means has changed within Python 3.11 and 3.12, and
# it takes the networks that documentation uses for private ones.
INTERNAL_NETWORKS: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)

# How servers name a peer that has no address: Unix sockets, and in-process test clients.
_LOCAL_PEERS = ("localhost", "testclient")
_SOCKET_PATHS = ("unix:", "/", "@")

# Longer lists are made to be costly; no real path has so many proxies.
_LONGEST_FORWARDED = 2048
_LONGEST_ADDRESS = 64
_MOST_NEAR = 1024

_FORWARDED_FOR = Pattern(r"(?:^|;)\s*for\s*=\s*\"?([^\";]*)", re.IGNORECASE)
_BRACKETED = Pattern(r"\[([^\]]*)\](?::[0-9]{1,5})?", re.ASCII)
_WITH_PORT = Pattern(r"([^:]*):[0-9]{1,5}", re.ASCII)
_NUMBER = Pattern(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)


class Boundary:
    """Answer which peers are ours: loopback, private, link-local and listed ones.

    *near* holds some of them, found before: a request of theirs that was not forwarded is
    from inside.
    """

    def __init__(self, extra: Sequence[str] = ()) -> None:
        self._suffixes = tuple(_suffixes(extra))
        self._networks = (*INTERNAL_NETWORKS, *_networks(extra))
        self.is_internal_host = lru_cache(maxsize=1024)(self._is_internal_host)
        self.is_internal_address = lru_cache(maxsize=1024)(self._is_internal_address)
        self._is_inside = lru_cache(maxsize=1024)(self._find_inside)
        self.near: set[str | None] = set()

    def trusts(self, peer: str | None, headers: Mapping[str, str]) -> bool:
        """Tell whether a request comes from inside: the peer and all that it forwards for.

        A peer without an address (a Unix socket, an in-process client) is inside. A proxy
        that hides for whom it forwards (``unknown``, ``_hidden``) may do so for anybody.
        """
        if peer and not (self._is_inside if len(peer) <= LONGEST_HOST else self._find_inside)(peer):
            return False
        addresses, described = headers.get("x-forwarded-for"), headers.get("forwarded")
        if not addresses and not described:
            self._remember(peer)
            return True
        if addresses and not self._are_inside(addresses, _addresses):
            return False
        return not described or self._are_inside(described, _forwarded_for)

    def _remember(self, peer: str | None) -> None:
        if peer is None or len(peer) <= LONGEST_HOST:
            if len(self.near) >= _MOST_NEAR:
                self.near.clear()
            self.near.add(peer)

    def _find_inside(self, peer: str) -> bool:
        return peer in _LOCAL_PEERS or peer.startswith(_SOCKET_PATHS) or self._is_ours(peer)

    def _are_inside(self, text: str, split: Callable[[str], list[str]]) -> bool:
        if len(text) > _LONGEST_FORWARDED:
            return False
        return all(item == "unix:" or self._is_ours(item) for item in split(text))

    def _is_ours(self, text: str) -> bool:
        return len(text) <= _LONGEST_ADDRESS and self.is_internal_address(text)

    def _is_internal_address(self, text: str) -> bool:
        address = _parse_address(text)
        return address is not None and any(address in network for network in self._networks)

    def _is_internal_host(self, host: str) -> bool:
        if len(host) > LONGEST_HOST:
            return False
        if _parse_address(host) is not None:
            return self._is_internal_address(host)
        name = _without_port(host).rstrip(".").lower()
        if "." not in name:
            # Resolvers take a number for an address.
            return bool(name) and not _NUMBER.fullmatch(name)
        return f".{name}".endswith(self._suffixes)


def _suffixes(extra: Sequence[str]) -> list[str]:
    names = [entry.strip().lower() for entry in extra if _parse_network(entry) is None]
    listed = (name.lstrip("*").strip(".") for name in names)
    return [*INTERNAL_SUFFIXES, *(f".{name}" for name in listed if name)]


def _networks(extra: Sequence[str]) -> list[Network]:
    return [network for entry in extra if (network := _parse_network(entry)) is not None]


def _parse_network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _addresses(forwarded: str) -> list[str]:
    return [item for part in forwarded.split(",") if (item := part.strip())]


def _forwarded_for(forwarded: str) -> list[str]:
    """Return whom each proxy names (RFC 7239); an empty text for a proxy that names nobody."""
    found: list[str] = []
    for element in forwarded.split(","):
        found += _FORWARDED_FOR.findall(element) or [""]
    return [item.strip() for item in found]


def _parse_address(text: str) -> Address | None:
    """Return the address in *text*, also in brackets or with a port; mapped IPv4 as IPv4."""
    try:
        address = ipaddress.ip_address(_without_port(text.strip()))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(text: str) -> str:
    match = _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text)
    return match[1] if match is not None else text
