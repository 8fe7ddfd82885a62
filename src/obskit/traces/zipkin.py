"""Encode spans as Zipkin v2 JSON, one at a time: what is sent is bounded, whatever a span holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from obskit.traces import naming
from obskit.traces.finished import Event, Span

LONGEST_VALUE = 256
LONGEST_ANNOTATION = 1024
MOST_TAGS = 64
MOST_NAMES = 4096
MOST_ANNOTATIONS = 32
MOST_LINKS = 32
LARGEST = 64 * 1024
# What the objects of a span take, without its texts.
WEIGHT = 1200

_KINDS = {"server": "SERVER", "client": "CLIENT", "producer": "PRODUCER", "consumer": "CONSUMER"}
_ENTRIES = frozenset({"server", "consumer"})
_WITH_PEER = frozenset({"client", "producer", "consumer"})
# What names the other side of a call, the best name first; addresses last.
_PEERS = (
    "peer.service",
    "server.address",
    "net.peer.name",
    "network.peer.address",
    "server.socket.domain",
    "server.socket.address",
    "net.peer.ip",
    "db.namespace",
    "db.name",
    "db.system.name",
    "db.system",
    "rpc.service",
)
_PORTS = ("server.port", "net.peer.port", "network.peer.port", "server.socket.port")
_NO_ERROR = frozenset({"", "false", "False", "0", "None", "null"})
_MORE = "\u2026"
# Stands for what must not be sent, as it does in lines.
MARKER = "[redacted]"


class Encoder:
    """Encode the spans of one service.

    Args:
        service: Its name, as Zipkin shows it (in lower case).
        version: Its version, and
        env: its environment, which stand as tags on its entry spans; empty for none.
        is_secret: Tells by its name whether an attribute must not be sent.
    """

    def __init__(
        self,
        service: str,
        version: str = "",
        env: str = "",
        is_secret: Callable[[str], bool] = str.isspace,
    ) -> None:
        self._is_secret = is_secret
        # Names that may be sent; most spans have the same few.
        self._shown: set[str] = set()
        self._local = orjson.Fragment(orjson.dumps({"serviceName": _whole(service)}))
        facts = {"service.version": version, "deployment.environment.name": env}
        self._facts = {name: _short(_whole(value)) for name, value in facts.items() if value}

    def encode(self, span: Span) -> bytes:
        """Return *span* as one JSON object of at most 64 KiB."""
        content = self._content(span)
        try:
            encoded = orjson.dumps(content)
        except (orjson.JSONEncodeError, TypeError):
            # Half of a surrogate pair, or a subclass of text.
            encoded = orjson.dumps(_cleaned(content))
        if len(encoded) <= LARGEST:
            return encoded
        return orjson.dumps(_reduced(_cleaned(content)))

    def _content(self, span: Span) -> dict[str, Any]:
        content: dict[str, Any] = {"traceId": span.trace_id, "id": span.span_id}
        if span.parent_id:
            content["parentId"] = span.parent_id
        kind, name = span.kind, span.name
        content["name"] = name if len(name) <= LONGEST_VALUE else _short(name)
        if kind in _KINDS:
            content["kind"] = _KINDS[kind]
        content["timestamp"] = span.started_at_ns // 1000
        content["duration"] = span.duration_ns // 1000 or 1
        content["localEndpoint"] = self._local
        if kind in _WITH_PEER:
            peer = _peer(span)
            if peer is not None:
                content["remoteEndpoint"] = peer
        if span.events:
            content["annotations"] = [
                _annotation(one, self._is_secret) for one in span.events[:MOST_ANNOTATIONS]
            ]
        tags = self._tags(span)
        if self._facts and (kind in _ENTRIES or not span.parent_id):
            tags.update(self._facts)
        if tags:
            content["tags"] = tags
        if span.debug:
            content["debug"] = True
        return content

    def _tags(self, span: Span) -> dict[str, str]:
        tags: dict[str, str] = {}
        shown = self._shown
        for key, value in span.attributes.items():
            if key not in shown and self._hides(key):
                tags[key] = MARKER
            elif type(value) is str and len(value) <= LONGEST_VALUE:
                tags[key] = value
            elif type(value) is int:
                tags[key] = str(value)
            elif value is not None:
                tags[key] = _short(_text(value))
        if len(tags) > MOST_TAGS:
            dropped = len(tags) - MOST_TAGS
            tags = dict(list(tags.items())[:MOST_TAGS])
            tags["otel.dropped_attributes_count"] = str(dropped)
        _add(tags, span)
        return tags

    def _hides(self, key: str) -> bool:
        if self._is_secret(key):
            return True
        if len(self._shown) < MOST_NAMES:
            self._shown.add(key)
        return False


def is_precious(span: Span) -> bool:
    """Tell whether *span* is to be lost last: errors, and what a probe has begun."""
    return span.status == "error" or span.synthetic is not None


def weigh(span: Span) -> int:
    """Return about how many bytes *span* takes while it is not encoded."""
    size = WEIGHT
    for value in span.attributes.values():
        kind = type(value)
        if kind is str:
            size += len(value)
        elif kind is tuple:
            size += sum(len(str(one)) for one in value)
    for event in span.events:
        size += WEIGHT // 2
        size += sum(len(one) for one in event.attributes.values() if hasattr(one, "__len__"))
    if span.links:
        size += len(span.links) * WEIGHT // 2
    return size + len(span.name)


def _add(tags: dict[str, str], span: Span) -> None:
    """Add to *tags* what is no attribute of *span*."""
    if span.status != "unset" or "error" in tags:
        _judge(span, tags)
    if span.links:
        for number, link in enumerate(span.links[:MOST_LINKS]):
            tags[f"otel.link.{number}"] = f"{link.trace_id}-{link.span_id}"
        _count_dropped(tags, "otel.dropped_links_count", len(span.links) - MOST_LINKS)
    if span.events:
        _count_dropped(tags, "otel.dropped_events_count", len(span.events) - MOST_ANNOTATIONS)
    if span.scope != naming.SCOPE:
        tags["otel.scope.name"] = _short(span.scope)
    if span.synthetic:
        tags["obskit.synthetic"] = _short(span.synthetic)


def _count_dropped(tags: dict[str, str], name: str, count: int) -> None:
    if count > 0:
        tags[name] = str(count)


def _judge(span: Span, tags: dict[str, str]) -> None:
    """Say how it ended: Zipkin takes any ``error`` tag for a failure, whatever its value is."""
    said = tags.pop("error", "")
    said = "" if said in _NO_ERROR else said
    if span.status == "error":
        tags["otel.status_code"] = "ERROR"
        tags["error"] = _short(span.description) or said or tags.get("error.type", "")
        return
    if span.status == "ok":
        tags["otel.status_code"] = "OK"
    elif said:
        tags["error"] = said


def _text(value: Any) -> str:
    if type(value) is bool:
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        try:
            return orjson.dumps(value, default=str).decode()
        except orjson.JSONEncodeError:
            return repr(value)
    if isinstance(value, (bytes, bytearray)):
        return value[: LONGEST_VALUE + 1].decode("utf-8", "replace")
    return str(value)


def _short(text: str, longest: int = LONGEST_VALUE) -> str:
    return text if len(text) <= longest else text[: longest - 1] + _MORE


def _annotation(event: Event, is_secret: Callable[[str], bool]) -> dict[str, Any]:
    value = event.name
    if event.attributes:
        facts = {
            str(key): MARKER if is_secret(str(key)) else _annotated(one)
            for key, one in event.attributes.items()
        }
        value = f'"{value}": {orjson.dumps(facts).decode()}'
    return {"timestamp": event.at_ns // 1000, "value": _short(value, LONGEST_ANNOTATION)}


def _annotated(value: Any) -> Any:
    kind = type(value)
    if kind is bool or kind is float or (kind is int and abs(value) < 1 << 53):
        return value
    text = value if type(value) is str else _text(value)
    # The end of a stack names the place.
    return text if len(text) <= LONGEST_VALUE else _MORE + _whole(text[1 - LONGEST_VALUE :])


def _peer(span: Span) -> Any:
    """Return the other side: links to brokers, databases and strangers are made of it alone."""
    attributes = span.attributes
    if span.kind != "client":
        system = attributes.get("messaging.system")
        name = attributes.get("peer.service") or system
        if name:
            # The same name on both sides, else a broker would be two.
            return _endpoint(str(name)[:LONGEST_VALUE], span.peer or "", 0)
    name = attributes.get("peer.service")
    if not name and span.peer:
        return _endpoint(span.peer[:LONGEST_VALUE], span.peer[:LONGEST_VALUE], 0)
    for key in _PEERS:
        if name := attributes.get(key):
            break
    else:
        return None
    address = attributes.get("network.peer.address") or attributes.get("server.address") or ""
    port = next((attributes[key] for key in _PORTS if attributes.get(key)), 0)
    port = int(port) if str(port).isdecimal() else 0
    return _endpoint(str(name)[:LONGEST_VALUE], str(address)[:LONGEST_VALUE], port)


@lru_cache(maxsize=1024)
def _endpoint(name: str, address: str, port: int) -> Any:
    """Return an endpoint; *address* may have its port behind it."""
    from ipaddress import ip_address

    host, colon, digits = address.rpartition(":")
    if colon and digits.isdecimal() and (host[-1:] == "]" or ":" not in host):
        address, port = host.strip("[]"), port or int(digits)
    found: dict[str, Any] = {"serviceName": _whole(name)}
    try:
        number = ip_address(address)
        found[f"ipv{number.version}"] = str(number)
    except ValueError:
        pass
    if 0 < port < 65536:
        found["port"] = port
    return orjson.Fragment(orjson.dumps(found))


def _whole(text: str) -> str:
    """Return *text* without what is no character by itself."""
    return str(text).encode("utf-8", "replace").decode()


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, dict):
        return {_short(_whole(str(key))): _cleaned(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return value


def _reduced(content: dict[str, Any]) -> dict[str, Any]:
    """Return *content* without what made it large, which is what somebody's code put there."""
    content.pop("annotations", None)
    tags: dict[str, str] = content.get("tags", {})
    kept: dict[str, str] = {}
    room = LARGEST // 8
    for key, value in tags.items():
        room -= len(key) + len(value)
        if room > 0 or key == "error":
            kept[key] = value
    kept["obskit.truncated"] = str(len(tags) - len(kept))
    content["tags"] = kept
    return content
