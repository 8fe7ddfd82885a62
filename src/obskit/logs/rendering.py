"""Turn any value into what JSON has, whatever the value does when it is looked at.

Most lines never come here: plain values are encoded as they are. What is here may not raise,
must not change or consume what it is given, and ends after a bounded amount of work.
"""

from __future__ import annotations

import datetime
import enum
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from pathlib import PurePath
from types import MappingProxyType
from typing import Any
from uuid import UUID

from obskit.logs.redaction import is_secret
from obskit.logs.secret import MARKER, Secret

MOST_DEPTH = 16
MOST_ITEMS = 1000
MOST_VALUES = 10_000
LONGEST_TEXT = 256 * 1024
LONGEST_REPR = 8192
LONGEST_KEY = 256
LARGEST_INTEGER = 2**64
SMALLEST_INTEGER = -(2**63)

# These say of themselves what they are; none of it can fail or take long.
_BY_STR = (UUID, Decimal, Fraction, PurePath, datetime.timedelta)
_BY_ISO = (datetime.datetime, datetime.date, datetime.time)
_LISTS = (list, tuple, set, frozenset, deque)
_MAPPINGS = (dict, MappingProxyType)
# Somebody stops the program or the task: not for us to keep.
_NOT_OURS = (KeyboardInterrupt, SystemExit, GeneratorExit)


class Careful:
    """Convert the values of one line; *degraded* counts those that could not be kept."""

    __slots__ = ("_left", "_open", "degraded")

    def __init__(self) -> None:
        self.degraded = 0
        self._left = MOST_VALUES
        self._open: set[int] = set()

    def fields(self, given: Mapping[Any, Any], reserved: frozenset[str]) -> dict[str, Any]:
        """Return the fields of a line; one whose name is *reserved* is kept under another."""
        fields: dict[str, Any] = {}
        pairs = self._pairs(given, MOST_VALUES)
        names = {key for key, _ in pairs if isinstance(key, str)}
        for key, value in pairs:
            name = self._key(key)
            while name in reserved or name in fields or (name != key and name in names):
                name = f"field_{name}"
            fields[name] = self._unless_secret(name, value, 0)
        return fields

    def text(self, value: object) -> str:
        """Return *value* as text that can be encoded."""
        if type(value) is not str:
            if isinstance(value, (bytes, bytearray)):
                value = bytes(value[:LONGEST_TEXT]).decode("utf-8", "backslashreplace")
            else:
                value = self._shown(value, str)
        return self._encodable(value)

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return *value* made of dicts, lists, text, numbers, booleans and None."""
        kind = type(value)
        if kind is str:
            return self._encodable(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return self._integer(value)
        if kind is float:
            return value if value - value == 0.0 else self._degrade(str(value))
        try:
            return self._object(value, depth)
        except _NOT_OURS:
            raise
        except BaseException as error:
            return self._degrade(f"<{_name(value)}: {_name(error)}>")

    def _object(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if issubclass(kind, Secret):
            return MARKER
        if issubclass(kind, _MAPPINGS + _LISTS) or isinstance(value, Mapping):
            return self._container(value, depth)
        if issubclass(kind, enum.Enum):
            return self.value(value.value, depth + 1)
        if issubclass(kind, (str, bytes, bytearray, memoryview)):
            return self.text(str.__str__(value) if issubclass(kind, str) else bytes(value))
        if issubclass(kind, int):
            return self._integer(int.__int__(value))
        if issubclass(kind, float):
            return self.value(float.__float__(value), depth)
        if issubclass(kind, _BY_ISO):
            return self._encodable(value.isoformat())
        if issubclass(kind, _BY_STR):
            return self._encodable(str(value))
        if issubclass(kind, BaseException):
            return self._encodable(f"{kind.__name__}: {self._shown(value, str)}")
        names = _declared(kind)
        if names:
            there = {
                name: getattr(value, name) for name in names[:MOST_ITEMS] if hasattr(value, name)
            }
            return self._inside(value, there, depth)
        return self._encodable(self._shown(value, str if _has_text(kind) else repr))

    def _container(self, value: Any, depth: int) -> Any:
        return self._inside(value, value, depth)

    def _inside(self, owner: object, value: Any, depth: int) -> Any:
        """Convert the items of *owner*, which may contain itself."""
        if id(owner) in self._open:
            return self._degrade("<circular>")
        if depth >= MOST_DEPTH:
            return self._degrade("<too deep>")
        self._open.add(id(owner))
        try:
            if isinstance(value, _LISTS):
                return self._items(value, depth + 1)
            return self._mapping(value, depth + 1)
        finally:
            self._open.discard(id(owner))

    def _items(self, value: Iterable[Any], depth: int) -> list[Any]:
        room = self._room()
        made = [self.value(item, depth) for item in list(islice(value, room))]
        more = len(value) - len(made)  # type: ignore[arg-type]
        if more > 0:
            made.append(self._degrade(f"<{more} more>"))
        return made

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        room = self._room()
        for key, item in self._pairs(value, room):
            name = self._key(key)
            while name in made:
                name += "_"
            made[name] = self._unless_secret(name, item, depth)
        if len(value) > room:
            made["..."] = self._degrade(f"<{len(value) - room} more>")
        return made

    def _room(self) -> int:
        """Return how many items of a collection are looked at."""
        room = max(0, min(MOST_ITEMS, self._left))
        self._left -= room
        return room

    def _pairs(self, value: Mapping[Any, Any], most: int) -> list[tuple[Any, Any]]:
        try:
            return list(islice(value.items(), most))
        except RuntimeError:
            # Somebody changes it at the same time: a copy is made in one step.
            return list(dict(value).items())[:most]

    def _unless_secret(self, name: str, value: Any, depth: int) -> Any:
        # That there is none, or whether there is one, is no secret.
        if is_secret(name) and value is not None and value is not True and value is not False:
            return MARKER
        return self.value(value, depth)

    def _key(self, key: Any) -> str:
        if type(key) is not str:
            converted = self.value(key, MOST_DEPTH - 1)
            key = converted if isinstance(converted, str) else str(converted)
        name = self._encodable(key)
        return name if len(name) <= LONGEST_KEY else name[:LONGEST_KEY]

    def _integer(self, value: int) -> Any:
        if SMALLEST_INTEGER <= value < LARGEST_INTEGER:
            return value
        # Python itself refuses to write very long numbers in decimal.
        return self._degrade(str(value) if value.bit_length() < 8192 else hex(value)[:LONGEST_REPR])

    def _encodable(self, text: str) -> str:
        if len(text) > LONGEST_TEXT:
            self.degraded += 1
            text = text[:LONGEST_TEXT] + "..."
        try:
            text.encode()
        except UnicodeEncodeError:
            self.degraded += 1
            return text.encode("utf-8", "backslashreplace").decode()
        return str.__str__(text)

    def _shown(self, value: object, show: Any) -> str:
        try:
            text = show(value)
            return str.__str__(text)[:LONGEST_REPR] if show is repr else str.__str__(text)
        except _NOT_OURS:
            raise
        except BaseException as error:
            return self._degrade(f"<{_name(value)}: {_name(error)}>")

    def _degrade(self, marker: str) -> str:
        self.degraded += 1
        return marker


def _name(value: object) -> str:
    """Return the name of the type of *value*, which may lie about its class."""
    name = type.__getattribute__(type(value), "__name__")
    return name if type(name) is str and name.isprintable() and name.isascii() else "object"


def _has_text(kind: type) -> bool:
    own: object = kind.__str__
    return own is not object.__str__


def _declared(kind: type) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass, a pydantic model or an attrs class."""
    for attribute in ("__dataclass_fields__", "__pydantic_fields__", "__attrs_attrs__"):
        declared = kind.__dict__.get(attribute) or getattr(kind, attribute, None)
        if isinstance(declared, dict):
            return tuple(name for name, field in declared.items() if getattr(field, "repr", True))
        if isinstance(declared, tuple):
            return tuple(field.name for field in declared if field.repr)
    return ()
