"""Put the fields of a line to their places in a schema, and find them there again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from obskit.fields import LINE

Converter = Callable[[Any], Any]
Pair = tuple[Converter, Converter]

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
}
_TYPES = {field.name: _KINDS[field.type] for field in LINE}
_LARGEST = 2**63


def is_of_type(name: str, value: Any) -> bool:
    """Tell whether *value* has the type of the field *name* of a line: else it is not that."""
    kinds = _TYPES[name]
    if type(value) not in kinds:
        return False
    if kinds[0] is list:
        return all(type(item) is str for item in value)
    return kinds[0] is not int or -_LARGEST <= value < _LARGEST


class Places:
    """Where the fields stand in a schema.

    Args:
        places: For each field the keys that lead to it.
        pairs: For fields that are written otherwise, how, and how that is read; both return
            None for what cannot be: it is treated as a field of the application's own.
    """

    def __init__(
        self, places: Mapping[str, tuple[str, ...]], pairs: Mapping[str, Pair] | None = None
    ) -> None:
        self._pairs = pairs or {}
        self._rows = {
            name: (place[:-1], place[-1], self._pairs[name][0] if name in self._pairs else None)
            for name, place in places.items()
        }

    def spread(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the fields of *record* in their places, and all that has none."""
        made: dict[str, Any] = {}
        own: dict[str, Any] = {}
        rows = self._rows
        for name, value in record.items():
            row = rows.get(name)
            if row is None or not is_of_type(name, value):
                own[name] = value
                continue
            parents, key, convert = row
            if convert is not None:
                converted = convert(value)
                if converted is None:
                    own[name] = value
                    continue
                value = converted
            here = made
            for parent in parents:
                here = here.setdefault(parent, {})
            here[key] = value
        return made, own

    def gather(self, found: dict[str, Any]) -> dict[str, Any]:
        """Take the fields of a line out of *found*, which keeps what is none."""
        record: dict[str, Any] = {}
        for name, (parents, key, _) in self._rows.items():
            here: Any = found
            for parent in parents:
                here = here.get(parent)
                if not isinstance(here, dict):
                    break
            else:
                if key not in here:
                    continue
                value = self._read(name, here[key])
                if value is not None:
                    record[name] = value
                    del here[key]
        return record

    def _read(self, name: str, value: Any) -> Any:
        if name in self._pairs:
            value = self._pairs[name][1](value)
        return value if value is not None and is_of_type(name, value) else None


def copied(found: Mapping[str, Any], depth: int = 4) -> dict[str, Any]:
    """Return *found* with its own dicts, down to *depth*, so that fields can be taken out."""
    return {
        key: copied(value, depth - 1) if depth and isinstance(value, dict) else value
        for key, value in found.items()
    }
